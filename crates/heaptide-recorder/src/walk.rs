//! From the place of a return address on the stack to a node of the call tree.

use core::{
    mem::MaybeUninit,
    sync::atomic::{
        AtomicU64,
        Ordering::{Acquire, Relaxed, Release},
    },
};

use heaptide_ledger::{Loss, NODE_WORDS, NODES_LIMIT, ROOT, SITE_SHORTCUT, SITES_LIMIT, TRUNCATED_LOCATION};

use crate::{
    events::Caller,
    global::Global,
    ledger_file,
    memo::{Memo, Met},
    rules::{Frame, Kind, Rule, Scratch, rule_of, step_complex},
};

/// Frames of a call path that are kept, the innermost ones.
pub const MOST_FRAMES: usize = 1024;
/// A frame that is larger is not believed.
const LARGEST_FRAME: u64 = 64 << 20;
/// A frame pointer that leads further than this may lead to another stack, so nothing inside it is remembered.
const LARGEST_REMEMBERED: u64 = 16 << 10;

/// A frame and the rule that leads out of it.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct Step {
    pub frame: Frame,
    pub rule: Rule,
}

impl Step {
    /// Reads a step word by word, as it was written: a wider load would wait for the stores to reach the cache.
    #[inline(always)]
    pub fn read(&self) -> Step {
        let read = |word: &u64| {
            // SAFETY: a reference; volatile only keeps two loads from becoming one.
            unsafe { core::ptr::from_ref(word).read_volatile() }
        };
        let Frame { slot, return_address, rsp, rbp } = &self.frame;
        let frame = Frame { slot: read(slot), return_address: read(return_address), rsp: read(rsp), rbp: read(rbp) };
        Step { frame, rule: Rule(read(&self.rule.0)) }
    }
}

/// Writes a step word by word, see [`Step::read`].
#[inline(always)]
fn write_step(place: &mut MaybeUninit<Step>, frame: Frame, rule: Rule) {
    let step = place.as_mut_ptr();
    // SAFETY: fields of the place.
    unsafe {
        (&raw mut (*step).frame.slot).write_volatile(frame.slot);
        (&raw mut (*step).frame.return_address).write_volatile(frame.return_address);
        (&raw mut (*step).frame.rsp).write_volatile(frame.rsp);
        (&raw mut (*step).frame.rbp).write_volatile(frame.rbp);
        (&raw mut (*step).rule).write_volatile(rule);
    }
}

/// Room for one walk.
pub type Steps = [MaybeUninit<Step>; MOST_FRAMES];

/// How a walk ended.
#[derive(Clone, Copy)]
enum End {
    /// At a remembered frame.
    Met(Met),
    /// At the outermost frame.
    Entry,
    /// Where unwind information is missing, or at too many frames.
    Cut,
}

/// A call path, and whether it is cut short.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct CallPath {
    pub node: u64,
    pub truncated: bool,
}

/// Where a thread's own stack begins: frames there may be remembered.
#[derive(Clone, Copy, Default)]
pub struct OwnStack {
    /// The outermost frame's stack pointer lies in this range.
    pub entry_from: u64,
    pub entry_to: u64,
}

/// The call path of a caller.
///
/// # Errors
///
/// If a table is full.
#[inline]
pub fn call_path(
    global: &Global,
    caller: Caller,
    memo: &mut Memo,
    own: OwnStack,
    steps: &mut Steps,
) -> Result<CallPath, Loss> {
    let mut cursor = memo.begin(global.unload_epoch.load(Relaxed));
    let mut unusual = false;
    let (len, end) = walk(global, caller, own, steps, &mut unusual, |frame| memo.meet(&mut cursor, frame));
    let (mut node, truncated, remember) = match end {
        // More frames than a walk without a memory can see: a path does not depend on what is remembered.
        End::Met(met) if met.frames + len > MOST_FRAMES => {
            memo.keep(None);
            return call_path_whole(global, caller, own, steps);
        }
        End::Met(met) => {
            memo.keep(Some(met));
            (met.node, false, !unusual)
        }
        End::Entry => {
            memo.keep(None);
            // SAFETY: a walk that ended has at least one step.
            let entry = unsafe { steps[len - 1].assume_init() }.frame.rsp;
            (ROOT, false, !unusual && (own.entry_from..own.entry_to).contains(&entry))
        }
        End::Cut => {
            memo.keep(None);
            (cut(global)?, true, false)
        }
    };
    for step in steps[..len].iter().rev() {
        // SAFETY: the walk wrote `len` steps.
        let step = unsafe { step.assume_init_ref() };
        node = child(global, node, step.rule.location())?;
        if remember && !memo.push(step, node) {
            // Too many words to remember.
            memo.keep(None);
            return call_path_whole(global, caller, own, steps);
        }
    }
    Ok(CallPath { node, truncated })
}

/// The call path of a caller, walked whole: for stacks that cannot be remembered, and to check the memory.
///
/// # Errors
///
/// If a table is full.
#[inline(never)]
pub fn call_path_whole(
    global: &Global,
    caller: Caller,
    own: OwnStack,
    steps: &mut [MaybeUninit<Step>],
) -> Result<CallPath, Loss> {
    let (len, end) = walk(global, caller, own, steps, &mut false, |_| None);
    let truncated = !matches!(end, End::Entry);
    let mut node = if truncated { cut(global)? } else { ROOT };
    for step in steps[..len].iter().rev() {
        // SAFETY: the walk wrote `len` steps.
        node = child(global, node, unsafe { step.assume_init_ref() }.rule.location())?;
    }
    Ok(CallPath { node, truncated })
}

#[inline(always)]
fn walk(
    global: &Global,
    caller: Caller,
    own: OwnStack,
    steps: &mut [MaybeUninit<Step>],
    unusual: &mut bool,
    mut meet: impl FnMut(Frame) -> Option<Met>,
) -> (usize, End) {
    // Nothing lies behind the end of the thread's own stack: unwind information that leads there is wrong.
    let stack_end = if caller.slot < own.entry_to { own.entry_to } else { u64::MAX };
    // SAFETY: the hook's own return address.
    let return_address = unsafe { (caller.slot as *const u64).read() };
    let mut frame = Frame { slot: caller.slot, return_address, rsp: caller.slot + 8, rbp: caller.rbp };
    let mut len = 0;
    loop {
        if let Some(met) = meet(frame) {
            return (len, End::Met(met));
        }
        if len == steps.len() {
            return (len, End::Cut);
        }
        let rule = rule_of(global, frame.return_address);
        // SAFETY: `len` is less than the length.
        write_step(unsafe { steps.get_unchecked_mut(len) }, frame, rule);
        len += 1;
        let cfa = match rule.kind() {
            Kind::RSP => frame.rsp + rule.cfa_offset(),
            Kind::RBP => {
                let cfa = frame.rbp.wrapping_add(rule.cfa_offset());
                // So far a step may lead from a stack that the program made to the thread's own.
                *unusual |= cfa.wrapping_sub(frame.rsp) > LARGEST_REMEMBERED;
                cfa
            }
            Kind::REALIGNED if frame.rbp < stack_end => match realigned_cfa(frame, rule) {
                Some(cfa) => cfa,
                None => return (len, End::Cut),
            },
            Kind::COMPLEX => {
                *unusual = true;
                match step_complex(global, frame) {
                    Some(next) => frame = next,
                    None => return (len, End::Cut),
                }
                continue;
            }
            Kind::END => return (len, End::Entry),
            _ => return (len, End::Cut),
        };
        if cfa.wrapping_sub(frame.rsp + 8) > LARGEST_FRAME || cfa > stack_end || !cfa.is_multiple_of(8) {
            return (len, End::Cut);
        }
        let rbp = match rule.kind() {
            // SAFETY: `realigned_cfa` found it on this stack.
            Kind::REALIGNED => unsafe { (frame.rbp as *const u64).read() },
            _ if rule.rbp_offset() == 0 => frame.rbp,
            // SAFETY: the module's unwind information says that the caller's rbp is saved there.
            _ => unsafe { ((cfa - rule.rbp_offset()) as *const u64).read() },
        };
        let slot = cfa - 8;
        // SAFETY: likewise the return address.
        let return_address = unsafe { (slot as *const u64).read() };
        if return_address == 0 {
            // The entry of a fibre.
            return (len, End::Entry);
        }
        frame = Frame { slot, return_address, rsp: cfa, rbp };
    }
}

#[inline(never)]
fn realigned_cfa(frame: Frame, rule: Rule) -> Option<u64> {
    let saved = frame.rbp.wrapping_sub(rule.cfa_offset());
    if !frame.rbp.is_multiple_of(8) || frame.rbp.wrapping_sub(frame.rsp) > LARGEST_FRAME {
        return None;
    }
    // SAFETY: between the stack pointer and the frame pointer of this frame.
    Some(unsafe { (saved as *const u64).read() })
}

/// The node under `parent` at `location`.
#[inline]
fn child(global: &Global, parent: u64, location: u64) -> Result<u64, Loss> {
    let shortcuts = Shortcuts::of(global, parent);
    match shortcuts.get(location) {
        Some(node) => Ok(node),
        None => other_child(global, shortcuts, parent << 32 | location),
    }
}

#[inline(never)]
fn other_child(global: &Global, shortcuts: Shortcuts, key: u64) -> Result<u64, Loss> {
    let node = match global.nodes.get(key) {
        0 => {
            let nodes = &global.header().nodes;
            let (node, words) = ledger_file::new_row(global, nodes, NODE_WORDS, NODES_LIMIT, Loss::Nodes)?;
            // SAFETY: the new row.
            unsafe { &*words }.store(key, Release);
            global.nodes.insert(global, key, node)
        }
        node => node,
    };
    shortcuts.set(key & 0xffff_ffff, node);
    Ok(node)
}

/// The site of a call path and a size class.
///
/// # Errors
///
/// If the table is full.
#[inline]
pub fn site(global: &Global, node: u64, class: u64) -> Result<u64, Loss> {
    let shortcuts = Shortcuts::of(global, node);
    match shortcuts.get(SITE_SHORTCUT + class) {
        Some(site) => Ok(site),
        None => other_site(global, shortcuts, node, class),
    }
}

#[inline(never)]
fn other_site(global: &Global, shortcuts: Shortcuts, node: u64, class: u64) -> Result<u64, Loss> {
    let key = node << 32 | class;
    let site = match global.sites.get(key) {
        0 => {
            let (site, words) = ledger_file::new_row(global, &global.header().sites, 1, SITES_LIMIT, Loss::Sites)?;
            // SAFETY: the new row.
            unsafe { &*words }.store(key, Release);
            global.sites.insert(global, key, site)
        }
        site => site,
    };
    shortcuts.set(SITE_SHORTCUT + class, site);
    Ok(site)
}

/// What was met lately below a node: children and sites, by what leads to them.
#[derive(Clone, Copy)]
struct Shortcuts([*const AtomicU64; 3]);

impl Shortcuts {
    #[inline]
    fn of(global: &Global, node: u64) -> Shortcuts {
        let row = ledger_file::row(global, &global.header().nodes, NODE_WORDS, node);
        // SAFETY: a row has `NODE_WORDS` words; the root's is row 0.
        Shortcuts(unsafe { [row.add(1), row.add(2), row.add(3)] })
    }

    #[inline]
    fn get(self, what: u64) -> Option<u64> {
        for place in self.0 {
            // SAFETY: a word of the row.
            let shortcut = unsafe { &*place }.load(Relaxed);
            if shortcut >> 32 == what {
                return Some(shortcut & 0xffff_ffff);
            }
        }
        None
    }

    fn set(self, what: u64, to: u64) {
        // SAFETY: words of the row.
        let places = self.0.map(|place| unsafe { &*place });
        let free = places.iter().position(|place| place.load(Relaxed) == 0);
        // Without a free place, any goes.
        let place = free.unwrap_or((to % 3) as usize);
        places[place].store(what << 32 | to, Relaxed);
    }
}

/// The node that stands for frames that are not known.
///
/// # Errors
///
/// If the table is full.
#[cold]
pub fn cut(global: &Global) -> Result<u64, Loss> {
    child(global, ROOT, TRUNCATED_LOCATION)
}

const BUFFERS: usize = 16;

struct Buffer {
    scratch: MaybeUninit<Scratch>,
    steps: Steps,
}

/// Room for walks and rules that are made where a thread's own room cannot be used: in a signal handler, at the end of
/// a thread. All zero is none yet.
pub struct Buffers {
    memory: AtomicU64,
    taken: [AtomicU64; BUFFERS],
}

impl Buffers {
    /// Gets the memory.
    pub fn start(&self, global: &Global) -> bool {
        match ledger_file::private(global, size_of::<Buffer>() * BUFFERS) {
            Some(memory) => {
                self.memory.store(memory as u64, Release);
                true
            }
            None => false,
        }
    }

    fn with<R>(&self, act: impl FnOnce(&mut Buffer) -> R) -> Option<R> {
        let index = self.taken.iter().position(|taken| taken.swap(1, Acquire) == 0)?;
        let buffer = (self.memory.load(Acquire) as *mut Buffer).wrapping_add(index);
        // SAFETY: the flag makes it this call's alone; all parts are `MaybeUninit`.
        let result = act(unsafe { &mut *buffer });
        self.taken[index].store(0, Release);
        Some(result)
    }

    /// Room for reading call frame information, unless all of it is taken.
    pub fn with_scratch<R>(&self, act: impl FnOnce(&mut Scratch) -> R) -> Option<R> {
        self.with(|buffer| act(buffer.scratch.write(Scratch::new())))
    }

    /// Room for a walk, unless all of it is taken.
    pub fn with_steps<R>(&self, act: impl FnOnce(&mut Steps) -> R) -> Option<R> {
        self.with(|buffer| act(&mut buffer.steps))
    }
}
