//! `heaptide`, the command line: arguments in, exit codes out.
//!
//! ```text
//! args        what can be asked for
//! commands    one file per command
//! observer    what runs beside a recorded program: its session, clock, samples and signals
//! binary      what is known of a program before it starts
//! recording   what was recorded, read and named
//! output      files that commands write
//! preload     the recorder's library, which this binary carries inside
//! error, talk how failures and everything else are said
//! os          the system calls that the compiler cannot check
//! ```
//!
//! stdout carries data, stderr talk. Nothing panics, and a reader that went away is no failure.

#![deny(unsafe_code)]

mod args;
mod binary;
mod commands;
mod error;
mod observer;
mod os;
mod output;
mod preload;
mod recording;
mod talk;
mod units;

use std::io::Write;
use std::process::ExitCode;

use args::{ColorChoice, Command};
use error::{Exit, Outcome};
use talk::{Loudness, Talk};

fn main() -> ExitCode {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(|place| format!(" at {}:{}", place.file(), place.line())).unwrap_or_default();
        let _ = writeln!(
            std::io::stderr(),
            "error: heaptide has a defect{place}\nhint: please report it with the command that led here"
        );
        std::process::exit(i32::from(error::Code::Operational as u8));
    }));

    // Not a command: what `demo` records.
    if std::env::args_os().nth(1).is_some_and(|first| first == commands::demo::SERVICE) {
        return end(commands::demo::service::serve(), &Talk::new(Loudness::Usual, ColorChoice::Auto));
    }
    // A file that grows beyond a limit is an error to report, not an end without a word.
    os::ignore(libc::SIGXFSZ);
    let cli = args::parse();
    let loudness = match (cli.global.quiet, cli.global.verbose) {
        (true, _) => Loudness::Quiet,
        (_, true) => Loudness::Verbose,
        _ => Loudness::Usual,
    };
    let talk = Talk::new(loudness, cli.global.color);
    end(dispatch(cli.command, &talk), &talk)
}

fn dispatch(command: Command, talk: &Talk) -> Outcome {
    match command {
        Command::Run(args) => commands::run::run(&args, talk),
        Command::Report(args) => commands::report::report(&args, talk),
        Command::Doctor(args) => commands::doctor::doctor(&args, talk),
        Command::PreloadPath(args) => commands::preload_path::preload_path(&args),
        Command::Demo(args) => commands::demo::demo(&args, talk),
        Command::Completions(args) => commands::completions::completions(&args),
        Command::Man(args) => commands::man::man(&args),
    }
}

fn end(outcome: Outcome, talk: &Talk) -> ExitCode {
    match outcome {
        Ok(Exit::Fine) => ExitCode::SUCCESS,
        Ok(Exit::No) => ExitCode::from(1),
        Ok(Exit::Damaged) => ExitCode::from(4),
        Ok(Exit::Status(status)) => ExitCode::from(status),
        Ok(Exit::Signal(signal)) => observer::process::die_by(signal),
        Err(failure) if failure.is_broken_pipe() => ExitCode::SUCCESS,
        Err(failure) => {
            failure.tell(talk);
            ExitCode::from(failure.exit_code())
        }
    }
}
