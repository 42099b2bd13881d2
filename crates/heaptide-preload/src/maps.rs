//! `mmap`, `munmap` and `mremap`: counted, not attributed.

use core::ffi::c_void;

use heaptide_recorder::mapped;

use crate::real::REAL;

fn unavailable() -> *mut c_void {
    // SAFETY: the calling thread's error number.
    unsafe { *libc::__errno_location() = libc::ENOSYS };
    libc::MAP_FAILED
}

/// POSIX.
///
/// # Safety
///
/// As the C function.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mmap(
    address: *mut c_void,
    bytes: usize,
    protection: i32,
    flags: i32,
    fd: i32,
    offset: i64,
) -> *mut c_void {
    let Some(real) = REAL.mmap() else {
        return unavailable();
    };
    // SAFETY: the program's own call.
    let result = unsafe { real(address, bytes, protection, flags, fd, offset) };
    if result != libc::MAP_FAILED {
        mapped::mapped(result as u64, bytes as u64);
    }
    result
}

/// [`mmap`] under the name that programs with large files use.
///
/// # Safety
///
/// As the C function.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mmap64(
    address: *mut c_void,
    bytes: usize,
    protection: i32,
    flags: i32,
    fd: i32,
    offset: i64,
) -> *mut c_void {
    // SAFETY: promised by the caller.
    unsafe { mmap(address, bytes, protection, flags, fd, offset) }
}

/// POSIX.
///
/// # Safety
///
/// As the C function.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn munmap(address: *mut c_void, bytes: usize) -> i32 {
    let Some(real) = REAL.munmap() else { return 0 };
    // Before the call, as another thread may map the same addresses right after it.
    mapped::unmapped(address as u64, bytes as u64);
    // SAFETY: the program's own call.
    unsafe { real(address, bytes) }
}

/// Linux. The fifth argument counts only with `MREMAP_FIXED`.
///
/// # Safety
///
/// As the C function.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mremap(
    old: *mut c_void,
    old_bytes: usize,
    new_bytes: usize,
    flags: i32,
    fixed: *mut c_void,
) -> *mut c_void {
    let Some(real) = REAL.mremap() else {
        return unavailable();
    };
    // SAFETY: the program's own call; an argument that is not used may be anything.
    let result = unsafe { real(old, old_bytes, new_bytes, flags, fixed) };
    if result != libc::MAP_FAILED {
        mapped::remapped(old as u64, old_bytes as u64, result as u64, new_bytes as u64);
    }
    result
}
