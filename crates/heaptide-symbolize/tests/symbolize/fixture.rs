//! Programs that tell where they were called from, and profiles of what they told.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use heaptide_profile::{Location, Module, ModuleId, Profile, StringId};
use heaptide_symbolize::{Problem, Symbolizer};
use object::Object;

/// `mark("name")` prints its name, the module it was called from and its return address's offset in there.
const MARK: &str = r#"
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
void mark(const char *name) {
    char *address = __builtin_return_address(0);
    Dl_info info;
    if (dladdr(address, &info)) printf("%s %lx %s\n", name, (long)(address - (char *)info.dli_fbase), info.dli_fname);
    fflush(stdout);
}
"#;

/// A directory that ends with the test.
pub struct Dir(pub PathBuf);

impl Dir {
    pub fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let serial = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("heaptide-symbolize-{}-{serial}", std::process::id()));
        fs::create_dir(&path).unwrap();
        let dir = Self(path.canonicalize().unwrap());
        dir.file("mark.c", MARK);
        run(dir.command("gcc", ["-O1", "-c", "mark.c"]));
        dir
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    pub fn file(&self, name: &str, text: &str) -> PathBuf {
        fs::write(self.path(name), text).unwrap();
        self.path(name)
    }

    /// Runs a tool in the directory; its arguments are separated by blanks.
    pub fn tool(&self, line: &str) {
        let mut words = line.split_whitespace();
        run(self.command(words.next().unwrap(), words));
    }

    fn command<'a>(&self, program: &str, args: impl IntoIterator<Item = &'a str>) -> Command {
        let mut command = Command::new(program);
        // Lets a stable rustc still write the old mangling.
        command.args(args).current_dir(&self.0).env("RUSTC_BOOTSTRAP", "1");
        command
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        // A directory that stays behind is no reason to fail.
        let _ = fs::remove_dir_all(&self.0);
    }
}

pub fn run(mut command: Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{command:?}: {}\n{}", output.status, text(&output.stderr));
    text(&output.stdout)
}

/// Where a mark was called.
#[derive(Clone, Debug)]
pub struct Mark {
    pub module: PathBuf,
    pub offset: u64,
}

/// Runs a program and collects its marks.
pub fn marks(program: impl AsRef<OsStr>) -> BTreeMap<String, Mark> {
    let output = run(Command::new(program));
    let mark = |line: &str| {
        let mut words = line.splitn(3, ' ');
        let name = words.next()?.to_owned();
        let offset = u64::from_str_radix(words.next()?, 16).ok()?;
        Some((name, Mark { module: PathBuf::from(words.next()?).canonicalize().ok()?, offset }))
    };
    output.lines().map(|line| mark(line).unwrap_or_else(|| panic!("{line}"))).collect()
}

/// Build id of a file.
pub fn build_id(path: &Path) -> Option<Vec<u8>> {
    let bytes = fs::read(path).unwrap();
    let object = object::File::parse(&*bytes).unwrap();
    object.build_id().unwrap().map(<[u8]>::to_vec)
}

/// The line of `source` that holds `text`, from 1.
pub fn line_of(source: &str, text: &str) -> u32 {
    let at = source.lines().position(|line| line.contains(text)).unwrap_or_else(|| panic!("no {text} in {source}"));
    u32::try_from(at).unwrap() + 1
}

/// A profile with these locations, one module for each.
pub fn profile(locations: &[(&str, Option<Vec<u8>>, u64)]) -> Profile {
    let mut profile = Profile::default();
    for (path, build_id, offset) in locations {
        let row = u32::try_from(profile.modules.len()).unwrap();
        profile.strings.push((*path).to_owned());
        profile.modules.push(Module { path: StringId(row), build_id: build_id.clone(), base: 0x5555_0000_0000 });
        profile.locations.push(Location { module: Some(ModuleId(row)), offset: *offset });
    }
    profile
}

/// A profile with one location, as recorded with the file's own build id.
pub fn profile_of(mark: &Mark) -> Profile {
    profile(&[(mark.module.to_str().unwrap(), build_id(&mark.module), mark.offset)])
}

/// No cache, and debug files only from `dir`.
pub fn symbolizer(dir: &Dir) -> Symbolizer {
    Symbolizer::new().cache_dir(None).debug_dirs([dir.path("debug")])
}

/// A frame with its strings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    pub function: String,
    pub file: Option<String>,
    pub line: Option<u32>,
    pub inlined: bool,
}

/// The frames of a profile's location.
pub fn frames(profile: &Profile, location: usize) -> Vec<Named> {
    let string = |id: StringId| profile.strings[id.index()].clone();
    let frames = profile.symbols[location].frames.iter();
    frames
        .map(|frame| Named {
            function: string(frame.function),
            file: frame.file.map(string),
            line: frame.line,
            inlined: frame.inlined,
        })
        .collect()
}

/// Symbolizes without progress.
pub fn symbolize(symbolizer: &Symbolizer, profile: &mut Profile) -> Vec<Problem> {
    symbolizer.symbolize(profile, &mut |_| {})
}

/// Asserts a location's frames, innermost first: function, end of the file name, line.
#[track_caller]
pub fn check(frames: &[Named], expected: &[(&str, &str, u32)]) {
    let shape: Vec<_> = frames.iter().map(|f| (f.function.as_str(), f.file.as_deref().unwrap_or(""), f.line)).collect();
    assert_eq!(frames.len(), expected.len(), "{shape:#?}");
    for (at, (frame, (function, file, line))) in frames.iter().zip(expected).enumerate() {
        assert_eq!(frame.function, *function, "{shape:#?}");
        assert!(frame.file.as_deref().unwrap_or_default().ends_with(file), "{file} in {shape:#?}");
        assert_eq!(frame.line, Some(*line), "{shape:#?}");
        assert_eq!(frame.inlined, at + 1 < frames.len(), "{shape:#?}");
    }
}
