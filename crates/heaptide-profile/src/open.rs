//! Opening whatever a person names: a finished recording, or the ledger of a program that runs or was killed.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

use heaptide_ledger::header_word;
use heaptide_ledger::read::{NotALedger, Reader};

use crate::file::{MAGIC, ReadError, decode};
use crate::from_ledger::{from_ledger, unwatched_end};
use crate::ledger_file::LedgerFile;
use crate::model::{End, Profile};
use crate::problem::Problem;

/// Longest recording that is read.
const RECORDING_BYTES_LIMIT: u64 = 4 << 30;

/// What a file was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// A finished recording.
    Recording,
    /// A ledger, of a running program or left behind.
    Ledger,
}

/// What a file holds.
#[derive(Debug)]
pub struct Opened {
    /// What could be read.
    pub profile: Profile,
    /// What was damaged; empty for a sound file.
    pub problems: Vec<Problem>,
    /// What the file was.
    pub source: Source,
}

/// Why a file could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The system refused.
    #[error("cannot read {}", .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A directory, a pipe or a device.
    #[error("{} is not a regular file", .0.display())]
    NotAFile(PathBuf),
    /// Neither a recording nor a ledger.
    #[error("{} is neither a Heaptide recording nor a ledger", .0.display())]
    Unknown(PathBuf),
    /// More bytes than are read.
    #[error("{} is longer than a recording can be ({bytes} bytes)", .path.display())]
    TooLong {
        /// The file.
        path: PathBuf,
        /// Its length.
        bytes: u64,
    },
    /// A recording of which nothing can be read.
    #[error("cannot read the recording {}", .path.display())]
    Recording {
        /// The file.
        path: PathBuf,
        /// Why.
        source: ReadError,
    },
    /// A ledger that cannot be read.
    #[error("cannot read the ledger {}: {cause}", .path.display())]
    Ledger {
        /// The file.
        path: PathBuf,
        /// Why.
        cause: String,
    },
}

/// Reads a recording or a ledger; its first bytes say which it is.
///
/// A ledger's program counts as [`End::Running`] while it has the ledger mapped, and after that as its
/// [`unwatched_end`].
///
/// # Errors
///
/// If nothing can be read. What can be read in part comes with [`Opened::problems`].
///
/// # Examples
///
/// ```no_run
/// let opened = heaptide_profile::open("server.4711.heaptide".as_ref())?;
/// println!("{} bytes at the peak", opened.profile.totals.peak_live_bytes);
/// # Ok::<(), heaptide_profile::OpenError>(())
/// ```
pub fn open(path: &Path) -> Result<Opened, OpenError> {
    let io_error = |source| OpenError::Io { path: path.to_owned(), source };
    // Before it is opened: opening a pipe waits for a writer.
    if !fs::metadata(path).map_err(io_error)?.is_file() {
        return Err(OpenError::NotAFile(path.to_owned()));
    }
    let mut file = File::open(path).map_err(io_error)?;
    let bytes = file.metadata().map_err(io_error)?.len();
    let mut magic = Vec::new();
    (&mut file).take(MAGIC.len() as u64).read_to_end(&mut magic).map_err(io_error)?;
    if magic == MAGIC {
        if bytes > RECORDING_BYTES_LIMIT {
            let path = path.to_owned();
            return Err(OpenError::TooLong { path, bytes });
        }
        let mut content = magic;
        file.take(RECORDING_BYTES_LIMIT).read_to_end(&mut content).map_err(io_error)?;
        open_recording(path, &content)
    } else if magic == heaptide_ledger::MAGIC.to_le_bytes() {
        open_ledger(path, &file)
    } else {
        Err(OpenError::Unknown(path.to_owned()))
    }
}

fn open_recording(path: &Path, content: &[u8]) -> Result<Opened, OpenError> {
    let (profile, problems) =
        decode(content).map_err(|source| OpenError::Recording { path: path.to_owned(), source })?;
    Ok(Opened { profile, problems, source: Source::Recording })
}

fn open_ledger(path: &Path, file: &File) -> Result<Opened, OpenError> {
    let io_error = |source| OpenError::Io { path: path.to_owned(), source };
    // Before it is mapped here as well: the program may be this one.
    let is_running = is_in_use(path, file);
    let map = LedgerFile::map(file).map_err(io_error)?;
    let reader = Reader::new(map.words()).map_err(|cause| OpenError::Ledger {
        path: path.to_owned(),
        cause: match cause {
            NotALedger::TooShort => "it is shorter than a ledger's header".to_owned(),
            NotALedger::Magic => "it does not begin as one".to_owned(),
            NotALedger::Newer(version) => format!(
                "a newer Heaptide wrote it, in version {version} of its layout; this is Heaptide {}, which reads \
                 versions up to {}",
                env!("CARGO_PKG_VERSION"),
                heaptide_ledger::VERSION
            ),
        },
    })?;
    let end = if is_running { End::Running } else { unwatched_end(&reader) };
    let (profile, problems) = from_ledger(&reader, end);
    Ok(Opened { profile, problems, source: Source::Ledger })
}

/// Whether the process that the ledger names has it mapped. Process ids are used again: only the one that writes this
/// ledger has it. Devices are not compared, as some file systems show another one here than to `stat`; names are.
fn is_in_use(path: &Path, file: &File) -> bool {
    let mut pid = [0; 8];
    let at = header_word!(pid) as u64 * 8;
    let (Ok(()), Ok(metadata)) = (file.read_exact_at(&mut pid, at), file.metadata()) else {
        return false;
    };
    let pid = u64::from_le_bytes(pid);
    let (Ok(maps), Ok(path)) = (fs::read(format!("/proc/{pid}/maps")), fs::canonicalize(path)) else {
        return false;
    };
    let name = path.file_name().map(OsStr::as_bytes);
    maps.split(|byte| *byte == b'\n').any(|line| {
        let mut fields = line.split(u8::is_ascii_whitespace).filter(|f| !f.is_empty());
        let inode = fields.nth(4).and_then(|field| str::from_utf8(field).ok());
        inode.and_then(|field| field.parse().ok()) == Some(metadata.ino())
            && line.rsplit(|byte| *byte == b'/').next() == name
    })
}
