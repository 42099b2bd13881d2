//! Frames that were found before, by build id.
//!
//! Reading hundreds of megabytes of DWARF again for each report would cost seconds. A file of this cache belongs to
//! one build id and to the debug files it was made from (their fingerprint). It outlives the binary: after a
//! rebuild, recordings of the old build keep their names.
//!
//! ```text
//! magic    8 bytes   "htsymbol"
//! version  4 bytes   little-endian
//! crc32    4 bytes   of the rest, little-endian
//! build id           numbers are LEB128; byte strings have their length in front
//! fingerprint
//! strings            count, then each
//! locations          count, then each: offset, frames; of each frame: function, file + 1, line + 1, inlined
//! ```
//!
//! A file that is damaged in any way is as good as none.

use std::collections::{BTreeMap, HashMap};
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::debug_file::hex;
use crate::lookup::SourceFrame;

const MAGIC: &[u8; 8] = b"htsymbol";
/// Raised whenever the layout changes, or what symbolizing finds.
const VERSION: u32 = 1;
const HEADER_BYTES: usize = MAGIC.len() + 4 + 4;
const EXTENSION: &str = "symbols";
/// One file's limit: more is not read.
const FILE_BYTES_MAX: u64 = 1 << 30;
/// The whole cache's limit: the oldest files go.
const CACHE_BYTES_MAX: u64 = 512 << 20;

/// What is known of one build.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Cached {
    /// The files it was made from.
    pub(crate) fingerprint: String,
    /// By offset.
    pub(crate) frames: BTreeMap<u64, Vec<SourceFrame>>,
}

/// `$XDG_CACHE_HOME`, or `~/.cache`.
pub(crate) fn user_cache_dir() -> Option<PathBuf> {
    let absolute = |path: PathBuf| path.is_absolute().then_some(path);
    std::env::var_os("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .and_then(absolute)
        .or_else(|| std::env::var_os("HOME").map(PathBuf::from).and_then(absolute).map(|home| home.join(".cache")))
}

/// What the cache knows of `build_id`.
pub(crate) fn read(dir: &Path, build_id: &[u8]) -> Option<Cached> {
    let path = file_path(dir, build_id);
    let found = fs::metadata(&path).ok()?;
    if !found.is_file() || found.len() > FILE_BYTES_MAX {
        return None;
    }
    decode(&fs::read(&path).ok()?, build_id)
}

/// Replaces what the cache knows of `build_id`. Several writers at once are fine: the last one stays, whole.
pub(crate) fn write(dir: &Path, build_id: &[u8], cached: &Cached) -> io::Result<()> {
    static TEMPORARY: AtomicU64 = AtomicU64::new(0);
    fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
    let path = file_path(dir, build_id);
    let serial = TEMPORARY.fetch_add(1, Ordering::Relaxed);
    let temporary = path.with_extension(format!("{}-{serial}.{EXTENSION}", std::process::id()));
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary)?;
    let written = file.write_all(&encode(cached, build_id)).and_then(|()| fs::rename(&temporary, &path));
    if written.is_err() {
        // The error that is returned says more than that of tidying up.
        let _ = fs::remove_file(&temporary);
    }
    written?;
    prune(dir)
}

fn file_path(dir: &Path, build_id: &[u8]) -> PathBuf {
    dir.join(format!("{}.{EXTENSION}", hex(build_id)))
}

fn prune(dir: &Path) -> io::Result<()> {
    let mut files: Vec<_> = fs::read_dir(dir)?
        .filter_map(Result::ok)
        .filter(|entry| entry.path().extension().is_some_and(|extension| extension == EXTENSION))
        .filter_map(|entry| {
            let found = entry.metadata().ok().filter(fs::Metadata::is_file)?;
            Some((found.modified().ok()?, found.len(), entry.path()))
        })
        .collect();
    files.sort();
    let mut bytes: u64 = files.iter().map(|(_, len, _)| len).sum();
    for (_, len, path) in files {
        if bytes <= CACHE_BYTES_MAX {
            break;
        }
        fs::remove_file(path)?;
        bytes -= len;
    }
    Ok(())
}

fn encode(cached: &Cached, build_id: &[u8]) -> Vec<u8> {
    let mut strings: Vec<&str> = Vec::new();
    let mut ids: HashMap<&str, u64> = HashMap::new();
    let mut locations = Vec::new();
    put(&mut locations, cached.frames.len() as u64);
    for (&offset, frames) in &cached.frames {
        put(&mut locations, offset);
        put(&mut locations, frames.len() as u64);
        for frame in frames {
            let mut id = |string| {
                *ids.entry(string).or_insert_with(|| {
                    strings.push(string);
                    strings.len() as u64 - 1
                })
            };
            put(&mut locations, id(&frame.function));
            put(&mut locations, frame.file.as_deref().map_or(0, |file| id(file) + 1));
            put(&mut locations, frame.line.map_or(0, |line| u64::from(line) + 1));
            put(&mut locations, u64::from(frame.inlined));
        }
    }
    let mut payload = Vec::new();
    put_bytes(&mut payload, build_id);
    put_bytes(&mut payload, cached.fingerprint.as_bytes());
    put(&mut payload, strings.len() as u64);
    for string in strings {
        put_bytes(&mut payload, string.as_bytes());
    }
    payload.extend(locations);

    let mut file = Vec::with_capacity(HEADER_BYTES + payload.len());
    file.extend(MAGIC);
    file.extend(VERSION.to_le_bytes());
    file.extend(crc32fast::hash(&payload).to_le_bytes());
    file.extend(payload);
    file
}

fn decode(file: &[u8], build_id: &[u8]) -> Option<Cached> {
    let rest = file.strip_prefix(MAGIC)?;
    let (version, rest) = rest.split_first_chunk()?;
    let (checksum, payload) = rest.split_first_chunk()?;
    if u32::from_le_bytes(*version) != VERSION || u32::from_le_bytes(*checksum) != crc32fast::hash(payload) {
        return None;
    }
    let mut input = Input(payload);
    if input.bytes()? != build_id {
        return None;
    }
    let mut cached = Cached { fingerprint: input.string()?.to_owned(), frames: BTreeMap::new() };
    let mut strings: Vec<Rc<str>> = Vec::new();
    for _ in 0..input.number()? {
        strings.push(Rc::from(input.string()?));
    }
    let string = |id: u64| strings.get(usize::try_from(id).ok()?).cloned();
    for _ in 0..input.number()? {
        let offset = input.number()?;
        let mut frames = Vec::new();
        for _ in 0..input.number()? {
            frames.push(SourceFrame {
                function: string(input.number()?)?,
                file: match input.number()? {
                    0 => None,
                    id => Some(string(id - 1)?),
                },
                line: match input.number()? {
                    0 => None,
                    line => Some(u32::try_from(line - 1).ok()?),
                },
                inlined: input.number()? != 0,
            });
        }
        cached.frames.insert(offset, frames);
    }
    input.0.is_empty().then_some(cached)
}

fn put(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put(out, bytes.len() as u64);
    out.extend(bytes);
}

struct Input<'b>(&'b [u8]);

impl<'b> Input<'b> {
    fn number(&mut self) -> Option<u64> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let (&byte, rest) = self.0.split_first()?;
            self.0 = rest;
            number |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(number);
            }
        }
        None
    }

    fn bytes(&mut self) -> Option<&'b [u8]> {
        let len = usize::try_from(self.number()?).ok()?;
        let (bytes, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(bytes)
    }

    fn string(&mut self) -> Option<&'b str> {
        std::str::from_utf8(self.bytes()?).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Cached {
        let frame = |function: &str, file: Option<&str>, line, inlined| SourceFrame {
            function: function.into(),
            file: file.map(Into::into),
            line,
            inlined,
        };
        let inner = frame("alloc::vec::Vec<T>::push", Some("/rustc/vec.rs"), Some(7), true);
        let outer = frame("main", Some("/src/main.rs"), None, false);
        let frames = [(0x10, vec![inner, outer.clone()]), (0x7fff_ffff_ffff, vec![outer]), (0, vec![])];
        Cached { fingerprint: "/bin/a 10 1.000000002\n".to_owned(), frames: frames.into() }
    }

    #[test]
    fn what_was_encoded_is_decoded() {
        assert_eq!(decode(&encode(&sample(), b"id"), b"id"), Some(sample()));
        assert_eq!(decode(&encode(&sample(), b"id"), b"other"), None);
    }

    #[test]
    fn every_truncation_is_refused() {
        let file = encode(&sample(), b"id");
        for len in 0..file.len() {
            assert_eq!(decode(&file[..len], b"id"), None, "{len} bytes");
        }
    }

    #[test]
    fn every_flipped_bit_is_refused() {
        let file = encode(&sample(), b"id");
        for bit in 0..file.len() * 8 {
            let mut damaged = file.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(decode(&damaged, b"id"), None, "bit {bit}");
        }
    }

    /// A checksum keeps accidents out, not an enemy: the decoder itself must hold.
    #[test]
    fn hostile_payloads_with_a_right_checksum_end() {
        let file = encode(&sample(), b"id");
        for at in HEADER_BYTES..file.len() {
            for byte in [0, 1, 0x7f, 0x80, 0xff] {
                for len in [at + 1, file.len()] {
                    let mut damaged = file[..len].to_vec();
                    damaged[at] = byte;
                    let checksum = crc32fast::hash(&damaged[HEADER_BYTES..]).to_le_bytes();
                    damaged[HEADER_BYTES - 4..HEADER_BYTES].copy_from_slice(&checksum);
                    if let Some(cached) = decode(&damaged, b"id") {
                        assert!(cached.frames.len() <= damaged.len());
                    }
                }
            }
        }
    }
}
