//! Programs that the tasks run.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use anyhow::{Context, Result, bail, ensure};

/// Runs a command whose output the person sees.
pub fn run(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| format!("{} did not start", words(command)))?;
    ensure!(status.success(), "`{}` ended with {status}", words(command));
    Ok(())
}

/// What a command prints to its standard output; its errors are shown if it fails.
pub fn output(command: &mut Command) -> Result<String> {
    let Output { status, stdout, stderr } =
        command.stdin(Stdio::null()).output().with_context(|| format!("{} did not start", words(command)))?;
    if !status.success() {
        bail!("`{}` ended with {status}\n{}", words(command), String::from_utf8_lossy(&stderr).trim_end());
    }
    Ok(String::from_utf8_lossy(&stdout).into_owned())
}

/// Where a program of this name is; places that only root searches count, too.
pub fn find(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let places = std::env::split_paths(&path).chain(["/usr/sbin".into(), "/sbin".into()]);
    places.map(|place| place.join(name)).find(|file| file.is_file())
}

/// A command as a person would write it, without the folder of the program.
pub fn words(command: &Command) -> String {
    let program = Path::new(command.get_program()).file_name().unwrap_or_default();
    let words = std::iter::once(program).chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}

/// A process below `pid`, or itself, that executes `program`.
pub fn descendant(pid: u32, program: &Path) -> Option<u32> {
    if fs::read_link(format!("/proc/{pid}/exe")).is_ok_and(|file| file == program) {
        return Some(pid);
    }
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).ok()?;
    children.split_whitespace().filter_map(|child| child.parse().ok()).find_map(|child| descendant(child, program))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_descendant_is_found_while_it_runs() {
        // With something to do after it, the shell cannot become the program.
        let mut shell = Command::new("sh");
        let mut shell = shell.args(["-c", "cat; true"]).stdin(Stdio::piped()).spawn().expect("a shell");
        let program = find("cat").and_then(|file| file.canonicalize().ok()).expect("cat is there");
        let found = loop {
            match descendant(shell.id(), &program) {
                None if matches!(shell.try_wait(), Ok(None)) => std::thread::yield_now(),
                found => break found,
            }
        };
        drop(shell.stdin.take());
        shell.wait().expect("the shell ends with its input");
        assert!(found.is_some_and(|pid| pid != shell.id()), "{found:?}");
        assert_eq!(descendant(shell.id(), &program), None);
    }

    #[test]
    fn a_failed_command_says_why() {
        let mut command = Command::new("sh");
        let error = output(command.args(["-c", "echo because >&2; exit 3"])).expect_err("it fails");
        assert!(error.to_string().contains("because") && error.to_string().contains('3'), "{error}");
    }
}
