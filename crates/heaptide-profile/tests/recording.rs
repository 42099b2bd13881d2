//! The recording file: what is written is read, old files open, damage is found and read around.

mod support;

use std::fs;
use std::os::unix::fs::PermissionsExt;

use heaptide_profile::file::{Existing, FORMAT_VERSION, ReadError, WriteError, decode, encode, write};
use heaptide_profile::{Problem, Profile};
use proptest::prelude::*;
use support::{Dice, assert_followable, sample};

/// Reads damaged bytes of `sample`. Whatever differs must have been named.
fn check_damaged(bytes: &[u8], original: &Profile) {
    match decode(bytes) {
        Err(_) => {}
        Ok((profile, problems)) => {
            assert_followable(&profile);
            assert!(profile == *original || !problems.is_empty());
        }
    }
}

proptest! {
    #[test]
    fn what_is_written_is_read(numbers in prop::collection::vec(any::<u64>(), 0..600)) {
        let profile = Dice::new(numbers).profile();
        assert_followable(&profile);
        let (read, problems) = decode(&encode(&profile).unwrap()).unwrap();
        prop_assert_eq!(problems, vec![]);
        prop_assert_eq!(read, profile);
    }

    #[test]
    fn any_bytes_behind_a_magic_are_survived(tail in prop::collection::vec(any::<u8>(), 0..300)) {
        let bytes = [b"HEAPTIDE", &tail[..]].concat();
        prop_assert!(decode(&bytes).is_err());
    }

    #[test]
    fn several_changes_are_survived(changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..20)) {
        let original = sample();
        let mut bytes = encode(&original).unwrap();
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        check_damaged(&bytes, &original);
    }
}

#[test]
fn every_changed_byte_is_noticed() {
    let original = sample();
    let bytes = encode(&original).unwrap();
    for at in 0..bytes.len() {
        for change in [0x01, 0xff] {
            let mut damaged = bytes.clone();
            damaged[at] ^= change;
            check_damaged(&damaged, &original);
        }
    }
}

#[test]
fn every_cut_is_noticed() {
    let original = sample();
    let bytes = encode(&original).unwrap();
    for len in 0..bytes.len() {
        match decode(&bytes[..len]) {
            Err(_) => {}
            Ok((profile, problems)) => {
                assert_followable(&profile);
                assert!(!problems.is_empty(), "cut to {len} bytes");
            }
        }
    }
}

/// Where each section's header begins.
fn sections(bytes: &[u8]) -> Vec<usize> {
    (0..bytes.len()).filter(|at| bytes[*at..].starts_with(b"\x89HTSECT\n")).collect()
}

#[test]
fn a_damaged_section_costs_only_itself() {
    let original = sample();
    let bytes = encode(&original).unwrap();
    let starts = sections(&bytes);
    assert_eq!(starts.len(), 13);
    let tables = |profile: &Profile| {
        [
            profile.program == original.program,
            profile.strings == original.strings,
            profile.modules == original.modules,
            profile.locations == original.locations,
            profile.nodes == original.nodes,
            profile.sites == original.sites,
            profile.symbols == original.symbols,
            profile.threads == original.threads,
            profile.timeline == original.timeline,
            profile.tracks == original.tracks,
            profile.thread_sites == original.thread_sites,
            profile.survivors == original.survivors,
        ]
    };
    // The section's header, and its content.
    for place in [9, 70] {
        for (table, start) in starts[..12].iter().enumerate() {
            let mut damaged = bytes.clone();
            damaged[start + place] ^= 0x55;
            let (profile, problems) = decode(&damaged).unwrap();
            assert!(!problems.is_empty());
            let same = tables(&profile);
            assert!(!same[table]);
            // Rows that named the lost ones are the only others that change.
            let independent = [0, 8];
            for table in independent.into_iter().filter(|other| *other != table) {
                assert!(same[table], "{problems:?}");
            }
            if table == 6 || table >= 8 {
                assert_eq!(same.iter().filter(|same| !**same).count(), 1);
            }
        }
    }
}

#[test]
fn problems_name_the_part() {
    let bytes = encode(&sample()).unwrap();
    let cut = sections(&bytes)[5] + 70;
    let (_, problems) = decode(&bytes[..cut]).unwrap();
    let parts: Vec<_> = problems.iter().map(|problem| problem.part).collect();
    assert_eq!(parts[..3], ["sites", "file", "sites"], "{problems:?}");
    let survivors = Problem { part: "survivors", cause: "not there".to_owned() };
    assert!(problems.contains(&survivors));
    assert_eq!(survivors.to_string(), "survivors: not there");
}

#[test]
fn a_newer_format_is_refused_with_the_version_that_reads_it() {
    let mut bytes = encode(&Profile::default()).unwrap();
    bytes[8] = 2;
    bytes[16..22].copy_from_slice(b"7.8.9\0");
    let check = bytes[..56]
        .iter()
        .fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3));
    bytes[56..64].copy_from_slice(&check.to_le_bytes());
    let error = decode(&bytes).unwrap_err();
    let expected = ReadError::Newer { version: 2, writer: "7.8.9".to_owned() };
    assert_eq!(error, expected);
    assert!(error.to_string().contains("Use Heaptide 7.8.9 or newer"));
}

#[test]
fn other_bytes_are_no_recording() {
    for bytes in [&b""[..], b"HEAPTID", b"\x7fELF"] {
        assert_eq!(decode(bytes), Err(ReadError::NotARecording));
    }
    assert_eq!(decode(b"HEAPTIDE"), Err(ReadError::NothingLeft));
}

/// The pair of files was written when the format was made and stays as it is. `HEAPTIDE_WRITE_GOLDEN=1` writes the
/// first pair of a new format.
#[test]
fn golden_file_of_format_1_opens() {
    if std::env::var_os("HEAPTIDE_WRITE_GOLDEN").is_some() {
        let start = format!("{}/tests/golden/format-{FORMAT_VERSION}", env!("CARGO_MANIFEST_DIR"));
        let json = serde_json::to_string_pretty(&sample()).unwrap();
        fs::write(format!("{start}.heaptide"), encode(&sample()).unwrap()).unwrap();
        fs::write(format!("{start}.json"), json).unwrap();
        return;
    }
    let (profile, problems) = decode(include_bytes!("golden/format-1.heaptide")).unwrap();
    let expected: Profile = serde_json::from_str(include_str!("golden/format-1.json")).unwrap();
    assert_eq!(problems, []);
    assert_eq!(profile, expected);
}

#[test]
fn a_file_is_private_and_never_replaced_unasked() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("server.1.heaptide");
    let profile = sample();
    let bytes = write(&path, &profile, Existing::Keep).unwrap();
    let metadata = fs::metadata(&path).unwrap();
    assert_eq!(metadata.len(), bytes);
    assert_eq!(metadata.permissions().mode() & 0o777, 0o600);

    let error = write(&path, &Profile::default(), Existing::Keep).unwrap_err();
    assert!(matches!(error, WriteError::Exists(there) if there == path));
    assert_eq!(decode(&fs::read(&path).unwrap()).unwrap().0, profile);

    write(&path, &Profile::default(), Existing::Replace).unwrap();
    assert_eq!(decode(&fs::read(&path).unwrap()).unwrap().0, Profile::default());

    let missing = folder.path().join("missing/x.heaptide");
    assert!(matches!(write(&missing, &profile, Existing::Keep), Err(WriteError::Io { .. })));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}
