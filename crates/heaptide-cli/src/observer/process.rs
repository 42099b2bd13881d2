//! The recorded program as a child process: its start, the signals on their way to it, its end.

use std::ffi::{CString, OsStr, OsString};
use std::io::{self, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::process::ExitCode;

use rustix::process::{DumpableBehavior, Pid, WaitOptions};

use crate::error::Exit;
use crate::os::{self, Arrived, SignalQueue};

/// Signals that only the process itself is meant to get, and those that mean something to this process.
const NOT_FORWARDED: [i32; 14] = [
    libc::SIGKILL,
    libc::SIGSTOP,
    libc::SIGCHLD,
    libc::SIGPIPE,
    libc::SIGTTIN,
    libc::SIGTTOU,
    libc::SIGSEGV,
    libc::SIGBUS,
    libc::SIGFPE,
    libc::SIGILL,
    libc::SIGTRAP,
    libc::SIGABRT,
    libc::SIGSYS,
    libc::SIGXFSZ,
];
/// Signals that a terminal sends to every process in its foreground group.
const FROM_TERMINALS: [i32; 5] = [libc::SIGINT, libc::SIGQUIT, libc::SIGTSTP, libc::SIGHUP, libc::SIGWINCH];
const HIGHEST_SIGNAL: i32 = 64;

/// How the program is started.
#[derive(Debug)]
pub struct Start {
    path: CString,
    args: Vec<CString>,
    env: Vec<CString>,
    /// The variable that ends with the child's process id, as yet without it.
    env_with_pid: CString,
}

impl Start {
    /// The program at `path`, with all of its arguments and the environment. `with_pid` is one more variable, to whose
    /// value the child's process id is appended.
    pub fn new(
        path: &Path,
        args: Vec<OsString>,
        env: Vec<(OsString, OsString)>,
        with_pid: (&str, &OsStr),
    ) -> io::Result<Start> {
        let text = |text: &OsStr| CString::new(text.as_bytes()).map_err(io::Error::from);
        let variable = |name: &OsStr, value: &OsStr| text(&[name, value].join(OsStr::new("=")));
        Ok(Start {
            path: text(path.as_os_str())?,
            args: args.iter().map(|arg| text(arg)).collect::<io::Result<_>>()?,
            env: env.iter().map(|(name, value)| variable(name, value)).collect::<io::Result<_>>()?,
            env_with_pid: variable(OsStr::new(with_pid.0), with_pid.1)?,
        })
    }
}

/// The running program.
#[derive(Debug)]
pub struct Child {
    pid: i32,
}

/// How the program ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// With this status.
    Exited(i32),
    /// By this signal.
    Signalled(i32),
}

/// Queues every signal that is for the program, and the news of its end.
pub fn queue_signals() -> io::Result<SignalQueue> {
    // A parent may have ignored it, and then no end would be seen.
    os::default_action(libc::SIGCHLD);
    let forwarded = (1..=HIGHEST_SIGNAL).filter(|signal| !NOT_FORWARDED.contains(signal));
    SignalQueue::of(forwarded.chain([libc::SIGCHLD]))
}

impl Child {
    /// Starts the program. The error is that of `execve`.
    pub fn start(start: &Start, signals: &SignalQueue) -> io::Result<Child> {
        let (mut told, mut tell) = io::pipe()?;
        let pid = os::fork(|| {
            let mut env = start.env.clone();
            let mut with_pid = start.env_with_pid.clone().into_bytes();
            with_pid.extend_from_slice(std::process::id().to_string().as_bytes());
            env.extend(CString::new(with_pid));
            signals.release();
            os::default_action(libc::SIGPIPE);
            os::default_action(libc::SIGXFSZ);
            let error = os::exec(&start.path, &start.args, &env);
            let _ = tell.write_all(&error.raw_os_error().unwrap_or(libc::EIO).to_ne_bytes());
            126
        })?;
        drop(tell);
        let child = Child { pid };
        // A successful `execve` closes the other end without a word.
        let mut errno = [0_u8; 4];
        match told.read_exact(&mut errno) {
            Ok(()) => {
                child.wait();
                Err(io::Error::from_raw_os_error(i32::from_ne_bytes(errno)))
            }
            Err(_) => Ok(child),
        }
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.pid.unsigned_abs()
    }

    /// How it ended, if it has.
    ///
    /// Whatever else has ended is reaped too: as the first process of a container, this one inherits all orphans.
    pub fn ended(&self) -> Option<Ended> {
        loop {
            let (pid, status) = rustix::process::wait(WaitOptions::NOHANG).ok()??;
            if pid.as_raw_pid() != self.pid {
                continue;
            }
            return match (status.exit_status(), status.terminating_signal()) {
                (Some(status), _) => Some(Ended::Exited(status)),
                (_, Some(signal)) => Some(Ended::Signalled(signal)),
                _ => None,
            };
        }
    }

    fn wait(&self) {
        let _ = rustix::process::waitpid(Pid::from_raw(self.pid), WaitOptions::empty());
    }

    /// Passes a signal on, unless it has reached the program already.
    pub fn forward(&self, arrived: Arrived) {
        if arrived.signal == libc::SIGCHLD {
            return;
        }
        let by_terminal = arrived.from_kernel && FROM_TERMINALS.contains(&arrived.signal);
        if !(by_terminal && self.shares_our_group()) {
            os::send_signal(self.pid, arrived.signal);
        }
        if arrived.signal == libc::SIGTSTP {
            // A shell waits for this process to stop.
            os::raise(arrived.signal);
        }
    }

    fn shares_our_group(&self) -> bool {
        let group = |pid| rustix::process::getpgid(pid).ok();
        let own = group(None);
        own.is_some() && own == group(Pid::from_raw(self.pid))
    }
}

impl From<Ended> for Exit {
    fn from(ended: Ended) -> Exit {
        match ended {
            Ended::Exited(status) => Exit::Status(status.to_le_bytes()[0]),
            Ended::Signalled(signal) => Exit::Signal(signal),
        }
    }
}

/// Whether some process runs. One that has ended and that its parent has not asked about does not.
pub fn is_alive(pid: u32) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // The name may hold anything, parentheses too; the state is the first letter behind it.
    let state = status.rsplit_once(')').and_then(|(_, rest)| rest.trim_start().chars().next());
    !matches!(state, None | Some('Z' | 'X'))
}

/// Ends this process by the signal that ended the program, so that a shell sees the same.
pub fn die_by(signal: i32) -> ExitCode {
    // One core dump is enough.
    let _ = rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable);
    os::default_action(signal);
    os::raise(signal);
    // A signal that does not end this process cannot have ended the other one.
    ExitCode::from(u8::try_from(128 + signal).unwrap_or(u8::MAX))
}
