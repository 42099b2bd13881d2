//! Profiles that make no sense: no report panics, wraps or obeys them.

mod fixture;

use fixture::options;
use heaptide_profile::{
    End, Frame, Location, LocationId, LocationSymbols, Mode, Module, ModuleId, Node, NodeId, Profile, Program,
    Recorder, Site, StringId, Thread, Timeline, Totals,
};
use heaptide_report::{By, Colour, Frames, Sort, TextOptions, json, short, text};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use unicode_width::UnicodeWidthStr;

/// Rows of each table at most; ids reach a little further.
const ROWS: usize = 12;

fn name() -> impl Strategy<Value = String> {
    prop_oneof![
        3 => "[ -~]{0,60}",
        2 => any::<String>(),
        2 => "[a-z<>(){}:& ]{0,40}",
        1 => "(\\PC|[\u{0}-\u{1f}\u{80}-\u{9f}\u{200b}-\u{202e}\u{2066}-\u{2069}]){0,30}",
        1 => "[a-z]{1,9}(::[a-zA-Z_<>]{1,12}){1,9}",
        1 => Just("計算".repeat(200)),
        1 => Just("e\u{301}\u{302}\u{303}👩‍👩‍👧‍👦🏳️‍🌈لا".repeat(20)),
    ]
}

fn id() -> impl Strategy<Value = u32> {
    prop_oneof![9 => 0..(ROWS as u32 + 2), 1 => any::<u32>()]
}

fn number() -> impl Strategy<Value = u64> {
    prop_oneof![4 => 0..5_000_u64, 2 => any::<u64>(), 2 => Just(u64::MAX), 1 => Just(0)]
}

fn program() -> impl Strategy<Value = Program> {
    let end = prop_oneof![
        any::<Option<i32>>().prop_map(|status| End::Exited { status }),
        any::<i32>().prop_map(|signal| End::Signalled { signal }),
        Just(End::Running),
        Just(End::Lost),
    ];
    let duration_s = prop_oneof![0.0..1e6, any::<f64>()];
    (name(), vec(name(), 0..5), any::<u32>(), number(), duration_s, end).prop_map(
        |(exe, args, pid, started_unix_ms, duration_s, end)| Program {
            exe,
            args,
            pid,
            started_unix_ms,
            duration_s,
            end,
        },
    )
}

fn recorder() -> impl Strategy<Value = Recorder> {
    let mode = prop_oneof![Just(Mode::Exact), number().prop_map(|interval_bytes| Mode::Sampled { interval_bytes })];
    (mode, vec(number(), 5), name(), vec(name(), 0..3)).prop_map(|(mode, n, version, limits)| Recorder {
        mode,
        events: n[0],
        lost_events: n[1],
        unmatched_frees: n[2],
        truncated_stacks: n[3],
        own_bytes: n[4],
        version,
        limits,
    })
}

fn totals() -> impl Strategy<Value = Totals> {
    (vec(number(), 9), vec(option::of(number()), 3)).prop_map(|(n, o)| Totals {
        allocations: n[0],
        allocated_bytes: n[1],
        frees: n[2],
        freed_bytes: n[3],
        reallocations: n[4],
        live_allocations: n[5],
        live_bytes: n[6],
        peak_live_bytes: n[7],
        peak_at_ms: n[8],
        temporary_allocations: o[0],
        peak_rss_bytes: o[1],
        mapped_bytes: o[2],
    })
}

fn site() -> impl Strategy<Value = Site> {
    let lifetimes = vec((number(), number()), 0..4);
    (option::of(id()), vec(number(), 12), option::of(number()), option::of(number()), lifetimes).prop_map(
        |(node, n, temporary_allocations, samples, lifetimes)| Site {
            node: node.map(NodeId),
            size_min: n[0],
            size_max: n[1],
            allocations: n[2],
            allocated_bytes: n[3],
            frees: n[4],
            freed_bytes: n[5],
            live_bytes_at_peak: n[6],
            temporary_allocations,
            reallocations: n[7],
            reallocated_away: n[8],
            copied_bytes: n[9],
            first_reallocations: n[10],
            grown_frees: n[11],
            lifetimes,
            samples,
        },
    )
}

fn symbols() -> impl Strategy<Value = LocationSymbols> {
    let frame = (id(), option::of(id()), option::of(any::<u32>()), any::<bool>()).prop_map(
        |(function, file, line, inlined)| Frame {
            function: StringId(function),
            file: file.map(StringId),
            line,
            inlined,
        },
    );
    vec(frame, 0..4).prop_map(|frames| LocationSymbols { frames })
}

fn timeline() -> impl Strategy<Value = Timeline> {
    let unknown = || vec(option::of(number()), 0..ROWS);
    (vec(vec(number(), 0..ROWS), 6), unknown(), unknown(), option::of(number())).prop_map(
        |(n, rss_bytes, pss_bytes, limit)| Timeline {
            t_ms: n[0].clone(),
            live_bytes: n[1].clone(),
            live_allocations: n[2].clone(),
            allocations: n[3].clone(),
            allocated_bytes: n[4].clone(),
            mapped_bytes: n[5].clone(),
            rss_bytes,
            pss_bytes,
            cgroup_limit_bytes: limit,
            ..Timeline::default()
        },
    )
}

fn threads() -> impl Strategy<Value = Vec<Thread>> {
    let thread = (option::of(any::<u32>()), id(), option::of(number()), vec(number(), 5)).prop_map(
        |(tid, name, ended_ms, n)| Thread {
            tid,
            name: StringId(name),
            started_ms: n[0],
            ended_ms,
            allocations: n[1],
            allocated_bytes: n[2],
            frees: n[3],
            freed_bytes: n[4],
        },
    );
    vec(thread, 0..ROWS)
}

fn profile() -> impl Strategy<Value = Profile> {
    let module = (id(), any::<u64>()).prop_map(|(path, base)| Module { path: StringId(path), build_id: None, base });
    let location =
        (option::of(id()), number()).prop_map(|(module, offset)| Location { module: module.map(ModuleId), offset });
    let node = (option::of(id()), id(), any::<bool>()).prop_map(|(parent, location, truncated)| Node {
        parent: parent.map(NodeId),
        location: LocationId(location),
        truncated,
    });
    let tables = (
        vec(name(), 0..ROWS),
        vec(module, 0..ROWS),
        vec(location, 0..ROWS),
        vec(symbols(), 0..ROWS),
        vec(node, 0..ROWS),
        vec(site(), 0..ROWS),
    );
    (program(), recorder(), totals(), tables, threads(), timeline()).prop_map(
        |(program, recorder, totals, tables, threads, timeline)| {
            let (strings, modules, locations, symbols, nodes, sites) = tables;
            Profile {
                program,
                recorder,
                totals,
                strings,
                modules,
                locations,
                symbols,
                nodes,
                sites,
                threads,
                timeline,
                ..Profile::default()
            }
        },
    )
}

fn asked() -> impl Strategy<Value = TextOptions<'static>> {
    let sort = prop::sample::select(vec![
        None,
        Some(Sort::Live),
        Some(Sort::Peak),
        Some(Sort::Allocated),
        Some(Sort::Allocations),
        Some(Sort::Temporary),
        Some(Sort::Reallocations),
    ]);
    let by = prop::sample::select(vec![By::CallPath, By::Function, By::Line, By::Module, By::Crate, By::Thread]);
    let colour = prop::sample::select(vec![Colour::Off, Colour::On]);
    let frames = prop::sample::select(vec![Frames::Folded, Frames::All]);
    (0..200_usize, colour, 0..20_usize, sort, by, frames).prop_map(|(width, colour, top, sort, by, frames)| {
        TextOptions { width, colour, top, sort, by, frames, ..options() }
    })
}

/// `line` without the colours that the report may use.
fn without_colours(line: &str) -> String {
    ["1", "2", "36", "1;36", "0"].iter().fold(line.to_owned(), |line, sgr| line.replace(&format!("\u{1b}[{sgr}m"), ""))
}

fn check_harmless(report: &str, options: &TextOptions<'_>) -> Result<(), TestCaseError> {
    for line in report.lines() {
        let shown = if options.colour == Colour::On { without_colours(line) } else { line.to_owned() };
        let acts = |c: char| {
            c.is_control() || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
        };
        prop_assert!(!shown.contains(acts), "{shown:?}");
        prop_assert!(shown.width() <= options.width.clamp(40, 120), "{shown:?} at {}", options.width);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn text_is_harmless(profile in profile(), asked in asked(), pattern in option::of("[a-z]")) {
        let filter = pattern.map(|pattern| regex::Regex::new(&pattern).unwrap());
        let asked = TextOptions { filter: filter.as_ref(), ..asked };
        check_harmless(&text(&profile, &asked), &asked)?;
        let report = short(&profile, &asked, "a.heaptide");
        check_harmless(&report, &asked)?;
    }

    #[test]
    fn json_parses(profile in profile()) {
        let mut bytes = Vec::new();
        json(&profile, &mut bytes).unwrap();
        let report: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
        prop_assert_eq!(&report["schema_version"], 1);
        let mut ids: Vec<String> = report["call_paths"].as_array().unwrap().iter().map(|path| path["id"].to_string()).collect();
        let count = ids.len();
        ids.sort();
        ids.dedup();
        prop_assert_eq!(ids.len(), count);
    }
}
