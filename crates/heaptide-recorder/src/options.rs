//! What `HEAPTIDE_OPTIONS` says.
//!
//! `key:value,key:value`. Unknown keys are named on standard error and ignored.

use core::sync::atomic::{AtomicU8, Ordering::Relaxed};

use crate::{sys, thread::initial_stack};

/// Name of the variable.
pub const VARIABLE: &[u8] = b"HEAPTIDE_OPTIONS";

/// The options of one process.
#[derive(Clone, Copy)]
pub struct Options {
    /// Directory for ledgers, `<pid>-<k>.ledger`.
    pub directory: Option<&'static [u8]>,
    /// Pattern for the ledger's own name: `%e` program, `%p` process id.
    pub out: Option<&'static [u8]>,
    /// Mean gap of samples in bytes, 0 for every allocation.
    pub sample_bytes: u64,
    /// Most bytes of a ledger.
    pub limit_bytes: u64,
    /// Time between samples of the timeline.
    pub interval_ms: u64,
    /// The only process that is recorded, unless `follow`.
    pub root: Option<u32>,
    /// Whether forked children and other processes are recorded too.
    pub follow: Follow,
    /// Who keeps the clock.
    pub clock: Clock,
    /// Whether stacks are remembered.
    pub memo: Memo,
}

/// Which processes are recorded.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Follow {
    /// The first one.
    First,
    /// All.
    Children,
}

/// Who advances the clock and takes the timeline.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Clock {
    /// Somebody outside.
    Observer,
    /// A thread of ours.
    Thread,
}

/// How stacks are walked.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Memo {
    /// With what is remembered.
    Used,
    /// Whole, each time.
    Unused,
    /// Both, and compared.
    Verified,
}

const DEFAULT: Options = Options {
    directory: None,
    out: None,
    sample_bytes: 0,
    limit_bytes: 64 << 30,
    interval_ms: 100,
    root: None,
    follow: Follow::First,
    clock: Clock::Thread,
    memo: Memo::Used,
};

/// Mean gap of samples if none is named.
const DEFAULT_SAMPLE_BYTES: u64 = 512 << 10;

impl Options {
    /// Reads the environment that the process was started with. The program may write over its place later, so the
    /// text is copied.
    pub fn read() -> Options {
        match variable(VARIABLE) {
            Some(text) => Options::parse(keep(text)),
            None => DEFAULT,
        }
    }

    /// The options that were read, in a forked child.
    pub fn kept() -> Options {
        let len = TEXT.iter().position(|byte| byte.load(Relaxed) == 0).unwrap_or(TEXT.len());
        // SAFETY: not written any more.
        Options::parse(unsafe { core::slice::from_raw_parts(TEXT.as_ptr().cast(), len) })
    }

    fn parse(text: &'static [u8]) -> Options {
        let mut options = DEFAULT;
        for part in text.split(|byte| *byte == b',').filter(|part| !part.is_empty()) {
            let (key, value) = match part.iter().position(|byte| *byte == b':') {
                Some(colon) => (&part[..colon], &part[colon + 1..]),
                None => (part, &b""[..]),
            };
            let number = size(value);
            let known = match key {
                b"dir" => set(&mut options.directory, Some(Some(value))),
                b"out" => set(&mut options.out, Some(Some(value))),
                b"sample" => {
                    let bytes = if value.is_empty() { Some(DEFAULT_SAMPLE_BYTES) } else { number };
                    set(&mut options.sample_bytes, bytes)
                }
                b"limit" => set(&mut options.limit_bytes, number.map(|bytes| bytes.max(2 << 20))),
                b"interval" => set(&mut options.interval_ms, number.map(|ms| ms.max(1))),
                b"root" => set(&mut options.root, number.map(|pid| Some(pid as u32))),
                b"follow" => set(&mut options.follow, choice(value, Follow::First, Follow::Children)),
                b"observer" => set(&mut options.clock, choice(value, Clock::Thread, Clock::Observer)),
                b"memo" => set(&mut options.memo, choice(value, Memo::Unused, Memo::Used)),
                b"verify" => set(&mut options.memo, choice(value, Memo::Used, Memo::Verified)),
                _ => false,
            };
            if !known {
                sys::complain(&[b"heaptide: ignoring unknown or malformed option '", part, b"' in HEAPTIDE_OPTIONS\n"]);
            }
        }
        options
    }
}

static TEXT: [AtomicU8; 8192] = [const { AtomicU8::new(0) }; 8192];

fn keep(text: &[u8]) -> &'static [u8] {
    let len = text.len().min(TEXT.len());
    for (to, from) in TEXT.iter().zip(text) {
        to.store(*from, Relaxed);
    }
    // SAFETY: written here, once, before anybody reads it.
    unsafe { core::slice::from_raw_parts(TEXT.as_ptr().cast(), len) }
}

fn set<T>(option: &mut T, value: Option<T>) -> bool {
    value.is_some_and(|value| {
        *option = value;
        true
    })
}

fn choice<T>(value: &[u8], off: T, on: T) -> Option<T> {
    match value {
        b"0" => Some(off),
        b"1" | b"" => Some(on),
        _ => None,
    }
}

/// A number with `k`, `m` or `g` behind it.
fn size(text: &[u8]) -> Option<u64> {
    let (digits, shift) = match text.split_last()? {
        (b'k' | b'K', digits) => (digits, 10),
        (b'm' | b'M', digits) => (digits, 20),
        (b'g' | b'G', digits) => (digits, 30),
        _ => (text, 0),
    };
    if digits.is_empty() {
        return None;
    }
    let number = digits.iter().try_fold(0_u64, |sum, digit| {
        let digit = digit.checked_sub(b'0').filter(|digit| *digit < 10)?;
        sum.checked_mul(10)?.checked_add(digit.into())
    })?;
    number.checked_mul(1 << shift)
}

/// The strings of the initial stack: arguments, and behind their null pointer the environment.
pub fn initial_strings(environment: Initial) -> impl Iterator<Item = &'static [u8]> {
    let stack = initial_stack();
    // SAFETY: the number of arguments, put there by the kernel.
    let arguments = if stack.is_null() { 0 } else { (unsafe { stack.read() }) as usize };
    let first = match environment {
        Initial::Arguments => 1,
        Initial::Environment => arguments + 2,
    };
    (first..).map_while(move |index| {
        if stack.is_null() {
            return None;
        }
        // SAFETY: up to the null pointer that ends the list.
        let string = (unsafe { stack.add(index).read() }) as *const core::ffi::c_char;
        // SAFETY: a string of the kernel's making, or what the program put in its place.
        (!string.is_null()).then(|| unsafe { core::ffi::CStr::from_ptr(string) }.to_bytes())
    })
}

/// A part of the initial stack.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Initial {
    /// The program's arguments.
    Arguments,
    /// Its environment.
    Environment,
}

fn variable(name: &[u8]) -> Option<&'static [u8]> {
    initial_strings(Initial::Environment)
        .find_map(|entry| entry.strip_prefix(name).and_then(|rest| rest.strip_prefix(b"=")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_read() {
        let options = Options::parse(b"dir:/tmp/a:b,sample,limit:3g,interval:250,root:77,follow:1,observer,verify:1");
        assert_eq!(options.directory, Some(&b"/tmp/a:b"[..]));
        assert_eq!(options.out, None);
        assert_eq!(options.sample_bytes, DEFAULT_SAMPLE_BYTES);
        assert_eq!(options.limit_bytes, 3 << 30);
        assert_eq!(options.interval_ms, 250);
        assert_eq!(options.root, Some(77));
        assert!(options.follow == Follow::Children && options.clock == Clock::Observer);
        assert!(options.memo == Memo::Verified);
    }

    #[test]
    fn what_is_not_understood_changes_nothing() {
        let options =
            Options::parse(b",,sample:-1,limit:,interval:1x,follow:yes,:,dirt:/x,sample:99999999999999999999,");
        assert_eq!(options.sample_bytes, 0);
        assert_eq!(options.limit_bytes, DEFAULT.limit_bytes);
        assert_eq!(options.interval_ms, DEFAULT.interval_ms);
        assert!(options.follow == Follow::First && options.directory.is_none());
    }

    #[test]
    fn limits_are_kept_to() {
        let options = Options::parse(b"limit:1k,interval:0,memo:0");
        assert_eq!((options.limit_bytes, options.interval_ms), (2 << 20, 1));
        assert!(options.memo == Memo::Unused);
    }

    #[test]
    fn sizes_have_units() {
        assert_eq!(size(b"4096"), Some(4096));
        assert_eq!(size(b"64k"), Some(64 << 10));
        assert_eq!(size(b"5M"), Some(5 << 20));
        assert_eq!(size(b"2g"), Some(2 << 30));
        for wrong in [&b""[..], b"k", b"1kk", b"1.5m", b"99999999999g", b"18446744073709551616", b" 1"] {
            assert_eq!(size(wrong), None);
        }
    }
}
