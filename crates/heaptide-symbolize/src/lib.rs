//! From module and offset to functions, files and lines, inlined frames included.
//!
//! A recording holds return addresses as (module, offset), so that the recorded program never looks a name up.
//! [`Symbolizer::symbolize`] reads the modules' files afterwards and fills [`Profile::symbols`]; [`origin`] then
//! says of each frame whose code it is.
//!
//! A wrong name is worse than none. Symbols are taken only from a file whose build id is the recorded one, and a
//! symbol names only the addresses that its size covers. What could not be named, and what would help, comes back
//! as [`Problem`]s. Nothing is ever fetched from the network.
//!
//! [`Profile::symbols`]: heaptide_profile::Profile::symbols

#![deny(unsafe_code)]

mod cache;
mod debug_file;
mod demangle;
mod elf_file;
mod intern;
mod lookup;
mod mapping;
mod module;
pub mod origin;
mod problem;
mod symbol_table;
mod symbolizer;
mod vdso;

pub use problem::{Cause, Problem};
pub use symbolizer::{Progress, Symbolizer};
