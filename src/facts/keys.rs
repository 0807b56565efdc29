//! The keys of daemon.json that seaworthy reads or writes: their flags, types, defaults, and whether dockerd applies
//! them on SIGHUP.
//!
//! Sources: moby `daemon/config`, `cmd/dockerd/config.go`, `daemon/reload.go`, tags 20.10 to 29.

use serde_json::{Value, json};

/// The type of a key's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// `true` or `false`; as a flag also bare.
    Bool,
    /// Text.
    Text,
    /// A list of texts; the flag repeats.
    List,
    /// Name to value; the flag repeats as `NAME=VALUE`.
    Map,
}

/// A key of daemon.json.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// Name in daemon.json.
    pub name: &'static str,
    /// The same as a flag, every spelling.
    pub flags: &'static [&'static str],
    /// Type.
    pub shape: Shape,
    /// Applied on SIGHUP; everything else needs a restart. Authorization plugins would be too, but a plugin that does
    /// not answer then makes dockerd exit: they go with a restart, which is watched.
    pub reload: bool,
}

const fn key(name: &'static str, flags: &'static [&'static str], shape: Shape, reload: bool) -> Key {
    Key { name, flags, shape, reload }
}

/// Every key that a check reads or a remediation writes, and those of the cross-key rules.
pub const KEYS: &[Key] = &[
    key("icc", &["--icc"], Shape::Bool, false),
    key("log-level", &["--log-level", "-l"], Shape::Text, false),
    key("debug", &["--debug", "-D"], Shape::Bool, true),
    key("iptables", &["--iptables"], Shape::Bool, false),
    key("ip6tables", &["--ip6tables"], Shape::Bool, false),
    key("ipv6", &["--ipv6"], Shape::Bool, false),
    key("insecure-registries", &["--insecure-registry"], Shape::List, true),
    key("storage-driver", &["--storage-driver", "-s"], Shape::Text, false),
    key("storage-opts", &["--storage-opt"], Shape::List, false),
    key("hosts", &["--host", "-H"], Shape::List, false),
    key("tls", &["--tls"], Shape::Bool, false),
    key("tlsverify", &["--tlsverify"], Shape::Bool, false),
    key("tlscacert", &["--tlscacert"], Shape::Text, false),
    key("tlscert", &["--tlscert"], Shape::Text, false),
    key("tlskey", &["--tlskey"], Shape::Text, false),
    key("default-ulimits", &["--default-ulimit"], Shape::Map, false),
    key("userns-remap", &["--userns-remap"], Shape::Text, false),
    key("cgroup-parent", &["--cgroup-parent"], Shape::Text, false),
    key("authorization-plugins", &["--authorization-plugin"], Shape::List, false),
    key("log-driver", &["--log-driver"], Shape::Text, false),
    key("log-opts", &["--log-opt"], Shape::Map, false),
    key("no-new-privileges", &["--no-new-privileges"], Shape::Bool, false),
    key("live-restore", &["--live-restore"], Shape::Bool, true),
    key("userland-proxy", &["--userland-proxy"], Shape::Bool, false),
    key("seccomp-profile", &["--seccomp-profile"], Shape::Text, false),
    key("experimental", &["--experimental"], Shape::Bool, false),
    key("selinux-enabled", &["--selinux-enabled"], Shape::Bool, false),
    key("features", &["--feature"], Shape::Map, true),
    key("group", &["--group", "-G"], Shape::Text, false),
    key("data-root", &["--data-root", "--graph", "-g"], Shape::Text, false),
    key("containerd", &["--containerd"], Shape::Text, false),
    key("registry-mirrors", &["--registry-mirror"], Shape::List, true),
    key("labels", &["--label"], Shape::List, true),
    key("dns", &["--dns"], Shape::List, false),
    key("exec-opts", &["--exec-opt"], Shape::List, false),
    key("default-address-pools", &["--default-address-pool"], Shape::List, false),
    key("config-file", &["--config-file"], Shape::Text, false),
    key("pidfile", &["--pidfile", "-p"], Shape::Text, false),
];

/// A key by name.
pub fn find(name: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.name == name)
}

/// The default of a key, as dockerd documents it; `null` where it has none.
pub fn default(name: &str) -> Value {
    match name {
        "icc" | "iptables" | "ip6tables" | "userland-proxy" => json!(true),
        "log-level" => json!("info"),
        "log-driver" => json!("json-file"),
        "seccomp-profile" => json!("builtin"),
        "debug" | "live-restore" | "no-new-privileges" | "experimental" | "tls" | "tlsverify" | "ipv6"
        | "selinux-enabled" => json!(false),
        "userns-remap" | "cgroup-parent" => json!(""),
        "group" => json!("docker"),
        "insecure-registries" | "storage-opts" | "authorization-plugins" | "hosts" => json!([]),
        "default-ulimits" | "log-opts" => json!({}),
        "data-root" => json!("/var/lib/docker"),
        _ => Value::Null,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn live_restore_reloads_and_icc_does_not() {
        assert!(find("live-restore").is_some_and(|k| k.reload));
        assert!(find("icc").is_some_and(|k| !k.reload));
    }

    #[test]
    fn no_flag_belongs_to_two_keys() {
        let mut all: Vec<_> = KEYS.iter().flat_map(|k| k.flags).collect();
        let count = all.len();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), count);
    }
}
