//! The text reports, as they look.

mod fixture;

use fixture::{Builder, huge, options, sampled, service};
use heaptide_profile::{End, Profile};
use heaptide_report::{By, Colour, Frames, Sort, TextOptions, short, text};
use insta::assert_snapshot;
use regex::Regex;

#[test]
fn service_at_80_columns() {
    assert_snapshot!(text(&service(), &options()));
}

#[test]
fn service_at_120_columns() {
    assert_snapshot!(text(&service(), &TextOptions { width: 120, top: 4, ..options() }));
}

#[test]
fn service_at_60_columns() {
    assert_snapshot!(text(&service(), &TextOptions { width: 60, top: 4, ..options() }));
}

#[test]
fn service_in_colour() {
    let report = text(&service(), &TextOptions { colour: Colour::On, top: 2, sort: Some(Sort::Live), ..options() });
    assert_snapshot!(report.replace('\u{1b}', "^"));
}

#[test]
fn all_frames() {
    assert_snapshot!(tables(
        &service(),
        &TextOptions { frames: Frames::All, top: 3, sort: Some(Sort::Live), ..options() }
    ));
}

#[test]
fn other_rows() {
    let rows = [By::Function, By::Line, By::Module, By::Crate, By::Thread];
    let reports = rows.map(|by| tables(&service(), &TextOptions { by, top: 6, sort: Some(Sort::Live), ..options() }));
    assert_snapshot!(reports.join("\n"));
}

#[test]
fn other_numbers() {
    let sorts = [Sort::Allocations, Sort::Reallocations];
    let reports = sorts.map(|sort| tables(&service(), &TextOptions { top: 2, sort: Some(sort), ..options() }));
    assert_snapshot!(reports.join("\n"));
}

#[test]
fn samples_have_errors() {
    assert_snapshot!(tables(&sampled(), &TextOptions { top: 9, sort: Some(Sort::Live), ..options() }));
    let temporary = tables(&sampled(), &TextOptions { sort: Some(Sort::Temporary), ..options() });
    assert!(temporary.contains("Temporary  not known"), "{temporary}");
}

#[test]
fn filter_says_how_much_it_matches() {
    let filter = Regex::new("session::|libz").unwrap();
    assert_snapshot!(tables(&service(), &TextOptions { filter: Some(&filter), top: 2, ..options() }));
}

#[test]
fn filter_without_match() {
    let filter = Regex::new("no such name").unwrap();
    let report = tables(&service(), &TextOptions { filter: Some(&filter), sort: Some(Sort::Live), ..options() });
    assert!(report.contains("matches 0 B of 290.1 MiB (0.0%) live"), "{report}");
    assert!(report.contains("Nothing that the filter matches."), "{report}");
}

#[test]
fn wide_numbers_leave_room_for_names() {
    let mut profile = sampled();
    for site in &mut profile.sites {
        site.temporary_allocations = Some(u64::MAX);
    }
    for sort in [Sort::Live, Sort::Temporary] {
        let report = text(&profile, &TextOptions { width: 40, sort: Some(sort), ..options() });
        assert!(report.contains("…::insert\n"), "{report}");
    }
}

#[test]
fn losses_are_told() {
    let mut profile = service();
    profile.recorder.lost_events = 1_024;
    profile.recorder.unmatched_frees = 1;
    profile.recorder.limits = vec!["the ledger could not grow: no space left on /dev/shm (64.0 MiB used)".to_owned()];
    let report = text(&profile, &options());
    assert_snapshot!(report.split("Totals").next().unwrap());
}

#[test]
fn a_program_that_allocated_nothing() {
    let mut profile = Profile::default();
    profile.program.exe = "/usr/bin/jemalloc-user".to_owned();
    profile.program.end = End::Exited { status: Some(0) };
    assert_snapshot!(text(&profile, &options()));
}

#[test]
fn short_report() {
    let mut ended = service();
    ended.program.end = End::Exited { status: Some(3) };
    let reports =
        [short(&service(), &options(), "kvd.4711.heaptide"), short(&ended, &options(), "it's here/kvd.4711.heaptide")];
    for report in &reports {
        assert!(report.lines().count() <= 20, "{report}");
    }
    assert_snapshot!(reports.join("--\n"));
}

#[test]
fn recursion_counts_once() {
    let mut b = Builder::default();
    let bin = "/usr/bin/walk";
    let main = b.location(bin, &[("walk::main", "/w/main.rs:1")]);
    let (even, odd) =
        (b.location(bin, &[("walk::even", "/w/main.rs:5")]), b.location(bin, &[("walk::odd", "/w/main.rs:9")]));
    let inlined = b.location(bin, &[("walk::even", "/w/main.rs:6"), ("walk::even", "/w/main.rs:5")]);
    for path in [vec![main, even], vec![main, even, odd], vec![main, even, odd, even], vec![main, even, odd, inlined]] {
        let node = b.path(&path);
        b.site(node, 1024, [1, 1, 1, 0]);
    }
    let report = tables(&b.finish(0.1), &TextOptions { by: By::Function, sort: Some(Sort::Live), ..options() });
    let row = |function: &str| {
        let line = report.lines().find(|line| line.contains(function)).unwrap();
        line.split_whitespace().take_while(|word| !word.starts_with("walk")).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(row("walk::even"), "3.0 KiB 75.0% 4.0 KiB");
    assert_eq!(row("walk::odd"), "1.0 KiB 25.0% 3.0 KiB");
    assert_eq!(row("walk::main"), "0 B 0.0% 4.0 KiB");
}

#[test]
fn a_large_and_deep_call_tree() {
    let profile = huge(100_000);
    for by in [By::CallPath, By::Function, By::Line, By::Module, By::Crate] {
        for frames in [Frames::Folded, Frames::All] {
            let report =
                tables(&profile, &TextOptions { by, frames, top: 3, sort: Some(Sort::Allocated), ..options() });
            assert!(report.contains("Allocated  13.6 MiB in 300,000 blocks"), "{report}");
        }
    }
}

/// The part of a report below the charts.
fn tables(profile: &Profile, options: &TextOptions<'_>) -> String {
    let report = text(profile, options);
    let (_, below) = report.split_once("Resident over time").unwrap();
    below.split_once("\n\n").unwrap().1.to_owned()
}
