//! The same answers as `addr2line` of binutils, for this test's own executable.

use std::fs;
use std::io::Write;
use std::process::{Command, Stdio};

use heaptide_symbolize::Symbolizer;
use object::{Object, ObjectSegment, ObjectSymbol, SymbolKind};

use crate::fixture::{Named, build_id, frames, profile, symbolize};

const ADDRESSES: u64 = 400;

/// What binutils says of each address: innermost frame first.
fn binutils(path: &str, addresses: &[u64]) -> Vec<Vec<(String, String)>> {
    let mut command = Command::new("addr2line");
    command.args(["-i", "-f", "-a", "-e", path]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    let text: String = addresses.iter().map(|address| format!("{address:#x}\n")).collect();
    let writer = std::thread::spawn(move || input.write_all(text.as_bytes()));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    assert!(output.status.success());
    let output = String::from_utf8(output.stdout).unwrap();
    let mut answers: Vec<Vec<(String, String)>> = Vec::new();
    let mut lines = output.lines();
    while let Some(line) = lines.next() {
        if line.starts_with("0x") {
            answers.push(Vec::new());
        } else {
            answers.last_mut().unwrap().push((line.to_owned(), lines.next().unwrap().to_owned()));
        }
    }
    answers
}

fn plain(path: &str) -> String {
    path.replace("/./", "/")
}

fn agree(frame: &Named, (function, place): &(String, String)) -> bool {
    let theirs = rustc_demangle::try_demangle(function).map_or(function.clone(), |name| format!("{name:#}"));
    let (file, line) = place.rsplit_once(':').unwrap();
    let line = line.split_whitespace().next().and_then(|line| line.parse().ok()).filter(|&line: &u32| line > 0);
    // Without a line binutils shows the compilation unit's name, which is no file of the frame.
    let same_file = line.is_none() || frame.file.as_deref().map(plain) == Some(plain(file));
    frame.function == theirs && frame.line == line && same_file
}

#[test]
fn binutils_agrees() {
    let exe = std::env::current_exe().unwrap();
    let path = exe.to_str().unwrap();
    let bytes = fs::read(&exe).unwrap();
    let object = object::File::parse(&*bytes).unwrap();
    let functions: Vec<_> =
        object.symbols().filter(|symbol| symbol.kind() == SymbolKind::Text && symbol.size() > 1).collect();
    let base = object.segments().map(|segment| segment.address()).min().unwrap() & !0xfff;
    let mut random = 0x2545_f491_4f6c_dd1d_u64;
    let mut below = |limit: u64| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (random >> 24) % limit
    };
    let addresses: Vec<u64> = (0..ADDRESSES)
        .map(|_| {
            let function = &functions[usize::try_from(below(functions.len() as u64)).unwrap()];
            function.address() + below(function.size())
        })
        .collect();

    let id = build_id(&exe);
    let locations: Vec<_> = addresses.iter().map(|address| (path, id.clone(), address - base + 1)).collect();
    let mut profile = profile(&locations);
    symbolize(&Symbolizer::new().cache_dir(None), &mut profile);

    let mut inlined = 0;
    let mut differences = Vec::new();
    for (at, (address, theirs)) in addresses.iter().zip(binutils(path, &addresses)).enumerate() {
        let ours = frames(&profile, at);
        inlined += usize::from(ours.len() > 1);
        if ours.len() != theirs.len() || !ours.iter().zip(&theirs).all(|(frame, answer)| agree(frame, answer)) {
            differences.push(format!("{address:#x}\n  ours {ours:#?}\n  theirs {theirs:#?}"));
        }
    }
    assert!(inlined > 20, "only {inlined} addresses in inlined functions");
    assert!(differences.is_empty(), "{} of {ADDRESSES} differ:\n{}", differences.len(), differences.join("\n"));
}
