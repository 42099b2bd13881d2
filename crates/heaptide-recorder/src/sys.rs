//! System calls that leave `errno` alone and cannot be interposed, cancelled or traced into a lock.

use core::arch::asm;

/// A system call. The result is a value, or a negated error number in `-4095..0`.
///
/// # Safety
///
/// As the system call itself.
#[inline]
unsafe fn syscall(number: i64, a: [usize; 6]) -> isize {
    let result: isize;
    // SAFETY: the kernel's calling convention; the caller answers for the call's meaning.
    unsafe {
        asm!(
            "syscall",
            inlateout("rax") number as isize => result,
            in("rdi") a[0], in("rsi") a[1], in("rdx") a[2],
            in("r10") a[3], in("r8") a[4], in("r9") a[5],
            lateout("rcx") _, lateout("r11") _,
            options(nostack),
        );
    }
    result
}

fn check(result: isize) -> Option<usize> {
    usize::try_from(result).ok()
}

/// Anonymous private memory, zeroed; `None` if there is none.
pub fn map_private(bytes: usize) -> Option<*mut u8> {
    const FLAGS: i32 = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
    // SAFETY: a new mapping at an address the kernel chooses touches nothing that exists.
    let result = unsafe {
        syscall(
            libc::SYS_mmap,
            [0, bytes, (libc::PROT_READ | libc::PROT_WRITE) as usize, FLAGS as usize, usize::MAX, 0],
        )
    };
    check(result).map(|address| address as *mut u8)
}

/// A shared mapping of a file from its beginning, which may be longer than the file.
pub fn map_shared(fd: i32, bytes: usize) -> Option<*mut u8> {
    const FLAGS: i32 = libc::MAP_SHARED | libc::MAP_NORESERVE;
    // SAFETY: as in `map_private`.
    let result = unsafe {
        syscall(
            libc::SYS_mmap,
            [0, bytes, (libc::PROT_READ | libc::PROT_WRITE) as usize, FLAGS as usize, fd as usize, 0],
        )
    };
    check(result).map(|address| address as *mut u8)
}

/// Gives a mapping back.
///
/// # Safety
///
/// Nothing may use the mapping any more.
pub unsafe fn unmap(address: *mut u8, bytes: usize) {
    // SAFETY: promised by the caller.
    unsafe { syscall(libc::SYS_munmap, [address as usize, bytes, 0, 0, 0, 0]) };
}

/// `madvise`; whether it worked.
pub fn advise(address: *mut u8, bytes: usize, advice: i32) -> bool {
    // SAFETY: only advice that keeps the memory's content in this process is used here.
    let result = unsafe { syscall(libc::SYS_madvise, [address as usize, bytes, advice as usize, 0, 0, 0]) };
    result == 0
}

/// `open`; the path ends with a NUL byte.
pub fn open(path: &[u8], flags: i32, mode: u32) -> Result<i32, i32> {
    debug_assert!(path.last() == Some(&0));
    // SAFETY: the path is a NUL-terminated string that lives through the call.
    let result = unsafe {
        syscall(
            libc::SYS_openat,
            [libc::AT_FDCWD as usize, path.as_ptr() as usize, (flags | libc::O_CLOEXEC) as usize, mode as usize, 0, 0],
        )
    };
    if result < 0 { Err(-result as i32) } else { Ok(result as i32) }
}

/// `close`.
pub fn close(fd: i32) {
    // SAFETY: every descriptor closed here was opened here.
    unsafe { syscall(libc::SYS_close, [fd as usize, 0, 0, 0, 0, 0]) };
}

/// `unlink`; the path ends with a NUL byte.
pub fn unlink(path: &[u8]) {
    debug_assert!(path.last() == Some(&0));
    // SAFETY: a NUL-terminated path.
    unsafe { syscall(libc::SYS_unlink, [path.as_ptr() as usize, 0, 0, 0, 0, 0]) };
}

/// `read`; bytes read, 0 also on failure.
pub fn read(fd: i32, into: &mut [u8]) -> usize {
    // SAFETY: the buffer is writable for its length.
    let result = unsafe { syscall(libc::SYS_read, [fd as usize, into.as_mut_ptr() as usize, into.len(), 0, 0, 0]) };
    check(result).unwrap_or(0)
}

/// Number of entries of a directory, without `.` and `..`.
pub fn entries(path: &[u8]) -> Option<u64> {
    let fd = open(path, libc::O_RDONLY | libc::O_DIRECTORY, 0).ok()?;
    let mut buffer = [0_u64; 512];
    let mut count = 0_u64;
    loop {
        // SAFETY: the buffer is writable for its length.
        let result = unsafe {
            syscall(libc::SYS_getdents64, [fd as usize, buffer.as_mut_ptr() as usize, size_of_val(&buffer), 0, 0, 0])
        };
        let Some(len) = check(result).filter(|len| *len > 0) else { break };
        let mut at = 0;
        while at < len {
            // The length of an entry stands in bytes 16 and 17 of it.
            count += 1;
            at += (buffer[at / 8 + 2] & 0xffff) as usize;
        }
    }
    close(fd);
    Some(count.saturating_sub(2))
}

/// Writes to standard error, as far as it goes.
pub fn complain(parts: &[&[u8]]) {
    for part in parts {
        // SAFETY: the buffer is readable for its length.
        unsafe { syscall(libc::SYS_write, [2, part.as_ptr() as usize, part.len(), 0, 0, 0]) };
    }
}

/// The process's own limit of a resource; `None` if it has none.
pub fn limit_of(resource: libc::__rlimit_resource_t) -> Option<u64> {
    let mut limit = libc::rlimit { rlim_cur: libc::RLIM_INFINITY, rlim_max: libc::RLIM_INFINITY };
    // SAFETY: the kernel fills the limit, and is given none to set.
    unsafe { syscall(libc::SYS_prlimit64, [0, resource as usize, 0, &raw mut limit as usize, 0, 0]) };
    (limit.rlim_cur != libc::RLIM_INFINITY).then_some(limit.rlim_cur)
}

/// `ftruncate`; whether it worked. Never beyond the limit on file sizes, for which the kernel would send a signal.
pub fn set_len(fd: i32, bytes: u64) -> bool {
    if limit_of(libc::RLIMIT_FSIZE).is_some_and(|most| bytes > most) {
        return false;
    }
    // SAFETY: takes no pointer.
    unsafe { syscall(libc::SYS_ftruncate, [fd as usize, bytes as usize, 0, 0, 0, 0]) == 0 }
}

/// `fallocate` of a range; whether it worked.
pub fn allocate_file(fd: i32, from: u64, bytes: u64) -> bool {
    // SAFETY: takes no pointer.
    unsafe { syscall(libc::SYS_fallocate, [fd as usize, 0, from as usize, bytes as usize, 0, 0]) == 0 }
}

/// Device and inode of an open file.
pub fn identity(fd: i32) -> Option<(u64, u64)> {
    let mut stat = core::mem::MaybeUninit::<libc::stat>::uninit();
    // SAFETY: the buffer is a `stat`; the kernel fills it.
    let result = unsafe { syscall(libc::SYS_fstat, [fd as usize, stat.as_mut_ptr() as usize, 0, 0, 0, 0]) };
    if result != 0 {
        return None;
    }
    // SAFETY: filled by the kernel.
    let stat = unsafe { stat.assume_init() };
    Some((stat.st_dev, stat.st_ino))
}

/// The target of a symbolic link.
pub fn read_link<'a>(path: &[u8], into: &'a mut [u8]) -> Option<&'a [u8]> {
    debug_assert!(path.last() == Some(&0));
    // SAFETY: a NUL-terminated path and a writable buffer.
    let result = unsafe {
        syscall(libc::SYS_readlink, [path.as_ptr() as usize, into.as_mut_ptr() as usize, into.len(), 0, 0, 0])
    };
    into.get(..check(result)?)
}

/// Process id.
pub fn pid() -> u32 {
    // SAFETY: takes no pointer.
    unsafe { syscall(libc::SYS_getpid, [0; 6]) as u32 }
}

/// Kernel thread id.
pub fn tid() -> u32 {
    // SAFETY: takes no pointer.
    unsafe { syscall(libc::SYS_gettid, [0; 6]) as u32 }
}

/// Name of the calling thread.
pub fn thread_name() -> [u8; 16] {
    let mut name = [0_u8; 16];
    // SAFETY: PR_GET_NAME writes at most 16 bytes.
    unsafe { syscall(libc::SYS_prctl, [libc::PR_GET_NAME as usize, name.as_mut_ptr() as usize, 0, 0, 0, 0]) };
    name
}

/// A clock in nanoseconds.
pub fn clock_ns(clock: i32) -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the kernel fills the timespec.
    unsafe { syscall(libc::SYS_clock_gettime, [clock as usize, &raw mut time as usize, 0, 0, 0, 0]) };
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

/// `CLOCK_MONOTONIC` in nanoseconds, read without a system call where the kernel allows it.
#[inline]
pub fn monotonic_ns() -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: a place for the time. The C library's function takes no lock and sets no error for this clock.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut time) };
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

/// Whether memory that may be gone still holds a value: the kernel looks, as for a wait without any time to wait.
pub fn holds(address: u64, value: u32) -> bool {
    const WAIT: i32 = libc::FUTEX_WAIT | libc::FUTEX_PRIVATE_FLAG;
    let none = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the kernel checks the address; nobody is woken.
    let result = unsafe {
        syscall(libc::SYS_futex, [address as usize, WAIT as usize, value as usize, &raw const none as usize, 0, 0])
    };
    result != -libc::EAGAIN as isize && result != -libc::EFAULT as isize
}

/// Sleeps, or less if a signal comes.
pub fn sleep_ns(ns: u64) {
    let time = libc::timespec { tv_sec: (ns / 1_000_000_000) as i64, tv_nsec: (ns % 1_000_000_000) as i64 };
    // SAFETY: the timespec is readable.
    unsafe { syscall(libc::SYS_nanosleep, [&raw const time as usize, 0, 0, 0, 0, 0]) };
}
