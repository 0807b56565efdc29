//! What a running container takes of the host, and the most that it has taken since it was started: the kernel counts it
//! in the control group of its first process.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::Container;
use crate::facts::{Known, Unknown};
use crate::host::Host;

/// One resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usage {
    /// What it takes now.
    pub now: u64,
    /// The most that is known.
    pub most: Most,
}

/// The most that a container has taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Most {
    /// Since it was started.
    Peak(u64),
    /// This kernel does not keep it; what it takes now.
    Now(u64),
}

/// What is counted: the controller, and the files of its group in each version of control groups. In the first version
/// `memsw` counts swap too; a kernel without swap accounting has only the second file.
struct Counter {
    controller: &'static str,
    v1: &'static [(&'static str, &'static str)],
    v2: &'static [(&'static str, &'static str)],
    /// Counted besides, version 2.
    besides: Option<(&'static str, &'static str)>,
}

const MEMORY: Counter = Counter {
    controller: "memory",
    v1: &[
        ("memory.memsw.usage_in_bytes", "memory.memsw.max_usage_in_bytes"),
        ("memory.usage_in_bytes", "memory.max_usage_in_bytes"),
    ],
    v2: &[("memory.current", "memory.peak")],
    besides: Some(("memory.swap.current", "memory.swap.peak")),
};
const PIDS: Counter = Counter {
    controller: "pids",
    v1: &[("pids.current", "pids.peak")],
    v2: &[("pids.current", "pids.peak")],
    besides: None,
};

/// Memory and swap in bytes, and the number of processes and threads, of a running container.
pub fn usage(host: &dyn Host, container: &Container) -> (Known<Usage>, Known<Usage>) {
    (MEMORY.read(host, container.pid), PIDS.read(host, container.pid))
}

impl Counter {
    fn read(&self, host: &dyn Host, pid: u32) -> Known<Usage> {
        let (folder, first) = self.group(host, pid)?;
        let files = if first { self.v1 } else { self.v2 };
        let mut missing = Unknown(format!("{}: nothing counts here", folder.display()));
        for file in files {
            match pair(host, &folder, file) {
                Ok(usage) if first => return Ok(usage),
                Ok(usage) => return Ok(self.besides.map_or(usage, |file| usage.and(pair(host, &folder, &file).ok()))),
                Err(unknown) => missing = unknown,
            }
        }
        Err(missing)
    }

    /// The folder of a process's group, and whether it is one of the first version.
    fn group(&self, host: &dyn Host, pid: u32) -> Known<(PathBuf, bool)> {
        let file = format!("/proc/{pid}/cgroup");
        let text = host.read(Path::new(&file)).map_err(|error| Unknown(format!("{file}: {error}")))?;
        let text = String::from_utf8_lossy(&text).into_owned();
        let mut unified = None;
        for line in text.lines() {
            let mut fields = line.splitn(3, ':').skip(1);
            let (Some(controllers), Some(path)) = (fields.next(), fields.next()) else { continue };
            // A group above ours, as it is written for who looks from inside another one.
            if path.split('/').any(|part| part == "..") {
                continue;
            }
            let below = |top: &str| Path::new(top).join(path.trim_start_matches('/'));
            if controllers.split(',').any(|name| name == self.controller) {
                return Ok((below(&format!("/sys/fs/cgroup/{controllers}")), true));
            }
            if controllers.is_empty() {
                unified = Some(below("/sys/fs/cgroup"));
            }
        }
        unified.map(|folder| (folder, false)).ok_or_else(|| Unknown(format!("{file}: no group of {}", self.controller)))
    }
}

impl Usage {
    fn and(self, other: Option<Self>) -> Self {
        let Some(other) = other else { return self };
        let most = match (self.most, other.most) {
            (Most::Peak(a), Most::Peak(b) | Most::Now(b)) => Most::Peak(a + b),
            (Most::Now(a), Most::Peak(b) | Most::Now(b)) => Most::Now(a + b),
        };
        Self { now: self.now + other.now, most }
    }
}

/// What a group takes now, and its peak where the kernel keeps one.
fn pair(host: &dyn Host, folder: &Path, (now, peak): &(&str, &str)) -> Known<Usage> {
    let now =
        number(host, &folder.join(now))?.ok_or_else(|| Unknown(format!("{}/{now}: is not there", folder.display())))?;
    let most = number(host, &folder.join(peak))?.map_or(Most::Now(now), Most::Peak);
    Ok(Usage { now, most })
}

/// The number in a file; `None`: there is no such file.
fn number(host: &dyn Host, file: &Path) -> Known<Option<u64>> {
    match host.read(file) {
        Ok(bytes) => match String::from_utf8_lossy(&bytes).trim().parse() {
            Ok(number) => Ok(Some(number)),
            Err(_) => Err(Unknown(format!("{}: not a number", file.display()))),
        },
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Unknown(format!("{}: {error}", file.display()))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::testing::FakeHost;

    fn look(host: &FakeHost) -> (Known<Usage>, Known<Usage>) {
        usage(host, &Container { pid: 7, running: true, ..Container::default() })
    }

    #[test]
    fn version_one_counts_swap_with_memory() {
        let host = FakeHost::default()
            .file("/proc/7/cgroup", "9:cpu,cpuacct:/docker/ab\n8:pids:/docker/ab\n4:memory:/docker/ab\n0::/docker/ab\n")
            .file("/sys/fs/cgroup/memory/docker/ab/memory.usage_in_bytes", "5\n")
            .file("/sys/fs/cgroup/memory/docker/ab/memory.max_usage_in_bytes", "6\n")
            .file("/sys/fs/cgroup/pids/docker/ab/pids.current", "3\n");
        assert_eq!(look(&host), (Ok(Usage { now: 5, most: Most::Peak(6) }), Ok(Usage { now: 3, most: Most::Now(3) })));
        let host = host
            .file("/sys/fs/cgroup/memory/docker/ab/memory.memsw.usage_in_bytes", "7\n")
            .file("/sys/fs/cgroup/memory/docker/ab/memory.memsw.max_usage_in_bytes", "9\n");
        assert_eq!(look(&host).0, Ok(Usage { now: 7, most: Most::Peak(9) }));
    }

    #[test]
    fn version_two_counts_swap_beside_memory() {
        let folder = "/sys/fs/cgroup/system.slice/docker-ab.scope";
        let host = FakeHost::default()
            .file("/proc/7/cgroup", "0::/system.slice/docker-ab.scope\n")
            .file(&format!("{folder}/memory.current"), "5\n")
            .file(&format!("{folder}/memory.peak"), "6\n")
            .file(&format!("{folder}/memory.swap.current"), "2\n")
            .file(&format!("{folder}/pids.current"), "3\n")
            .file(&format!("{folder}/pids.peak"), "4\n");
        assert_eq!(look(&host), (Ok(Usage { now: 7, most: Most::Peak(8) }), Ok(Usage { now: 3, most: Most::Peak(4) })));
    }

    #[test]
    fn what_nobody_counts_is_unknown() {
        let of = |groups: &str| look(&FakeHost::default().file("/proc/7/cgroup", groups)).0.unwrap_err().0;
        assert_eq!(of("0::/a\n"), "/sys/fs/cgroup/a/memory.current: is not there");
        assert_eq!(of("4:memory:/../../x\n"), "/proc/7/cgroup: no group of memory");
        assert!(look(&FakeHost::default()).1.is_err());
    }
}
