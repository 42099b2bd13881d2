//! Whose file it is, and what becomes of locations that belong to none.

use std::fs;
use std::process::Command;

use heaptide_profile::{Location, ModuleId, Profile};
use heaptide_symbolize::{Cause, Symbolizer};
use object::{Object, ObjectSection, ObjectSymbol};

use crate::fixture::{Dir, build_id, check, frames, line_of, marks, profile, profile_of, run, symbolize, symbolizer};

const C: &str = r#"
void mark(const char *);
volatile int sink;
int main(void) {
    mark("main");
    sink = 1;
    return 0;
}
"#;

fn program(flags: &str) -> Dir {
    let dir = Dir::new();
    dir.file("a.c", C);
    dir.tool(&format!("gcc -g {flags} a.c mark.o -o a"));
    dir
}

#[test]
fn a_replaced_file_is_not_used() {
    let dir = program("");
    let mut profile = profile_of(&marks(dir.path("a"))["main"]);
    dir.tool("gcc -g -O2 a.c mark.o -o a");
    let found = build_id(&dir.path("a")).unwrap().iter().map(|byte| format!("{byte:02x}")).collect();
    let problems = symbolize(&symbolizer(&dir), &mut profile);
    assert_eq!(problems[0].cause, Cause::Replaced { found: Some(found) });
    assert_eq!((problems[0].locations, problems[0].unnamed), (1, 1));
    assert_eq!(frames(&profile, 0), []);
}

#[test]
fn without_build_id_a_file_newer_than_the_recording_is_not_used() {
    let dir = program("-Wl,--build-id=none");
    let mut profile = profile_of(&marks(dir.path("a"))["main"]);
    let modified = fs::metadata(dir.path("a")).unwrap().modified().unwrap();
    let modified = u64::try_from(modified.duration_since(std::time::UNIX_EPOCH).unwrap().as_millis()).unwrap();

    profile.program.started_unix_ms = modified + 1;
    assert_eq!(symbolize(&symbolizer(&dir), &mut profile), []);
    check(&frames(&profile, 0), &[("main", "/a.c", line_of(C, "mark(\"main\")"))]);

    profile.program.started_unix_ms = modified - 1;
    assert_eq!(symbolize(&symbolizer(&dir), &mut profile)[0].cause, Cause::Replaced { found: None });
    assert_eq!(frames(&profile, 0), []);
}

#[test]
fn the_module_without_a_name_is_the_executable() {
    let dir = program("");
    let mark = marks(dir.path("a"))["main"].clone();
    let mut profile = profile(&[("", build_id(&mark.module), mark.offset)]);
    profile.program.exe = mark.module.to_str().unwrap().to_owned();
    assert_eq!(symbolize(&symbolizer(&dir), &mut profile), []);
    check(&frames(&profile, 0), &[("main", "/a.c", line_of(C, "mark(\"main\")"))]);
}

#[test]
fn a_missing_or_unreadable_file_is_said() {
    let dir = program("");
    dir.file("text", "no ELF");
    let fifo = dir.path("fifo");
    let mut mkfifo = Command::new("mkfifo");
    mkfifo.arg(&fifo);
    run(mkfifo);
    let mut truncated = fs::read(dir.path("a")).unwrap();
    truncated.truncate(100);
    fs::write(dir.path("truncated"), truncated).unwrap();

    let missing = dir.path("gone").to_str().unwrap().to_owned();
    let mut one = profile(&[(missing.as_str(), None, 0x1234)]);
    assert_eq!(symbolize(&symbolizer(&dir), &mut one)[0].cause, Cause::Missing);
    for name in ["text", "fifo", "truncated", "."] {
        let path = dir.path(name).to_str().unwrap().to_owned();
        let mut one = profile(&[(path.as_str(), None, 0x1234)]);
        let cause = symbolize(&symbolizer(&dir), &mut one)[0].cause.clone();
        assert!(matches!(cause, Cause::Unreadable { .. }), "{name}: {cause:?}");
        assert_eq!(frames(&one, 0), []);
    }
}

#[test]
fn a_damaged_file_ends_in_time_and_without_panic() {
    let dir = program("-O2");
    let mark = marks(dir.path("a"))["main"].clone();
    let file = fs::read(&mark.module).unwrap();
    let path = dir.path("damaged");
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    for round in 0..300 {
        let mut damaged = file.clone();
        for _ in 0..1 + round % 40 {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let at = usize::try_from(random >> 33).unwrap() % damaged.len();
            damaged[at] = random as u8;
        }
        if round % 3 == 0 {
            damaged.truncate(usize::try_from(random >> 35).unwrap() % file.len());
        }
        fs::write(&path, &damaged).unwrap();
        let mut profile =
            profile(&[(path.to_str().unwrap(), None, mark.offset), (path.to_str().unwrap(), None, 0x1001)]);
        symbolize(&symbolizer(&dir), &mut profile);
        assert_eq!(profile.symbols.len(), 2);
    }
}

#[test]
fn a_section_that_claims_an_impossible_size_is_not_unpacked() {
    let dir = program("-gz");
    let mark = marks(dir.path("a"))["main"].clone();
    let mut file = fs::read(&mark.module).unwrap();
    let object = object::File::parse(&*file).unwrap();
    // A compressed section begins with its type and the size it unpacks to.
    let (start, _) = object.section_by_name(".debug_info").unwrap().file_range().unwrap();
    let size = usize::try_from(start).unwrap() + 8;
    file[size..size + 8].copy_from_slice(&(1_u64 << 40).to_le_bytes());
    fs::write(dir.path("bomb"), file).unwrap();
    let path = dir.path("bomb").to_str().unwrap().to_owned();
    let mut profile = profile(&[(path.as_str(), build_id(&mark.module), mark.offset)]);
    let cause = symbolize(&symbolizer(&dir), &mut profile).remove(0).cause;
    let error = "a compressed section claims an impossible size".to_owned();
    assert_eq!(cause, Cause::Unreadable { error });
}

#[test]
fn locations_without_a_module_have_no_frames() {
    let dir = program("");
    let mark = marks(dir.path("a"))["main"].clone();
    let mut profile = profile_of(&mark);
    let module = Some(ModuleId(0));
    profile.locations.push(Location { module: None, offset: 5 });
    profile.locations.push(Location { module: Some(ModuleId(77)), offset: 5 });
    profile.locations.extend([0, u64::MAX, 1 << 63].map(|offset| Location { module, offset }));
    symbolize(&symbolizer(&dir), &mut profile);
    assert_eq!(profile.symbols.len(), profile.locations.len());
    assert_eq!(frames(&profile, 0).len(), 1);
    for location in 1..profile.locations.len() {
        assert_eq!(frames(&profile, location), [], "location {location}");
    }
    symbolize(&symbolizer(&dir), &mut Profile::default());
}

#[test]
fn strings_are_kept_once_and_rows_are_the_same_every_time() {
    let dir = program("-O2");
    let mark = marks(dir.path("a"))["main"].clone();
    let path = mark.module.to_str().unwrap();
    let locations: Vec<_> = (1..200).map(|step| (path, build_id(&mark.module), mark.offset + step - 100)).collect();
    let mut first = profile(&locations);
    first.strings.push("main".to_owned());
    let mut second = first.clone();
    symbolize(&symbolizer(&dir), &mut first);
    symbolize(&symbolizer(&dir), &mut second);
    assert_eq!(first, second);
    let mut added = first.strings[locations.len()..].to_vec();
    let count = added.len();
    added.sort();
    added.dedup();
    assert_eq!(added.len(), count);
    symbolize(&symbolizer(&dir), &mut second);
    assert_eq!(first, second, "symbolizing again changes nothing");
}

#[test]
fn progress_counts_up_to_all_locations() {
    let dir = program("");
    let mark = marks(dir.path("a"))["main"].clone();
    let path = mark.module.to_str().unwrap();
    let locations: Vec<_> = (1..500).map(|step| (path, build_id(&mark.module), step)).collect();
    let mut profile = profile(&locations);
    let mut seen = Vec::new();
    symbolizer(&dir).symbolize(&mut profile, &mut |progress| {
        assert_eq!((progress.module, progress.total), (path, 499));
        seen.push(progress.done);
    });
    assert!(seen.len() > 3 && seen.is_sorted() && seen[0] == 0, "{seen:?}");
    assert!(seen.iter().all(|&done| done <= 499), "{seen:?}");
}

/// The kernel's library has no file; its exported functions are named from this process's own.
#[test]
fn the_vdso_is_named_if_it_is_the_same() {
    let maps = fs::read_to_string("/proc/self/maps").unwrap();
    let line = maps.lines().find(|line| line.ends_with("[vdso]")).unwrap();
    let (start, end) = line.split_whitespace().next().unwrap().split_once('-').unwrap();
    let (start, end) = (u64::from_str_radix(start, 16).unwrap(), u64::from_str_radix(end, 16).unwrap());
    let mut bytes = vec![0; usize::try_from(end - start).unwrap()];
    let memory = fs::File::open("/proc/self/mem").unwrap();
    std::os::unix::fs::FileExt::read_exact_at(&memory, &mut bytes, start).unwrap();
    let vdso = object::File::parse(&*bytes).unwrap();
    let symbol = vdso.dynamic_symbols().find(|symbol| symbol.size() > 4).unwrap();
    let id = vdso.build_id().unwrap().map(<[u8]>::to_vec);

    let mut profile = profile(&[("[vdso]", id, symbol.address() + 2), ("[vdso]", Some(vec![1; 20]), 0x900)]);
    assert_eq!(symbolize(&Symbolizer::new().cache_dir(None), &mut profile), []);
    let name = &frames(&profile, 0)[0].function;
    let same = vdso.dynamic_symbols().filter(|other| other.address() == symbol.address());
    assert!(same.into_iter().any(|other| other.name().unwrap() == name), "{name}");
    assert_eq!(frames(&profile, 1), []);
}
