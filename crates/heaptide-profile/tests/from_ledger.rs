//! What a ledger's words mean in the profile.

use std::sync::atomic::AtomicU64;

use heaptide_ledger::read::Reader;
use heaptide_ledger::series::{Moment, TrackPoint, UNKNOWN};
use heaptide_ledger::synthetic::Writer;
use heaptide_ledger::{
    FIRST_LOCATION, FOREIGN_CODE_LOCATION, Loss, ROOT, SHARED_TID, TRUNCATED_LOCATION, counter_word, header_word,
    reallocation_word, thread_word,
};
use heaptide_profile::{End, Location, Mode, ModuleId, NodeId, Problem, Profile, Site, ThreadId, from_ledger};

fn words() -> Vec<AtomicU64> {
    (0..1 << 18).map(|_| AtomicU64::new(0)).collect()
}

/// The profile of the ledger that `write` fills.
fn profile_of(write: impl FnOnce(Writer<'_>)) -> (Profile, Vec<Problem>) {
    let words = words();
    write(Writer::new(&words));
    from_ledger(&Reader::new(&words).unwrap(), End::Lost)
}

/// The same for a ledger that must be sound.
fn sound(write: impl FnOnce(Writer<'_>)) -> Profile {
    let (profile, problems) = profile_of(write);
    assert_eq!(problems, []);
    profile
}

fn live(site: &Site) -> u64 {
    site.allocated_bytes - site.freed_bytes
}

#[test]
fn header_tells_of_the_program_and_of_what_was_lost() {
    let profile = sound(|w| {
        w.set(header_word!(pid), 4711);
        w.set(header_word!(started_unix_ns), 1_700_000_000_123_456_789);
        w.set(header_word!(clock_ms), 90_500);
        w.set(header_word!(exe), w.text(b"/usr/bin/caf\xc3\xa9-server"));
        w.set(header_word!(args), w.text(b"server\0--port\0\x0080\xff\0"));
        w.set(header_word!(recorder_version), w.text(b"0.1.0"));
        w.set(header_word!(lost) + Loss::Nodes as usize, 7);
        w.set(header_word!(lost) + Loss::NoSpace as usize, 3);
        w.set(header_word!(unmatched_frees), 2);
        w.set(header_word!(private_bytes), 1000);
        w.set(header_word!(mapped_bytes), 50);
        w.set(header_word!(unmapped_bytes), 20);
    });
    assert_eq!(profile.program.exe, "/usr/bin/café-server");
    assert_eq!(profile.program.args, ["server", "--port", "", "80\u{fffd}"]);
    assert_eq!(profile.program.pid, 4711);
    assert_eq!(profile.program.started_unix_ms, 1_700_000_000_123);
    assert_eq!(profile.program.duration_s, 90.5);
    assert_eq!(profile.recorder.version, "0.1.0");
    assert_eq!(profile.recorder.lost_events, 10);
    assert_eq!(profile.recorder.unmatched_frees, 2);
    assert_eq!(profile.recorder.own_bytes, (8 << 18) + 1000);
    assert_eq!(
        profile.recorder.limits,
        [
            "no space was left for the ledger on its file system (events not recorded: 3)",
            "the table of call paths was full (events not recorded: 7)",
        ]
    );
    assert_eq!(profile.totals.mapped_bytes, Some(30));
}

#[test]
fn counters_of_all_threads_are_summed() {
    let profile = sound(|w| {
        let module = w.module(0x5000, b"/usr/bin/server", &[0xab, 0xcd]);
        let main = w.node(ROOT, w.location(module, 0x10));
        let handler = w.node(main, w.location(module, 0x20));
        let small = w.site(handler, 40);
        let large = w.site(handler, 5000);
        let first = w.thread(11, "main");
        let second = w.thread(12, "a-name-of-16-byt");
        w.allocate(first, small, 40, 10);
        w.free(first, small, 40, 2, 0);
        w.free(second, small, 40, 3, 5);
        w.free(first, small, 40, 1, 5);
        w.allocate(second, large, 5000, 1);
        w.add(w.counters(first, small) + counter_word!(temporary_or_samples), 2);
        w.add(w.reallocations(second, large) + reallocation_word!(made), 1);
        w.add(w.reallocations(first, small) + reallocation_word!(away), 1);
        w.add(w.reallocations(second, large) + reallocation_word!(copied_bytes), 40);
    });
    assert_eq!(profile.strings[profile.modules[0].path.index()], "/usr/bin/server");
    assert_eq!(profile.modules[0].build_id.as_deref(), Some(&[0xab, 0xcd][..]));
    assert_eq!(profile.modules[0].base, 0x5000);
    let handler = &profile.nodes[profile.sites[0].node.unwrap().index()];
    let location = profile.locations[handler.location.index()];
    assert_eq!(location, Location { module: Some(ModuleId(0)), offset: 0x20 });
    assert_eq!(profile.nodes[handler.parent.unwrap().index()].parent, None);

    let [small, large] = &profile.sites[..] else {
        panic!("{:?}", profile.sites);
    };
    assert_eq!((small.size_min, small.size_max), (40, 43));
    assert_eq!((small.allocations, small.frees, live(small)), (10, 6, 160));
    // One left by `realloc`, one lived less than a millisecond, four lived for 5 ms.
    assert_eq!(small.lifetimes, [(0, 1), (5, 4)]);
    assert_eq!(small.temporary_allocations, Some(2));
    assert_eq!((large.reallocations, large.copied_bytes), (1, 40));

    let totals = profile.totals;
    assert_eq!((totals.allocations, totals.frees), (11, 6));
    assert_eq!((totals.live_allocations, totals.live_bytes), (5, 5160));
    assert_eq!(totals.temporary_allocations, Some(2));
    assert_eq!(profile.recorder.events, 11 + 6 - 1);

    let names: Vec<_> = profile.threads.iter().map(|thread| profile.strings[thread.name.index()].as_str()).collect();
    assert_eq!(names, ["main", "a-name-of-16-byt"]);
    assert_eq!(profile.threads[1].frees, 3);
    let shares: Vec<_> = profile.thread_sites.iter().map(|row| (row.thread, row.allocations, row.frees)).collect();
    assert_eq!(shares, [(ThreadId(0), 10, 3), (ThreadId(1), 1, 3)]);
}

#[test]
fn rows_interned_twice_become_one() {
    let profile = sound(|w| {
        let module = w.module(0x5000, b"a", b"");
        let twice = [w.location(module, 0x10), w.location(module, 0x10)];
        let main = w.node(ROOT, twice[0]);
        let main_again = w.node(ROOT, twice[1]);
        let callee = w.node(main, w.location(module, 0x20));
        let callee_again = w.node(main_again, w.location(module, 0x20));
        let thread = w.thread(1, "main");
        w.allocate(thread, w.site(callee, 8), 8, 1);
        w.allocate(thread, w.site(callee_again, 8), 8, 2);
        w.live_block(0x10000, 1, 8, 0);
        w.live_block(0x10020, 2, 8, 0);
    });
    assert_eq!(profile.modules[0].build_id, None);
    assert_eq!(profile.nodes.len(), 2);
    assert_eq!(profile.sites.len(), 1);
    assert_eq!(profile.sites[0].allocations, 3);
    assert_eq!(profile.thread_sites.len(), 1);
    assert_eq!(profile.survivors.len(), 1);
    assert_eq!(profile.survivors[0].ages, [(0, 2, 16)]);
}

#[test]
fn cut_paths_and_foreign_code_are_marked() {
    let profile = sound(|w| {
        let cut = w.node(ROOT, TRUNCATED_LOCATION);
        let module = w.module(0x5000, b"a", b"");
        let inner = w.node(cut, w.location(module, 0x10));
        let whole = w.node(ROOT, FIRST_LOCATION);
        let foreign = w.node(whole, FOREIGN_CODE_LOCATION);
        let thread = w.thread(1, "main");
        for (node, blocks) in [(inner, 1), (foreign, 2), (cut, 3)] {
            w.allocate(thread, w.site(node, 8), 8, blocks);
        }
    });
    let node = |blocks| {
        let site = profile.sites.iter().find(|site| site.allocations == blocks);
        site.unwrap().node.map(|node| profile.nodes[node.index()])
    };
    let inner = node(1).unwrap();
    assert_eq!((inner.parent, inner.truncated), (None, true));
    let foreign = node(2).unwrap();
    assert_eq!(profile.locations[foreign.location.index()].module, None);
    let whole = profile.nodes[foreign.parent.unwrap().index()];
    assert_eq!((whole.parent, whole.truncated), (None, false));
    assert_eq!(whole.location, inner.location);
    assert_eq!(node(3), None);
    assert_eq!(profile.nodes.len(), 3);
}

#[test]
fn rows_that_were_never_filled_in_are_no_damage() {
    let profile = sound(|w| {
        let module = w.module(0x5000, b"a", b"");
        w.row(header_word!(nodes), &[0; 4]);
        let node = w.node(ROOT, w.location(module, 1));
        w.row(header_word!(sites), &[0]);
        w.row(header_word!(locations), &[0]);
        w.row(header_word!(modules), &[0; 8]);
        w.row(header_word!(threads), &[0]);
        w.past_thread([0; 16]);
        w.allocate(w.thread(1, "main"), w.site(node, 8), 8, 1);
    });
    assert_eq!(profile.totals.allocations, 1);
    assert_eq!((profile.nodes.len(), profile.modules.len()), (1, 1));
    assert_eq!(profile.threads.len(), 1);
}

#[test]
fn what_is_not_there_is_named() {
    let (profile, problems) = profile_of(|w| {
        let late = w.node(5, FIRST_LOCATION);
        let placeless = w.node(ROOT, 77);
        let thread = w.thread(1, "main");
        w.allocate(thread, w.site(late, 8), 8, 1);
        w.allocate(thread, w.site(placeless, 8), 8, 1);
        w.allocate(thread, 99, 8, 1);
        w.location(9, 1);
        w.set(header_word!(used_bytes), 1 << 40);
    });
    assert_eq!(profile.totals.allocations, 3);
    let named: Vec<_> = problems.iter().map(|problem| problem.part).collect();
    let expected = ["ledger", "code locations", "call tree", "call tree", "sites"];
    assert_eq!(named, expected, "{problems:?}");
    assert!(profile.nodes[0].truncated);
    assert_eq!(profile.sites[2].node, None);
}

#[test]
fn peak_is_what_threads_held_then() {
    let held = |now_live: u64| {
        sound(|w| {
            let module = w.module(0x5000, b"a", b"");
            let node = w.node(ROOT, w.location(module, 1));
            let (kept, moved) = (w.site(node, 8), w.site(node, 100));
            let (first, second) = (w.thread(1, "a"), w.thread(2, "b"));
            w.set(header_word!(peak_epoch), 3);
            w.set(header_word!(peak_bytes), 2000);
            w.set(header_word!(peak_ms), 77);
            w.set(header_word!(clock_ms), 99);
            // Not changed since the peak.
            w.allocate(first, kept, 8, 5);
            w.set(w.counters(first, kept) + counter_word!(peak_epoch), 2);
            // Changed since: 20 blocks were made by the first thread, and the second had freed 2 of them.
            w.allocate(first, moved, 100, 20 + now_live / 100);
            w.set(w.counters(first, moved) + counter_word!(peak_epoch), 3);
            w.set(w.counters(first, moved) + counter_word!(live_bytes_at_peak), 2000);
            w.free(second, moved, 100, 20, 0);
            w.set(w.counters(second, moved) + counter_word!(peak_epoch), 3);
            let freed = (-200_i64) as u64;
            w.set(w.counters(second, moved) + counter_word!(live_bytes_at_peak), freed);
        })
    };
    let profile = held(0);
    let at_peak =
        |profile: &Profile| -> Vec<u64> { profile.sites.iter().map(|site| site.live_bytes_at_peak).collect() };
    assert_eq!(at_peak(&profile), [40, 1800]);
    assert_eq!((profile.totals.peak_live_bytes, profile.totals.peak_at_ms), (2000, 77));

    let profile = held(10_000);
    assert_eq!(at_peak(&profile), [40, 10_000]);
    assert_eq!((profile.totals.peak_live_bytes, profile.totals.peak_at_ms), (10_040, 99));
}

#[test]
fn sampled_counts_are_scaled_and_temporary_is_unknown() {
    let profile = sound(|w| {
        w.set(header_word!(sample_interval), 1000);
        w.set(header_word!(clock_ms), 10);
        let node = w.node(ROOT, w.location(w.module(0x5000, b"a", b""), 1));
        let site = w.site(node, 100);
        let thread = w.thread(1, "a");
        let at = w.counters(thread, site);
        w.set(at + counter_word!(allocations), 256 * 10 + 128);
        w.set(at + counter_word!(allocated_bytes), 1050);
        w.set(at + counter_word!(frees), 256 * 4);
        w.set(at + counter_word!(temporary_or_samples), 3);
        w.live_block(0x10000, site, 100, 0);
    });
    assert_eq!(profile.recorder.mode, Mode::Sampled { interval_bytes: 1000 });
    let site = &profile.sites[0];
    assert_eq!((site.allocations, site.frees, site.samples), (11, 4, Some(3)));
    assert_eq!(site.temporary_allocations, None);
    assert_eq!(profile.totals.temporary_allocations, None);
    // 1 / (1 - exp(-0.1)) = 10.508 blocks.
    assert_eq!(profile.survivors[0].ages, [(11, 11, 1051)]);
    assert_eq!(profile.recorder.events, 3);
}

#[test]
fn threads_come_with_those_that_ended() {
    let past = |tid: u64, name: &[u8; 8], allocations, block| {
        let mut row = [0; 16];
        row[0] = tid;
        row[1] = u64::from_le_bytes(*name);
        row[3..6].copy_from_slice(&[5, 9, allocations]);
        row[11] = block;
        row
    };
    let profile = sound(|w| {
        let node = w.node(ROOT, w.location(w.module(0x5000, b"a", b""), 1));
        let site = w.site(node, 8);
        // Block 1 is used by its first thread still, 2 by its second, 3 was used by one, 4 by two.
        let blocks = [w.thread(1, "main"), w.thread(7, "new"), w.thread(0, ""), w.thread(0, "")];
        w.thread(SHARED_TID, "");
        w.past_thread(past(SHARED_TID, b"\0\0\0\0\0\0\0\0", 1000, 0));
        for (tid, allocations, block) in [(2, 3, 2), (3, 4, 3), (4, 5, 4), (5, 6, 4)] {
            w.past_thread(past(tid, b"worker\0\0", allocations, block));
        }
        for (block, blocks) in blocks.into_iter().zip([10, 20, 4, 11]) {
            w.allocate(block, site, 8, blocks);
        }
        w.set(blocks[1].0 + thread_word!(at_start.allocations), 3);
    });
    let rows: Vec<_> = profile
        .threads
        .iter()
        .map(|thread| {
            let name = profile.strings[thread.name.index()].as_str();
            (thread.tid, name, thread.ended_ms, thread.allocations)
        })
        .collect();
    let expected = [
        (None, "ended threads", Some(9), 1000),
        (Some(2), "worker", Some(9), 3),
        (Some(3), "worker", Some(9), 4),
        (Some(4), "worker", Some(9), 5),
        (Some(5), "worker", Some(9), 6),
        (Some(1), "main", None, 10),
        (Some(7), "new", None, 17),
        (None, "other threads", None, 0),
        (None, "several threads", None, 0),
    ];
    assert_eq!(rows, expected);
    let shares: Vec<_> = profile.thread_sites.iter().map(|row| (row.thread.index(), row.allocations)).collect();
    assert_eq!(shares, [(2, 4), (5, 10), (8, 31)]);
}

#[test]
fn only_the_largest_thread_sites_are_kept() {
    let profile = sound(|w| {
        let location = w.location(w.module(0x5000, b"a", b""), 1);
        let (first, second) = (w.thread(1, "a"), w.thread(2, "b"));
        let mut parent = ROOT;
        for index in 0..2600 {
            parent = w.node(parent, location);
            let site = w.site(parent, 1);
            w.allocate(first, site, 1, 10_000 - index);
            w.allocate(second, site, 1, 1 + index);
        }
    });
    assert_eq!(profile.thread_sites.len(), 4096);
    let least = profile.thread_sites.iter().map(|row| row.allocated_bytes).min();
    assert_eq!(least, Some(2600 - (4096 - 2600) + 1));
}

#[test]
fn survivors_are_counted_by_age() {
    let profile = sound(|w| {
        w.set(header_word!(clock_ms), 100_000);
        let node = w.node(ROOT, w.location(w.module(0x5000, b"a", b""), 1));
        let (site, other) = (w.site(node, 32), w.site(node, 1 << 20));
        let unknown_site = 55;
        w.live_block(0x7f00_0000_0000, site, 32, 100_000);
        w.live_block(0x7f00_0000_0030, site, 32, 99_999);
        w.live_block(0x7f00_0000_0060, site, 32, 99_000);
        // Large ones: within a leaf, and from the last cell of one to the first of the next.
        w.live_block(0x7f00_0000_0100, other, 1 << 20, 99_999);
        w.live_block(0x7f00_0003_ffe0, other, 70_000, 99_999);
        w.live_block(0x7f00_0004_0040, unknown_site, 1, 0);
    });
    let [unknown, known] = &profile.survivors[..] else {
        panic!("{:?}", profile.survivors);
    };
    assert_eq!((unknown.node, &unknown.ages[..]), (None, &[(131_071, 1, 1)][..]));
    assert_eq!(known.node, Some(NodeId(0)));
    let large = (1 << 20) + 70_000;
    assert_eq!(known.ages, [(0, 1, 32), (1, 3, 32 + large), (1023, 1, 32)]);
}

#[test]
fn series_come_with_what_is_known() {
    let profile = sound(|w| {
        let node = w.node(ROOT, w.location(w.module(0x5000, b"a", b""), 1));
        w.set(header_word!(cgroup_limit_bytes), 1 << 30);
        w.set(header_word!(peak_bytes), 10);
        let series = w.series();
        for t_ms in [0, 10, 20] {
            series.push(Moment {
                t_ms,
                live_bytes: 1000 - t_ms,
                live_allocations: 2,
                allocations: 3,
                allocated_bytes: 4,
                mapped_bytes: if t_ms == 10 { UNKNOWN } else { t_ms },
                rss_bytes: 5000 + t_ms,
                pss_bytes: UNKNOWN,
                threads: 2,
                open_files: UNKNOWN,
            });
            series.follow(t_ms as usize, node);
            let point = TrackPoint { t_ms, live_bytes: 7, live_allocations: 1, allocations: 1 };
            series.push_track(t_ms as usize, point);
            series.push_track(20, TrackPoint { t_ms: t_ms + 1, ..point });
        }
    });
    let timeline = &profile.timeline;
    assert_eq!(timeline.t_ms, [0, 10, 20]);
    assert_eq!(timeline.mapped_bytes, [0, 0, 20]);
    assert_eq!(timeline.pss_bytes, [None, None, None]);
    assert_eq!(timeline.cgroup_limit_bytes, Some(1 << 30));
    assert_eq!(profile.totals.peak_rss_bytes, Some(5020));
    assert_eq!((profile.totals.peak_live_bytes, profile.totals.peak_at_ms), (1000, 0));
    // Three tracks of one call path: the longest stands.
    assert_eq!(profile.tracks.len(), 1);
    assert_eq!(profile.tracks[0].t_ms, [20, 21]);
}
