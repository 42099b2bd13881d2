//! Taking the library out of the environment of a process that is not recorded, so that what it starts is not bothered.

use core::ffi::{CStr, c_char};

use crate::options::VARIABLE;

unsafe extern "C" {
    static mut environ: *mut *mut c_char;
}

/// Removes our options, and us from `LD_PRELOAD`. Only before the program's own code runs.
pub fn leave() {
    // SAFETY: no other thread exists yet, and the program has not seen its environment.
    let mut place = unsafe { environ };
    if place.is_null() {
        return;
    }
    let mut kept = place;
    loop {
        // SAFETY: entries up to the null pointer.
        let entry = unsafe { place.read() };
        if entry.is_null() {
            break;
        }
        // SAFETY: a string that lies in memory of this process, writable as all of the initial stack.
        let bytes =
            unsafe { core::slice::from_raw_parts_mut(entry.cast::<u8>(), CStr::from_ptr(entry).to_bytes().len()) };
        if !ours(bytes) {
            // SAFETY: `kept` never passes `place`.
            unsafe { kept.write(entry) };
            // SAFETY: as above.
            kept = unsafe { kept.add(1) };
        }
        // SAFETY: the null pointer has not been reached.
        place = unsafe { place.add(1) };
    }
    // SAFETY: `kept` is at or before the null pointer.
    unsafe { kept.write(core::ptr::null_mut()) };
}

/// Whether the entry is ours alone. If it is ours with others, we are taken out of it.
fn ours(entry: &mut [u8]) -> bool {
    if entry.strip_prefix(VARIABLE).is_some_and(|rest| rest.starts_with(b"=")) {
        return true;
    }
    let Some(list) = entry.strip_prefix(b"LD_PRELOAD=") else {
        return false;
    };
    let Some(start) = list.windows(NAME.len()).position(|window| window == NAME) else {
        return false;
    };
    let head = b"LD_PRELOAD=".len();
    let separator = |byte: &u8| *byte == b':' || *byte == b' ';
    let from = head + list[..start].iter().rposition(separator).map_or(0, |place| place + 1);
    let to = entry[from..].iter().position(separator).map_or(entry.len(), |place| from + place + 1);
    if from == head && to == entry.len() {
        return true;
    }
    // Close the gap; what is left over at the end becomes separators, which the loader skips.
    entry.copy_within(to.., from);
    let left = entry.len() - (to - from);
    entry[left..].fill(b':');
    false
}

/// How the library's file is named wherever it is put.
const NAME: &[u8] = b"libheaptide";
