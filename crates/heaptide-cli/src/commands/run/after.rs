//! What is said of a program after its end: the short report, and what it does not show.

use std::path::Path;

use heaptide_report::{Colour, TextOptions};

use super::written::Written;
use crate::binary::{Effect, Image, Remark, remarks};
use crate::error::Outcome;
use crate::recording;
use crate::talk::{self, Stream, Talk};

/// Columns where there is no terminal to ask.
const WIDTH: usize = 80;

/// Looks up names, writes the recordings again with them, and reports.
pub fn finish(written: Outcome<Written>, followed: Vec<Outcome<Written>>, talk: &Talk) -> Outcome<()> {
    let written = written.and_then(|written| written.with_names(talk));
    if let Ok(written) = &written {
        let classify = recording::classifier(&written.profile);
        let options = TextOptions {
            width: talk::columns(Stream::Stderr).unwrap_or(WIDTH),
            colour: if talk.colors(Stream::Stderr) { Colour::On } else { Colour::Off },
            ..TextOptions::new(&classify)
        };
        talk.text(&heaptide_report::short(&written.profile, &options, &written.path.display().to_string()));
        for problem in &written.problems {
            talk.warning(&format!("the ledger is damaged: {problem}"));
        }
        // Not of the program that was named: it may have executed another one.
        for doubt in doubts(&written.profile.program.exe) {
            talk.warning(&format!("this is not all of the program's memory: {}", doubt.what));
            talk.advice(doubt.advice.as_deref().unwrap_or_default());
        }
    }
    for followed in followed {
        match followed.and_then(|followed| followed.with_names(&talk.quieter())) {
            Ok(followed) => {
                talk.note(&followed.line());
                if followed.profile.totals.allocations == 0
                    && let Some(doubt) = doubts(&followed.profile.program.exe).first()
                {
                    talk.warning(&format!("{}: {}", followed.profile.program.exe, doubt.what));
                }
            }
            Err(failure) => failure.tell(talk),
        }
    }
    written.map(|_| ())
}

/// Why the recording of an executable lacks most of its memory.
fn doubts(exe: &str) -> Vec<Remark> {
    let Ok(image) = Image::read(Path::new(exe)) else { return Vec::new() };
    remarks(&image).into_iter().filter(|remark| remark.effect == Effect::MostlyEmpty).collect()
}
