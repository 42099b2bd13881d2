//! From the address of a block to what is known of it: a radix tree whose leaves lie in the ledger.
//!
//! Three loads and no hashing. See [`heaptide_ledger::cell`] for the words. A cell is written after the allocator has
//! handed the block out and before the program has it, and cleared before the allocator gets it back, so nobody else
//! can be interested in it meanwhile.

use core::sync::atomic::{
    AtomicU64,
    Ordering::{Acquire, Relaxed, Release},
};

use heaptide_ledger::{
    Loss,
    cell::{CELLS_PER_LEAF, Cell, GLIBC_SHIFT, LARGE, OTHER_SHIFT},
};

use crate::{global::Global, ledger_file};

const ADDRESS_BITS: u32 = 47;
const LEAF_LOG2: u32 = CELLS_PER_LEAF.trailing_zeros();
/// Entries of a middle table.
const MIDDLE_LOG2: u32 = 15;
const TOP: usize = 1 << (ADDRESS_BITS - GLIBC_SHIFT - LEAF_LOG2 - MIDDLE_LOG2);

/// See the module. All zero is an empty map, once its shift is set.
pub struct HeapMap {
    shift: AtomicU64,
    /// Addresses of middle tables: words that are addresses of leaves.
    top: [AtomicU64; TOP],
    /// More of them where cells stand for fewer bytes.
    more: AtomicU64,
}

/// A block taken out of the map, or about to be put there.
#[derive(Clone, Copy)]
pub struct Block {
    pub site: u64,
    pub size: u64,
    pub birth: u64,
    pub grown: bool,
}

impl HeapMap {
    /// Prepares for blocks of glibc's allocator, or of any.
    pub fn start(&self, global: &Global, glibc: bool) -> bool {
        let shift = if glibc { GLIBC_SHIFT } else { OTHER_SHIFT };
        if !glibc {
            let entries = 1_usize << (ADDRESS_BITS - OTHER_SHIFT - LEAF_LOG2 - MIDDLE_LOG2);
            let Some(memory) = ledger_file::private(global, entries * 8) else {
                return false;
            };
            self.more.store(memory as u64, Release);
        }
        self.shift.store(u64::from(shift), Relaxed);
        global.header().cell_shift.store(u64::from(shift), Relaxed);
        true
    }

    #[inline]
    fn top_entry(&self, index: u64) -> &AtomicU64 {
        let more = self.more.load(Relaxed);
        if more == 0 {
            // SAFETY: the address was checked to have `ADDRESS_BITS`.
            unsafe { self.top.get_unchecked(index as usize) }
        } else {
            // SAFETY: the table has an entry for every address of `ADDRESS_BITS`.
            unsafe { &*(more as *const AtomicU64).add(index as usize) }
        }
    }

    /// The cell of an address, if its leaf exists.
    #[inline]
    fn cell(&self, address: u64) -> Option<&AtomicU64> {
        if address >> ADDRESS_BITS != 0 {
            return None;
        }
        let place = address >> self.shift.load(Relaxed);
        let middle = self.top_entry(place >> (LEAF_LOG2 + MIDDLE_LOG2)).load(Acquire) as *const AtomicU64;
        if middle.is_null() {
            return None;
        }
        // SAFETY: a middle table has `1 << MIDDLE_LOG2` entries.
        let leaf = unsafe { &*middle.add((place >> LEAF_LOG2) as usize & ((1 << MIDDLE_LOG2) - 1)) };
        let leaf = leaf.load(Acquire) as *const AtomicU64;
        if leaf.is_null() {
            return None;
        }
        // SAFETY: a leaf has `CELLS_PER_LEAF` cells.
        Some(unsafe { &*leaf.add(place as usize & (CELLS_PER_LEAF as usize - 1)) })
    }

    #[inline]
    fn cell_or_new(&self, global: &Global, address: u64) -> Result<&AtomicU64, Loss> {
        match self.cell(address) {
            Some(cell) => Ok(cell),
            None => self.new_cell(global, address),
        }
    }

    #[cold]
    #[inline(never)]
    fn new_cell(&self, global: &Global, address: u64) -> Result<&AtomicU64, Loss> {
        if address >> ADDRESS_BITS != 0 {
            return Err(Loss::HeapMap);
        }
        let place = address >> self.shift.load(Relaxed);
        let top = self.top_entry(place >> (LEAF_LOG2 + MIDDLE_LOG2));
        if top.load(Acquire) == 0 {
            let new = ledger_file::private(global, 8 << MIDDLE_LOG2).ok_or(Loss::PrivateMemory)?;
            let _ = top.compare_exchange(0, new as u64, Release, Acquire);
        }
        let middle = top.load(Acquire) as *const AtomicU64;
        // SAFETY: a middle table has `1 << MIDDLE_LOG2` entries.
        let entry = unsafe { &*middle.add((place >> LEAF_LOG2) as usize & ((1 << MIDDLE_LOG2) - 1)) };
        if entry.load(Acquire) == 0 {
            let unit = ledger_file::allocate(global, CELLS_PER_LEAF * 8)?;
            if entry.compare_exchange(0, global.words(unit) as u64, Release, Acquire).is_ok() {
                let leaves = &global.header().leaves;
                let (_, row) = ledger_file::new_row(global, leaves, 1, 1 << 31, Loss::HeapMap)?;
                // SAFETY: the new row.
                unsafe { &*row }.store((place >> LEAF_LOG2) << 32 | unit, Release);
            }
        }
        self.cell(address).ok_or(Loss::HeapMap)
    }

    /// Puts a block into the map.
    ///
    /// # Errors
    ///
    /// If a piece of the map could not be made.
    #[inline]
    pub fn put(&self, global: &Global, address: u64, block: Block) -> Result<(), Loss> {
        let cell = self.cell_or_new(global, address)?;
        let mut size = block.size;
        if size >= LARGE {
            let next = self.cell_or_new(global, address + (1 << self.shift.load(Relaxed)))?;
            next.store(size, Relaxed);
            size = LARGE;
        }
        let word = Cell {
            site: block.site as u32,
            size,
            birth: block.birth,
            grown: u64::from(block.grown),
            sub: address >> 4 & 1,
        };
        cell.store(word.pack(), Relaxed);
        Ok(())
    }

    /// Takes a block out; `None` if no block is known to begin there.
    #[inline(always)]
    pub fn take(&self, address: u64) -> Option<Block> {
        let cell = self.cell(address)?;
        let word = cell.load(Relaxed);
        let found = Cell::unpack(word);
        if found.site == 0 || found.sub != address >> 4 & 1 {
            return None;
        }
        let mut size = found.size;
        if size == LARGE {
            let next = self.cell(address + (1 << self.shift.load(Relaxed)))?;
            size = next.load(Relaxed);
            next.store(0, Relaxed);
        }
        cell.store(0, Relaxed);
        Some(Block { site: u64::from(found.site), size, birth: found.birth, grown: found.grown == 1 })
    }
}
