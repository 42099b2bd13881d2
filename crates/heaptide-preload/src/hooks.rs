//! The allocation functions.
//!
//! Sizes are those that the program asked for; `calloc(n, s)` asks for `n × s`. What fails is not recorded. C++'s
//! `new` and `delete` come through `malloc` and `free`.

use core::{arch::naked_asm, ffi::c_void, ptr::null_mut};

use heaptide_recorder::{Caller, allocated, freed, reallocated, reallocation_failed, take};

use crate::real::{REAL, early_alloc, early_room};

/// A hook that notes its caller in the registers of two more arguments and jumps to the function that does the work.
macro_rules! hook {
    ($(#[$doc:meta])* $name:ident -> $work:ident, $slot:literal, $rbp:literal) => {
        $(#[$doc])*
        #[unsafe(no_mangle)]
        #[unsafe(naked)]
        pub unsafe extern "C" fn $name() {
            naked_asm!(
                concat!("mov ", $slot, ", rsp"),
                concat!("mov ", $rbp, ", rbp"),
                "jmp {work}",
                work = sym $work,
            )
        }
    };
}

hook!(/** C11 7.22.3.4. */ malloc -> malloc_at, "rsi", "rdx");
hook!(/** C11 7.22.3.2. */ calloc -> calloc_at, "rdx", "rcx");
hook!(/** C11 7.22.3.5. */ realloc -> realloc_at, "rdx", "rcx");
hook!(/** glibc: `realloc` of `n × s` bytes, failing on overflow. */ reallocarray -> reallocarray_at, "rcx", "r8");
hook!(/** POSIX. */ posix_memalign -> posix_memalign_at, "rcx", "r8");
hook!(/** C11 7.22.3.1. */ aligned_alloc -> aligned_alloc_at, "rdx", "rcx");
hook!(/** glibc, obsolete. */ memalign -> memalign_at, "rdx", "rcx");
hook!(/** glibc, obsolete: page-aligned. */ valloc -> valloc_at, "rsi", "rdx");
hook!(/** glibc, obsolete: whole pages. */ pvalloc -> pvalloc_at, "rsi", "rdx");

#[inline(always)]
fn caller(slot: u64, rbp: u64) -> Caller {
    Caller { slot, rbp }
}

#[inline(always)]
fn record(block: *mut c_void, size: usize, slot: u64, rbp: u64) -> *mut c_void {
    if !block.is_null() {
        allocated(block as u64, size as u64, caller(slot, rbp));
    }
    block
}

unsafe extern "C" fn malloc_at(size: usize, slot: u64, rbp: u64) -> *mut c_void {
    let Some(real) = REAL.malloc() else {
        return early_alloc(size, 16);
    };
    // SAFETY: the program's own call.
    record(unsafe { real(size) }, size, slot, rbp)
}

unsafe extern "C" fn calloc_at(count: usize, size: usize, slot: u64, rbp: u64) -> *mut c_void {
    let Some(real) = REAL.calloc() else {
        return count.checked_mul(size).map_or(null_mut(), |size| early_alloc(size, 16));
    };
    // SAFETY: the program's own call.
    record(unsafe { real(count, size) }, count.wrapping_mul(size), slot, rbp)
}

unsafe extern "C" fn realloc_at(block: *mut c_void, size: usize, slot: u64, rbp: u64) -> *mut c_void {
    if let Some(room) = early_room(block) {
        // SAFETY: the program's own call, for a block of early memory.
        return unsafe { move_from_early(block, room, size, slot, rbp) };
    }
    let Some(real) = REAL.realloc() else {
        return early_alloc(size, 16);
    };
    if block.is_null() {
        // SAFETY: the program's own call.
        return record(unsafe { real(block, size) }, size, slot, rbp);
    }
    let taken = take(block as u64);
    // SAFETY: the program's own call.
    let new = unsafe { real(block, size) };
    if !new.is_null() {
        reallocated(taken, block as u64, Some((new as u64, size as u64)), caller(slot, rbp));
    } else if size == 0 {
        reallocated(taken, block as u64, None, caller(slot, rbp));
    } else {
        reallocation_failed(taken, block as u64);
    }
    new
}

#[cold]
unsafe fn move_from_early(block: *mut c_void, room: usize, size: usize, slot: u64, rbp: u64) -> *mut c_void {
    // SAFETY: as `malloc`.
    let new = unsafe { malloc_at(size, slot, rbp) };
    if !new.is_null() {
        // SAFETY: both are readable that far; what is copied beyond the old block's end is zero.
        unsafe { new.cast::<u8>().copy_from(block.cast(), size.min(room)) };
    }
    new
}

unsafe extern "C" fn reallocarray_at(
    block: *mut c_void,
    count: usize,
    size: usize,
    slot: u64,
    rbp: u64,
) -> *mut c_void {
    match count.checked_mul(size) {
        // SAFETY: the program's own call.
        Some(size) => unsafe { realloc_at(block, size, slot, rbp) },
        None => {
            // SAFETY: the calling thread's error number.
            unsafe { *libc::__errno_location() = libc::ENOMEM };
            null_mut()
        }
    }
}

unsafe extern "C" fn posix_memalign_at(
    place: *mut *mut c_void,
    alignment: usize,
    size: usize,
    slot: u64,
    rbp: u64,
) -> i32 {
    let Some(real) = REAL.posix_memalign() else {
        return libc::ENOMEM;
    };
    // SAFETY: the program's own call.
    let error = unsafe { real(place, alignment, size) };
    if error == 0 {
        // SAFETY: filled by the call.
        record(unsafe { *place }, size, slot, rbp);
    }
    error
}

unsafe extern "C" fn aligned_alloc_at(alignment: usize, size: usize, slot: u64, rbp: u64) -> *mut c_void {
    let Some(real) = REAL.aligned_alloc() else {
        return early_alloc(size, alignment);
    };
    // SAFETY: the program's own call.
    record(unsafe { real(alignment, size) }, size, slot, rbp)
}

unsafe extern "C" fn memalign_at(alignment: usize, size: usize, slot: u64, rbp: u64) -> *mut c_void {
    let Some(real) = REAL.memalign() else {
        return early_alloc(size, alignment);
    };
    // SAFETY: the program's own call.
    record(unsafe { real(alignment, size) }, size, slot, rbp)
}

unsafe extern "C" fn valloc_at(size: usize, slot: u64, rbp: u64) -> *mut c_void {
    let Some(real) = REAL.valloc() else {
        return early_alloc(size, 4096);
    };
    // SAFETY: the program's own call.
    record(unsafe { real(size) }, size, slot, rbp)
}

unsafe extern "C" fn pvalloc_at(size: usize, slot: u64, rbp: u64) -> *mut c_void {
    let Some(real) = REAL.pvalloc() else {
        return early_alloc(size.next_multiple_of(4096), 4096);
    };
    // SAFETY: the program's own call.
    record(unsafe { real(size) }, size, slot, rbp)
}

/// C11 7.22.3.3.
///
/// # Safety
///
/// As the C function.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn free(block: *mut c_void) {
    if block.is_null() || early_room(block).is_some() {
        return;
    }
    let Some(real) = REAL.free() else { return };
    let taken = take(block as u64);
    // SAFETY: the program's own call.
    unsafe { real(block) };
    freed(taken, block as u64);
}

/// The old name of `free`, gone from glibc 2.26 but not from all programs.
///
/// # Safety
///
/// As [`free`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cfree(block: *mut c_void) {
    // SAFETY: promised by the caller.
    unsafe { free(block) };
}

/// C23: `free` with the size that was asked for.
///
/// # Safety
///
/// As the C function.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn free_sized(block: *mut c_void, _size: usize) {
    // SAFETY: promised by the caller.
    unsafe { free(block) };
}

/// C23: `free` with the alignment and size that were asked for.
///
/// # Safety
///
/// As the C function.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn free_aligned_sized(block: *mut c_void, _alignment: usize, _size: usize) {
    // SAFETY: promised by the caller.
    unsafe { free(block) };
}

/// glibc: bytes that may be used of a block.
///
/// # Safety
///
/// As the C function.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn malloc_usable_size(block: *mut c_void) -> usize {
    match (early_room(block), REAL.malloc_usable_size()) {
        (None, Some(real)) if !block.is_null() => {
            // SAFETY: the program's own call.
            unsafe { real(block) }
        }
        _ => 0,
    }
}
