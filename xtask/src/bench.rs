//! `cargo xtask bench`: what recording costs, on whole programs and with the product as people use it.
//!
//! Every round runs each program alone and then under each recorder, and compares within the round, so that a machine
//! that is slower for a minute slows both sides of a ratio. What is timed is the program's life: from the moment its
//! recorder was started to the moment when the program ended. Looking up names and writing the report afterwards is
//! not the program's cost; it is shown as the time of the whole command.

mod bars;
mod lifetime;
mod machine;
mod page;
mod recorder;
mod recording;
mod workload;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};

use crate::cargo;
use crate::options::Options;
use bars::Outcome;
use lifetime::Timed;
use machine::Machine;
use recorder::Recorder;
use recording::{Kept, Opening};
use workload::{WORKLOADS, Workload};

/// Rounds of each workload, and the fewest that are kept.
const ROUNDS: usize = 5;
/// Rounds under a recorder that takes minutes.
const SLOW_ROUNDS: usize = 1;

/// What is to be measured.
struct Plan {
    rounds: usize,
    workloads: Vec<&'static Workload>,
    recorders: Vec<Recorder>,
    with_sizes: bool,
    must_pass: bool,
    note: Option<String>,
    command: String,
}

/// Where the programs are and where files go.
struct Places {
    release: PathBuf,
    scratch: PathBuf,
}

/// What one workload cost under one recorder.
struct Cost {
    recorder: Recorder,
    /// The program's life against its life alone, a value a round.
    ratios: Vec<f64>,
    /// The program's life, in seconds.
    lives_s: Vec<f64>,
    /// The whole command's, in seconds.
    wholes_s: Vec<f64>,
    /// What the last recording says, if it is Heaptide's.
    kept: Option<Kept>,
}

/// What one workload cost.
struct Costs {
    workload: &'static Workload,
    alone_s: Vec<f64>,
    costs: Vec<Cost>,
}

/// What was measured.
struct Measured {
    costs: Vec<Costs>,
    opening: Option<Opening>,
    sizes: Option<[Kept; 2]>,
}

/// Measures, prints the page, and writes it into benches/runs/.
pub fn bench(words: &[String]) -> Result<()> {
    let plan = Plan::of(words)?;
    let release = cargo::build_release(&["heaptide-cli", "heaptide-benches"])?;
    let scratch = std::env::temp_dir().join(format!("heaptide-bench-{}", std::process::id()));
    fs::create_dir_all(&scratch).with_context(|| format!("cannot make {}", scratch.display()))?;
    let places = Places { release, scratch };
    let measured = plan.measure(&places);
    // What was measured counts, whatever becomes of the files.
    let _ = fs::remove_dir_all(&places.scratch);
    let measured = measured?;

    let outcomes = bars::outcomes(&measured);
    let machine = Machine::this()?;
    let page = page::markdown(&plan, &machine, &measured, &outcomes);
    println!("\n{page}");
    if !plan.is_whole() {
        println!("not written to benches/runs/: that takes all workloads and {ROUNDS} rounds");
        return plan.judge(&outcomes);
    }
    let folder = cargo::root().join("benches").join("runs");
    fs::create_dir_all(&folder)?;
    let name = machine.file_name();
    fs::write(folder.join(format!("{name}.md")), &page)?;
    let json = serde_json::to_string_pretty(&page::json(&plan, &machine, &measured, &outcomes))?;
    fs::write(folder.join(format!("{name}.json")), json + "\n")?;
    println!("written to benches/runs/{name}.md and .json");
    plan.judge(&outcomes)
}

impl Plan {
    fn of(words: &[String]) -> Result<Plan> {
        let mut options = Options::new(words);
        let rounds = options.value("--rounds")?.unwrap_or(ROUNDS);
        let names: Vec<String> = options.values("--workload")?;
        let mut recorders = vec![Recorder::Exact, Recorder::Sampled];
        if options.flag("--all") {
            recorders.extend([Recorder::Heaptrack, Recorder::Dhat]);
        }
        let with_sizes = options.flag("--sizes");
        let must_pass = options.flag("--check");
        let note = options.value("--note")?;
        options.end()?;

        ensure!(rounds > 0, "--rounds must be at least 1");
        if let Some(unknown) = names.iter().find(|name| WORKLOADS.iter().all(|workload| workload.name != **name)) {
            let known: Vec<_> = WORKLOADS.iter().map(|workload| workload.name).collect();
            bail!("there is no workload `{unknown}`; there are {}", known.join(", "));
        }
        let is_wanted = |workload: &&Workload| names.is_empty() || names.iter().any(|name| name == workload.name);
        let workloads = WORKLOADS.iter().filter(is_wanted).collect();
        let command = std::iter::once("cargo xtask bench").chain(words.iter().map(String::as_str));
        let command = command.collect::<Vec<_>>().join(" ");
        Ok(Plan { rounds, workloads, recorders, with_sizes, must_pass, note, command })
    }

    /// Whether the result is worth keeping.
    fn is_whole(&self) -> bool {
        self.rounds >= ROUNDS && self.workloads.len() == WORKLOADS.len()
    }

    /// An error if a bar was missed and must not be.
    fn judge(&self, outcomes: &[Outcome]) -> Result<()> {
        let missed = outcomes.iter().filter(|outcome| !outcome.is_met()).count();
        ensure!(missed == 0 || !self.must_pass, "{missed} of {} bars missed", outcomes.len());
        Ok(())
    }

    fn measure(&self, places: &Places) -> Result<Measured> {
        let mut costs = Vec::new();
        for workload in &self.workloads {
            costs.push(self.costs(workload, places)?);
        }
        let opening = recording::open_largest(places)?;
        let sizes = match self.with_sizes {
            true => Some([places.kept_after(&workload::FEW_EVENTS)?, places.kept_after(&workload::MANY_EVENTS)?]),
            false => None,
        };
        Ok(Measured { costs, opening, sizes })
    }

    /// All rounds of one workload. The first run, which fills caches, is not counted.
    fn costs(&self, workload: &'static Workload, places: &Places) -> Result<Costs> {
        eprintln!("{}: {}", workload.name, workload.command_line());
        places.run(workload, Recorder::Alone)?;
        let mut alone_s = Vec::new();
        let mut costs: Vec<Cost> = self.recorders.iter().copied().map(Cost::of).collect();
        for round in 0..self.rounds {
            let alone = places.run(workload, Recorder::Alone)?.life.as_secs_f64();
            alone_s.push(alone);
            eprint!("  round {} of {}: alone {alone:.2} s", round + 1, self.rounds);
            // Each recorder comes first, second … in turn.
            let turn = round % costs.len();
            costs.rotate_left(turn);
            for cost in costs.iter_mut().filter(|cost| round < cost.recorder.rounds(self.rounds)) {
                let timed = places.run(workload, cost.recorder)?;
                let life = timed.life.as_secs_f64();
                eprint!(", {} {life:.2} s", cost.recorder.name());
                cost.ratios.push(life / alone);
                cost.lives_s.push(life);
                cost.wholes_s.push(timed.whole.as_secs_f64());
            }
            costs.rotate_right(turn);
            eprintln!();
        }
        for cost in costs.iter_mut().filter(|cost| cost.recorder.is_heaptide()) {
            cost.kept = Some(Kept::of(&places.recording(workload, cost.recorder))?);
        }
        Ok(Costs { workload, alone_s, costs })
    }
}

impl Cost {
    fn of(recorder: Recorder) -> Cost {
        Cost { recorder, ratios: Vec::new(), lives_s: Vec::new(), wholes_s: Vec::new(), kept: None }
    }
}

impl Places {
    fn run(&self, workload: &Workload, recorder: Recorder) -> Result<Timed> {
        let program = self.release.join(workload.program);
        let recording = self.recording(workload, recorder);
        let mut command = recorder.command(&self.release, &program, &recording);
        command.args(workload.arguments).current_dir(&self.scratch);
        lifetime::time(&mut command, &program)
    }

    fn recording(&self, workload: &Workload, recorder: Recorder) -> PathBuf {
        self.scratch.join(format!("{}.{}", workload.name, recorder.extension()))
    }

    fn kept_after(&self, workload: &Workload) -> Result<Kept> {
        eprintln!("{}: {}", workload.name, workload.command_line());
        self.run(workload, Recorder::Exact)?;
        Kept::of(&self.recording(workload, Recorder::Exact))
    }

    fn heaptide(&self) -> PathBuf {
        self.release.join("heaptide")
    }

    fn scratch(&self) -> &Path {
        &self.scratch
    }
}

/// The value in the middle; of an even number, the mean of the two. None of nothing.
fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let upper = *sorted.get(sorted.len() / 2)?;
    let lower = *sorted.get((sorted.len() - 1) / 2)?;
    Some((lower + upper) / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_in_the_middle() {
        assert_eq!(median(&[]), None);
        assert_eq!(median(&[3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&[4.0, 1.0, 3.0, 2.0]), Some(2.5));
    }

    #[test]
    fn a_plan_knows_its_words() {
        let plan = |line: &str| Plan::of(&line.split_whitespace().map(str::to_owned).collect::<Vec<_>>());
        let all = plan("--all --rounds 3 --workload json").expect("a plan");
        assert_eq!((all.rounds, all.workloads.len(), all.recorders.len()), (3, 1, 4));
        assert!(plan("--workload nothing").is_err());
        assert!(plan("--rounds 0").is_err());
        assert!(plan("--al").is_err());
    }
}
