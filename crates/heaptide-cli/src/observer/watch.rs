//! The observer's loop: it keeps the recorder's clock, takes samples, passes signals on, and waits for the end.
//!
//! One thread and one `poll`. It wakes for samples, for signals and for the program's end, and no more often than that:
//! a wake-up takes more from a program that uses every processor than it takes itself.

use std::collections::{BTreeSet, HashMap};
use std::time::Instant;

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::time::ClockId;

use super::ledger::Ledger;
use super::process::{Child, Ended};
use super::progress::ProgressLine;
use super::session::{LedgerFile, Session};
use super::watched::Watched;
use crate::os::SignalQueue;
use crate::talk::Talk;

/// Longest sleep before there is a ledger.
const FIRST_MS: u64 = 2;
/// Between two looks for new ledgers.
const DISCOVERY_MS: u64 = 50;

/// Which processes are recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// The program alone.
    Program,
    /// The program and every process that it starts.
    Descendants,
}

/// The observer of one session.
#[derive(Debug)]
pub struct Watch<'s> {
    session: &'s Session,
    root_pid: u32,
    scope: Scope,
    interval_ms: u64,
    watched: Vec<Watched>,
    /// Ledgers that need no look any more.
    settled: BTreeSet<LedgerFile>,
    began: Instant,
}

impl<'s> Watch<'s> {
    /// Observes the program `root_pid`.
    pub fn new(session: &'s Session, root_pid: u32, scope: Scope, interval_ms: u64) -> Watch<'s> {
        Watch {
            session,
            root_pid,
            scope,
            interval_ms,
            watched: Vec::new(),
            settled: BTreeSet::new(),
            began: Instant::now(),
        }
    }

    /// Runs until the program ends. Processes that the program started and that end before it are handed to
    /// `finished`. Returns how the program ended.
    pub fn until_end(
        &mut self,
        child: &Child,
        signals: &SignalQueue,
        talk: &Talk,
        finished: &mut dyn FnMut(Watched),
    ) -> Ended {
        let mut progress = ProgressLine::new(talk);
        let mut discovery_due_ns = 0;
        let mut has_signals = true;
        loop {
            if has_signals {
                while let Some(arrived) = signals.next() {
                    if arrived.signal == libc::SIGTSTP {
                        progress.erase();
                    }
                    child.forward(arrived);
                }
                if let Some(ended) = child.ended() {
                    progress.erase();
                    // What reached this process together with the program was meant for the program.
                    while signals.next().is_some() {}
                    self.finish(finished);
                    return ended;
                }
            }
            let now_ns = monotonic_ns();
            if now_ns >= discovery_due_ns || self.watched.is_empty() {
                discovery_due_ns = now_ns + DISCOVERY_MS * 1_000_000;
                self.discover();
                self.hand_over_ended(finished);
            }
            let wait_ms = self.tick(now_ns);
            if progress.is_due()
                && let Some(root) = self.root()
            {
                let (live_bytes, allocations) = root.progress();
                progress.draw(self.began.elapsed().as_millis() as u64, live_bytes, allocations);
            }
            has_signals = wait_for_signal(signals, wait_ms);
        }
    }

    /// What is still being watched: the program's last image, and processes that outlive it.
    pub fn into_watched(self) -> Vec<Watched> {
        self.watched
    }

    fn root(&self) -> Option<&Watched> {
        self.watched.iter().find(|watched| watched.pid == self.root_pid)
    }

    /// Advances all clocks and takes the samples that are due. Returns in how many milliseconds to do so again.
    fn tick(&mut self, now_ns: u64) -> u64 {
        let waits_ms = self.watched.iter_mut().map(|watched| watched.tick(now_ns));
        waits_ms.min().unwrap_or(FIRST_MS)
    }

    /// Takes up new ledgers. A process that has executed another program has only its newest one watched. Returns
    /// whether there was any.
    fn discover(&mut self) -> bool {
        let mut has_found = false;
        let newest: HashMap<u32, LedgerFile> = match self.scope {
            Scope::Program => self.next_of_root().map(|file| (file.pid, file)).into_iter().collect(),
            Scope::Descendants => {
                let mut files = self.session.ledgers();
                files.retain(|file| !self.settled.contains(file));
                files.into_iter().map(|file| (file.pid, file)).collect()
            }
        };
        for file in newest.into_values() {
            let known = self.watched.iter().position(|watched| watched.pid == file.pid);
            if known.is_some_and(|at| self.watched[at].image >= file.image) {
                continue;
            }
            let Ok(Some(ledger)) = Ledger::open(&file.path) else {
                continue;
            };
            if let Some(at) = known {
                let old = self.watched.swap_remove(at);
                self.settled.insert(LedgerFile {
                    pid: old.pid,
                    image: old.image,
                    path: old.ledger.path().to_path_buf(),
                });
                old.ledger.discard();
            }
            self.watched.push(Watched::new(ledger, file.pid, file.image, self.interval_ms));
            has_found = true;
        }
        has_found
    }

    /// The ledger that the program has, or will have after its next `execve`.
    fn next_of_root(&self) -> Option<LedgerFile> {
        let image = self.root().map_or(0, |root| root.image + 1);
        let path = self.session.ledger_path(self.root_pid, image);
        path.exists().then_some(LedgerFile { pid: self.root_pid, image, path })
    }

    fn hand_over_ended(&mut self, finished: &mut dyn FnMut(Watched)) {
        let root_pid = self.root_pid;
        let ended = |watched: &mut Watched| watched.pid != root_pid && watched.has_ended();
        for watched in self.watched.extract_if(.., ended) {
            let path = watched.ledger.path().to_path_buf();
            self.settled.insert(LedgerFile { pid: watched.pid, image: watched.image, path });
            finished(watched);
        }
    }

    /// The last look, after the program's end.
    fn finish(&mut self, finished: &mut dyn FnMut(Watched)) {
        while self.discover() {}
        let now_ns = monotonic_ns();
        for watched in &mut self.watched {
            watched.last_sample(now_ns);
        }
        self.hand_over_ended(finished);
    }
}

/// Sleeps, and returns whether there is a signal.
fn wait_for_signal(signals: &SignalQueue, ms: u64) -> bool {
    let timeout = Timespec { tv_sec: 0, tv_nsec: (ms * 1_000_000).cast_signed() };
    // An error is a reason to look.
    rustix::event::poll(&mut [PollFd::new(signals, PollFlags::IN)], Some(&timeout)) != Ok(0)
}

/// The clock that [`heaptide_ledger::Header::started_monotonic_ns`] was read from.
fn monotonic_ns() -> u64 {
    let now = rustix::time::clock_gettime(ClockId::Monotonic);
    now.tv_sec.unsigned_abs() * 1_000_000_000 + now.tv_nsec.unsigned_abs()
}
