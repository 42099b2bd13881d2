//! From the command that a person typed to the file that the kernel will load.
//!
//! The search is that of `execvp`: the directories of `PATH`, a script's `#!` line, and `/bin/sh` for a text file
//! without one.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::{Access, AtFlags, CWD};

/// What `PATH` is when it is not set.
const DEFAULT_PATH: &str = "/bin:/usr/bin";
/// The kernel reads this much of a script's first line.
const FIRST_LINE_BYTES: usize = 256;
/// Scripts whose interpreters are scripts; the kernel gives up a little later.
const SCRIPTS_LIMIT: usize = 5;

/// How a command is started.
#[derive(Clone, Debug)]
pub struct Launch {
    /// The file that `execve` is given.
    pub path: PathBuf,
    /// Arguments to go in front of the command's own; not empty only for a text file that a shell must read.
    pub shell: Option<PathBuf>,
    /// Scripts that are read, outermost first.
    pub scripts: Vec<PathBuf>,
    /// The executable that is loaded in the end: the program, or the interpreter of the last script.
    pub image: PathBuf,
}

/// Why a command cannot be started.
#[derive(Debug, thiserror::Error)]
pub enum LaunchError {
    /// There is no such file, or none of that name in `PATH`.
    #[error("{}", match .in_path { true => "no program of that name in PATH", false => "no such file" })]
    NotFound {
        /// Whether it was looked for in `PATH`.
        in_path: bool,
    },
    /// There is a file, and it cannot be executed.
    #[error("{0}")]
    CannotExecute(String),
}

impl Launch {
    /// Finds what `command` starts.
    pub fn find(command: &OsStr) -> Result<Launch, LaunchError> {
        let path = search(command)?;
        let mut launch = Launch { path: path.clone(), shell: None, scripts: Vec::new(), image: path };
        while launch.scripts.len() < SCRIPTS_LIMIT {
            let first_line = match first_bytes(&launch.image) {
                Ok(bytes) => bytes,
                // It may be executable and not readable.
                Err(error) if error.kind() == io::ErrorKind::PermissionDenied => return Ok(launch),
                Err(error) => return Err(LaunchError::CannotExecute(error.to_string())),
            };
            let interpreter = if let Some(line) = first_line.strip_prefix(b"#!") {
                interpreter(line)?
            } else if first_line.starts_with(b"\x7fELF") {
                return Ok(launch);
            } else if is_text(&first_line) && launch.scripts.is_empty() {
                launch.shell = Some(PathBuf::from("/bin/sh"));
                PathBuf::from("/bin/sh")
            } else {
                return Err(LaunchError::CannotExecute("it is neither an ELF file nor a script".to_owned()));
            };
            let script = std::mem::replace(&mut launch.image, interpreter);
            launch.scripts.push(script);
        }
        Err(LaunchError::CannotExecute(
            "its interpreter is a script, whose interpreter is a script, and so on".to_owned(),
        ))
    }

    /// The path for `execve` and the arguments in front of the program's own.
    pub fn exec(&self, command: &OsStr) -> (PathBuf, Vec<OsString>) {
        match &self.shell {
            Some(shell) => (shell.clone(), vec![OsString::from("sh"), self.path.clone().into_os_string()]),
            None => (self.path.clone(), vec![command.to_owned()]),
        }
    }
}

fn search(command: &OsStr) -> Result<PathBuf, LaunchError> {
    if command.as_bytes().contains(&b'/') {
        let path = PathBuf::from(command);
        return executable(&path).map(|()| path);
    }
    let in_path = true;
    if command.is_empty() {
        return Err(LaunchError::NotFound { in_path });
    }
    let dirs = std::env::var_os("PATH").unwrap_or_else(|| OsString::from(DEFAULT_PATH));
    let mut refused = None;
    for dir in dirs.as_bytes().split(|&byte| byte == b':') {
        let dir = if dir.is_empty() { Path::new(".") } else { Path::new(OsStr::from_bytes(dir)) };
        let path = dir.join(command);
        match executable(&path) {
            Ok(()) => return Ok(path),
            Err(LaunchError::NotFound { .. }) => {}
            Err(error) => refused = refused.or(Some(error)),
        }
    }
    Err(refused.unwrap_or(LaunchError::NotFound { in_path }))
}

fn executable(path: &Path) -> Result<(), LaunchError> {
    let metadata = std::fs::metadata(path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => LaunchError::NotFound { in_path: false },
        _ => LaunchError::CannotExecute(error.to_string()),
    })?;
    if !metadata.is_file() {
        let what = if metadata.is_dir() { "it is a directory" } else { "it is not a regular file" };
        return Err(LaunchError::CannotExecute(what.to_owned()));
    }
    if metadata.permissions().mode() & 0o111 == 0 {
        return Err(LaunchError::CannotExecute("it is not executable".to_owned()));
    }
    rustix::fs::accessat(CWD, path, Access::EXEC_OK, AtFlags::EACCESS)
        .map_err(|errno| LaunchError::CannotExecute(io::Error::from(errno).to_string()))
}

fn first_bytes(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(FIRST_LINE_BYTES);
    File::open(path)?.take(FIRST_LINE_BYTES as u64).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// As shells decide: no NUL byte in front of the first line's end.
fn is_text(bytes: &[u8]) -> bool {
    !bytes.is_empty() && !bytes.iter().take_while(|&&byte| byte != b'\n').any(|&byte| byte == 0)
}

/// The program that reads a script, from what stands behind `#!`.
fn interpreter(line: &[u8]) -> Result<PathBuf, LaunchError> {
    let line = line.split(|&byte| byte == b'\n').next().unwrap_or_default();
    let mut words = line.split(|byte| matches!(byte, b' ' | b'\t' | b'\r')).filter(|word| !word.is_empty());
    let Some(program) = words.next() else {
        return Err(LaunchError::CannotExecute("its #! line names no interpreter".to_owned()));
    };
    let path = PathBuf::from(OsString::from_vec(program.to_vec()));
    executable(&path).map_err(|error| {
        LaunchError::CannotExecute(format!("its interpreter {} cannot be executed: {error}", path.display()))
    })?;
    // `env` only looks the real interpreter up.
    if path.file_name() == Some(OsStr::new("env")) {
        let name = words.find(|word| !word.starts_with(b"-") && !word.contains(&b'='));
        if let Some(found) = name.and_then(|name| search(OsStr::from_bytes(name)).ok()) {
            return Ok(found);
        }
    }
    Ok(path)
}
