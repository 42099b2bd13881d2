//! The command line.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};

const EXAMPLES: &str = "\
Examples:
  heaptide run -- ./server --port 8080    record until it ends, then report
  heaptide report server.2931.heaptide    read a recording again
  heaptide report                         list what can be read
  heaptide doctor ./server                can it be recorded, and how well?
  heaptide demo                           a tour with a small leaking service

Exit codes: 0 fine, 1 operational error, 2 usage, 4 damaged recording read in
part. `run` returns the program's own status.";

/// Finds why a service's memory grows, and names the line.
#[derive(Debug, Parser)]
#[command(name = "heaptide", version, after_help = EXAMPLES, propagate_version = true, max_term_width = 100)]
pub struct Cli {
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Clone, Copy, Debug, Args)]
pub struct Global {
    /// Say nothing but errors
    #[arg(short, long, global = true, conflicts_with = "verbose", display_order = 100)]
    pub quiet: bool,
    /// Say what is being done
    #[arg(short, long, global = true, display_order = 101)]
    pub verbose: bool,
    /// When to use colours; NO_COLOR is honoured
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto", display_order = 102)]
    pub color: ColorChoice,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ColorChoice {
    /// On a terminal
    Auto,
    Always,
    Never,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    Run(RunArgs),
    Report(ReportArgs),
    Doctor(DoctorArgs),
    PreloadPath(PreloadPathArgs),
    Demo(DemoArgs),
    Completions(CompletionsArgs),
    Man(ManArgs),
}

/// Record a program and report where its memory went
///
/// The program runs as it would alone: its input, output, signals and exit status pass through. When it ends, the
/// recording is written and a short report goes to stderr.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  heaptide run -- ./server --port 8080
  heaptide run -o before.heaptide -- ./loadtest
  heaptide run --sample -- ./server    cheaper: one sample in 512 KiB allocated
  heaptide run --follow -- make        also every process that it starts

Ctrl-C reaches the program; the recording is written when it has ended. If
`heaptide run` itself is killed, the program goes on, and `heaptide report`
finds what was recorded.

Exit codes: the program's own; 125 if it could not be recorded, 126 if it
cannot be executed, 127 if it was not found. If a signal ended the program,
the same signal ends `heaptide run`.")]
pub struct RunArgs {
    /// Where the recording goes [default: <exe>.<pid>.heaptide]
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Replace FILE if it exists
    #[arg(long)]
    pub force: bool,
    /// Record samples instead of every allocation: one in BYTES allocated bytes on average (k, m, g)
    #[arg(long, value_name = "BYTES", num_args = 0..=1, require_equals = true, default_missing_value = "512k",
          value_parser = parse_size)]
    pub sample: Option<u64>,
    /// Time between two points of the timeline, in milliseconds; doubles as the recording gets long
    #[arg(long, value_name = "MS", default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..=3_600_000))]
    pub interval: u64,
    /// Also record the processes that the program starts, each in a recording of its own beside the first
    #[arg(long)]
    pub follow: bool,
    /// The program and its arguments
    #[arg(required = true, trailing_var_arg = true, value_name = "CMD")]
    pub command: Vec<OsString>,
}

/// Show what a recording says
///
/// FILE is a finished recording, or the ledger of a program that was killed or is still running. Without FILE, the
/// recordings here and the ledgers left behind are listed.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  heaptide report server.2931.heaptide
  heaptide report server.2931.heaptide --sort peak --top 30
  heaptide report server.2931.heaptide --by crate
  heaptide report server.2931.heaptide --filter 'session|cache'
  heaptide report server.2931.heaptide --format json -o report.json
  heaptide report                              what is there to read?

Exit codes: 0 fine, 1 cannot be read, 2 usage, 4 damaged and read in part.")]
pub struct ReportArgs {
    /// A recording (*.heaptide) or a ledger
    #[arg(value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// What to write
    #[arg(long, default_value = "text")]
    pub format: Format,
    /// Write to OUT instead of stdout
    #[arg(short, long, value_name = "OUT", requires = "file")]
    pub output: Option<PathBuf>,
    /// Replace OUT if it exists
    #[arg(long, requires = "output")]
    pub force: bool,
    /// Rows of each table
    #[arg(long, value_name = "N", default_value_t = 10)]
    pub top: usize,
    /// One table, ordered by this, instead of the usual four
    #[arg(long)]
    pub sort: Option<Sort>,
    /// What a row stands for [default: a call path]
    #[arg(long)]
    pub by: Option<By>,
    /// Only call paths with a function, file or module that matches
    #[arg(long, value_name = "REGEX")]
    pub filter: Option<String>,
    /// Show the frames of allocators, standard libraries and runtimes too
    #[arg(long)]
    pub all_frames: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people
    Text,
    /// For programs; nothing is folded or left out
    Json,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Sort {
    /// Bytes alive at the end
    Live,
    /// Bytes alive at the program's peak
    Peak,
    /// Bytes allocated
    Allocated,
    /// Blocks allocated
    Allocations,
    /// Blocks freed before anything else was allocated
    Temporary,
    /// Reallocations
    Reallocations,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum By {
    Function,
    Line,
    Module,
    Crate,
    Thread,
}

/// Say whether a program can be recorded, and how well
///
/// Without CMD, only the machine is looked at. Nothing is started.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  heaptide doctor
  heaptide doctor ./server
  heaptide doctor python3

Exit codes: 0 it can be recorded, 1 it cannot.")]
pub struct DoctorArgs {
    /// The program, as `heaptide run` would be given it
    #[arg(value_name = "CMD")]
    pub command: Option<OsString>,
}

/// Print where the preload library is, for programs started without `heaptide run`
///
/// The library is put into your data directory the first time.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  export HEAPTIDE_OPTIONS=out:/tmp/%e.%p.heaptide
  LD_PRELOAD=$(heaptide preload-path) ./server
  heaptide preload-path -o rootfs/usr/lib/libheaptide.so    for an image

HEAPTIDE_OPTIONS is a list of key:value pairs with commas between them:
  out:PATTERN      where the ledger goes: %e program, %p process id
                   [default: %e.%p.heaptide]
  sample[:BYTES]   record samples instead of every allocation
  interval:MS      time between two points of the timeline
  limit:BYTES      the most that the ledger may grow to
  follow:1         also record the processes that the program starts

The ledger can be read with `heaptide report` at any time, also while the
program runs.")]
pub struct PreloadPathArgs {
    /// Put the library there instead
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Replace FILE if it exists
    #[arg(long, requires = "output")]
    pub force: bool,
}

/// A guided tour: record a small service that leaks, and read its report together
///
/// The service is part of this binary. It listens on the loopback interface, serves a fixed number of requests that
/// this command sends, and ends. It takes a few seconds.
#[derive(Debug, Args)]
pub struct DemoArgs {
    /// Where the recording goes [default: demo.heaptide]
    #[arg(short, long, value_name = "FILE", default_value = "demo.heaptide", hide_default_value = true)]
    pub output: PathBuf,
    /// Replace FILE if it exists
    #[arg(long)]
    pub force: bool,
}

/// Print a completion script for a shell
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  heaptide completions bash > /etc/bash_completion.d/heaptide
  heaptide completions zsh > ~/.zfunc/_heaptide
  heaptide completions fish > ~/.config/fish/completions/heaptide.fish")]
pub struct CompletionsArgs {
    pub shell: clap_complete::Shell,
}

/// Print the manual page, or write the pages of all commands
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  heaptide man | man -l -
  heaptide man --dir ~/.local/share/man/man1")]
pub struct ManArgs {
    /// Write heaptide.1, heaptide-run.1, … into this directory
    #[arg(long, value_name = "DIR")]
    pub dir: Option<PathBuf>,
}

/// Reads the command line; where it is wrong or asks for help, says so and exits.
pub fn parse() -> Cli {
    let command = Cli::command().color(color_of_help(std::env::args_os().skip(1)));
    Cli::from_arg_matches(&command.get_matches()).unwrap_or_else(|error| error.exit())
}

/// The `--color` that help and usage errors obey, which come before the command line is understood.
fn color_of_help(args: impl Iterator<Item = OsString>) -> clap::ColorChoice {
    let args: Vec<OsString> = args.take_while(|arg| arg != "--").collect();
    let follows = |at: usize| args.get(at + 1).and_then(|arg| arg.to_str());
    let choice = args.iter().enumerate().find_map(|(at, arg)| match arg.to_str()? {
        "--color" => follows(at),
        arg => arg.strip_prefix("--color="),
    });
    match choice {
        Some("always") => clap::ColorChoice::Always,
        Some("never") => clap::ColorChoice::Never,
        _ => clap::ColorChoice::Auto,
    }
}

/// Bytes with an optional suffix: `4096`, `512k`, `2m`, `1g`, also `512KiB`.
fn parse_size(text: &str) -> Result<u64, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let shift = match text[digits.len()..].to_ascii_lowercase().as_str() {
        "" | "b" => 0,
        "k" | "kb" | "kib" => 10,
        "m" | "mb" | "mib" => 20,
        "g" | "gb" | "gib" => 30,
        _ => return Err("a size is a number and k, m or g, for example 512k".to_owned()),
    };
    digits
        .parse::<u64>()
        .ok()
        .and_then(|number| number.checked_mul(1 << shift))
        .filter(|&bytes| bytes > 0 && bytes <= 1 << 40)
        .ok_or_else(|| "a size from 1 byte to 1024 GiB is needed, for example 512k".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn sizes_have_suffixes() {
        assert_eq!(parse_size("4096"), Ok(4096));
        assert_eq!(parse_size("512k"), Ok(512 << 10));
        assert_eq!(parse_size("2MiB"), Ok(2 << 20));
        assert_eq!(parse_size("1g"), Ok(1 << 30));
        for bad in ["", "k", "0", "-1", "1x", "1.5m", "99999999999g", "18446744073709551615k"] {
            assert!(parse_size(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn everything_behind_the_program_is_the_programs() {
        let cli = Cli::try_parse_from(["heaptide", "run", "--sample", "ls", "--quiet", "-o", "x", "--", "y"]).unwrap();
        let Command::Run(run) = cli.command else { panic!("not run") };
        assert_eq!(run.command, ["ls", "--quiet", "-o", "x", "--", "y"]);
        assert_eq!(run.sample, Some(512 << 10));
        assert!(run.output.is_none() && !cli.global.quiet);
    }
}
