//! `heaptide preload-path`: the library as a file, for programs that are started without `heaptide run`.

use std::fs::{DirBuilder, Permissions};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};

use heaptide_profile::file::Existing;

use crate::args::PreloadPathArgs;
use crate::error::{Attempt, Exit, Failure, Outcome};
use crate::output;
use crate::preload::{LIBRARY, LIBRARY_NAME, is_loadable_path};

/// Puts the library in its place, if it is not there yet, and prints where that is.
pub fn preload_path(args: &PreloadPathArgs) -> Outcome {
    let path = match &args.output {
        Some(path) => {
            let existing = output::existing(args.force);
            output::check_writable(path, existing)?;
            place(path, existing)?;
            std::path::absolute(path)?
        }
        None => in_data_dir()?,
    };
    if !is_loadable_path(&path) {
        return Err(Failure::new(format!("LD_PRELOAD cannot name {}", path.display()))
            .hint("-o FILE puts it at a path without spaces, colons and dollar signs"));
    }
    output::write_stdout(&[path.as_os_str().as_bytes(), b"\n"].concat())?;
    Ok(Exit::Fine)
}

fn in_data_dir() -> Outcome<PathBuf> {
    let from_env = |name| std::env::var_os(name).map(PathBuf::from).filter(|dir| dir.is_absolute());
    let data_dir =
        from_env("XDG_DATA_HOME").or_else(|| Some(from_env("HOME")?.join(".local/share"))).ok_or_else(|| {
            Failure::new("there is no home directory to keep the library in").hint("-o FILE puts it elsewhere")
        })?;
    // A new build is a new file: a running program may have mapped the old one.
    let mut hasher = DefaultHasher::new();
    LIBRARY.hash(&mut hasher);
    let build = format!("{}-{:016x}", env!("CARGO_PKG_VERSION"), hasher.finish());
    let dir = data_dir.join("heaptide").join(build);
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(&dir)
        .attempt(|| format!("cannot make the directory {}", dir.display()))
        .map_err(|failure| failure.hint("-o FILE puts the library elsewhere"))?;
    let path = dir.join(LIBRARY_NAME);
    if std::fs::read(&path).is_ok_and(|bytes| bytes == LIBRARY) {
        return Ok(path);
    }
    place(&path, Existing::Replace)?;
    Ok(path)
}

fn place(path: &Path, existing: Existing) -> Outcome<()> {
    output::write_file(path, existing, LIBRARY)?;
    // Other users' programs may load it.
    std::fs::set_permissions(path, Permissions::from_mode(0o755))
        .attempt(|| format!("cannot make {} readable", path.display()))
}
