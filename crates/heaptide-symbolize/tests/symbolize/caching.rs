//! What is found once is found again: faster, and after the file has gone.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use heaptide_profile::Profile;
use heaptide_symbolize::{Cause, Symbolizer};

use crate::fixture::{Dir, frames, marks, profile_of, symbolize, symbolizer};

const C: &str = r#"
void mark(const char *);
volatile int sink;
int main(void) {
    mark("main");
    sink = 1;
    return 0;
}
"#;

/// A program, a profile of it, and a symbolizer with a cache.
fn program() -> (Dir, Profile, Symbolizer) {
    let dir = Dir::new();
    dir.file("a.c", C);
    dir.tool("gcc -g a.c mark.o -o a");
    let profile = profile_of(&marks(dir.path("a"))["main"]);
    let symbolizer = symbolizer(&dir).cache_dir(Some(dir.path("cache/symbols")));
    (dir, profile, symbolizer)
}

fn cache_files(dir: &Dir) -> Vec<PathBuf> {
    fs::read_dir(dir.path("cache/symbols")).unwrap().map(|entry| entry.unwrap().path()).collect()
}

#[test]
fn the_cache_gives_the_same_rows() {
    let (dir, mut cold, symbolizer) = program();
    let mut warm = cold.clone();
    assert_eq!(symbolize(&symbolizer, &mut cold), []);
    let files = cache_files(&dir);
    assert_eq!(files.len(), 1, "{files:?}");
    assert_eq!(fs::metadata(&files[0]).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(fs::metadata(dir.path("cache/symbols")).unwrap().permissions().mode() & 0o777, 0o700);

    let before = fs::metadata(&files[0]).unwrap().modified().unwrap();
    assert_eq!(symbolize(&symbolizer, &mut warm), []);
    assert_eq!(cold, warm);
    assert_eq!(fs::metadata(&files[0]).unwrap().modified().unwrap(), before, "a hit writes nothing");
    assert_eq!(cache_files(&dir), files);
}

#[test]
fn recordings_of_an_old_build_keep_their_names() {
    let (dir, mut cold, symbolizer) = program();
    let mut later = cold.clone();
    symbolize(&symbolizer, &mut cold);
    dir.tool("gcc -g -O2 a.c mark.o -o a");
    assert_eq!(symbolize(&symbolizer, &mut later), []);
    assert_eq!(cold, later);
    fs::remove_file(dir.path("a")).unwrap();
    assert_eq!(symbolize(&symbolizer, &mut later), []);
    assert_eq!(cold, later);

    // What was never looked up stays unknown.
    later.locations[0].offset += 1;
    assert_eq!(symbolize(&symbolizer, &mut later)[0].cause, Cause::Missing);
    assert_eq!(frames(&later, 0), []);
}

#[test]
fn debug_files_that_come_later_are_used() {
    let (dir, mut profile, symbolizer) = program();
    dir.tool("objcopy --only-keep-debug a a.debug");
    dir.tool("strip a");
    dir.tool("objcopy --add-gnu-debuglink=a.debug a");
    fs::rename(dir.path("a.debug"), dir.path("elsewhere")).unwrap();
    assert_eq!(symbolize(&symbolizer, &mut profile)[0].cause, Cause::NoDebugInfo);
    fs::rename(dir.path("elsewhere"), dir.path("a.debug")).unwrap();
    assert_eq!(symbolize(&symbolizer, &mut profile), []);
    assert_eq!(frames(&profile, 0)[0].function, "main");
}

#[test]
fn a_damaged_cache_is_as_good_as_none() {
    let (dir, mut cold, symbolizer) = program();
    let fresh = cold.clone();
    symbolize(&symbolizer, &mut cold);
    let path = cache_files(&dir).remove(0);
    let good = fs::read(&path).unwrap();
    let truncations = (0..good.len()).step_by(7).map(|len| good[..len].to_vec());
    let flips = (0..good.len()).step_by(5).map(|at| {
        let mut flipped = good.clone();
        flipped[at] ^= 1 << (at % 8);
        flipped
    });
    for damaged in truncations.chain(flips).chain([Vec::new(), b"htsymbol".to_vec()]) {
        fs::write(&path, &damaged).unwrap();
        let mut again = fresh.clone();
        assert_eq!(symbolize(&symbolizer, &mut again), []);
        assert_eq!(cold, again);
        assert_eq!(fs::read(&path).unwrap(), good, "it is written anew");
    }
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    let mut again = fresh.clone();
    assert_eq!(symbolize(&symbolizer, &mut again), []);
    assert_eq!(cold, again, "a cache that cannot be written is no error");
}

#[test]
fn several_writers_at_once_leave_a_whole_file() {
    let (dir, profile, symbolizer) = program();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..25 {
                    let mut mine = profile.clone();
                    assert_eq!(symbolize(&symbolizer, &mut mine), []);
                    assert_eq!(frames(&mine, 0)[0].function, "main");
                    for file in fs::read_dir(dir.path("cache/symbols")).unwrap() {
                        // Another writer may have been quicker.
                        let _ = fs::remove_file(file.unwrap().path());
                    }
                }
            });
        }
    });
    let mut last = profile.clone();
    assert_eq!(symbolize(&symbolizer, &mut last), []);
    assert_eq!(cache_files(&dir).len(), 1);
}
