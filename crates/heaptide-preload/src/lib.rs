//! The library that is loaded into recorded programs: hooks in place of the C library's allocation functions, each of
//! which calls the next library's function of that name and tells the recorder.
//!
//! A hook begins with two instructions that note where its return address lies and the caller's frame pointer; that is
//! where unwinding starts, and why call paths never show the hooks themselves.

#![no_std]

mod hooks;
mod loader;
mod maps;
mod real;
mod start;

#[panic_handler]
fn panic(_: &core::panic::PanicInfo) -> ! {
    // SAFETY: ends the process.
    unsafe { libc::abort() }
}
