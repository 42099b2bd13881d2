//! The unit of block counts in sampled mode.

/// Counts of blocks are kept in this fraction of a block, so that weights below 1/100 % error need no floating point.
pub const COUNT_UNITS: u64 = 256;
