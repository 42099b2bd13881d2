//! Reading a recording.

use serde::de::DeserializeOwned;

use super::container::{FORMAT_VERSION, Found, Header, Sections};
use super::mend::mend;
use super::section;
use super::tables::{
    LocationColumns, NodeColumns, SiteColumns, Summary, SurvivorColumns, SymbolColumns, ThreadSiteColumns, Uneven,
};
use crate::model::Profile;
use crate::problem::Problem;

/// Why nothing of a file could be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// It does not begin as a recording does.
    #[error("not a Heaptide recording")]
    NotARecording,
    /// It ends before its first section, or none is sound.
    #[error("damaged: nothing of the recording is left")]
    NothingLeft,
    /// A newer Heaptide wrote it.
    #[error(
        "written by Heaptide {writer} in format version {version}; this is Heaptide {}, which reads versions up to {}. \
         Use Heaptide {writer} or newer",
        env!("CARGO_PKG_VERSION"),
        FORMAT_VERSION
    )]
    Newer {
        /// Its format version.
        version: u64,
        /// Version of Heaptide that wrote it and reads it.
        writer: String,
    },
}

/// The profile in these bytes, and what is damaged in it. A damaged or missing table is empty; rows that name its rows
/// say that they do not know.
///
/// # Errors
///
/// If nothing can be read.
pub fn decode(bytes: &[u8]) -> Result<(Profile, Vec<Problem>), ReadError> {
    if !bytes.starts_with(&super::MAGIC) {
        return Err(ReadError::NotARecording);
    }
    let header = Header::read(bytes).ok_or(ReadError::NothingLeft)?;
    let mut problems = Vec::new();
    if !header.is_sound {
        problems.push(Problem::new("file header", format!("damaged; read as format version {FORMAT_VERSION}")));
    } else if header.version > u64::from(FORMAT_VERSION) {
        return Err(ReadError::Newer { version: header.version, writer: header.writer });
    }

    let mut profile = Profile::default();
    let mut read = Vec::new();
    let mut sections = Sections::of(bytes);
    loop {
        match sections.next() {
            Found::Section { name, content } => {
                // Others were added by a newer Heaptide.
                let Some(name) = section::ALL.into_iter().find(|known| *known == name) else {
                    continue;
                };
                if read.contains(&name) {
                    problems.push(Problem::new(name, "stands twice; the first one is used"));
                    continue;
                }
                match fill(&mut profile, name, &content) {
                    Ok(()) => read.push(name),
                    Err(cause) => problems.push(Problem::new(name, cause)),
                }
            }
            Found::DamagedSection { name, cause } => {
                let part = section::ALL.into_iter().find(|known| *known == name);
                problems.push(Problem::new(part.unwrap_or("unknown section"), cause));
            }
            Found::Gap { at, bytes } => {
                problems.push(Problem::new("file", format!("{bytes} bytes at {at} are damaged")))
            }
            Found::End => break,
            Found::CutShort => {
                problems.push(Problem::new("file", "cut short"));
                break;
            }
        }
    }
    if read.is_empty() {
        return Err(ReadError::NothingLeft);
    }
    if !problems.is_empty() {
        for name in section::ALL {
            if !read.contains(&name) {
                problems.push(Problem::new(name, "not there"));
            }
        }
    }
    mend(&mut profile, &mut problems);
    Ok((profile, problems))
}

fn fill(profile: &mut Profile, name: &str, content: &[u8]) -> Result<(), String> {
    let uneven = |uneven: Uneven| uneven.to_string();
    match name {
        section::SUMMARY => {
            let summary: Summary = unpacked(content)?;
            profile.program = summary.program;
            profile.recorder = summary.recorder;
            profile.totals = summary.totals;
        }
        section::STRINGS => profile.strings = unpacked(content)?,
        section::MODULES => profile.modules = unpacked(content)?,
        section::LOCATIONS => {
            let columns: LocationColumns = unpacked(content)?;
            profile.locations = columns.into_rows().map_err(uneven)?;
        }
        section::NODES => {
            let columns: NodeColumns = unpacked(content)?;
            profile.nodes = columns.into_rows().map_err(uneven)?;
        }
        section::SITES => {
            let columns: SiteColumns = unpacked(content)?;
            profile.sites = columns.into_rows().map_err(uneven)?;
        }
        section::SYMBOLS => {
            let columns: SymbolColumns = unpacked(content)?;
            profile.symbols = columns.into_rows().map_err(uneven)?;
        }
        section::THREADS => profile.threads = unpacked(content)?,
        section::TIMELINE => profile.timeline = unpacked(content)?,
        section::TRACKS => profile.tracks = unpacked(content)?,
        section::THREAD_SITES => {
            let columns: ThreadSiteColumns = unpacked(content)?;
            profile.thread_sites = columns.into_rows().map_err(uneven)?;
        }
        section::SURVIVORS => {
            let columns: SurvivorColumns = unpacked(content)?;
            profile.survivors = columns.into_rows().map_err(uneven)?;
        }
        _ => {}
    }
    Ok(())
}

fn unpacked<T: DeserializeOwned>(content: &[u8]) -> Result<T, String> {
    rmp_serde::from_slice(content).map_err(|error| format!("it does not decode: {error}"))
}
