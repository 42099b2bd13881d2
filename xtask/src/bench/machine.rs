//! What a measurement was made on.

use std::fs;
use std::process::Command;

use anyhow::Result;

use crate::cargo::root;
use crate::program::{self, find};

/// This machine and this checkout.
#[derive(Debug)]
pub struct Machine {
    /// Day of the measurement, in UTC.
    pub date: String,
    /// Model of the processor.
    pub cpu: String,
    /// Processors that may be used.
    pub cpus: usize,
    /// Memory.
    pub memory_bytes: u64,
    /// System and kernel.
    pub system: String,
    /// The compiler.
    pub rustc: String,
    /// The revision that was measured; with a `+` if it was changed since.
    pub revision: String,
    /// The recorders that it is compared with.
    pub others: Vec<String>,
}

impl Machine {
    /// Looks around.
    pub fn this() -> Result<Machine> {
        let cpus = std::thread::available_parallelism().map_or(1, usize::from);
        let kernel = said("uname", &["-srm"])?;
        let release = fs::read_to_string("/etc/os-release").unwrap_or_default();
        let system = field(&release, "PRETTY_NAME=").map_or(kernel.clone(), |name| format!("{name}, {kernel}"));
        let memory = fs::read_to_string("/proc/meminfo").unwrap_or_default();
        let kib = field(&memory, "MemTotal:").and_then(|line| line.split(' ').next()?.parse::<u64>().ok());
        let changes = git(&["status", "--porcelain", "--untracked-files=no"])?;
        let changed = if changes.is_empty() { "" } else { "+" };
        let others = [("heaptrack", ["--version"]), ("valgrind", ["--version"])];
        let others = others.iter().filter(|(name, _)| find(name).is_some());
        Ok(Machine {
            date: said("date", &["-u", "+%F"])?,
            cpu: cpu(),
            cpus,
            memory_bytes: kib.unwrap_or(0) * 1024,
            system,
            rustc: said("rustc", &["--version"])?,
            revision: format!("{}{changed}", git(&["rev-parse", "--short=12", "HEAD"])?),
            others: others.filter_map(|(name, arguments)| said(name, arguments).ok()).collect(),
        })
    }

    /// The day and the processor, as a name for files.
    pub fn file_name(&self) -> String {
        let mut name = self.date.clone();
        for word in self.cpu.split(|c: char| !c.is_ascii_alphanumeric()) {
            // Trade marks, and words that every processor has in its name.
            if !matches!(word, "" | "R" | "TM" | "CPU" | "Processor") {
                name.push('-');
                name.push_str(&word.to_ascii_lowercase());
            }
        }
        name
    }
}

fn cpu() -> String {
    let cpus = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let name = cpus.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": ").map(|(_, name)| name));
    name.map_or_else(|| std::env::consts::ARCH.to_owned(), str::to_owned)
}

fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.lines().find_map(|line| line.strip_prefix(name)).map(|value| value.trim().trim_matches('"'))
}

fn git(arguments: &[&str]) -> Result<String> {
    Ok(program::output(Command::new("git").current_dir(root()).args(arguments))?.trim().to_owned())
}

fn said(program: &str, arguments: &[&str]) -> Result<String> {
    Ok(program::output(Command::new(program).args(arguments))?.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_named_for_the_day_and_the_processor() {
        let mut machine = Machine::this().expect("this machine");
        machine.date = "2026-11-21".to_owned();
        machine.cpu = "Intel(R) Xeon(R) Gold 6354 CPU @ 3.00GHz".to_owned();
        assert_eq!(machine.file_name(), "2026-11-21-intel-xeon-gold-6354-3-00ghz");
    }
}
