//! `cargo +nightly fuzz run ledger`

#![no_main]

#[path = "../checks.rs"]
mod checks;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| checks::ledger(bytes));
