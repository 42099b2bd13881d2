//! Symbolizing programs that were compiled for the purpose, and the test itself, against what is known of them.

mod binutils;
mod caching;
mod debug_files;
mod fixture;
mod languages;
mod modules;
