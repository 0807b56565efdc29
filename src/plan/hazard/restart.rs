//! What a restart of the daemon, or systemd reading its units again, does to what runs.

use std::net::IpAddr;

use serde_json::Value;

use super::access::has_socket;
use super::{Evidence, Situation, settings};
use crate::facts::Known;
use crate::facts::workload::{Container, Processes, Proxy, Return, Work};
use crate::plan::compose::Writing;
use crate::plan::proposal::Proposal;

/// Settings that lead the daemon to another place, where it does not find the containers that live-restore kept.
const MOVES: [&str; 4] = ["userns-remap", "data-root", "exec-root", "storage-driver"];

/// A restart while containers run, when live-restore does not hold them; or a restart policy with which they would not
/// come back after a later one.
pub(super) fn stops_containers(subject: &Situation, evidence: &mut Evidence) {
    for name in subject.change.containers.iter().filter_map(Proposal::stays_down) {
        evidence.name(name);
    }
    for name in subject.change.composed.iter().filter_map(Writing::stops) {
        evidence.name(name);
    }
    if !subject.change.restart {
        return;
    }
    let info = subject.facts.daemon.info.as_ref();
    if info.is_ok_and(|info| info["Swarm"]["Cluster"]["Spec"]["EncryptionConfig"]["AutoLockManagers"] == true) {
        evidence.name("this manager of a swarm (locked from then on until somebody runs `docker swarm unlock`)");
    }
    let Some(running) = evidence.take(subject.workload.running()) else { return };
    if running.is_empty() || evidence.take(held_by_live_restore(subject)) == Some(true) {
        return;
    }
    for container in running {
        let name = &container.name;
        evidence.name(match container.returns() {
            Return::Comes => name.clone(),
            Return::MayStay => format!("{name} (on-failure: may not return by itself)"),
            Return::Stays => format!("{name} (does not return by itself)"),
            Return::Lost => format!("{name} (--rm: lost)"),
        });
    }
}

/// live-restore holds containers when it is in force before the restart and after it, and the daemon still looks at
/// the same place.
fn held_by_live_restore(subject: &Situation) -> Known<bool> {
    let change = subject.change;
    if change.keys().chain(change.together.iter().map(String::as_str)).any(|key| MOVES.contains(&key)) {
        return Ok(false);
    }
    if change.live_restore_first {
        return Ok(true);
    }
    let daemon = &subject.facts.daemon;
    let next = match change.sets("live-restore") {
        Some(value) => value == Value::Bool(true),
        None => settings::boolean(subject.facts, "live-restore", false)?,
    };
    if daemon.running.as_ref().map_err(Clone::clone)?.is_none() {
        // Containers that outlived the daemon are taken up again only by one that starts with it.
        return Ok(next);
    }
    let info = daemon.info.as_ref().map_err(Clone::clone)?;
    Ok(next && info["LiveRestoreEnabled"].as_bool().unwrap_or(false))
}

/// What a restart cuts although the containers live: dockerd holds one end of it, or starts docker-proxy anew.
pub(super) fn interrupts(subject: &Situation, evidence: &mut Evidence) {
    if !subject.change.restart {
        return;
    }
    let workload = subject.workload;
    for exec in evidence.known(&workload.execs).into_iter().flatten() {
        evidence.name(format!("exec in {}: {}", exec.container, exec.program));
    }
    let Some(processes) = evidence.known(&workload.processes) else { return };
    let containers: &[Container] = workload.containers.as_deref().unwrap_or_default();
    for proxy in processes.proxies.iter().filter(|proxy| proxy.protocol == "tcp") {
        for peer in peers(proxy, processes) {
            evidence.name(format!("connection from {peer} to {}", target(proxy, containers)));
        }
    }
    for work in &processes.work {
        clients(work, subject, containers, evidence);
    }
    for unit in evidence.known(&workload.dependents).into_iter().flatten() {
        evidence.name(format!("{unit} stops with docker.service"));
    }
    for container in containers.iter().filter(|container| container.running) {
        let inside = processes.login.containers.contains(&container.id);
        if inside || processes.login.peers.iter().any(|peer| container.has_address(*peer)) {
            evidence.name(format!("our own login comes through {}", container.name));
        }
    }
}

/// A client in a container works for the daemon whose socket it has: that may be one inside the container.
fn clients(work: &Work, subject: &Situation, containers: &[Container], evidence: &mut Evidence) {
    if work.containers.is_empty() {
        return evidence.name(work.what.clone());
    }
    let own = |container: &&Container| work.containers.contains(&container.id) && has_socket(subject, container);
    if let Some(container) = containers.iter().find(own) {
        evidence.name(format!("{} in {}", work.what, container.name));
    }
}

/// Far ends of connections that a proxy serves. Their ports are left out: they differ with each connection, and the
/// evidence is compared by name before a restart.
fn peers(proxy: &Proxy, processes: &Processes) -> Vec<IpAddr> {
    let serves = |local: IpAddr| {
        proxy.host_ip.is_unspecified() && local.is_ipv4() == proxy.host_ip.is_ipv4() || proxy.host_ip == local
    };
    let own = |s: &&crate::facts::workload::sockets::Socket| {
        s.established() && s.local.port() == proxy.host_port && serves(s.local.ip())
    };
    processes.proxy_sockets.iter().filter(own).map(|socket| socket.remote.ip()).collect()
}

/// `web:80`, or its address when no container that we know has it.
pub(super) fn target(proxy: &Proxy, containers: &[Container]) -> String {
    let owner = containers.iter().find(|container| container.running && container.has_address(proxy.container_ip));
    match owner {
        Some(container) => format!("{}:{}", container.name, proxy.container_port),
        None => std::net::SocketAddr::new(proxy.container_ip, proxy.container_port).to_string(),
    }
}

/// systemd writes the device rules that it knows over those that a GPU's runtime added behind its back.
pub(super) fn loses_devices(subject: &Situation, evidence: &mut Evidence) {
    if !subject.change.daemon_reload {
        return;
    }
    for container in evidence.take(subject.workload.running()).unwrap_or_default() {
        if !container.devices.is_empty() {
            evidence.name(format!("{} ({})", container.name, container.devices.join(", ")));
        }
    }
}
