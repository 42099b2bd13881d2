//! `heaptide demo`: a small service with a defect is recorded under load, and its report is read together.
//!
//! Everything shown comes from the recording that was just made; nothing is prepared.

mod load;
pub mod service;
mod suspect;

use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::process::{Child, Command, Stdio};

use heaptide_profile::Profile;
use heaptide_report::{Colour, Sort, TextOptions, escape};

use crate::args::DemoArgs;
use crate::error::{Attempt, Code, Exit, Failure, Outcome};
use crate::os;
use crate::output;
use crate::recording::{self, Recording};
use crate::talk::{self, Loudness, Stream, Talk};
use crate::units::{bytes, count};
use suspect::Suspect;

/// The argument that makes this program the demo's service.
pub const SERVICE: &str = "__demo-service";

/// Columns of the tour's own text.
const WIDTH: usize = 80;

/// Records the service and walks through its report.
pub fn demo(args: &DemoArgs, talk: &Talk) -> Outcome {
    output::check_writable(&args.output, output::existing(args.force))?;
    let file = escape(&args.output.display().to_string());
    say(
        talk,
        &format!(
            "A key-value service is about to run, with a session log that has a defect.\n\
             This command starts it under the recorder, sends it {} requests over\n\
             {} connections, and stops it:\n\n\
             \x20 heaptide run -o {file} -- heaptide {SERVICE}",
            count((load::REQUESTS * load::CONNECTIONS) as u64),
            count(load::CONNECTIONS as u64)
        ),
    )?;
    let mut service = Recorded::start(args)?;
    load::send(service.address()?).attempt(|| "the demo service did not answer".to_owned())?;
    service.stop()?;

    let Recording { profile, .. } = recording::open(&args.output)?;
    let classify = recording::classifier(&profile);
    let options = TextOptions {
        width: talk::columns(Stream::Stdout).unwrap_or(WIDTH),
        colour: if talk.colors(Stream::Stdout) { Colour::On } else { Colour::Off },
        top: 3,
        sort: Some(Sort::Live),
        ..TextOptions::new(&classify)
    };
    say(
        talk,
        &format!(
            "It has been stopped. What does its recording say?\n\n  \
             heaptide report {file} --sort live --top 3\n"
        ),
    )?;
    output::write_stdout(heaptide_report::text(&profile, &options).as_bytes())?;
    say(talk, &explanation(&profile))?;
    say(
        talk,
        &format!(
            "The recording stays in {file}. To go on:\n\n\
             \x20 heaptide report {file}                 the whole report\n\
             \x20 heaptide report {file} --by function   functions, not call paths\n\
             \x20 heaptide report {file} --all-frames    nothing folded away\n\
             \x20 heaptide report {file} --format json   for scripts\n\
             \x20 heaptide doctor ./your-server          can it be recorded?\n\
             \x20 heaptide run -- ./your-server          record it"
        ),
    )?;
    Ok(Exit::Fine)
}

fn say(talk: &Talk, text: &str) -> Outcome<()> {
    match talk.loudness() {
        Loudness::Quiet => Ok(()),
        _ => output::write_stdout(format!("\n{text}\n").as_bytes()),
    }
}

/// What the numbers mean, with the line that they point at.
fn explanation(profile: &Profile) -> String {
    let totals = &profile.totals;
    let mut text = format!(
        "How to read it: while it ran, the service asked for {} in {}\n\
         blocks and gave {} of that back. {} were still in use when it was\n\
         stopped. The table says who holds them.\n",
        bytes(totals.allocated_bytes),
        count(totals.allocations),
        bytes(totals.freed_bytes),
        bytes(totals.live_bytes)
    );
    let Some(suspect) = Suspect::of(profile) else {
        text.push_str("\nThis heaptide has no debug info, so the line that holds most has no name here.\n");
        return text;
    };
    text.push_str(&format!(
        "\nMost of it, {} in {} blocks ({} %), was allocated by one line:\n\n  {}\n  {}\n",
        bytes(suspect.live_bytes),
        count(suspect.live_allocations),
        suspect.live_bytes * 100 / totals.live_bytes.max(1),
        escape(&suspect.function),
        escape(&suspect.place)
    ));
    let blocks_per_connection = suspect.live_allocations / load::CONNECTIONS as u64;
    if blocks_per_connection > 0 {
        text.push_str(&format!(
            "\n{} connections were served and all of them are closed, but {blocks_per_connection} blocks\n\
             for each are still there. That is the defect: the log keeps an entry for every\n\
             request, and nobody removes a session's entries when the session ends. The\n\
             service also has a cache: it is full, stays at its size, and does not stand out.\n",
            count(load::CONNECTIONS as u64)
        ));
    }
    text
}

/// `heaptide run` at work on the service. Ended with this value, if it has not ended by then.
struct Recorded {
    run: Child,
}

impl Recorded {
    fn start(args: &DemoArgs) -> Outcome<Recorded> {
        let own = std::env::current_exe().attempt(|| "cannot find this program".to_owned())?;
        let mut run = Command::new(&own);
        run.args(["run", "--quiet", "--output"]).arg(&args.output);
        if args.force {
            run.arg("--force");
        }
        let run = run.arg("--").arg(&own).arg(SERVICE).stdin(Stdio::null()).stdout(Stdio::piped());
        let run = run.spawn().attempt(|| "cannot start the recorder".to_owned())?;
        Ok(Recorded { run })
    }

    /// Where the service listens: its first line.
    fn address(&mut self) -> Outcome<SocketAddr> {
        let mut line = String::new();
        if let Some(stdout) = &self.run.stdout {
            let stdout = std::fs::File::from(stdout.as_fd().try_clone_to_owned()?);
            BufReader::new(stdout.take(200)).read_line(&mut line)?;
        }
        line.trim()
            .rsplit(' ')
            .next()
            .and_then(|address| address.parse().ok())
            .ok_or_else(|| Failure::new("the demo service did not start").code(Code::Operational))
    }

    /// As a person would: with the signal that asks it to end. The recorder passes it on.
    fn stop(mut self) -> Outcome<()> {
        os::send_signal(self.run.id().cast_signed(), libc::SIGTERM);
        self.run.wait().attempt(|| "cannot wait for the recorder".to_owned())?;
        Ok(())
    }
}

impl Drop for Recorded {
    fn drop(&mut self) {
        if !matches!(self.run.try_wait(), Ok(Some(_))) {
            os::send_signal(self.run.id().cast_signed(), libc::SIGTERM);
            let _ = self.run.wait();
        }
    }
}
