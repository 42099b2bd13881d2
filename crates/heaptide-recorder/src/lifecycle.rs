//! When recording starts, what a fork and an exec mean, and what is heard of threads and libraries.
//!
//! The first allocation starts the recorder, constructors or not. A forked child finds everything wiped (see
//! [`crate::global`]) and starts anew or goes dormant; a program executed in the same process finds its predecessor's
//! ledger and begins another.

use core::{
    ffi::c_void,
    sync::atomic::{
        AtomicU32, AtomicU64,
        Ordering::{Acquire, Relaxed, Release},
    },
};

use heaptide_ledger::{
    FOREIGN_CODE_LOCATION, Header, LOCATIONS_LIMIT, Loss, MAGIC, TRUNCATED_LOCATION, VERSION, location,
    series::SERIES_WORDS, state,
};

use crate::{
    global::{EXACT, Global, OFF, SAMPLED, global},
    ledger_file,
    options::{Clock, Follow, Initial, Memo, Options, initial_strings},
    sys,
    thread::{self, SetSpecific},
};

/// What the library that holds the hooks knows of the C library.
#[derive(Clone, Copy)]
pub struct Host {
    /// `_dl_find_object`, or null.
    pub find_object: *const c_void,
    /// `pthread_setspecific`.
    pub set_specific: SetSpecific,
    /// A key whose destructor calls [`thread_exits`].
    pub key: libc::pthread_key_t,
    /// Whether blocks come from glibc's own allocator.
    pub allocator: Allocator,
}

/// Whose blocks are recorded.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(u64)]
pub enum Allocator {
    /// glibc's.
    Glibc = 1,
    /// Another, loaded behind this library.
    Other = 2,
}

const NEVER: u32 = 0;
const STARTING: u32 = 1;
const STARTED: u32 = 2;
const DORMANT: u32 = 3;

// Not wiped in a forked child: they tell it that it is one.
static STATE: AtomicU32 = AtomicU32::new(NEVER);
static FIND_OBJECT: AtomicU64 = AtomicU64::new(0);
static SET_SPECIFIC: AtomicU64 = AtomicU64::new(0);
static KEY: AtomicU64 = AtomicU64::new(0);
static ALLOCATOR: AtomicU64 = AtomicU64::new(0);

/// Tells the recorder about the C library. Until then nothing is recorded.
pub fn loaded(host: Host) {
    FIND_OBJECT.store(host.find_object as u64, Relaxed);
    SET_SPECIFIC.store(host.set_specific as usize as u64, Relaxed);
    KEY.store(u64::from(host.key), Relaxed);
    ALLOCATOR.store(host.allocator as u64, Release);
}

/// Starts recording if it has not yet. Whether a thread is wanted that runs [`crate::keeper`].
pub fn start() -> bool {
    let global = global();
    start_if_needed(global) && global.own_clock.load(Relaxed) != 0
}

/// The program is ending in good order.
pub fn ended() {
    let global = global();
    if global.active.load(Relaxed) != OFF {
        global.header().state.store(state::ENDED, Release);
    }
}

/// A thread ends; `things` is what its key holds.
pub fn thread_exits(things: *mut c_void) {
    let global = global();
    if global.active.load(Relaxed) != OFF {
        thread::ends(global, things.cast());
    }
}

/// The program begins to load libraries itself.
pub fn dynamic_loading_began() {
    global().dynamic.store(1, Relaxed);
}

/// A library is about to be closed.
pub fn library_closing() {
    let global = global();
    if global.active.load(Relaxed) != OFF {
        global.closing.fetch_add(1, Relaxed);
        global.unload_epoch.fetch_add(1, Release);
    }
}

/// A library was closed; perhaps it is gone.
pub fn library_closed() {
    let global = global();
    if global.active.load(Relaxed) != OFF && global.closing.load(Relaxed) != 0 {
        global.modules.sweep(global);
        global.unload_epoch.fetch_add(1, Release);
        global.closing.fetch_sub(1, Release);
    }
}

/// Whether events are recorded, after starting where that is due.
#[cold]
#[inline(never)]
pub fn start_if_needed(global: &Global) -> bool {
    if ALLOCATOR.load(Acquire) == 0 {
        return false;
    }
    match STATE.load(Acquire) {
        NEVER => {
            if STATE.compare_exchange(NEVER, STARTING, Acquire, Relaxed).is_err() {
                return false;
            }
            begin(global, Options::read(), Origin::Executed)
        }
        STARTED if global.active.load(Acquire) != OFF => true,
        STARTED => {
            if STATE.compare_exchange(STARTED, STARTING, Acquire, Relaxed).is_err() {
                return false;
            }
            thread::forget_thread();
            begin(global, Options::kept(), Origin::Forked)
        }
        _ => false,
    }
}

/// How the process came to be.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Origin {
    Executed,
    Forked,
}

fn begin(global: &Global, options: Options, origin: Origin) -> bool {
    let pid = sys::pid();
    let wanted = match (options.follow, origin) {
        (Follow::Children, _) => true,
        (Follow::First, Origin::Executed) => options.root.is_none_or(|root| root == pid),
        (Follow::First, Origin::Forked) => false,
    };
    if !wanted {
        STATE.store(DORMANT, Release);
        if origin == Origin::Executed {
            crate::environment::leave();
        }
        return false;
    }
    match set_up(global, &options, pid) {
        Ok(()) => {
            STATE.store(STARTED, Release);
            let mode = if options.sample_bytes == 0 { EXACT } else { SAMPLED };
            global.active.store(mode, Release);
            true
        }
        Err(why) => {
            STATE.store(DORMANT, Release);
            sys::complain(&[b"heaptide: not recording this program: ", why, b"\n"]);
            false
        }
    }
}

fn set_up(global: &Global, options: &Options, pid: u32) -> Result<(), &'static [u8]> {
    if !global.protect_from_fork() {
        return Err(b"this kernel cannot keep a forked child out of its parent's ledger (Linux 4.14 can)");
    }
    crate::place::create(global, options, pid)?;
    let header = global.header();
    header.version.store(VERSION, Relaxed);
    header.pid.store(u64::from(pid), Relaxed);
    header.started_unix_ns.store(sys::clock_ns(libc::CLOCK_REALTIME), Relaxed);
    header.started_monotonic_ns.store(sys::clock_ns(libc::CLOCK_MONOTONIC), Relaxed);
    header.sample_interval.store(options.sample_bytes, Relaxed);
    describe_program(global, header);

    global.sample_interval.store(options.sample_bytes, Relaxed);
    global.memo.store(u64::from(options.memo != Memo::Unused), Relaxed);
    global.verify.store(u64::from(options.memo == Memo::Verified), Relaxed);
    global.interval_ms.store(options.interval_ms, Relaxed);
    global.own_clock.store(u64::from(options.clock == Clock::Thread), Relaxed);
    global.modules.use_finder(FIND_OBJECT.load(Relaxed) as *const c_void);
    // SAFETY: stored from a function of this type.
    let set_specific: SetSpecific = unsafe { core::mem::transmute(SET_SPECIFIC.load(Relaxed) as *const ()) };
    let glibc = ALLOCATOR.load(Relaxed) == Allocator::Glibc as u64;
    let ready = global.buffers.start(global)
        && global.return_addresses.start(global)
        && global.nodes.start(global)
        && global.sites.start(global)
        && global.heap_map.start(global, glibc)
        && global.threads.start(global, set_specific, KEY.load(Relaxed) as libc::pthread_key_t)
        && special_locations(global).is_ok()
        // The first node; with it the root's row exists.
        && crate::walk::cut(global).is_ok();
    if !ready {
        sys::unlink(global.ledger_path());
        return Err(b"no memory for the recorder (is there a limit on address space?)");
    }
    if let Ok(unit) = ledger_file::allocate(global, SERIES_WORDS as u64 * 8) {
        header.series.store(unit, Release);
    }
    header.state.store(state::RECORDING, Relaxed);
    header.magic.store(MAGIC, Release);
    Ok(())
}

fn special_locations(global: &Global) -> Result<(), Loss> {
    for special in [TRUNCATED_LOCATION, FOREIGN_CODE_LOCATION] {
        let locations = &global.header().locations;
        let (index, words) = ledger_file::new_row(global, locations, 1, LOCATIONS_LIMIT, Loss::Locations)?;
        debug_assert!(index == special);
        // SAFETY: the new row.
        unsafe { &*words }.store(location::pack(0, special), Release);
    }
    Ok(())
}

fn describe_program(global: &Global, header: &Header) {
    if let Some(room) = arguments() {
        // What is not used of the room serves for the path.
        let (kept, rest) = room.split_at_mut(ARGUMENTS_LEN.load(Relaxed) as usize);
        if let Some(exe) = sys::read_link(b"/proc/self/exe\0", rest) {
            header.exe.store(ledger_file::text(global, exe), Relaxed);
        }
        header.args.store(ledger_file::text(global, kept), Relaxed);
    }
    header.recorder_version.store(ledger_file::text(global, env!("CARGO_PKG_VERSION").as_bytes()), Relaxed);
}

// Kept from the start, for forked children: programs write over their arguments to show what they do.
static ARGUMENTS: AtomicU64 = AtomicU64::new(0);
static ARGUMENTS_LEN: AtomicU64 = AtomicU64::new(0);
/// Room for the arguments, and a path behind them.
const ARGUMENTS_ROOM: usize = 64 << 10;
const MOST_ARGUMENTS_BYTES: usize = ARGUMENTS_ROOM - 4096;

/// The room that holds the arguments, each ended by a NUL byte.
fn arguments() -> Option<&'static mut [u8]> {
    let known = ARGUMENTS.load(Acquire) as *mut u8;
    let memory = if known.is_null() { sys::map_private(ARGUMENTS_ROOM)? } else { known };
    // SAFETY: memory of that size, used only while the recorder is being set up.
    let room = unsafe { core::slice::from_raw_parts_mut(memory, ARGUMENTS_ROOM) };
    if known.is_null() {
        let mut len = 0;
        for argument in initial_strings(Initial::Arguments) {
            let end = len + argument.len() + 1;
            if end > MOST_ARGUMENTS_BYTES {
                break;
            }
            room[len..end - 1].copy_from_slice(argument);
            len = end;
        }
        ARGUMENTS_LEN.store(len as u64, Relaxed);
        ARGUMENTS.store(memory as u64, Release);
    }
    Some(room)
}
