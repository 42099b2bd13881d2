//! Parses one generated document to `serde_json::Value` and drops it, again and again.
//!
//! `json-parse [--megabytes M] [--rounds R]`. The defaults make about seven million allocations and a heap of tens of
//! megabytes at its peak.
#![forbid(unsafe_code)]

use std::fmt::Write;
use std::hint::black_box;

use heaptide_benches::arguments::Arguments;
use heaptide_benches::random::Random;
use serde_json::Value;

fn main() -> serde_json::Result<()> {
    let arguments = Arguments::parse(&["megabytes", "rounds"]);
    let document = document(arguments.get_or("megabytes", 6) << 20);
    let rounds: usize = arguments.get_or("rounds", 12);
    let mut values = 0;
    for _ in 0..rounds {
        let parsed: Value = serde_json::from_str(&document)?;
        values += count(black_box(&parsed));
    }
    println!("bytes={} rounds={rounds} values={values}", document.len());
    Ok(())
}

/// A list of orders, about `bytes` long: nested objects and lists, strings with and without escapes, numbers.
fn document(bytes: usize) -> String {
    let mut random = Random::new(42);
    let mut text = String::from("[");
    let mut id = 0;
    while text.len() < bytes {
        if id > 0 {
            text.push(',');
        }
        order(&mut text, &mut random, id);
        id += 1;
    }
    text.push(']');
    text
}

fn order(text: &mut String, random: &mut Random, id: usize) {
    push(
        text,
        format_args!("{{\"id\":{id},\"paid\":{},\"note\":null,\"customer\":{{\"name\":\"", id.is_multiple_of(3)),
    );
    word(text, random, 6, 24);
    push(text, format_args!("\",\"city\":\"S\\u00e3o "));
    word(text, random, 4, 12);
    push(
        text,
        format_args!("\",\"position\":[{}.5,-{}.25]}},\"lines\":[", random.between(0, 90), random.between(0, 180)),
    );
    for line in 0..random.between(1, 8) {
        if line > 0 {
            text.push(',');
        }
        text.push_str("{\"article\":\"");
        word(text, random, 8, 40);
        push(
            text,
            format_args!("\",\"count\":{},\"cents\":{}}}", random.between(1, 100), random.between(1, 1_000_000)),
        );
    }
    text.push_str("],\"tags\":[");
    for tag in 0..random.between(0, 5) {
        text.push_str(if tag > 0 { ",\"" } else { "\"" });
        word(text, random, 3, 10);
        text.push('"');
    }
    text.push_str("]}");
}

fn word(text: &mut String, random: &mut Random, shortest: usize, longest: usize) {
    for _ in 0..random.between(shortest, longest + 1) {
        text.push(char::from(b'a' + (random.bits() % 26) as u8));
    }
}

fn push(text: &mut String, words: std::fmt::Arguments<'_>) {
    // Writing to a `String` cannot fail.
    let _ = text.write_fmt(words);
}

/// Values in the tree: reads it once, as a service would.
fn count(value: &Value) -> usize {
    1 + match value {
        Value::Array(items) => items.iter().map(count).sum(),
        Value::Object(fields) => fields.values().map(count).sum(),
        _ => 0,
    }
}
