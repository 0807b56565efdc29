//! What a container was given of the host: its limits, rights, logs and names.

use serde_json::{Value, json};

use super::line::Line;
use crate::facts::workload::{Recipe, UNLIMITED_MEMORY};
use crate::facts::{Container, Facts};

/// Of `HostConfig`, what is said here, in `mounts` or in `network`, or means nothing on Linux.
pub(super) const KNOWN: &[&str] = &[
    "Annotations",
    "AutoRemove",
    "Binds",
    "BlkioDeviceReadBps",
    "BlkioDeviceReadIOps",
    "BlkioDeviceWriteBps",
    "BlkioDeviceWriteIOps",
    "BlkioWeight",
    "BlkioWeightDevice",
    "CapAdd",
    "CapDrop",
    "CgroupParent",
    "CgroupnsMode",
    "ConsoleSize",
    "ContainerIDFile",
    "CpuCount",
    "CpuPercent",
    "CpuPeriod",
    "CpuQuota",
    "CpuRealtimePeriod",
    "CpuRealtimeRuntime",
    "CpuShares",
    "CpusetCpus",
    "CpusetMems",
    "DeviceCgroupRules",
    "DeviceRequests",
    "Devices",
    "Dns",
    "DnsOptions",
    "DnsSearch",
    "ExtraHosts",
    "GroupAdd",
    "IOMaximumBandwidth",
    "IOMaximumIOps",
    "Init",
    "IpcMode",
    "Isolation",
    "KernelMemory",
    "Links",
    "LogConfig",
    "MaskedPaths",
    "Memory",
    "MemoryReservation",
    "MemorySwap",
    "MemorySwappiness",
    "Mounts",
    "NanoCpus",
    "NetworkMode",
    "OomKillDisable",
    "OomScoreAdj",
    "PidMode",
    "PidsLimit",
    "PortBindings",
    "Privileged",
    "PublishAllPorts",
    "ReadonlyPaths",
    "ReadonlyRootfs",
    "RestartPolicy",
    "Runtime",
    "SecurityOpt",
    "ShmSize",
    "StorageOpt",
    "Sysctls",
    "Tmpfs",
    "UTSMode",
    "Ulimits",
    "UsernsMode",
    "VolumeDriver",
    "VolumesFrom",
];

/// dockerd's own size of `/dev/shm`, in bytes.
const SHM_SIZE: i64 = 64 << 20;

/// Options from `HostConfig`, but for mounts and networks.
pub(super) fn options(line: &mut Line, recipe: &Recipe, facts: &Facts, containers: &[Container]) {
    let host = &recipe.container["HostConfig"];
    let switches = [
        ("AutoRemove", "rm"),
        ("Privileged", "privileged"),
        ("ReadonlyRootfs", "read-only"),
        ("OomKillDisable", "oom-kill-disable"),
        ("Init", "init"),
    ];
    for (key, name) in switches {
        if host[key] == json!(true) {
            line.flag(name);
        }
    }
    if host["Init"] == json!(false) && facts.daemon.setting("init").next == Ok(json!(true)) {
        line.flag("init=false");
    }
    restart(line, &host["RestartPolicy"]);
    security(line, host);
    namespaces(line, host, facts, containers);
    limits(line, host);
    ulimits(line, &host["Ulimits"], facts);
    devices(line, host);
    for (key, name) in [("Sysctls", "sysctl"), ("StorageOpt", "storage-opt"), ("Annotations", "annotation")] {
        line.pairs(name, &host[key]);
    }
    line.each("group-add", &host["GroupAdd"]);
    line.given("volume-driver", &host["VolumeDriver"]);
    let runtime = host["Runtime"].as_str().unwrap_or_default();
    let usual = facts.daemon.info.as_ref().ok().and_then(|info| info["DefaultRuntime"].as_str()).unwrap_or("runc");
    if runtime != usual {
        line.given("runtime", &host["Runtime"]);
    }
    logs(line, &host["LogConfig"], facts);
}

fn restart(line: &mut Line, policy: &Value) {
    match (policy["Name"].as_str().unwrap_or_default(), policy["MaximumRetryCount"].as_i64().unwrap_or(0)) {
        ("" | "no", _) => {}
        ("on-failure", retries @ 1..) => line.option("restart", format!("on-failure:{retries}")),
        (name, _) => line.option("restart", name),
    }
}

fn security(line: &mut Line, host: &Value) {
    line.each("cap-drop", &host["CapDrop"]);
    line.each("cap-add", &host["CapAdd"]);
    for option in host["SecurityOpt"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        // The client reads the file; what it was is in the container.
        let profile = option.strip_prefix("seccomp=").filter(|profile| profile.starts_with('{'));
        let option = match profile {
            Some(_) => {
                let what = "the file of its seccomp profile, which the engine keeps the content of";
                format!("seccomp={}", line.choose("SECCOMP_PROFILE", what))
            }
            None => option.to_owned(),
        };
        line.option("security-opt", option);
    }
    // Nothing of /proc and /sys is hidden: what `systempaths=unconfined` makes of both lists.
    let open = |key: &str| host[key].as_array().is_some_and(Vec::is_empty);
    if open("MaskedPaths") && open("ReadonlyPaths") && host["Privileged"] != json!(true) {
        line.option("security-opt", "systempaths=unconfined");
    }
}

fn namespaces(line: &mut Line, host: &Value, facts: &Facts, containers: &[Container]) {
    let text = |key: &str| host[key].as_str().unwrap_or_default().to_owned();
    let usual = |key: &str, fallback: &str| {
        let set = facts.daemon.setting(key).next.ok().and_then(|value| value.as_str().map(str::to_owned));
        set.filter(|text| !text.is_empty()).unwrap_or_else(|| fallback.into())
    };
    let second = facts.daemon.info.as_ref().is_ok_and(|info| info["CgroupVersion"] == "2");
    let modes = [
        ("PidMode", "pid", String::new()),
        ("IpcMode", "ipc", usual("default-ipc-mode", "private")),
        ("UTSMode", "uts", String::new()),
        ("UsernsMode", "userns", String::new()),
        ("CgroupnsMode", "cgroupns", usual("default-cgroupns-mode", if second { "private" } else { "host" })),
    ];
    for (key, name, usual) in modes {
        let mode = by_name(&text(key), containers);
        if !mode.is_empty() && mode != usual {
            line.option(name, mode);
        }
    }
    line.given("cgroup-parent", &host["CgroupParent"]);
}

/// `container:ID` with that container's name, which outlives its id.
pub(super) fn by_name(mode: &str, containers: &[Container]) -> String {
    let other = mode.strip_prefix("container:").and_then(|id| containers.iter().find(|one| one.id == id));
    other.map_or_else(|| mode.to_owned(), |one| format!("container:{}", one.name))
}

fn limits(line: &mut Line, host: &Value) {
    let number = |key: &str| host[key].as_i64().unwrap_or(0);
    let memory = number("Memory");
    if (1..UNLIMITED_MEMORY).contains(&memory) {
        line.option("memory", memory.to_string());
        // Twice the memory is what dockerd makes of none.
        let swap = number("MemorySwap");
        if swap != 0 && swap != memory.saturating_mul(2) {
            line.option("memory-swap", swap.to_string());
        }
    }
    if host["MemorySwappiness"].as_i64().is_some_and(|value| value >= 0) {
        line.option("memory-swappiness", number("MemorySwappiness").to_string());
    }
    let nano = number("NanoCpus");
    if nano > 0 {
        let text = format!("{}.{:09}", nano / 1_000_000_000, nano % 1_000_000_000);
        line.option("cpus", text.trim_end_matches('0').trim_end_matches('.'));
    }
    if number("CpuQuota") > 0 {
        line.given("cpu-quota", &host["CpuQuota"]);
    }
    if number("PidsLimit") > 0 {
        line.given("pids-limit", &host["PidsLimit"]);
    }
    if ![0, SHM_SIZE].contains(&number("ShmSize")) {
        line.given("shm-size", &host["ShmSize"]);
    }
    let plain = [
        ("MemoryReservation", "memory-reservation"),
        ("KernelMemory", "kernel-memory"),
        ("CpuShares", "cpu-shares"),
        ("CpuPeriod", "cpu-period"),
        ("CpuRealtimePeriod", "cpu-rt-period"),
        ("CpuRealtimeRuntime", "cpu-rt-runtime"),
        ("CpusetCpus", "cpuset-cpus"),
        ("CpusetMems", "cpuset-mems"),
        ("BlkioWeight", "blkio-weight"),
        ("OomScoreAdj", "oom-score-adj"),
    ];
    for (key, name) in plain {
        line.given(name, &host[key]);
    }
    let rates = [
        ("BlkioWeightDevice", "Weight", "blkio-weight-device"),
        ("BlkioDeviceReadBps", "Rate", "device-read-bps"),
        ("BlkioDeviceReadIOps", "Rate", "device-read-iops"),
        ("BlkioDeviceWriteBps", "Rate", "device-write-bps"),
        ("BlkioDeviceWriteIOps", "Rate", "device-write-iops"),
    ];
    for (key, what, name) in rates {
        for one in host[key].as_array().into_iter().flatten() {
            line.option(name, format!("{}:{}", one["Path"].as_str().unwrap_or_default(), one[what]));
        }
    }
}

/// Those that the daemon gives every container are left to it.
fn ulimits(line: &mut Line, ulimits: &Value, facts: &Facts) {
    let defaults = facts.daemon.setting("default-ulimits").next.unwrap_or_default();
    for limit in ulimits.as_array().into_iter().flatten() {
        let name = limit["Name"].as_str().unwrap_or_default();
        let same = |key: &str| defaults[name][key].as_i64() == limit[key].as_i64();
        if !(same("Soft") && same("Hard")) {
            line.option("ulimit", format!("{name}={}:{}", limit["Soft"], limit["Hard"]));
        }
    }
}

fn devices(line: &mut Line, host: &Value) {
    let text = |value: &Value, key: &str| value[key].as_str().unwrap_or_default().to_owned();
    for device in host["Devices"].as_array().into_iter().flatten() {
        let (outside, inside) = (text(device, "PathOnHost"), text(device, "PathInContainer"));
        line.option("device", format!("{outside}:{inside}:{}", text(device, "CgroupPermissions")));
    }
    line.each("device-cgroup-rule", &host["DeviceCgroupRules"]);
    for request in host["DeviceRequests"].as_array().into_iter().flatten() {
        let ids: Vec<&str> = request["DeviceIDs"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        let gpu = ["", "nvidia"].contains(&request["Driver"].as_str().unwrap_or_default());
        let gpu = gpu && request["Capabilities"] == json!([["gpu"]]);
        match request["Count"].as_i64().unwrap_or(0) {
            _ if request["Driver"] == "cdi" => ids.iter().for_each(|id| line.option("device", *id)),
            _ if !gpu => line.notes.push("it was given devices by a driver in a way that no option says".into()),
            -1 => line.option("gpus", "all"),
            0 => line.option("gpus", format!("\"device={}\"", ids.join(","))),
            count => line.option("gpus", count.to_string()),
        }
    }
}

/// What the daemon gives every container is left to it.
fn logs(line: &mut Line, logs: &Value, facts: &Facts) {
    let info = facts.daemon.info.as_ref().ok();
    let usual = info.is_some_and(|info| info["LoggingDriver"] == logs["Type"]);
    if !usual {
        line.given("log-driver", &logs["Type"]);
    }
    let defaults = facts.daemon.setting("log-opts").next.unwrap_or_default();
    let options = logs["Config"].as_object().into_iter().flatten();
    let own = options.filter(|(key, value)| !usual || defaults.get(key.as_str()) != Some(value));
    line.pairs("log-opt", &Value::Object(own.map(|(key, value)| (key.clone(), value.clone())).collect()));
}
