//! `cargo xtask test`: all checks and tests, in the order in which a mistake shows soonest.
//!
//! Every step runs even if an earlier one failed, except that nothing runs without the programs it needs. The tests come
//! last, so that the test runner's own summary closes the output of a good run.

use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};

use crate::cargo::cargo;
use crate::program::{find, run};
use crate::{architecture, house, library, licences, packages};

struct Step {
    name: &'static str,
    effect: &'static str,
    run: fn() -> Result<()>,
}

const STEPS: [Step; 10] = [
    Step { name: "packages", effect: "programs that the tests run are there", run: packages::install },
    Step { name: "format", effect: "rustfmt changes nothing", run: format },
    Step { name: "architecture", effect: "crates use what they may; the map is true", run: architecture::check },
    Step { name: "house", effect: "house rules", run: house::check },
    Step { name: "licences", effect: "dependencies may be shipped with this", run: licences::check },
    Step { name: "clippy", effect: "no warnings", run: clippy },
    Step {
        name: "library",
        effect: "the preload library loads anywhere and hooks what it should",
        run: library::check,
    },
    Step { name: "docs", effect: "the documentation builds without warnings", run: docs },
    Step { name: "doctests", effect: "examples in the documentation", run: doctests },
    Step { name: "tests", effect: "all tests", run: tests },
];

/// Runs the steps named, or all.
pub fn test(names: &[String]) -> Result<()> {
    if let Some(unknown) = names.iter().find(|name| STEPS.iter().all(|step| step.name != **name)) {
        let known: Vec<_> = STEPS.iter().map(|step| step.name).collect();
        bail!("`{unknown}` is not a step; steps are {}", known.join(" "));
    }
    let mut failed = Vec::new();
    let mut passed = Vec::new();
    for step in STEPS.iter().filter(|step| names.is_empty() || names.iter().any(|name| name == step.name)) {
        if step.name == "tests" && !passed.is_empty() {
            println!("\npassed: {}", passed.join(", "));
        }
        println!("\n== {}: {}", step.name, step.effect);
        let start = Instant::now();
        match (step.run)() {
            Ok(()) => passed.push(format!("{} {:.1} s", step.name, start.elapsed().as_secs_f64())),
            Err(error) if step.name == "packages" => return Err(error),
            Err(error) => {
                eprintln!("error: {error:#}");
                failed.push(step.name);
            }
        }
    }
    ensure!(failed.is_empty(), "failed: {}", failed.join(", "));
    Ok(())
}

fn format() -> Result<()> {
    component("fmt", "rustfmt")?;
    run(&mut cargo(&["fmt", "--all", "--check"])).context("`cargo fmt` mends it")
}

fn clippy() -> Result<()> {
    component("clippy", "clippy")?;
    run(cargo(&["clippy", "--all-targets"]).args(["--", "-D", "warnings"]))?;
    // It has its own panic handler, so it stands outside of what is built by default and has a profile of its own.
    run(cargo(&["clippy", "--package", "heaptide-preload", "--profile", "preload"]).args(["--", "-D", "warnings"]))
}

fn docs() -> Result<()> {
    // Who reads these pages reads them all, so a link to a private item leads somewhere; help texts show their <values>.
    let flags = "-D warnings -A rustdoc::private_intra_doc_links -A rustdoc::invalid_html_tags";
    run(cargo(&["doc", "--no-deps", "--document-private-items"]).env("RUSTDOCFLAGS", flags))
}

fn doctests() -> Result<()> {
    run(&mut cargo(&["test", "--doc"]))
}

fn tests() -> Result<()> {
    // Programs of other packages that tests start are not built by building the tests.
    run(&mut cargo(&["build", "--quiet"]))?;
    let mut tests = match find("cargo-nextest") {
        Some(_) => cargo(&["nextest", "run", "--no-fail-fast"]),
        None => cargo(&["test", "--no-fail-fast", "--all-targets"]),
    };
    run(&mut tests)
}

/// Parts of the Rust toolchain that not every installation has.
fn component(subcommand: &str, name: &str) -> Result<()> {
    let mut question = Command::new("cargo");
    question.args([subcommand, "--version"]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    ensure!(
        question.status().is_ok_and(|status| status.success()),
        "{name} is not installed; `rustup component add {name}` installs it"
    );
    Ok(())
}
