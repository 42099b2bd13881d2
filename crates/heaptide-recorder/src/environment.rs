//! Taking the library out of the environment of a process that is not recorded, so that what it starts is not bothered.

use core::ffi::{CStr, c_char};

use crate::options::VARIABLE;

unsafe extern "C" {
    static mut environ: *mut *mut c_char;
}

/// Removes our options, and us from `LD_PRELOAD`. Only before the program's own code runs.
pub fn leave() {
    // SAFETY: no other thread exists yet, and the program has not seen its environment, whose entries lie in the
    // initial stack.
    unsafe { leave_block(environ) };
}

/// # Safety
///
/// Null, or a list of writable strings that a null pointer ends, which nobody else uses.
unsafe fn leave_block(mut place: *mut *mut c_char) {
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

#[cfg(test)]
mod tests {
    use std::{string::String, vec, vec::Vec};

    use super::*;

    /// The environment that is left of another.
    fn left(entries: &[&str]) -> Vec<String> {
        let mut strings: Vec<Vec<u8>> = entries.iter().map(|entry| [entry.as_bytes(), b"\0"].concat()).collect();
        let mut block: Vec<*mut c_char> = strings.iter_mut().map(|string| string.as_mut_ptr().cast()).collect();
        block.push(core::ptr::null_mut());
        // SAFETY: such a list.
        unsafe { leave_block(block.as_mut_ptr()) };
        let entries = block.iter().take_while(|entry| !entry.is_null());
        // SAFETY: strings that are still there.
        entries.map(|entry| unsafe { CStr::from_ptr(*entry) }.to_str().expect("text").into()).collect()
    }

    #[test]
    fn only_what_is_ours_goes() {
        assert_eq!(
            left(&["A=1", "HEAPTIDE_OPTIONS=dir:/x", "LD_PRELOAD=/s/libheaptide.so", "HEAPTIDE_OPTIONS_2=y", "B="]),
            ["A=1", "HEAPTIDE_OPTIONS_2=y", "B="]
        );
        assert_eq!(left(&["LD_PRELOAD=/s/libheaptide.so", "HEAPTIDE_OPTIONS="]), Vec::<&str>::new());
        assert_eq!(left(&[]), Vec::<&str>::new());
        assert_eq!(left(&["LD_PRELOADED=libheaptide.so", "X"]), ["LD_PRELOADED=libheaptide.so", "X"]);
    }

    #[test]
    fn other_libraries_stay_preloaded() {
        let list = |value: &str| {
            let entry = std::format!("LD_PRELOAD={value}");
            let left = left(&["A=1", &entry, "B=2"]);
            assert_eq!((left.len(), &*left[0], &*left[2]), (3, "A=1", "B=2"));
            let libraries = left[1].strip_prefix("LD_PRELOAD=").expect("the variable");
            libraries.split([':', ' ']).filter(|library| !library.is_empty()).map(String::from).collect::<Vec<_>>()
        };
        let none: Vec<String> = vec![];
        assert_eq!(list("/s/libheaptide.so:/a/b.so"), ["/a/b.so"]);
        assert_eq!(list("/a/b.so:/s/libheaptide.so"), ["/a/b.so"]);
        assert_eq!(list("/a/b.so /s/libheaptide_preload.so c.so"), ["/a/b.so", "c.so"]);
        assert_eq!(list("a.so:b.so"), ["a.so", "b.so"]);
        assert_eq!(list(""), none);
        assert_eq!(list(":/s/libheaptide.so"), none);
    }
}
