//! A small model of dockerd under systemd, with the rules that hurt: what is fatal at a start, what a reload takes,
//! and when containers die.

use serde_json::{Map, Value, json};

use super::fake_compose::Composed;
use super::fake_updates::FakeCluster;

/// Keys of daemon.json that the model knows; any other is fatal at a start, as with dockerd.
const KEYS: &[&str] = &[
    "authorization-plugins",
    "bip",
    "bridge",
    "cgroup-parent",
    "config-file",
    "containerd",
    "data-root",
    "default-address-pools",
    "debug",
    "default-runtime",
    "default-ulimits",
    "dns",
    "experimental",
    "exec-opts",
    "group",
    "features",
    "hosts",
    "icc",
    "init",
    "insecure-registries",
    "ip-forward",
    "ip6tables",
    "iptables",
    "ipv6",
    "labels",
    "live-restore",
    "log-driver",
    "log-level",
    "log-opts",
    "max-concurrent-downloads",
    "mtu",
    "no-new-privileges",
    "proxies",
    "registry-mirrors",
    "runtimes",
    "seccomp-profile",
    "selinux-enabled",
    "shutdown-timeout",
    "storage-driver",
    "storage-opts",
    "tls",
    "tlscacert",
    "tlscert",
    "tlskey",
    "tlsverify",
    "userland-proxy",
    "userns-remap",
];

/// What dockerd takes on SIGHUP (moby `daemon/reload.go`).
pub(crate) const RELOADABLE: &[&str] = &[
    "authorization-plugins",
    "debug",
    "default-runtime",
    "features",
    "insecure-registries",
    "labels",
    "live-restore",
    "max-concurrent-downloads",
    "registry-mirrors",
    "runtimes",
    "shutdown-timeout",
];

/// One container.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct FakeContainer {
    pub(crate) id: String,
    pub(crate) name: String,
    /// 0: it does not run.
    pub(crate) pid: i64,
    /// The daemon starts it again.
    pub(crate) restarts: bool,
    /// Removed when it ends.
    pub(crate) remove: bool,
    /// What was changed of its `HostConfig`.
    pub(crate) updated: Map<String, Value>,
    /// By compose.
    pub(crate) composed: Option<Composed>,
    /// Its networks, once it was put on others.
    pub(crate) networks: Option<Map<String, Value>>,
}

/// What is wrong with a daemon that systemd still takes for started, or starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sick {
    /// Its start never ends: `TimeoutStartSec` is 0.
    Hangs,
    /// It crashes and is started again, every time it is looked at anew.
    Loops,
    /// It runs and has no bridge.
    Bridgeless,
    /// It runs and does not hear a reload.
    Deaf,
}

/// The daemon.
#[derive(Clone, Debug)]
pub(crate) struct FakeDocker {
    pub(crate) active: String,
    pub(crate) pid: u32,
    /// Grows with every start.
    pub(crate) started: u64,
    /// Flags of the unit, by key.
    pub(crate) flags: Map<String, Value>,
    /// What is in force.
    pub(crate) config: Map<String, Value>,
    pub(crate) containers: Vec<FakeContainer>,
    /// The bridge keeps its setting while a container runs.
    pub(crate) icc: bool,
    pub(crate) swarm: bool,
    /// What a manager knows of its swarm.
    pub(crate) cluster: Option<FakeCluster>,
    /// Start times in ms since the last reset-failed: the fourth within 60 s is refused.
    starts: Vec<i64>,
    next_pid: i64,
    /// Major version of the engine; before 24 `/info` does not show no-new-privileges.
    pub(crate) major: u64,
    /// What the engine calls its own seccomp profile: `default` before 23.
    pub(crate) builtin_seccomp: String,
    /// With this key in its file a daemon gets sick.
    pub(crate) sick: Option<(Sick, &'static str)>,
    /// Further security options that were recorded.
    pub(crate) other_options: Vec<String>,
}

impl Default for FakeDocker {
    fn default() -> Self {
        Self {
            active: "inactive".into(),
            pid: 0,
            started: 0,
            flags: Map::new(),
            config: Map::new(),
            containers: Vec::new(),
            icc: true,
            swarm: false,
            cluster: None,
            starts: Vec::new(),
            next_pid: 4000,
            major: 26,
            builtin_seccomp: "builtin".into(),
            sick: None,
            other_options: Vec::new(),
        }
    }
}

/// Reads daemon.json as a start does.
pub(crate) fn parse(text: Option<&[u8]>, flags: &Map<String, Value>) -> Result<Map<String, Value>, String> {
    let text = text.map(String::from_utf8_lossy).unwrap_or_default();
    let bare = text.trim_start_matches('\u{feff}').trim();
    let file: Map<String, Value> =
        if bare.is_empty() { Map::new() } else { serde_json::from_str(bare).map_err(|e| e.to_string())? };
    for key in file.keys() {
        if !KEYS.contains(&key.as_str()) {
            return Err(format!("the following directives don't match any configuration option: {key}"));
        }
        if flags.contains_key(key) {
            return Err(format!("the following directives are specified both as a flag and in the file: {key}"));
        }
    }
    let mut all = flags.clone();
    all.extend(file);
    Ok(all)
}

impl FakeDocker {
    fn pid(&mut self) -> i64 {
        self.next_pid += 7;
        self.next_pid
    }

    pub(crate) fn live_restore(&self) -> bool {
        self.config.get("live-restore") == Some(&json!(true))
    }

    pub(crate) fn running(&self) -> usize {
        self.containers.iter().filter(|one| one.pid != 0).count()
    }

    pub(crate) fn reset_failed(&mut self) {
        self.starts.clear();
        if self.active == "failed" {
            self.active = "inactive".into();
        }
    }

    /// Whether this file makes it sick in this way.
    fn sickens(&self, how: Sick, config: &Map<String, Value>) -> bool {
        self.sick.is_some_and(|(sick, key)| sick == how && config.contains_key(key))
    }

    fn is_sick(&self, how: Sick) -> bool {
        self.sickens(how, &self.config)
    }

    /// A moment passes.
    pub(crate) fn age(&mut self) {
        if self.active == "active" && self.is_sick(Sick::Loops) {
            self.started += 1;
            self.pid += 1;
        }
    }

    fn kill_all(&mut self) {
        for one in &mut self.containers {
            one.pid = 0;
        }
        self.containers.retain(|one| !one.remove);
    }

    pub(crate) fn stop(&mut self) {
        if self.active != "active" {
            if self.active == "activating" {
                (self.active, self.pid) = ("inactive".into(), 0);
            }
            return;
        }
        if !self.live_restore() {
            self.kill_all();
        }
        self.active = "inactive".into();
        self.pid = 0;
    }

    /// The host goes down, with all that runs on it.
    pub(super) fn power_off(&mut self) {
        self.kill_all();
        self.reset_failed();
        (self.active, self.pid) = ("inactive".into(), 0);
    }

    pub(crate) fn start(&mut self, now: i64, text: Option<&[u8]>) {
        self.starts.retain(|at| now - at < 60_000);
        self.starts.push(now);
        let config = parse(text, &self.flags);
        let fatal = |config: &Map<String, Value>| {
            let off = |key: &str| config.get(key) == Some(&json!(false));
            let on = |key: &str| config.get(key) == Some(&json!(true));
            (off("icc") && off("iptables")) || (self.swarm && on("live-restore"))
        };
        match config {
            Ok(config) if self.sickens(Sick::Hangs, &config) => {
                self.active = "activating".into();
                self.pid = u32::try_from(self.pid()).unwrap_or(1);
                return;
            }
            Ok(config) if self.starts.len() <= 3 && !fatal(&config) => self.config = config,
            _ => {
                self.active = "failed".into();
                self.pid = 0;
                return;
            }
        }
        if !self.live_restore() {
            // What an earlier daemon left running does not survive a start without live-restore.
            self.kill_all();
        }
        if let Some(cluster) = &mut self.cluster {
            cluster.locked = cluster.spec["EncryptionConfig"]["AutoLockManagers"] == true;
        }
        if self.running() == 0 {
            self.icc = self.config.get("icc") != Some(&json!(false));
        }
        for at in 0..self.containers.len() {
            if self.containers[at].pid == 0 && self.containers[at].restarts {
                self.containers[at].pid = self.pid();
            }
        }
        self.active = "active".into();
        self.started += 1;
        self.pid = u32::try_from(self.pid()).unwrap_or(1);
    }

    /// A reload takes the keys that can be reloaded and are there; taking one away changes nothing. Errors stay unseen.
    pub(crate) fn reload(&mut self, text: Option<&[u8]>) {
        let Ok(config) = parse(text, &self.flags) else { return };
        if self.sickens(Sick::Deaf, &config) {
            return;
        }
        for key in RELOADABLE.iter().filter(|key| config.contains_key(**key)) {
            self.config.insert((*key).into(), config[*key].clone());
        }
    }

    pub(crate) fn start_container(&mut self, id: &str) -> bool {
        let pid = self.pid();
        match self.containers.iter_mut().find(|one| one.id == id) {
            Some(one) if one.pid == 0 => one.pid = pid,
            Some(_) => {}
            None => return false,
        }
        true
    }

    fn listed(&self, all: bool) -> Value {
        let shown = self.containers.iter().filter(|one| all || one.pid != 0);
        let of = |one: &FakeContainer| json!({"Id": one.id, "Names": [format!("/{}", one.name)], "State": "running", "Labels": one.labels()});
        shown.map(of).collect()
    }

    fn set(&self, key: &str) -> bool {
        self.config.get(key).is_some_and(|value| *value != json!(false) && *value != json!(""))
    }

    /// The answer to an API path, on top of what was recorded.
    pub(crate) fn answer(&self, path: &str, recorded: Option<&Value>) -> Option<Value> {
        let mut base = recorded.cloned().unwrap_or_else(|| json!({}));
        match path {
            "/info" => self.info(&mut base),
            "/swarm/unlockkey" => return self.cluster.as_ref().map(super::fake_updates::unlock_key),
            "/version" => base["Os"] = "linux".into(),
            "/networks" if self.is_sick(Sick::Bridgeless) => return Some(json!([{"Name": "host"}, {"Name": "none"}])),
            "/networks" if recorded.is_some() => return recorded.cloned(),
            "/networks" => return Some(json!([{"Name": "bridge"}, {"Name": "host"}, {"Name": "none"}])),
            "/networks/bridge" => {
                base["Name"] = "bridge".into();
                base["Options"]["com.docker.network.bridge.enable_icc"] = self.icc.to_string().into();
            }
            "/containers/json" => return Some(self.listed(false)),
            "/containers/json?all=true" | "/containers/json?all=1" => return Some(self.listed(true)),
            // Its data root is another one then, and empty.
            "/images/shop:1/json" => return Some(json!({"Id": "sha256:1"})),
            "/images/json" if self.set("userns-remap") => return Some(json!([])),
            "/volumes" if self.set("userns-remap") => return Some(json!({"Volumes": []})),
            _ => {
                let Some(id) = path.strip_prefix("/containers/").and_then(|rest| rest.strip_suffix("/json")) else {
                    return recorded.cloned();
                };
                let one = self.containers.iter().find(|one| one.id == id)?;
                base["Id"] = one.id.clone().into();
                base["Name"] = format!("/{}", one.name).into();
                base["State"]["Running"] = (one.pid != 0).into();
                base["State"]["Pid"] = one.pid.into();
                one.composed_over(&mut base);
                for (key, value) in &one.updated {
                    base["HostConfig"][key] = value.clone();
                }
                if let Some(networks) = &one.networks {
                    base["NetworkSettings"]["Networks"] = networks.clone().into();
                }
            }
        }
        Some(base)
    }

    fn info(&self, base: &mut Value) {
        base["LiveRestoreEnabled"] = self.live_restore().into();
        base["ContainersRunning"] = self.running().into();
        base["Debug"] = self.set("debug").into();
        base["ExperimentalBuild"] = self.set("experimental").into();
        self.told_swarm(base);
        base["LoggingDriver"] = self.config.get("log-driver").cloned().unwrap_or_else(|| json!("json-file"));
        let plugins = self.config.get("authorization-plugins").filter(|all| **all != json!([]));
        base["Plugins"]["Authorization"] = plugins.cloned().unwrap_or(Value::Null);
        let unsafe_registries = self.config.get("insecure-registries").and_then(Value::as_array);
        for name in unsafe_registries.into_iter().flatten().filter_map(Value::as_str) {
            if name.contains('/') {
                if let Some(networks) = base["RegistryConfig"]["InsecureRegistryCIDRs"].as_array_mut() {
                    networks.push(name.into());
                }
            } else {
                base["RegistryConfig"]["IndexConfigs"][name] = json!({"Name": name, "Secure": false});
            }
        }
        let seccomp = self.config.get("seccomp-profile").and_then(Value::as_str).filter(|name| !name.is_empty());
        let mut options = vec![format!("name=seccomp,profile={}", seccomp.unwrap_or(&self.builtin_seccomp))];
        options.extend(self.set("userns-remap").then(|| "name=userns".to_owned()));
        options
            .extend((self.major >= 24 && self.set("no-new-privileges")).then(|| "name=no-new-privileges".to_owned()));
        options.extend(self.other_options.iter().cloned());
        base["SecurityOptions"] = options.into();
    }
}
