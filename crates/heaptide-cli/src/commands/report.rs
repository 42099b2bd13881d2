//! `heaptide report`: what a recording says, as text for people or JSON for programs.

use heaptide_report::{By, Colour, Frames, Sort, TextOptions};
use regex::RegexBuilder;

use crate::args::{self, Format, ReportArgs};
use crate::error::{Attempt, Code, Exit, Outcome};
use crate::output;
use crate::recording::{self, Recording};
use crate::talk::{self, Stream, Talk};

mod listing;

/// Columns where there is no terminal to ask.
const WIDTH: usize = 100;
/// Memory that a compiled pattern may take.
const FILTER_BYTES: usize = 1 << 22;

/// Prints or writes the report; without a file, lists what there is to report on.
pub fn report(args: &ReportArgs, talk: &Talk) -> Outcome {
    let Some(path) = &args.file else {
        return listing::list(talk);
    };
    let filter = args
        .filter
        .as_ref()
        .map(|pattern| RegexBuilder::new(pattern).size_limit(FILTER_BYTES).build())
        .transpose()
        .attempt(|| "cannot use the pattern of --filter".to_owned())
        .map_err(|failure| {
            failure.code(Code::Usage).hint("it is a regular expression; put a \\ before ( [ . * + ? |")
        })?;
    let existing = output::existing(args.force);
    if let Some(out) = &args.output {
        output::check_writable(out, existing)?;
    }

    let Recording { mut profile, problems } = recording::open(path)?;
    if profile.symbols.is_empty() {
        recording::symbolize(&mut profile, talk);
    }
    let content = match args.format {
        Format::Json => {
            let mut content = Vec::new();
            heaptide_report::json(&profile, &mut content)?;
            content
        }
        Format::Text => {
            let colors = args.output.is_none() && talk.colors(Stream::Stdout);
            let classify = recording::classifier(&profile);
            let options = TextOptions {
                width: width(args),
                colour: if colors { Colour::On } else { Colour::Off },
                top: args.top,
                sort: args.sort.map(sort),
                by: args.by.map_or(By::CallPath, by),
                filter: filter.as_ref(),
                frames: if args.all_frames { Frames::All } else { Frames::Folded },
                classify: &classify,
            };
            heaptide_report::text(&profile, &options).into_bytes()
        }
    };
    for problem in &problems {
        talk.warning(&format!("{} is damaged: {problem}", path.display()));
    }
    match &args.output {
        Some(out) => output::write_file(out, existing, &content)?,
        None => output::write_stdout(&content)?,
    }
    Ok(if problems.is_empty() { Exit::Fine } else { Exit::Damaged })
}

fn width(args: &ReportArgs) -> usize {
    match &args.output {
        Some(_) => WIDTH,
        None => talk::columns(Stream::Stdout).unwrap_or(WIDTH),
    }
}

fn sort(sort: args::Sort) -> Sort {
    match sort {
        args::Sort::Live => Sort::Live,
        args::Sort::Peak => Sort::Peak,
        args::Sort::Allocated => Sort::Allocated,
        args::Sort::Allocations => Sort::Allocations,
        args::Sort::Temporary => Sort::Temporary,
        args::Sort::Reallocations => Sort::Reallocations,
    }
}

fn by(by: args::By) -> By {
    match by {
        args::By::Function => By::Function,
        args::By::Line => By::Line,
        args::By::Module => By::Module,
        args::By::Crate => By::Crate,
        args::By::Thread => By::Thread,
    }
}
