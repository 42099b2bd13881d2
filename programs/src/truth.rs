//! The lines in which a program says what it did.
//!
//! `truth` lines are the program's own calls: what libc and a language's runtime allocate for themselves (a thread's
//! vector, libstdc++'s 72,704 bytes for exceptions in need, the main thread's guard in Rust) comes on top in any
//! recorder, and each program's header says so.

/// What a program counted itself, in calls and requested bytes; a `realloc` is one free and one allocation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Truth {
    /// Calls that handed out a block.
    pub allocations: u64,
    /// The sizes asked for, summed.
    pub bytes: u64,
    /// Blocks given back.
    pub frees: u64,
    /// The sizes that those had been asked for with, summed.
    pub freed_bytes: u64,
    /// Blocks alive at exit.
    pub live_blocks: u64,
    /// Their bytes.
    pub live_bytes: u64,
}

impl Truth {
    /// The last `truth` line of a program's output; `None` where there is none, or a word of it is missing.
    ///
    /// ```
    /// let line = b"truth allocations=3 bytes=30 frees=1 freed_bytes=10 live_blocks=2 live_bytes=20\n";
    /// assert_eq!(heaptide_programs::Truth::parse(line).map(|truth| truth.live_bytes), Some(20));
    /// ```
    pub fn parse(output: &[u8]) -> Option<Self> {
        let text = String::from_utf8_lossy(output);
        let line = text.lines().rev().find_map(|line| line.strip_prefix("truth "))?;
        Some(Self {
            allocations: number(line, "allocations")?,
            bytes: number(line, "bytes")?,
            frees: number(line, "frees")?,
            freed_bytes: number(line, "freed_bytes")?,
            live_blocks: number(line, "live_blocks")?,
            live_bytes: number(line, "live_bytes")?,
        })
    }
}

/// What a program says of one of its call paths, which the size of its blocks tells from the others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathTruth {
    /// Function names, outermost first. `name*7` stands for seven frames of a recursion, `name*` for any number, `…` for
    /// frames that are libc's or the kernel's.
    pub functions: Vec<String>,
    /// Blocks made there.
    pub allocations: u64,
    /// Bytes of each.
    pub size: u64,
    /// The line of the call, where the program tells it.
    pub line: Option<u64>,
}

/// The `path` lines of a program's output.
pub fn path_truths(output: &[u8]) -> Vec<PathTruth> {
    let text = String::from_utf8_lossy(output);
    text.lines()
        .filter_map(|line| {
            let words = line.strip_prefix("path ")?;
            Some(PathTruth {
                functions: words.split(' ').take_while(|word| !word.contains('=')).map(str::to_owned).collect(),
                allocations: number(words, "allocations")?,
                size: number(words, "size")?,
                line: number(words, "line"),
            })
        })
        .collect()
}

fn number(line: &str, name: &str) -> Option<u64> {
    line.split(' ').find_map(|word| word.strip_prefix(name)?.strip_prefix('=')?.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::{PathTruth, Truth, path_truths};

    #[test]
    fn the_last_line_counts_and_a_damaged_one_does_not() {
        let line = "truth allocations=1 bytes=2 frees=3 freed_bytes=4 live_blocks=5 live_bytes=6\n";
        let twice = format!("truth allocations=9\nother\n{line}");
        let truth = Truth { allocations: 1, bytes: 2, frees: 3, freed_bytes: 4, live_blocks: 5, live_bytes: 6 };
        assert_eq!(Truth::parse(twice.as_bytes()), Some(truth));
        assert_eq!(Truth::parse(b"truth allocations=9 frees=x\n"), None);
        assert_eq!(Truth::parse(b"\xff\n"), None);
    }

    #[test]
    fn paths_are_read_outermost_first() {
        let output = "path main work*3 allocations=2 size=10\nnoise\npath main allocations=1 size=8 line=5\n";
        let main = "main".to_owned();
        assert_eq!(
            path_truths(output.as_bytes()),
            [
                PathTruth { functions: vec![main.clone(), "work*3".to_owned()], allocations: 2, size: 10, line: None },
                PathTruth { functions: vec![main], allocations: 1, size: 8, line: Some(5) },
            ]
        );
    }
}
