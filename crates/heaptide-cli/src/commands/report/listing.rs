//! `heaptide report` without a file: recordings here, and ledgers whose observer is gone or still at work.

use std::fmt::Write as _;
use std::fs::File;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use heaptide_ledger::read::Reader;
use heaptide_ledger::{HEADER_BYTES, header_word};
use heaptide_report::escape;

use crate::error::{Attempt, Exit, Outcome};
use crate::observer::process::is_alive;
use crate::observer::session;
use crate::os::SharedWords;
use crate::output;
use crate::talk::Talk;
use crate::units::bytes;

/// One thing that can be read.
struct Entry {
    path: PathBuf,
    program: String,
    pid: String,
    age: Duration,
    state: &'static str,
    /// A directory that nobody needs any more, and its bytes.
    waste: Option<(PathBuf, u64)>,
}

/// Prints what there is, with the command to read each.
pub fn list(talk: &Talk) -> Outcome {
    let here = Path::new(".");
    let mut ledgers: Vec<Entry> = [Path::new(session::SHARED_MEMORY), here, &std::env::temp_dir()]
        .into_iter()
        .flat_map(session::left_over)
        .filter_map(|(file, observer)| ledger(&file.path, file.pid, observer))
        .collect();
    let mut recordings = recordings_in(here)?;
    let mut page = String::new();
    section(&mut page, "ledgers, of programs that are being recorded or whose observer was killed", &mut ledgers);
    section(&mut page, "recordings here", &mut recordings);
    if page.is_empty() {
        talk.note("there are no recordings here, and no ledgers were left behind");
        talk.advice("`heaptide run -- CMD` makes a recording");
    }
    output::write_stdout(page.as_bytes())?;
    Ok(Exit::Fine)
}

fn ledger(path: &Path, pid: u32, observer: u32) -> Option<Entry> {
    let (is_observed, is_running) = (is_alive(observer), is_alive(pid));
    let waste = || Some((path.parent()?.to_path_buf(), path.metadata().ok()?.blocks() * 512));
    Some(Entry {
        path: path.to_path_buf(),
        program: program_of(path)?,
        pid: pid.to_string(),
        age: age_of(path)?,
        state: match (is_observed, is_running) {
            (true, _) => "being recorded",
            (false, true) => "running, without an observer",
            (false, false) => "left behind",
        },
        waste: waste().filter(|_| !is_observed && !is_running),
    })
}

fn recordings_in(dir: &Path) -> Outcome<Vec<Entry>> {
    let entries = std::fs::read_dir(dir).attempt(|| "cannot list this directory".to_owned())?;
    Ok(entries
        .filter_map(|entry| {
            let name = entry.ok()?.file_name();
            let path = PathBuf::from(&name);
            let stem = name.to_str()?.strip_suffix(".heaptide")?;
            let (program, pid) = match stem.rsplit_once('.') {
                Some((program, pid)) if pid.parse::<u32>().is_ok() => (program, pid),
                _ => (stem, "-"),
            };
            let (program, pid) = (program.to_owned(), pid.to_owned());
            path.is_file().then_some(())?;
            Some(Entry { age: age_of(&path)?, path, program, pid, state: "", waste: None })
        })
        .collect())
}

/// The name of a ledger's program; `None` if nothing can be read, because the ledger was given up or is not set up yet.
fn program_of(path: &Path) -> Option<String> {
    let file = File::open(path).ok()?;
    let words = SharedWords::map_read_only(&file).ok()?;
    let reader = Reader::new(words.words()).ok()?;
    let is_given_up = file.metadata().ok()?.len() <= HEADER_BYTES;
    let text = reader.header(header_word!(exe));
    let mut exe = Vec::new();
    // A path is short; what is longer is not one.
    let is_path = text & 0xffff_ffff <= 4096;
    if is_given_up || !is_path || !reader.text(text, |bytes| exe.extend_from_slice(bytes)) {
        return None;
    }
    let exe = String::from_utf8_lossy(&exe).into_owned();
    Some(exe.rsplit('/').next().unwrap_or_default().to_owned())
}

fn age_of(path: &Path) -> Option<Duration> {
    let modified = SystemTime::UNIX_EPOCH + Duration::from_secs(path.metadata().ok()?.mtime().try_into().ok()?);
    Some(SystemTime::now().duration_since(modified).unwrap_or_default())
}

fn section(page: &mut String, title: &str, entries: &mut [Entry]) {
    if entries.is_empty() {
        return;
    }
    entries.sort_by_key(|entry| entry.age);
    if !page.is_empty() {
        page.push('\n');
    }
    // Writing to a String cannot fail.
    let _ = writeln!(page, "{title}:");
    for entry in entries {
        let (program, path) = (escape(&entry.program), escape(&entry.path.display().to_string()));
        let state = if entry.state.is_empty() { String::new() } else { format!(", {}", entry.state) };
        let _ = writeln!(page, "  {program}, pid {}, last written {} ago{state}", entry.pid, short(entry.age));
        let _ = writeln!(page, "    heaptide report {path}");
        if let Some((dir, size)) = &entry.waste {
            let dir = escape(&dir.display().to_string());
            let _ = writeln!(page, "    rm -r {dir}    frees {}", bytes(*size));
        }
    }
}

fn short(age: Duration) -> String {
    match age.as_secs() {
        s if s < 120 => format!("{s} s"),
        s if s < 7200 => format!("{} min", s / 60),
        s if s < 172_800 => format!("{} h", s / 3600),
        s => format!("{} days", s / 86_400),
    }
}
