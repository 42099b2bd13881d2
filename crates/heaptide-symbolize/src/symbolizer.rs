//! A profile's locations, module by module.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use heaptide_profile::{Frame, LocationSymbols, Profile};

use crate::cache::{self, Cached};
use crate::debug_file::hex;
use crate::intern::Interner;
use crate::lookup::SourceFrame;
use crate::module::{self, ModuleFiles};
use crate::problem::{Cause, Problem};
use crate::vdso;

/// How often a long module tells how far it is, in locations.
const PROGRESS_STEP: usize = 64;

/// A module with debug information is incomplete if one in so many locations has no line: start-up code, assembly
/// and the compiler's library have none in healthy programs.
const INCOMPLETE_SHARE: usize = 3;

/// How far symbolizing is.
#[derive(Clone, Copy, Debug)]
pub struct Progress<'a> {
    /// Path of the module at hand.
    pub module: &'a str,
    /// Locations done.
    pub done: usize,
    /// All locations.
    pub total: usize,
}

/// Fills a profile's symbols from the files of its modules.
///
/// ```no_run
/// # let mut profile = heaptide_profile::Profile::default();
/// let problems = heaptide_symbolize::Symbolizer::new().symbolize(&mut profile, &mut |_| {});
/// for problem in problems {
///     eprintln!("warning: {problem}\nhint: {}", problem.hint());
/// }
/// ```
#[derive(Clone, Debug)]
pub struct Symbolizer {
    debug_dirs: Vec<PathBuf>,
    cache_dir: Option<PathBuf>,
}

impl Default for Symbolizer {
    fn default() -> Self {
        Self::new()
    }
}

impl Symbolizer {
    /// Looks for debug files in `/usr/lib/debug` and caches in the user's cache directory.
    #[must_use]
    pub fn new() -> Self {
        Self {
            debug_dirs: vec![PathBuf::from("/usr/lib/debug")],
            cache_dir: cache::user_cache_dir().map(|dir| dir.join("heaptide").join("symbols")),
        }
    }

    /// Directories with separate debug files, instead of `/usr/lib/debug`.
    #[must_use]
    pub fn debug_dirs(mut self, dirs: impl IntoIterator<Item = PathBuf>) -> Self {
        self.debug_dirs = dirs.into_iter().collect();
        self
    }

    /// Where found frames are kept between runs; `None` keeps nothing.
    #[must_use]
    pub fn cache_dir(mut self, dir: Option<PathBuf>) -> Self {
        self.cache_dir = dir;
        self
    }

    /// Fills [`Profile::symbols`] and says of which modules something is missing.
    ///
    /// The same profile and files give the same rows, whether they come from the cache or not.
    pub fn symbolize(&self, profile: &mut Profile, progress: &mut dyn FnMut(Progress<'_>)) -> Vec<Problem> {
        let groups = group(profile);
        let total = groups.iter().map(|group| group.locations.len()).sum();
        let mut symbols = vec![LocationSymbols::default(); profile.locations.len()];
        let mut interner = Interner::new(&mut profile.strings);
        let mut problems = Vec::new();
        let mut done = 0;
        for group in &groups {
            let mut tell = |more| progress(Progress { module: &group.path, done: done + more, total });
            let (found, cause) = self.resolve(group, profile.program.started_unix_ms, &mut tell);
            done += group.locations.len();
            problems.extend(problem(group, &found, cause));
            for (offset, frames) in &found {
                let frames: Vec<Frame> = frames.iter().filter_map(|frame| intern(&mut interner, frame)).collect();
                for &location in group.locations.get(offset).into_iter().flatten() {
                    symbols[location].frames.clone_from(&frames);
                }
            }
        }
        profile.symbols = symbols;
        problems
    }

    fn resolve(&self, group: &Group, started_unix_ms: u64, tell: &mut dyn FnMut(usize)) -> (Found, Option<Cause>) {
        tell(0);
        let mut offsets: Vec<u64> = group.locations.keys().copied().collect();
        let mut found = Found::new();
        if group.path == vdso::PATH {
            if let Some(bytes) = vdso::read_own().filter(|bytes| module::build_id_of(bytes) == group.build_id) {
                module::resolve_bytes(&bytes, &offsets, |offset, resolved| drop(found.insert(offset, resolved.frames)));
            }
            return (found, None);
        }

        let files = open(group, started_unix_ms, &self.debug_dirs);
        let build_id = group.build_id.clone().or_else(|| files.as_ref().ok()?.build_id());
        let cache = self.cache_dir.as_deref().zip(build_id.as_deref());
        let cached = cache.and_then(|(dir, build_id)| cache::read(dir, build_id));
        let files = match files {
            Ok(files) => files,
            Err(cause) => {
                // The names of this very build, kept from when its file was still there.
                for offset in offsets {
                    let frames = cached.as_ref().and_then(|cached| cached.frames.get(&offset));
                    found.extend(frames.map(|frames| (offset, frames.clone())));
                }
                return (found, Some(cause));
            }
        };

        let fingerprint = files.fingerprint();
        let mut known = cached
            .filter(|cached| cached.fingerprint == fingerprint)
            .unwrap_or(Cached { fingerprint, frames: BTreeMap::new() });
        offsets.retain(|offset| match known.frames.get(offset) {
            Some(frames) => found.insert(*offset, frames.clone()).is_some(),
            None => true,
        });
        let mut split_missing = false;
        if !offsets.is_empty() {
            let mut looked_up = group.locations.len() - offsets.len();
            files.resolve(&offsets, |offset, resolved| {
                looked_up += 1;
                if looked_up.is_multiple_of(PROGRESS_STEP) {
                    tell(looked_up);
                }
                if !resolved.split_missing {
                    known.frames.insert(offset, resolved.frames.clone());
                }
                split_missing |= resolved.split_missing;
                found.insert(offset, resolved.frames);
            });
            if let Some((dir, build_id)) = cache {
                // A cache that cannot be written costs time later, not the names now.
                let _ = cache::write(dir, build_id, &known);
            }
        }
        let without_line = found.values().filter(|frames| !has_line(frames)).count();
        let cause = if split_missing {
            Some(Cause::SplitDebugInfoMissing)
        } else if without_line > 0 && (!files.has_dwarf() || without_line * INCOMPLETE_SHARE >= found.len()) {
            Some(Cause::NoDebugInfo)
        } else {
            None
        };
        (found, cause)
    }
}

/// Frames by offset.
type Found = BTreeMap<u64, Vec<SourceFrame>>;

/// All locations of one file, however often it was mapped.
struct Group {
    path: String,
    build_id: Option<Vec<u8>>,
    /// Rows of [`Profile::locations`] by offset.
    locations: BTreeMap<u64, Vec<usize>>,
}

fn group(profile: &Profile) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    let mut known: HashMap<(&str, Option<&[u8]>), usize> = HashMap::new();
    for (row, location) in profile.locations.iter().enumerate() {
        let Some(module) = location.module.and_then(|module| profile.modules.get(module.index())) else {
            continue;
        };
        let Some(path) = profile.strings.get(module.path.index()) else {
            continue;
        };
        // The loader's list has no name for the executable itself.
        let path = if path.is_empty() { &profile.program.exe } else { path };
        let at = *known.entry((path, module.build_id.as_deref())).or_insert_with(|| {
            groups.push(Group { path: path.clone(), build_id: module.build_id.clone(), locations: BTreeMap::new() });
            groups.len() - 1
        });
        groups[at].locations.entry(location.offset).or_default().push(row);
    }
    groups
}

/// Opens a module's file and makes sure that it is the one that was recorded.
fn open(group: &Group, started_unix_ms: u64, debug_dirs: &[PathBuf]) -> Result<ModuleFiles, Cause> {
    let path = Path::new(&group.path);
    let mut files = ModuleFiles::open(path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Cause::Missing,
        _ => Cause::Unreadable { error: error.to_string() },
    })?;
    let found = files.build_id();
    let replaced = match (&group.build_id, &found) {
        (Some(recorded), found) => found.as_ref() != Some(recorded),
        (None, Some(_)) => false,
        (None, None) => {
            started_unix_ms > 0 && modified_unix_ms(path).is_some_and(|at| at > u128::from(started_unix_ms))
        }
    };
    if replaced {
        return Err(Cause::Replaced { found: found.as_deref().map(hex) });
    }
    files.find_debug_files(debug_dirs);
    Ok(files)
}

fn modified_unix_ms(path: &Path) -> Option<u128> {
    let modified = path.metadata().ok()?.modified().ok()?;
    Some(modified.duration_since(UNIX_EPOCH).ok()?.as_millis())
}

fn has_line(frames: &[SourceFrame]) -> bool {
    frames.iter().any(|frame| frame.line.is_some())
}

fn problem(group: &Group, found: &Found, cause: Option<Cause>) -> Option<Problem> {
    let cause = cause?;
    let locations = group.locations.len();
    let named = found.values().filter(|frames| !frames.is_empty()).count();
    let with_line = found.values().filter(|frames| has_line(frames)).count();
    let incomplete = with_line < locations || matches!(cause, Cause::SplitDebugInfoMissing);
    incomplete.then(|| Problem {
        module: group.path.clone(),
        build_id: group.build_id.as_deref().map(hex),
        cause,
        locations,
        unnamed: locations - named,
        without_line: locations - with_line,
    })
}

fn intern(interner: &mut Interner<'_>, frame: &SourceFrame) -> Option<Frame> {
    Some(Frame {
        function: interner.id(&frame.function)?,
        file: frame.file.as_deref().and_then(|file| interner.id(file)),
        line: frame.line,
        inlined: frame.inlined,
    })
}
