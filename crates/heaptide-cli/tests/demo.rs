//! The tour names the defect that is there, from the recording that it made.

mod support;

use support::Place;

#[test]
fn the_demo_names_the_line_that_leaks() {
    let place = Place::new();
    let ran = place.run(["demo"]);
    ran.succeeds();
    assert_eq!(ran.stderr, "");
    let (_, explanation) = ran.stdout.split_once("was allocated by one line:").expect("an explanation");
    let lines: Vec<&str> = explanation.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    assert!(lines[0].ends_with("SessionLog::remember"), "{explanation}");
    assert!(lines[1].contains("demo/service.rs:"), "{explanation}");
    assert!(explanation.contains("40 blocks") || explanation.contains("41 blocks"), "{explanation}");
    assert!(!ran.stdout.contains('\x1b'));

    // The report says the same: requests kept, one block each, and not the cache.
    let report = place.json("demo.heaptide");
    assert_eq!(report["program"]["signal"], 15);
    let most = report["call_paths"].as_array().unwrap().iter().max_by_key(|path| path["live_bytes"].as_u64()).unwrap();
    assert!(most["live_allocations"].as_u64().unwrap() >= 80_000, "{most}");
    let frames = most["frames"].as_array().unwrap();
    assert!(
        frames
            .iter()
            .any(|frame| { frame["function"].as_str().is_some_and(|name| name.ends_with("SessionLog::remember")) })
    );

    place.run(["demo"]).fails(1, &["demo.heaptide exists already", "--force"]);
    let quiet = place.run(["--quiet", "demo", "--force"]);
    quiet.succeeds();
    assert!(quiet.stdout.contains("heap report"), "{}", quiet.stdout);
}

#[test]
fn every_command_explains_itself() {
    let place = Place::new();
    for command in ["run", "report", "doctor", "preload-path", "demo", "completions", "man"] {
        let help = place.run([command, "--help"]);
        help.succeeds();
        assert!(help.stdout.contains("Usage: heaptide "), "{}", help.stdout);
    }
    let help = place.run(["--help"]).stdout;
    assert!(help.contains("Examples:") && !help.contains("__demo-service"), "{help}");
}

#[test]
fn shells_and_manuals_learn_the_command_line() {
    let place = Place::new();
    for shell in ["bash", "zsh", "fish"] {
        let script = place.run(["completions", shell]);
        script.succeeds();
        assert!(script.stdout.contains("preload-path") && !script.stdout.contains("demo-service\"\n"), "{shell}");
    }
    let page = place.run(["man"]);
    page.succeeds();
    assert!(page.stdout.contains(".TH heaptide 1"), "{}", page.stdout);
    place.run(["man", "--dir", "pages"]).succeeds();
    let run = std::fs::read_to_string(place.path("pages/heaptide-run.1")).unwrap();
    assert!(run.contains("Ctrl\\-C"), "{run}");
}
