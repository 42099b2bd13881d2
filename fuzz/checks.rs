//! What must hold for any bytes. The fuzz targets look for bytes for which it does not; a test of `heaptide-profile`
//! replays the corpus.
#![allow(dead_code)]

#[path = "../crates/heaptide-profile/tests/support/followable.rs"]
mod followable;

use std::sync::atomic::AtomicU64;

use followable::assert_followable;
use heaptide_ledger::read::Reader;
use heaptide_ledger::{HEADER_BYTES, MAGIC, VERSION, header_word};
use heaptide_profile::file::{decode, encode};
use heaptide_profile::{End, from_ledger};

/// Names of the sections of a recording.
const SECTIONS: [&str; 12] = [
    "summary",
    "strings",
    "modules",
    "locations",
    "nodes",
    "sites",
    "symbols",
    "threads",
    "timeline",
    "tracks",
    "thread_sites",
    "survivors",
];

/// The bytes are a recording: as they are, and as contents of sections whose checksums match, each led by its length
/// in two bytes.
pub fn recording(bytes: &[u8]) {
    read_recording(bytes);
    let mut file = b"HEAPTIDE\x01\0\0\0\0\0\0\0".to_vec();
    file.resize(56, 0);
    seal(&mut file, 0);
    let mut rest = bytes;
    for name in SECTIONS {
        let Some((len, content)) = rest.split_first_chunk() else {
            break;
        };
        let len = usize::from(u16::from_le_bytes(*len)).min(content.len());
        section(&mut file, name, &content[..len]);
        rest = &content[len..];
    }
    section(&mut file, "end", &[]);
    read_recording(&file);
}

fn read_recording(bytes: &[u8]) {
    let Ok((profile, _)) = decode(bytes) else {
        return;
    };
    assert_followable(&profile);
    let written = encode(&profile).unwrap();
    let (again, problems) = decode(&written).unwrap();
    assert_eq!(problems, []);
    // Not the profiles: a duration may be no number.
    assert_eq!(encode(&again).unwrap(), written);
}

/// Appends a section that is stored as it is.
fn section(file: &mut Vec<u8>, name: &str, content: &[u8]) {
    let start = file.len();
    file.extend_from_slice(b"\x89HTSECT\n");
    file.extend_from_slice(name.as_bytes());
    file.resize(start + 24, 0);
    for word in [content.len() as u64, content.len() as u64, 0] {
        file.extend_from_slice(&word.to_le_bytes());
    }
    file.extend_from_slice(&checksum(content).to_le_bytes());
    seal(file, start);
    file.extend_from_slice(content);
}

fn seal(file: &mut Vec<u8>, start: usize) {
    let checksum = checksum(&file[start..]);
    file.extend_from_slice(&checksum.to_le_bytes());
}

fn checksum(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

/// The bytes are a ledger: as they are, and with a header that says so.
pub fn ledger(bytes: &[u8]) {
    let mut words: Vec<u64> =
        bytes.chunks_exact(8).map(|chunk| u64::from_le_bytes(chunk.try_into().unwrap())).collect();
    read_ledger(&words);
    words.resize(words.len().max(HEADER_BYTES as usize / 8), 0);
    words[header_word!(magic)] = MAGIC;
    words[header_word!(version)] = VERSION;
    read_ledger(&words);
}

fn read_ledger(words: &[u64]) {
    let words: Vec<AtomicU64> = words.iter().copied().map(AtomicU64::new).collect();
    if let Ok(reader) = Reader::new(&words) {
        let (profile, _) = from_ledger(&reader, End::Lost);
        assert_followable(&profile);
    }
}
