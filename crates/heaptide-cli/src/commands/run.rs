//! `heaptide run`: a program under the recorder, from its start to the report.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use heaptide_profile::End;
use heaptide_profile::file::Existing;

use crate::args::RunArgs;
use crate::binary::Launch;
use crate::error::{Attempt, Code, Exit, Failure, Outcome};
use crate::observer::process::{self, Child, Ended, Start};
use crate::observer::session::Session;
use crate::observer::watch::{Scope, Watch};
use crate::observer::watched::Watched;
use crate::output;
use crate::recording;
use crate::talk::Talk;

mod after;
mod before;
mod options;
mod written;

use written::Written;

/// Runs the program, writes its recording, reports, and ends as the program did.
pub fn run(args: &RunArgs, talk: &Talk) -> Outcome {
    let Some((command, arguments)) = args.command.split_first() else {
        return Err(Failure::new("no program is named").code(Code::Usage));
    };
    let before_start = |failure: Failure| failure.code(Code::BeforeStart);
    let launch = before::find(command)?;
    before::examine(&launch, talk)?;
    let existing = output::existing(args.force);
    let output_dir = match &args.output {
        Some(path) => {
            output::check_writable(path, existing).map_err(before_start)?;
            output::directory_of(path).to_path_buf()
        }
        None => {
            // Only the directory can be checked: the name has the process id in it.
            output::check_writable(Path::new("heaptide-recording"), Existing::Replace).map_err(before_start)?;
            PathBuf::from(".")
        }
    };
    let mut session = Session::create(&output_dir)
        .attempt(|| "cannot make a directory for the recording in progress".to_owned())
        .map_err(before_start)?;
    talk.detail(&format!("recording in {}", session.dir().display()));

    let start = start(args, &launch, command, arguments, &session)
        .attempt(|| format!("cannot run {}", command.display()))
        .map_err(before_start)?;
    let signals = process::queue_signals().attempt(|| "cannot queue signals".to_owned()).map_err(before_start)?;
    let child = Child::start(&start, &signals).map_err(|error| before::cannot_execute(command, error))?;
    // From here on everything belongs to the program: its status is ours.
    let scope = if args.follow { Scope::Descendants } else { Scope::Program };
    let mut watch = Watch::new(&session, child.pid(), scope, args.interval);
    let mut followed = Vec::new();
    let ended = watch.until_end(&child, &signals, talk, &mut |watched| {
        followed.push(written::write_followed(&watched, &output_dir, talk));
        watched.ledger.discard();
    });
    let (roots, survivors): (Vec<Watched>, Vec<Watched>) =
        watch.into_watched().into_iter().partition(|watched| watched.pid == child.pid());
    for survivor in &survivors {
        followed.push(written::write_followed(survivor, &output_dir, talk));
    }

    let written = match roots.first() {
        Some(root) => conclude(root, args, &output_dir, existing, ended, talk).inspect_err(|_| session.keep()),
        None => Err(nothing_recorded(&launch)),
    };
    if !survivors.is_empty() {
        // They go on counting there.
        session.keep();
    }
    let kept = session.dir().to_path_buf();
    drop(session);
    // Ctrl-C now ends the looking up of names; what was recorded is safe.
    signals.release();
    after::finish(written, followed, talk).map_or_else(
        |failure| {
            failure.tell(talk);
            if kept.exists() {
                talk.hint(&format!("what was recorded is still in {}", kept.display()));
            }
            Ok(match ended {
                Ended::Exited(0) => Exit::No,
                ended => ended.into(),
            })
        },
        |()| {
            if !survivors.is_empty() {
                talk.note(&format!(
                    "{} of the processes that it started still run; their recordings end here, their ledgers go on in {}",
                    survivors.len(),
                    kept.display()
                ));
            }
            Ok(ended.into())
        },
    )
}

fn start(
    args: &RunArgs,
    launch: &Launch,
    command: &OsStr,
    arguments: &[OsString],
    session: &Session,
) -> std::io::Result<Start> {
    let (path, mut argv) = launch.exec(command);
    argv.extend_from_slice(arguments);
    let before = |name| std::env::var_os(name);
    let library = session.library().ld_preload(before("LD_PRELOAD").as_deref());
    let options = options::of(args, session.dir(), before(options::VARIABLE).as_deref());
    let mut env: Vec<(OsString, OsString)> =
        std::env::vars_os().filter(|(name, _)| name != "LD_PRELOAD" && name != options::VARIABLE).collect();
    env.push(("LD_PRELOAD".into(), library));
    Start::new(&path, argv, env, (options::VARIABLE, &options))
}

/// Makes the recording of the program itself and writes it, as yet without names.
fn conclude(
    root: &Watched,
    args: &RunArgs,
    output_dir: &Path,
    existing: Existing,
    ended: Ended,
    talk: &Talk,
) -> Outcome<Written> {
    if let Some(other) = &root.unrecorded_image {
        talk.warning(&format!(
            "the program executed {}, which did not load the recorder: what follows ends there",
            other.display()
        ));
        talk.advice(&format!("`heaptide doctor {}` says why", other.display()));
    }
    let end = match ended {
        Ended::Exited(status) => End::Exited { status: Some(status) },
        Ended::Signalled(signal) => End::Signalled { signal },
    };
    let reader = root.ledger.reader().ok_or_else(|| Failure::new("the program destroyed its ledger"))?;
    let recording = recording::of_ended(&reader, end, root.peak_rss_bytes);
    match &args.output {
        Some(path) => Written::at(path.clone(), recording, existing),
        None => Written::under_its_name(output_dir, recording),
    }
}

fn nothing_recorded(launch: &Launch) -> Failure {
    Failure::new("nothing was recorded: the program did not load the recorder, or the recorder refused and said why")
        .hint(format!("`heaptide doctor {}` says what is known of it", launch.path.display()))
}
