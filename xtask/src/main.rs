//! `cargo xtask`: everything that is done to this repository, so that no step lives in anybody's memory.
//!
//! It refuses to know how anything works: it builds, calls the product as a person would, and checks what comes out.
#![forbid(unsafe_code)]

mod architecture;
mod bench;
mod cargo;
mod demo;
mod house;
mod library;
mod licences;
mod options;
mod packages;
mod program;
mod soak;
mod test;

use std::process::ExitCode;

const USAGE: &str = "\
usage: cargo xtask COMMAND

  demo                   record a bundled network service and read its report together
  test [STEP…]           check and test everything, or only the steps named
  bench [OPTION…]        measure what recording costs, write a page into benches/runs/
  soak [--minutes N]     record a service under load for long: what is kept must stop growing

steps of test: packages format architecture house licences clippy library docs doctests tests

options of bench:
  --rounds N             rounds of each workload; only 5 or more are written [default: 5]
  --workload NAME        only this one; can be repeated
  --all                  also under heaptrack and valgrind's DHAT
  --sizes                also what is kept of 1 million and of 100 million events
  --check                fail if a bar is missed
  --note TEXT            a word on the machine, for the page";

fn main() -> ExitCode {
    let mut words = std::env::args().skip(1);
    let command = words.next().unwrap_or_default();
    let words: Vec<String> = words.collect();
    let done = match command.as_str() {
        "demo" => demo::demo(&words),
        "test" => test::test(&words),
        "bench" => bench::bench(&words),
        "soak" => soak::soak(&words),
        "" | "help" | "-h" | "--help" => {
            println!("{USAGE}");
            return if command.is_empty() { ExitCode::from(2) } else { ExitCode::SUCCESS };
        }
        other => {
            eprintln!("error: there is no command `{other}`\n\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
