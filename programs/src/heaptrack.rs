//! Totals from heaptrack, the recorder whose cost is compared with.
//!
//! It is no truth for exactness. heaptrack 1.4 brings libstdc++ into every program (72,704 bytes in one block), runs
//! `__libc_freeres` before its end is counted, keeps as alive what `realloc(p, 0)` freed, does not see `pvalloc`, and reports
//! other bytes at exit from run to run where threads free what others made. Its printer does not give the number of frees.

use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use crate::error::Error;
use crate::scratch::{Scratch, same_surroundings};

const TOOL: &str = "heaptrack";
const PRINTER: &str = "heaptrack_print";

/// What heaptrack counted over a whole run of one process.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HeaptrackTotals {
    /// Blocks handed out, a `realloc` being one.
    pub allocations: u64,
    /// Bytes asked for.
    pub allocated_bytes: u64,
    /// Blocks freed before anything else was allocated, by any thread.
    pub temporary: u64,
    /// Bytes alive at the end.
    pub live_bytes: u64,
    /// Bytes alive when they were most.
    pub peak_bytes: u64,
}

/// Runs `command` (its program, arguments, variables and folder) under heaptrack.
///
/// # Errors
///
/// Where heaptrack is missing or the program fails under it.
pub fn heaptrack_totals(command: &Command) -> Result<HeaptrackTotals, Error> {
    let scratch = Scratch::new("heaptrack")?;
    let recording = scratch.path().join("recording");
    let mut heaptrack = Command::new(TOOL);
    heaptrack.arg("-o").arg(&recording).arg(command.get_program()).args(command.get_args());
    same_surroundings(command, &mut heaptrack);
    run(TOOL, &mut heaptrack)?;
    let recording = recording.with_extension("zst");

    let histogram = scratch.path().join("histogram");
    let leaked = scratch.path().join("leaked");
    let said = print(&recording, "leaked", &leaked, &["-H".as_ref(), histogram.as_os_str()])?;
    let peak = scratch.path().join("peak");
    print(&recording, "peak", &peak, &[])?;

    let said = String::from_utf8_lossy(&said.stdout).into_owned();
    Ok(HeaptrackTotals {
        allocations: counted(&said, "calls to allocation functions: ")?,
        temporary: counted(&said, "temporary memory allocations: ")?,
        allocated_bytes: sum(&histogram, |line| {
            let (size, count) = line.split_once('\t')?;
            size.parse::<u64>().ok()?.checked_mul(count.trim().parse().ok()?)
        })?,
        live_bytes: sum(&leaked, last_word)?,
        peak_bytes: sum(&peak, last_word)?,
    })
}

/// Sums for `cost` by call path into `stacks`, which alone are not rounded.
fn print(recording: &Path, cost: &str, stacks: &Path, more: &[&std::ffi::OsStr]) -> Result<Output, Error> {
    let mut printer = Command::new(PRINTER);
    printer
        .args(["-p0", "-a0", "-T0", "--disable-builtin-suppressions", "--disable-embedded-suppressions"])
        .args(["--flamegraph-cost-type", cost])
        .arg("-f")
        .arg(recording)
        .arg("-F")
        .arg(stacks)
        .args(more);
    run(PRINTER, &mut printer)
}

fn run(tool: &'static str, command: &mut Command) -> Result<Output, Error> {
    let output = command.stdin(Stdio::null()).output().map_err(|source| Error::Start { tool, source })?;
    if output.status.success() {
        return Ok(output);
    }
    // heaptrack complains on its standard output.
    let stderr = [output.stderr, output.stdout].concat();
    let stderr = String::from_utf8_lossy(&stderr).into_owned();
    Err(Error::Failed { tool, status: output.status, stderr })
}

fn counted(said: &str, name: &str) -> Result<u64, Error> {
    let number = said.lines().find_map(|line| line.strip_prefix(name)?.split(' ').next()?.parse().ok());
    number.ok_or_else(|| Error::Output { tool: PRINTER, what: format!("no `{name}`") })
}

fn sum(path: &Path, value: impl Fn(&str) -> Option<u64>) -> Result<u64, Error> {
    let text = fs::read_to_string(path).map_err(|source| Error::File { path: path.to_owned(), source })?;
    let values: Option<Vec<u64>> = text.lines().map(value).collect();
    let total = values.and_then(|values| values.into_iter().try_fold(0u64, u64::checked_add));
    total.ok_or_else(|| Error::Output { tool: PRINTER, what: format!("a line without a number in {}", path.display()) })
}

fn last_word(line: &str) -> Option<u64> {
    line.rsplit(' ').next()?.parse().ok()
}
