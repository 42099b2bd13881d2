//! What a reader can ask of a text report.

use std::fmt;

use regex::Regex;

/// How a text report looks and what it shows.
///
/// ```
/// use heaptide_report::{FrameClass, Origin, TextOptions};
///
/// let classify = |frame: &heaptide_report::FrameText<'_>| FrameClass {
///     origin: match frame.file {
///         Some(file) if file.starts_with("/rustc/") => Origin::Plumbing,
///         _ => Origin::User,
///     },
///     krate: None,
/// };
/// let options = TextOptions { width: 100, ..TextOptions::new(&classify) };
/// let report = heaptide_report::text(&heaptide_profile::Profile::default(), &options);
/// assert!(report.contains("no heap memory"));
/// ```
#[derive(Clone, Copy)]
pub struct TextOptions<'a> {
    /// Columns of the terminal or page; drawn as at least 40 and at most 120.
    pub width: usize,
    /// Whether to mark up with terminal colours.
    pub colour: Colour,
    /// Rows of each table.
    pub top: usize,
    /// The one table to show; `None` for the usual four.
    pub sort: Option<Sort>,
    /// What a row of a table is.
    pub by: By,
    /// Only call paths with a frame whose function, file or module matches.
    pub filter: Option<&'a Regex>,
    /// Which frames of a call path are shown.
    pub frames: Frames,
    /// Whose code a frame is.
    pub classify: &'a Classify<'a>,
}

impl<'a> TextOptions<'a> {
    /// The usual report: 80 columns, no colour, ten rows a table, by call path.
    #[must_use]
    pub fn new(classify: &'a Classify<'a>) -> Self {
        Self {
            width: 80,
            colour: Colour::Off,
            top: 10,
            sort: None,
            by: By::CallPath,
            filter: None,
            frames: Frames::Folded,
            classify,
        }
    }
}

impl fmt::Debug for TextOptions<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TextOptions")
            .field("width", &self.width)
            .field("colour", &self.colour)
            .field("top", &self.top)
            .field("sort", &self.sort)
            .field("by", &self.by)
            .field("filter", &self.filter)
            .field("frames", &self.frames)
            .finish_non_exhaustive()
    }
}

/// Terminal colours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Colour {
    /// Plain text.
    #[default]
    Off,
    /// SGR escape sequences.
    On,
}

/// The number that a table is about and sorted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sort {
    /// Bytes alive at the end of the recording.
    Live,
    /// Bytes alive when the program's live bytes were highest.
    Peak,
    /// Bytes handed out.
    Allocated,
    /// Blocks handed out.
    Allocations,
    /// Blocks freed by the thread that made them before it allocated anything else.
    Temporary,
    /// Calls of `realloc` that made a block.
    Reallocations,
}

/// What a row of a table is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum By {
    /// A call path, as far as it is shown.
    #[default]
    CallPath,
    /// A function.
    Function,
    /// A source line.
    Line,
    /// An executable or library.
    Module,
    /// A crate.
    Crate,
    /// A thread that allocated.
    Thread,
}

/// Which frames of a call path are shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Frames {
    /// The program's own frames, and the library call that they made. Call paths that differ in nothing else are one.
    #[default]
    Folded,
    /// Every frame.
    All,
}

/// Tells whose code a frame is.
pub type Classify<'a> = dyn Fn(&FrameText<'_>) -> FrameClass + 'a;

/// A frame as the profile names it: not escaped, not shortened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FrameText<'a> {
    /// Demangled function name; `None` without symbols.
    pub function: Option<&'a str>,
    /// Source file.
    pub file: Option<&'a str>,
    /// Path of the executable or library; `None` for code made at run time.
    pub module: Option<&'a str>,
}

/// Whose code a frame is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FrameClass {
    /// Whose it is.
    pub origin: Origin,
    /// Name of its crate, where it has one.
    pub krate: Option<String>,
}

/// Whose code a frame is, the most telling first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// The recorded program's own code.
    User,
    /// A library that the program uses.
    Library,
    /// The language's standard library and what starts threads and `main`.
    Plumbing,
    /// The allocator and what leads straight to it.
    Allocator,
}
