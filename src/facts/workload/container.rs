//! One container, from the Engine's inspection or from its two files in the data root. Both have nearly the same form,
//! and words that we do not know are passed over.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde_json::Value;

use super::compose::ComposeOrigin;
use super::confinement::Confinement;

/// A container, running or not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Container {
    /// Full id, 64 hexadecimal digits.
    pub id: String,
    /// Name without the leading slash.
    pub name: String,
    /// Image as it was asked for.
    pub image: String,
    /// Id of that image.
    pub image_id: String,
    /// When that image was made, seconds since the epoch; `None`: not known, as with the daemon down.
    pub image_created: Option<i64>,
    /// Labels. Their values may be anything: they select, and are never shown.
    pub labels: BTreeMap<String, String>,
    /// Its first process lives (paused and restarting containers count).
    pub running: bool,
    /// That process on the host; 0 when it does not run.
    pub pid: u32,
    /// Name of the restart policy: empty, `no`, `always`, `unless-stopped`, `on-failure`.
    pub restart: String,
    /// How often `on-failure` retries; 0 without limit.
    pub restart_count: i64,
    /// `--rm`: gone once it stops.
    pub auto_remove: bool,
    /// `--privileged`.
    pub privileged: bool,
    /// Mode of each namespace, such as `host`, `container:ID` or empty: network, pid, ipc, uts, cgroup, user.
    pub namespaces: Namespaces,
    /// User that it runs as; empty: root, unless the image says otherwise.
    pub user: String,
    /// Container runtime, such as `runc` or `nvidia`.
    pub runtime: String,
    /// Networks by name, with the addresses it has there.
    pub networks: Vec<(String, Vec<IpAddr>)>,
    /// `--link`: `/OTHER:/NAME/ALIAS`.
    pub links: Vec<String>,
    /// Published ports.
    pub ports: Vec<Port>,
    /// Paths of the host that are mounted into it.
    pub mounts: Vec<String>,
    /// Host devices and device requests (GPUs).
    pub devices: Vec<String>,
    /// Where it comes from, if compose made it.
    pub compose: Option<ComposeOrigin>,
    /// Ids of execs.
    pub execs: Vec<String>,
    /// Command line of the health check; empty: none.
    pub healthcheck: Vec<String>,
    /// When it was created, RFC 3339.
    pub created: String,
    /// When its process ended last, RFC 3339; before the year 2 when it never ran.
    pub finished: String,
    /// `--security-opt`.
    pub security_opts: Vec<String>,
    /// What it was given and what it was denied.
    pub confinement: Confinement,
}

/// Namespace modes of a container, as in its host configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Namespaces {
    /// `NetworkMode`
    pub network: String,
    /// `PidMode`
    pub pid: String,
    /// `IpcMode`
    pub ipc: String,
    /// `UTSMode`
    pub uts: String,
    /// `CgroupnsMode`
    pub cgroup: String,
    /// `UsernsMode`: `host` takes the container out of userns-remap.
    pub user: String,
}

/// A published port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Port {
    /// Address on the host; empty is all of them.
    pub host_ip: String,
    /// Port on the host; 0: one that is chosen when the container starts. The first one of a range.
    pub host_port: u16,
    /// Port in the container and protocol: `80/tcp`.
    pub inside: String,
}

/// What happens to a running container when the daemon stops it and starts again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Return {
    /// Its restart policy brings it back.
    Comes,
    /// `on-failure`: only if it ends with an error, and an orderly stop often is none.
    MayStay,
    /// No restart policy: it stays down.
    Stays,
    /// `--rm`: it is deleted.
    Lost,
}

impl Container {
    /// Reads the Engine's inspection (`GET /containers/ID/json`), or `config.v2.json` with `hostconfig.json` under
    /// `HostConfig`. `None`: it has no id.
    pub fn read(value: &Value) -> Option<Self> {
        let id = [&value["Id"], &value["ID"]].into_iter().find_map(Value::as_str)?.to_owned();
        let config = &value["Config"];
        let host = &value["HostConfig"];
        let state = &value["State"];
        let running = state["Running"].as_bool().unwrap_or(false);
        let name = text(&value["Name"]);
        Some(Self {
            name: if name.is_empty() { short(&id).into() } else { name.trim_start_matches('/').into() },
            image: text(&config["Image"]),
            image_id: text(&value["Image"]),
            image_created: None,
            labels: labels(&config["Labels"]),
            running,
            pid: if running { u32::try_from(state["Pid"].as_u64().unwrap_or(0)).unwrap_or(0) } else { 0 },
            restart: text(&host["RestartPolicy"]["Name"]),
            restart_count: host["RestartPolicy"]["MaximumRetryCount"].as_i64().unwrap_or(0),
            auto_remove: host["AutoRemove"].as_bool().unwrap_or(false),
            privileged: host["Privileged"].as_bool().unwrap_or(false),
            namespaces: Namespaces {
                network: text(&host["NetworkMode"]),
                pid: text(&host["PidMode"]),
                ipc: text(&host["IpcMode"]),
                uts: text(&host["UTSMode"]),
                cgroup: text(&host["CgroupnsMode"]),
                user: text(&host["UsernsMode"]),
            },
            user: text(&config["User"]),
            runtime: text(&host["Runtime"]),
            networks: networks(&value["NetworkSettings"]["Networks"]),
            links: texts(&host["Links"]),
            ports: ports(&value["NetworkSettings"]["Ports"], &host["PortBindings"]),
            mounts: mounts(value),
            devices: devices(host),
            compose: ComposeOrigin::read(&labels(&config["Labels"])),
            execs: texts(&value["ExecIDs"]),
            healthcheck: healthcheck(config),
            created: text(&value["Created"]),
            finished: text(&state["FinishedAt"]),
            security_opts: texts(&host["SecurityOpt"]),
            confinement: Confinement::read(value),
            id,
        })
    }

    /// Whether it is attached to the default bridge, the one that `icc` governs.
    pub fn on_default_bridge(&self) -> bool {
        // Without `Networks` (a container that never started) the mode decides; `default` is `bridge` on Linux.
        self.networks.iter().any(|(name, _)| name == "bridge")
            || self.networks.is_empty() && ["", "default", "bridge"].contains(&self.namespaces.network.as_str())
    }

    /// Namespaces of the host that it shares, such as `pid`; `userns=host` is not among them.
    pub fn host_namespaces(&self) -> Vec<&'static str> {
        // Under userns-remap dockerd or the kernel refuses these, unless the container has userns=host.
        let spaces = &self.namespaces;
        [("network", &spaces.network), ("pid", &spaces.pid), ("ipc", &spaces.ipc), ("uts", &spaces.uts)]
            .into_iter()
            .filter(|(_, mode)| *mode == "host")
            .map(|(name, _)| name)
            .collect()
    }

    /// What a stop and start of the daemon does to it.
    pub fn returns(&self) -> Return {
        match self.restart.as_str() {
            _ if self.auto_remove => Return::Lost,
            "always" | "unless-stopped" => Return::Comes,
            "on-failure" => Return::MayStay,
            _ => Return::Stays,
        }
    }

    /// Whether one of its addresses is this one.
    pub fn has_address(&self, ip: IpAddr) -> bool {
        self.networks.iter().any(|(_, addresses)| addresses.contains(&ip))
    }
}

/// The first twelve digits of an id, as Docker shows it.
pub fn short(id: &str) -> &str {
    let id = id.strip_prefix("sha256:").unwrap_or(id);
    id.get(..12).unwrap_or(id)
}

pub(in crate::facts) fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

pub(in crate::facts) fn texts(value: &Value) -> Vec<String> {
    value.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}

fn networks(value: &Value) -> Vec<(String, Vec<IpAddr>)> {
    let addresses = |network: &Value| {
        ["IPAddress", "GlobalIPv6Address"].iter().filter_map(|key| network[*key].as_str()?.parse().ok()).collect()
    };
    value.as_object().into_iter().flatten().map(|(name, network)| (name.clone(), addresses(network))).collect()
}

/// The ports in force, or those asked for when the container does not run.
fn ports(in_force: &Value, asked: &Value) -> Vec<Port> {
    let source = if in_force.as_object().is_some_and(|map| !map.is_empty()) { in_force } else { asked };
    let mut found = Vec::new();
    for (inside, bindings) in source.as_object().into_iter().flatten() {
        for binding in bindings.as_array().into_iter().flatten() {
            if let Some(host_port) = binding["HostPort"].as_str().and_then(host_port) {
                found.push(Port { host_ip: text(&binding["HostIp"]), host_port, inside: inside.clone() });
            }
        }
    }
    found
}

/// Of a container that does not run also nothing, which lets the daemon choose, or a range to choose from.
fn host_port(text: &str) -> Option<u16> {
    if text.is_empty() { Some(0) } else { text.split('-').next()?.parse().ok() }
}

/// Sources of bind mounts: a list in the Engine's answer, a map in `config.v2.json`; `Binds` for what is not mounted.
fn mounts(value: &Value) -> Vec<String> {
    let listed = value["Mounts"].as_array().into_iter().flatten();
    let mapped = value["MountPoints"].as_object().into_iter().flatten().map(|(_, mount)| mount);
    let mut sources: Vec<String> = listed.chain(mapped).map(|mount| text(&mount["Source"])).collect();
    for bind in texts(&value["HostConfig"]["Binds"]) {
        sources.extend(bind.split(':').next().map(str::to_owned));
    }
    sources.retain(|source| source.starts_with('/'));
    sources.sort_unstable();
    sources.dedup();
    sources
}

fn devices(host: &Value) -> Vec<String> {
    let mut found: Vec<String> =
        host["Devices"].as_array().into_iter().flatten().map(|device| text(&device["PathOnHost"])).collect();
    for request in host["DeviceRequests"].as_array().into_iter().flatten() {
        let driver = text(&request["Driver"]);
        found.push(if driver.is_empty() { "GPU".into() } else { driver });
    }
    // The old way to a GPU: a runtime that adds the devices itself, so that the configuration lists none.
    if host["Runtime"].as_str().is_some_and(|runtime| runtime.contains("nvidia")) && found.is_empty() {
        found.push("nvidia".into());
    }
    found.retain(|device| !device.is_empty());
    found
}

pub(in crate::facts) fn labels(value: &Value) -> BTreeMap<String, String> {
    value.as_object().into_iter().flatten().map(|(key, value)| (key.clone(), text(value))).collect()
}

/// The argument array that dockerd runs for the health check.
fn healthcheck(config: &Value) -> Vec<String> {
    let test = texts(&config["Healthcheck"]["Test"]);
    match test.split_first() {
        Some((kind, rest)) if kind == "CMD" => rest.to_vec(),
        Some((kind, rest)) if kind == "CMD-SHELL" => {
            let mut shell = texts(&config["Shell"]);
            if shell.is_empty() {
                shell = vec!["/bin/sh".into(), "-c".into()];
            }
            shell.extend_from_slice(rest);
            shell
        }
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_inspection_is_read() {
        let container = Container::read(&json!({
            "Id": "ab", "Name": "/web", "Created": "2026-01-01T00:00:00Z", "ExecIDs": ["e1"],
            "State": {"Running": true, "Pid": 77},
            "Config": {"Image": "redis:7", "User": "999", "Healthcheck": {"Test": ["CMD-SHELL", "redis-cli ping"]},
                "Labels": {"com.docker.compose.project": "shop", "com.docker.compose.service": "cache"}},
            "HostConfig": {"RestartPolicy": {"Name": "on-failure", "MaximumRetryCount": 5}, "PidMode": "host",
                "UTSMode": "host", "Links": ["/db:/web/db"], "Binds": ["/srv:/data:ro", "named:/x"],
                "Devices": [{"PathOnHost": "/dev/fuse"}], "DeviceRequests": [{"Driver": "", "Count": -1}]},
            "NetworkSettings": {"Networks": {"bridge": {"IPAddress": "172.17.0.2", "GlobalIPv6Address": ""}},
                "Ports": {"80/tcp": [{"HostIp": "::", "HostPort": "8080"}], "81/tcp": null}},
            "Unheard": {"of": 1},
        }))
        .unwrap();
        assert_eq!((container.name.as_str(), container.pid), ("web", 77));
        assert_eq!(container.healthcheck, ["/bin/sh", "-c", "redis-cli ping"]);
        assert_eq!(container.host_namespaces(), ["pid", "uts"]);
        assert_eq!(container.ports, [Port { host_ip: "::".into(), host_port: 8080, inside: "80/tcp".into() }]);
        assert_eq!(container.mounts, ["/srv"]);
        assert_eq!(container.devices, ["/dev/fuse", "GPU"]);
        assert_eq!(container.returns(), Return::MayStay);
        assert!(container.on_default_bridge() && container.has_address("172.17.0.2".parse().unwrap()));
        let origin = container.compose.unwrap();
        assert_eq!((origin.project.as_str(), origin.service.as_str()), ("shop", "cache"));
    }

    #[test]
    fn ports_of_a_stopped_container_are_what_is_asked_for() {
        let asked = |port: &str| json!({"80/tcp": [{"HostIp": "", "HostPort": port}]});
        let read = |port: &str| ports(&json!({}), &asked(port)).iter().map(|port| port.host_port).collect::<Vec<_>>();
        assert_eq!((read("8080"), read(""), read("8000-8010")), (vec![8080], vec![0], vec![8000]));
        assert!(read("http").is_empty());
    }

    #[test]
    fn what_happens_after_a_stop() {
        let mut container = Container { restart: "always".into(), ..Container::default() };
        assert_eq!(container.returns(), Return::Comes);
        container.restart = "no".into();
        assert_eq!(container.returns(), Return::Stays);
        container.auto_remove = true;
        assert_eq!(container.returns(), Return::Lost);
    }

    #[test]
    fn no_id_no_container() {
        assert_eq!(Container::read(&json!({"Name": "/web"})), None);
    }
}
