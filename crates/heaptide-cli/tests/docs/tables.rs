//! Tables of options, keys and limits list what there is, and nothing else.

use std::collections::BTreeSet;
use std::fs;

use heaptide_ledger::{LOCATIONS_LIMIT, MODULES_LIMIT, NODES_LIMIT, PAST_THREADS_LIMIT, SITES_LIMIT, series};
use serde_json::Value;

use crate::pages::{COMMANDS, place_of_examples, read, regex, shell};
use crate::support::Place;

/// Long options in the first cells of a page's tables.
fn options_of_page(page: &str) -> BTreeSet<String> {
    let option = regex(r"^\| `-[^|]*?--([a-z-]+)|^\| `--([a-z-]+)");
    let names = page.lines().filter_map(|line| option.captures(line));
    names.filter_map(|found| Some(found.get(1).or(found.get(2))?.as_str().to_owned())).collect()
}

/// Long options, and values that arguments may have.
fn options_of_help(help: &str) -> (BTreeSet<String>, BTreeSet<String>) {
    let option = regex(r"(?m)^ +(?:-\w, +)?--([a-z-]+)");
    let options = option.captures_iter(help).map(|found| found[1].to_owned()).collect();
    let listed = regex(r"\[possible values: ([^\]]+)\]");
    let bullet = regex(r"(?m)^ +- ([a-z]+)");
    let values = listed
        .captures_iter(help)
        .flat_map(|found| found[1].split(',').map(|value| value.trim().to_owned()).collect::<Vec<_>>());
    let values = values.chain(bullet.captures_iter(help).map(|found| found[1].to_owned())).collect();
    (options, values)
}

#[test]
fn option_tables_list_exactly_the_options_that_exist() {
    let place = Place::new();
    let common_page = read("docs/commands/README.md");
    let common = options_of_page(&common_page);
    for command in COMMANDS {
        let help = place.run([command, "--help"]);
        help.succeeds();
        let (options, values) = options_of_help(&help.stdout);
        assert!(options.is_superset(&common), "{command}: {options:?} lacks some of {common:?}");
        let page = read(&format!("docs/commands/{command}.md"));
        let documented: BTreeSet<String> = options_of_page(&page).union(&common).cloned().collect();
        assert_eq!(documented, options, "docs/commands/{command}.md, against --help");
        for value in values {
            let value = format!("`{value}`");
            assert!(page.contains(&value) || common_page.contains(&value), "{command} takes {value}");
        }
    }
    let help = place.run(["--help"]).stdout;
    for command in COMMANDS {
        assert!(help.contains(&format!("\n  {command} ")) && common_page.contains(&format!("`heaptide {command}`")));
    }
}

/// Rows of the option tables of docs/containers.md: the key, and the placeholder or value behind its colon.
fn documented_keys() -> Vec<(String, String)> {
    let row = regex(r"(?m)^\| `([a-z]+)(\[?):([A-Z]+|[01])\]?` \|");
    let page = read("docs/containers.md");
    row.captures_iter(&page).map(|found| (found[1].to_owned(), format!("{}{}", &found[2], &found[3]))).collect()
}

#[test]
fn every_key_of_the_environment_is_documented_and_taken() {
    let source = read("crates/heaptide-recorder/src/options.rs");
    let known: BTreeSet<String> =
        regex(r#"(?m)^ +b"([a-z]+)" =>"#).captures_iter(&source).map(|found| found[1].to_owned()).collect();
    let keys = documented_keys();
    assert_eq!(keys.iter().map(|(key, _)| key.clone()).collect::<BTreeSet<_>>(), known);

    let place = place_of_examples();
    shell(&place, "heaptide preload-path -o libheaptide.so");
    let mut options = Vec::new();
    for (key, value) in &keys {
        let text = match value.trim_start_matches('[') {
            "PATTERN" => "%e.ledger",
            "BYTES" => "16m",
            "MS" => "10",
            "PATH" => ".",
            "PID" => "1",
            number => number,
        };
        // The others say where the ledger goes.
        if key != "dir" {
            options.push(format!("{key}:{text}"));
        }
        if value.starts_with('[') {
            options.push(key.clone());
        }
    }
    let run =
        |options: &str| shell(&place, &format!("LD_PRELOAD=./libheaptide.so HEAPTIDE_OPTIONS={options} ./server"));
    let taken = run(&options.join(","));
    assert_eq!((taken.code(), taken.stdout.as_str()), (Some(0), ""));
    assert!(place.path("server.ledger").exists(), "{options:?}");
    assert!(run("out:x,nonsense:1").stdout.contains("'nonsense:1'"));
    let inside = run("dir:.");
    assert_eq!(inside.stdout, "");
    let ledgers = fs::read_dir(place.dir())
        .unwrap()
        .filter(|entry| regex(r"^\d+-0\.ledger$").is_match(entry.as_ref().unwrap().file_name().to_str().unwrap()));
    assert_eq!(ledgers.count(), 1);
}

/// Keys as docs/json.md writes them: `call_paths[].frames[].line`.
fn keys(value: &Value, at: &str, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(members) => {
            for (key, member) in members {
                let here = if at.is_empty() { key.clone() } else { format!("{at}.{key}") };
                keys(member, &here, found);
                found.insert(here);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| keys(item, &format!("{at}[]"), found)),
        _ => {}
    }
}

const DEEP: &str = r#"
#include <signal.h>
#include <stdlib.h>
static void *kept;
__attribute__((noinline)) int deep(int frames) {
    if (frames == 0) { kept = malloc(24); return 1; }
    return deep(frames - 1) + 1;
}
int main(void) { return deep(300) > 0 ? raise(SIGTERM) : 0; }
"#;

#[test]
fn every_key_of_the_json_report_is_documented_and_comes() {
    let place = place_of_examples();
    place.compile("deep", DEEP, &["-O0", "-s"]);
    shell(&place, "heaptide run -q -o exact.heaptide -- ./server");
    shell(&place, "heaptide run -q --sample=4k -o sampled.heaptide -- ./server");
    shell(&place, "heaptide run -q -o deep.heaptide -- ./deep");
    let mut come = BTreeSet::new();
    for recording in ["exact.heaptide", "sampled.heaptide", "deep.heaptide"] {
        keys(&place.json(recording), "", &mut come);
    }
    let rows = regex(r"`([a-z0-9_.\[\]]+)`");
    let page = read("docs/json.md");
    let cells = page.lines().filter(|line| line.starts_with("| `")).filter_map(|line| line.split(" | ").next());
    let documented: BTreeSet<String> =
        cells.flat_map(|cell| rows.captures_iter(cell).map(|found| found[1].to_owned()).collect::<Vec<_>>()).collect();
    assert_eq!(documented, come, "docs/json.md, against the reports");
}

#[test]
fn limits_are_those_of_the_code() {
    let limits = read("docs/limits.md");
    let rows = [
        (NODES_LIMIT, "nodes of the call tree"),
        (SITES_LIMIT, "pairs of call path and size class"),
        (LOCATIONS_LIMIT, "places in the code"),
        (MODULES_LIMIT, "loaded modules"),
        (PAST_THREADS_LIMIT - 2, "threads that ended"),
        (series::TIMELINE_ROWS as u64, "points of the timeline"),
        (series::TRACKS as u64, "call paths with a timeline"),
    ];
    for (limit, what) in rows {
        let row = format!("| {} {what}", with_commas(limit));
        assert!(limits.contains(&row), "docs/limits.md does not say: {row}");
    }
    let recording = read("docs/recording.md");
    assert!(recording.contains(&format!("timeline of their own of {} points", series::TRACK_ROWS)));
}

fn with_commas(number: u64) -> String {
    let digits = number.to_string();
    let groups: Vec<&str> = digits.as_bytes().rchunks(3).rev().map(|group| str::from_utf8(group).unwrap()).collect();
    groups.join(",")
}
