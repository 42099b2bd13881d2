// What a Rust program knows of its own heap: the system allocator, with every call told.
//
// `include!`d by the programs. One line as `truth.h` prints it. It covers Rust's own calls, start-up before `main` among
// them; libc's own (a thread's vector, the reading of /proc/self/maps for the main thread's guard) come on top.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

struct Counted;

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);
static BYTES: AtomicU64 = AtomicU64::new(0);
static FREES: AtomicU64 = AtomicU64::new(0);
static FREED_BYTES: AtomicU64 = AtomicU64::new(0);

fn took(block: *mut u8, bytes: usize) -> *mut u8 {
    if !block.is_null() {
        ALLOCATIONS.fetch_add(1, Relaxed);
        BYTES.fetch_add(bytes as u64, Relaxed);
    }
    block
}

fn gave(bytes: usize) {
    FREES.fetch_add(1, Relaxed);
    FREED_BYTES.fetch_add(bytes as u64, Relaxed);
}

// SAFETY: every call is passed on to the system allocator unchanged.
unsafe impl GlobalAlloc for Counted {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        took(unsafe { System.alloc(layout) }, layout.size())
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        took(unsafe { System.alloc_zeroed(layout) }, layout.size())
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        gave(layout.size());
        unsafe { System.dealloc(block, layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, bytes: usize) -> *mut u8 {
        let moved = unsafe { System.realloc(block, layout, bytes) };
        if !moved.is_null() {
            gave(layout.size());
        }
        took(moved, bytes)
    }
}

#[global_allocator]
static ALLOCATOR: Counted = Counted;

/// Has the line printed at exit, when std has freed what it frees after `main`.
fn print_truth_at_exit() {
    unsafe extern "C" {
        fn atexit(handler: extern "C" fn()) -> i32;
    }
    // SAFETY: the handler touches statics only.
    assert_eq!(unsafe { atexit(print_truth) }, 0);
}

/// Past std's buffer and without allocating.
extern "C" fn print_truth() {
    let (allocations, bytes) = (ALLOCATIONS.load(Relaxed), BYTES.load(Relaxed));
    let (frees, freed_bytes) = (FREES.load(Relaxed), FREED_BYTES.load(Relaxed));
    let (live_blocks, live_bytes) = (allocations - frees, bytes - freed_bytes);
    // SAFETY: standard output stays open; the file is not dropped.
    let mut output = std::mem::ManuallyDrop::new(unsafe { <std::fs::File as std::os::fd::FromRawFd>::from_raw_fd(1) });
    let mut line = std::io::Cursor::new([0u8; 512]);
    let _ = std::io::Write::write_fmt(
        &mut line,
        format_args!(
            "truth allocations={allocations} bytes={bytes} frees={frees} freed_bytes={freed_bytes} live_blocks={live_blocks} live_bytes={live_bytes}\n"
        ),
    );
    let length = line.position() as usize;
    let _ = std::io::Write::write_all(&mut *output, &line.get_ref()[..length]);
}
