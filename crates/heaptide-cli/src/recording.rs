//! A recording in the hands of a command: read from whatever form it has, given names, shown.

use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use heaptide_ledger::read::Reader;
use heaptide_profile::file::ReadError;
use heaptide_profile::{End, OpenError, Problem, Profile, from_ledger};
use heaptide_report::{FrameClass, FrameText, Origin};
use heaptide_symbolize::{Cause, Progress, Symbolizer, origin};

use crate::error::{Code, Failure, Outcome};
use crate::talk::{Loudness, Talk};

/// A module without names is told of if it holds this share of all places, one in so many.
const TOLD_SHARE: usize = 10;

/// A recording that was read.
#[derive(Debug)]
pub struct Recording {
    /// What it says.
    pub profile: Profile,
    /// What of it was damaged.
    pub problems: Vec<Problem>,
}

/// Reads a finished recording, or a ledger as it is at this moment.
pub fn open(path: &Path) -> Outcome<Recording> {
    match heaptide_profile::open(path) {
        Ok(opened) => Ok(Recording { profile: opened.profile, problems: opened.problems }),
        Err(error) => Err(advise(error)),
    }
}

fn advise(error: OpenError) -> Failure {
    let (code, hint) = match &error {
        OpenError::Io { .. } | OpenError::NotAFile(_) | OpenError::TooLong { .. } => {
            (Code::Operational, "`heaptide report` without a file lists the recordings that are there")
        }
        OpenError::Unknown(_) => (Code::Operational, "recordings are made with `heaptide run -- CMD`"),
        OpenError::Recording { source: ReadError::Newer { .. }, .. } => {
            (Code::Operational, "use the heaptide that made it, or a newer one")
        }
        OpenError::Recording { .. } | OpenError::Ledger { .. } => {
            (Code::Damaged, "nothing can be read of this one; restore it from a copy, or record again")
        }
    };
    Failure::from(error).code(code).hint(hint)
}

/// The profile of a ledger whose program has ended.
pub fn of_ended(reader: &Reader<'_>, end: End, peak_rss_bytes: Option<u64>) -> Recording {
    let (mut profile, problems) = from_ledger(reader, end);
    profile.totals.peak_rss_bytes = profile.totals.peak_rss_bytes.max(peak_rss_bytes);
    Recording { profile, problems }
}

/// Gives call paths their names and lines, showing progress, and says what could not be named.
pub fn symbolize(profile: &mut Profile, talk: &Talk) {
    let mut progress = SymbolsLine::new(talk);
    let problems = Symbolizer::new().symbolize(profile, &mut |at| progress.draw(at));
    progress.erase();
    let all_places = profile.locations.len();
    let matters = |problem: &heaptide_symbolize::Problem| {
        talk.loudness() == Loudness::Verbose
            || matches!(problem.cause, Cause::Replaced { .. })
            || problem.unnamed * TOLD_SHARE > all_places
            || !problem.is_system_module() && problem.without_line * TOLD_SHARE > all_places
    };
    for problem in problems.iter().filter(|problem| matters(problem)) {
        talk.warning(&problem.to_string());
        talk.advice(&problem.hint());
    }
}

/// Tells whose code a frame is, in the words of reports; learns from the profile which crates are dependencies.
pub fn classifier(profile: &Profile) -> impl Fn(&FrameText<'_>) -> FrameClass {
    let classifier = origin::Classifier::learn(profile);
    move |frame| {
        let module = frame.module.unwrap_or_default();
        let function = frame.function.unwrap_or_default();
        let origin = match classifier.classify(function, frame.file, module) {
            origin::Origin::Allocator => Origin::Allocator,
            origin::Origin::Standard | origin::Origin::Runtime => Origin::Plumbing,
            origin::Origin::Dependency => Origin::Library,
            origin::Origin::User => Origin::User,
        };
        let krate = origin::crate_or_module_name(function, frame.file, module);
        FrameClass { origin, krate: (!krate.is_empty()).then_some(krate) }
    }
}

/// `<exe>.<pid>.heaptide`, for a recording without another name.
pub fn default_name(profile: &Profile) -> PathBuf {
    let exe = profile.program.exe.rsplit('/').next().filter(|name| !name.is_empty()).unwrap_or("program");
    let exe: String = exe.chars().map(|c| if c.is_control() { '_' } else { c }).take(100).collect();
    PathBuf::from(format!("{exe}.{}.heaptide", profile.program.pid))
}

/// How far names have been looked up, on a terminal.
struct SymbolsLine {
    is_wanted: bool,
    is_drawn: bool,
    due: Instant,
}

impl SymbolsLine {
    fn new(talk: &Talk) -> SymbolsLine {
        let is_wanted = talk.loudness() > Loudness::Quiet && io::stderr().is_terminal();
        // Most programs need no line at all.
        SymbolsLine { is_wanted, is_drawn: false, due: Instant::now() + Duration::from_millis(300) }
    }

    fn draw(&mut self, at: Progress<'_>) {
        if !self.is_wanted || Instant::now() < self.due {
            return;
        }
        self.due = Instant::now() + Duration::from_millis(100);
        let module = at.module.rsplit('/').next().unwrap_or_default();
        let module: String = heaptide_report::escape(module).chars().take(40).collect();
        let percent = at.done * 100 / at.total.max(1);
        let _ = write!(io::stderr(), "\r\x1b[2Kheaptide: looking up names  {percent:>3}%  {module}\r");
        self.is_drawn = true;
    }

    fn erase(&mut self) {
        if std::mem::take(&mut self.is_drawn) {
            let _ = write!(io::stderr(), "\r\x1b[2K");
        }
    }
}
