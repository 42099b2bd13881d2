//! What Heaptide promises, compared with what was measured.

use super::{Cost, Measured, Recorder, median};

/// A promise.
#[derive(Debug)]
pub struct Bar {
    /// What it is about.
    pub name: String,
    /// The most that it may be.
    pub limit: f64,
    /// Of what.
    pub unit: Unit,
}

/// What a bar counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Times the program alone.
    Ratio,
    /// Bytes.
    Bytes,
    /// Seconds.
    Seconds,
    /// Part of a whole.
    Share,
}

/// A promise, and what came of it.
#[derive(Debug)]
pub struct Outcome {
    /// The promise.
    pub bar: Bar,
    /// What was measured.
    pub value: f64,
}

impl Outcome {
    /// Whether it was kept.
    pub fn is_met(&self) -> bool {
        self.value <= self.bar.limit
    }
}

/// A workload, and how many times its time alone it may take: recorded exactly, and by samples.
const TIMES: [(&str, f64, f64); 3] = [("service", 1.10, 1.03), ("json", 1.5, 1.08), ("trees", 7.0, 1.3)];

/// Workloads whose recorder has a limit: a share of the heap at its peak, and something on top.
const MEMORY: [&str; 2] = ["service", "json"];
const MEMORY_SHARE: f64 = 0.3;
const MEMORY_ON_TOP_BYTES: f64 = 16.0 * 1024.0 * 1024.0;

const OPENING_S: f64 = 2.0;
const SIZE_DIFFERENCE: f64 = 0.1;

/// All promises that something was measured for.
pub fn outcomes(measured: &Measured) -> Vec<Outcome> {
    let mut outcomes = Vec::new();
    for costs in &measured.costs {
        let name = costs.workload.name;
        for cost in &costs.costs {
            outcomes.extend(time(name, cost));
        }
    }
    for costs in measured.costs.iter().filter(|costs| MEMORY.contains(&costs.workload.name)) {
        for kept in
            costs.costs.iter().filter(|cost| cost.recorder == Recorder::Exact).filter_map(|cost| cost.kept.as_ref())
        {
            let limit = kept.peak_live_bytes as f64 * MEMORY_SHARE + MEMORY_ON_TOP_BYTES;
            let name = format!("{}, recorder's memory: 30 % of the live heap + 16 MiB", costs.workload.name);
            outcomes.push(Outcome { bar: Bar { name, limit, unit: Unit::Bytes }, value: kept.recorder_bytes as f64 });
        }
    }
    if let Some(opening) = &measured.opening {
        let name = format!("`heaptide report` of the largest recording, {}", opening.name);
        outcomes.push(Outcome { bar: Bar { name, limit: OPENING_S, unit: Unit::Seconds }, value: opening.seconds });
    }
    if let Some([few, many]) = &measured.sizes {
        let name = "difference in kept size between 1 M and 100 M events".to_owned();
        let value = (many.file_bytes as f64 / few.file_bytes as f64 - 1.0).abs();
        outcomes.push(Outcome { bar: Bar { name, limit: SIZE_DIFFERENCE, unit: Unit::Share }, value });
    }
    outcomes
}

fn time(workload: &str, cost: &Cost) -> Option<Outcome> {
    let (_, exact, sampled) = TIMES.iter().find(|(name, ..)| *name == workload)?;
    let limit = match cost.recorder {
        Recorder::Exact => *exact,
        Recorder::Sampled => *sampled,
        _ => return None,
    };
    let name = format!("{workload}, {}, time against the program alone", cost.recorder.name());
    Some(Outcome { bar: Bar { name, limit, unit: Unit::Ratio }, value: median(&cost.ratios)? })
}
