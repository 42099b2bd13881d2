//! The calls to the operating system that the compiler cannot check: mapping files, `fork` and `execve`, signals. The only `unsafe` of this crate.

#![allow(unsafe_code)]

use std::ffi::{CStr, CString};
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd, FromRawFd};
use std::path::Path;
use std::sync::atomic::AtomicU64;

use memmap2::{Mmap, MmapOptions, MmapRaw};

/// Maps a regular file to read it. A pipe or a device is refused: opening one could wait for ever.
pub fn map_file(path: &Path) -> io::Result<Mmap> {
    if !std::fs::metadata(path)?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
    }
    let file = File::open(path)?;
    // SAFETY: the mapping is read-only and owned by the value returned. The bytes are the file's for as long as nobody
    // truncates it; compilers and package managers replace executables instead of rewriting them.
    unsafe { Mmap::map(&file) }
}

/// A ledger that another process writes, mapped shared.
#[derive(Debug)]
pub struct SharedWords {
    map: MmapRaw,
}

impl SharedWords {
    /// Maps a file that is open for reading and writing, as long as it is now.
    pub fn map(file: &File) -> io::Result<SharedWords> {
        Ok(SharedWords { map: MmapRaw::map_raw(file)? })
    }

    /// Maps a file that is open for reading only. Writing to its words is not possible then, and nobody does.
    pub fn map_read_only(file: &File) -> io::Result<SharedWords> {
        Ok(SharedWords { map: MmapOptions::new().map_raw_read_only(file)? })
    }

    /// The words. Every access is atomic: others write at the same time.
    pub fn words(&self) -> &[AtomicU64] {
        let len = self.map.len() / size_of::<AtomicU64>();
        // SAFETY: the mapping is page-aligned, at least that long and lives as long as `self`. Atomic words may be shared
        // with other writers. Nobody truncates a ledger: the recorder only lets it grow.
        unsafe { std::slice::from_raw_parts(self.map.as_ptr().cast::<AtomicU64>(), len) }
    }
}

/// Forks; runs `child` in the child, which exits with the status that `child` returns, if it returns.
///
/// The child may allocate and take locks because this process has one thread: whoever calls this has started none.
pub fn fork(child: impl FnOnce() -> u8) -> io::Result<i32> {
    // SAFETY: with one thread, the child is a whole copy of this process. That is the caller's promise above; only
    // `demo` starts threads, and it never comes here.
    match unsafe { libc::fork() } {
        -1 => Err(io::Error::last_os_error()),
        0 => {
            let status = child();
            // SAFETY: `_exit` ends the process at once; destructors and buffers stay the parent's business.
            unsafe { libc::_exit(i32::from(status)) }
        }
        pid => Ok(pid),
    }
}

/// Replaces this process by the program at `path`. Returns only why that failed.
pub fn exec(path: &CStr, args: &[CString], env: &[CString]) -> io::Error {
    let pointers = |strings: &[CString]| -> Vec<*const libc::c_char> {
        strings.iter().map(|string| string.as_ptr()).chain([std::ptr::null()]).collect()
    };
    let (args, env) = (pointers(args), pointers(env));
    // SAFETY: both arrays end with a null pointer, and their strings live longer than this call.
    unsafe { libc::execve(path.as_ptr(), args.as_ptr(), env.as_ptr()) };
    io::Error::last_os_error()
}

/// Gives a signal its default action. Rust's runtime ignores `SIGPIPE`, a parent may ignore others.
pub fn default_action(signal: i32) {
    // SAFETY: no handler is installed; for a number that is no signal, the call fails and changes nothing.
    unsafe { libc::signal(signal, libc::SIG_DFL) };
}

/// Ignores a signal in this process.
pub fn ignore(signal: i32) {
    // SAFETY: as above.
    unsafe { libc::signal(signal, libc::SIG_IGN) };
}

/// Sends a signal. The receiver may be gone, which is no failure.
pub fn send_signal(pid: i32, signal: i32) {
    // SAFETY: `kill` takes two numbers and touches no memory.
    unsafe { libc::kill(pid, signal) };
}

/// Sends this process a signal that it may be holding back, and lets that one through.
pub fn raise(signal: i32) {
    // SAFETY: a signal set is plain numbers; `sigemptyset` makes it valid before `sigprocmask` reads it.
    unsafe {
        let (mut set, mut mask_before) = std::mem::zeroed::<(libc::sigset_t, libc::sigset_t)>();
        libc::sigemptyset(&mut set);
        libc::sigaddset(&mut set, signal);
        libc::sigprocmask(libc::SIG_UNBLOCK, &set, &mut mask_before);
        libc::kill(libc::getpid(), signal);
        libc::sigprocmask(libc::SIG_SETMASK, &mask_before, std::ptr::null_mut());
    }
}

/// Signals that are kept from their default action, and read from a queue instead.
#[derive(Debug)]
pub struct SignalQueue {
    queue: File,
    mask_before: libc::sigset_t,
}

/// A signal that arrived.
#[derive(Clone, Copy, Debug)]
pub struct Arrived {
    /// Its number.
    pub signal: i32,
    /// Whether the kernel sent it, as it does for keys pressed in a terminal, and not a process.
    pub from_kernel: bool,
}

impl SignalQueue {
    /// Starts to queue these signals. Ignored ones stay ignored.
    pub fn of(signals: impl IntoIterator<Item = i32>) -> io::Result<SignalQueue> {
        // SAFETY: a signal set is plain numbers; `sigemptyset` makes it valid before anything reads it.
        let (mut set, mut mask_before) = unsafe { std::mem::zeroed::<(libc::sigset_t, libc::sigset_t)>() };
        // SAFETY: both sets are live and writable; numbers that are no signals are refused without effect.
        unsafe {
            libc::sigemptyset(&mut set);
            for signal in signals {
                libc::sigaddset(&mut set, signal);
            }
            libc::sigprocmask(libc::SIG_BLOCK, &set, &mut mask_before);
        }
        // SAFETY: the set is initialised; the descriptor returned is new and owned by nobody else.
        let queue = unsafe {
            let fd = libc::signalfd(-1, &set, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK);
            if fd < 0 {
                return Err(io::Error::last_os_error());
            }
            File::from_raw_fd(fd)
        };
        Ok(SignalQueue { queue, mask_before })
    }

    /// The next signal, if one has arrived.
    pub fn next(&self) -> Option<Arrived> {
        const SI_KERNEL: i32 = 0x80;
        let mut record = [0_u8; size_of::<libc::signalfd_siginfo>()];
        let read = (&self.queue).read(&mut record).ok()?;
        if read < record.len() {
            return None;
        }
        let number = |at: usize| i32::from_ne_bytes([record[at], record[at + 1], record[at + 2], record[at + 3]]);
        Some(Arrived {
            signal: number(std::mem::offset_of!(libc::signalfd_siginfo, ssi_signo)),
            from_kernel: number(std::mem::offset_of!(libc::signalfd_siginfo, ssi_code)) == SI_KERNEL,
        })
    }

    /// Gives the signals back their actions, as they were before.
    pub fn release(&self) {
        // SAFETY: the set was filled by `sigprocmask`.
        unsafe { libc::sigprocmask(libc::SIG_SETMASK, &self.mask_before, std::ptr::null_mut()) };
    }
}

impl AsFd for SignalQueue {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.queue.as_fd()
    }
}

/// The version of the C library, for example `2.36`.
pub fn glibc_version() -> String {
    // SAFETY: glibc returns a constant, NUL-terminated string that lives as long as the process.
    let version = unsafe { CStr::from_ptr(libc::gnu_get_libc_version()) };
    version.to_string_lossy().into_owned()
}
