//! Bytes of the file's header and of its sections.

/// First bytes of every recording.
pub const MAGIC: [u8; 8] = *b"HEAPTIDE";
/// Version of the format written here. Readers refuse newer ones.
pub const FORMAT_VERSION: u32 = 1;

/// Bytes of the file's header.
pub(super) const HEADER_BYTES: usize = 64;
/// Bytes in front of a section's body.
const SECTION_HEADER_BYTES: usize = 64;
/// First bytes of a section's header.
const MARK: [u8; 8] = *b"\x89HTSECT\n";
/// Name of the last section.
const END: &str = "end";
/// Bytes of a section's name.
const NAME_BYTES: usize = 16;
/// Bytes of the writer's version.
const WRITER_BYTES: usize = 32;

/// Level of compression: past this one, time doubles and the size hardly falls.
const ZSTD_LEVEL: i32 = 6;
/// Bytes that all sections together may unpack to, whatever their compressed size.
const FREE_BYTES: u64 = 4 << 20;
/// Bytes beyond that to which one compressed byte may unpack.
const RATIO: u64 = 64;

/// How a section's bytes are kept.
mod coding {
    pub(super) const STORED: u64 = 0;
    pub(super) const ZSTD: u64 = 1;
}

/// FNV-1a: any change of one byte changes it.
fn check(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

fn padded<const N: usize>(text: &str) -> [u8; N] {
    let mut bytes = [0; N];
    let len = text.len().min(N);
    bytes[..len].copy_from_slice(&text.as_bytes()[..len]);
    bytes
}

fn unpadded(bytes: &[u8]) -> String {
    let len = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(&bytes[..len]).into_owned()
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    let bytes = bytes.get(at..)?.first_chunk()?;
    Some(u64::from_le_bytes(*bytes))
}

/// How much the sections of a file may unpack to. Writer and reader keep the same account.
#[derive(Clone, Copy, Debug)]
struct Allowance {
    bytes: u64,
}

impl Allowance {
    fn new() -> Self {
        Allowance { bytes: FREE_BYTES }
    }

    /// What is left after a section; `None` if it unpacks to too much.
    fn after(self, packed: u64, raw: u64) -> Option<Self> {
        let bytes = self.bytes.saturating_add(packed.saturating_mul(RATIO));
        Some(Allowance { bytes: bytes.checked_sub(raw)? })
    }
}

/// A file in the making.
pub(super) struct FileWriter {
    bytes: Vec<u8>,
    allowance: Allowance,
}

impl FileWriter {
    /// Begins a file.
    pub(super) fn new() -> Self {
        let mut bytes = Vec::new();
        bytes.extend_from_slice(&MAGIC);
        bytes.extend_from_slice(&u64::from(FORMAT_VERSION).to_le_bytes());
        bytes.extend_from_slice(&padded::<WRITER_BYTES>(env!("CARGO_PKG_VERSION")));
        bytes.resize(HEADER_BYTES - 8, 0);
        bytes.extend_from_slice(&check(&bytes).to_le_bytes());
        FileWriter { bytes, allowance: Allowance::new() }
    }

    /// Appends a section.
    pub(super) fn section(&mut self, name: &str, raw: &[u8]) -> std::io::Result<()> {
        let mut compressor = zstd::bulk::Compressor::new(ZSTD_LEVEL)?;
        compressor.include_checksum(true)?;
        let packed = compressor.compress(raw)?;
        match self.allowance.after(packed.len() as u64, raw.len() as u64) {
            Some(allowance) => {
                self.allowance = allowance;
                self.put(name, raw.len(), coding::ZSTD, &packed);
            }
            // A reader would take it for a trap.
            None => self.put(name, raw.len(), coding::STORED, raw),
        }
        Ok(())
    }

    /// Ends the file.
    pub(super) fn finish(mut self) -> Vec<u8> {
        self.put(END, 0, coding::STORED, &[]);
        self.bytes
    }

    fn put(&mut self, name: &str, raw_len: usize, coding: u64, body: &[u8]) {
        debug_assert!(name.len() <= NAME_BYTES);
        let start = self.bytes.len();
        self.bytes.extend_from_slice(&MARK);
        self.bytes.extend_from_slice(&padded::<NAME_BYTES>(name));
        for word in [raw_len as u64, body.len() as u64, coding, check(body)] {
            self.bytes.extend_from_slice(&word.to_le_bytes());
        }
        let check = check(&self.bytes[start..]);
        self.bytes.extend_from_slice(&check.to_le_bytes());
        self.bytes.extend_from_slice(body);
    }
}

/// The header of a file.
#[derive(Debug)]
pub(super) struct Header {
    pub(super) version: u64,
    pub(super) writer: String,
    pub(super) is_sound: bool,
}

impl Header {
    /// The header of the file with these bytes; `None` if it is not a recording or shorter than a header.
    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        let header = bytes.get(..HEADER_BYTES)?;
        if !header.starts_with(&MAGIC) {
            return None;
        }
        Some(Header {
            version: u64_at(header, 8)?,
            writer: unpadded(&header[16..16 + WRITER_BYTES]),
            is_sound: u64_at(header, HEADER_BYTES - 8)? == check(&header[..HEADER_BYTES - 8]),
        })
    }
}

/// What stands next in a file.
#[derive(Debug)]
pub(super) enum Found {
    /// A section and its content.
    Section { name: String, content: Vec<u8> },
    /// A section whose content is damaged.
    DamagedSection { name: String, cause: String },
    /// Bytes that are no section.
    Gap { at: usize, bytes: usize },
    /// The end of a complete file.
    End,
    /// The end of a file that lacks its own.
    CutShort,
}

/// Goes through a file, section by section.
pub(super) struct Sections<'a> {
    bytes: &'a [u8],
    at: usize,
    allowance: Allowance,
}

struct SectionHeader {
    name: String,
    raw_len: u64,
    packed_len: u64,
    coding: u64,
    check: u64,
}

impl<'a> Sections<'a> {
    pub(super) fn of(bytes: &'a [u8]) -> Self {
        Sections { bytes, at: HEADER_BYTES, allowance: Allowance::new() }
    }

    /// The next section. After [`Found::End`] and [`Found::CutShort`] nothing follows.
    pub(super) fn next(&mut self) -> Found {
        let Some(header) = self.header_at(self.at) else {
            return self.skip_gap();
        };
        let name = header.name.clone();
        if name == END {
            return Found::End;
        }
        let start = self.at + SECTION_HEADER_BYTES;
        let rest = &self.bytes[start..];
        let body = usize::try_from(header.packed_len).ok().and_then(|len| rest.get(..len));
        let Some(body) = body else {
            self.at = self.bytes.len();
            let cause = format!("cut short: {} of {} bytes are there", rest.len(), header.packed_len);
            return Found::DamagedSection { name, cause };
        };
        self.at = start + body.len();
        match self.unpack(&header, body) {
            Ok(content) => Found::Section { name, content },
            Err(cause) => Found::DamagedSection { name, cause },
        }
    }

    fn header_at(&self, at: usize) -> Option<SectionHeader> {
        let bytes = self.bytes.get(at..)?.get(..SECTION_HEADER_BYTES)?;
        let sound = bytes.starts_with(&MARK)
            && u64_at(bytes, SECTION_HEADER_BYTES - 8)? == check(&bytes[..SECTION_HEADER_BYTES - 8]);
        let lengths = MARK.len() + NAME_BYTES;
        if !sound {
            return None;
        }
        Some(SectionHeader {
            name: unpadded(&bytes[MARK.len()..lengths]),
            raw_len: u64_at(bytes, lengths)?,
            packed_len: u64_at(bytes, lengths + 8)?,
            coding: u64_at(bytes, lengths + 16)?,
            check: u64_at(bytes, lengths + 24)?,
        })
    }

    /// Goes on at the next header that is sound.
    fn skip_gap(&mut self) -> Found {
        let gap = self.at;
        while self.at < self.bytes.len() {
            self.at += 1;
            if self.header_at(self.at).is_some() {
                return Found::Gap { at: gap, bytes: self.at - gap };
            }
        }
        Found::CutShort
    }

    fn unpack(&mut self, header: &SectionHeader, body: &[u8]) -> Result<Vec<u8>, String> {
        if check(body) != header.check {
            return Err("its checksum does not match".to_owned());
        }
        if header.coding == coding::STORED {
            return Ok(body.to_vec());
        }
        if header.coding != coding::ZSTD {
            return Err(format!("its coding {} is not known", header.coding));
        }
        self.allowance = self.allowance.after(header.packed_len, header.raw_len).ok_or_else(|| {
            format!("{} bytes that claim to unpack to {} are not trusted", header.packed_len, header.raw_len)
        })?;
        let content = zstd::bulk::decompress(body, header.raw_len as usize)
            .map_err(|error| format!("it does not unpack: {error}"))?;
        if content.len() as u64 != header.raw_len {
            return Err("it unpacks to another length than it says".to_owned());
        }
        Ok(content)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Content of the file's first section.
    fn first(bytes: &[u8]) -> Result<Vec<u8>, String> {
        match Sections::of(bytes).next() {
            Found::Section { content, .. } => Ok(content),
            Found::DamagedSection { cause, .. } => Err(cause),
            other => Err(format!("{other:?}")),
        }
    }

    #[test]
    fn what_packs_too_well_is_stored() {
        let raw = vec![7; 3 * FREE_BYTES as usize];
        let mut file = FileWriter::new();
        file.section("sites", &raw).unwrap();
        let bytes = file.finish();
        assert!(bytes.len() > raw.len());
        assert_eq!(first(&bytes), Ok(raw));
    }

    #[test]
    fn a_trap_is_not_unpacked() {
        let packed = zstd::bulk::compress(&vec![7; 3 * FREE_BYTES as usize], 1).unwrap();
        let mut file = FileWriter::new();
        file.put("sites", 3 * FREE_BYTES as usize, coding::ZSTD, &packed);
        let cause = first(&file.finish()).unwrap_err();
        assert!(cause.contains("not trusted"), "{cause}");

        // Neither is what unpacks to more than it says.
        let mut file = FileWriter::new();
        file.put("sites", 1000, coding::ZSTD, &packed);
        let cause = first(&file.finish()).unwrap_err();
        assert!(cause.contains("does not unpack"), "{cause}");
    }
}
