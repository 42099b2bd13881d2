//! A directory that goes with the test.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// A new directory, removed when dropped.
pub struct Place(PathBuf);

impl Place {
    /// One in the system's folder for temporary files.
    #[expect(clippy::new_without_default, reason = "it makes a directory, which nobody expects of a default")]
    pub fn new() -> Self {
        Self::under(&std::env::temp_dir())
    }

    /// One elsewhere.
    ///
    /// # Panics
    ///
    /// Where it cannot be made.
    pub fn under(folder: &Path) -> Self {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = folder.join(format!("heaptide-tests-{}-{count}", std::process::id()));
        match fs::create_dir(&path) {
            Ok(()) => Self(path),
            Err(error) => panic!("{}: {error}", path.display()),
        }
    }

    /// Where it is.
    pub fn dir(&self) -> &Path {
        &self.0
    }

    /// A name in it.
    pub fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.0.join(name)
    }

    /// A file in it.
    ///
    /// # Panics
    ///
    /// Where it cannot be written.
    pub fn file(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        match fs::write(&path, content) {
            Ok(()) => path,
            Err(error) => panic!("{}: {error}", path.display()),
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // What is left of it is in the system's folder for that.
        let _ = fs::remove_dir_all(&self.0);
    }
}
