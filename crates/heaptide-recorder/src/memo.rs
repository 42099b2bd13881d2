//! The stack as a thread last saw it, outermost frame first, so that the next walk can stop where nothing changed.
//!
//! **Why it is exact.** Where a walk goes from a frame depends on that frame's return address, its stack pointer (which
//! lies behind the slot of the return address), its frame pointer, and on the words of the stack that its rules read:
//! return addresses, and saved frame pointers. A remembered frame is met again when slot and return address are equal,
//! and the frame pointer too if a rule further out uses it. All words that were read from there outwards are
//! remembered; if each still holds its value, the walk would read the same words and end the same way.
//!
//! Only the thread's own stack is remembered: it stays mapped for as long as the thread lives, so the words may be read
//! at any time. Stacks of fibres and signal handlers are walked whole.

use crate::{
    rules::{Frame, Kind, Rule},
    walk::{MOST_FRAMES, Step},
};

/// Words remembered: every frame has one, and some have one or two more.
const WORDS: usize = MOST_FRAMES * 2;

#[derive(Clone, Copy)]
struct Word {
    address: u64,
    value: u64,
}

#[derive(Clone, Copy)]
struct Meaning {
    rbp: u64,
    node: u32,
    /// [`FRAME`], [`FRAME_WITH_RBP`] or [`SAVED`], and above [`KIND_BITS`] the number of frames from the outermost to here.
    kind: u32,
}

/// A frame whose rules, and those further out, need no frame pointer.
const FRAME: u32 = 0;
/// A frame that is the same only with the same frame pointer.
const FRAME_WITH_RBP: u32 = 1;
/// Not a frame: a word that a rule read.
const SAVED: u32 = 2;
const KIND_BITS: u32 = 2;
const KIND_MASK: u32 = (1 << KIND_BITS) - 1;

/// A frame that was met again.
#[derive(Clone, Copy)]
pub struct Met {
    index: usize,
    /// Frames from the outermost to it.
    pub frames: usize,
    /// Its call path.
    pub node: u64,
}

/// See the module. All zero is an empty memory.
pub struct Memo {
    len: usize,
    epoch: u64,
    words: [Word; WORDS],
    meanings: [Meaning; WORDS],
}

/// Where a walk stands in the memory: entries from here inwards cannot be met any more.
pub struct Cursor(usize);

impl Memo {
    /// Forgets everything if libraries were unloaded since.
    #[inline]
    pub fn begin(&mut self, epoch: u64) -> Cursor {
        if self.epoch != epoch {
            self.epoch = epoch;
            self.len = 0;
        }
        Cursor(self.len)
    }

    /// Whether `frame` is remembered, with all that lies outside it.
    #[inline]
    pub fn meet(&self, cursor: &mut Cursor, frame: Frame) -> Option<Met> {
        while cursor.0 > 0 {
            let index = cursor.0 - 1;
            // SAFETY: `cursor.0 <= len <= WORDS`.
            let word = unsafe { self.words.get_unchecked(index) };
            if word.address > frame.slot {
                return None;
            }
            cursor.0 = index;
            if word.address < frame.slot {
                continue;
            }
            // SAFETY: as above.
            let meaning = unsafe { self.meanings.get_unchecked(index) };
            if meaning.kind & KIND_MASK == SAVED {
                continue;
            }
            if word.value != frame.return_address
                || meaning.kind & KIND_MASK == FRAME_WITH_RBP && meaning.rbp != frame.rbp
            {
                return None;
            }
            if self.unchanged(index) {
                return Some(Met {
                    index,
                    frames: (meaning.kind >> KIND_BITS) as usize,
                    node: u64::from(meaning.node),
                });
            }
            cursor.0 = self.words[..index].iter().position(changed).unwrap_or(0);
            return None;
        }
        None
    }

    #[inline]
    fn unchanged(&self, outside: usize) -> bool {
        let mut difference = 0;
        // SAFETY: `outside < len <= WORDS`.
        for word in unsafe { self.words.get_unchecked(..outside) } {
            // SAFETY: a word of the thread's own stack.
            difference |= unsafe { (word.address as *const u64).read_volatile() } ^ word.value;
        }
        difference == 0
    }

    /// Keeps what lies outside `met`, and it; `None` forgets all.
    #[inline]
    pub fn keep(&mut self, met: Option<Met>) {
        self.len = met.map_or(0, |met| met.index + 1);
    }

    /// The kind and number of the frame that was kept last.
    #[inline]
    fn last_kind(&self) -> u32 {
        if self.len == 0 { FRAME } else { self.meanings[self.len - 1].kind }
    }

    /// The frame that was kept last, as far as the one inside it needs to know: stack pointer and frame pointer.
    #[inline]
    fn outer(&self) -> (u64, u64) {
        if self.len == 0 { (0, 0) } else { (self.words[self.len - 1].address + 8, self.meanings[self.len - 1].rbp) }
    }

    /// Adds the next frame inwards. Whether there was room.
    #[inline]
    pub fn push(&mut self, step: &Step, node: u64) -> bool {
        let last = self.last_kind();
        let frames = (last >> KIND_BITS) + 1;
        if self.len + 3 > WORDS {
            return false;
        }
        let Step { frame, rule } = step.read();
        let (outer_rsp, outer_rbp) = self.outer();
        // A rule outside the last frame kept uses the frame pointer.
        let outside_needs_rbp = last & KIND_MASK == FRAME_WITH_RBP;
        let kind = rule.kind();
        if kind == Kind::REALIGNED {
            self.add(frame.rbp - rule.cfa_offset(), outer_rsp, 0, 0, SAVED);
            if outside_needs_rbp {
                self.add(frame.rbp, outer_rbp, 0, 0, SAVED);
            }
        } else if outside_needs_rbp && rule.rbp_offset() != 0 {
            self.add(outer_rsp - rule.rbp_offset(), outer_rbp, 0, 0, SAVED);
        }
        let with_rbp = uses_rbp(rule) || outside_needs_rbp && rule.rbp_offset() == 0;
        self.add(
            frame.slot,
            frame.return_address,
            frame.rbp,
            node as u32,
            frames << KIND_BITS | if with_rbp { FRAME_WITH_RBP } else { FRAME },
        );
        true
    }

    #[inline]
    fn add(&mut self, address: u64, value: u64, rbp: u64, node: u32, kind: u32) {
        let (word, meaning) = (self.words.as_mut_ptr(), self.meanings.as_mut_ptr());
        // SAFETY: `push` made sure of room. Volatile keeps the words from being put together on the stack first, where
        // reading them back would wait for the stores.
        unsafe {
            let word = word.add(self.len);
            (&raw mut (*word).address).write_volatile(address);
            (&raw mut (*word).value).write_volatile(value);
            let meaning = meaning.add(self.len);
            (&raw mut (*meaning).rbp).write_volatile(rbp);
            (&raw mut (*meaning).node).write_volatile(node);
            (&raw mut (*meaning).kind).write_volatile(kind);
        }
        self.len += 1;
    }
}

#[inline]
fn uses_rbp(rule: Rule) -> bool {
    matches!(rule.kind(), Kind::RBP | Kind::REALIGNED)
}

#[cold]
fn changed(word: &Word) -> bool {
    // SAFETY: a word of the thread's own stack.
    unsafe { (word.address as *const u64).read_volatile() != word.value }
}
