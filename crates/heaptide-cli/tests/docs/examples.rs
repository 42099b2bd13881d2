//! Examples run, and say what stands below them.

use std::collections::BTreeSet;

use crate::pages::{COMMANDS, pages, place_of_examples, read, regex, shell};

/// A command of a page and the lines that stand below it.
struct Example {
    command: String,
    expected: Vec<String>,
}

/// The ```console blocks of a page.
fn examples(page: &str) -> Vec<Example> {
    let mut examples: Vec<Example> = Vec::new();
    let mut is_console = false;
    for line in page.lines() {
        match (line.strip_prefix("```"), line.strip_prefix("$ ")) {
            (Some(kind), _) => is_console = kind == "console",
            (_, Some(command)) if is_console => {
                examples.push(Example { command: command.to_owned(), expected: Vec::new() });
            }
            _ if is_console => examples.last_mut().unwrap().expected.push(line.to_owned()),
            _ => {}
        }
    }
    examples
}

/// A line without what differs from run to run: numbers, sizes, directories, the width of columns. Exit codes do not.
fn shape(line: &str) -> String {
    if line.starts_with("status ") {
        return line.to_owned();
    }
    let line = regex(r"[<>±]?\d[\d,]*(\.\d+)?%?").replace_all(line, "#");
    let line = regex(r"# ?(B|KiB|MiB|GiB)\b").replace_all(&line, "# bytes");
    let line = regex(r"# ?(ms|s|min)\b").replace_all(&line, "# seconds");
    let line = regex(r"[^\s(]*/").replace_all(&line, "");
    line.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn is_compared(line: &&String) -> bool {
    let shape = shape(line);
    let is_chart = line.contains(['┤', '│', '▲', '▁', '█']);
    !shape.is_empty() && shape != "…" && !is_chart
}

/// The first line shown that does not come, after those above it. `…` stands for any number of others.
fn missing<'e>(expected: &'e [String], output: &str) -> Option<&'e String> {
    let mut lines = output.lines().map(shape);
    expected.iter().filter(is_compared).find(|expected| {
        let wanted = shape(expected);
        !lines.any(|line| line == wanted)
    })
}

fn check_page(page: &str) -> usize {
    let examples = examples(&read(page));
    let place = place_of_examples();
    for example in &examples {
        let ran = shell(&place, &example.command);
        assert_eq!(ran.code(), Some(0), "{page}: `{}`:\n{}", example.command, ran.stdout);
        let missing = missing(&example.expected, &ran.stdout);
        assert_eq!(missing, None, "{page}: `{}` does not say this, or not there:\n{}", example.command, ran.stdout);
    }
    examples.len()
}

#[test]
fn examples_run_and_say_what_stands_there() {
    let mut with_examples = BTreeSet::new();
    for page in pages() {
        if page != "docs/commands/demo.md" && read(&page).contains("```console\n") {
            assert!(check_page(&page) > 0, "{page}");
            with_examples.insert(page);
        }
    }
    for command in COMMANDS.iter().filter(|command| **command != "demo") {
        assert!(with_examples.contains(&format!("docs/commands/{command}.md")), "{command} has no example");
    }
    assert!(with_examples.contains("README.md"));
}

#[test]
fn the_tour_goes_as_its_page_says() {
    assert_eq!(check_page("docs/commands/demo.md"), 1);
}

#[test]
fn an_example_that_says_something_else_is_noticed() {
    let check = |expected: &str, is_said: bool| {
        let expected: Vec<String> = expected.lines().map(str::to_owned).collect();
        let output = "a  12.5 MiB in 3 blocks\n\nb  at /tmp/x/server.c:17\n";
        assert_eq!(missing(&expected, output).is_none(), is_said, "{expected:?}");
    };
    check("a 1 B in 1,000 blocks\n…\nb at server.c:9", true);
    check("b at server.c:17", true);
    check("a 1 B in 3 block", false);
    assert_eq!(missing(&["status 1".to_owned()], "status 2"), Some(&"status 1".to_owned()));
    check("b at client.c:17", false);
    check("b at server.c:17\na 1 B in 3 blocks", false);
}
