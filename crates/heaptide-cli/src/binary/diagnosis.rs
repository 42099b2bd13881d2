//! What an executable's nature means for a recording, and what to do about it.
//!
//! `heaptide doctor` says all of it, `heaptide run` only what stands in the way or makes the recording poorer.

use super::allocator::{OwnAllocator, Role};
use super::debug_info::DebugInfo;
use super::image::{Image, Linkage};

/// What a remark means for a recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Effect {
    /// As it should be.
    Good,
    /// Worth knowing.
    Neutral,
    /// Names, lines or call paths will be missing.
    Poorer,
    /// Much or all of the program's memory will be missing.
    MostlyEmpty,
    /// It cannot be recorded.
    Impossible,
}

/// One thing that is known of an executable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remark {
    /// What it means for a recording.
    pub effect: Effect,
    /// What is so.
    pub what: String,
    /// What to do about it.
    pub advice: Option<String>,
}

fn remark(effect: Effect, what: impl Into<String>) -> Remark {
    Remark { effect, what: what.into(), advice: None }
}

fn advised(effect: Effect, what: impl Into<String>, advice: impl Into<String>) -> Remark {
    Remark { effect, what: what.into(), advice: Some(advice.into()) }
}

/// Everything worth saying about `image`, in the order of a doctor's visit.
pub fn remarks(image: &Image) -> Vec<Remark> {
    let mut remarks = vec![of_linkage(image)];
    if remarks[0].effect == Effect::Impossible {
        return remarks;
    }
    remarks.extend(of_privilege(image));
    remarks.extend(of_allocators(image));
    remarks.extend(of_language(image));
    remarks.push(of_unwinding(image));
    remarks.push(of_debug_info(image));
    remarks
}

fn of_linkage(image: &Image) -> Remark {
    let arch = std::env::consts::ARCH;
    match &image.linkage {
        Linkage::Glibc(loader) => {
            remark(Effect::Good, format!("64-bit {arch}, dynamically linked with glibc ({loader})"))
        }
        Linkage::Loader => remark(Effect::Good, format!("64-bit {arch}, glibc's program loader")),
        Linkage::Musl(loader) => advised(
            Effect::Impossible,
            format!("it is linked with musl ({loader}), the recorder needs glibc"),
            match image.is_rust {
                true => "build it for a target with glibc, for example `--target x86_64-unknown-linux-gnu`",
                false => "build it against glibc for recording",
            },
        ),
        Linkage::OtherLoader(loader) => advised(
            Effect::Impossible,
            format!("its program loader {loader} is not glibc's, which the recorder needs"),
            "build it against the system's glibc for recording",
        ),
        Linkage::Static => advised(
            Effect::Impossible,
            match image.is_go {
                true => "it is a static Go program: nothing can be loaded into it, and Go's heap is not malloc's",
                false => "it is statically linked: nothing can be loaded into it",
            },
            match (image.is_go, image.is_rust) {
                (true, _) => "its own profile shows its heap: import net/http/pprof and fetch /debug/pprof/heap",
                (_, true) => "build it dynamically: a -gnu target without `-C target-feature=+crt-static`",
                _ => "link it without -static for recording",
            },
        ),
    }
}

fn of_privilege(image: &Image) -> Option<Remark> {
    let privilege = image.privilege?;
    let path = image.path.display();
    Some(advised(
        Effect::Impossible,
        format!("it is {privilege}: the loader ignores LD_PRELOAD for programs that gain rights"),
        format!(
            "run heaptide as the user that it becomes, or record a plain copy: `cp --no-preserve=all {path} copy && chmod +x copy`"
        ),
    ))
}

fn of_allocators(image: &Image) -> Vec<Remark> {
    if image.allocators.is_empty() {
        return vec![match image.allocator_library() {
            Some(library) => remark(Effect::Good, format!("allocator: {library}, a library, which the recorder sees")),
            None => remark(Effect::Good, "allocator: the C library's"),
        }];
    }
    image.allocators.iter().map(|allocator| of_allocator(image, allocator)).collect()
}

fn of_allocator(image: &Image, allocator: &OwnAllocator) -> Remark {
    let OwnAllocator { name, evidence, role } = allocator;
    let evidence = evidence.join(", ");
    match role {
        Role::Sanitizer => advised(
            Effect::MostlyEmpty,
            format!("it is built with {name} ({evidence}), which keeps malloc to itself and may refuse to start"),
            "build it without -fsanitize for recording",
        ),
        Role::ReplacesMalloc => advised(
            Effect::MostlyEmpty,
            format!("it brings its own malloc, {name} ({evidence}): the recorder does not see what that hands out"),
            without(image, name),
        ),
        Role::CalledDirectly => advised(
            Effect::MostlyEmpty,
            format!("{name} is linked into it ({evidence}): the recorder does not see what that hands out"),
            without(image, name),
        ),
    }
}

fn without(image: &Image, name: &str) -> String {
    match image.is_rust {
        true => format!(
            "leave the #[global_allocator] out for recording, for example behind a Cargo feature; without it Rust uses \
             malloc, and {name} can be preloaded as a library"
        ),
        false => "link it without that allocator for recording, or with the allocator as a shared library".to_owned(),
    }
}

fn of_language(image: &Image) -> Option<Remark> {
    if image.is_go {
        return Some(advised(
            Effect::MostlyEmpty,
            "it is a Go program: Go's heap is not malloc's, only memory that C code allocates will be seen",
            "its own profile shows Go's heap: import net/http/pprof and fetch /debug/pprof/heap",
        ));
    }
    let name = image.path.file_name()?.to_string_lossy();
    name.starts_with("python").then(|| {
        advised(
            Effect::Neutral,
            "Python keeps small objects in arenas of its own: they appear as few large blocks",
            "set PYTHONMALLOC=malloc to see every object",
        )
    })
}

fn of_unwinding(image: &Image) -> Remark {
    match image.has_unwind_tables {
        true => remark(Effect::Good, "call paths: unwind tables are there, frame pointers are not needed"),
        false => advised(
            Effect::Poorer,
            "call paths: there are no unwind tables, so they end at this program's functions",
            "build it with -fasynchronous-unwind-tables (Rust: -C force-unwind-tables=yes)",
        ),
    }
}

fn of_debug_info(image: &Image) -> Remark {
    let build = match image.is_rust {
        true => "build it with debug = \"limited\" in the Cargo profile, and do not strip it",
        false => "build it with -g (or -g1, which is small), and do not strip it",
    };
    let path = image.path.canonicalize().unwrap_or_else(|_| image.path.clone());
    let is_system = path.starts_with("/usr") && !path.starts_with("/usr/local");
    let build = if is_system { "install its debug symbols (a -dbgsym package)" } else { build };
    match &image.debug_info {
        DebugInfo::Inside => remark(Effect::Good, "names: functions and lines, from the program's own debug info"),
        DebugInfo::Separate(path) => {
            remark(Effect::Good, format!("names: functions and lines, from {}", path.display()))
        }
        DebugInfo::Split { package: Some(path) } => {
            remark(Effect::Good, format!("names: functions and lines, split debug info in {}", path.display()))
        }
        DebugInfo::Split { package: None } => advised(
            Effect::Neutral,
            "names: functions and lines, from split debug info in .dwo files",
            "keep the .dwo files where they were built, or pack them (split-debuginfo = \"packed\", or dwp)",
        ),
        DebugInfo::SymbolsOnly => {
            advised(Effect::Poorer, "names: functions only, there is no debug info for lines", build)
        }
        DebugInfo::Stripped => {
            advised(Effect::Poorer, "names: it is stripped, most functions will be addresses", build)
        }
    }
}
