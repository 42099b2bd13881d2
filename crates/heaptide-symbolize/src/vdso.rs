//! The kernel's own library, which has no file.
//!
//! Every process has the same one until the kernel changes, so ours stands in for the recorded one if its build id
//! says so.

use std::fs::File;
use std::os::unix::fs::FileExt;

/// No kernel's library is near this size.
const BYTES_MAX: u64 = 1 << 20;

/// How modules name it.
pub(crate) const PATH: &str = "[vdso]";

/// The bytes of this process's vDSO.
pub(crate) fn read_own() -> Option<Vec<u8>> {
    let maps = std::fs::read_to_string("/proc/self/maps").ok()?;
    let line = maps.lines().find(|line| line.ends_with(PATH))?;
    let (start, end) = line.split_whitespace().next()?.split_once('-')?;
    let start = u64::from_str_radix(start, 16).ok()?;
    let len = u64::from_str_radix(end, 16).ok()?.checked_sub(start).filter(|&len| len <= BYTES_MAX)?;
    let mut bytes = vec![0; usize::try_from(len).ok()?];
    File::open("/proc/self/mem").ok()?.read_exact_at(&mut bytes, start).ok()?;
    Some(bytes)
}
