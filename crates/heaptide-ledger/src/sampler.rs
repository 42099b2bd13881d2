//! Sampling of a ledger on a clock.
