//! Where a process's ledger goes, under which name.

use core::sync::atomic::Ordering::{Acquire, Release};

use heaptide_ledger::{HEADER_BYTES, Header, state};

use crate::{
    global::{Global, PATH_BYTES},
    ledger_file,
    options::Options,
    sys,
};

const MOST_NAMES: u32 = 10_000;

/// A path in the making, ended by a NUL byte.
struct Path {
    bytes: [u8; PATH_BYTES],
    len: usize,
}

impl Path {
    fn push(&mut self, bytes: &[u8]) -> Option<()> {
        // Room for the NUL byte is kept.
        self.bytes.get_mut(self.len..self.len + bytes.len() + 1)?[..bytes.len()].copy_from_slice(bytes);
        self.len += bytes.len();
        Some(())
    }

    fn push_number(&mut self, number: u32) -> Option<()> {
        let mut digits = [0; 10];
        let mut first = digits.len();
        let mut rest = number;
        loop {
            first -= 1;
            digits[first] = b'0' + (rest % 10) as u8;
            rest /= 10;
            if rest == 0 {
                break;
            }
        }
        self.push(&digits[first..])
    }

    fn terminated(&mut self) -> &[u8] {
        self.bytes[self.len] = 0;
        &self.bytes[..=self.len]
    }
}

/// Creates the ledger of this process.
///
/// # Errors
///
/// Why it could not be made, for a person.
pub fn create(global: &Global, options: &Options, pid: u32) -> Result<(), &'static [u8]> {
    const TOO_LONG: &[u8] = b"the path of the ledger is too long";
    let memory = sys::map_private(size_of::<Path>()).ok_or(&b"no memory"[..])?;
    // SAFETY: fresh zeroed memory of that size, which is a valid `Path`.
    let path = unsafe { &mut *memory.cast::<Path>() };
    let result = (|| {
        let base = match options.directory {
            Some(directory) => in_directory(path, directory, pid),
            None => by_pattern(path, options.out.unwrap_or(b"%e.%p.heaptide"), pid),
        };
        base.ok_or(TOO_LONG)?;
        let base = path.len;
        for number in 0..MOST_NAMES {
            path.len = base;
            name(path, options.directory.is_some(), number).ok_or(TOO_LONG)?;
            match ledger_file::create(global, path.terminated(), options.limit_bytes) {
                Ok(()) => {
                    global.set_ledger_path(path.terminated());
                    if options.directory.is_some() && number > 0 {
                        path.len = base;
                        if name(path, true, number - 1).is_some() {
                            supersede(path.terminated(), pid);
                        }
                    }
                    return Ok(());
                }
                Err(libc::EEXIST) => {}
                Err(error) => return Err(reason(error)),
            }
        }
        Err(&b"too many ledgers of that name"[..])
    })();
    // SAFETY: nothing refers to it any more.
    unsafe { sys::unmap(memory, size_of::<Path>()) };
    result
}

fn name(path: &mut Path, in_directory: bool, number: u32) -> Option<()> {
    if in_directory {
        path.push_number(number)?;
        path.push(b".ledger")
    } else if number > 0 {
        path.push(b".")?;
        path.push_number(number)
    } else {
        Some(())
    }
}

fn in_directory(path: &mut Path, directory: &[u8], pid: u32) -> Option<()> {
    path.push(directory)?;
    path.push(b"/")?;
    path.push_number(pid)?;
    path.push(b"-")
}

/// `%e` is the program's name, `%p` its process id, `%%` a percent sign. A relative path is made absolute, as it may be
/// opened again after the program has gone elsewhere.
fn by_pattern(path: &mut Path, pattern: &[u8], pid: u32) -> Option<()> {
    if !pattern.starts_with(b"/") {
        path.len = sys::read_link(b"/proc/self/cwd\0", &mut path.bytes)?.len();
        path.push(b"/")?;
    }
    let mut rest = pattern.iter();
    while let Some(byte) = rest.next() {
        match (*byte, rest.as_slice().first()) {
            (b'%', Some(b'p')) => path.push_number(pid)?,
            (b'%', Some(b'e')) => {
                let mut exe = [0; 512];
                let exe = sys::read_link(b"/proc/self/exe\0", &mut exe).unwrap_or(b"program");
                path.push(exe.rsplit(|byte| *byte == b'/').next().unwrap_or(b"program"))?;
            }
            (b'%', Some(b'%')) => path.push(b"%")?,
            _ => {
                path.push(&[*byte])?;
                continue;
            }
        }
        rest.next();
    }
    Some(())
}

/// Notes in the ledger of the program that this process executed before that it is over.
fn supersede(path: &[u8], pid: u32) {
    let Ok(fd) = sys::open(path, libc::O_RDWR, 0) else {
        return;
    };
    if let Some(memory) = sys::map_shared(fd, HEADER_BYTES as usize) {
        // SAFETY: a ledger's first page, which has its blocks since it was made.
        let header = unsafe { &*memory.cast::<Header>() };
        if header.pid.load(Acquire) == u64::from(pid) {
            header.state.store(state::SUPERSEDED, Release);
        }
        // SAFETY: nothing refers to it any more.
        unsafe { sys::unmap(memory, HEADER_BYTES as usize) };
    }
    sys::close(fd);
}

fn reason(error: i32) -> &'static [u8] {
    match error {
        libc::EACCES | libc::EPERM | libc::EROFS => b"the ledger's directory cannot be written to",
        libc::ENOENT | libc::ENOTDIR => b"the ledger's directory does not exist",
        libc::ENOSPC | libc::EDQUOT => b"no space left for the ledger",
        libc::EFBIG => b"a limit on file sizes forbids the ledger (ulimit -f)",
        libc::ENOMEM => b"no address space for the ledger (ulimit -v)",
        libc::EMFILE | libc::ENFILE => b"too many open files",
        _ => b"the ledger could not be made",
    }
}

#[cfg(test)]
mod tests {
    use std::{boxed::Box, string::String, vec::Vec};

    use super::*;

    fn made(make: impl FnOnce(&mut Path) -> Option<()>) -> Option<String> {
        let mut path = Box::new(Path { bytes: [0xff; PATH_BYTES], len: 0 });
        make(&mut path)?;
        let text = path.terminated();
        assert_eq!(text.last(), Some(&0));
        Some(core::str::from_utf8(&text[..text.len() - 1]).expect("text").into())
    }

    #[test]
    fn patterns_are_filled_in() {
        let of = |pattern: &[u8]| made(|path| by_pattern(path, pattern, 4_294_967_295)).expect("short");
        let exe = std::env::current_exe().expect("a path");
        let exe = exe.file_name().and_then(|name| name.to_str()).expect("text");
        assert_eq!(of(b"/x/%e.%p"), std::format!("/x/{exe}.4294967295"));
        assert_eq!(of(b"/100%%/%p%"), "/100%/4294967295%");
        assert_eq!(of(b"/%d%%p"), "/%d%p");
        let here = std::env::current_dir().expect("a path");
        assert_eq!(of(b"a/b"), std::format!("{}/a/b", here.display()));
    }

    #[test]
    fn names_are_numbered() {
        let of = |number| {
            made(|path| {
                in_directory(path, b"/s", 12)?;
                name(path, true, number)
            })
        };
        assert_eq!(of(0).as_deref(), Some("/s/12-0.ledger"));
        assert_eq!(of(10).as_deref(), Some("/s/12-10.ledger"));
        let out = |number| made(|path| path.push(b"/o").and_then(|()| name(path, false, number)));
        assert_eq!((out(0).as_deref(), out(3).as_deref()), (Some("/o"), Some("/o.3")));
    }

    #[test]
    fn what_is_too_long_is_refused() {
        for len in [PATH_BYTES - 2, PATH_BYTES - 1, PATH_BYTES, 3 * PATH_BYTES] {
            let pattern: Vec<u8> = core::iter::once(b'/').chain(core::iter::repeat_n(b'a', len - 1)).collect();
            let path = made(|path| by_pattern(path, &pattern, 1));
            assert_eq!(path.map(|path| path.len()), (len < PATH_BYTES).then_some(len));
        }
    }
}
