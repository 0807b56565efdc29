//! What a container was given of the host and what it was denied, as its configuration says. What its first process
//! really has is in [`super::Process`].

use serde_json::Value;

use super::container::{text, texts};

/// What a container may use and reach.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Confinement {
    /// `--cap-add`, upper case without `CAP_`.
    pub cap_add: Vec<String>,
    /// `--cap-drop`, upper case without `CAP_`.
    pub cap_drop: Vec<String>,
    /// Memory in bytes; 0: no limit, which [`UNLIMITED_MEMORY`] and more are as well.
    pub memory: i64,
    /// Memory and swap together in bytes; 0: not set, -1: no limit.
    pub memory_swap: i64,
    /// Share of the processors against other containers; 0: not set (then it is 1024).
    pub cpu_shares: i64,
    /// `--cpus`, in billionths of a processor; 0: no limit.
    pub nano_cpus: i64,
    /// `--cpu-quota`, microseconds in each period; 0: no limit.
    pub cpu_quota: i64,
    /// `--cpu-period`, microseconds; 0: not set (then it is 100000).
    pub cpu_period: i64,
    /// `--cpuset-cpus`, such as `0-2`; empty: all.
    pub cpuset: String,
    /// Processes and threads; 0 and -1: no limit.
    pub pids: i64,
    /// `--ulimit` as `NAME=SOFT:HARD`, those that the daemon gave by default among them.
    pub ulimits: Vec<String>,
    /// Its root file system is read-only.
    pub read_only: bool,
    /// `--cgroup-parent`; empty: the daemon's.
    pub cgroup_parent: String,
    /// `AppArmor` profile in force; empty: none.
    pub apparmor: String,
    /// `SELinux` label of its processes; empty: none.
    pub process_label: String,
    /// `--device-cgroup-rule`.
    pub device_rules: Vec<String>,
    /// Mounts of every kind.
    pub mounts: Vec<Mount>,
    /// `--tmpfs`: paths in the container. Docker does not list them among its mounts.
    pub tmpfs: Vec<String>,
    /// Result of its health check: `starting`, `healthy`, `unhealthy`; `None`: it has none.
    pub health: Option<String>,
}

/// A limit of memory that is none, in bytes: more than any host has. dockerd cannot take a limit away from a container
/// that exists (an update to 0 leaves it as it is, one to -1 is refused: 20.10.24 and 26.1.5), only raise it.
pub const UNLIMITED_MEMORY: i64 = 1 << 62;

/// Something that is mounted into a container.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mount {
    /// `bind`, `volume`, `tmpfs`, `npipe`, …
    pub kind: String,
    /// Path on the host; empty for `tmpfs`.
    pub source: String,
    /// Path in the container.
    pub destination: String,
    /// It can be written to.
    pub writable: bool,
    /// Propagation: empty (`rprivate`), `shared`, `rslave`, …
    pub propagation: String,
}

impl Confinement {
    /// Reads the Engine's inspection, or what `config.v2.json` and `hostconfig.json` make together.
    pub(super) fn read(value: &Value) -> Self {
        let host = &value["HostConfig"];
        let number = |key: &str| host[key].as_i64().unwrap_or(0);
        let memory = Some(number("Memory")).filter(|limit| *limit < UNLIMITED_MEMORY).unwrap_or(0);
        Self {
            cap_add: capabilities(&host["CapAdd"]),
            cap_drop: capabilities(&host["CapDrop"]),
            memory,
            memory_swap: if memory == 0 { 0 } else { number("MemorySwap") },
            cpu_shares: number("CpuShares"),
            nano_cpus: number("NanoCpus"),
            cpu_quota: number("CpuQuota").max(0),
            cpu_period: number("CpuPeriod"),
            cpuset: text(&host["CpusetCpus"]),
            pids: number("PidsLimit"),
            ulimits: host["Ulimits"].as_array().into_iter().flatten().map(ulimit).collect(),
            read_only: host["ReadonlyRootfs"].as_bool().unwrap_or(false),
            cgroup_parent: text(&host["CgroupParent"]),
            apparmor: text(&value["AppArmorProfile"]),
            process_label: text(&value["ProcessLabel"]),
            device_rules: texts(&host["DeviceCgroupRules"]),
            mounts: mounts(value),
            tmpfs: host["Tmpfs"].as_object().into_iter().flatten().map(|(path, _)| path.clone()).collect(),
            health: value["State"]["Health"]["Status"].as_str().filter(|status| *status != "none").map(str::to_owned),
        }
    }
}

/// The form of the command line.
fn ulimit(value: &Value) -> String {
    let number = |key: &str| value[key].as_i64().unwrap_or(0);
    format!("{}={}:{}", text(&value["Name"]), number("Soft"), number("Hard"))
}

/// `cap_net_raw`, `NET_RAW` and `CAP_NET_RAW` are the same to dockerd (`caps.NormalizeLegacyCapabilities` in moby).
fn capabilities(value: &Value) -> Vec<String> {
    let plain = |name: String| {
        let upper = name.to_ascii_uppercase();
        upper.strip_prefix("CAP_").map_or_else(|| upper.clone(), str::to_owned)
    };
    texts(value).into_iter().map(plain).collect()
}

/// A list in the Engine's answer, a map in `config.v2.json`; `tmpfs` of `--tmpfs` is in neither and on no host path.
fn mounts(value: &Value) -> Vec<Mount> {
    let listed = value["Mounts"].as_array().into_iter().flatten();
    let mapped = value["MountPoints"].as_object().into_iter().flatten().map(|(_, mount)| mount);
    let read = |mount: &Value| Mount {
        kind: text(&mount["Type"]),
        source: text(&mount["Source"]),
        destination: text(&mount["Destination"]),
        writable: mount["RW"].as_bool().unwrap_or(true),
        propagation: text(&mount["Propagation"]),
    };
    listed.chain(mapped).map(read).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn all_spellings_of_a_capability_are_one() {
        assert_eq!(
            capabilities(&json!(["cap_net_raw", "NET_RAW", "CAP_NET_RAW", "all"])),
            ["NET_RAW", "NET_RAW", "NET_RAW", "ALL"]
        );
        assert!(capabilities(&json!(null)).is_empty());
    }

    #[test]
    fn what_is_left_of_a_limit_that_was_taken_away_is_none() {
        let read = |host: Value| Confinement::read(&json!({ "HostConfig": host }));
        let raised = read(json!({"Memory": UNLIMITED_MEMORY, "MemorySwap": i64::MAX, "CpuQuota": -1}));
        assert_eq!(raised, read(json!({})));
        let limited = read(json!({"Memory": 1_i64 << 40, "MemorySwap": -1, "CpuQuota": 5}));
        assert_eq!((limited.memory, limited.memory_swap, limited.cpu_quota), (1 << 40, -1, 5));
    }

    #[test]
    fn an_inspection_and_the_files_of_a_stopped_daemon_say_the_same() {
        let mount =
            json!({"Type": "bind", "Source": "/srv", "Destination": "/data", "RW": false, "Propagation": "rshared"});
        let ulimits = json!([{"Name": "nofile", "Soft": 64, "Hard": 128}]);
        let host =
            json!({"CapDrop": ["ALL"], "Memory": 7, "PidsLimit": null, "ReadonlyRootfs": true, "Ulimits": ulimits});
        let listed = Confinement::read(&json!({"HostConfig": host, "Mounts": [mount]}));
        let mapped = Confinement::read(&json!({"HostConfig": host, "MountPoints": {"/data": mount}}));
        assert_eq!(listed, mapped);
        assert_eq!((listed.memory, listed.pids, listed.read_only), (7, 0, true));
        assert_eq!(listed.ulimits, ["nofile=64:128"]);
        assert_eq!(listed.mounts[0].propagation, "rshared");
        assert!(!listed.mounts[0].writable);
    }
}
