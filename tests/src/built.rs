//! The preload library and the workloads, built once a process into a target directory of their own: the outer cargo
//! holds the lock on its own.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// What an outer build sets for itself; the library must be the one that is shipped.
const NOT_FOR_THE_LIBRARY: [&str; 7] = [
    "CARGO_BUILD_TARGET",
    "CARGO_BUILD_RUSTFLAGS",
    "CARGO_ENCODED_RUSTFLAGS",
    "CARGO_INCREMENTAL",
    "RUSTFLAGS",
    "RUSTC_WORKSPACE_WRAPPER",
    "LLVM_PROFILE_FILE",
];

/// The library for `LD_PRELOAD`.
///
/// # Panics
///
/// Where it cannot be built.
pub fn preload() -> &'static Path {
    static LIBRARY: OnceLock<PathBuf> = OnceLock::new();
    LIBRARY.get_or_init(|| {
        build(&["--package", "heaptide-preload", "--profile", "preload"]);
        target().join("preload/libheaptide_preload.so")
    })
}

/// A workload of the benches.
///
/// # Panics
///
/// Where it cannot be built.
pub fn workload(name: &str) -> PathBuf {
    static BUILT: OnceLock<()> = OnceLock::new();
    BUILT.get_or_init(|| build(&["--package", "heaptide-benches", "--release"]));
    target().join("release").join(name)
}

fn workspace() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

fn target() -> PathBuf {
    let outer = env::var_os("CARGO_TARGET_DIR").map_or_else(|| workspace().join("target"), PathBuf::from);
    outer.join("preload-build")
}

fn build(what: &[&str]) {
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo
        .args(["build", "--quiet"])
        .args(what)
        .arg("--manifest-path")
        .arg(workspace().join("Cargo.toml"))
        .arg("--target-dir")
        .arg(target());
    for (name, _) in env::vars_os() {
        let name = name.to_string_lossy();
        if NOT_FOR_THE_LIBRARY.contains(&&*name) || name.starts_with("CARGO_PROFILE_") {
            cargo.env_remove(&*name);
        }
    }
    match cargo.output() {
        Ok(output) if output.status.success() => {}
        Ok(output) => panic!("{cargo:?} failed:\n{}", String::from_utf8_lossy(&output.stderr)),
        Err(error) => panic!("{cargo:?}: {error}"),
    }
}
