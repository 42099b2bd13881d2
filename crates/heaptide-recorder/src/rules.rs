//! How to get from a frame to its caller's: unwind rules, read from the module's call frame information once for each
//! return address and kept in one word.
//!
//! ```text
//!  63..61  60..41             40..32                 31..0
//!  kind    CFA offset / 8     saved rbp / −8         location
//! ```
//!
//! The call frame information is standard DWARF (`.eh_frame`), read by `gimli`. Frames whose rule does not fit a word
//! (signal trampolines and the like) are [`Kind::COMPLEX`] and evaluated each time.

use core::sync::atomic::Ordering::{Relaxed, Release};

use gimli::{
    BaseAddresses, CfaRule, EhFrame, EhFrameHdr, EndianSlice, FrameDescriptionEntry, NativeEndian, Operation, Register,
    RegisterRule, UnwindContext, UnwindContextStorage, UnwindExpression, UnwindSection, UnwindTableRow,
};
use heaptide_ledger::{FOREIGN_CODE_LOCATION, LOCATIONS_LIMIT, Loss, location};

use crate::{global::Global, ledger_file, modules::Found};

const RBP: Register = Register(6);
const RSP: Register = Register(7);
const RETURN_ADDRESS: Register = Register(16);

/// Which register the frame's address comes from, or why there is no caller.
#[allow(non_snake_case)]
pub mod Kind {
    /// CFA = rsp + offset.
    pub const RSP: u64 = 1;
    /// CFA = rbp + offset.
    pub const RBP: u64 = 2;
    /// CFA = *(rbp − offset), rbp = *rbp: a frame that aligned its stack.
    pub const REALIGNED: u64 = 3;
    /// To be evaluated each time.
    pub const COMPLEX: u64 = 4;
    /// The outermost frame.
    pub const END: u64 = 5;
    /// No unwind information.
    pub const UNKNOWN: u64 = 6;
}

/// A rule and the location of its return address.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Rule(pub u64);

impl Rule {
    fn new(kind: u64, cfa_offset: u64, rbp_offset: u64) -> Rule {
        Rule(kind << 61 | (cfa_offset / 8) << 41 | (rbp_offset / 8) << 32)
    }

    #[inline]
    pub fn kind(self) -> u64 {
        self.0 >> 61
    }

    /// Distance from the base register to the CFA.
    #[inline]
    pub fn cfa_offset(self) -> u64 {
        (self.0 >> 41 & 0xf_ffff) << 3
    }

    /// Distance from the CFA down to the saved rbp; 0 if rbp still holds the caller's.
    #[inline]
    pub fn rbp_offset(self) -> u64 {
        (self.0 >> 32 & 0x1ff) << 3
    }

    #[inline]
    pub fn location(self) -> u64 {
        self.0 & 0xffff_ffff
    }
}

/// Registers at a frame: where it will return to, and what its caller sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Frame {
    /// Address that holds the return address.
    pub slot: u64,
    /// The return address; plus one where a signal interrupted just there.
    pub return_address: u64,
    /// Stack pointer after the return.
    pub rsp: u64,
    /// Frame pointer after the return.
    pub rbp: u64,
}

type Bytes = EndianSlice<'static, NativeEndian>;

struct Storage;

impl UnwindContextStorage<usize> for Storage {
    type Rules = [(Register, RegisterRule<usize>); 24];
    type Stack = [UnwindTableRow<usize, Self>; 3];
}

/// Room for reading call frame information: some kilobytes, too many for a small signal stack.
pub struct Scratch(UnwindContext<usize, Storage>);

impl Scratch {
    /// Fresh room.
    pub fn new() -> Scratch {
        Scratch(UnwindContext::new_in())
    }
}

/// The rule of a return address, from the table or made now.
#[inline]
pub fn rule_of(global: &Global, return_address: u64) -> Rule {
    let known = global.return_addresses.get(return_address);
    if known != 0 && (global.closing.load(Relaxed) == 0 || !leaves(global, Rule(known))) {
        return Rule(known);
    }
    make_rule(global, return_address, known)
}

#[cold]
fn leaves(global: &Global, rule: Rule) -> bool {
    let row = ledger_file::row(global, &global.header().locations, 1, rule.location());
    // SAFETY: a rule names a location that was handed out.
    let (module, _) = location::unpack(unsafe { &*row }.load(Relaxed));
    global.modules.may_leave(module)
}

#[cold]
#[inline(never)]
fn make_rule(global: &Global, return_address: u64, known: u64) -> Rule {
    let Some(module) = global.modules.find(global, return_address - 1) else {
        // Code made at run time comes and goes: nothing about it is kept.
        return Rule(Kind::UNKNOWN << 61 | FOREIGN_CODE_LOCATION);
    };
    let row = location::pack(module.id, return_address - module.base);
    if known != 0 {
        let kept = ledger_file::row(global, &global.header().locations, 1, Rule(known).location());
        // SAFETY: handed out before.
        if unsafe { &*kept }.load(Relaxed) == row {
            return Rule(known);
        }
    }
    let locations = &global.header().locations;
    let (location, words) = match ledger_file::new_row(global, locations, 1, LOCATIONS_LIMIT, Loss::Locations) {
        Ok(row) => row,
        Err(loss) => {
            global.header().lost[loss as usize].fetch_add(1, Relaxed);
            return Rule(Kind::UNKNOWN << 61 | FOREIGN_CODE_LOCATION);
        }
    };
    // SAFETY: the new row.
    unsafe { &*words }.store(row, Release);
    let rule = global.buffers.with_scratch(|scratch| {
        let rule = read_rule(&module, return_address - 1, scratch);
        rule.or_else(|| is_entry(&module, return_address).then(|| Rule::new(Kind::END, 0, 0)))
    });
    let Some(rule) = rule else {
        return Rule(Kind::UNKNOWN << 61 | location);
    };
    let rule = rule.unwrap_or(Rule::new(Kind::UNKNOWN, 0, 0));
    Rule(global.return_addresses.insert(global, return_address, rule.0 | location))
}

/// Whether a return address in front of which there is no function is outermost: the start of a function, which no call
/// returns to but a fibre does (`__start_context` is one), or the loader's hand-written entry.
fn is_entry(module: &Found, return_address: u64) -> bool {
    let starts_function = || {
        let sections = Sections::of(module)?;
        Some(sections.description(return_address)?.initial_address() == return_address)
    };
    // SAFETY: reads what the kernel handed to the process.
    module.base == unsafe { libc::getauxval(libc::AT_BASE) } || starts_function() == Some(true)
}

/// A module's call frame information.
struct Sections {
    hdr: EhFrameHdr<Bytes>,
    frame: EhFrame<Bytes>,
    bases: BaseAddresses,
}

impl Sections {
    fn of(module: &Found) -> Option<Sections> {
        let hdr_len = module.eh_end.checked_sub(module.eh_frame_hdr)? as usize;
        // SAFETY: the bytes up to the end of a loaded, readable segment.
        let hdr_bytes = unsafe { core::slice::from_raw_parts(module.eh_frame_hdr as *const u8, hdr_len) };
        let hdr = EhFrameHdr::new(hdr_bytes, NativeEndian);
        let bases = BaseAddresses::default().set_eh_frame_hdr(module.eh_frame_hdr);
        let gimli::Pointer::Direct(frame_at) = hdr.parse(&bases, 8).ok()?.eh_frame_ptr() else {
            return None;
        };
        let frame_len = if (module.eh_frame_hdr..module.eh_end).contains(&frame_at) {
            (module.eh_end - frame_at) as usize
        } else if (module.base..module.eh_frame_hdr).contains(&frame_at) {
            (module.eh_frame_hdr - frame_at) as usize
        } else {
            return None;
        };
        // SAFETY: from the start of `.eh_frame` to the end of its segment, or to the header behind it.
        let frame_bytes = unsafe { core::slice::from_raw_parts(frame_at as *const u8, frame_len) };
        Some(Sections {
            hdr: EhFrameHdr::new(hdr_bytes, NativeEndian),
            frame: EhFrame::new(frame_bytes, NativeEndian),
            bases: bases.set_eh_frame(frame_at),
        })
    }

    fn description(&self, address: u64) -> Option<FrameDescriptionEntry<Bytes>> {
        let parsed = self.hdr.parse(&self.bases, 8).ok()?;
        parsed.table()?.fde_for_address(&self.frame, &self.bases, address, EhFrame::cie_from_offset).ok()
    }

    fn row<'a>(&self, address: u64, scratch: &'a mut Scratch) -> Option<(&'a UnwindTableRow<usize, Storage>, bool)> {
        let fde = self.description(address)?;
        let signal = fde.is_signal_trampoline();
        let row = fde.unwind_info_for_address(&self.frame, &self.bases, &mut scratch.0, address).ok()?;
        Some((row, signal))
    }
}

/// The rule in effect at `address`, without a location.
fn read_rule(module: &Found, address: u64, scratch: &mut Scratch) -> Option<Rule> {
    const COMPLEX: Rule = Rule(Kind::COMPLEX << 61);
    let sections = Sections::of(module)?;
    let (row, signal) = sections.row(address, scratch)?;
    match row.register(RETURN_ADDRESS) {
        Some(RegisterRule::Undefined) => return Some(Rule::new(Kind::END, 0, 0)),
        Some(RegisterRule::Offset(-8)) if !signal => {}
        None | Some(RegisterRule::SameValue) => return None,
        _ => return Some(COMPLEX),
    }
    let rbp_offset = match row.register(RBP) {
        None | Some(RegisterRule::Undefined | RegisterRule::SameValue) => 0,
        Some(RegisterRule::Offset(offset)) if (-4088..0).contains(&offset) && offset % 8 == 0 => (-offset) as u64,
        Some(RegisterRule::Expression(expression)) => {
            let at_rbp = single_operation(&sections, &expression)
                .is_some_and(|(first, rest)| rest.is_none() && first == (RBP, 0));
            match row.cfa() {
                CfaRule::Expression(cfa) if at_rbp => {
                    return Some(match single_operation(&sections, cfa) {
                        Some(((RBP, offset), Some(()))) if (-4088..0).contains(&offset) && offset % 8 == 0 => {
                            Rule::new(Kind::REALIGNED, (-offset) as u64, 0)
                        }
                        _ => COMPLEX,
                    });
                }
                _ => return Some(COMPLEX),
            }
        }
        _ => return Some(COMPLEX),
    };
    Some(match row.cfa() {
        CfaRule::RegisterAndOffset { register, offset } if (0..8 << 20).contains(offset) && offset % 8 == 0 => {
            match *register {
                RSP => Rule::new(Kind::RSP, *offset as u64, rbp_offset),
                RBP => Rule::new(Kind::RBP, *offset as u64, rbp_offset),
                _ => COMPLEX,
            }
        }
        _ => COMPLEX,
    })
}

/// Takes apart `breg n, offset` and `breg n, offset; deref`: the base and whether it is followed through.
fn single_operation(
    sections: &Sections,
    expression: &UnwindExpression<usize>,
) -> Option<((Register, i64), Option<()>)> {
    let mut operations = expression.get(&sections.frame).ok()?.operations(encoding());
    let base = match operations.next().ok()?? {
        Operation::RegisterOffset { register, offset, .. } => (register, offset),
        _ => return None,
    };
    let followed = match operations.next().ok()? {
        None => return Some((base, None)),
        Some(Operation::Deref { size: 8, .. }) => Some(()),
        Some(_) => return None,
    };
    operations.next().ok()?.is_none().then_some((base, followed))
}

fn encoding() -> gimli::Encoding {
    gimli::Encoding { format: gimli::Format::Dwarf32, version: 4, address_size: 8 }
}

/// Steps out of a frame whose rule is [`Kind::COMPLEX`].
#[cold]
#[inline(never)]
pub fn step_complex(global: &Global, frame: Frame) -> Option<Frame> {
    global.buffers.with_scratch(|scratch| evaluate_frame(global, &frame, scratch))?
}

fn evaluate_frame(global: &Global, frame: &Frame, scratch: &mut Scratch) -> Option<Frame> {
    let module = global.modules.find(global, frame.return_address - 1)?;
    let sections = Sections::of(&module)?;
    let (row, signal) = sections.row(frame.return_address - 1, scratch)?;
    let cfa = match row.cfa() {
        CfaRule::RegisterAndOffset { register, offset } => {
            register_value(frame, *register)?.wrapping_add_signed(*offset)
        }
        CfaRule::Expression(expression) => evaluate(&sections, expression, frame, None)?,
    };
    let place_of = |register| match row.register(register) {
        Some(RegisterRule::Offset(offset)) => Some(cfa.wrapping_add_signed(offset)),
        Some(RegisterRule::Expression(expression)) => evaluate(&sections, &expression, frame, Some(cfa)),
        _ => None,
    };
    let slot = place_of(RETURN_ADDRESS)?;
    let rbp = match row.register(RBP) {
        None | Some(RegisterRule::Undefined | RegisterRule::SameValue) => frame.rbp,
        _ => read_stack(frame, place_of(RBP)?)?,
    };
    let return_address = read_stack(frame, slot)?;
    if return_address == 0 {
        return None;
    }
    // The interrupted instruction itself is meant, not the one before it.
    Some(Frame { slot, return_address: return_address + u64::from(signal), rsp: cfa, rbp })
}

fn register_value(frame: &Frame, register: Register) -> Option<u64> {
    match register {
        RSP => Some(frame.rsp),
        RBP => Some(frame.rbp),
        _ => None,
    }
}

/// Reads a word near the frame's stack pointer: saved registers lie there, also a signal's.
fn read_stack(frame: &Frame, address: u64) -> Option<u64> {
    let near = frame.rsp & !4095..frame.rsp + (64 << 10);
    // A realigned frame reads through rbp, which lies on the same stack.
    let by_rbp = frame.rbp & !4095..frame.rbp.saturating_add(4096);
    if !address.is_multiple_of(8) || !(near.contains(&address) || by_rbp.contains(&address) && frame.rbp > frame.rsp) {
        return None;
    }
    // SAFETY: on the stack that is being unwound, at or above its stack pointer's page.
    Some(unsafe { (address as *const u64).read() })
}

/// Evaluates the few operations that call frame information uses.
fn evaluate(
    sections: &Sections,
    expression: &UnwindExpression<usize>,
    frame: &Frame,
    first: Option<u64>,
) -> Option<u64> {
    let mut stack = [0_u64; 8];
    let mut depth = 0;
    let push = |stack: &mut [u64; 8], depth: &mut usize, value| {
        *stack.get_mut(*depth)? = value;
        *depth += 1;
        Some(())
    };
    if let Some(value) = first {
        push(&mut stack, &mut depth, value)?;
    }
    let mut operations = expression.get(&sections.frame).ok()?.operations(encoding());
    while let Some(operation) = operations.next().ok()? {
        match operation {
            Operation::RegisterOffset { register, offset, .. } => {
                let value =
                    if register == RETURN_ADDRESS { frame.return_address } else { register_value(frame, register)? };
                push(&mut stack, &mut depth, value.wrapping_add_signed(offset))?;
            }
            Operation::UnsignedConstant { value } => push(&mut stack, &mut depth, value)?,
            Operation::SignedConstant { value } => push(&mut stack, &mut depth, value as u64)?,
            Operation::PlusConstant { value } => {
                let top = stack.get_mut(depth.checked_sub(1)?)?;
                *top = top.wrapping_add(value);
            }
            Operation::Deref { size: 8, .. } => {
                let top = stack.get_mut(depth.checked_sub(1)?)?;
                *top = read_stack(frame, *top)?;
            }
            Operation::Plus | Operation::And | Operation::Shl | Operation::Ge | Operation::Minus => {
                let right = *stack.get(depth.checked_sub(1)?)?;
                let left = stack.get_mut(depth.checked_sub(2)?)?;
                *left = match operation {
                    Operation::Plus => left.wrapping_add(right),
                    Operation::Minus => left.wrapping_sub(right),
                    Operation::And => *left & right,
                    Operation::Shl => left.wrapping_shl(right as u32),
                    _ => u64::from(*left as i64 >= right as i64),
                };
                depth -= 1;
            }
            Operation::Nop => {}
            _ => return None,
        }
    }
    stack.get(depth.checked_sub(1)?).copied()
}
