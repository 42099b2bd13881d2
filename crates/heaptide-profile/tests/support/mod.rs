//! Profiles made from dice, and what must hold for every profile that was read.
#![allow(dead_code, unused_imports)]

mod followable;

pub use followable::assert_followable;

use heaptide_profile::{
    End, Frame, Location, LocationId, LocationSymbols, Mode, Module, ModuleId, Node, NodeId, Profile, Program,
    Recorder, Site, StringId, Survivors, Thread, ThreadId, ThreadSite, Timeline, Totals, Track,
};

/// Numbers that proptest chose, and zeros after the last one.
pub struct Dice {
    numbers: std::vec::IntoIter<u64>,
}

impl Dice {
    pub fn new(numbers: Vec<u64>) -> Self {
        Dice { numbers: numbers.into_iter() }
    }

    fn number(&mut self) -> u64 {
        let number = self.numbers.next().unwrap_or(0);
        // All magnitudes, not only the highest.
        number >> (number % 64)
    }

    fn below(&mut self, limit: usize) -> u32 {
        (self.numbers.next().unwrap_or(0) % limit.max(1) as u64) as u32
    }

    fn maybe<T>(&mut self, make: impl FnOnce(&mut Self) -> T) -> Option<T> {
        (self.below(3) > 0).then(|| make(self))
    }

    fn rows<T>(&mut self, limit: usize, mut make: impl FnMut(&mut Self, usize) -> T) -> Vec<T> {
        let rows = self.below(limit + 1) as usize;
        (0..rows).map(|row| make(self, row)).collect()
    }

    fn numbers(&mut self, rows: usize) -> Vec<u64> {
        (0..rows).map(|_| self.number()).collect()
    }

    fn known_numbers(&mut self, rows: usize) -> Vec<Option<u64>> {
        (0..rows).map(|_| self.maybe(Self::number)).collect()
    }

    fn string(&mut self) -> String {
        self.rows(12, |dice, _| char::from_u32(dice.below(0x2_0000)).unwrap_or('\u{fffd}')).into_iter().collect()
    }

    fn id<T>(&mut self, table: &[T]) -> Option<u32> {
        (!table.is_empty()).then(|| self.below(table.len()))
    }

    /// A profile whose rows name each other as they should.
    pub fn profile(&mut self) -> Profile {
        let strings = self.rows(6, |dice, _| dice.string());
        let any_string = |dice: &mut Self| dice.id(&strings).map(StringId);
        let modules = self.rows(4, |dice, _| {
            Some(Module {
                path: any_string(dice)?,
                build_id: dice.maybe(|dice| dice.rows(20, |dice, _| dice.number() as u8)),
                base: dice.number(),
            })
        });
        let modules: Vec<Module> = modules.into_iter().flatten().collect();
        let locations = self.rows(8, |dice, _| Location {
            module: dice.maybe(|dice| dice.id(&modules)).flatten().map(ModuleId),
            offset: dice.number(),
        });
        let is_symbolized = self.below(2) == 1;
        let symbols = locations
            .iter()
            .filter(|_| is_symbolized)
            .map(|_| {
                let frames = self.rows(3, |dice, _| {
                    Some(Frame {
                        function: any_string(dice)?,
                        file: dice.maybe(any_string).flatten(),
                        line: dice.maybe(|dice| dice.number() as u32),
                        inlined: dice.below(2) == 1,
                    })
                });
                LocationSymbols { frames: frames.into_iter().flatten().collect() }
            })
            .collect();
        let nodes = self.rows(12, |dice, row| {
            Some(Node {
                parent: dice.maybe(|dice| dice.below(row)).filter(|_| row > 0).map(NodeId),
                location: LocationId(dice.id(&locations)?),
                truncated: dice.below(2) == 1,
            })
        });
        let nodes: Vec<Node> = nodes.into_iter().flatten().collect();
        let any_node = |dice: &mut Self| dice.id(&nodes).map(NodeId);
        let threads = self.rows(4, |dice, _| {
            Some(Thread {
                tid: dice.maybe(|dice| dice.number() as u32),
                name: any_string(dice)?,
                started_ms: dice.number(),
                ended_ms: dice.maybe(Self::number),
                allocations: dice.number(),
                allocated_bytes: dice.number(),
                frees: dice.number(),
                freed_bytes: dice.number(),
            })
        });
        let threads: Vec<Thread> = threads.into_iter().flatten().collect();
        let thread_sites = self.rows(6, |dice, _| {
            Some(ThreadSite {
                thread: ThreadId(dice.id(&threads)?),
                node: any_node(dice)?,
                allocations: dice.number(),
                allocated_bytes: dice.number(),
                frees: dice.number(),
                freed_bytes: dice.number(),
            })
        });
        let tracks = self.rows(3, |dice, _| {
            let node = any_node(dice)?;
            let rows = dice.below(5) as usize;
            Some(Track {
                node,
                t_ms: dice.numbers(rows),
                live_bytes: dice.numbers(rows),
                live_allocations: dice.numbers(rows),
                allocations: dice.numbers(rows),
            })
        });
        let sites = self.rows(8, |dice, _| dice.site(&nodes));
        let survivors = self.rows(4, |dice, _| Survivors {
            node: dice.maybe(any_node).flatten(),
            ages: dice.rows(4, |dice, _| (dice.number(), dice.number(), dice.number())),
        });
        Profile {
            program: self.program(),
            recorder: self.recorder(),
            totals: self.totals(),
            timeline: self.timeline(),
            thread_sites: thread_sites.into_iter().flatten().collect(),
            tracks: tracks.into_iter().flatten().collect(),
            strings,
            modules,
            locations,
            symbols,
            nodes,
            sites,
            threads,
            survivors,
        }
    }

    fn site(&mut self, nodes: &[Node]) -> Site {
        Site {
            node: self.maybe(|dice| dice.id(nodes)).flatten().map(NodeId),
            size_min: self.number(),
            size_max: self.number(),
            allocations: self.number(),
            allocated_bytes: self.number(),
            frees: self.number(),
            freed_bytes: self.number(),
            live_bytes_at_peak: self.number(),
            temporary_allocations: self.maybe(Self::number),
            reallocations: self.number(),
            reallocated_away: self.number(),
            copied_bytes: self.number(),
            first_reallocations: self.number(),
            grown_frees: self.number(),
            lifetimes: self.rows(4, |dice, _| (dice.number(), dice.number())),
            samples: self.maybe(Self::number),
        }
    }

    fn program(&mut self) -> Program {
        Program {
            exe: self.string(),
            args: self.rows(3, |dice, _| dice.string()),
            pid: self.number() as u32,
            started_unix_ms: self.number(),
            duration_s: self.number() as f64 / 1000.0,
            end: match self.below(4) {
                0 => End::Exited { status: Some(self.number() as i32).filter(|status| status % 8 != 0) },
                1 => End::Signalled { signal: self.number() as i32 },
                2 => End::Running,
                _ => End::Lost,
            },
        }
    }

    fn recorder(&mut self) -> Recorder {
        Recorder {
            mode: match self.below(2) {
                0 => Mode::Exact,
                _ => Mode::Sampled { interval_bytes: self.number() },
            },
            events: self.number(),
            lost_events: self.number(),
            unmatched_frees: self.number(),
            truncated_stacks: self.number(),
            own_bytes: self.number(),
            version: self.string(),
            limits: self.rows(3, |dice, _| dice.string()),
        }
    }

    fn totals(&mut self) -> Totals {
        Totals {
            allocations: self.number(),
            allocated_bytes: self.number(),
            frees: self.number(),
            freed_bytes: self.number(),
            reallocations: self.number(),
            live_allocations: self.number(),
            live_bytes: self.number(),
            peak_live_bytes: self.number(),
            peak_at_ms: self.number(),
            temporary_allocations: self.maybe(Self::number),
            peak_rss_bytes: self.maybe(Self::number),
            mapped_bytes: self.maybe(Self::number),
        }
    }

    fn timeline(&mut self) -> Timeline {
        let rows = self.below(6) as usize;
        Timeline {
            t_ms: self.numbers(rows),
            live_bytes: self.numbers(rows),
            live_allocations: self.numbers(rows),
            allocations: self.numbers(rows),
            allocated_bytes: self.numbers(rows),
            mapped_bytes: self.numbers(rows),
            rss_bytes: self.known_numbers(rows),
            pss_bytes: self.known_numbers(rows),
            threads: self.known_numbers(rows),
            open_files: self.known_numbers(rows),
            cgroup_limit_bytes: self.maybe(Self::number),
        }
    }
}

/// A small profile with something in every table, the same each time.
pub fn sample() -> Profile {
    (1..)
        .map(|seed: u64| {
            let mut state = seed;
            let numbers = std::iter::repeat_with(|| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                state >> 7
            });
            Dice::new(numbers.take(1000).collect()).profile()
        })
        .find(|profile| {
            let rows = [
                profile.strings.len(),
                profile.modules.len(),
                profile.locations.len(),
                profile.nodes.len(),
                profile.sites.len(),
                profile.symbols.len(),
                profile.threads.len(),
                profile.timeline.t_ms.len(),
                profile.tracks.len(),
                profile.thread_sites.len(),
                profile.survivors.len(),
            ];
            !rows.contains(&0)
        })
        .unwrap()
}
