//! What is said of a program before it starts, when it matters.

use std::ffi::OsStr;

use crate::binary::{Effect, Image, ImageError, Launch, LaunchError, remarks};
use crate::error::{Code, Failure, Outcome};
use crate::talk::Talk;

/// Finds what the command starts.
pub fn find(command: &OsStr) -> Outcome<Launch> {
    let what = || format!("cannot run {}", command.display());
    Launch::find(command).map_err(|error| {
        let (code, hint) = match error {
            LaunchError::NotFound { in_path: true } => (Code::NotFound, "name its path, for example ./server"),
            LaunchError::NotFound { .. } => (Code::NotFound, "check the path"),
            LaunchError::CannotExecute(_) => {
                (Code::CannotExecute, "name a program or a script with a #! line that may be executed (`chmod +x`)")
            }
        };
        Failure::from(error).while_trying(what()).code(code).hint(hint)
    })
}

/// What `execve` said.
pub fn cannot_execute(command: &OsStr, error: std::io::Error) -> Failure {
    let code = match error.kind() {
        std::io::ErrorKind::NotFound => Code::NotFound,
        _ => Code::CannotExecute,
    };
    Failure::from(error).while_trying(format!("cannot run {}", command.display())).code(code)
}

/// Refuses what cannot be recorded, and warns of what will be missing.
pub fn examine(launch: &Launch, talk: &Talk) -> Outcome<()> {
    let path = launch.image.display();
    let refuse = |why: Failure| why.while_trying(format!("cannot record {path}")).code(Code::BeforeStart);
    let image = match Image::read(&launch.image) {
        Ok(image) => image,
        Err(ImageError::Unreadable(error)) => {
            talk.warning(&format!("cannot look into {path} before it starts: {error}"));
            return Ok(());
        }
        Err(error @ ImageError::WrongArchitecture { .. }) => {
            return Err(Failure::from(error)
                .while_trying(format!("cannot run {path}"))
                .code(Code::CannotExecute)
                .hint(format!("build it for {}", std::env::consts::ARCH)));
        }
        Err(error @ ImageError::Malformed(_)) => {
            return Err(Failure::from(error)
                .while_trying(format!("cannot run {path}"))
                .code(Code::CannotExecute)
                .hint("name the linked program, or build it anew"));
        }
        Err(error @ ImageError::Not64Bit) => {
            return Err(refuse(error.into()).hint("build it for 64 bit: the recorder is"));
        }
    };
    let remarks = remarks(&image);
    if let Some(remark) = remarks.iter().find(|remark| remark.effect == Effect::Impossible) {
        let failure = refuse(Failure::new(&remark.what));
        return Err(match &remark.advice {
            Some(advice) => failure.hint(advice),
            None => failure,
        });
    }
    for doubt in remarks.iter().filter(|remark| remark.effect == Effect::MostlyEmpty) {
        talk.warning(&format!("{path}: {}", doubt.what));
        talk.advice(doubt.advice.as_deref().unwrap_or_default());
    }
    Ok(())
}
