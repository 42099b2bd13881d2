//! Debian's programs, by name of their package.

use std::path::{Path, PathBuf};
use std::process::Command;

/// Where an installed program is.
///
/// # Panics
///
/// Where it is not installed; the message says what to install.
pub fn tool(name: &str, package: &str) -> PathBuf {
    let folders = ["/usr/bin", "/usr/sbin", "/bin", "/sbin"];
    let found = folders.iter().map(|folder| Path::new(folder).join(name)).find(|path| path.is_file());
    found.unwrap_or_else(|| panic!("{name} is needed: apt-get install --no-install-recommends {package}"))
}

/// A command whose environment has nothing of this process's but `PATH`, so that two recorders give it the same.
pub fn bare(program: impl AsRef<std::ffi::OsStr>) -> Command {
    let mut command = Command::new(program);
    // Not `env_clear`, which nobody can ask for afterwards.
    for (name, _) in std::env::vars_os() {
        command.env_remove(name);
    }
    command.env("PATH", "/usr/bin:/bin");
    command
}
