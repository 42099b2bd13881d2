//! The model of one recording, and its ways in and out.
//!
//! Everything that is known of a recorded program meets here: a live ledger, a finished recording file and an
//! imported profile all become a [`Profile`], and detectors and reports see nothing else. The model is tables of
//! plain rows that name each other by index; rows own no strings.
//!
//! It never symbolizes (that is `heaptide-symbolize`), judges or draws.

#![forbid(unsafe_code)]

pub mod model;

pub use model::*;
