//! What each program counted itself, beside what DHAT and heaptrack counted of it.
//!
//! `cargo run -p heaptide-programs --example compare [exact|robust]`

use std::process::Command;

use heaptide_programs::{Truth, dhat_totals, heaptrack_totals, list, program};

fn main() {
    let folder = std::env::args().nth(1).unwrap_or_else(|| "exact".to_owned());
    println!("{:<34} {:>36} {:>56} {:>46}", "allocations/bytes, frees, live/bytes", "own", "DHAT", "heaptrack");
    for name in list().iter().filter(|name| name.starts_with(&folder)) {
        let command = Command::new(program(name));
        let (own, dhat) = match dhat_totals(&command) {
            Ok(dhat) => (
                Truth::parse(&dhat.stdout).map_or("-".to_owned(), |own| {
                    format!("{}/{}, {}, {}/{}", own.allocations, own.bytes, own.frees, own.live_blocks, own.live_bytes)
                }),
                format!(
                    "{}/{}, {}, {}/{} peak {}",
                    dhat.allocations,
                    dhat.allocated_bytes,
                    dhat.frees,
                    dhat.live_blocks,
                    dhat.live_bytes,
                    dhat.peak_bytes
                ),
            ),
            Err(error) => ("-".to_owned(), error.to_string()),
        };
        let heaptrack = match heaptrack_totals(&command) {
            Ok(totals) => format!(
                "{}/{}, live {} peak {}",
                totals.allocations, totals.allocated_bytes, totals.live_bytes, totals.peak_bytes
            ),
            Err(error) => error.to_string(),
        };
        println!("{name:<34} {own:>36} {dhat:>56} {heaptrack:>46}");
    }
}
