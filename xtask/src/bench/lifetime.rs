//! How long a program lived under a recorder that goes on working after it.
//!
//! Taken from outside, so that it does not rest on what any recorder says of itself: the program is found among the
//! recorder's descendants by the file it executes, and a process descriptor tells when it has ended. The clock starts
//! with the recorder, whose own start is a cost to whoever waits for the program.

use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use crate::program::{descendant, words};

/// Between two looks at a recorder that has not started the program yet.
const LOOK_AGAIN: Duration = Duration::from_millis(1);

/// How long a run took.
#[derive(Clone, Copy, Debug)]
pub struct Timed {
    /// From the start of the recorder to the end of the program.
    pub life: Duration,
    /// To the end of the recorder.
    pub whole: Duration,
}

/// Runs a command that itself is, becomes or starts `program`.
pub fn time(command: &mut Command, program: &Path) -> Result<Timed> {
    let said = words(command);
    let program = program.canonicalize().with_context(|| format!("{} is not there", program.display()))?;
    command.stdin(Stdio::null()).stdout(Stdio::null());
    let start = Instant::now();
    let mut child = Running(command.spawn().with_context(|| format!("`{said}` did not start"))?);
    if let Some(process) = find(&mut child.0, &program)? {
        let mut descriptors = [PollFd::new(&process, PollFlags::IN)];
        poll(&mut descriptors, None).context("cannot wait for the program")?;
    }
    let life = start.elapsed();
    let status = child.0.wait().with_context(|| format!("cannot wait for `{said}`"))?;
    let whole = start.elapsed();
    ensure!(status.success(), "`{said}` ended with {status}");
    Ok(Timed { life, whole })
}

/// A child that does not outlive this value.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        if !matches!(self.0.try_wait(), Ok(Some(_))) {
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }
}

/// The program's process, or `None` if the command ended without one to be seen: valgrind, say, executes no program.
fn find(child: &mut Child, program: &Path) -> Result<Option<OwnedFd>> {
    loop {
        if let Some(pid) = descendant(child.id(), program) {
            let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) else { bail!("{pid} is no process id") };
            // One that has ended meanwhile has ended about now.
            return Ok(pidfd_open(pid, PidfdFlags::empty()).ok());
        }
        if child.try_wait()?.is_some() {
            return Ok(None);
        }
        thread::sleep(LOOK_AGAIN);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_that_never_is_the_program_is_timed_as_a_whole() {
        let sleep = crate::program::find("sleep").expect("sleep is there");
        let timed = time(&mut Command::new("true"), &sleep).expect("a run");
        assert!(timed.life <= timed.whole);
    }

    #[test]
    fn a_failed_run_is_no_measurement() {
        let sleep = crate::program::find("sleep").expect("sleep is there");
        assert!(time(&mut Command::new("false"), &sleep).is_err());
    }
}
