//! The programs that are measured: those of the package `heaptide-benches`, with enough to do for a stable time.

/// A program and its arguments.
#[derive(Debug)]
pub struct Workload {
    /// Its name on the page.
    pub name: &'static str,
    /// What it stands for.
    pub description: &'static str,
    /// The program's file.
    pub program: &'static str,
    /// What it is given.
    pub arguments: &'static [&'static str],
}

/// All of them.
pub const WORKLOADS: [Workload; 3] = [
    Workload {
        name: "service",
        description: "tokio key-value service on loopback, 50 connections",
        program: "kv-service",
        arguments: &["--requests", "400000"],
    },
    Workload {
        name: "json",
        description: "serde_json parses a document to `Value` and drops it, 7 M allocations",
        program: "json-parse",
        arguments: &[],
    },
    Workload {
        name: "trees",
        description: "binary trees on 2 threads, recursion, 131,000 call paths",
        program: "binary-trees",
        arguments: &["--rounds", "180"],
    },
];

/// The same program with about 1 million events …
pub const FEW_EVENTS: Workload = Workload {
    name: "json-1m-events",
    description: "serde_json, 1 million events",
    program: "json-parse",
    arguments: &["--megabytes", "1", "--rounds", "5"],
};

/// … and with about 100 million.
pub const MANY_EVENTS: Workload = Workload {
    name: "json-100m-events",
    description: "serde_json, 100 million events",
    program: "json-parse",
    arguments: &["--megabytes", "1", "--rounds", "535"],
};

impl Workload {
    /// As it is written in a shell.
    pub fn command_line(&self) -> String {
        [&[self.program], self.arguments].concat().join(" ")
    }
}
