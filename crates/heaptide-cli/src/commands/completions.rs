//! `heaptide completions`: a script that teaches a shell the command line.

use clap::CommandFactory;

use crate::args::{Cli, CompletionsArgs};
use crate::error::{Exit, Outcome};
use crate::output;

/// Prints the script.
pub fn completions(args: &CompletionsArgs) -> Outcome {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "heaptide", &mut script);
    output::write_stdout(&script)?;
    Ok(Exit::Fine)
}
