//! Builds the preload library, so that one binary carries it inside.
//!
//! The library is `no_std` with a profile of its own, and must be the same whatever this build is for: flags meant
//! for the command line tool (coverage, sanitizers, clippy as the compiler) never reach it.

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

const PACKAGE: &str = "heaptide-preload";
const PROFILE: &str = "preload";

/// Crates that end up in the library.
const SOURCES: [&str; 3] = ["heaptide-preload", "heaptide-recorder", "heaptide-ledger"];

/// What the outer build sets for itself, or the user for it.
const NOT_FOR_THE_LIBRARY: [&str; 9] = [
    "CARGO_TARGET_DIR",
    "CARGO_BUILD_TARGET_DIR",
    "CARGO_BUILD_BUILD_DIR",
    "CARGO_BUILD_TARGET",
    "CARGO_BUILD_RUSTFLAGS",
    "CARGO_ENCODED_RUSTFLAGS",
    "RUSTFLAGS",
    "RUSTC_WORKSPACE_WRAPPER",
    "CARGO_INCREMENTAL",
];

fn main() -> ExitCode {
    match build() {
        Ok(library) => {
            println!("cargo::rustc-env=HEAPTIDE_PRELOAD_LIBRARY={}", library.display());
            ExitCode::SUCCESS
        }
        Err(reason) => {
            for line in format!("the preload library could not be built\n{reason}").lines() {
                println!("cargo::error={line}");
            }
            ExitCode::FAILURE
        }
    }
}

fn build() -> Result<PathBuf, String> {
    let workspace = PathBuf::from(variable("CARGO_MANIFEST_DIR")?).join("../..");
    let target_dir = PathBuf::from(variable("OUT_DIR")?).join("preload-target");
    let (host, target) = (variable("HOST")?, variable("TARGET")?);

    for file in ["Cargo.toml", "Cargo.lock"] {
        println!("cargo::rerun-if-changed={}", workspace.join(file).display());
    }
    for source in SOURCES {
        println!("cargo::rerun-if-changed={}", workspace.join("crates").join(source).display());
    }

    let cross_target = (host != target).then_some(target);
    // What the outer build needed is there already, so the network is only the second choice.
    cargo(&workspace, &target_dir, cross_target.as_deref(), &["--offline"]).or_else(|offline| {
        cargo(&workspace, &target_dir, cross_target.as_deref(), &[])
            .map_err(|online| format!("{online}\nand without the network:\n{offline}"))
    })?;

    let mut library = target_dir;
    library.extend(cross_target);
    library.push(PROFILE);
    library.push("libheaptide_preload.so");
    match library.is_file() {
        true => Ok(library),
        false => Err(format!("{} was not made", library.display())),
    }
}

fn cargo(workspace: &Path, target_dir: &Path, target: Option<&str>, options: &[&str]) -> Result<(), String> {
    let mut cargo = Command::new(variable("CARGO")?);
    cargo
        .args(["build", "--quiet", "--package", PACKAGE, "--profile", PROFILE])
        .arg("--manifest-path")
        .arg(workspace.join("Cargo.toml"))
        .arg("--target-dir")
        .arg(target_dir)
        .args(options);
    if let Some(target) = target {
        cargo.args(["--target", target]);
    }
    for (name, _) in env::vars_os() {
        let name = name.to_string_lossy();
        if NOT_FOR_THE_LIBRARY.contains(&&*name) || name.starts_with("CARGO_PROFILE_") {
            cargo.env_remove(&*name);
        }
    }
    let output = cargo.output().map_err(|error| format!("cargo did not start: {error}"))?;
    match output.status.success() {
        true => Ok(()),
        false => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
    }
}

fn variable(name: &str) -> Result<String, String> {
    env::var(name).map_err(|error| format!("{name}: {error}"))
}
