//! What the kernel knows of a process: resident memory, threads, open files.
//!
//! Reading must stay cheap for the process too: adding up its proportional share makes the kernel walk all of its
//! pages, so that is done rarely, and the more rarely the longer it takes.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use heaptide_ledger::sampler::Vitals;
use heaptide_ledger::series::UNKNOWN;

/// Of the time that passes, adding up the proportional share takes at most one part in this many.
const PSS_SHARE: u32 = 500;
/// It is read this often at most.
const PSS_INTERVAL: Duration = Duration::from_secs(1);

/// Reads one process's vitals again and again.
#[derive(Debug)]
pub struct VitalsReader {
    dir: PathBuf,
    status: Option<File>,
    pss_bytes: u64,
    pss_due: Instant,
}

impl VitalsReader {
    /// For the process `pid`.
    pub fn of(pid: u32) -> VitalsReader {
        let dir = PathBuf::from(format!("/proc/{pid}"));
        let status = File::open(dir.join("status")).ok();
        VitalsReader { dir, status, pss_bytes: UNKNOWN, pss_due: Instant::now() }
    }

    /// The vitals now, and the highest resident memory so far; all unknown once the process is gone.
    pub fn read(&mut self) -> (Vitals, Option<u64>) {
        let mut page = [0_u8; 4096];
        let status = self.status.as_ref().and_then(|status| status.read_at(&mut page, 0).ok()).unwrap_or(0);
        let status = std::str::from_utf8(&page[..status]).unwrap_or_default();
        let rss_bytes = kib(status, "VmRSS:");
        if rss_bytes != UNKNOWN && Instant::now() >= self.pss_due {
            self.read_pss();
        }
        let vitals = Vitals {
            rss_bytes,
            pss_bytes: if rss_bytes == UNKNOWN { UNKNOWN } else { self.pss_bytes },
            threads: number(status, "Threads:").unwrap_or(UNKNOWN),
            open_files: self.open_files().unwrap_or(UNKNOWN),
        };
        (vitals, Some(kib(status, "VmHWM:")).filter(|&bytes| bytes != UNKNOWN))
    }

    fn read_pss(&mut self) {
        let start = Instant::now();
        let rollup = fs::read_to_string(self.dir.join("smaps_rollup")).unwrap_or_default();
        self.pss_bytes = kib(&rollup, "Pss:");
        self.pss_due = Instant::now() + PSS_INTERVAL.max(start.elapsed() * PSS_SHARE);
    }

    fn open_files(&self) -> io::Result<u64> {
        let dir = self.dir.join("fd");
        // Since Linux 6.2 the directory's size is their number.
        match fs::metadata(&dir)?.size() {
            0 => Ok(fs::read_dir(&dir)?.count() as u64),
            count => Ok(count),
        }
    }
}

fn number(status: &str, key: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(key))?;
    line.trim().trim_end_matches("kB").trim_end().parse().ok()
}

fn kib(status: &str, key: &str) -> u64 {
    number(status, key).map_or(UNKNOWN, |kib| kib.saturating_mul(1024))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_living_process_has_vitals() {
        let (vitals, peak_rss_bytes) = VitalsReader::of(std::process::id()).read();
        assert!(vitals.rss_bytes > 0 && peak_rss_bytes.is_some_and(|peak| vitals.rss_bytes <= peak));
        assert!(vitals.pss_bytes > 0 && vitals.pss_bytes != UNKNOWN);
        assert!((1..10_000).contains(&vitals.threads) && (3..100_000).contains(&vitals.open_files));
    }

    #[test]
    fn of_no_process_nothing_is_known() {
        assert_eq!(VitalsReader::of(u32::MAX).read(), (Vitals::default(), None));
    }

    #[test]
    fn lines_are_found_by_their_key() {
        assert_eq!(kib("VmHWM:\t  12 kB\nVmRSS:\t  10 kB\n", "VmRSS:"), 10 << 10);
        assert_eq!(number("Threads:\t4\n", "Threads:"), Some(4));
        assert_eq!(kib("Pss:  nonsense kB\n", "Pss:"), UNKNOWN);
    }
}
