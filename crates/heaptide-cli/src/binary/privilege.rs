//! Executables that gain rights when they start: for those the loader ignores `LD_PRELOAD`.

use std::fmt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::fs::StatVfsMountFlags;

/// What gives an executable rights that its caller does not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Privilege {
    /// It runs as another user.
    SetUid,
    /// It runs as another group.
    SetGid,
    /// It carries file capabilities.
    Capabilities,
}

impl fmt::Display for Privilege {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Privilege::SetUid => "setuid",
            Privilege::SetGid => "setgid",
            Privilege::Capabilities => "given file capabilities",
        })
    }
}

/// What the file at `path` would gain if this process executed it.
pub fn of(path: &Path) -> Option<Privilege> {
    let metadata = std::fs::metadata(path).ok()?;
    let mount = rustix::fs::statvfs(path).ok()?;
    if mount.f_flag.contains(StatVfsMountFlags::NOSUID) {
        return None;
    }
    let (user, group) = (rustix::process::getuid(), rustix::process::getgid());
    if metadata.mode() & 0o4000 != 0 && metadata.uid() != user.as_raw() {
        return Some(Privilege::SetUid);
    }
    // Without the group's execute bit, setgid once meant mandatory locking.
    if metadata.mode() & 0o2010 == 0o2010 && metadata.gid() != group.as_raw() {
        return Some(Privilege::SetGid);
    }
    let has_capabilities = || rustix::fs::getxattr(path, "security.capability", &mut [0_u8; 64][..]).is_ok();
    // Root gains nothing by them.
    (!user.is_root() && has_capabilities()).then_some(Privilege::Capabilities)
}
