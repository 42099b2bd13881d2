//! The value of `HEAPTIDE_OPTIONS` that a recorded program is started with.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use crate::args::RunArgs;

/// The variable that the recorder reads.
pub const VARIABLE: &str = "HEAPTIDE_OPTIONS";

/// Keys that are the observer's to set.
const OWN_KEYS: [&str; 7] = ["dir", "out", "root", "observer", "follow", "sample", "interval"];

/// All options but the child's process id, which is to be appended. Options in the environment that do not contradict
/// the command line stay.
pub fn of(args: &RunArgs, dir: &Path, before: Option<&OsStr>) -> OsString {
    let mut options = OsString::new();
    let mut push = |option: &OsStr| {
        options.push(option);
        options.push(",");
    };
    for option in before.map(OsStr::as_bytes).unwrap_or_default().split(|&byte| byte == b',') {
        let key = option.split(|&byte| byte == b':').next().unwrap_or_default();
        let is_own = OWN_KEYS.iter().any(|own| own.as_bytes() == key);
        if !option.is_empty() && !is_own {
            push(OsStr::from_bytes(option));
        }
    }
    push(&[OsStr::new("dir"), dir.as_os_str()].join(OsStr::new(":")));
    push(OsStr::new("observer:1"));
    push(OsStr::new(&format!("interval:{}", args.interval)));
    if let Some(bytes) = args.sample {
        push(OsStr::new(&format!("sample:{bytes}")));
    }
    if args.follow {
        push(OsStr::new("follow:1"));
    }
    options.push("root:");
    options
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    fn check(line: &[&str], before: Option<&str>, expected: &str) {
        let line = ["heaptide", "run"].iter().chain(line).chain(&["true"]);
        let cli = crate::args::Cli::try_parse_from(line).expect("a command line");
        let crate::args::Command::Run(args) = cli.command else { panic!("not run") };
        assert_eq!(of(&args, Path::new("/dev/shm/x"), before.map(OsStr::new)), expected);
    }

    #[test]
    fn the_command_line_wins_over_the_environment() {
        check(&[], None, "dir:/dev/shm/x,observer:1,interval:100,root:");
        check(
            &["--sample=4k", "--follow", "--interval", "5"],
            Some("limit:1g,,out:a,sample:9,verify:1,root:3"),
            "limit:1g,verify:1,dir:/dev/shm/x,observer:1,interval:5,sample:4096,follow:1,root:",
        );
    }
}
