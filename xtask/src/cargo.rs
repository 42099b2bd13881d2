//! Cargo, as the tasks call it.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::program;

/// A cargo command at the root of the workspace. In CI, what is locked is what is built.
pub fn cargo(arguments: &[&str]) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root()).args(arguments).stdin(Stdio::null());
    if std::env::var_os("CI").is_some() {
        command.env("CARGO_TERM_PROGRESS_WHEN", "never");
        // `cargo fmt` knows no lock.
        if arguments.first() != Some(&"fmt") {
            command.arg("--locked");
        }
    }
    command
}

/// The root of the workspace.
pub fn root() -> &'static Path {
    // This package lies in a folder of its own below the root.
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new("."))
}

/// What cargo knows of the workspace's packages, with their dependencies if asked for.
pub fn metadata(extent: Extent) -> Result<Value> {
    let mut command = cargo(&["metadata", "--format-version", "1"]);
    match extent {
        Extent::Members => command.arg("--no-deps"),
        // Nothing is fetched that is never built here.
        Extent::Dependencies => command.args(["--filter-platform", &platform()]),
    };
    let output = command.stderr(Stdio::inherit()).output().context("cargo did not start")?;
    ensure!(output.status.success(), "cargo metadata ended with {}", output.status);
    serde_json::from_slice(&output.stdout).context("cargo metadata is not JSON")
}

fn platform() -> String {
    format!("{}-unknown-linux-gnu", std::env::consts::ARCH)
}

/// How far metadata goes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// Packages of this workspace.
    Members,
    /// All that they depend on, too.
    Dependencies,
}

/// The folder that cargo builds into.
pub fn target_dir() -> Result<PathBuf> {
    let metadata = metadata(Extent::Members)?;
    let path = metadata["target_directory"].as_str().context("cargo metadata names no target directory")?;
    Ok(PathBuf::from(path))
}

/// Builds packages with the release profile; the folder where their programs are.
pub fn build_release(packages: &[&str]) -> Result<PathBuf> {
    let mut command = cargo(&["build", "--release"]);
    for package in packages {
        command.args(["--package", package]);
    }
    program::run(&mut command)?;
    Ok(target_dir()?.join("release"))
}
