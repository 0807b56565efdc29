//! Traffic that flows today and would stop.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use serde_json::Value;

use super::{Evidence, Situation, restart, settings};
use crate::facts::Known;
use crate::facts::workload::{Container, Proxy};
use crate::plan::LiveChange;
use crate::plan::proposal::Proposal;
use crate::policy::registry_of;

/// Looks at the settings that the change touches.
pub(super) fn cuts_traffic(subject: &Situation, evidence: &mut Evidence) {
    let no = Some(Value::Bool(false));
    if subject.change.sets("icc") == no {
        between_containers(subject, evidence);
    }
    if subject.change.sets("userland-proxy") == no {
        over_ipv6(subject, evidence);
    }
    if ["iptables", "ip6tables"].iter().any(|key| subject.change.sets(key).is_some_and(|value| Some(value) != no)) {
        past_the_firewall(subject, evidence);
    }
    leaves_bridge(subject, evidence);
    if let Some(value) = subject.change.sets("insecure-registries") {
        registries(subject, &settings::texts(&value), evidence);
    }
}

/// Docker's rules come before those of the host: a published port that the host's firewall closes is open then.
fn past_the_firewall(subject: &Situation, evidence: &mut Evidence) {
    let mut opened = false;
    for container in evidence.known(&subject.workload.containers).into_iter().flatten() {
        let loopback = |ip: &str| ip.parse().is_ok_and(|ip: IpAddr| ip.is_loopback());
        for port in container.ports.iter().filter(|port| !loopback(&port.host_ip)) {
            opened = true;
            evidence.name(format!("{}:{} becomes reachable past the host's firewall", container.name, port.inside));
        }
    }
    if !opened {
        evidence.name("Docker's own firewall chains come back and go before the host's rules");
    }
}

/// `icc` governs the default bridge alone. Links stay open for the ports that the image exposes, not for others.
fn between_containers(subject: &Situation, evidence: &mut Evidence) {
    let workload = subject.workload;
    for container in evidence.known(&workload.containers).into_iter().flatten() {
        for link in &container.links {
            evidence.name(evidence_of_link(&container.name, linked_to(link)));
        }
    }
    let mut on_bridge = workload.running().unwrap_or_default();
    on_bridge.retain(|container| container.on_default_bridge());
    if on_bridge.len() < 2 {
        return;
    }
    for container in &on_bridge {
        let Some(listeners) = workload.listeners.get(&container.id) else { continue };
        match evidence.known(listeners).map(Vec::as_slice) {
            None | Some([]) => {}
            Some(ports) => {
                let ports = ports.join(", ");
                let others = on_bridge.len() - 1;
                let containers = if others == 1 { "container" } else { "containers" };
                evidence.name(format!(
                    "{} listens on {ports} beside {others} other {containers} on the default bridge",
                    container.name
                ));
            }
        }
    }
}

/// A container that leaves the default bridge gets another address. Links name the old ones, and what else is on the
/// bridge has no other way to find it.
fn leaves_bridge(subject: &Situation, evidence: &mut Evidence) {
    let workload = subject.workload;
    let moves: Vec<&LiveChange> = subject.change.containers.iter().filter_map(Proposal::moves).collect();
    if moves.is_empty() {
        return;
    }
    let Some(all) = evidence.known(&workload.containers) else { return };
    // Two that go to the same network find each other there, by name.
    let together =
        |one: &Container, with: &LiveChange| moves.iter().any(|other| other.id == one.id && other.after == with.after);
    for change in &moves {
        let Some(own) = all.iter().find(|one| one.id == change.id) else { continue };
        let name = &own.name;
        let linked = |one: &Container| one.links.iter().any(|link| linked_to(link) == name);
        let other = |link: &String| evidence_of_link(name, linked_to(link));
        let links = own.links.iter().map(other);
        let back = all.iter().filter(|one| linked(one)).map(|one| evidence_of_link(&one.name, name));
        let joined =
            all.iter().filter(|one| joins(one, own)).map(|one| format!("{} shares the network of {name}", one.name));
        for one in links.chain(back).chain(joined).collect::<Vec<_>>() {
            evidence.name(format!("{name}: {one}"));
        }
        if !own.running {
            continue;
        }
        evidence.name(format!("{name}: gets another address, and connections that are open now end"));
        let others: Vec<&str> = all
            .iter()
            .filter(|one| one.running && one.id != own.id && one.on_default_bridge() && !together(one, change))
            .map(|one| one.name.as_str())
            .collect();
        if !others.is_empty() {
            evidence.name(format!("{name}: is not reached any more by {} on the default bridge", others.join(", ")));
        }
    }
}

fn evidence_of_link(from: &str, to: &str) -> String {
    format!("{from} links to {to}")
}

/// The container that a link leads to: `/OTHER:/NAME/ALIAS`.
fn linked_to(link: &str) -> &str {
    link.split(':').next().unwrap_or(link).trim_start_matches('/')
}

fn joins(one: &Container, own: &Container) -> bool {
    let to = one.namespaces.network.strip_prefix("container:");
    to.is_some_and(|to| to == own.name || !to.is_empty() && own.id.starts_with(to))
}

/// Without docker-proxy nothing takes a connection over IPv6 to a container that has only IPv4: the kernel's
/// translation stays within one family. `[::1]` is lost even where the container has IPv6.
fn over_ipv6(subject: &Situation, evidence: &mut Evidence) {
    let Some(processes) = evidence.known(&subject.workload.processes) else { return };
    let containers = subject.workload.containers.as_deref().unwrap_or_default();
    let used = |proxy: &Proxy| {
        processes.proxy_sockets.iter().any(|socket| {
            socket.established()
                && socket.local.ip() == IpAddr::V6(Ipv6Addr::LOCALHOST)
                && socket.local.port() == proxy.host_port
        })
    };
    for proxy in processes.proxies.iter().filter(|proxy| proxy.host_ip.is_ipv6()) {
        let target = restart::target(proxy, containers);
        if proxy.protocol == "tcp" && used(proxy) {
            evidence.name(format!("{target} is used over [::1]:{} now", proxy.host_port));
        } else if proxy.container_ip.is_ipv4() {
            evidence.name(format!("{target} is reached over IPv6 ({}) by docker-proxy alone", listen(proxy)));
        }
    }
}

fn listen(proxy: &Proxy) -> String {
    format!("[{}]:{}", proxy.host_ip, proxy.host_port)
}

/// Images from a registry that is trusted without TLS today and would not be any more. A registry named by host name
/// within a trusted network is not seen: that would need DNS.
fn registries(subject: &Situation, remaining: &[String], evidence: &mut Evidence) {
    let mut trusted: BTreeSet<String> =
        evidence.take(settings::list(subject.facts, "insecure-registries")).into_iter().flatten().collect();
    trusted.extend(in_force(&subject.facts.daemon.info));
    trusted.retain(|registry| !remaining.contains(registry));
    if trusted.is_empty() {
        return;
    }
    let mut images: BTreeSet<&str> =
        evidence.known(&subject.workload.images).into_iter().flatten().map(String::as_str).collect();
    images.extend(evidence.known(&subject.workload.containers).into_iter().flatten().map(|c| c.image.as_str()));
    for image in images {
        if let Some(entry) = trusted.iter().find(|entry| covers(entry, registry_of(image))) {
            evidence.name(format!("image {image} comes from {entry}"));
        }
    }
}

/// The Engine's own list, without the loopback networks that it always trusts.
fn in_force(info: &Known<Value>) -> Vec<String> {
    let Ok(info) = info else { return Vec::new() };
    let config = &info["RegistryConfig"];
    let networks = settings::texts(&config["InsecureRegistryCIDRs"]);
    let named = config["IndexConfigs"].as_object().into_iter().flatten();
    let named = named.filter(|(_, index)| index["Secure"] == Value::Bool(false)).map(|(name, _)| name.clone());
    networks
        .into_iter()
        .filter(|network| !["127.0.0.0/8", "::1/128"].contains(&network.as_str()))
        .chain(named)
        .collect()
}

/// Whether an entry of `insecure-registries`, a host or a network, covers a registry.
fn covers(entry: &str, registry: &str) -> bool {
    let entry = entry.trim_start_matches("http://").trim_start_matches("https://");
    let Some((network, bits)) = entry.split_once('/') else { return entry == registry };
    let host = registry.rsplit_once(':').map_or(registry, |(host, _)| host).trim_matches(['[', ']']);
    let (Ok(bits), Ok(network), Ok(host)) = (bits.parse::<u32>(), network.parse(), host.parse()) else { return false };
    match (network, host) {
        (IpAddr::V4(network), IpAddr::V4(host)) => same_prefix(wide(network), wide(host), bits + 96),
        (IpAddr::V6(network), IpAddr::V6(host)) => same_prefix(network.to_bits(), host.to_bits(), bits),
        _ => false,
    }
}

fn wide(ip: Ipv4Addr) -> u128 {
    u128::from(ip.to_bits())
}

fn same_prefix(a: u128, b: u128, bits: u32) -> bool {
    bits <= 128 && (a ^ b).checked_shr(128 - bits).unwrap_or(0) == 0
}
