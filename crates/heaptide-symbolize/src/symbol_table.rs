//! Names from ELF symbol tables, for code without DWARF.
//!
//! A stripped library still exports a few functions. The code between them is not theirs: a symbol names the
//! addresses its size covers and no others. Only the full table (`.symtab`), which misses nothing, may stretch a
//! symbol without size up to the next one.

use object::{Object, ObjectSection, ObjectSymbol, ObjectSymbolTable, SectionFlags, SymbolKind, elf};

/// How many symbols before an address are tried: overlapping symbols are few in honest files.
const CANDIDATES: usize = 64;

/// Functions of one file by address.
pub(crate) struct SymbolTable<'d> {
    sized: Ranges<'d>,
    sizeless: Ranges<'d>,
}

impl<'d> SymbolTable<'d> {
    /// Reads `.symtab` and `.dynsym`.
    pub(crate) fn read(object: &object::File<'d>) -> Self {
        let full = object.symbol_table().map(|table| functions(object, table.symbols())).unwrap_or_default();
        let exported = object.dynamic_symbol_table().map(|table| functions(object, table.symbols()));
        let sizeless = stretched(&full);
        let sized = full.into_iter().chain(exported.unwrap_or_default());
        Self { sized: Ranges::new(sized.collect()), sizeless: Ranges::new(sizeless) }
    }

    /// The name of the function whose code covers `address`, as linked (mangled).
    pub(crate) fn name(&self, address: u64) -> Option<&'d [u8]> {
        self.sized.name(address).or_else(|| self.sizeless.name(address))
    }
}

#[derive(Clone, Copy)]
struct Symbol<'d> {
    start: u64,
    end: u64,
    name: &'d [u8],
    /// Which of several names of one function is shown: the smallest.
    rank: (u8, usize, usize),
}

/// Symbols in an order that can be searched although they overlap.
struct Ranges<'d> {
    /// By start; names of one start from the worst to the best.
    symbols: Vec<Symbol<'d>>,
    /// The highest end among the symbols up to this one.
    highest_end: Vec<u64>,
}

impl<'d> Ranges<'d> {
    fn new(mut symbols: Vec<Symbol<'d>>) -> Self {
        symbols.retain(|symbol| symbol.start < symbol.end);
        symbols.sort_by(|a, b| (a.start, b.rank, b.name).cmp(&(b.start, a.rank, a.name)));
        let highest_end = symbols
            .iter()
            .scan(0, |highest, symbol| {
                *highest = symbol.end.max(*highest);
                Some(*highest)
            })
            .collect();
        Self { symbols, highest_end }
    }

    fn name(&self, address: u64) -> Option<&'d [u8]> {
        let after = self.symbols.partition_point(|symbol| symbol.start <= address);
        (0..after)
            .rev()
            .take(CANDIDATES)
            .take_while(|&at| address < self.highest_end[at])
            .map(|at| self.symbols[at])
            .find(|symbol| address < symbol.end)
            .map(|symbol| symbol.name)
    }
}

/// All functions of a table; `end` is `start` where the size is not known.
fn functions<'d>(object: &object::File<'d>, symbols: impl Iterator<Item = impl ObjectSymbol<'d>>) -> Vec<Symbol<'d>> {
    symbols
        .filter(ObjectSymbol::is_definition)
        .filter(|symbol| match symbol.kind() {
            SymbolKind::Text => true,
            SymbolKind::Unknown | SymbolKind::Label => is_code(object, symbol),
            _ => false,
        })
        .filter_map(|symbol| {
            let name = without_version(symbol.name_bytes().ok()?);
            // `$x` and `.L…` mark places in code, they do not name it.
            if matches!(name.first(), None | Some(b'$' | b'.')) {
                return None;
            }
            let binding = if symbol.is_local() { 2 } else { u8::from(symbol.is_weak()) };
            let underscores = name.iter().take_while(|&&byte| byte == b'_').count();
            Some(Symbol {
                start: symbol.address(),
                end: symbol.address().saturating_add(symbol.size()),
                name,
                rank: (binding, underscores, name.len()),
            })
        })
        .collect()
}

fn is_code<'d>(object: &object::File<'d>, symbol: &impl ObjectSymbol<'d>) -> bool {
    symbol.section_index().and_then(|index| object.section_by_index(index).ok()).is_some_and(|section| {
        matches!(section.flags(), SectionFlags::Elf { sh_flags, .. } if sh_flags.contains(elf::SHF_EXECINSTR))
    })
}

/// The symbols without size, each with the room up to the next symbol.
fn stretched<'d>(symbols: &[Symbol<'d>]) -> Vec<Symbol<'d>> {
    let mut starts: Vec<u64> = symbols.iter().map(|symbol| symbol.start).collect();
    starts.sort_unstable();
    symbols
        .iter()
        .filter(|symbol| symbol.start == symbol.end)
        .filter_map(|symbol| {
            let next = starts.get(starts.partition_point(|&start| start <= symbol.start))?;
            Some(Symbol { end: *next, ..*symbol })
        })
        .collect()
}

/// `memcpy@@GLIBC_2.14` is `memcpy`.
fn without_version(name: &[u8]) -> &[u8] {
    match name.iter().position(|&byte| byte == b'@') {
        Some(at) if at > 0 => &name[..at],
        _ => name,
    }
}
