//! A directory of its own for every test, small programs compiled on the spot, and processes that end with the test.

#![allow(dead_code, reason = "every test file uses another part")]

use std::ffi::OsStr;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Output, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// A directory that goes with the test.
pub struct Place {
    dir: PathBuf,
}

impl Place {
    pub fn new() -> Place {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let name = format!("place-{}-{}", std::process::id(), NEXT.fetch_add(1, Relaxed));
        let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        fs::create_dir_all(&dir).unwrap();
        Place { dir }
    }

    pub fn dir(&self) -> &Path {
        &self.dir
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// A file with these bytes that may be executed.
    pub fn executable(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        path
    }

    /// Compiles C.
    pub fn compile(&self, name: &str, source: &str, flags: &[&str]) -> PathBuf {
        let source_path = self.path(&format!("{name}.c"));
        fs::write(&source_path, source).unwrap();
        let path = self.path(name);
        let compiler = std::env::var_os("CC").unwrap_or_else(|| "cc".into());
        let output = Command::new(compiler).arg("-o").arg(&path).arg(&source_path).args(flags).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        path
    }

    /// `heaptide` with these arguments, in this directory and without anything in the environment that changes it.
    pub fn heaptide<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_heaptide"));
        command
            .args(args)
            .current_dir(&self.dir)
            .stdin(Stdio::null())
            .env("XDG_CACHE_HOME", self.path("cache"))
            .env("XDG_DATA_HOME", self.path("data"))
            .env_remove("HEAPTIDE_OPTIONS")
            .env_remove("LD_PRELOAD")
            .env_remove("NO_COLOR");
        command
    }

    /// Runs it to its end.
    pub fn run<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Ran {
        Ran::of(self.heaptide(args).output().unwrap())
    }

    /// The recordings in this directory.
    pub fn recordings(&self) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(&self.dir)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| name.ends_with(".heaptide"))
            .collect();
        names.sort();
        names
    }

    /// The JSON report of a recording or ledger.
    pub fn json(&self, file: &str) -> serde_json::Value {
        let ran = self.run(["report", "--quiet", "--format", "json", file]);
        assert_eq!(ran.code(), Some(0), "{}", ran.stderr);
        serde_json::from_str(&ran.stdout).unwrap()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.dir);
    }
}

/// What a command said and how it ended.
pub struct Ran {
    pub status: ExitStatus,
    pub stdout: String,
    pub stderr: String,
}

impl Ran {
    pub fn of(output: Output) -> Ran {
        Ran {
            status: output.status,
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    pub fn code(&self) -> Option<i32> {
        self.status.code()
    }

    /// Ended with this code, an error, and these words in it.
    #[track_caller]
    pub fn fails(&self, code: i32, words: &[&str]) {
        assert_eq!(self.code(), Some(code), "{}", self.stderr);
        let (first, _) = self.stderr.split_once('\n').expect("an error");
        assert!(first.starts_with("error: "), "{first}");
        assert!(!self.stderr.contains("panicked"), "{}", self.stderr);
        for word in words {
            assert!(self.stderr.contains(word), "no {word:?} in: {}", self.stderr);
        }
    }

    /// Ended well.
    #[track_caller]
    pub fn succeeds(&self) {
        assert_eq!(self.code(), Some(0), "{}", self.stderr);
    }
}

/// A process that talks, and ends with the test. Its end of the conversation is text lines.
pub struct Talking {
    pub child: Child,
    pub input: Option<ChildStdin>,
    pub output: BufReader<ChildStdout>,
}

impl Talking {
    pub fn start(command: &mut Command) -> Talking {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let input = child.stdin.take();
        let output = BufReader::new(child.stdout.take().unwrap());
        Talking { child, input, output }
    }

    pub fn pid(&self) -> i32 {
        self.child.id().cast_signed()
    }

    /// The next line that it says.
    pub fn hear(&mut self) -> String {
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    pub fn say(&mut self, line: &str) {
        self.say_raw(&format!("{line}\n"));
    }

    /// In one piece, as keys go to a terminal.
    pub fn say_raw(&mut self, keys: &str) {
        let input = self.input.as_mut().unwrap();
        input.write_all(keys.as_bytes()).unwrap();
        input.flush().unwrap();
    }

    /// Everything else that it says, to its end.
    pub fn hear_out(&mut self) -> String {
        self.input = None;
        let mut rest = String::new();
        self.output.read_to_string(&mut rest).unwrap();
        rest
    }

    pub fn wait(&mut self) -> ExitStatus {
        self.input = None;
        self.child.wait().unwrap()
    }
}

impl Drop for Talking {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Some process, ended with the test by its id.
pub struct EndedByPid(pub i32);

impl Drop for EndedByPid {
    fn drop(&mut self) {
        send(self.0, "KILL");
    }
}

/// Sends a signal by its name.
pub fn send(pid: i32, signal: &str) {
    let _ = Command::new("kill").args(["-s", signal, &pid.to_string()]).stderr(Stdio::null()).status();
}

/// Answers `ready` and its process id, then holds `count` blocks of `size` bytes for every line `count size`, says
/// `held` and waits for the next; ends at the end of its input.
pub const HOLDER: &str = r#"
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
__attribute__((noinline)) void *hold(size_t size) { return malloc(size); }
int main(void) {
    static char line[256];
    static void *held[100000];
    size_t next = 0, count, size;
    setvbuf(stdin, malloc(256), _IOFBF, 256);
    setvbuf(stdout, line, _IOLBF, sizeof line);
    printf("ready %d\n", (int)getpid());
    while (scanf("%zu %zu", &count, &size) == 2) {
        while (count-- > 0) held[next++] = hold(size);
        printf("held\n");
    }
    return 0;
}
"#;
