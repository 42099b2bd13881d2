//! Which crate may use which, and whether the map of the repository is true.
//!
//! A new edge between crates, or a new library inside recorded programs, is a decision: it is made here, where a reviewer
//! sees it.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use crate::cargo::{self, Extent, root};
use crate::program;

/// Crates of this workspace and those they may use.
const USES: [(&str, &[&str]); 11] = [
    // In the recorded program.
    ("heaptide-ledger", &[]),
    ("heaptide-recorder", &["heaptide-ledger"]),
    ("heaptide-preload", &["heaptide-ledger", "heaptide-recorder"]),
    // Beside it.
    ("heaptide-profile", &["heaptide-ledger"]),
    ("heaptide-symbolize", &["heaptide-profile"]),
    ("heaptide-report", &["heaptide-profile"]),
    ("heaptide-cli", &["heaptide-ledger", "heaptide-profile", "heaptide-report", "heaptide-symbolize"]),
    // Around both.
    ("heaptide-benches", &[]),
    ("heaptide-programs", &[]),
    ("heaptide-tests", &["heaptide-ledger", "heaptide-profile", "heaptide-programs", "heaptide-symbolize"]),
    ("xtask", &["heaptide-profile"]),
];

/// Crates that end up in recorded programs, and all libraries that may come along.
const INSIDE: [&str; 3] = ["heaptide-ledger", "heaptide-recorder", "heaptide-preload"];
const LIBRARIES_INSIDE: [&str; 3] = ["gimli", "libc", "libm"];

const MAP: &str = "ARCHITECTURE.md";

/// Compares the crates with the table, and the tree with the map.
pub fn check() -> Result<()> {
    let metadata = cargo::metadata(Extent::Members)?;
    let packages = metadata["packages"].as_array().context("cargo metadata lists no packages")?;
    let mut mistakes = Vec::new();
    for package in packages {
        mistakes.extend(mistakes_of(package));
    }
    let map = fs::read_to_string(root().join(MAP)).with_context(|| format!("cannot read {MAP}"))?;
    mistakes.extend(mistakes_of_map(&map, &folders()?, &|path| root().join(path).exists()));
    ensure!(mistakes.is_empty(), "the architecture is not what it says:\n  {}", mistakes.join("\n  "));
    println!("{} crates, {} edges", packages.len(), USES.iter().map(|(_, uses)| uses.len()).sum::<usize>());
    Ok(())
}

/// What a package uses that it may not. Tests are held to the same.
fn mistakes_of(package: &Value) -> Vec<String> {
    let name = package["name"].as_str().unwrap_or_default();
    let Some((_, allowed)) = USES.iter().find(|(known, _)| *known == name) else {
        return vec![format!("{name} is a new crate: add it to the table in xtask/src/architecture.rs")];
    };
    let dependencies = package["dependencies"].as_array().map(Vec::as_slice).unwrap_or_default();
    let used = dependencies.iter().filter_map(|dependency| {
        let other = dependency["name"].as_str()?;
        let is_own = dependency["path"].is_string();
        // A crate may be its own dependency, to test itself with a feature.
        let is_allowed = match is_own {
            true => other == name || allowed.contains(&other),
            false => !INSIDE.contains(&name) || dependency["kind"] == "dev" || LIBRARIES_INSIDE.contains(&other),
        };
        (!is_allowed).then(|| format!("{name} may not use {other}"))
    });
    used.collect()
}

/// Folders that the map must name: those at the root, and every crate.
fn folders() -> Result<BTreeSet<String>> {
    let listed = program::output(Command::new("git").current_dir(root()).args(["ls-files", "-z"]))?;
    let mut folders = BTreeSet::new();
    for file in listed.split('\0').filter(|file| !file.starts_with('.')) {
        let mut parts = file.split('/');
        if let (Some(first), Some(second)) = (parts.next(), parts.next()) {
            folders.insert(match first {
                "crates" => format!("crates/{second}"),
                _ => first.to_owned(),
            });
        }
    }
    if folders.is_empty() {
        bail!("git lists no files here");
    }
    Ok(folders)
}

/// Folders that the map leaves out, and places that it names and that are not there.
fn mistakes_of_map(map: &str, folders: &BTreeSet<String>, exists: &dyn Fn(&str) -> bool) -> Vec<String> {
    let named: BTreeSet<&str> = code(map).flat_map(places).collect();
    let left_out = folders.iter().filter(|folder| {
        let crate_name = Path::new(folder).file_name().and_then(|name| name.to_str()).unwrap_or_default();
        !named.iter().any(|place| place.trim_end_matches('/') == **folder || *place == crate_name)
    });
    let left_out = left_out.map(|folder| format!("{MAP} does not name {folder}"));
    let gone = named.iter().filter(|place| {
        let is_crate = place.starts_with("heaptide-") && !place.contains(['/', '.']);
        match is_crate {
            true => !exists(&format!("crates/{place}")) && !USES.iter().any(|(known, _)| known == *place),
            false => place.contains('/') && !exists(place),
        }
    });
    left_out.chain(gone.map(|place| format!("{MAP} names {place}, which is not there"))).collect()
}

/// What is set as code: between backticks, and in fenced blocks.
fn code(text: &str) -> impl Iterator<Item = &str> {
    text.split("```").enumerate().flat_map(|(block, text)| {
        let inline = text.split('`').enumerate().filter(|(at, _)| at % 2 == 1).map(|(_, code)| code);
        let (inline, fenced) = if block % 2 == 0 { (Some(inline), None) } else { (None, Some(text)) };
        inline.into_iter().flatten().chain(fenced)
    })
}

/// Words that can be paths from the root of the repository.
fn places(code: &str) -> impl Iterator<Item = &str> {
    let words = code.split(|c: char| c.is_whitespace() || matches!(c, '(' | ')' | ',' | '│' | '─' | '├' | '└'));
    words.filter(|word| {
        let is_plain = word.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '/' | '.' | '-' | '_'));
        is_plain && !word.is_empty() && !word.starts_with(['/', '-'])
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_new_edge_is_a_mistake() {
        let package = json!({ "name": "heaptide-report", "dependencies": [
            { "name": "heaptide-profile", "path": "x", "kind": null },
            { "name": "heaptide-ledger", "path": "x", "kind": "dev" },
            { "name": "serde", "kind": null },
        ]});
        assert_eq!(mistakes_of(&package), ["heaptide-report may not use heaptide-ledger"]);
    }

    #[test]
    fn a_library_inside_recorded_programs_is_a_mistake() {
        let package = json!({ "name": "heaptide-recorder", "dependencies": [
            { "name": "libm", "kind": null },
            { "name": "proptest", "kind": "dev" },
            { "name": "serde", "kind": null },
        ]});
        assert_eq!(mistakes_of(&package), ["heaptide-recorder may not use serde"]);
    }

    #[test]
    fn the_map_names_what_is_there_and_nothing_else() {
        let map = "Read `docs/` and and/or `heaptide-ledger`.\n```\ncrates/heaptide-gone   what\nxtask  tasks\n```\n";
        let folders = ["crates/heaptide-ledger", "docs", "fuzz", "xtask"].map(str::to_owned).into();
        let exists = |path: &str| ["docs/", "crates/heaptide-ledger"].contains(&path);
        assert_eq!(
            mistakes_of_map(map, &folders, &exists),
            ["ARCHITECTURE.md does not name fuzz", "ARCHITECTURE.md names crates/heaptide-gone, which is not there"]
        );
    }
}
