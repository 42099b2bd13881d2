//! One word of the heap map: the live block that begins in a small range of addresses.
//!
//! ```text
//!  63   62    61..46      45..25       24..1    0
//!  —    grown size        birth tick   site     sub   (site 0: no block)
//! ```
//!
//! glibc never places two blocks less than 32 bytes apart, so one word per 32 bytes of address space is enough:
//! `sub` keeps the address bits below that, in units of 16 bytes, to tell a block from a foreign pointer into the
//! same range. Where another allocator hands out the memory, [`shift`](crate::Header::cell_shift) is 3 and every
//! possible address has a cell of its own.
//!
//! Sizes from [`LARGE`] on do not fit; the next cell, which such a block owns as well, holds the size as it is.

/// Value of the size field that says: the size stands in the next cell.
pub const LARGE: u64 = (1 << 16) - 1;
/// Bits of a site.
pub const SITE_BITS: u32 = 24;
/// Cells in one leaf of the heap map.
pub const CELLS_PER_LEAF: u64 = 8192;
/// Cell shift for glibc's allocator.
pub const GLIBC_SHIFT: u32 = 5;
/// Cell shift for any other allocator.
pub const OTHER_SHIFT: u32 = 3;

/// What a cell says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cell {
    /// Site of the block.
    pub site: u32,
    /// Requested size, or [`LARGE`].
    pub size: u64,
    /// Birth tick, see [`crate::clock`].
    pub birth: u64,
    /// Whether the block went through `realloc` since it was made.
    pub grown: u64,
    /// Address bit 4.
    pub sub: u64,
}

impl Cell {
    /// The word.
    #[must_use]
    #[inline]
    pub const fn pack(self) -> u64 {
        self.grown << 62 | self.size << 46 | self.birth << 25 | (self.site as u64) << 1 | self.sub
    }

    /// The parts of a word. A `site` of 0 means that no block begins here.
    #[must_use]
    #[inline]
    pub const fn unpack(word: u64) -> Cell {
        Cell {
            site: (word >> 1) as u32 & ((1 << SITE_BITS) - 1),
            size: word >> 46 & LARGE,
            birth: word >> 25 & (crate::clock::TICKS - 1),
            grown: word >> 62 & 1,
            sub: word & 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_keeps_its_parts() {
        let cell = Cell { site: (1 << 24) - 1, size: LARGE, birth: crate::clock::TICKS - 1, grown: 1, sub: 0 };
        assert_eq!(Cell::unpack(cell.pack()), cell);
        let cell = Cell { site: 1, size: 0, birth: 0, grown: 0, sub: 1 };
        assert_eq!(Cell::unpack(cell.pack()), cell);
    }
}
