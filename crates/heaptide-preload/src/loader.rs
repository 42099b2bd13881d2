//! `dlopen` and `dlclose`: so that addresses of a library that is gone are not taken for its successor's.
//!
//! `dlopen` looks at its return address to find out whose library path counts, so its hook must not stand between: it
//! notes the call and jumps on.

use core::{arch::naked_asm, ffi::c_void};

use crate::real::REAL;

/// POSIX.
///
/// # Safety
///
/// As the C function.
#[unsafe(no_mangle)]
#[unsafe(naked)]
pub unsafe extern "C" fn dlopen() {
    naked_asm!(
        "push rdi",
        "push rsi",
        "sub rsp, 8",
        "call {note}",
        "add rsp, 8",
        "pop rsi",
        "pop rdi",
        "jmp rax",
        note = sym note_dlopen,
    )
}

extern "C" fn note_dlopen() -> *const c_void {
    heaptide_recorder::dynamic_loading_began();
    match REAL.dlopen() {
        Some(real) => real as *const c_void,
        None => no_dlopen as *const c_void,
    }
}

extern "C" fn no_dlopen() -> *mut c_void {
    core::ptr::null_mut()
}

/// POSIX.
///
/// # Safety
///
/// As the C function.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dlclose(library: *mut c_void) -> i32 {
    let Some(real) = REAL.dlclose() else {
        return -1;
    };
    heaptide_recorder::library_closing();
    // SAFETY: the program's own call.
    let result = unsafe { real(library) };
    heaptide_recorder::library_closed();
    result
}
