//! What is kept of a program depends on what it does, not on how often.

mod support;

use std::fmt::Write as _;
use std::fs;

use support::Place;

/// Once it has started up, it allocates and frees at 50 call paths in turn, as often as it is told. It holds the same
/// blocks at the end however often that was.
const ROUNDS: &str = r#"
#include <stdlib.h>
void *kept[STARTED];
static void start(int at);
#define LEAF(n) __attribute__((noinline)) static void *leaf##n(size_t size) { void *block = malloc(size + n); *(volatile char *)block = n; return block; }
LEAF(0) LEAF(1) LEAF(2) LEAF(3) LEAF(4)
static void *(*const leaves[5])(size_t) = { leaf0, leaf1, leaf2, leaf3, leaf4 };
#define CALLER(n) __attribute__((noinline)) static void *caller##n(int leaf, size_t size) { void *block = leaves[leaf](size); __asm__ volatile("" : "+r"(block)); return block; }
CALLER(0) CALLER(1) CALLER(2) CALLER(3) CALLER(4) CALLER(5) CALLER(6) CALLER(7) CALLER(8) CALLER(9)
static void *(*const callers[10])(int, size_t) = { caller0, caller1, caller2, caller3, caller4, caller5, caller6, caller7, caller8, caller9 };
int main(int argc, char **argv) {
    static void *ring[1000];
    long allocations = atol(argv[1]);
    start(0);
    for (long i = 0; i < allocations; i++) {
        void **place = &ring[i % 1000];
        free(*place);
        *place = callers[i % 10](i / 10 % 5, 16 << (i / 50 % 8));
    }
    return argc - 2;
}
"#;

/// Call paths of its start, each used once, as programs have: they read settings, make tables, register parts.
const STARTED: usize = 2000;

/// The program with the functions of its start, each of which allocates and calls two others.
fn program() -> String {
    let mut source = format!("#define STARTED {STARTED}\n{ROUNDS}");
    for at in 0..STARTED {
        writeln!(source, "static void part_{at}_of_the_program_starts(void);").unwrap();
    }
    for at in 0..STARTED {
        writeln!(source, "__attribute__((noinline)) static void part_{at}_of_the_program_starts(void) {{").unwrap();
        writeln!(source, "    kept[{at}] = malloc({});", 16 + at * 37 % 1000).unwrap();
        for callee in [at * 2 + 1, at * 2 + 2].into_iter().filter(|callee| *callee < STARTED) {
            writeln!(source, "    part_{callee}_of_the_program_starts();").unwrap();
        }
        source.push_str("    __asm__ volatile(\"\");\n}\n");
    }
    source.push_str("static void start(int at) { part_0_of_the_program_starts(); }\n");
    source
}

/// Allocations of the short and of the long run; nearly as many frees come with them.
const SHORT: u64 = 100_000;
const LONG: u64 = 100 * SHORT;
/// What the sizes of the two recordings may differ by, in percent.
const MOST_PERCENT: u64 = 10;

#[test]
fn a_hundred_times_the_events_are_kept_in_the_same_size() {
    let place = Place::new();
    place.compile("rounds", &program(), &["-g", "-O1", "-fno-optimize-sibling-calls"]);
    let recorded = |allocations: u64| {
        place.run(["run", "-q", "-o", "x.heaptide", "--force", "./rounds", &allocations.to_string()]).succeeds();
        let report = place.json("x.heaptide");
        let totals = &report["totals"];
        assert_eq!(totals["allocations"], allocations + STARTED as u64);
        assert_eq!(totals["live_allocations"], 1000 + STARTED);
        assert_eq!(report["recorder"]["events"], allocations * 2 - 1000 + STARTED as u64);
        (fs::metadata(place.path("x.heaptide")).unwrap().len(), report["call_paths"].as_array().unwrap().len())
    };
    let (short, short_paths) = recorded(SHORT);
    let (long, long_paths) = recorded(LONG);
    println!("{short} bytes of {SHORT} allocations, {long} bytes of {LONG}");
    assert_eq!(short_paths, 50 + STARTED);
    assert_eq!(long_paths, short_paths);
    let difference = short.abs_diff(long);
    assert!(difference * 100 <= short.min(long) * MOST_PERCENT, "{short} bytes and {long} bytes");
}
