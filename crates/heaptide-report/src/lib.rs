//! What people and scripts read of a recording: a text report, a short text report and JSON.
//!
//! Every report is a pure function of a [`Profile`](heaptide_profile::Profile) and its options. Nothing here opens
//! a file, looks at a clock or asks a terminal: width and colour come in with [`TextOptions`], and so does the
//! judgement whose code a frame is ([`Classify`]).
//!
//! A profile may come from a damaged file or a hostile program. Rows that name rows which do not exist are read as
//! "not known", names are escaped, and the work done is bounded by the size of the profile.
//!
//! It never judges (that is the detectors' work) and never symbolizes.

#![forbid(unsafe_code)]

mod escape;
mod json;
mod lookup;
mod options;
mod tally;
mod text;
mod units;

pub use escape::escape;
pub use json::{SCHEMA_VERSION, json};
pub use options::{By, Classify, Colour, FrameClass, FrameText, Frames, Origin, Sort, TextOptions};
pub use text::{short, text};
