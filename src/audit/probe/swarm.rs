//! The swarm, as this node knows it. What only managers can tell does not apply on other nodes.

use crate::audit::finding::Verdict;
use crate::catalog::SwarmRule;
use crate::facts::{Cluster, Facts, Network, Node};
use crate::policy::Policy;

use super::Outcome;
use super::image::counted;

/// The swarm has no name of its own: this host is its subject.
const HOST: &str = "host:this";
/// The most managers that a swarm should have: each more slows every change down.
const MANAGERS: u64 = 7;
/// For how long certificates of nodes may be good, in seconds: 48 hours pass, beyond the default of 90 days fails.
const SHORT: u64 = 48 * 3600;
const DEFAULT: u64 = 90 * 24 * 3600;

/// Judges one rule.
pub(super) fn run(rule: SwarmRule, facts: &Facts, policy: &Policy) -> Vec<Outcome> {
    let node = match &facts.swarm {
        Ok(Some(node)) => node,
        Ok(None) if rule == SwarmRule::Unused => {
            return vec![Outcome::new(HOST, Verdict::Pass).actual("in no swarm").source(INFO)];
        }
        Ok(None) => return vec![Outcome::not_applicable(HOST, "this host is in no swarm").source(INFO)],
        Err(why) => return vec![Outcome::unknown(HOST, why)],
    };
    match rule {
        SwarmRule::Unused => vec![unused(node)],
        SwarmRule::Listen => vec![listen(node)],
        SwarmRule::Overlay if node.state != "active" => {
            // Until it is one of the swarm again it has none of its networks.
            vec![Outcome::new(HOST, Verdict::Unknown).actual(format!("this node is {}", state(node))).source(INFO)]
        }
        SwarmRule::Overlay => match &facts.networks {
            Ok(networks) => overlay(networks),
            Err(why) => vec![Outcome::unknown(HOST, why)],
        },
        // Only a swarm with autolock locks its managers.
        SwarmRule::Autolock if node.state == LOCKED => {
            vec![Outcome::new(HOST, Verdict::Pass).actual(format!("this node is {}", state(node))).source(INFO)]
        }
        SwarmRule::Managers => vec![managed(node, managers)],
        SwarmRule::Secrets => vec![managed(node, secrets)],
        SwarmRule::Autolock => vec![managed(node, autolock)],
        SwarmRule::UnlockKey => vec![managed(node, unlock_key)],
        SwarmRule::CertExpiry => {
            let chosen = policy.values.swarm.cert_expiry.and_then(|long| u64::try_from(long / 1_000_000_000).ok());
            vec![managed(node, |cluster, outcome| cert_expiry(cluster, chosen, outcome))]
        }
        SwarmRule::Ca => vec![managed(node, ca)],
        SwarmRule::DataPlane => vec![managed(node, data_plane)],
    }
}

const INFO: &str = "API /info Swarm";

/// Judges what only a manager can tell.
fn managed(node: &Node, judge: impl Fn(&Cluster, Outcome) -> Outcome) -> Outcome {
    match &node.cluster {
        Some(Ok(cluster)) => judge(cluster, Outcome::new(HOST, Verdict::Pass)),
        Some(Err(why)) => Outcome::unknown(HOST, why),
        // A locked node is a manager, but says nothing yet.
        None if node.state != "active" => {
            Outcome::new(HOST, Verdict::Unknown).actual(format!("this node is {}", state(node))).source(INFO)
        }
        None => Outcome::not_applicable(HOST, "this node is no manager, and only managers can tell: look there")
            .source(INFO),
    }
}

/// `pending`, `error: …`
fn state(node: &Node) -> String {
    match (node.state.as_str(), node.error.as_str()) {
        (LOCKED, _) => "locked until somebody runs `docker swarm unlock`".into(),
        (state, "") => state.into(),
        (state, error) => format!("{state}: {error}"),
    }
}

/// The state of a manager that waits for the unlock key.
const LOCKED: &str = "locked";

fn unused(node: &Node) -> Outcome {
    let outcome = Outcome::new(HOST, Verdict::Manual).expected("swarm mode off, unless it is used").source(INFO);
    let cluster = match &node.cluster {
        Some(Ok(cluster)) => cluster,
        Some(Err(why)) => return outcome.verdict(Verdict::Unknown).actual(why.to_string()),
        None if node.state != "active" => return outcome.actual(format!("in a swarm, {}", state(node))),
        None => return outcome.actual("a worker of a swarm"),
    };
    let nodes = counted(usize::try_from(cluster.nodes).unwrap_or(usize::MAX), "node");
    match &cluster.services {
        Ok(services) if services.is_empty() && cluster.nodes <= 1 => {
            outcome.fails("a swarm of this node alone, without a service")
        }
        Ok(services) => outcome.actual(format!("a swarm of {nodes} with {}", counted(services.len(), "service"))),
        Err(_) if cluster.nodes > 1 => outcome.actual(format!("a swarm of {nodes}")),
        Err(why) => outcome.verdict(Verdict::Unknown).actual(why.to_string()),
    }
}

fn managers(cluster: &Cluster, outcome: Outcome) -> Outcome {
    let count = cluster.managers;
    let outcome = outcome.expected("an odd number of managers, 7 at the most").source("API /info Swarm.Managers");
    let actual = format!("{count} of {}", counted(usize::try_from(cluster.nodes).unwrap_or(usize::MAX), "node"));
    if count % 2 == 1 && count <= MANAGERS { outcome.actual(actual) } else { outcome.fails(actual) }
}

/// A wildcard on either family: a socket of `::` takes IPv4 too.
fn listen(node: &Node) -> Outcome {
    let outcome =
        Outcome::new(HOST, Verdict::Pass).expected("2377 and 7946 open on one address").source("/proc/PID/net");
    let open = match &node.open {
        Ok(open) => open,
        Err(why) => return outcome.verdict(Verdict::Unknown).actual(why.to_string()),
    };
    let told: Vec<String> = open.iter().map(|(at, kind)| format!("{at}/{kind}")).collect();
    let wide: Vec<&str> =
        open.iter().zip(&told).filter(|((at, _), _)| at.ip().is_unspecified()).map(|(_, told)| told.as_str()).collect();
    if open.is_empty() {
        let actual = format!("neither 2377 nor 7946 is open, this node is {}", state(node));
        return outcome.verdict(Verdict::Unknown).actual(actual);
    }
    if wide.is_empty() {
        return outcome.actual(told.join(", "));
    }
    outcome.fails(format!("on all addresses: {}; others reach it by {}", wide.join(", "), node.address))
}

fn overlay(networks: &[Network]) -> Vec<Outcome> {
    if networks.is_empty() {
        return vec![Outcome::not_applicable(HOST, "there is no overlay network")];
    }
    let judge = |network: &Network| {
        let outcome = Outcome::new(format!("network:{}", network.name), Verdict::Pass)
            .id(network.id.clone())
            .expected("encrypted")
            .source("API /networks Options");
        match network.encrypted.as_deref() {
            Some(value) if !["false", "0"].contains(&value) => outcome.actual("encrypted"),
            Some(value) => outcome.fails(format!("encrypted={value}")),
            // Made by the swarm for itself; what comes in from outside goes on to another node by it.
            None if network.ingress => outcome
                .verdict(Verdict::Manual)
                .actual("not encrypted: published ports reach other nodes by it; replace it where that traffic is not encrypted by itself"),
            None => outcome.fails("not encrypted"),
        }
    };
    networks.iter().map(judge).collect()
}

fn secrets(cluster: &Cluster, outcome: Outcome) -> Outcome {
    let outcome = outcome.expected("secrets of services kept as secrets of the swarm").source("API /secrets");
    match &cluster.secrets {
        Ok(secrets) if secrets.is_empty() => outcome.verdict(Verdict::Manual).actual("the swarm has no secret"),
        Ok(secrets) => outcome.actual(counted(secrets.len(), "secret")),
        Err(why) => outcome.verdict(Verdict::Unknown).actual(why.to_string()),
    }
}

fn autolock(cluster: &Cluster, outcome: Outcome) -> Outcome {
    let outcome = outcome.expected("autolock on").source("API /info Swarm.Cluster.Spec.EncryptionConfig");
    if cluster.autolock { outcome.actual("autolock is on") } else { outcome.fails("autolock is off") }
}

fn unlock_key(cluster: &Cluster, outcome: Outcome) -> Outcome {
    if !cluster.autolock {
        return Outcome::not_applicable(HOST, "autolock is off: there is no unlock key");
    }
    outcome
        .verdict(Verdict::Manual)
        .expected("an unlock key that is changed now and then, and whenever somebody who knows it leaves")
        .actual("autolock is on")
}

/// `chosen`: the site's own limit, in seconds.
fn cert_expiry(cluster: &Cluster, chosen: Option<u64>, outcome: Outcome) -> Outcome {
    let seconds = cluster.cert_expiry;
    let most = chosen.unwrap_or(SHORT);
    let outcome =
        outcome.expected(format!("{} at the most", long(most))).source("API /info Swarm.Cluster.Spec.CAConfig");
    let actual = long(seconds);
    match seconds {
        0 => outcome.verdict(Verdict::Unknown).actual("the engine does not say"),
        _ if seconds <= most => outcome.actual(actual),
        _ if chosen.is_some() => outcome.fails(actual),
        _ if seconds <= DEFAULT => outcome.verdict(Verdict::Manual).actual(actual),
        _ => outcome.fails(actual),
    }
}

/// `48 hours`, `90 days`
fn long(seconds: u64) -> String {
    let hours = seconds.div_ceil(3600);
    if hours > 96 { format!("{} days", hours / 24) } else { format!("{hours} hours") }
}

fn ca(cluster: &Cluster, outcome: Outcome) -> Outcome {
    let day = cluster.created.split('T').next().unwrap_or_default();
    let rotated = match cluster.root_rotations {
        0 => "its root certificate was never replaced by hand".to_owned(),
        count => format!("its root certificate was replaced {count} times"),
    };
    outcome
        .verdict(Verdict::Manual)
        .expected("a root certificate that is replaced now and then, and whenever a manager was lost to somebody")
        .actual(format!("a swarm of {day}, {rotated}"))
        .source("API /info Swarm.Cluster")
}

fn data_plane(cluster: &Cluster, outcome: Outcome) -> Outcome {
    if cluster.nodes <= 1 {
        return Outcome::not_applicable(HOST, "a single node: nothing goes to another one");
    }
    outcome
        .verdict(Verdict::Manual)
        .expected("traffic of containers on an interface of its own, given with --data-path-addr on each node")
        .actual(format!("{} nodes; the engine does not say which address it uses", cluster.nodes))
}
