//! `heaptide man`: the manual pages, from the same source as `--help`.

use clap::CommandFactory;
use clap_mangen::Man;

use crate::args::{Cli, ManArgs};
use crate::error::{Attempt, Exit, Outcome};
use crate::output;

/// Prints the main page, or writes all pages into a directory.
pub fn man(args: &ManArgs) -> Outcome {
    let command = Cli::command();
    match &args.dir {
        Some(dir) => {
            std::fs::create_dir_all(dir)
                .and_then(|()| clap_mangen::generate_to(command, dir))
                .attempt(|| format!("cannot write the manual pages to {}", dir.display()))?;
        }
        None => {
            let mut page = Vec::new();
            Man::new(command).render(&mut page)?;
            output::write_stdout(&page)?;
        }
    }
    Ok(Exit::Fine)
}
