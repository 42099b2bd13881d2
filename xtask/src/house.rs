//! House rules that no other tool knows: where unsafe code may be, no `unwrap` without a reason, no test that is left
//! out, no traces of the machine that a file was written on, and documentation that can be reached.

use std::fs;
use std::path::{Component, Path, PathBuf};
use std::process::Command;

use anyhow::{Result, ensure};

use crate::cargo::root;
use crate::program;

/// Crates in which unsafe code is the work.
const UNSAFE_CRATES: [&str; 2] = ["crates/heaptide-recorder/", "crates/heaptide-preload/"];
/// Modules of other crates that map files or call the system.
const UNSAFE_MODULES: [&str; 3] = [
    "crates/heaptide-cli/src/os.rs",
    "crates/heaptide-profile/src/ledger_file.rs",
    "crates/heaptide-symbolize/src/mapping.rs",
];

/// A text file that is committed, or would be.
struct File {
    path: String,
    text: String,
}

/// Checks all files that are committed or would be.
pub fn check() -> Result<()> {
    let files = files()?;
    let mut mistakes = Vec::new();
    let home = std::env::var("HOME").unwrap_or_default();
    for file in &files {
        mistakes.extend(unsafe_code(file));
        mistakes.extend(unwraps(file));
        mistakes.extend(left_out_tests(file));
        mistakes.extend(traces(file, &root().to_string_lossy(), &home));
        mistakes.extend(broken_links(file, &|path| root().join(path).exists()));
    }
    mistakes.extend(unreachable_pages(&files));
    ensure!(mistakes.is_empty(), "house rules are broken:\n  {}", mistakes.join("\n  "));
    println!("{} files", files.len());
    Ok(())
}

fn files() -> Result<Vec<File>> {
    let mut list = Command::new("git");
    list.current_dir(root()).args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"]);
    let listed = program::output(&mut list)?;
    let texts = listed.split('\0').filter_map(|path| {
        // What is not UTF-8 is no text; what was deleted and not committed yet is no file.
        let text = fs::read_to_string(root().join(path)).ok()?;
        Some(File { path: path.to_owned(), text })
    });
    Ok(texts.collect())
}

fn is_source(file: &File) -> bool {
    file.path.ends_with(".rs") && file.path.contains("src/")
}

/// Unsafe code is forbidden at the root of each crate, and allowed again only in the modules named.
fn unsafe_code(file: &File) -> Option<String> {
    if !is_source(file) || !file.path.starts_with("crates/") || UNSAFE_CRATES.iter().any(|c| file.path.starts_with(c)) {
        return None;
    }
    let is_root = file.path.ends_with("src/lib.rs") || file.path.ends_with("src/main.rs");
    if is_root && !file.text.contains("#![forbid(unsafe_code)]") && !file.text.contains("#![deny(unsafe_code)]") {
        return Some(format!("{}: unsafe code is not forbidden", file.path));
    }
    let allows =
        file.text.lines().any(|line| line.contains("allow(unsafe_code)") || line.contains("expect(unsafe_code)"));
    let is_listed = UNSAFE_MODULES.contains(&file.path.as_str());
    (allows && !is_listed).then(|| format!("{}: unsafe code is not for this module", file.path))
}

/// An `unwrap` outside of tests has its proof in a comment, on its line or in the two lines above.
fn unwraps(file: &File) -> Vec<String> {
    if !is_source(file) || file.path.ends_with("tests.rs") || file.path.contains("tests/") {
        return Vec::new();
    }
    let lines: Vec<&str> = file.text.lines().take_while(|line| line.trim() != "#[cfg(test)]").collect();
    let without_proof = lines.iter().enumerate().filter(|(at, line)| {
        let code = line.split("//").next().unwrap_or_default();
        let has_proof = lines[at.saturating_sub(2)..=*at].iter().any(|line| line.contains("//"));
        code.contains(".unwrap()") && !has_proof
    });
    without_proof.map(|(at, _)| format!("{}:{}: why can this not fail?", file.path, at + 1)).collect()
}

fn left_out_tests(file: &File) -> Option<String> {
    let is_left_out = |line: &str| line.trim_start().starts_with("#[ignore");
    let found = file.path.ends_with(".rs") && file.text.lines().any(is_left_out);
    found.then(|| format!("{}: a test is left out", file.path))
}

/// The places of this checkout and of its owner's home are nobody else's. Tests may invent any path.
fn traces(file: &File, checkout: &str, home: &str) -> Vec<String> {
    let mut places = vec![checkout];
    if home.len() > 1 && !file.path.contains("tests/") && !file.path.ends_with("tests.rs") {
        places.push(home);
    }
    places.retain(|place| file.text.contains(&format!("{}/", place.trim_end_matches('/'))));
    places.iter().map(|place| format!("{}: names {place}, a place on this machine", file.path)).collect()
}

fn broken_links(file: &File, exists: &dyn Fn(&Path) -> bool) -> Vec<String> {
    let links = links(file).into_iter().filter(|link| !exists(link));
    links.map(|link| format!("{}: links to {}, which is not there", file.path, link.display())).collect()
}

/// Every page under docs/ is linked from another page.
fn unreachable_pages(files: &[File]) -> Vec<String> {
    let pages = files.iter().filter(|file| file.path.starts_with("docs/") && file.path.ends_with(".md"));
    let unlinked = pages.filter(|page| {
        !files
            .iter()
            .any(|other| other.path != page.path && links(other).iter().any(|link| link == Path::new(&page.path)))
    });
    unlinked.map(|page| format!("{}: no page links to it", page.path)).collect()
}

/// Files of this repository that a Markdown page links to, as paths from the root.
fn links(file: &File) -> Vec<PathBuf> {
    if !file.path.ends_with(".md") {
        return Vec::new();
    }
    let folder = Path::new(&file.path).parent().unwrap_or(Path::new(""));
    let targets = file.text.split("](").skip(1).filter_map(|rest| rest.split([')', '#']).next());
    let local =
        targets.filter(|target| !target.is_empty() && !target.contains("://") && !target.starts_with("mailto:"));
    local.map(|target| normal(&folder.join(target))).collect()
}

/// Without `.` and `..`, and without asking the file system.
fn normal(path: &Path) -> PathBuf {
    let mut normal = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => {
                normal.pop();
            }
            part => normal.push(part),
        }
    }
    normal
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, text: &str) -> File {
        File { path: path.to_owned(), text: text.to_owned() }
    }

    #[test]
    fn unsafe_code_has_its_places() {
        let check = |path, text: &str| unsafe_code(&file(path, text)).is_some();
        assert!(check("crates/heaptide-report/src/lib.rs", "//! Reports.\n"));
        assert!(!check("crates/heaptide-report/src/lib.rs", "#![forbid(unsafe_code)]\n"));
        assert!(check("crates/heaptide-report/src/text.rs", "#![allow(unsafe_code)]\n"));
        assert!(!check("crates/heaptide-cli/src/os.rs", "#![allow(unsafe_code)]\n"));
        assert!(!check("crates/heaptide-recorder/src/lib.rs", "unsafe {}\n"));
    }

    #[test]
    fn an_unwrap_needs_a_reason() {
        let check = |text: &str| unwraps(&file("crates/a/src/b.rs", text)).len();
        assert_eq!(check("fn f() {\n    a.unwrap();\n    b.unwrap();\n}\n"), 2);
        assert_eq!(check("// `a` was checked above.\na.unwrap();\n"), 0);
        assert_eq!(check("#[cfg(test)]\nmod tests { fn f() { a.unwrap() } }\n"), 0);
        assert_eq!(unwraps(&file("crates/a/tests/b.rs", "a.unwrap();\n")).len(), 0);
    }

    #[test]
    fn nothing_names_this_machine() {
        let check = |path, text: &str| traces(&file(path, text), "/src/heaptide", "/home/ada").len();
        assert_eq!(check("README.md", "cd /src/heaptide/docs and /home/ada/.cargo\n"), 2);
        assert_eq!(check("README.md", "cd /src/heaptides and /home/adam\n"), 0);
        assert_eq!(check("crates/a/tests/b.rs", "/home/ada/.cargo\n"), 0);
    }

    #[test]
    fn tests_are_not_left_out() {
        assert!(left_out_tests(&file("tests/a.rs", "#[test]\n    #[ignore = \"slow\"]\n")).is_some());
        assert!(left_out_tests(&file("tests/a.rs", "#[test]\nfn ignore() {}\n")).is_none());
    }

    #[test]
    fn pages_are_linked_and_links_lead_somewhere() {
        let readme = file("README.md", "[guide](docs/guide.md#top) [site](https://example.org) [gone](docs/gone.md)");
        let guide = file("docs/guide.md", "[back](../README.md) [self](guide.md)");
        let lost = file("docs/lost.md", "[self](lost.md)");
        let exists = |path: &Path| [Path::new("README.md"), Path::new("docs/guide.md")].contains(&path);
        assert_eq!(broken_links(&readme, &exists), ["README.md: links to docs/gone.md, which is not there"]);
        assert_eq!(broken_links(&guide, &exists), [""; 0]);
        assert_eq!(unreachable_pages(&[readme, guide, lost]), ["docs/lost.md: no page links to it"]);
    }
}
