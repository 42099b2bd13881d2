//! Totals from valgrind's DHAT, the truth for exactness.
//!
//! What DHAT 3.19 counts, where that matters for a comparison:
//!
//! - sizes as asked for, but **0 as 1 byte**;
//! - a `realloc` as one free of the old size and one allocation of the new, also where it shrinks or stays in place (`tb`, `tbk`
//!   rise by the new size and by one); all of it is **credited to the path that made the block**, not to the `realloc`'s;
//!   `realloc(p, 0)` as a free, `realloc(NULL, n)` as an allocation;
//! - no failed call; `reallocarray` and what libc allocates inside `strdup`, `getline` or `pthread_create` is counted;
//!   **`pvalloc` ends the program**;
//! - `malloc_usable_size` gives the size asked for, so a program that uses the slack behaves otherwise under it;
//! - frees are not reported: they are the blocks made less those alive at the end;
//! - before the end is counted it runs `__libc_freeres` and `__gnu_cxx::__freeres`, which free what a program that simply ends
//!   leaves behind (libstdc++'s 72,704 bytes, cached thread vectors). [`dhat_totals`] switches both off, so that "alive at exit" means
//!   the same as without valgrind;
//! - "alive at exit" is after exit handlers and destructors;
//! - a thread's vector (dtv) has 16 bytes for each loaded module with thread-local storage, so every thread asks for 16 bytes more
//!   beside a preloaded library that has some;
//! - a forked child is counted on its own, an executed program not at all.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use serde::Deserialize;

use crate::error::Error;
use crate::scratch::Scratch;

const TOOL: &str = "valgrind --tool=dhat";

/// What DHAT counted over a whole run of one process.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DhatTotals {
    /// Blocks handed out, a `realloc` being one.
    pub allocations: u64,
    /// Bytes asked for, 0 counted as 1.
    pub allocated_bytes: u64,
    /// Blocks given back, a `realloc` being one.
    pub frees: u64,
    /// Blocks alive at exit.
    pub live_blocks: u64,
    /// Their bytes.
    pub live_bytes: u64,
    /// Bytes alive when they were most.
    pub peak_bytes: u64,
    /// What the program wrote to standard output, its own truth among it.
    pub stdout: Vec<u8>,
}

/// Runs `command` (its program, arguments, variables and folder) under DHAT.
///
/// # Errors
///
/// Where valgrind is missing or the program fails under it, or where DHAT's summary and its file disagree.
pub fn dhat_totals(command: &Command) -> Result<DhatTotals, Error> {
    let scratch = Scratch::new("dhat")?;
    let mut valgrind = Command::new("valgrind");
    valgrind
        .args(["--tool=dhat", "--run-libc-freeres=no", "--run-cxx-freeres=no"])
        .arg(format!("--dhat-out-file={}/%p.json", scratch.path().display()))
        .arg(format!("--log-file={}/%p.log", scratch.path().display()))
        .arg(command.get_program())
        .args(command.get_args())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    crate::scratch::same_surroundings(command, &mut valgrind);

    let child = valgrind.spawn().map_err(|source| Error::Start { tool: TOOL, source })?;
    let process = child.id();
    let output = child.wait_with_output().map_err(|source| Error::Start { tool: TOOL, source })?;
    let log = read(&scratch.path().join(format!("{process}.log"))).unwrap_or_default();
    if !output.status.success() {
        let stderr = format!("{}{log}", String::from_utf8_lossy(&output.stderr));
        return Err(Error::Failed { tool: TOOL, status: output.status, stderr });
    }
    let file = read(&scratch.path().join(format!("{process}.json")))?;
    let mut totals = from_file(&file)?;
    totals.stdout = output.stdout;
    agrees_with_summary(&totals, &log)?;
    Ok(totals)
}

fn read(path: &Path) -> Result<String, Error> {
    fs::read_to_string(path).map_err(|source| Error::File { path: path.to_owned(), source })
}

#[derive(Deserialize)]
struct File {
    #[serde(rename = "dhatFileVersion")]
    version: u32,
    mode: String,
    pps: Vec<ProgramPoint>,
}

/// Sums over one call path: `t` in total, `g` at the global peak, `e` at the end; `b` bytes, `bk` blocks.
#[derive(Deserialize)]
struct ProgramPoint {
    tb: u64,
    tbk: u64,
    gb: u64,
    eb: u64,
    ebk: u64,
}

fn from_file(text: &str) -> Result<DhatTotals, Error> {
    let file: File = serde_json::from_str(text).map_err(|error| unexpected(error.to_string()))?;
    if file.version != 2 || file.mode != "heap" {
        return Err(unexpected(format!("version {} in mode {}", file.version, file.mode)));
    }
    let mut totals = DhatTotals::default();
    for point in &file.pps {
        totals.allocations += point.tbk;
        totals.allocated_bytes += point.tb;
        totals.live_blocks += point.ebk;
        totals.live_bytes += point.eb;
        totals.peak_bytes += point.gb;
    }
    totals.frees = totals.allocations.saturating_sub(totals.live_blocks);
    Ok(totals)
}

/// The lines `Total:`, `At t-gmax:` and `At t-end:` of the summary, each bytes and blocks.
fn agrees_with_summary(totals: &DhatTotals, log: &str) -> Result<(), Error> {
    let summary = |name: &str| -> Result<(u64, u64), Error> {
        let numbers = log.lines().find_map(|line| bytes_and_blocks(line.split_once(name)?.1));
        numbers.ok_or_else(|| unexpected(format!("no `{name}` in its summary")))
    };
    let peak_bytes = summary("At t-gmax: ")?.0;
    let said = [summary("Total: ")?, summary("At t-end: ")?];
    let summed = [(totals.allocated_bytes, totals.allocations), (totals.live_bytes, totals.live_blocks)];
    if said != summed || peak_bytes != totals.peak_bytes {
        return Err(unexpected(format!("its summary says {said:?}, peak {peak_bytes}; its file {totals:?}")));
    }
    Ok(())
}

/// Reads `1,234 bytes in 5 blocks`.
fn bytes_and_blocks(text: &str) -> Option<(u64, u64)> {
    let mut words = text.split_whitespace();
    let bytes = words.next()?;
    let blocks = words.nth(2)?;
    let number = |word: &str| word.replace(',', "").parse().ok();
    Some((number(bytes)?, number(blocks)?))
}

fn unexpected(what: String) -> Error {
    Error::Output { tool: TOOL, what }
}

#[cfg(test)]
mod tests {
    use super::{DhatTotals, agrees_with_summary, bytes_and_blocks, from_file};

    const FILE: &str = r#"{"dhatFileVersion":2,"mode":"heap","pps":[
        {"tb":30,"tbk":3,"tl":1,"mb":20,"mbk":2,"gb":20,"gbk":2,"eb":10,"ebk":1,"fs":[1]},
        {"tb":5,"tbk":1,"tl":1,"mb":5,"mbk":1,"gb":0,"gbk":0,"eb":0,"ebk":0,"fs":[2]}],"ftbl":["[root]"]}"#;

    #[test]
    fn call_paths_are_summed_and_compared_with_the_summary() {
        let totals = from_file(FILE).expect("a DHAT file");
        let expected = DhatTotals {
            allocations: 4,
            allocated_bytes: 35,
            frees: 3,
            live_blocks: 1,
            live_bytes: 10,
            peak_bytes: 20,
            stdout: Vec::new(),
        };
        assert_eq!(totals, expected);
        let log = "==7== Total:     35 bytes in 4 blocks\n==7== At t-gmax: 20 bytes in 2 blocks\n==7== At t-end:  10 bytes in 1 blocks\n";
        assert!(agrees_with_summary(&totals, log).is_ok());
        assert!(agrees_with_summary(&totals, &log.replace("35", "36")).is_err());
        assert!(agrees_with_summary(&totals, "").is_err());
    }

    #[test]
    fn numbers_have_commas() {
        assert_eq!(bytes_and_blocks("  1,234,567 bytes in 8,901 blocks"), Some((1_234_567, 8_901)));
        assert_eq!(bytes_and_blocks("none"), None);
    }

    #[test]
    fn another_version_is_refused() {
        assert!(from_file(&FILE.replace(":2,", ":3,")).is_err());
        assert!(from_file("{}").is_err());
    }
}
