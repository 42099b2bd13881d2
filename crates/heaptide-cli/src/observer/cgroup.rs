//! The memory limit of a process's control group: the lowest on the way up, in version 1 and 2 of the kernel's scheme.

use std::path::{Path, PathBuf};

/// Version 1 writes "no limit" as the largest multiple of a page.
const NO_LIMIT_BYTES: u64 = 1 << 62;

/// The limit of process `pid` in bytes; `None` where there is none.
pub fn memory_limit_bytes(pid: u32) -> Option<u64> {
    let groups = std::fs::read_to_string(format!("/proc/{pid}/cgroup")).ok()?;
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").ok()?;
    lowest(&groups, &mounts, |file| std::fs::read_to_string(file).ok())
}

/// A mounted hierarchy that may limit memory.
struct Hierarchy<'a> {
    mount_point: &'a str,
    /// The group that is mounted there; the whole hierarchy is `/`.
    root: &'a str,
    limit_file: &'static str,
    /// The process's group.
    group: &'a str,
}

fn lowest(groups: &str, mounts: &str, read: impl Fn(&Path) -> Option<String>) -> Option<u64> {
    mounts
        .lines()
        .filter_map(|mount| hierarchy(mount, groups))
        .filter_map(|hierarchy| lowest_in(&hierarchy, &read))
        .min()
}

/// `36 35 98:0 /root /mount/point options … - type source options` of a mount that has to do with memory.
fn hierarchy<'a>(mount: &'a str, groups: &'a str) -> Option<Hierarchy<'a>> {
    let (left, right) = mount.split_once(" - ")?;
    let mut left = left.split(' ').skip(3);
    let (root, mount_point) = (left.next()?, left.next()?);
    let mut right = right.split(' ');
    let (kind, options) = (right.next()?, right.nth(1).unwrap_or_default());
    let has_memory = |list: &str| list.split(',').any(|item| item == "memory");
    // `4:cpu,memory:/group`, and `0::/group` in version 2.
    let mut entries = groups.lines().filter_map(|line| {
        let mut parts = line.splitn(3, ':').skip(1);
        Some((parts.next()?, parts.next()?))
    });
    let (limit_file, group) = match kind {
        "cgroup2" => ("memory.max", entries.find(|(controllers, _)| controllers.is_empty())?.1),
        "cgroup" if has_memory(options) => {
            ("memory.limit_in_bytes", entries.find(|(controllers, _)| has_memory(controllers))?.1)
        }
        _ => return None,
    };
    Some(Hierarchy { mount_point, root, limit_file, group })
}

fn lowest_in(hierarchy: &Hierarchy<'_>, read: &impl Fn(&Path) -> Option<String>) -> Option<u64> {
    // Seen from a container, the group may lie outside of what is mounted.
    let below = hierarchy.group.strip_prefix(hierarchy.root.trim_end_matches('/')).unwrap_or_default();
    let top = PathBuf::from(hierarchy.mount_point);
    let mut group = top.join(below.trim_start_matches('/'));
    let mut lowest: Option<u64> = None;
    loop {
        let limit = read(&group.join(hierarchy.limit_file)).and_then(|text| text.trim().parse().ok());
        let limit = limit.filter(|&bytes| bytes < NO_LIMIT_BYTES);
        lowest = lowest.into_iter().chain(limit).min();
        if group == top || !group.pop() {
            return lowest;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(groups: &str, mounts: &str, files: &[(&str, &str)], expected: Option<u64>) {
        let read = |path: &Path| {
            let found = files.iter().find(|(name, _)| Path::new(name) == path);
            found.map(|(_, text)| (*text).to_owned())
        };
        assert_eq!(lowest(groups, mounts, read), expected);
    }

    const V2: &str = "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate\n";

    #[test]
    fn the_lowest_limit_on_the_way_up_counts() {
        let files = [
            ("/sys/fs/cgroup/a/b/memory.max", "max\n"),
            ("/sys/fs/cgroup/a/memory.max", "1000000\n"),
            ("/sys/fs/cgroup/memory.max", "2000000\n"),
        ];
        check("0::/a/b\n", V2, &files, Some(1_000_000));
        check("0::/a/b\n", V2, &files[..1], None);
        check("0::/\n", V2, &files, Some(2_000_000));
    }

    #[test]
    fn version_1_has_a_controller_for_memory() {
        let mounts = "40 30 0:30 /docker/x /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n\
                      41 30 0:31 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n";
        let files = [
            ("/sys/fs/cgroup/memory/y/memory.limit_in_bytes", "9223372036854771712\n"),
            ("/sys/fs/cgroup/memory/memory.limit_in_bytes", "536870912\n"),
        ];
        check("5:cpu:/docker/x\n4:memory:/docker/x/y\n", mounts, &files, Some(536_870_912));
    }

    #[test]
    fn a_group_outside_the_mount_is_looked_for_at_its_top() {
        let mounts = V2.replace(" / /sys", " /pod /sys");
        let files = [("/sys/fs/cgroup/memory.max", "4096")];
        check("0::/../other\n", &mounts, &files, Some(4096));
        check("", V2, &files, None);
        check("garbage", "garbage - cgroup2", &files, None);
    }
}
