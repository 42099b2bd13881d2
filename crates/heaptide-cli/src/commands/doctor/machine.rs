//! What the machine allows.

use std::path::Path;

use rustix::fs::StatVfsMountFlags;
use rustix::process::Resource;

use crate::binary::{Effect, Remark};
use crate::observer::session::{SHARED_MEMORY, SHARED_MEMORY_BYTES};
use crate::os;

/// A ledger may need this much, so a file size limit below it will be felt.
const LEDGER_BYTES: u64 = 256 << 20;

/// What the machine's settings mean for recordings.
pub fn remarks() -> Vec<Remark> {
    let mut remarks = vec![system(), shared_memory()];
    remarks.extend(file_size_limit());
    remarks.extend(tracing());
    remarks
}

fn remark(effect: Effect, what: String) -> Remark {
    Remark { effect, what, advice: None }
}

fn system() -> Remark {
    let system = rustix::system::uname();
    remark(
        Effect::Good,
        format!(
            "{} {} on {}, glibc {}",
            system.sysname().to_string_lossy(),
            system.release().to_string_lossy(),
            system.machine().to_string_lossy(),
            os::glibc_version()
        ),
    )
}

fn shared_memory() -> Remark {
    let elsewhere = "ledgers are kept beside the recording instead";
    let dir = Path::new(SHARED_MEMORY);
    let Ok(stat) = rustix::fs::statvfs(dir) else {
        return remark(Effect::Neutral, format!("{SHARED_MEMORY} is not there: {elsewhere}"));
    };
    let free_bytes = stat.f_bavail.saturating_mul(stat.f_frsize);
    let free = format!("{SHARED_MEMORY}: {} MiB free", free_bytes >> 20);
    if free_bytes < SHARED_MEMORY_BYTES {
        let needed = SHARED_MEMORY_BYTES >> 20;
        return Remark {
            effect: Effect::Neutral,
            what: format!("{free}, less than {needed} MiB: {elsewhere}"),
            advice: Some("in a container, give it more: `docker run --shm-size=1g`".to_owned()),
        };
    }
    if stat.f_flag.contains(StatVfsMountFlags::NOEXEC) {
        return remark(Effect::Neutral, format!("{free}, mounted noexec: {elsewhere}"));
    }
    remark(Effect::Good, format!("{free} for ledgers"))
}

fn file_size_limit() -> Option<Remark> {
    let limit = rustix::process::getrlimit(Resource::Fsize).current?;
    (limit < LEDGER_BYTES).then(|| Remark {
        effect: Effect::Poorer,
        what: format!("files are limited to {} KiB (`ulimit -f`): recording stops there", limit >> 10),
        advice: Some("raise it: `ulimit -f unlimited`".to_owned()),
    })
}

fn tracing() -> Option<Remark> {
    let scope = std::fs::read_to_string("/proc/sys/kernel/yama/ptrace_scope").ok()?;
    let meaning = match scope.trim() {
        "0" => "any of your processes may be traced",
        "1" => "only children may be traced",
        "2" => "only root may trace",
        _ => "nobody may trace",
    };
    Some(remark(
        Effect::Good,
        format!("ptrace_scope {} ({meaning}): recording does not trace and does not mind", scope.trim()),
    ))
}
