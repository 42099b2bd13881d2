//! `cargo xtask demo`: the tour on this checkout.

use std::process::Command;

use anyhow::Result;

use crate::cargo;
use crate::program;

/// Builds what is needed and starts the tour. `words` go to `heaptide demo`.
pub fn demo(words: &[String]) -> Result<()> {
    let release = cargo::build_release(&["heaptide-cli"])?;
    let heaptide = release.join("heaptide");
    let recording = cargo::target_dir()?.join("demo.heaptide");
    let mut tour = Command::new(&heaptide);
    tour.arg("demo").arg("--force").arg("--output").arg(shortest(&recording)).args(words);
    program::run(&mut tour)?;
    println!(
        "\n`heaptide` is {}. To have it on your PATH:\n\n  cargo install --path crates/heaptide-cli",
        shortest(&heaptide).display()
    );
    Ok(())
}

/// The path as seen from here, if it is below.
fn shortest(path: &std::path::Path) -> &std::path::Path {
    std::env::current_dir().ok().and_then(|here| path.strip_prefix(here).ok()).unwrap_or(path)
}
