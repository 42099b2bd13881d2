//! From one address to frames.
//!
//! DWARF comes first: it knows inlined calls, files and lines. Symbol tables name what DWARF does not.

use std::cell::OnceCell;
use std::collections::HashSet;
use std::rc::Rc;

use addr2line::Loader;
use addr2line::gimli::{self, Reader};
use object::{Object, ObjectSection};

use crate::demangle::{demangle, is_mangled};
use crate::symbol_table::SymbolTable;

/// Most frames kept for one location: inlining in honest programs goes tens of calls deep.
const FRAMES_MAX: usize = 256;
/// How a function is shown of which only the line is known.
const NO_NAME: &str = "??";

/// One source-level frame, before its strings are in the profile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SourceFrame {
    pub(crate) function: Rc<str>,
    pub(crate) file: Option<Rc<str>>,
    pub(crate) line: Option<u32>,
    pub(crate) inlined: bool,
}

/// What was found for one offset.
pub(crate) struct Resolved {
    /// Innermost first; empty where nothing is known.
    pub(crate) frames: Vec<SourceFrame>,
    /// Whether split debug information would have told more, had it been there.
    pub(crate) split_missing: bool,
}

/// Strings that many frames share.
#[derive(Default)]
struct Strings(HashSet<Rc<str>>);

impl Strings {
    fn get(&mut self, string: &str) -> Rc<str> {
        if let Some(known) = self.0.get(string) {
            return Rc::clone(known);
        }
        let new: Rc<str> = Rc::from(string);
        self.0.insert(Rc::clone(&new));
        new
    }
}

/// Symbol tables, read when first asked.
struct Tables<'d> {
    objects: Vec<&'d object::File<'d>>,
    tables: OnceCell<Vec<SymbolTable<'d>>>,
}

impl<'d> Tables<'d> {
    /// The linked name.
    fn name(&self, address: u64) -> Option<&'d [u8]> {
        let tables = self.tables.get_or_init(|| self.objects.iter().map(|object| SymbolTable::read(object)).collect());
        tables.iter().find_map(|table| table.name(address))
    }
}

#[derive(Default)]
struct DwarfFrames {
    frames: Vec<SourceFrame>,
    /// Whether the physical function's name came without its path.
    named_plainly: bool,
}

/// Everything that is open of one module.
pub(crate) struct Lookup<'d> {
    dwarf: Option<Loader>,
    dwarf_object: Option<&'d object::File<'d>>,
    split: OnceCell<bool>,
    tables: Tables<'d>,
}

impl<'d> Lookup<'d> {
    /// `dwarf_object` is the file that `dwarf` was loaded from; `objects` have symbol tables.
    pub(crate) fn new(
        dwarf: Option<Loader>,
        dwarf_object: Option<&'d object::File<'d>>,
        objects: Vec<&'d object::File<'d>>,
    ) -> Self {
        let tables = Tables { objects, tables: OnceCell::new() };
        Self { dwarf, dwarf_object, split: OnceCell::new(), tables }
    }

    /// The frames of each offset of `offsets`, told one by one; `base` is the address of offset 0 in the files.
    pub(crate) fn resolve_all(&self, base: u64, offsets: &[u64], mut tell: impl FnMut(u64, Resolved)) {
        let mut strings = Strings::default();
        for &offset in offsets {
            tell(offset, self.resolve(base, offset, &mut strings));
        }
    }

    /// `offset` is a return address: the call stands just before it.
    fn resolve(&self, base: u64, offset: u64, strings: &mut Strings) -> Resolved {
        let call = offset.checked_sub(1).and_then(|offset| base.checked_add(offset));
        let Some(address) = call else {
            return Resolved { frames: Vec::new(), split_missing: false };
        };
        let DwarfFrames { mut frames, named_plainly } = self.dwarf_frames(address, strings).unwrap_or_default();
        let mut split_missing = false;
        match frames.last_mut() {
            Some(physical) if &*physical.function == NO_NAME => {
                split_missing = self.is_split();
                if let Some(linked) = self.tables.name(address) {
                    physical.function = strings.get(&demangle(linked));
                }
            }
            // DWARF calls a C++ lambda `operator()`, and line tables have no paths; the linked name says more.
            Some(physical) if named_plainly => {
                let linked = self.tables.name(address).filter(|linked| is_mangled(linked));
                if let Some(linked) = linked {
                    physical.function = strings.get(&demangle(linked));
                }
            }
            Some(_) => {}
            None => frames.extend(self.tables.name(address).map(|linked| SourceFrame {
                function: strings.get(&demangle(linked)),
                file: None,
                line: None,
                inlined: false,
            })),
        }
        Resolved { frames, split_missing }
    }

    fn dwarf_frames(&self, address: u64, strings: &mut Strings) -> Option<DwarfFrames> {
        let mut found = self.dwarf.as_ref()?.find_frames(address).ok()?;
        let mut frames = Vec::new();
        let mut named_plainly = false;
        while let Ok(Some(frame)) = found.next() {
            let linked = frame.function.as_ref().and_then(|function| function.name.to_slice().ok());
            named_plainly = linked.as_ref().is_some_and(|linked| !is_mangled(linked));
            let function = linked.map(|linked| demangle(&linked));
            let file = frame.location.as_ref().and_then(|location| location.file);
            let line = frame.location.as_ref().and_then(|location| location.line).filter(|&line| line > 0);
            if frames.len() >= FRAMES_MAX {
                frames.pop();
            }
            frames.push(SourceFrame {
                function: strings.get(function.as_deref().filter(|name| !name.is_empty()).unwrap_or(NO_NAME)),
                file: file.map(|file| strings.get(file)),
                line,
                inlined: true,
            });
        }
        let physical = frames.last_mut()?;
        physical.inlined = false;
        let says_something = &*physical.function != NO_NAME || physical.line.is_some();
        says_something.then_some(DwarfFrames { frames, named_plainly })
    }

    /// Whether functions are described elsewhere, in `.dwo` files or a `.dwp`.
    fn is_split(&self) -> bool {
        *self.split.get_or_init(|| self.dwarf_object.is_some_and(|object| has_skeletons(object).unwrap_or(false)))
    }
}

fn has_skeletons(object: &object::File<'_>) -> Option<bool> {
    let section = object.section_by_name(".debug_info")?.uncompressed_data().ok()?;
    let has_addresses = object.section_by_name(".debug_addr").is_some();
    let info = gimli::DebugInfo::new(&section, gimli::RunTimeEndian::default());
    let mut units = info.units();
    while let Some(unit) = units.next().ok()? {
        let gnu_split = unit.version() < 5 && has_addresses;
        if gnu_split || matches!(unit.type_(), gimli::UnitType::Skeleton(_)) {
            return Some(true);
        }
    }
    Some(false)
}
