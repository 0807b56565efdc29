//! Closed values of an entry in words: how it is decided, what an edit writes, what a hazard means.

use serde_json::Value;

use super::entry::{Branch, Builtin, Check, Edit, Entry, Expect, Hazard, Object, Support};
use super::rule::{ComposeEdit, ContainerSetting, Namespace, SwarmSetting};
use super::rule_words::{holds, stopped};
use super::stock_words::{image_words, swarm_words};

/// How the verdict is decided, in one or two sentences.
#[must_use]
pub fn decision(entry: &Entry) -> String {
    match &entry.check {
        Check::DaemonSetting { key, expect } => format!(
            "The daemon's setting `{key}` {}. What counts is what is in force: what the Engine API reports where it does, \
             else the running daemon's flags, daemon.json, and the default, in this order. Written but not in force yet \
             is `pending`.",
            expected(expect)
        ),
        Check::AuditWatch { object, also, perm } => {
            let objects: Vec<String> = std::iter::once(object).chain(also).map(place).collect();
            format!(
                "The kernel's audit rules watch {}, as found on this host, for at least {}. A rule that covers the \
                 directory above counts. Where there is no such object the check does not apply.",
                objects.join(" and "),
                permissions(perm)
            )
        }
        Check::FileAccess { object, owner, group, mode } => {
            let mut parts = Vec::new();
            parts.extend(owner.as_ref().map(|owner| format!("belongs to {owner}")));
            parts.extend(group.as_ref().map(|group| match group.as_str() {
                "root" => "to the group root".to_owned(),
                other => format!("to the group {other} (or root, which is stricter)"),
            }));
            parts.extend(mode.as_ref().map(|mode| format!("has no permission bit beyond {mode}")));
            format!(
                "As found on this host, {} {}. Where it does not exist the check does not apply.",
                place(object),
                parts.join(" and ")
            )
        }
        Check::Environment { name, value } => {
            format!(
                "`/etc/environment` sets {name} to `{value}`. It is read at a login, so the sessions that are open say nothing."
            )
        }
        Check::Attest { look_at, images: false, .. } => {
            format!("By a person, who looks at {look_at}. The verdict is always `manual`.")
        }
        Check::Attest { look_at, images: true, registries } => {
            let listed = if *registries {
                " Where the site lists its registries (`[[registries]]` in its config), an image in use that was pulled \
                 from elsewhere fails."
            } else {
                ""
            };
            format!(
                "By a person, who looks at {look_at}. The verdict is `manual` and names the images that containers \
                 use. Where there is no image the check does not apply.{listed}"
            )
        }
        Check::Container(rule) => format!("Each container {}. {}", holds(rule), stopped(rule)),
        Check::Image(rule) => format!(
            "{} Images that have a name or that a container uses are judged, each for itself; others are leftovers of \
             builds.",
            image_words(*rule)
        ),
        Check::Swarm(rule) => swarm_words(*rule).to_owned(),
        Check::Builtin(builtin) => builtin_decision(*builtin, entry),
    }
}

fn expected(expect: &Expect) -> String {
    let list = |values: &[Value]| values.iter().map(|value| format!("`{value}`")).collect::<Vec<_>>().join(", ");
    match expect {
        Expect::Equals(value) => format!("has to be `{value}`"),
        Expect::OneOf(values) if values.len() == 1 => format!("has to be {}", list(values)),
        Expect::OneOf(values) => format!("has to be one of {}", list(values)),
        Expect::NoneOf(values) => format!("must not be {}", list(values)),
        Expect::NonEmpty => "has to be set".to_owned(),
        Expect::Empty => "must not be set".to_owned(),
        Expect::NoPrefix(prefix) => format!("must not have an element that begins with `{prefix}`"),
    }
}

fn builtin_decision(builtin: Builtin, entry: &Entry) -> String {
    let text = match builtin {
        Builtin::DataRootMount => "The data root lies on another device than the root file system.",
        Builtin::DockerGroup => "The group docker has no members, counting those whose primary group it is.",
        Builtin::EngineVersion => return releases(entry),
        Builtin::Rootless => "The engine says that it is rootless.",
        Builtin::InsecureRegistries => {
            "The engine lists no registry as insecure, beyond the loopback addresses that it always has."
        }
        Builtin::StorageAufs => "The engine's storage driver is not aufs.",
        Builtin::StorageDevicemapper => "The engine's storage driver is not devicemapper.",
        Builtin::TlsListener => {
            "The daemon's process listens on no TCP address, or `tlsverify` is in force and its three files exist."
        }
        Builtin::ImageSprawl => {
            "Each image is used by a container, running or not. Otherwise the verdict is `manual`, with the counts: \
             what is kept for later only a person knows."
        }
        Builtin::ContainerSprawl => {
            "Each container runs. Otherwise the verdict is `manual`, and says since when each one does not."
        }
        Builtin::UserNamespaces => "The engine says that it remaps user namespaces, or that it is rootless.",
        Builtin::CentralLogging => "The engine's log driver sends logs away from this host, and its address is set.",
        Builtin::DaemonConfig => "daemon.json can be read by dockerd, and none of its keys is also a flag of the unit.",
        Builtin::AuditNeverTask => "no file of the audit rules has the rule `-a never,task`.",
        Builtin::Auditd => "auditd is installed, its service is enabled and running, and the kernel takes rules.",
        Builtin::AuditRulesLoad => "Every rule in rules.d is in the list that the kernel gives.",
    };
    text.to_owned()
}

fn releases(entry: &Entry) -> String {
    let Some(releases) = &entry.releases else { return String::new() };
    let branch = |branch: &Branch| {
        let support = match branch.support {
            Support::Current => "current",
            Support::Previous => "previous",
        };
        format!("{} ({support}, newest {})", branch.major, branch.latest)
    };
    let branches: Vec<String> = releases.branches.iter().map(branch).collect();
    format!("The engine's version belongs to a branch that got fixes on {}: {}.", releases.as_of, branches.join(", "))
}

/// What an edit writes, in one line.
#[must_use]
pub fn written(edit: &Edit) -> String {
    match edit {
        Edit::DaemonSetting { key, value: Some(value) } => {
            format!("`\"{key}\": {value}` in daemon.json, or in the place of the flag that sets it now")
        }
        Edit::DaemonSetting { key, value: None } => {
            format!("`\"{key}\"` in daemon.json with a value that you give: in `[values]` of the config, or when asked")
        }
        Edit::DaemonSettingRemove { key } => {
            format!("takes `{key}` away from daemon.json or from the flags, so that the default holds")
        }
        Edit::AuditWatch { object, perm } => {
            format!(
                "a rule `-w PATH -p {perm} -k docker` for {} in /etc/audit/rules.d/50-seaworthy-docker.rules",
                place(object)
            )
        }
        Edit::FileAccess { object, owner, group, mode } => {
            let mut parts = Vec::new();
            if owner.is_some() || group.is_some() {
                let name = |name: &Option<String>| name.clone().unwrap_or_default();
                parts.push(format!("owner {}:{}", name(owner), name(group)));
            }
            parts.extend(mode.as_ref().map(|mode| format!("the old mode AND {mode}")));
            format!("{} for {}", parts.join(", "), place(object))
        }
        Edit::Environment { name, value } => format!("`{name}={value}` in /etc/environment"),
        Edit::AuditNeverTask => "the rule `-a never,task` goes from the files that have it".to_owned(),
        Edit::Auditd => "the package auditd, its service enabled and started: whichever is missing".to_owned(),
        Edit::Compose(edit) if edit.is_kept_live() => {
            format!("{} in the compose file that the container comes from", composed(*edit))
        }
        Edit::Compose(edit) => format!(
            "{} in the compose file that the container comes from; with `--recreate` the container is made anew from it",
            composed(*edit)
        ),
        Edit::Container(ContainerSetting::Network) => {
            format!("{}, while it runs (`docker network connect` and `disconnect`)", updated(ContainerSetting::Network))
        }
        Edit::Container(setting) => format!("{}, while it runs (`docker update`)", updated(*setting)),
        Edit::Swarm(setting) => format!("{} (`docker swarm update`, on a manager)", of_swarm(*setting)),
    }
}

/// What is changed in a swarm.
fn of_swarm(setting: SwarmSetting) -> &'static str {
    match setting {
        SwarmSetting::Autolock => {
            "the swarm's autolock: on, with its unlock key in the file that `unlock-key-file` in `[values.swarm]` of \
             the config names, for root alone"
        }
        SwarmSetting::CertExpiry => {
            "for how long certificates of nodes are good: `cert-expiry` in `[values.swarm]` of the config"
        }
    }
}

/// What is changed in a container.
fn updated(setting: ContainerSetting) -> &'static str {
    match setting {
        ContainerSetting::Memory => {
            "each container's limit of memory and swap: your value in `[values.containers]` of the config, else twice \
             what it has taken at most, once you accept that"
        }
        ContainerSetting::Cpus => "each container's share of the processors: your value in `[values.containers]`",
        ContainerSetting::PidsLimit => {
            "each container's limit of processes: your value in `[values.containers]` of the config, else twice what \
             it has had at most, once you accept that"
        }
        ContainerSetting::RestartPolicy => "each container's restart policy: `on-failure:5`",
        ContainerSetting::Network => {
            "each container's network: `network` in `[values.containers]` of the config in place of the default bridge"
        }
    }
}

/// What is written into a compose file.
fn composed(edit: ComposeEdit) -> String {
    let text = match edit {
        ComposeEdit::Apparmor => "no `apparmor=unconfined`",
        ComposeEdit::Capabilities => {
            "`cap_drop: [ALL]` and your `capabilities` of `[values.compose]` in `cap_add`, else `cap_drop: [NET_RAW]` \
             and nothing beyond the default in `cap_add`, once you accept that,"
        }
        ComposeEdit::Capability(which) => return format!("no {} in `cap_add`", which.name()),
        ComposeEdit::CgroupParent => "no `cgroup_parent`",
        ComposeEdit::Cpus => "the same as `cpus`",
        ComposeEdit::DefaultBridge => "no `network_mode: bridge`",
        ComposeEdit::Devices => "none of the dangerous `devices`",
        ComposeEdit::Healthcheck => "your `healthcheck` of `[values.compose]`",
        ComposeEdit::HostNamespace(which) => match which {
            Namespace::Network => "no `network_mode: host`",
            Namespace::Pid => "no `pid: host`",
            Namespace::Ipc => "no `ipc: host`",
            Namespace::Uts => "no `uts: host`",
            Namespace::User => "no `userns_mode: host`",
        },
        ComposeEdit::Memory => "the same as `mem_limit`",
        ComposeEdit::NoNewPrivileges => "`no-new-privileges:true` in `security_opt`",
        ComposeEdit::PidsLimit => "the same as `pids_limit`",
        ComposeEdit::PrivateMounts => "`rprivate` for `shared` mounts",
        ComposeEdit::Privileged => "no `privileged`, and your `capabilities` of `[values.compose]` in `cap_add`,",
        ComposeEdit::Ports => {
            "your `address` of `[values.compose]` for published ports, else 127.0.0.1 once you accept it,"
        }
        ComposeEdit::ReadOnlyMounts => "`:ro` for mounts of what the host lives by",
        ComposeEdit::ReadOnlyRoot => {
            "`read_only: true` and `tmpfs` for your paths of `[values.compose]`, else /tmp and /run once you accept them,"
        }
        ComposeEdit::RestartPolicy => "the same as `restart`",
        ComposeEdit::Seccomp => "no `seccomp=unconfined`",
        ComposeEdit::Selinux => "no `label=disable`",
        ComposeEdit::User => "your `user` of `[values.compose]`",
    };
    text.to_owned()
}

fn permissions(perm: &str) -> &'static str {
    if perm.contains('x') {
        "writes, changes of owner or mode, and executions"
    } else {
        "writes and changes of owner or mode"
    }
}

/// The hazard's name in reports and on the command line.
#[must_use]
pub fn hazard_name(hazard: Hazard) -> String {
    word(&hazard)
}

/// The hazard in one sentence.
#[must_use]
pub fn meaning(hazard: Hazard) -> &'static str {
    match hazard {
        Hazard::HidesImages => "images, containers or volumes that exist would be out of sight.",
        Hazard::BreaksStartup => "the daemon or a container would not start any more.",
        Hazard::Swarm => "this host is a node of a swarm, and the daemon's next start would fail.",
        Hazard::StopsContainers => {
            "containers would stop at a restart of the daemon or not come back after one, or have to be made anew."
        }
        Hazard::Interrupts => "a restart would cut connections, execs, builds or services that run now.",
        Hazard::LosesDevices => "running containers would lose their GPU or other devices.",
        Hazard::CutsTraffic => "traffic that flows today would stop.",
        Hazard::DropsPrivilege => "processes in containers have gained privileges, and new ones could not any more.",
        Hazard::CutsAccess => "somebody who uses the socket today would be locked out.",
        Hazard::BreaksPulls => "the Docker client here is older than 29, and pulls of unsigned images would fail.",
        Hazard::Inert => "the Docker client here is 29 or later, and the fix would have no effect.",
        Hazard::ForeignOwner => "something else keeps this file and would overwrite the change.",
        Hazard::VendorCommand => "a packaged unit's command line would have to be copied and would miss its updates.",
        Hazard::NeedsValue => "somebody has to choose a value.",
    }
}

/// The object, with the place where it usually is: each host is asked where it really is.
#[must_use]
pub fn place(object: &Object) -> String {
    let name = match object {
        Object::Path(path) => return path.clone(),
        Object::Named(name) => name.as_str(),
    };
    match name {
        "dockerd" => "the program dockerd (usually /usr/bin/dockerd)",
        "docker-client" => "the Docker client (usually /usr/bin/docker)",
        "containerd" => "the program containerd (usually /usr/bin/containerd)",
        "containerd-shim" => "the program containerd-shim",
        "containerd-shim-runc-v1" => "the program containerd-shim-runc-v1",
        "containerd-shim-runc-v2" => "the program containerd-shim-runc-v2",
        "runc" => "the program runc (usually /usr/bin/runc)",
        "run-containerd" => "/run/containerd",
        "data-root" => "the data root (usually /var/lib/docker)",
        "etc-docker" => "/etc/docker",
        "docker-service" => "the unit docker.service",
        "docker-socket-unit" => "the unit docker.socket",
        "docker-socket" => "the Docker socket (usually /run/docker.sock)",
        "containerd-socket" => "containerd's socket (usually /run/containerd/containerd.sock)",
        "default-docker" => "/etc/default/docker",
        "daemon-json" => "daemon.json (usually /etc/docker/daemon.json)",
        "containerd-config" => "containerd's configuration (/etc/containerd/config.toml)",
        "sysconfig-docker" => "/etc/sysconfig/docker",
        "registry-certs" => "each *.crt and *.cert below /etc/docker/certs.d",
        "registry-keys" => "each *.key below /etc/docker/certs.d",
        "tls-ca" => "the daemon's CA certificate (`tlscacert`)",
        "tls-cert" => "the daemon's certificate (`tlscert`)",
        "tls-key" => "the daemon's private key (`tlskey`)",
        other => other,
    }
    .to_owned()
}

/// The kebab-case word under which a closed value is written everywhere.
pub(super) fn word(value: &impl serde::Serialize) -> String {
    serde_json::to_value(value).ok().and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
}
