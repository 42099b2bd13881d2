//! What a recording of Heaptide's keeps and says of the recorder itself, and how long it takes to open.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result};

use super::{Places, median};
use crate::program;

/// How often an opening is timed.
const OPENINGS: usize = 5;

/// One recording.
#[derive(Clone, Debug)]
pub struct Kept {
    /// Calls that were counted.
    pub events: u64,
    /// Call paths that allocated.
    pub call_paths: u64,
    /// Points of its timeline, of which a short run has few.
    pub points: u64,
    /// Size of the file.
    pub file_bytes: u64,
    /// The recorder's own memory.
    pub recorder_bytes: u64,
    /// The program's live bytes at its peak.
    pub peak_live_bytes: u64,
    /// The program's resident memory at its highest, with the recorder's.
    pub peak_rss_bytes: Option<u64>,
    /// Calls that could not be counted.
    pub lost_events: u64,
}

impl Kept {
    /// Reads it from a recording.
    pub fn of(path: &Path) -> Result<Kept> {
        let opened = heaptide_profile::open(path).with_context(|| format!("cannot open {}", path.display()))?;
        let (recorder, totals) = (&opened.profile.recorder, &opened.profile.totals);
        Ok(Kept {
            events: recorder.events,
            call_paths: opened.profile.sites.len() as u64,
            points: opened.profile.timeline.t_ms.len() as u64,
            file_bytes: fs::metadata(path)?.len(),
            recorder_bytes: recorder.own_bytes,
            peak_live_bytes: totals.peak_live_bytes,
            peak_rss_bytes: totals.peak_rss_bytes,
            lost_events: recorder.lost_events,
        })
    }
}

/// How long `heaptide report` takes for the largest recording, once it has been opened before.
#[derive(Clone, Debug)]
pub struct Opening {
    /// The recording.
    pub name: String,
    /// Its size.
    pub file_bytes: u64,
    /// Median of some openings.
    pub seconds: f64,
}

/// Opens the largest recording of those made. None if none was.
pub fn open_largest(places: &Places) -> Result<Option<Opening>> {
    let mut recordings = Vec::new();
    for entry in fs::read_dir(places.scratch())? {
        let entry = entry?;
        if entry.path().extension().is_some_and(|extension| extension == "heaptide") {
            recordings.push((entry.metadata()?.len(), entry.path()));
        }
    }
    let Some((file_bytes, path)) = recordings.into_iter().max() else { return Ok(None) };
    let mut report = Command::new(places.heaptide());
    report.arg("report").arg(&path);
    program::output(&mut report)?;
    let mut seconds = Vec::new();
    for _ in 0..OPENINGS {
        let start = Instant::now();
        program::output(&mut report)?;
        seconds.push(start.elapsed().as_secs_f64());
    }
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    Ok(median(&seconds).map(|seconds| Opening { name, file_bytes, seconds }))
}
