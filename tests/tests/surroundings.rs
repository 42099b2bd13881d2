//! What the system refuses is lost to the recording, and never the program's loss.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use heaptide_ledger::header_word;
use heaptide_programs::{Truth, program};
use heaptide_tests::{Place, Ran, header, ledgers, own_calls, preload, record, record_command, tool};

/// The program did what it does alone.
fn unharmed(name: &str, ran: &Ran) -> Truth {
    let alone = Command::new(program(name)).output().expect("a compiled program starts");
    assert_eq!(ran.status, alone.status, "{name}: {}", ran.stderr);
    assert_eq!(String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&alone.stdout), "{name}");
    Truth::parse(&ran.stdout).expect("it says what it did")
}

/// The ledger holds a part of what the program did, and says that it is a part, and why.
fn check_part(ran: &Ran, truth: &Truth, why: &str) {
    let profile = ran.profile();
    let totals = profile.totals;
    assert!(totals.allocations > 0 && totals.allocations < truth.allocations, "{totals:?}");
    assert!(totals.frees <= totals.allocations && totals.freed_bytes <= totals.allocated_bytes, "{totals:?}");
    assert!(profile.recorder.lost_events > 0);
    assert!(profile.recorder.limits.iter().any(|limit| limit.starts_with(why)), "{:?}", profile.recorder.limits);
}

#[test]
fn a_limit_of_the_ledger() {
    let place = Place::new();
    let ran = record(&place, "exact/c-threads", "limit:2m").run();
    let truth = unharmed("exact/c-threads", &ran);
    check_part(&ran, &truth, "the ledger reached its size limit");
    assert!(header(&ran.ledger, header_word!(file_bytes)) <= 2 << 20);
    assert!(fs::metadata(&ran.ledger).expect("it is there").len() <= 2 << 20);
}

/// A small file system, taken away when dropped.
struct SmallDisk(PathBuf);

impl SmallDisk {
    /// `None`, and why, where this user may not mount one.
    fn new(at: PathBuf) -> Result<Self, String> {
        fs::create_dir(&at).expect("its place can be made");
        let mounted =
            Command::new(tool("mount", "mount")).args(["-t", "tmpfs", "-o", "size=4m", "tmpfs"]).arg(&at).output();
        let mounted = mounted.expect("mount starts");
        if mounted.status.success() { Ok(Self(at)) } else { Err(String::from_utf8_lossy(&mounted.stderr).into_owned()) }
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // A mount that stays is seen by whoever removes the directory.
        let _ = Command::new("umount").arg(&self.0).status();
    }
}

#[test]
fn a_full_disk() {
    let place = Place::new();
    let disk = match SmallDisk::new(place.path("disk")) {
        Ok(disk) => disk,
        Err(why) => {
            println!("not tested, as no small disk can be mounted: {why}");
            return;
        }
    };
    let options = |file: &str| format!("out:{},observer:1", disk.0.join(file).display());
    let mut ran = record(&place, "exact/c-threads", "").env("HEAPTIDE_OPTIONS", options("1.ledger")).run();
    ran.ledger = disk.0.join("1.ledger");
    let truth = unharmed("exact/c-threads", &ran);
    check_part(&ran, &truth, "no space was left");

    // Now there is nothing left at all.
    let _ = fs::write(disk.0.join("filler"), vec![0; 8 << 20]);
    let ran = record(&place, "exact/c-threads", "").env("HEAPTIDE_OPTIONS", options("2.ledger")).run();
    unharmed("exact/c-threads", &ran);
    assert!(ran.stderr.contains("not recording this program: no space left for the ledger"), "{}", ran.stderr);
    assert!(!disk.0.join("2.ledger").exists(), "a ledger without anything in it stays");
}

/// A program under a limit that is set before it starts.
fn limited(place: &Place, name: &str, limit: &str) -> Ran {
    let mut command = Command::new(tool("prlimit", "util-linux"));
    command.arg(limit).arg(tool("env", "coreutils")).arg(format!("LD_PRELOAD={}", preload().display()));
    let mut recording = record_command(place, command, "");
    let options = format!("out:{},observer:1", recording.ledger().display());
    recording.command.arg(format!("HEAPTIDE_OPTIONS={options}")).arg(program(name));
    recording.command.env_remove("LD_PRELOAD").env_remove("HEAPTIDE_OPTIONS");
    recording.run()
}

/// The program has 64 MiB in one block; the recorder must not take the room for it.
#[test]
fn little_address_space() {
    let place = Place::new();
    for mebibytes in [96, 160, 300, 600, 5000] {
        let ran = limited(&place, "exact/c-all-calls", &format!("--as={}", mebibytes << 20));
        let truth = unharmed("exact/c-all-calls", &ran);
        let profile = ran.profile();
        if mebibytes > 100 {
            assert_eq!(profile.recorder.lost_events, 0, "with {mebibytes} MiB: {:?}", profile.recorder.limits);
            assert_eq!(profile.totals.allocations, truth.allocations, "with {mebibytes} MiB");
        }
    }
}

#[test]
fn a_limit_of_file_sizes() {
    let place = Place::new();
    let ran = limited(&place, "exact/c-threads", "--fsize=65536");
    unharmed("exact/c-threads", &ran);
    assert!(ran.stderr.contains("a limit on file sizes forbids the ledger"), "{}", ran.stderr);
    assert!(!ran.ledger.exists(), "a ledger without anything in it stays");

    let ran = limited(&place, "exact/c-threads", "--fsize=4194304");
    let truth = unharmed("exact/c-threads", &ran);
    check_part(&ran, &truth, "the ledger reached its size limit");
}

#[test]
fn no_such_directory() {
    let place = Place::new();
    let options = format!("out:{}/none/x.ledger,observer:1", place.dir().display());
    let ran = record(&place, "exact/c-strdup", "").env("HEAPTIDE_OPTIONS", options).run();
    unharmed("exact/c-strdup", &ran);
    assert_eq!(ran.stderr, "heaptide: not recording this program: the ledger's directory does not exist\n");
}

#[test]
fn an_unknown_option_is_named() {
    let place = Place::new();
    let ran = record(&place, "exact/c-strdup", "colour:blue,limit:many").run();
    let truth = unharmed("exact/c-strdup", &ran);
    let expected = "heaptide: ignoring unknown or malformed option 'colour:blue' in HEAPTIDE_OPTIONS\n\
                    heaptide: ignoring unknown or malformed option 'limit:many' in HEAPTIDE_OPTIONS\n";
    assert_eq!(ran.stderr, expected);
    assert_eq!(ran.profile().totals.allocations, truth.allocations);
}

#[test]
fn a_name_that_is_taken_is_left_alone() {
    let place = Place::new();
    let recording = record(&place, "exact/c-strdup", "");
    fs::write(recording.ledger(), "somebody's").expect("it can be written");
    let mut ran = recording.run();
    let truth = unharmed("exact/c-strdup", &ran);
    assert_eq!(fs::read(&ran.ledger).expect("it is there"), b"somebody's");
    ran.ledger = ran.ledger.with_extension("ledger.1");
    assert_eq!(ran.profile().totals.allocations, truth.allocations);
}

/// The loader ignores us where a program gets another user's rights.
#[test]
fn a_setuid_program_is_left_alone() {
    use std::os::unix::fs::{MetadataExt, PermissionsExt};
    let place = Place::new();
    fs::set_permissions(place.dir(), fs::Permissions::from_mode(0o777)).expect("it is ours");
    let copy = place.path("setuid");
    fs::copy(program("exact/c-strdup"), &copy).expect("it can be copied");
    fs::set_permissions(&copy, fs::Permissions::from_mode(0o4755)).expect("it is ours");
    if fs::metadata(&copy).expect("it is there").uid() != 0 {
        println!("not tested, as only root can give its rights away");
        return;
    }
    let mut command = Command::new(tool("setpriv", "util-linux"));
    command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]).arg(tool("env", "coreutils"));
    let mut recording = record_command(&place, command, "");
    let options = format!("HEAPTIDE_OPTIONS=out:{},observer:1", recording.ledger().display());
    recording.command.arg(format!("LD_PRELOAD={}", preload().display())).arg(options).arg(copy);
    recording.command.env_remove("LD_PRELOAD").env_remove("HEAPTIDE_OPTIONS");
    let ran = recording.run();
    unharmed("exact/c-strdup", &ran);
    assert!(!ran.ledger.exists());
}

/// The ledger grows beyond its first length after all descriptors were closed and their numbers given to files of the
/// program's own.
#[test]
fn growth_without_the_descriptor() {
    const SOURCE: &str = r#"
        #define _GNU_SOURCE
        #include "truth.h"
        #include <fcntl.h>
        #include <sys/mman.h>
        enum { FILES = 20, BLOCKS = 13000, BYTES = 100000 };
        int main(void) {
            int files[FILES];
            must(close_range(3, ~0u, 0) == 0);
            for (int i = 0; i < FILES; i++) {
                files[i] = memfd_create("mine", 0);
                must(files[i] == 3 + i && write(files[i], "mine", 4) == 4);
            }
            must(chdir("/") == 0);
            for (int i = 0; i < BLOCKS; i++) take(BYTES); /* live at exit, and never touched */
            for (int i = 0; i < FILES; i++) {
                char text[8];
                must(pread(files[i], text, sizeof text, 0) == 4 && memcmp(text, "mine", 4) == 0);
            }
            print_truth();
            return 0;
        }"#;
    let place = Place::new();
    let source = place.file("grows.c", SOURCE);
    let include = Path::new(env!("CARGO_MANIFEST_DIR")).join("../programs/include");
    let exe = place.path("grows");
    let compiled =
        Command::new("cc").args(["-O2", "-fno-builtin", "-I"]).arg(include).arg("-o").arg(&exe).arg(source).status();
    assert!(compiled.expect("a C compiler is there").success());
    let ran = record_command(&place, Command::new(exe), "").run().succeeded();
    let truth = Truth::parse(&ran.stdout).expect("it says what it did");
    let profile = ran.profile();
    let own = own_calls(&profile, &["grows"]);
    assert_eq!((own.allocations, own.bytes, own.frees), (truth.allocations, truth.bytes, truth.frees));
    assert_eq!(profile.recorder.lost_events, 0, "{:?}", profile.recorder.limits);
    let file = header(&ran.ledger, header_word!(file_bytes));
    assert!(file > 300 << 20, "{file} bytes only");
    assert_eq!(ledgers(place.dir()).len(), 1);
}
