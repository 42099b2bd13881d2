//! Programs that tests run, and the Debian packages that have them.
//!
//! Only what is missing is installed, and only by root on a system with `apt-get`; anybody else is told what to do. No
//! service is started by an installation.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

use crate::program::{find, run};

struct Package {
    name: &'static str,
    /// A program that is there once the package is.
    program: &'static str,
    reason: &'static str,
}

const PACKAGES: [Package; 16] = [
    Package { name: "apache2-utils", program: "ab", reason: "load for nginx" },
    Package { name: "binutils", program: "objcopy", reason: "separate debug files; a second opinion on symbols" },
    Package { name: "bsdutils", program: "script", reason: "a terminal to run in" },
    Package { name: "g++", program: "g++", reason: "C++ programs to record" },
    Package { name: "gcc", program: "gcc", reason: "C programs to record; recorded at work" },
    Package { name: "git", program: "git", reason: "recorded; knows what is committed" },
    Package { name: "heaptrack", program: "heaptrack", reason: "compared with" },
    Package { name: "jq", program: "jq", reason: "recorded" },
    Package { name: "mount", program: "umount", reason: "a small disk to fill" },
    Package { name: "nginx-light", program: "nginx", reason: "recorded under load" },
    Package { name: "nodejs", program: "node", reason: "recorded" },
    Package { name: "python3", program: "python3", reason: "recorded" },
    Package { name: "redis-server", program: "redis-server", reason: "recorded under load" },
    Package { name: "redis-tools", program: "redis-benchmark", reason: "load for redis-server" },
    Package { name: "sqlite3", program: "sqlite3", reason: "recorded" },
    Package { name: "valgrind", program: "valgrind", reason: "DHAT counts the same programs" },
];

/// Installs what is missing, or says what is.
pub fn install() -> Result<()> {
    let missing = missing();
    if missing.is_empty() {
        println!("all are there");
        return Ok(());
    }
    for package in &missing {
        println!("missing: {} ({}): {}", package.program, package.name, package.reason);
    }
    let names: Vec<_> = missing.iter().map(|package| package.name).collect();
    let by_hand = format!("apt-get install --no-install-recommends {}", names.join(" "));
    if find("apt-get").is_none() {
        bail!("install these programs with your system's package manager; on Debian: {by_hand}");
    }
    if !rustix::process::geteuid().is_root() {
        bail!("only root may install them: sudo {by_hand}");
    }

    let _no_services = NoServices::begin()?;
    apt_get(&["update"])?;
    apt_get(&[&["install", "--yes", "--no-install-recommends"], names.as_slice()].concat())?;
    let missing: Vec<_> = self::missing().iter().map(|package| package.program).collect();
    ensure!(missing.is_empty(), "apt-get installed all, but {} is not on the PATH", missing.join(", "));
    Ok(())
}

fn missing() -> Vec<&'static Package> {
    PACKAGES.iter().filter(|package| find(package.program).is_none()).collect()
}

fn apt_get(arguments: &[&str]) -> Result<()> {
    let mut command = Command::new("apt-get");
    command.args(["--quiet", "--quiet"]).args(arguments).env("DEBIAN_FRONTEND", "noninteractive");
    run(&mut command)
}

/// Where Debian's maintainer scripts ask whether they may start a service.
const POLICY: &str = "/usr/sbin/policy-rc.d";

/// While this is there, no installation starts a service.
struct NoServices {
    is_ours: bool,
}

impl NoServices {
    fn begin() -> Result<NoServices> {
        if Path::new(POLICY).exists() {
            // The machine's owner has decided already.
            return Ok(NoServices { is_ours: false });
        }
        let file = OpenOptions::new().write(true).create_new(true).mode(0o755).open(POLICY);
        let mut file = file.with_context(|| format!("cannot write {POLICY}"))?;
        let no_services = NoServices { is_ours: true };
        // 101: the action is forbidden.
        file.write_all(b"#!/bin/sh\nexit 101\n").with_context(|| format!("cannot write {POLICY}"))?;
        Ok(no_services)
    }
}

impl Drop for NoServices {
    fn drop(&mut self) {
        if self.is_ours {
            // Nothing better can be done than to leave it.
            let _ = fs::remove_file(POLICY);
        }
    }
}
