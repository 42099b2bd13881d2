//! A recording on its way to its file: written as soon as the program has ended, and again once its names are known.
//! Whatever happens while names are looked up, the recording is there.

use std::path::{Path, PathBuf};

use heaptide_profile::file::{self, Existing, WriteError};
use heaptide_profile::{End, Problem, Profile, unwatched_end};

use crate::error::{Failure, Outcome};
use crate::observer::watched::Watched;
use crate::recording::{self, Recording};
use crate::talk::Talk;
use crate::units::{bytes, count};

/// Names that are tried when others are taken.
const NAMES_LIMIT: u32 = 1000;

/// A recording that is in a file.
#[derive(Debug)]
pub struct Written {
    /// The file.
    pub path: PathBuf,
    /// What it says.
    pub profile: Profile,
    /// What was damaged.
    pub problems: Vec<Problem>,
}

impl Written {
    /// Writes to a path that a person chose.
    pub fn at(path: PathBuf, recording: Recording, existing: Existing) -> Outcome<Written> {
        match file::write(&path, &recording.profile, existing) {
            Ok(_) => Ok(Written { path, profile: recording.profile, problems: recording.problems }),
            Err(error @ WriteError::Exists(_)) => {
                Err(Failure::from(error).hint("it appeared while the program ran; --force would have replaced it"))
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Writes to `<exe>.<pid>.heaptide` in `dir`, or the next name that is free.
    pub fn under_its_name(dir: &Path, recording: Recording) -> Outcome<Written> {
        let name = recording::default_name(&recording.profile);
        for attempt in 0..NAMES_LIMIT {
            let mut path = if dir == Path::new(".") { name.clone() } else { dir.join(&name) };
            if attempt > 0 {
                path.set_extension(format!("{attempt}.heaptide"));
            }
            match file::write(&path, &recording.profile, Existing::Keep) {
                Ok(_) => {
                    return Ok(Written { path, profile: recording.profile, problems: recording.problems });
                }
                Err(WriteError::Exists(_)) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(Failure::new(format!("too many recordings are named {}", name.display())).hint("move them away"))
    }

    /// Looks up names and writes again.
    pub fn with_names(mut self, talk: &Talk) -> Outcome<Written> {
        recording::symbolize(&mut self.profile, talk);
        file::write(&self.path, &self.profile, Existing::Replace)?;
        Ok(self)
    }

    /// One line about it, in a list.
    pub fn line(&self) -> String {
        let totals = &self.profile.totals;
        format!(
            "{}: {} allocations, {} at the peak, {} at the end",
            self.path.display(),
            count(totals.allocations),
            bytes(totals.peak_live_bytes),
            bytes(totals.live_bytes)
        )
    }
}

/// Writes the recording of a process that the program started.
pub fn write_followed(watched: &Watched, dir: &Path, talk: &Talk) -> Outcome<Written> {
    let reader = watched.ledger.reader().ok_or_else(|| Failure::new("a followed process destroyed its ledger"))?;
    // Nobody but its parent is told its status.
    let end = if watched.has_ended() { unwatched_end(&reader) } else { End::Running };
    let recording = recording::of_ended(&reader, end, watched.peak_rss_bytes);
    talk.detail(&format!("process {} has been recorded", watched.pid));
    Written::under_its_name(dir, recording)
}
