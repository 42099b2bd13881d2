//! The library's constructor and destructor.

use core::ffi::c_void;

use crate::real::REAL;

#[used]
#[unsafe(link_section = ".init_array")]
static CONSTRUCTOR: extern "C" fn() = begin;

#[used]
#[unsafe(link_section = ".fini_array")]
static DESTRUCTOR: extern "C" fn() = end;

/// A program that never allocates has a recording too, and one without an observer keeps its own clock.
extern "C" fn begin() {
    let _ = REAL.malloc();
    if heaptide_recorder::start() {
        heaptide_recorder::mute(start_keeper);
    }
}

extern "C" fn end() {
    heaptide_recorder::ended();
}

fn start_keeper() {
    let mut all = core::mem::MaybeUninit::<libc::sigset_t>::uninit();
    let mut before = core::mem::MaybeUninit::<libc::sigset_t>::uninit();
    let mut thread = core::mem::MaybeUninit::<libc::pthread_t>::uninit();
    // SAFETY: places for signal sets and a thread; signals are for the program's own threads.
    unsafe {
        libc::sigfillset(all.as_mut_ptr());
        libc::pthread_sigmask(libc::SIG_SETMASK, all.as_ptr(), before.as_mut_ptr());
        if libc::pthread_create(thread.as_mut_ptr(), core::ptr::null(), keep, core::ptr::null_mut()) == 0 {
            libc::pthread_detach(thread.assume_init());
        }
        libc::pthread_sigmask(libc::SIG_SETMASK, before.as_ptr(), core::ptr::null_mut());
    }
}

extern "C" fn keep(_: *mut c_void) -> *mut c_void {
    heaptide_recorder::keep_clock();
    core::ptr::null_mut()
}
