//! Programs as Debian ships them, under the load that they are made for: they do their work, and what is recorded of them adds up.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use heaptide_profile::Profile;
use heaptide_tests::{Place, Recording, Running, bare, free_port, read, record_command, tool, wait_for_port};

/// What is true of every recording in which nothing was lost.
fn adds_up(profile: &Profile, least: u64) {
    let (totals, recorder) = (profile.totals, &profile.recorder);
    let name = &profile.program.exe;
    assert!(totals.allocations >= least, "{name}: {totals:?}");
    assert_eq!((recorder.lost_events, recorder.unmatched_frees), (0, 0), "{name}: {recorder:?}");
    assert_eq!(recorder.limits, Vec::<String>::new(), "{name}");
    assert_eq!(totals.live_allocations, totals.allocations - totals.frees, "{name}");
    assert_eq!(totals.live_bytes, totals.allocated_bytes - totals.freed_bytes, "{name}");
    assert!(totals.peak_live_bytes >= totals.live_bytes && totals.peak_live_bytes <= totals.allocated_bytes, "{name}");
    let mut temporary = 0;
    for site in &profile.sites {
        assert!(site.frees <= site.allocations && site.freed_bytes <= site.allocated_bytes, "{name}: {site:?}");
        let (least, most) = (site.allocations * site.size_min, site.allocations.saturating_mul(site.size_max));
        assert!((least..=most).contains(&site.allocated_bytes), "{name}: {site:?}");
        temporary += site.temporary_allocations.expect("every event is counted");
    }
    assert_eq!(Some(temporary), totals.temporary_allocations, "{name}");
    let of_threads: u64 = profile.threads.iter().map(|thread| thread.allocations).sum();
    assert_eq!(of_threads, totals.allocations, "{name}: threads");
}

/// Debian's programs have unwind information for all of their code but a few lines of the loader's. Code that is made at run time
/// has none.
fn hardly_cut(profile: &Profile) {
    let (cut, all) = (profile.recorder.truncated_stacks, profile.totals.allocations);
    assert!(cut * 100 <= all, "{}: {cut} of {all} call paths cut", profile.program.exe);
}

/// What a command says, recorded, is what it says alone.
fn check_command(place: &Place, command: impl Fn() -> Command, least: u64) -> Profile {
    let alone = succeeded(command());
    let ran = record_command(place, command(), "").run().succeeded();
    assert_eq!(String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&alone.stdout));
    assert_eq!(ran.stderr, String::from_utf8_lossy(&alone.stderr));
    adds_up(&ran.profile(), least);
    ran.profile()
}

fn succeeded(mut command: Command) -> Output {
    let output =
        command.stdin(Stdio::null()).output().unwrap_or_else(|error| panic!("{:?}: {error}", command.get_program()));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{:?} {:?}: {}\n{said}", command.get_program(), command.get_args(), output.status);
    output
}

/// A recorded server, its output unread.
struct Server {
    running: Running,
    port: u16,
    ledger: std::path::PathBuf,
}

impl Server {
    fn start(mut recording: Recording, port: u16) -> Self {
        recording.command.stdout(Stdio::null()).stderr(Stdio::null());
        let ledger = recording.ledger().to_owned();
        let mut running = Running::new(recording.command.spawn().expect("it starts"));
        wait_for_port(port, &mut running);
        Self { running, port, ledger }
    }

    /// Asks it to end by a signal, and reads what it left.
    fn end(mut self, signal: &str) -> Profile {
        let pid = self.running.pid().to_string();
        succeeded({
            let mut kill = Command::new(tool("kill", "procps"));
            kill.arg(format!("-{signal}")).arg(pid);
            kill
        });
        let status = self.running.wait();
        assert!(status.success(), "{status}, signal {:?}", status.signal());
        let profile = read(&self.ledger);
        hardly_cut(&profile);
        profile
    }
}

#[test]
fn redis() {
    let place = Place::new();
    let port = free_port();
    let mut command = bare(tool("redis-server", "redis-server"));
    // Debian's links jemalloc, which a preloaded library stands before.
    command.args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]);
    command.arg("--dir").arg(place.dir());
    let server = Server::start(record_command(&place, command, ""), port);
    let mut load = bare(tool("redis-benchmark", "redis-tools"));
    load.args([
        "-p",
        &server.port.to_string(),
        "-n",
        "5000",
        "-c",
        "20",
        "-q",
        "-t",
        "set,get,lpush,lpop,hset,zadd,mset",
    ]);
    let said = succeeded(load);
    assert!(String::from_utf8_lossy(&said.stdout).contains("MSET"), "{}", String::from_utf8_lossy(&said.stdout));
    let profile = server.end("TERM");
    adds_up(&profile, 50_000);
    assert!(profile.totals.live_bytes > 100_000, "the keys are alive at exit: {:?}", profile.totals);
}

#[test]
fn nginx() {
    const REQUESTS: u64 = 5_000;
    let place = Place::new();
    let port = free_port();
    place.file("page.html", "<p>a page</p>".repeat(500));
    let here = place.dir().display();
    let configuration = format!(
        "daemon off; master_process off; pid {here}/nginx.pid; error_log {here}/error.log; worker_processes 1;
         events {{ worker_connections 256; }}
         http {{
             access_log off; gzip on; gzip_min_length 100; gzip_types *; gzip_http_version 1.0;
             client_body_temp_path {here}/body; proxy_temp_path {here}/proxy; fastcgi_temp_path {here}/fastcgi;
             uwsgi_temp_path {here}/uwsgi; scgi_temp_path {here}/scgi;
             server {{ listen 127.0.0.1:{port}; root {here}; }}
         }}"
    );
    let configuration = place.file("nginx.conf", configuration);
    let mut command = bare(tool("nginx", "nginx-light"));
    command.arg("-c").arg(configuration).arg("-e").arg(place.path("error.log"));
    let server = Server::start(record_command(&place, command, ""), port);
    let mut load = bare(tool("ab", "apache2-utils"));
    load.args(["-q", "-n", &REQUESTS.to_string(), "-c", "20", "-k", "-H", "Accept-Encoding: gzip"]);
    load.arg(format!("http://127.0.0.1:{}/page.html", server.port));
    let said = String::from_utf8_lossy(&succeeded(load).stdout).into_owned();
    let line = |name: &str| said.lines().find_map(|line| line.strip_prefix(name)).map(str::trim).map(str::to_owned);
    assert_eq!(line("Complete requests:"), Some(REQUESTS.to_string()), "{said}");
    assert_eq!(line("Failed requests:"), Some("0".to_owned()), "{said}");
    adds_up(&server.end("QUIT"), REQUESTS);
}

#[test]
fn python3() {
    let place = Place::new();
    let script = place.file(
        "script.py",
        "import json, threading, subprocess, collections, re
def work(n):
    d = collections.defaultdict(list)
    for i in range(2000):
        d[re.sub('a', 'b', f'key a {i % 50}')].append(json.loads('{\"i\": %d, \"n\": [1, 2, %d]}' % (i, n)))
    return len(json.dumps(d))
sums = []
threads = [threading.Thread(target=lambda n=n: sums.append(work(n))) for n in range(4)]
[t.start() for t in threads]; [t.join() for t in threads]
print(sorted(sums), subprocess.run(['echo', 'from a child'], capture_output=True).stdout)
",
    );
    check_command(
        &place,
        || {
            let mut command = bare(tool("python3", "python3"));
            command.args(["-s", "-S"]).arg(&script).env("PYTHONMALLOC", "malloc").env("PYTHONHASHSEED", "0");
            command
        },
        100_000,
    );
}

#[test]
fn node() {
    let place = Place::new();
    let script = place.file(
        "script.js",
        "const zlib = require('zlib'), http = require('http');
         const text = 'a line of text\\n'.repeat(2000);
         const server = http.createServer((ask, answer) => answer.end(zlib.gzipSync(text)));
         server.listen(0, '127.0.0.1', () => {
             let left = 100, bytes = 0;
             const agent = new http.Agent({ keepAlive: false });
             const ask = () => http.get({ port: server.address().port, agent }, (answer) => {
                 answer.on('data', (data) => { bytes += data.length; });
                 answer.on('end', () => {
                     if (--left) ask();
                     else { console.log(zlib.gunzipSync(zlib.gzipSync(text)).length, bytes > 0); server.close(); }
                 });
             });
             ask();
         });",
    );
    check_command(
        &place,
        || {
            let mut command = bare(tool("node", "nodejs"));
            command.arg(&script);
            command
        },
        10_000,
    );
}

/// The driver, the compiler, the assembler and the linker: of the family the first is recorded, or all.
#[test]
fn gcc() {
    let place = Place::new();
    let source = place.file(
        "source.c",
        "#include <stdio.h>\n#include <stdlib.h>\nint main(void) { return puts(getenv(\"PATH\")) < 0; }\n",
    );
    let command = |output: &Path| {
        let mut command = bare(tool("gcc", "gcc"));
        command.args(["-O2", "-g", "-o"]).arg(output).arg(&source).current_dir(place.dir());
        command
    };
    let (alone, recorded) = (place.path("alone"), place.path("recorded"));
    succeeded(command(&alone));
    let folder = place.path("ledgers");
    std::fs::create_dir(&folder).expect("it can be made");
    let mut recording = record_command(&place, command(&recorded), "");
    recording.command.env("HEAPTIDE_OPTIONS", format!("dir:{},observer:1,follow:1", folder.display()));
    let ran = recording.run().succeeded();
    assert_eq!(ran.stderr, "");
    assert_eq!(std::fs::read(alone).expect("it was made"), std::fs::read(recorded).expect("it was made"));
    let profiles: Vec<Profile> = heaptide_tests::ledgers(&folder).iter().map(|ledger| read(ledger)).collect();
    for program in ["gcc", "cc1", "as", "collect2", "ld"] {
        // They are called as x86_64-linux-gnu-gcc-12, x86_64-linux-gnu-ld.bfd.
        let found = profiles.iter().find(|profile| {
            let name = profile.program.exe.rsplit('/').next().unwrap_or_default();
            name.split(['-', '.']).any(|part| part == program)
        });
        let names: Vec<&str> = profiles.iter().map(|profile| profile.program.exe.as_str()).collect();
        adds_up(found.unwrap_or_else(|| panic!("no {program} among {names:?}")), 20);
    }
}

#[test]
fn sqlite3_on_a_file() {
    let place = Place::new();
    let script = "create table if not exists t(a integer primary key, b text); pragma journal_mode = wal; begin;
        with recursive n(i) as (select 1 union all select i + 1 from n where i < 20000)
            insert or replace into t select i, hex(i) || ' text' from n; commit;
        select count(*), sum(length(b)) from t where b like '%3%'; vacuum;";
    check_command(
        &place,
        || {
            let mut command = bare(tool("sqlite3", "sqlite3"));
            command.arg(place.path("data")).arg(script);
            command
        },
        10_000,
    );
}

#[test]
fn git_on_a_repository() {
    let place = Place::new();
    let git = |arguments: &[&str]| {
        let mut command = bare(tool("git", "git"));
        command.arg("-C").arg(place.dir()).args(["-c", "user.name=somebody", "-c", "user.email=somebody@example.org"]);
        command.args(arguments).env("HOME", place.dir());
        command
    };
    succeeded(git(&["init", "--quiet", "."]));
    for commit in 0..20 {
        for file in 0..10 {
            place.file(&format!("file-{file}"), format!("{commit} {file}\n").repeat(50 + commit * file));
        }
        succeeded(git(&["add", "."]));
        succeeded(git(&["commit", "--quiet", "-m", &format!("change {commit}")]));
    }
    check_command(&place, || git(&["log", "--stat", "-p"]), 2_000);
    check_command(&place, || git(&["grep", "-n", "9 [0-5]"]), 200);
    // It starts threads of its own.
    check_command(&place, || git(&["pack-objects", "--all", "--stdout", "--threads=4", "-q", "--window=20"]), 500);
}

#[test]
fn jq_from_a_pipe() {
    let place = Place::new();
    let mut command = bare(tool("jq", "jq"));
    command.args(["-c", "select(.id % 1000 == 7) | {id, words: (.text | split(\" \") | length)}"]);
    let rows: String = (0..5000).map(|id| format!("{{\"id\":{id},\"text\":\"some words and {id}\"}}\n")).collect();
    let ran = record_command(&place, command, "").stdin(rows).run().succeeded();
    let said = String::from_utf8_lossy(&ran.stdout).into_owned();
    assert_eq!(
        said,
        "{\"id\":7,\"words\":4}\n{\"id\":1007,\"words\":4}\n{\"id\":2007,\"words\":4}\n{\"id\":3007,\"words\":4}\n{\"id\":4007,\"words\":4}\n"
    );
    let profile = ran.profile();
    adds_up(&profile, 20_000);
}

/// A server that answers while it is looked at: a ledger may be read at any moment.
#[test]
fn a_running_server_can_be_read() {
    let place = Place::new();
    let port = free_port();
    let mut command = bare(tool("redis-server", "redis-server"));
    command.args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", ""]).arg("--dir").arg(place.dir());
    let server = Server::start(record_command(&place, command, ""), port);
    let stream = TcpStream::connect(("127.0.0.1", port)).expect("it listens");
    let mut answers = BufReader::new(stream.try_clone().expect("a descriptor is left"));
    let mut asks = stream;
    for round in 1..=20 {
        for key in 0..200 {
            write!(asks, "SET key-{round}-{key} {}\r\n", "x".repeat(100)).expect("it reads");
        }
        for _ in 0..200 {
            let mut answer = String::new();
            answers.read_line(&mut answer).expect("it answers");
            assert_eq!(answer, "+OK\r\n");
        }
        let live = read(&server.ledger).totals.live_bytes;
        assert!(live >= round * 200 * 100, "round {round}: {live} bytes");
    }
    write!(asks, "QUIT\r\n").expect("it reads");
    let mut rest = String::new();
    answers.read_to_string(&mut rest).expect("it closes");
    adds_up(&server.end("TERM"), 4_000);
}
