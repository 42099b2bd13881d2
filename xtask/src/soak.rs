//! `cargo xtask soak`: a service under the same load for long. What the recorder and the observer keep must stop growing,
//! while the number of events does not.

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use crate::cargo;
use crate::options::Options;
use crate::program;

/// Part of the time in which everything may still reach its size.
const WARM_UP: f64 = 0.25;
/// What may be added after that: noise, not growth.
const SLACK_SHARE: f64 = 0.05;
const SLACK_BYTES: u64 = 1 << 20;
const REQUESTS: &str = "200000";
/// Between two lines of output.
const TELL_EVERY: Duration = Duration::from_secs(10);

/// What is kept at one moment.
#[derive(Clone, Copy, Debug, Default)]
struct Kept {
    events: u64,
    lost_events: u64,
    /// What the ledger occupies in its file system.
    ledger_bytes: u64,
    /// What the recorder says that it needs in the service.
    recorder_bytes: u64,
    /// Resident memory of `heaptide run`.
    observer_bytes: u64,
}

/// Runs for as long as it was told: 10 minutes if it was not.
pub fn soak(words: &[String]) -> Result<()> {
    let mut options = Options::new(words);
    let minutes: f64 = options.value("--minutes")?.unwrap_or(10.0);
    options.end()?;
    ensure!(minutes > 0.0 && minutes.is_finite(), "--minutes must be more than 0");
    let release = cargo::build_release(&["heaptide-cli", "heaptide-benches"])?;
    let recording = std::env::temp_dir().join(format!("soak.{}.heaptide", std::process::id()));

    let service = Recorded::start(&release, &recording)?;
    let (start, time) = (Instant::now(), Duration::from_secs_f64(minutes * 60.0));
    let mut told = start;
    let (mut warm, mut last) = (Kept::default(), Kept::default());
    while start.elapsed() < time {
        service.load(&release)?;
        last = service.kept()?;
        if start.elapsed() < time.mul_f64(WARM_UP) || warm.events == 0 {
            warm = warm.most(last);
        }
        if told.elapsed() >= TELL_EVERY {
            told = Instant::now();
            println!("{:5.1} min: {last}", start.elapsed().as_secs_f64() / 60.0);
        }
    }
    service.stop()?;
    println!("warm:      {warm}\nat the end {last}");

    let opened = heaptide_profile::open(&recording).with_context(|| format!("cannot open {}", recording.display()))?;
    let file_bytes = fs::metadata(&recording)?.len();
    println!("recording: {file_bytes} bytes, {} events", opened.profile.recorder.events);
    fs::remove_file(&recording)?;
    ensure!(opened.problems.is_empty(), "the recording is damaged: {:?}", opened.problems);
    ensure!(opened.profile.recorder.events >= last.events, "events that were counted are gone");
    ensure!(last.lost_events == 0, "{} events were lost", last.lost_events);
    let grown = last.grown_since(&warm);
    ensure!(grown.is_empty(), "still growing after the first quarter: {}", grown.join(", "));
    Ok(())
}

impl Kept {
    fn most(self, other: Kept) -> Kept {
        Kept {
            events: self.events.max(other.events),
            lost_events: self.lost_events.max(other.lost_events),
            ledger_bytes: self.ledger_bytes.max(other.ledger_bytes),
            recorder_bytes: self.recorder_bytes.max(other.recorder_bytes),
            observer_bytes: self.observer_bytes.max(other.observer_bytes),
        }
    }

    fn grown_since(&self, warm: &Kept) -> Vec<String> {
        let sizes = [
            ("the ledger", warm.ledger_bytes, self.ledger_bytes),
            ("the recorder's memory", warm.recorder_bytes, self.recorder_bytes),
            ("the observer's memory", warm.observer_bytes, self.observer_bytes),
        ];
        let grown = sizes
            .into_iter()
            .filter(|(_, before, now)| *now > before + SLACK_BYTES.max((*before as f64 * SLACK_SHARE) as u64));
        grown.map(|(name, before, now)| format!("{name} from {before} to {now} bytes")).collect()
    }
}

impl std::fmt::Display for Kept {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{} events, ledger {} KiB, recorder {} KiB, observer {} KiB",
            self.events,
            self.ledger_bytes >> 10,
            self.recorder_bytes >> 10,
            self.observer_bytes >> 10
        )
    }
}

/// The service under the recorder. Ended with this value, if it has not ended by then.
struct Recorded {
    observer: Child,
    /// Kept open: the service has a last word to say.
    said: Option<BufReader<ChildStdout>>,
    port: String,
    ledger: PathBuf,
}

impl Recorded {
    fn start(release: &Path, recording: &Path) -> Result<Recorded> {
        let program = release.join("kv-service");
        let mut command = Command::new(release.join("heaptide"));
        command.args(["run", "--quiet", "--force", "--output"]).arg(recording).arg("--");
        command.arg(&program).args(["--port", "0"]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let observer = command.spawn().context("heaptide did not start")?;
        // From here on an error ends it.
        let mut recorded = Recorded { observer, said: None, port: String::new(), ledger: PathBuf::new() };
        let mut line = String::new();
        recorded.said = recorded.observer.stdout.take().map(BufReader::new);
        if let Some(said) = &mut recorded.said {
            said.read_line(&mut line)?;
        }
        let port = line.trim().rsplit_once(':').map(|(_, port)| port.to_owned());
        recorded.port = port.context("the service did not say where it listens")?;
        let service = program::descendant(recorded.observer.id(), &program.canonicalize()?);
        recorded.ledger = mapped_ledger(service.context("the service is not there")?)?;
        Ok(recorded)
    }

    fn load(&self, release: &Path) -> Result<()> {
        let mut load = Command::new(release.join("kv-load"));
        program::output(load.args(["--port", &self.port, "--requests", REQUESTS])).map(drop)
    }

    fn kept(&self) -> Result<Kept> {
        let opened =
            heaptide_profile::open(&self.ledger).with_context(|| format!("cannot open {}", self.ledger.display()))?;
        Ok(Kept {
            events: opened.profile.recorder.events,
            lost_events: opened.profile.recorder.lost_events,
            // Whatever the file system's block size, this is counted in 512 bytes.
            ledger_bytes: fs::metadata(&self.ledger)?.blocks() * 512,
            recorder_bytes: opened.profile.recorder.own_bytes,
            observer_bytes: resident_bytes(self.observer.id())?,
        })
    }

    /// As a person would, by ending its input.
    fn stop(mut self) -> Result<()> {
        drop(self.observer.stdin.take());
        let status = self.observer.wait()?;
        ensure!(status.success(), "`heaptide run` ended with {status}");
        Ok(())
    }
}

impl Drop for Recorded {
    fn drop(&mut self) {
        // The service ends with its input; the observer with the service.
        drop(self.observer.stdin.take());
        let _ = self.observer.wait();
    }
}

/// The ledger that a process writes, from its mappings.
fn mapped_ledger(pid: u32) -> Result<PathBuf> {
    let maps = fs::read_to_string(format!("/proc/{pid}/maps"))?;
    let mut paths = maps.lines().filter_map(|line| line.find('/').map(|at| &line[at..]));
    match paths.find(|path| path.ends_with(".ledger")) {
        Some(path) => Ok(PathBuf::from(path)),
        None => bail!("process {pid} has no ledger"),
    }
}

fn resident_bytes(pid: u32) -> Result<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.trim().split(' ').next()?.parse::<u64>().ok());
    Ok(kib.with_context(|| format!("process {pid} does not say what it has resident"))? * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn noise_is_not_growth() {
        let kept = |ledger_bytes, observer_bytes| Kept { ledger_bytes, observer_bytes, ..Kept::default() };
        let warm = kept(100 << 20, 4 << 20);
        assert!(kept(104 << 20, 5 << 20).grown_since(&warm).is_empty());
        assert_eq!(kept(106 << 20, 5 << 20).grown_since(&warm).len(), 1);
        assert_eq!(kept(106 << 20, 6 << 20).grown_since(&warm).len(), 2);
    }
}
