//! What a container is reached by.

use super::namespaces::{Shared, shared};
use super::{Outcome, Seen};
use crate::audit::finding::Verdict;
use crate::catalog::Namespace;
use crate::facts::workload::Port;

/// Below it only root could listen before Docker 20.10.
const FIRST_FREE: u16 = 1024;

pub(super) fn privileged(seen: &Seen<'_>, outcome: Outcome) -> Outcome {
    // Port 0 is chosen at the start, from the free ones.
    judged(seen, outcome.expected("none below 1024"), |port| (1..FIRST_FREE).contains(&port.host_port))
}

pub(super) fn wildcard(seen: &Seen<'_>, outcome: Outcome) -> Outcome {
    let everywhere = |port: &Port| ["", "0.0.0.0", "::"].contains(&port.host_ip.as_str());
    judged(seen, outcome.expected("ports on chosen addresses"), everywhere)
}

/// Whether a port is needed nobody but a person knows.
pub(super) fn published(seen: &Seen<'_>, outcome: Outcome) -> Outcome {
    on_own_network(seen, outcome, |outcome| {
        let ports = listed(seen.container.ports.iter());
        if ports.is_empty() { outcome.actual("none") } else { outcome.verdict(Verdict::Manual).actual(ports) }
    })
}

pub(super) fn default_bridge(seen: &Seen<'_>, outcome: Outcome) -> Outcome {
    let outcome = outcome.expected("a network that was made for it").source("NetworkSettings.Networks");
    if seen.container.on_default_bridge() {
        return outcome.fails("bridge");
    }
    let names: Vec<&str> = seen.container.networks.iter().map(|(name, _)| name.as_str()).collect();
    let mode = seen.container.namespaces.network.as_str();
    outcome.actual(match (names.as_slice(), mode.strip_prefix("container:")) {
        ([], Some(_)) => "that of another container".to_owned(),
        ([], None) => mode.to_owned(),
        (names, _) => names.join(", "),
    })
}

fn judged(seen: &Seen<'_>, outcome: Outcome, bad: impl Fn(&Port) -> bool) -> Outcome {
    on_own_network(seen, outcome, |outcome| {
        let found = listed(seen.container.ports.iter().filter(|port| bad(port)));
        if !found.is_empty() {
            return outcome.fails(found);
        }
        let ports = listed(seen.container.ports.iter());
        outcome.actual(if ports.is_empty() { "none".to_owned() } else { ports })
    })
}

/// On the host's network nothing is published: whatever a process listens on is open there, and that is for a person.
fn on_own_network(seen: &Seen<'_>, outcome: Outcome, judge: impl FnOnce(Outcome) -> Outcome) -> Outcome {
    match shared(seen, Namespace::Network) {
        Ok(Shared::No) => judge(outcome.source("NetworkSettings.Ports")),
        Ok(Shared::Itself | Shared::Through(_)) => {
            let actual = "on the host's network: what it listens on is open there";
            outcome.verdict(Verdict::Manual).actual(actual).source("HostConfig.NetworkMode")
        }
        Err(why) => outcome.not_known(&why),
    }
}

fn listed<'p>(ports: impl Iterator<Item = &'p Port>) -> String {
    let mut all: Vec<String> = ports.map(shown).collect();
    all.sort_unstable();
    all.dedup();
    all.join(", ")
}

/// As `docker ps` shows it.
fn shown(port: &Port) -> String {
    let Port { host_ip, host_port, inside } = port;
    let host = if host_ip.contains(':') { format!("[{host_ip}]") } else { host_ip.clone() };
    let host = if host.is_empty() { "any address".to_owned() } else { host };
    match host_port {
        0 => format!("{host}, any port, to {inside}"),
        port => format!("{host}:{port} to {inside}"),
    }
}
