//! The pages, and a place to try what they say.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use regex::Regex;

use crate::support::{Place, Ran};

/// Every command has a page.
pub const COMMANDS: [&str; 7] = ["run", "report", "doctor", "demo", "preload-path", "completions", "man"];

pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

pub fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// All pages for people, as paths from the root of the repository.
pub fn pages() -> Vec<String> {
    let mut pages = vec!["README.md".to_owned(), "ARCHITECTURE.md".to_owned(), "CHANGELOG.md".to_owned()];
    let mut folders = vec!["docs".to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(root().join(&folder)).unwrap() {
            let entry = entry.unwrap();
            let path = format!("{folder}/{}", entry.file_name().to_str().unwrap());
            match entry.file_type().unwrap().is_dir() {
                true => folders.push(path),
                false if path.ends_with(".md") => pages.push(path),
                false => {}
            }
        }
    }
    pages.sort();
    pages
}

pub fn regex(pattern: &str) -> Regex {
    Regex::new(pattern).unwrap()
}

/// A directory with what the examples start, and `heaptide` on the `PATH`.
pub fn place_of_examples() -> Place {
    let place = Place::new();
    fs::create_dir(place.path("bin")).unwrap();
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_heaptide"), place.path("bin/heaptide")).unwrap();
    fs::copy(root().join("docs/examples/server.c"), place.path("server.c")).unwrap();
    for line in ["cc -g -O1 -o server server.c", "cc -static -o server-static server.c"] {
        let ran = shell(&place, line);
        assert_eq!(ran.code(), Some(0), "{}", ran.stdout);
    }
    place
}

/// Runs a line as a shell would; stdout has what it says on stderr too.
pub fn shell(place: &Place, line: &str) -> Ran {
    let heaptide = place.heaptide(["--version"]);
    let mut shell = Command::new("sh");
    shell.args(["-c", &format!("exec 2>&1\n{line}")]).current_dir(place.dir()).stdin(Stdio::null());
    for (name, value) in heaptide.get_envs() {
        match value {
            Some(value) => shell.env(name, value),
            None => shell.env_remove(name),
        };
    }
    let path = std::env::var("PATH").unwrap();
    shell.env("PATH", format!("{}:{path}", place.path("bin").display())).env("LC_ALL", "C");
    Ran::of(shell.output().unwrap())
}
