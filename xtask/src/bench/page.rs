//! A measurement as a page for people and as JSON for programs.

use std::fmt::Write;

use serde_json::{Value, json};

use super::bars::Unit;
use super::{Cost, Costs, Kept, Machine, Measured, Outcome, Plan, median};

/// The page.
pub fn markdown(plan: &Plan, machine: &Machine, measured: &Measured, outcomes: &[Outcome]) -> String {
    let mut page = String::new();
    // Writing to a `String` cannot fail.
    let _ = write(&mut page, plan, machine, measured, outcomes);
    page
}

fn write(
    page: &mut String,
    plan: &Plan,
    machine: &Machine,
    measured: &Measured,
    outcomes: &[Outcome],
) -> std::fmt::Result {
    writeln!(page, "# What recording costs: {}\n", machine.date)?;
    writeln!(page, "`{}` at revision {}\n", plan.command, machine.revision)?;
    writeln!(page, "- {}, {} processors, {}", machine.cpu, machine.cpus, bytes(machine.memory_bytes as f64))?;
    writeln!(page, "- {}", machine.system)?;
    writeln!(page, "- {}", machine.rustc)?;
    if !machine.others.is_empty() {
        writeln!(page, "- {}", machine.others.join(", "))?;
    }
    if let Some(note) = &plan.note {
        writeln!(page, "- {note}")?;
    }

    writeln!(page, "\n## Bars\n\n| measure | bar | measured | |\n| --- | --- | --- | --- |")?;
    for outcome in outcomes {
        let (limit, value) = (in_unit(outcome.bar.limit, outcome.bar.unit), in_unit(outcome.value, outcome.bar.unit));
        let word = if outcome.is_met() { "pass" } else { "**fail**" };
        writeln!(page, "| {} | ≤ {limit} | {value} | {word} |", outcome.bar.name)?;
    }

    writeln!(page, "\n## Time\n")?;
    writeln!(
        page,
        "Wall time from the start of the command to the end of the program; medians of {} rounds. The ratio is the median \
         of each round's ratio to the same program alone in that round, with the lowest and the highest. \"Whole\" is \
         the time until the command has ended: with names looked up and the report written.\n",
        plan.rounds
    )?;
    writeln!(page, "| workload | under | rounds | program | ratio | lowest to highest | whole |")?;
    writeln!(page, "| --- | --- | --- | --- | --- | --- | --- |")?;
    for costs in &measured.costs {
        let alone = seconds(median(&costs.alone_s));
        writeln!(page, "| {} | alone | {} | {alone} | 1 | | |", costs.workload.name, costs.alone_s.len())?;
        for cost in &costs.costs {
            writeln!(
                page,
                "| {} | {} | {} | {} | {} | {} | {} |",
                costs.workload.name,
                cost.recorder.name(),
                cost.ratios.len(),
                seconds(median(&cost.lives_s)),
                median(&cost.ratios).map_or_else(String::new, ratio),
                spread(&cost.ratios),
                seconds(median(&cost.wholes_s)),
            )?;
        }
    }
    writeln!(page)?;
    for costs in &measured.costs {
        let workload = costs.workload;
        writeln!(page, "- {}: {}: `{}`", workload.name, workload.description, workload.command_line())?;
    }

    writeln!(page, "\n## What is kept\n")?;
    writeln!(
        page,
        "| recording | events | lost | call paths | points | file | live at peak | recorder's memory | peak resident |"
    )?;
    writeln!(page, "| --- | --- | --- | --- | --- | --- | --- | --- | --- |")?;
    for (name, kept) in recordings(measured) {
        writeln!(
            page,
            "| {name} | {} | {} | {} | {} | {} | {} | {} | {} |",
            kept.events,
            kept.lost_events,
            kept.call_paths,
            kept.points,
            bytes(kept.file_bytes as f64),
            bytes(kept.peak_live_bytes as f64),
            bytes(kept.recorder_bytes as f64),
            kept.peak_rss_bytes.map_or_else(String::new, |rss| bytes(rss as f64)),
        )?;
    }
    Ok(())
}

/// The same for programs; units are in the names.
pub fn json(plan: &Plan, machine: &Machine, measured: &Measured, outcomes: &[Outcome]) -> Value {
    let bars = outcomes.iter().map(|outcome| {
        let unit = match outcome.bar.unit {
            Unit::Ratio => "ratio",
            Unit::Bytes => "bytes",
            Unit::Seconds => "s",
            Unit::Share => "share",
        };
        let bar = &outcome.bar;
        json!({ "name": bar.name, "unit": unit, "limit": bar.limit, "value": outcome.value, "met": outcome.is_met() })
    });
    let recordings = recordings(measured).into_iter().map(|(name, kept)| {
        json!({
            "name": name, "events": kept.events, "lost_events": kept.lost_events, "call_paths": kept.call_paths, "points": kept.points,
            "file_bytes": kept.file_bytes, "peak_live_bytes": kept.peak_live_bytes,
            "recorder_bytes": kept.recorder_bytes, "peak_rss_bytes": kept.peak_rss_bytes,
        })
    });
    json!({
        "command": plan.command,
        "note": plan.note,
        "date": machine.date,
        "revision": machine.revision,
        "machine": {
            "cpu": machine.cpu, "cpus": machine.cpus, "memory_bytes": machine.memory_bytes,
            "system": machine.system, "rustc": machine.rustc, "others": machine.others,
        },
        "bars": bars.collect::<Vec<_>>(),
        "workloads": measured.costs.iter().map(workload).collect::<Vec<_>>(),
        "recordings": recordings.collect::<Vec<_>>(),
        "opening": measured.opening.as_ref().map(|opening| {
            json!({ "name": opening.name, "file_bytes": opening.file_bytes, "seconds": opening.seconds })
        }),
    })
}

fn workload(costs: &Costs) -> Value {
    let under = |cost: &Cost| {
        json!({
            "recorder": cost.recorder.name(), "program_s": cost.lives_s, "whole_s": cost.wholes_s,
            "ratios": cost.ratios, "median_ratio": median(&cost.ratios),
        })
    };
    json!({
        "name": costs.workload.name,
        "command": costs.workload.command_line(),
        "alone_s": costs.alone_s,
        "under": costs.costs.iter().map(under).collect::<Vec<_>>(),
    })
}

/// Heaptide's recordings, with names.
fn recordings(measured: &Measured) -> Vec<(String, &Kept)> {
    let mut recordings = Vec::new();
    for costs in &measured.costs {
        for cost in &costs.costs {
            if let Some(kept) = &cost.kept {
                recordings.push((format!("{}, {}", costs.workload.name, cost.recorder.name()), kept));
            }
        }
    }
    if let Some([few, many]) = &measured.sizes {
        recordings.push(("json, 1 M events".to_owned(), few));
        recordings.push(("json, 100 M events".to_owned(), many));
    }
    recordings
}

fn in_unit(value: f64, unit: Unit) -> String {
    match unit {
        Unit::Ratio => ratio(value),
        Unit::Bytes => bytes(value),
        Unit::Seconds => seconds(Some(value)),
        Unit::Share => format!("{:.1} %", value * 100.0),
    }
}

fn ratio(value: f64) -> String {
    let digits = if value < 10.0 { 2 } else { 0 };
    format!("{value:.digits$} ×")
}

fn spread(ratios: &[f64]) -> String {
    let lowest = ratios.iter().copied().reduce(f64::min);
    let highest = ratios.iter().copied().reduce(f64::max);
    match (lowest, highest) {
        (Some(lowest), Some(highest)) if ratios.len() > 1 => format!("{lowest:.2} to {highest:.2}"),
        _ => String::new(),
    }
}

fn seconds(value: Option<f64>) -> String {
    value.map_or_else(String::new, |value| format!("{value:.2} s"))
}

fn bytes(value: f64) -> String {
    const KIB: f64 = 1024.0;
    match value {
        value if value < KIB => format!("{value:.0} B"),
        value if value < KIB * KIB => format!("{:.1} KiB", value / KIB),
        value if value < KIB * KIB * KIB => format!("{:.1} MiB", value / KIB / KIB),
        value => format!("{:.1} GiB", value / KIB / KIB / KIB),
    }
}
