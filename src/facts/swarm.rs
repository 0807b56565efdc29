//! This node's swarm. Its settings come with `GET /info`, so that nobody has to read `GET /swarm`, which holds the
//! tokens that let a node join.

use std::net::SocketAddr;
use std::path::Path;

use serde_json::Value;

use super::model::{Daemon, Known, Unknown};
use super::workload::{Swarm, known, sockets, text};
use crate::host::Host;

/// The manager's API, and what nodes tell each other (TCP and UDP). 4789/udp, over which the data of overlay networks
/// goes, is a socket of the kernel's that is always open on all addresses **[m, 26.1.5]**.
const PORTS: &[u16] = &[2377, 7946];

/// This node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// `active`, or `pending`, `locked`, `error`.
    pub state: String,
    /// What its error is, if it has one.
    pub error: String,
    /// Whether it manages the swarm; the others can tell nothing about it.
    pub manager: bool,
    /// The address that other nodes reach it by.
    pub address: String,
    /// Where the ports of the swarm are open here.
    pub open: Known<Vec<(SocketAddr, &'static str)>>,
    /// What a manager knows; `None` on other nodes.
    pub cluster: Option<Known<Cluster>>,
}

/// A swarm as its managers know it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cluster {
    /// Number of managers.
    pub managers: u64,
    /// Number of nodes, managers too.
    pub nodes: u64,
    /// Managers have to be unlocked after a restart.
    pub autolock: bool,
    /// For how long the certificate of a node is good, in seconds.
    pub cert_expiry: u64,
    /// How often a new root certificate was asked for.
    pub root_rotations: u64,
    /// When it was made, RFC 3339.
    pub created: String,
    /// Names of its secrets.
    pub secrets: Known<Vec<String>>,
    /// Names of its services.
    pub services: Known<Vec<String>>,
}

/// Reads the swarm. `socket`: of the Engine, when it runs.
pub(super) fn gather(
    host: &dyn Host,
    socket: Option<&Path>,
    daemon: &Daemon,
    swarm: &Known<Swarm>,
    needed: bool,
) -> Known<Option<Node>> {
    if !needed || swarm.as_ref().map_err(Clone::clone)? == &Swarm::Inactive {
        return Ok(None);
    }
    let socket = socket.ok_or_else(|| Unknown("the swarm is read only while docker runs".into()))?;
    let swarm = &daemon.info.as_ref().map_err(Clone::clone)?["Swarm"];
    let manager = swarm["ControlAvailable"].as_bool().unwrap_or(false);
    let open = match &daemon.running {
        Ok(Some(running)) => sockets::open(host, running.pid, PORTS),
        Ok(None) => Err(Unknown("docker.service is not running".into())),
        Err(why) => Err(why.clone()),
    };
    Ok(Some(Node {
        state: text(&swarm["LocalNodeState"]),
        error: text(&swarm["Error"]),
        manager,
        address: text(&swarm["NodeAddr"]),
        open,
        cluster: manager.then(|| cluster(host, socket, swarm)),
    }))
}

/// Without a majority of managers the Engine leaves the cluster empty, and says so in `Error`.
fn cluster(host: &dyn Host, socket: &Path, swarm: &Value) -> Known<Cluster> {
    let (cluster, spec) = (&swarm["Cluster"], &swarm["Cluster"]["Spec"]);
    if text(&cluster["ID"]).is_empty() {
        let error = text(&swarm["Error"]);
        let why = if error.is_empty() { "/info says nothing about the cluster".to_owned() } else { error };
        return Err(Unknown(format!("Engine API: {why}")));
    }
    let paths = ["/secrets", "/services"].map(str::to_owned);
    let mut replies = host.engine(socket, &paths).into_iter();
    let mut next = |path: &str| known(path, replies.next()).and_then(|listed| names(path, &listed));
    Ok(Cluster {
        managers: swarm["Managers"].as_u64().unwrap_or(0),
        nodes: swarm["Nodes"].as_u64().unwrap_or(0),
        autolock: spec["EncryptionConfig"]["AutoLockManagers"].as_bool().unwrap_or(false),
        cert_expiry: spec["CAConfig"]["NodeCertExpiry"].as_u64().unwrap_or(0) / 1_000_000_000,
        root_rotations: spec["CAConfig"]["ForceRotate"].as_u64().unwrap_or(0),
        created: text(&cluster["CreatedAt"]),
        secrets: next(&paths[0]),
        services: next(&paths[1]),
    })
}

fn names(path: &str, listed: &Value) -> Known<Vec<String>> {
    let listed = listed.as_array().ok_or_else(|| Unknown(format!("Engine API: {path} is no list")))?;
    let mut names: Vec<String> = listed.iter().map(|one| text(&one["Spec"]["Name"])).collect();
    names.sort_unstable();
    Ok(names)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::testing::{self, FakeHost};
    use super::*;

    const TCP: &str =
        "0: 0500000A:0949 00000000:0000 0A 0:0 0:0 0 0 0 7 1\n1: 00000000:0050 00000000:0000 0A 0:0 0:0 0 0 0 8 1\n";
    const UDP: &str =
        "0: 00000000:1F0A 00000000:0000 07 0:0 0:0 0 0 0 9 1\n1: 00000000:12B5 00000000:0000 07 0:0 0:0 0 0 0 9 1\n";

    fn manager() -> Value {
        json!({"LocalNodeState": "active", "ControlAvailable": true, "NodeAddr": "10.0.0.5", "Managers": 1, "Nodes": 2,
            "Cluster": {"ID": "x", "CreatedAt": "2026-01-01T00:00:00Z", "Spec": {
                "CAConfig": {"NodeCertExpiry": 7_776_000_000_000_000_u64, "ForceRotate": 2},
                "EncryptionConfig": {"AutoLockManagers": true}}}})
    }

    fn read(swarm: &Value) -> Known<Option<Node>> {
        let host = FakeHost::default()
            .file("/proc/500/net/tcp", TCP)
            .file("/proc/500/net/udp", UDP)
            .api("/secrets", json!([{"Spec": {"Name": "b"}}, {"Spec": {"Name": "a"}}]));
        let mut daemon = testing::facts().daemon;
        daemon.info = Ok(json!({"Swarm": swarm}));
        gather(&host, Some("/run/docker.sock".as_ref()), &daemon, &Ok(Swarm::Active("active".into())), true)
    }

    #[test]
    fn a_manager_knows_its_swarm() {
        let node = read(&manager()).unwrap().unwrap();
        let open = node.open.unwrap().into_iter().map(|(at, kind)| format!("{at}/{kind}"));
        assert_eq!(open.collect::<Vec<_>>(), ["0.0.0.0:7946/udp", "10.0.0.5:2377/tcp"]);
        let cluster = node.cluster.unwrap().unwrap();
        assert_eq!((cluster.managers, cluster.nodes, cluster.autolock), (1, 2, true));
        assert_eq!((cluster.cert_expiry, cluster.root_rotations), (90 * 24 * 3600, 2));
        assert_eq!(cluster.secrets, Ok(vec!["a".into(), "b".into()]));
        assert!(cluster.services.is_err(), "the Engine did not answer, and that loses nothing else");
    }

    #[test]
    fn a_worker_knows_itself_only() {
        let node = read(&json!({"LocalNodeState": "active", "ControlAvailable": false})).unwrap().unwrap();
        assert!(node.cluster.is_none() && node.open.is_ok());
    }

    #[test]
    fn without_a_majority_a_manager_knows_nothing() {
        let mut swarm = manager();
        swarm["Cluster"]["ID"] = json!("");
        swarm["Error"] = json!("rpc error: no leader");
        let why = read(&swarm).unwrap().unwrap().cluster.unwrap().unwrap_err();
        assert_eq!(why.0, "Engine API: rpc error: no leader");
    }

    #[test]
    fn outside_a_swarm_nothing_is_asked() {
        let daemon = testing::facts().daemon;
        let silent = FakeHost::default();
        assert_eq!(gather(&silent, None, &daemon, &Ok(Swarm::Inactive), true), Ok(None));
        assert!(gather(&silent, None, &daemon, &Ok(Swarm::Active("active".into())), true).is_err());
        assert!(gather(&silent, None, &daemon, &Err(Unknown("?".into())), true).is_err());
    }
}
