//! What could not be named, why, and what would help.

use std::fmt;

/// A module whose symbols are missing or incomplete.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Path of the module, as recorded.
    pub module: String,
    /// GNU build id as recorded, in hexadecimal.
    pub build_id: Option<String>,
    /// What is wrong.
    pub cause: Cause,
    /// Locations of the profile in this module.
    pub locations: usize,
    /// Those without a function name.
    pub unnamed: usize,
    /// Those without a source line.
    pub without_line: usize,
}

/// Why a module's symbols are missing or incomplete.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cause {
    /// There is no file at the recorded path.
    Missing,
    /// The file cannot be read, or is not what was mapped.
    Unreadable {
        /// The system's or the format's words.
        error: String,
    },
    /// The file is not the one that was recorded; its symbols were not used.
    Replaced {
        /// Build id of the file that is there now, in hexadecimal.
        found: Option<String>,
    },
    /// The file says nothing about source lines, or only about a part of it.
    NoDebugInfo,
    /// The debug information was split off, and the split part is not there (`.dwo`, `.dwp`).
    SplitDebugInfoMissing,
}

impl Problem {
    /// The next step, in words.
    #[must_use]
    pub fn hint(&self) -> String {
        match &self.cause {
            Cause::Missing => "put the file back, or symbolize on the machine that has it".to_owned(),
            Cause::Unreadable { .. } => "make the file readable".to_owned(),
            Cause::Replaced { .. } => "symbolize with the binary that was recorded, or record again".to_owned(),
            Cause::NoDebugInfo if self.is_system_module() => match &self.build_id {
                Some(id) => {
                    format!("install its debug symbols (a -dbgsym package), or run `debuginfod-find debuginfo {id}`")
                }
                None => "install its debug symbols (a -dbgsym package)".to_owned(),
            },
            Cause::NoDebugInfo => {
                "build with debug = \"limited\" in the Cargo profile (\"line-tables-only\" shortens the \
                 names of inlined functions), or -g1 for C and C++, and do not strip"
                    .to_owned()
            }
            Cause::SplitDebugInfoMissing => "keep the .dwo files where they were built, or pack them into a .dwp \
                 beside the binary (split-debuginfo = \"packed\")"
                .to_owned(),
        }
    }

    /// Whether the module came with the system: its missing lines hardly ever matter.
    #[must_use]
    pub fn is_system_module(&self) -> bool {
        let system = ["/usr/bin/", "/usr/sbin/", "/usr/lib", "/lib", "/bin/", "/sbin/"];
        system.iter().any(|dir| self.module.starts_with(dir))
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}: ", self.module, self.cause)?;
        if self.unnamed > 0 {
            write!(f, "{} of {} locations have no function name, ", self.unnamed, self.locations)?;
        }
        write!(f, "{} of {} have no source line", self.without_line, self.locations)
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str("the file is not there"),
            Self::Unreadable { error } => write!(f, "the file cannot be read ({error})"),
            Self::Replaced { .. } => f.write_str("the file is not the one that was recorded"),
            Self::NoDebugInfo => f.write_str("no debug information"),
            Self::SplitDebugInfoMissing => f.write_str("the split debug information is missing"),
        }
    }
}
