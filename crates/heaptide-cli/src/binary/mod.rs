//! What is known of a program before it is started: which file really runs, and whether and how well that file can
//! be recorded.
//!
//! Nothing here starts a program, and a file that lies about itself gives an error or a wrong answer, never a panic
//! or a large allocation.

mod allocator;
mod debug_info;
mod diagnosis;
mod image;
mod launch;
mod privilege;

pub use diagnosis::{Effect, Remark, remarks};
pub use image::{Image, ImageError};
pub use launch::{Launch, LaunchError};
