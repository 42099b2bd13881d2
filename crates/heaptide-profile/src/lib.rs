//! The model of one recording, and its ways in and out.
//!
//! Everything that is known of a recorded program meets here: a live ledger, a finished recording file and an
//! imported profile all become a [`Profile`], and detectors and reports see nothing else. The model is tables of
//! plain rows that name each other by index; rows own no strings.
//!
//! It never symbolizes (that is `heaptide-symbolize`), judges or draws.

#![deny(unsafe_code)]

pub mod file;
mod from_ledger;
mod ledger_file;
pub mod model;
mod open;
mod problem;
mod strings;

pub use from_ledger::{from_ledger, unwatched_end};
pub use model::*;
pub use open::{OpenError, Opened, Source, open};
pub use problem::Problem;
