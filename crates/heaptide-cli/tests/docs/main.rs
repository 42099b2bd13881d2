//! The pages are true: their examples run and say what stands there, their tables list what there is, their links lead
//! somewhere.

#[path = "../support/mod.rs"]
mod support;

mod examples;
mod links;
mod pages;
mod tables;
