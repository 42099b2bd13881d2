//! The functions that the hooks stand in front of.
//!
//! They are looked up once, at the first call of any hook. The lookup itself may allocate (glibc's `dlsym` does, when it
//! fails); such calls are served from [`Early`] and never given back.

use core::{
    cell::UnsafeCell,
    ffi::c_void,
    sync::atomic::{
        AtomicPtr, AtomicU32, AtomicUsize,
        Ordering::{Acquire, Relaxed, Release},
    },
};

use heaptide_recorder::{Allocator, Host};

macro_rules! real_functions {
    ($($(#[$doc:meta])* $name:ident: fn($($argument:ty),*) -> $result:ty;)*) => {
        /// Addresses of the real functions, null where the C library has none.
        #[allow(non_snake_case)]
        pub struct Real {
            $($(#[$doc])* $name: AtomicPtr<c_void>,)*
        }

        /// The real functions.
        pub static REAL: Real = Real { $($name: AtomicPtr::new(core::ptr::null_mut()),)* };

        impl Real {
            $(
                /// The real function of this name.
                #[inline]
                pub fn $name(&self) -> Option<unsafe extern "C" fn($($argument),*) -> $result> {
                    let mut address = self.$name.load(Relaxed);
                    if address.is_null() {
                        if !resolved() {
                            return None;
                        }
                        address = self.$name.load(Relaxed);
                    }
                    // SAFETY: the address of the C function of that name, whose type is this; or null, which is `None`.
                    unsafe { core::mem::transmute(address) }
                }
            )*

            fn look_up(&self) {
                $(
                    let name = concat!(stringify!($name), "\0");
                    self.$name.store(next(name.as_bytes()), Release);
                )*
            }
        }
    };
}

real_functions! {
    malloc: fn(usize) -> *mut c_void;
    free: fn(*mut c_void) -> ();
    calloc: fn(usize, usize) -> *mut c_void;
    realloc: fn(*mut c_void, usize) -> *mut c_void;
    memalign: fn(usize, usize) -> *mut c_void;
    aligned_alloc: fn(usize, usize) -> *mut c_void;
    posix_memalign: fn(*mut *mut c_void, usize, usize) -> i32;
    valloc: fn(usize) -> *mut c_void;
    pvalloc: fn(usize) -> *mut c_void;
    malloc_usable_size: fn(*mut c_void) -> usize;
    mmap: fn(*mut c_void, usize, i32, i32, i32, i64) -> *mut c_void;
    munmap: fn(*mut c_void, usize) -> i32;
    mremap: fn(*mut c_void, usize, usize, i32, *mut c_void) -> *mut c_void;
    dlclose: fn(*mut c_void) -> i32;
    dlopen: fn(*const core::ffi::c_char, i32) -> *mut c_void;
}

fn next(name: &[u8]) -> *mut c_void {
    // SAFETY: a NUL-terminated name.
    unsafe { libc::dlsym(libc::RTLD_NEXT, name.as_ptr().cast()) }
}

const UNRESOLVED: u32 = 0;
const RESOLVING: u32 = 1;
const RESOLVED: u32 = 2;

static STATE: AtomicU32 = AtomicU32::new(UNRESOLVED);

/// Looks the functions up if that has not been done. False while it is being done, further out on this stack: the
/// program has one thread then.
fn resolved() -> bool {
    match STATE.load(Acquire) {
        RESOLVED => true,
        RESOLVING => false,
        _ => resolve(),
    }
}

#[cold]
#[inline(never)]
fn resolve() -> bool {
    if STATE.compare_exchange(UNRESOLVED, RESOLVING, Acquire, Relaxed).is_err() {
        return false;
    }
    REAL.look_up();
    let find_object = next(b"_dl_find_object\0");
    let mut key = 0;
    // SAFETY: a valid place for the key, and a function that takes what the key holds.
    let has_key = unsafe { libc::pthread_key_create(&raw mut key, Some(thread_ends)) } == 0;
    STATE.store(RESOLVED, Release);
    if has_key {
        heaptide_recorder::loaded(Host {
            find_object,
            set_specific: libc::pthread_setspecific,
            key,
            allocator: allocator(),
        });
    }
    true
}

unsafe extern "C" fn thread_ends(things: *mut c_void) {
    heaptide_recorder::thread_exits(things);
}

/// Whether the real `malloc` is glibc's: it then lies in the same library as `gnu_get_libc_version`.
fn allocator() -> Allocator {
    let mut ours = core::mem::MaybeUninit::<libc::Dl_info>::zeroed();
    let mut theirs = core::mem::MaybeUninit::<libc::Dl_info>::zeroed();
    // SAFETY: addresses of functions, and places for the answers.
    let found = unsafe {
        libc::dladdr(REAL.malloc.load(Relaxed), ours.as_mut_ptr()) != 0
            && libc::dladdr(next(b"gnu_get_libc_version\0"), theirs.as_mut_ptr()) != 0
    };
    // SAFETY: zeroed, and filled if found.
    let (ours, theirs) = unsafe { (ours.assume_init(), theirs.assume_init()) };
    if found && ours.dli_fbase == theirs.dli_fbase { Allocator::Glibc } else { Allocator::Other }
}

const EARLY_BYTES: usize = 64 << 10;

/// Memory for allocations made while the real functions are looked up.
#[repr(align(16))]
struct Early(UnsafeCell<[u8; EARLY_BYTES]>);

// SAFETY: pieces are handed out once, by an atomic counter.
unsafe impl Sync for Early {}

static EARLY: Early = Early(UnsafeCell::new([0; EARLY_BYTES]));
static EARLY_USED: AtomicUsize = AtomicUsize::new(0);

/// A zeroed piece of early memory; null when it is used up.
pub fn early_alloc(size: usize, alignment: usize) -> *mut c_void {
    let Some(room) = size.checked_add(alignment.max(16)) else {
        return core::ptr::null_mut();
    };
    let used = EARLY_USED.fetch_add(room.next_multiple_of(16), Relaxed);
    if used.saturating_add(room) > EARLY_BYTES {
        return core::ptr::null_mut();
    }
    let start = (EARLY.0.get() as usize + used).next_multiple_of(alignment.max(16));
    start as *mut c_void
}

/// How many bytes of early memory lie behind an address, if it lies there.
#[inline]
pub fn early_room(address: *mut c_void) -> Option<usize> {
    let offset = (address as usize).wrapping_sub(EARLY.0.get() as usize);
    (offset < EARLY_BYTES).then(|| EARLY_BYTES - offset)
}
