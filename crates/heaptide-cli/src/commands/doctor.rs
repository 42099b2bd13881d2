//! `heaptide doctor`: whether a program can be recorded, how well, and what to do about it.
//!
//! It only looks; nothing is started.

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::path::Path;

use heaptide_report::escape;

use crate::args::DoctorArgs;
use crate::binary::{Effect, Image, ImageError, Launch, Remark, remarks};
use crate::error::{Exit, Failure, Outcome};
use crate::output;
use crate::talk::{self, Stream, Talk};

mod machine;

/// Columns where there is no terminal to ask.
const WIDTH: usize = 100;
/// Columns that a text gets, however narrow the terminal is.
const NARROWEST: usize = 30;

/// Prints what is known of the machine and of the program.
pub fn doctor(args: &DoctorArgs, talk: &Talk) -> Outcome {
    let mut page = Page {
        text: String::new(),
        colors: talk.colors(Stream::Stdout),
        width: talk::columns(Stream::Stdout).unwrap_or(WIDTH),
    };
    page.heading("machine", "");
    let mut worst = page.remarks(&machine::remarks());
    if let Some(command) = &args.command {
        worst = worst.max(program(command, &mut page)?);
        page.verdict(command, worst);
    }
    output::write_stdout(page.text.as_bytes())?;
    Ok(if worst == Effect::Impossible { Exit::No } else { Exit::Fine })
}

fn program(command: &OsStr, page: &mut Page) -> Outcome<Effect> {
    let launch = Launch::find(command).map_err(|error| {
        Failure::from(anyhow::Error::new(error).context(format!("cannot run {}", command.display())))
            .hint("name a program as you would to a shell: a path, or a name in PATH")
    })?;
    page.text.push('\n');
    page.heading("program", &launch.path.display().to_string());
    if launch.image != launch.path {
        page.remarks(&[Remark {
            effect: Effect::Neutral,
            what: format!("it is a script; what is recorded is its interpreter, {}", launch.image.display()),
            advice: None,
        }]);
    }
    Ok(match Image::read(&launch.image) {
        Ok(image) => page.remarks(&remarks(&image)),
        Err(ImageError::Unreadable(error)) => page.remarks(&[Remark {
            effect: Effect::Poorer,
            what: format!("it cannot be read ({error}), so little is known: names and lines will be missing"),
            advice: Some(format!("make it readable: `chmod +r {}`", launch.image.display())),
        }]),
        Err(error) => page.remarks(&[Remark { effect: Effect::Impossible, what: error.to_string(), advice: None }]),
    })
}

/// The text that is printed.
struct Page {
    text: String,
    colors: bool,
    width: usize,
}

impl Page {
    fn heading(&mut self, what: &str, which: &str) {
        let what = self.painted("1", what);
        self.line(format!("{what} {}", escape(which)).trim_end());
    }

    /// Returns the worst effect.
    fn remarks(&mut self, remarks: &[Remark]) -> Effect {
        for remark in remarks {
            let (color, mark) = match remark.effect {
                Effect::Good => ("32", "ok     "),
                Effect::Neutral => ("0", "note   "),
                Effect::Poorer => ("33", "poorer "),
                Effect::MostlyEmpty => ("1;33", "empty  "),
                Effect::Impossible => ("1;31", "no     "),
            };
            let mark = self.painted(color, mark);
            self.item(&format!("  {mark}"), 9, &escape(&remark.what));
            if let Some(advice) = &remark.advice {
                self.item(&format!("         {} ", self.painted("36", "hint:")), 15, &escape(advice));
            }
        }
        remarks.iter().map(|remark| remark.effect).max().unwrap_or(Effect::Good)
    }

    fn verdict(&mut self, command: &OsStr, worst: Effect) {
        let verdict = match worst {
            Effect::Good | Effect::Neutral => "It can be recorded, every allocation with functions and lines.",
            Effect::Poorer => "It can be recorded; what is missing is said above.",
            Effect::MostlyEmpty => "It can be recorded, but most of its memory will not be seen; see above.",
            Effect::Impossible => "It cannot be recorded.",
        };
        let verdict = self.painted("1", verdict);
        self.text.push('\n');
        self.line(&verdict);
        if worst < Effect::Impossible {
            let command = escape(&Path::new(command).display().to_string());
            self.line(&format!("  heaptide run -- {command}"));
        }
    }

    /// A text behind a label that is `indent` columns wide, with as many spaces in front of further lines.
    fn item(&mut self, label: &str, indent: usize, text: &str) {
        let room = self.width.saturating_sub(indent).max(NARROWEST);
        let mut line = label.to_owned();
        let mut used = 0;
        for word in text.split(' ') {
            let columns = word.chars().count();
            if used > 0 && used + 1 + columns > room {
                self.line(&line);
                line = " ".repeat(indent);
                used = 0;
            }
            if used > 0 {
                line.push(' ');
                used += 1;
            }
            line.push_str(word);
            used += columns;
        }
        self.line(&line);
    }

    fn line(&mut self, line: &str) {
        // Writing to a String cannot fail.
        let _ = writeln!(self.text, "{line}");
    }

    fn painted(&self, color: &str, text: &str) -> String {
        match self.colors {
            true => format!("\x1b[{color}m{text}\x1b[0m"),
            false => text.to_owned(),
        }
    }
}
