//! Networks: those that a swarm has on this node, and one that containers are to be put on.

use std::path::Path;

use serde_json::Value;

use super::model::{Known, Unknown};
use super::workload::{Swarm, known, text};
use crate::host::Host;

/// A network of the driver `overlay`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Network {
    /// Id.
    pub id: String,
    /// Name.
    pub name: String,
    /// The one that published ports of services come in by; a swarm makes it for itself.
    pub ingress: bool,
    /// Its option `encrypted`, as given; `None`: not given.
    pub encrypted: Option<String>,
}

/// Reads the networks of a node of a swarm, by name. `socket`: of the Engine, when it runs.
pub(super) fn gather(
    host: &dyn Host,
    socket: Option<&Path>,
    swarm: &Known<Swarm>,
    needed: bool,
) -> Known<Vec<Network>> {
    if !needed || swarm.as_ref().map_err(Clone::clone)? == &Swarm::Inactive {
        return Ok(Vec::new());
    }
    let socket = socket.ok_or_else(|| Unknown("networks are read only while docker runs".into()))?;
    let path = "/networks".to_owned();
    let listed = known(&path, host.engine(socket, std::slice::from_ref(&path)).pop())?;
    let listed = listed.as_array().ok_or_else(|| Unknown("Engine API: /networks is no list".into()))?;
    let mut networks: Vec<Network> = listed.iter().filter_map(read).collect();
    networks.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(networks)
}

/// A network of this host alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Local {
    /// Its driver, such as `bridge`.
    pub driver: String,
    /// Nothing outside is reached from it, nor does anything outside reach what is on it.
    pub internal: bool,
}

/// Looks for a network by its name; `None`: there is none.
///
/// # Errors
/// When the Engine does not tell.
pub fn find(host: &dyn Host, socket: &Path, name: &str) -> Known<Option<Local>> {
    let path = "/networks".to_owned();
    let listed = known(&path, host.engine(socket, std::slice::from_ref(&path)).pop())?;
    let listed = listed.as_array().ok_or_else(|| Unknown("Engine API: /networks is no list".into()))?;
    let found = listed.iter().find(|one| one["Name"] == name);
    Ok(found.map(|one| Local { driver: text(&one["Driver"]), internal: one["Internal"].as_bool().unwrap_or(false) }))
}

fn read(listed: &Value) -> Option<Network> {
    (listed["Driver"] == "overlay").then(|| Network {
        id: text(&listed["Id"]),
        name: text(&listed["Name"]),
        ingress: listed["Ingress"].as_bool().unwrap_or(false),
        encrypted: listed["Options"].get("encrypted").map(text),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::testing::FakeHost;
    use super::*;

    #[test]
    fn a_network_is_found_by_its_whole_name() {
        let host = FakeHost::default().api(
            "/networks",
            json!([
                {"Name": "shop2", "Driver": "overlay"},
                {"Name": "shop", "Driver": "bridge", "Internal": true},
            ]),
        );
        let socket = "/run/docker.sock".as_ref();
        let found = find(&host, socket, "shop").unwrap();
        assert_eq!(found, Some(Local { driver: "bridge".into(), internal: true }));
        assert_eq!(find(&host, socket, "sho"), Ok(None));
        assert!(find(&FakeHost::default(), socket, "shop").is_err(), "not told is not absent");
    }

    #[test]
    fn overlay_networks_of_a_node() {
        let host = FakeHost::default().api(
            "/networks",
            json!([
                {"Name": "b", "Id": "2", "Driver": "overlay", "Options": {"encrypted": ""}},
                {"Name": "ingress", "Id": "1", "Driver": "overlay", "Ingress": true, "Options": null},
                {"Name": "bridge", "Id": "3", "Driver": "bridge"},
            ]),
        );
        let socket = Some("/run/docker.sock".as_ref());
        let active = Ok(Swarm::Active("active".into()));
        let found = gather(&host, socket, &active, true).unwrap();
        let told: Vec<_> = found.iter().map(|n| (n.name.as_str(), n.ingress, n.encrypted.as_deref())).collect();
        assert_eq!(told, [("b", false, Some("")), ("ingress", true, None)]);
        // Nothing is asked where nothing can be: what nobody answers would be an error.
        let silent = FakeHost::default();
        assert_eq!(gather(&silent, socket, &Ok(Swarm::Inactive), true), Ok(Vec::new()));
        assert_eq!(gather(&silent, socket, &active, false), Ok(Vec::new()));
        assert!(gather(&silent, socket, &active, true).is_err());
        assert!(gather(&host, None, &active, true).is_err());
    }
}
