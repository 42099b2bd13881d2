//! Opening what a person names.

mod support;

use std::fs::{self, File};
use std::path::Path;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

use heaptide_ledger::synthetic::Writer;
use heaptide_ledger::{ROOT, header_word, state};
use heaptide_profile::file::{Existing, write};
use heaptide_profile::{End, OpenError, Source, open};
use support::sample;

/// Writes a ledger of the process `pid`, in this state.
fn write_ledger(path: &Path, pid: u32, state: u64) {
    let words: Vec<AtomicU64> = (0..1 << 14).map(|_| AtomicU64::new(0)).collect();
    let w = Writer::new(&words);
    w.set(header_word!(pid), u64::from(pid));
    w.set(header_word!(state), state);
    let node = w.node(ROOT, w.location(w.module(0x1000, b"a", b""), 1));
    w.allocate(w.thread(1, "main"), w.site(node, 24), 24, 2);
    let bytes: Vec<u8> = words.iter().flat_map(|word| word.load(Relaxed).to_le_bytes()).collect();
    fs::write(path, bytes).unwrap();
}

#[test]
fn a_recording_is_known_by_its_magic() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("anything");
    write(&path, &sample(), Existing::Keep).unwrap();
    let opened = open(&path).unwrap();
    assert_eq!(opened.source, Source::Recording);
    assert_eq!(opened.profile, sample());
    assert_eq!(opened.problems, []);

    let bytes = fs::read(&path).unwrap();
    fs::write(&path, &bytes[..bytes.len() - 100]).unwrap();
    assert!(!open(&path).unwrap().problems.is_empty());
}

#[test]
fn a_ledger_tells_whether_its_program_runs() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("1-0.ledger");
    write_ledger(&path, std::process::id(), state::RECORDING);
    let opened = open(&path).unwrap();
    assert_eq!(opened.source, Source::Ledger);
    assert_eq!(opened.profile.totals.allocated_bytes, 48);
    assert_eq!(opened.problems, []);
    assert_eq!(opened.profile.program.end, End::Lost);

    let file = File::open(&path).unwrap();
    // SAFETY: nothing reads the mapping; it only has to be there.
    let map = unsafe { memmap2::Mmap::map(&file) }.unwrap();
    assert_eq!(open(&path).unwrap().profile.program.end, End::Running);
    drop(map);
    write_ledger(&path, std::process::id(), state::SUPERSEDED);
    assert_eq!(open(&path).unwrap().profile.program.end, End::Lost);
    write_ledger(&path, std::process::id(), state::ENDED);
    assert_eq!(open(&path).unwrap().profile.program.end, End::Exited { status: None });
}

#[test]
fn what_cannot_be_read_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x");
    let why = |path: &Path| {
        let error = open(path).unwrap_err();
        let cause = std::error::Error::source(&error).map(ToString::to_string);
        (error.to_string().replace(&path.display().to_string(), "FILE"), cause)
    };
    let missing = why(&path);
    assert_eq!(missing.0, "cannot read FILE");
    assert!(missing.1.unwrap().contains("No such file"));
    assert_eq!(why(folder.path()).0, "FILE is not a regular file");
    assert_eq!(why(Path::new("/dev/null")).0, "FILE is not a regular file");

    for content in [&b""[..], b"HEAP", b"\x7fELF and more"] {
        fs::write(&path, content).unwrap();
        assert_eq!(why(&path).0, "FILE is neither a Heaptide recording nor a ledger");
    }
    fs::write(&path, b"HEAPTIDE and more").unwrap();
    assert_eq!(why(&path).0, "cannot read the recording FILE");
    assert!(matches!(open(&path), Err(OpenError::Recording { .. })));
    fs::write(&path, b"HTLEDGER and more").unwrap();
    assert!(why(&path).0.ends_with("it is shorter than a ledger's header"));

    write_ledger(&path, 1, state::RECORDING);
    let mut bytes = fs::read(&path).unwrap();
    bytes[8] = 9;
    fs::write(&path, &bytes).unwrap();
    assert!(why(&path).0.contains("a newer Heaptide wrote it, in version 9"));
}
