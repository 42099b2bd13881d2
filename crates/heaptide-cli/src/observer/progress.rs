//! One line on the terminal while a program is recorded: how long, how much, how fast.

use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

use rustix::termios::LocalModes;

use crate::talk::{self, Loudness, Stream, Talk};
use crate::units::bytes;

const INTERVAL: Duration = Duration::from_millis(500);

/// The line. It belongs to the program's own output too, so it stays out of the way of that.
#[derive(Debug)]
pub struct ProgressLine {
    is_wanted: bool,
    is_drawn: bool,
    due: Instant,
    allocations_before: (Instant, u64),
}

impl ProgressLine {
    /// Only on a terminal, and not when silence was asked for.
    pub fn new(talk: &Talk) -> ProgressLine {
        let now = Instant::now();
        ProgressLine {
            is_wanted: talk.loudness() > Loudness::Quiet && io::stderr().is_terminal(),
            is_drawn: false,
            due: now + INTERVAL,
            allocations_before: (now, 0),
        }
    }

    /// Whether it is time to draw, so that the numbers are worth getting.
    pub fn is_due(&self) -> bool {
        self.is_wanted && Instant::now() >= self.due
    }

    /// Draws it anew. The cursor is left at its beginning, where the program's next output replaces it.
    pub fn draw(&mut self, elapsed_ms: u64, live_bytes: u64, allocations: u64) {
        let now = Instant::now();
        self.due = now + INTERVAL;
        let (then, before) = std::mem::replace(&mut self.allocations_before, (now, allocations));
        let rate = allocations.saturating_sub(before) as f64 / (now - then).as_secs_f64().max(0.001);
        if !terminal_is_ours() {
            return;
        }
        let seconds = elapsed_ms / 1000;
        let line = format!(
            "heaptide: {:02}:{:02}:{:02}  live {}  {} allocations/s",
            seconds / 3600,
            seconds / 60 % 60,
            seconds % 60,
            bytes(live_bytes),
            short(rate),
        );
        let columns = talk::columns(Stream::Stderr).unwrap_or(80);
        let line: String = line.chars().take(columns.saturating_sub(1)).collect();
        let _ = write!(io::stderr(), "\r\x1b[2K{line}\r");
        self.is_drawn = true;
    }

    /// Takes the line away.
    pub fn erase(&mut self) {
        if std::mem::take(&mut self.is_drawn) && terminal_is_ours() {
            let _ = write!(io::stderr(), "\r\x1b[2K");
        }
    }
}

/// Not while another job has the terminal, and not while a program has taken it over as a screen.
fn terminal_is_ours() -> bool {
    let stderr = io::stderr();
    let in_foreground =
        rustix::termios::tcgetpgrp(&stderr).is_ok_and(|group| Ok(group) == rustix::process::getpgid(None));
    let by_lines =
        rustix::termios::tcgetattr(&stderr).is_ok_and(|terminal| terminal.local_modes.contains(LocalModes::ICANON));
    in_foreground && by_lines
}

/// `950`, `12.3 k`, `4.5 M`.
fn short(number: f64) -> String {
    match number {
        n if n < 1e3 => format!("{n:.0}"),
        n if n < 1e6 => format!("{:.1} k", n / 1e3),
        n => format!("{:.1} M", n / 1e6),
    }
}
