//! Names and places that tell whose code it is. All of them were seen in real programs.

/// C functions that hand out or take back memory, as every allocator names them after its prefix.
#[rustfmt::skip]
pub(super) const MALLOC_FAMILY: [&str; 24] = [
    "malloc", "calloc", "realloc", "reallocarray", "reallocf", "recallocarray", "free", "cfree", "free_sized",
    "free_aligned_sized", "memalign", "aligned_alloc", "posix_memalign", "valloc", "pvalloc", "malloc_usable_size",
    "mallocx", "rallocx", "sdallocx", "dallocx", "malloc_aligned", "calloc_aligned", "zalloc", "heap_malloc",
];

/// Prefixes of other allocators and of libc's internal names.
#[rustfmt::skip]
pub(super) const MALLOC_PREFIXES: [&str; 11] = [
    "__libc_", "_int_", "__GI___libc_", "__", "je_", "_rjem_je_", "_rjem_", "mi_", "tc_", "rp", "_mi_",
];

/// C functions that call `main`, thread functions and constructors.
#[rustfmt::skip]
pub(super) const C_RUNTIME: [&str; 17] = [
    "_start", "_init", "__libc_start_main", "__libc_start_call_main", "__libc_start_main_impl", "__libc_csu_init",
    "generic_start_main", "libc_start_main_stage2", "start_thread", "start", "clone", "clone3", "__clone", "__clone3",
    "call_init", "execute_native_thread_routine", "__rust_try",
];

/// Rust's own allocation symbols.
#[rustfmt::skip]
pub(super) const RUST_ALLOCATOR_SYMBOLS: [&str; 6] = [
    "__rust_alloc", "__rust_realloc", "__rust_dealloc", "__rust_no_alloc_shim", "__rdl_", "__rg_",
];

/// Paths of Rust's library that hand out memory.
#[rustfmt::skip]
pub(super) const RUST_ALLOCATOR: [&str; 5] =
    ["alloc::alloc", "alloc::raw_vec", "std::alloc", "std::sys::alloc", "core::alloc"];

/// Traits that allocators implement.
pub(super) const RUST_ALLOCATOR_TRAITS: [&str; 2] = ["core::alloc", "alloc::alloc"];

/// Paths of Rust's library that start processes and threads.
#[rustfmt::skip]
pub(super) const RUST_RUNTIME: [&str; 10] = [
    "std::rt", "std::panicking", "std::panic", "core::panic::unwind_safe", "std::sys::backtrace",
    "std::sys_common::backtrace", "std::thread::lifecycle", "std::sys::thread", "std::sys::pal::unix::thread",
    "std::sys::pal::unix::init",
];

/// Crates that come with the compiler.
#[rustfmt::skip]
pub(super) const RUST_LIBRARY: [&str; 9] = [
    "alloc", "core", "std", "hashbrown", "compiler_builtins", "std_detect", "proc_macro", "test", "__rustc",
];

/// Paths of the C++ library that hand out memory.
#[rustfmt::skip]
pub(super) const CPP_ALLOCATOR: [&str; 8] = [
    "std::allocator", "std::allocator_traits", "std::__new_allocator", "std::__allocate_guarded",
    "std::pmr::polymorphic_allocator", "std::__1::allocator", "__gnu_cxx::new_allocator", "__gnu_cxx::__alloc_traits",
];

/// Namespaces of the C++ library.
pub(super) const CPP_LIBRARY: [&str; 4] = ["std", "__gnu_cxx", "__cxxabiv1", "__gnu_debug"];

/// Crates that the compiler's library is built from: no program calls these copies.
pub(super) const RUST_LIBRARY_DEPENDENCIES: &str = "/rust/deps/";

/// Parts of source paths of compilers' libraries.
#[rustfmt::skip]
pub(super) const STANDARD_PLACES: [&str; 5] = [
    "/rustc/", "/rust/deps/", "/lib/rustlib/src/rust/", "/include/c++/", "/libstdc++-v3/",
];

/// Rust's library: sources that hand out memory.
#[rustfmt::skip]
pub(super) const ALLOCATOR_FILES: [&str; 5] = [
    "library/alloc/src/alloc.rs", "library/alloc/src/raw_vec", "library/std/src/alloc.rs", "library/std/src/sys/alloc/",
    "library/core/src/alloc/",
];

/// Rust's library: sources that start processes and threads.
#[rustfmt::skip]
pub(super) const RUNTIME_FILES: [&str; 8] = [
    "library/std/src/rt.rs", "library/std/src/panicking.rs", "library/std/src/panic.rs",
    "library/core/src/panic/unwind_safe.rs", "library/std/src/sys/backtrace.rs", "library/std/src/sys/thread/",
    "library/std/src/sys/pal/unix/thread.rs", "library/std/src/thread/lifecycle.rs",
];

/// Parts of source paths of other people's code.
#[rustfmt::skip]
pub(super) const DEPENDENCY_PLACES: [&str; 4] = ["/registry/src/", "/git/checkouts/", "/vendor/", "/third_party/"];

/// Libraries that replace `malloc`.
#[rustfmt::skip]
pub(super) const ALLOCATOR_MODULES: [&str; 6] = [
    "libheaptide_preload", "libheaptide", "libjemalloc", "libmimalloc", "libtcmalloc", "libtcmalloc_minimal",
];

/// The languages' libraries.
#[rustfmt::skip]
pub(super) const STANDARD_MODULES: [&str; 10] = [
    "libc", "libm", "libpthread", "libdl", "librt", "libstdc++", "libgcc_s", "libc++", "libc++abi", "libunwind",
];

/// Where systems keep libraries.
#[rustfmt::skip]
pub(super) const LIBRARY_DIRS: [&str; 6] = [
    "/usr/lib/", "/usr/lib64/", "/lib/", "/lib64/", "/usr/local/lib/", "/nix/store/",
];
