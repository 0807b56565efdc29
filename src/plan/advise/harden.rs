//! What failing checks ask for, in a container's own words: its inspection, changed.

use serde_json::{Value, json};

use super::line::Line;
use crate::audit::is_usual_capability;
use crate::catalog::{ContainerRule as Rule, ContainerSetting, Namespace};
use crate::facts::{Container, Facts};
use crate::plan::live::LiveState;

/// What is written to where the root file system is read-only: what nearly every program takes for granted.
const WRITABLE: [&str; 2] = ["/tmp", "/run"];
/// Ports from here on need no privilege.
const FIRST_FREE: u16 = 1024;

/// One container and how it is to be.
pub(super) struct Hardened<'a> {
    pub(super) facts: &'a Facts,
    pub(super) container: &'a Container,
    /// The inspection, which is changed.
    pub(super) value: &'a mut Value,
    pub(super) line: &'a mut Line,
}

impl Hardened<'_> {
    /// Does what a failing check asks for. `limit`: the value for a limit, where one is known. Whether it can be done.
    pub(super) fn take(&mut self, rule: &Rule, limit: Option<&LiveState>) -> bool {
        match rule {
            Rule::Privileged => self.unprivileged(),
            Rule::Capabilities | Rule::Capability(_) => {
                self.unprivileged();
                self.capabilities();
            }
            Rule::Devices => {
                let given = !self.container.devices.is_empty() || !self.container.confinement.device_rules.is_empty();
                if given || !self.container.privileged {
                    return false;
                }
                self.unprivileged();
            }
            Rule::Apparmor => self.confine("apparmor=unconfined"),
            Rule::Seccomp => self.confine("seccomp=unconfined"),
            Rule::Selinux => self.confine("label=disable"),
            Rule::NoNewPrivileges => {
                self.security(|option| !option.starts_with("no-new-privileges"));
                self.push("SecurityOpt", json!("no-new-privileges"));
            }
            Rule::CgroupParent => self.host("CgroupParent", Value::Null),
            Rule::ReadOnly => self.read_only(),
            Rule::SharedPropagation => self.private(),
            Rule::HostNamespace(which) => return self.own_namespace(*which),
            Rule::DefaultBridge => self.own_network(),
            Rule::WildcardPorts => self.chosen_addresses(),
            Rule::PrivilegedPorts => self.free_ports(),
            Rule::User => {
                let what = "user and group that it runs as, such as 1000:1000; they need what it mounts";
                self.value["Config"]["User"] = json!(self.line.choose("USER_ID", what));
            }
            Rule::Healthcheck => {
                let what = "what tells whether it is well, such as `wget -q --spider http://localhost/`";
                let test = self.line.choose("HEALTH_COMMAND", what);
                self.value["Config"]["Healthcheck"] = json!({ "Test": ["CMD-SHELL", test] });
            }
            Rule::Memory | Rule::PidsLimit | Rule::Cpu | Rule::RestartPolicy => self.limit(rule, limit),
            _ => return false,
        }
        true
    }

    fn host(&mut self, key: &str, value: Value) {
        self.value["HostConfig"][key] = value;
    }

    fn push(&mut self, key: &str, value: Value) {
        match &mut self.value["HostConfig"][key] {
            Value::Array(all) => all.push(value),
            other => *other = json!([value]),
        }
    }

    /// Keeps the security options that are wanted. Before 1.11 a colon stood where `=` stands.
    fn security(&mut self, keep: impl Fn(&str) -> bool) {
        if let Some(all) = self.value["HostConfig"]["SecurityOpt"].as_array_mut() {
            all.retain(|option| option.as_str().is_none_or(|text| keep(&text.replacen(':', "=", 1))));
        }
    }

    fn confine(&mut self, off: &str) {
        self.unprivileged();
        self.security(|option| option != off);
    }

    /// Its label too: dockerd switches it off with the privilege.
    fn unprivileged(&mut self) {
        if !self.container.privileged {
            return;
        }
        self.host("Privileged", json!(false));
        self.security(|option| option != "label=disable");
        self.line.note("it loses all that the privilege gave it: what it needs of that is given by name, with `--cap-add` and `--device`");
    }

    fn capabilities(&mut self) {
        let confinement = &self.container.confinement;
        let kept: Vec<&String> = confinement.cap_add.iter().filter(|name| is_usual_capability(name)).collect();
        let all_dropped = confinement.cap_drop.iter().any(|name| name == "ALL");
        let lost: Vec<&str> =
            confinement.cap_add.iter().filter(|name| !is_usual_capability(name)).map(String::as_str).collect();
        if !lost.is_empty() {
            let lost = lost.join(", ");
            self.line.note(&format!("it loses {lost}: where it cannot do without, accept that and give it back"));
        }
        let mut drop = confinement.cap_drop.clone();
        // As another user from its start on, and without any now: it never had one.
        let process = self.facts.workload.first_process(self.container).ok();
        let root = ["", "root", "0"].contains(&self.container.user.split(':').next().unwrap_or_default());
        if !root && kept.is_empty() && process.is_some_and(|process| process.capabilities == 0) {
            drop = vec!["ALL".into()];
        } else if !all_dropped && !drop.iter().any(|name| name == "NET_RAW") {
            drop.push("NET_RAW".into());
            self.line.note("better: `--cap-drop ALL`, and `--cap-add` for what it turns out to miss");
        }
        let (kept, drop) = (json!(kept), json!(drop));
        self.host("CapAdd", kept);
        self.host("CapDrop", drop);
    }

    fn read_only(&mut self) {
        self.host("ReadonlyRootfs", json!(true));
        let mounted = |path: &str| self.container.confinement.mounts.iter().any(|mount| mount.destination == path);
        let new: Vec<&str> = WRITABLE.into_iter().filter(|path| !mounted(path)).collect();
        let tmpfs = &mut self.value["HostConfig"]["Tmpfs"];
        if !tmpfs.is_object() {
            *tmpfs = json!({});
        }
        for path in new.into_iter().filter(|path| tmpfs.get(*path).is_none()).collect::<Vec<_>>() {
            tmpfs[path] = json!("");
        }
        let name = &self.container.name;
        self.line.note(&format!("`docker diff {name}` tells what else it writes: give it a volume or `--tmpfs` there"));
    }

    fn private(&mut self) {
        let shared = |option: &str| ["shared", "rshared"].contains(&option);
        for bind in self.value["HostConfig"]["Binds"].as_array_mut().into_iter().flatten() {
            let Some(text) = bind.as_str() else { continue };
            let mut parts: Vec<String> = text.splitn(3, ':').map(str::to_owned).collect();
            if let Some(options) = parts.get_mut(2) {
                *options = options.split(',').filter(|option| !shared(option)).collect::<Vec<_>>().join(",");
            }
            parts.retain(|part| !part.is_empty());
            *bind = json!(parts.join(":"));
        }
        for mount in self.value["HostConfig"]["Mounts"].as_array_mut().into_iter().flatten() {
            if mount["BindOptions"]["Propagation"].as_str().is_some_and(shared) {
                mount["BindOptions"]["Propagation"] = json!("");
            }
        }
    }

    /// Only its own mode: what it has of another container is that one's.
    fn own_namespace(&mut self, which: Namespace) -> bool {
        let spaces = &self.container.namespaces;
        let (mode, key) = match which {
            Namespace::Network => (&spaces.network, "NetworkMode"),
            Namespace::Pid => (&spaces.pid, "PidMode"),
            Namespace::Ipc => (&spaces.ipc, "IpcMode"),
            Namespace::Uts => (&spaces.uts, "UTSMode"),
            Namespace::User => (&spaces.user, "UsernsMode"),
        };
        if mode != "host" {
            return false;
        }
        self.host(key, Value::Null);
        // dockerd switches the label off with these two (`generateSecurityOpt` in moby's `daemon/create.go`).
        if matches!(which, Namespace::Pid | Namespace::Ipc) {
            self.security(|option| option != "label=disable");
        }
        // The host's name, which it got without asking.
        if matches!(which, Namespace::Network | Namespace::Uts) {
            self.value["Config"]["Hostname"] = Value::Null;
        }
        if which == Namespace::Network {
            self.own_network();
            self.line.note("what it listens on is no longer open on the host: add `--publish` for what it serves");
        }
        true
    }

    fn own_network(&mut self) {
        let networks = &mut self.value["NetworkSettings"]["Networks"];
        let names: Vec<String> = networks.as_object().into_iter().flatten().map(|(name, _)| name.clone()).collect();
        let other = names.iter().find(|name| !["bridge", "host"].contains(&name.as_str())).cloned();
        if let Some(all) = networks.as_object_mut() {
            all.retain(|name, _| !["bridge", "host"].contains(&name.as_str()));
        }
        let network = other.unwrap_or_else(|| {
            self.line
                .choose("NETWORK", "a network made for it and those that it talks to: `docker network create NAME`")
        });
        self.host("NetworkMode", json!(network));
    }

    fn chosen_addresses(&mut self) {
        // Of all that the image names, there is no address to choose: each by itself.
        if self.value["HostConfig"]["PublishAllPorts"] == json!(true) {
            self.host("PublishAllPorts", json!(false));
            let exposed = self.value["Config"]["ExposedPorts"].clone();
            if !self.value["HostConfig"]["PortBindings"].is_object() {
                self.host("PortBindings", json!({}));
            }
            for (port, _) in exposed.as_object().into_iter().flatten() {
                let bound = &mut self.value["HostConfig"]["PortBindings"][port];
                if !bound.is_array() {
                    *bound = json!([{ "HostIp": "", "HostPort": "" }]);
                }
            }
        }
        let address = self.line.choose("ADDRESS", "address of this host that its ports are for, such as 127.0.0.1");
        for bindings in self.bindings() {
            for binding in bindings.iter_mut() {
                if ["", "0.0.0.0", "::"].contains(&binding["HostIp"].as_str().unwrap_or_default()) {
                    binding["HostIp"] = json!(address);
                }
            }
            // Both families had one each.
            let mut seen: Vec<Value> = Vec::new();
            bindings.retain(|binding| {
                let new = !seen.contains(binding);
                seen.push(binding.clone());
                new
            });
        }
    }

    fn free_ports(&mut self) {
        let mut ports = Vec::new();
        for bindings in self.bindings() {
            for binding in bindings.iter_mut() {
                let port = binding["HostPort"].as_str().and_then(|port| port.parse::<u16>().ok());
                if let Some(port) = port.filter(|port| (1..FIRST_FREE).contains(port)) {
                    binding["HostPort"] = json!(super::quote::ask(&format!("PORT_{port}")));
                    ports.push(port);
                }
            }
        }
        for port in ports {
            self.line.choose(&format!("PORT_{port}"), format!("a port from {FIRST_FREE} up in place of {port}"));
        }
    }

    fn bindings(&mut self) -> impl Iterator<Item = &mut Vec<Value>> {
        let all = self.value["HostConfig"]["PortBindings"].as_object_mut();
        all.into_iter().flat_map(|all| all.values_mut()).filter_map(Value::as_array_mut)
    }

    fn limit(&mut self, rule: &Rule, limit: Option<&LiveState>) {
        match (limit, rule) {
            (Some(LiveState::Memory { limit, swap }), _) => {
                self.host("Memory", json!(limit));
                self.host("MemorySwap", json!(swap));
            }
            (Some(LiveState::PidsLimit { limit }), _) => self.host("PidsLimit", json!(limit)),
            (Some(LiveState::Cpus { quota, period }), _) => {
                self.host("CpuQuota", json!(quota));
                self.host("CpuPeriod", json!(period));
            }
            (Some(LiveState::RestartPolicy { name, retries }), _) => {
                self.host("RestartPolicy", json!({ "Name": name, "MaximumRetryCount": retries }));
            }
            (None, Rule::Memory) => self.ask("memory", "MEMORY", "the most memory that it may take, such as 512m"),
            (None, Rule::PidsLimit) => self.ask("pids-limit", "PIDS_LIMIT", "processes and threads, such as 200"),
            (None, Rule::Cpu) => self.ask("cpus", "CPUS", "processors that it may use, such as 1.5"),
            // No limits.
            (
                Some(LiveState::Networks { .. } | LiveState::CertExpiry { .. } | LiveState::Autolock { .. }) | None,
                _,
            ) => {}
        }
    }

    fn ask(&mut self, option: &str, name: &str, what: &str) {
        let value = self.line.choose(name, what);
        self.line.option(option, value);
    }
}

/// Which limit a rule is about.
pub(super) fn setting(rule: &Rule) -> Option<ContainerSetting> {
    match rule {
        Rule::Memory => Some(ContainerSetting::Memory),
        Rule::PidsLimit => Some(ContainerSetting::PidsLimit),
        Rule::Cpu => Some(ContainerSetting::Cpus),
        Rule::RestartPolicy => Some(ContainerSetting::RestartPolicy),
        _ => None,
    }
}
