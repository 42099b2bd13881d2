//! Names, files and modules as they stand in real programs.

use super::Origin::{Allocator, Dependency, Runtime, Standard, User};
use super::{Classifier, Origin, classify, crate_or_module_name};
use heaptide_profile::{Frame, LocationSymbols, Profile, StringId};

const EXE: &str = "/srv/bin/kv";
const LIBC: &str = "/usr/lib/x86_64-linux-gnu/libc.so.6";
const LIBSTDCXX: &str = "/usr/lib/x86_64-linux-gnu/libstdc++.so.6.0.30";
const VEC: Option<&str> = Some("/rustc/59807616e1fa2540724bfbac14d7976d7e4a3860/library/alloc/src/vec/mod.rs");
const TOKIO: Option<&str> =
    Some("/home/me/.cargo/registry/src/index.crates.io-1949cf8c6b5b557f/tokio-1.40.0/src/runtime/task/raw.rs");
const OWN: Option<&str> = Some("src/store.rs");

#[track_caller]
fn check(rows: &[(&str, Option<&str>, &str, Origin, &str)]) {
    for (function, file, module, origin, name) in rows {
        assert_eq!(classify(function, *file, module), *origin, "{function} in {file:?} in {module}");
        assert_eq!(crate_or_module_name(function, *file, module), *name, "{function} in {file:?} in {module}");
    }
}

#[test]
#[rustfmt::skip]
fn c() {
    check(&[
        ("malloc", None, LIBC, Allocator, "libc.so.6"),
        ("__libc_calloc", None, LIBC, Allocator, "libc.so.6"),
        ("_int_free", Some("./malloc/malloc.c"), LIBC, Allocator, "libc.so.6"),
        ("__GI___libc_malloc", Some("./malloc/malloc.c"), LIBC, Allocator, "libc.so.6"),
        ("posix_memalign", None, LIBC, Allocator, "libc.so.6"),
        ("je_malloc", None, "/usr/lib/x86_64-linux-gnu/libjemalloc.so.2", Allocator, "libjemalloc.so.2"),
        ("arena_extent_alloc", None, "/usr/lib/libjemalloc.so.2", Allocator, "libjemalloc.so.2"),
        ("_rjem_malloc", Some("src/jemalloc.c"), EXE, Allocator, "kv"),
        ("mi_malloc_aligned", None, EXE, Allocator, "kv"),
        ("anything", None, "/opt/heaptide/libheaptide_preload.so", Allocator, "libheaptide_preload.so"),
        ("_IO_file_doallocate", Some("./libio/filedoalloc.c"), LIBC, Standard, "libc.so.6"),
        ("__strdup", None, LIBC, Standard, "libc.so.6"),
        ("qsort_r", None, "/lib/libc.musl-x86_64.so.1", Standard, "libc.musl-x86_64.so.1"),
        ("getaddrinfo", None, "/lib/x86_64-linux-gnu/libc-2.31.so", Standard, "libc-2.31.so"),
        ("_dl_new_object", Some("./elf/dl-object.c"), "/usr/lib64/ld-linux-x86-64.so.2", Runtime, "ld-linux-x86-64.so.2"),
        ("__libc_start_call_main", None, LIBC, Runtime, "libc.so.6"),
        ("_start", None, EXE, Runtime, "kv"),
        ("start_thread", Some("./nptl/pthread_create.c"), LIBC, Runtime, "libc.so.6"),
        ("clone3", Some("../sysdeps/unix/sysv/linux/x86_64/clone3.S"), LIBC, Runtime, "libc.so.6"),
        ("clone", Some("src/object.c"), EXE, User, "kv"),
        ("start", Some("src/server.c"), EXE, User, "kv"),
        ("main", Some("src/main.c"), EXE, User, "kv"),
        ("main", None, EXE, User, "kv"),
        ("SSL_new", None, "/usr/lib/x86_64-linux-gnu/libssl.so.3", Dependency, "libssl.so.3"),
        ("inflate", Some("inflate.c"), "/lib/x86_64-linux-gnu/libz.so.1", Dependency, "libz.so.1"),
        ("plugin_init", None, "/srv/plugins/libplugin.so", User, "libplugin.so"),
        ("__vdso_clock_gettime", None, "[vdso]", Runtime, "[vdso]"),
    ]);
}

#[test]
#[rustfmt::skip]
fn cpp() {
    let vector = Some("/usr/include/c++/12/bits/stl_vector.h");
    let own = Some("/src/kv/table.cc");
    check(&[
        ("operator new(unsigned long)", None, LIBSTDCXX, Allocator, "libstdc++.so.6.0.30"),
        ("operator delete[](void*, unsigned long)", None, LIBSTDCXX, Allocator, "libstdc++.so.6.0.30"),
        ("std::allocator<int>::allocate(unsigned long)", vector, EXE, Allocator, "kv"),
        ("std::__new_allocator<char>::allocate(unsigned long, void const*)", vector, EXE, Allocator, "kv"),
        ("std::allocator_traits<std::allocator<int> >::allocate(std::allocator<int>&, unsigned long)", vector, EXE, Allocator, "kv"),
        ("__gnu_cxx::new_allocator<char>::allocate(unsigned long, void const*)", vector, EXE, Allocator, "kv"),
        ("std::vector<int, std::allocator<int> >::push_back(int&&)", vector, EXE, Standard, "kv"),
        ("void std::vector<int, std::allocator<int> >::_M_realloc_insert<int>(__gnu_cxx::__normal_iterator<int*, std::vector<int, std::allocator<int> > >, int&&)", None, EXE, Standard, "kv"),
        ("std::__cxx11::basic_string<char, std::char_traits<char>, std::allocator<char> >::_M_create(unsigned long&, unsigned long)", None, LIBSTDCXX, Standard, "libstdc++.so.6.0.30"),
        ("std::basic_ostream<char, std::char_traits<char> >& std::operator<< <std::char_traits<char> >(std::basic_ostream<char, std::char_traits<char> >&, char const*)", None, LIBSTDCXX, Standard, "libstdc++.so.6.0.30"),
        ("__cxxabiv1::__cxa_get_globals()", None, LIBSTDCXX, Standard, "libstdc++.so.6.0.30"),
        ("std::thread::_State_impl<std::thread::_Invoker<std::tuple<void (*)()> > >::_M_run()", None, EXE, Runtime, "kv"),
        ("execute_native_thread_routine", None, LIBSTDCXX, Runtime, "libstdc++.so.6.0.30"),
        ("kv::fill(kv::Table<int>&, char const*)", own, EXE, User, "kv"),
        ("kv::Table<std::vector<int> >::insert(std::vector<int>)", own, EXE, User, "kv"),
        ("std::vector<int> kv::all<int>(kv::Table<int> const&)", own, EXE, User, "kv"),
        ("std::string (anonymous namespace)::name<int>(int)", own, EXE, User, "kv"),
        ("(anonymous namespace)::name(std::string const&)", own, EXE, User, "kv"),
        ("kv::Table<int>::operator()(int) const", own, EXE, User, "kv"),
        ("kv::Table<int>::operator std::string() const", own, EXE, User, "kv"),
        ("kv::fill(kv::Table<int>&)::{lambda(int)#1}::operator()(int) const", own, EXE, User, "kv"),
        ("operator()", own, EXE, User, "kv"),
        ("kv::operator<<(std::ostream&, kv::Row const&)", own, EXE, User, "kv"),
        ("boost::asio::detail::scheduler::run(boost::system::error_code&)", Some("/usr/include/boost/asio.hpp"), EXE, Dependency, "kv"),
        ("google::protobuf::Message::New() const", None, "/usr/lib/libprotobuf.so.32", Dependency, "libprotobuf.so.32"),
        ("core::Engine::start(int)", own, EXE, User, "kv"),
    ]);
}

#[test]
#[rustfmt::skip]
fn rust_library() {
    let hashbrown = Some("/rust/deps/hashbrown-0.16.1/src/raw.rs");
    let rt = Some("/rustc/59807616e1fa2540724bfbac14d7976d7e4a3860/library/std/src/rt.rs");
    check(&[
        ("__rust_alloc", None, EXE, Allocator, "kv"),
        ("__rustc::__rust_realloc", None, EXE, Allocator, "__rustc"),
        ("__rustc::__rdl_alloc", Some("/rustc/5980/library/std/src/alloc.rs"), EXE, Allocator, "__rustc"),
        ("alloc::alloc::alloc", VEC, EXE, Allocator, "alloc"),
        ("alloc::alloc::exchange_malloc", VEC, EXE, Allocator, "alloc"),
        ("<alloc::alloc::Global as core::alloc::Allocator>::allocate", VEC, EXE, Allocator, "alloc"),
        ("<tikv_jemallocator::Jemalloc as core::alloc::global::GlobalAlloc>::alloc", TOKIO, EXE, Allocator, "tikv_jemallocator"),
        ("alloc::raw_vec::RawVecInner<A>::reserve::do_reserve_and_handle", VEC, EXE, Allocator, "alloc"),
        ("<alloc::raw_vec::RawVec<(usize, getopts::Optval)>>::grow_one", VEC, EXE, Allocator, "alloc"),
        ("alloc::raw_vec::finish_grow", VEC, EXE, Allocator, "alloc"),
        ("alloc::vec::Vec<T,A>::push", VEC, EXE, Standard, "alloc"),
        ("<alloc::vec::Vec<u8>>::with_capacity", VEC, EXE, Standard, "alloc"),
        ("<alloc::vec::Vec<kv::Row> as core::clone::Clone>::clone", VEC, EXE, Standard, "alloc"),
        ("<alloc::vec::Vec<T> as alloc::vec::spec_from_iter::SpecFromIter<T,I>>::from_iter", VEC, EXE, Standard, "alloc"),
        ("alloc::slice::<impl [T]>::to_vec", VEC, EXE, Standard, "alloc"),
        ("core::fmt::num::<impl core::fmt::Debug for u64>::fmt", VEC, EXE, Standard, "core"),
        ("<&mut F as core::ops::function::FnOnce<A>>::call_once", VEC, EXE, Standard, "core"),
        ("<&char as core::fmt::Debug>::fmt", VEC, EXE, Standard, "core"),
        ("<T as alloc::string::ToString>::to_string", VEC, EXE, Standard, "alloc"),
        ("<str>::to_owned", VEC, EXE, Standard, "core"),
        ("core::ptr::drop_in_place<alloc::vec::Vec<kv::Row>>", VEC, EXE, Standard, "core"),
        ("core::ops::function::FnOnce::call_once{{vtable.shim}}", VEC, EXE, Standard, "core"),
        ("hashbrown::raw::RawTable<T,A>::reserve_rehash", hashbrown, EXE, Standard, "hashbrown"),
        ("<hashbrown::raw::RawTable<(u32, u32)>>::reserve_rehash::<F>::{closure#0}", hashbrown, EXE, Standard, "hashbrown"),
        ("std::collections::hash::map::HashMap<K,V,S>::insert", VEC, EXE, Standard, "std"),
        ("std::rt::lang_start::{{closure}}", rt, EXE, Runtime, "std"),
        ("std::rt::lang_start_internal", rt, EXE, Runtime, "std"),
        ("std::panicking::catch_unwind::do_call", VEC, EXE, Runtime, "std"),
        ("std::sys::backtrace::__rust_begin_short_backtrace", VEC, EXE, Runtime, "std"),
        ("std::thread::Builder::spawn_unchecked_::{{closure}}", VEC, EXE, Runtime, "std"),
        ("<std::sys::thread::unix::Thread>::new::thread_start", VEC, EXE, Runtime, "std"),
        ("std::sys::pal::unix::thread::Thread::new::thread_start", VEC, EXE, Runtime, "std"),
    ]);
}

#[test]
#[rustfmt::skip]
fn rust_programs() {
    check(&[
        ("kv::main", Some("src/main.rs"), EXE, User, "kv"),
        ("kv::store::Table<T>::insert", OWN, EXE, User, "kv"),
        ("<kv::store::Table<T> as core::ops::drop::Drop>::drop", OWN, EXE, User, "kv"),
        ("<kv::store::Table<alloc::string::String>>::insert", OWN, EXE, User, "kv"),
        ("<alloc::vec::Vec<T> as kv::store::Rows>::rows", OWN, EXE, User, "kv"),
        ("<T as kv::store::Rows>::rows", OWN, EXE, User, "kv"),
        ("<&mut [kv::Row] as core::fmt::Debug>::fmt", OWN, EXE, User, "kv"),
        ("<fn(u8) -> u8 as kv::Call>::call", OWN, EXE, User, "kv"),
        ("kv::serve::{closure#0}::{closure#1}", OWN, EXE, User, "kv"),
        ("kv::store::<impl core::convert::From<kv::Row> for u32>::from", OWN, EXE, User, "kv"),
        ("kv::lines", VEC, EXE, User, "kv"),
        ("kv::main", None, EXE, User, "kv"),
        ("tokio::runtime::task::raw::poll", TOKIO, EXE, Dependency, "tokio"),
        ("<tokio::task::Task<S> as core::future::Future>::poll", TOKIO, EXE, Dependency, "tokio"),
        ("serde_json::de::from_str", Some("/usr/local/cargo/registry/src/x/serde_json-1.0.1/src/de.rs"), EXE, Dependency, "serde_json"),
        ("quinn::Endpoint::accept", Some("/h/.cargo/git/checkouts/quinn-2f3a9c11d0e4b567/ab12/quinn/src/endpoint.rs"), EXE, Dependency, "quinn"),
    ]);
}

/// Rust's library has dependencies of its own, and types without a crate.
#[test]
#[rustfmt::skip]
fn rust_library_inside() {
    let gimli = Some("/rust/deps/gimli-0.32.3/src/read/abbrev.rs");
    let atomic = Some("/rustc/5980/library/core/src/sync/atomic.rs");
    check(&[
        ("<gimli::read::abbrev::Abbreviations>::get", gimli, EXE, Standard, "gimli"),
        ("<[addr2line::unit::SupUnit<R>]>::binary_search_by::<F>", VEC, EXE, Standard, "core"),
        ("<*mut libc::unix::linux_like::linux::pidfd_info>::write_bytes", VEC, EXE, Standard, "core"),
        ("<&str as <std::ffi::os_str::OsString>::push::SpecPushTo>::spec_push_to", VEC, EXE, Standard, "std"),
        ("<u8 as <[_]>::to_vec_in::ConvertVec>::to_vec::<alloc::alloc::Global>", VEC, EXE, Standard, "core"),
        ("__rustc::rust_begin_unwind", VEC, EXE, Standard, "__rustc"),
        ("kv::Sender<T>::send", atomic, EXE, User, "kv"),
    ]);
}

#[test]
#[rustfmt::skip]
fn what_is_known_of_a_crate_holds_where_the_file_is_not() {
    let mut profile = Profile::default();
    let frames = [
        ("tokio::task::spawn", TOKIO),
        ("tokio::task::raw::poll", TOKIO),
        ("tokio::odd", OWN),
        ("kv::main", OWN),
        ("kv::odd", TOKIO),
        ("kv::serve", OWN),
        ("kv::none", None),
    ];
    let mut id = |string: &str| {
        profile.strings.push(string.to_owned());
        StringId(u32::try_from(profile.strings.len()).unwrap() - 1)
    };
    let frames = frames.map(|(function, file)| Frame {
        function: id(function),
        file: file.map(&mut id),
        line: None,
        inlined: false,
    });
    profile.symbols.push(LocationSymbols {
        frames: frames.to_vec(),
    });
    // A row that names no string is passed over.
    profile.symbols.push(LocationSymbols {
        frames: vec![Frame {
            function: StringId(99),
            ..frames[0]
        }],
    });
    let learned = Classifier::learn(&profile);
    let atomic = Some("/rustc/5980/library/core/src/sync/atomic.rs");
    for (function, file, expected) in [
        ("tokio::sync::watch::Sender<T>::send", None, Dependency),
        ("tokio::sync::watch::Sender<T>::send", atomic, Dependency),
        ("<tokio::task::Task<S> as core::future::Future>::poll", None, Dependency),
        ("tokio::main", OWN, User),
        ("kv::store", None, User),
        ("other::main", None, User),
        ("alloc::vec::Vec<T>::push", None, Standard),
    ] {
        assert_eq!(
            learned.classify(function, file, EXE),
            expected,
            "{function} in {file:?}"
        );
    }
    assert_eq!(
        classify("tokio::sync::watch::Sender<T>::send", None, EXE),
        User
    );
}

/// What line tables leave of inlined Rust functions.
#[test]
#[rustfmt::skip]
fn rust_bare_names() {
    let raw_vec = Some("/rustc/5980/library/alloc/src/raw_vec/mod.rs");
    let lifecycle = Some(
        "/home/me/.rustup/toolchains/stable/lib/rustlib/src/rust/library/std/src/thread/lifecycle.rs",
    );
    check(&[
        ("push<alloc::string::String, alloc::alloc::Global>", VEC, EXE, Standard, "alloc"),
        ("grow_one<u8, alloc::alloc::Global>", raw_vec, EXE, Allocator, "alloc"),
        ("{closure#0}<(), ()>", lifecycle, EXE, Runtime, "std"),
        ("poll<kv::serve::{async_fn_env#0}>", TOKIO, EXE, Dependency, "tokio"),
        ("clone", OWN, EXE, User, "kv"),
        ("insert<alloc::string::String>", OWN, EXE, User, "kv"),
        ("insert<u32>", Some("/rust/deps/hashbrown-0.16.1/src/map.rs"), EXE, Standard, "hashbrown"),
        ("read", Some("/h/.cargo/git/checkouts/tokio-util-2f3a9c11d0e4b567/ab12/src/io.rs"), EXE, Dependency, "tokio_util"),
    ]);
}

#[test]
#[rustfmt::skip]
fn no_name_is_too_odd() {
    let odd = [
        "",
        "<",
        ">",
        "<>",
        "<>::",
        "::",
        "<<<<",
        "))((",
        "operator",
        "operator(",
        "<T as >::f",
        "é::ü",
        "< as >",
        "<é as ü>::f(",
        "a -> b",
        "{",
        "(anonymous namespace)",
    ];
    for function in odd {
        for file in [
            None,
            Some(""),
            Some(".rs"),
            Some("/registry/src/"),
            Some("/registry/src/x/"),
            Some("/rustc//library/"),
        ] {
            for module in ["", "/", "[vdso]", ".so", "é.so"] {
                let _ = (
                    classify(function, file, module),
                    crate_or_module_name(function, file, module),
                );
            }
        }
    }
    assert_eq!(classify("", None, ""), User);
    assert_eq!(crate_or_module_name("", None, ""), "");
}
