//! A daemon, or containers, that would not start any more. dockerd tells these only when it starts: its validation of
//! a file does not look at them.

use serde_json::Value;

use super::{Evidence, Situation, remap, settings};
use crate::catalog::{Edit, SwarmSetting};
use crate::facts::workload::Swarm;
use crate::facts::{Known, keys};

/// `userns-remap` with containers that cannot have it; contradictions between settings.
pub(super) fn breaks_startup(subject: &Situation, evidence: &mut Evidence) {
    let change = subject.change;
    if change.restart {
        twice(subject, evidence);
    }
    if let Some(value) = change.sets("userns-remap").filter(|value| value.as_str() != Some("")) {
        remapped_containers(subject, evidence);
        if let Some(value) = value.as_str() {
            remap::prerequisites(subject, value, evidence);
        }
        if evidence.take(explicit_snapshotter(subject)).unwrap_or(false) {
            // Until then both are taken, and the trouble comes with an upgrade.
            let from = if before(subject, 29) { "from Docker 29 on " } else { "" };
            let refuses = "dockerd refuses it together with userns-remap";
            evidence.name(format!("features.containerd-snapshotter is true: {from}{refuses}"));
        }
    }
    if change.edits.contains(&Edit::Swarm(SwarmSetting::Autolock)) {
        evidence.name("after each restart of docker a manager is locked until somebody runs `docker swarm unlock`");
    }
    if change.sets("icc") == Some(Value::Bool(false)) {
        if evidence.take(settings::boolean(subject.facts, "iptables", true)) == Some(false) {
            evidence.name("iptables is false: dockerd refuses it together with icc=false");
        }
        // Before Docker 27 ip6tables is false unless asked for; ipv6 on the default bridge is off unless asked for.
        let ipv6 = evidence.take(settings::boolean(subject.facts, "ipv6", false)) == Some(true);
        if ipv6 && evidence.take(settings::boolean(subject.facts, "ip6tables", !before(subject, 27))) == Some(false) {
            evidence.name("ipv6 is true and ip6tables is false: dockerd refuses it together with icc=false");
        }
    }
}

fn before(subject: &Situation, major: u64) -> bool {
    subject.facts.daemon.version.as_ref().is_some_and(|version| version.numbers[0] < major)
}

/// A key that is a flag and in daemon.json keeps dockerd from starting, so that the running one must not be stopped.
fn twice(subject: &Situation, evidence: &mut Evidence) {
    let daemon = &subject.facts.daemon;
    let both = |key: &&keys::Key| daemon.setting(key.name).conflict && subject.change.sets(key.name).is_none();
    for key in keys::KEYS.iter().filter(both) {
        evidence.name(format!("{} is a flag and in daemon.json: dockerd does not start with both", key.name));
    }
}

fn remapped_containers(subject: &Situation, evidence: &mut Evidence) {
    for container in evidence.known(&subject.workload.containers).into_iter().flatten() {
        if container.namespaces.user == "host" {
            continue;
        }
        if container.privileged {
            evidence.name(format!("{} is privileged", container.name));
        }
        for space in container.host_namespaces() {
            evidence.name(format!("{} uses the host's {space} namespace", container.name));
        }
    }
}

/// Engine 29 and later give up their containerd store for userns-remap, unless it was asked for: then they refuse.
fn explicit_snapshotter(subject: &Situation) -> Known<bool> {
    let flags = settings::flags(subject.facts, "features")?;
    let filed = settings::filed(subject.facts, "features")?;
    let in_flag =
        flags.iter().any(|(_, value)| value == "containerd-snapshotter" || value == "containerd-snapshotter=true");
    Ok(in_flag || filed.is_some_and(|features| features["containerd-snapshotter"] == Value::Bool(true)))
}

/// A member of a swarm takes live-restore by reload, and then does not start any more, often months later.
pub(super) fn swarm(subject: &Situation, evidence: &mut Evidence) {
    if subject.change.sets("live-restore") != Some(Value::Bool(true)) {
        return;
    }
    if let Some(Swarm::Active(state)) = evidence.known(&subject.workload.swarm) {
        evidence.name(format!("this node is in a swarm ({state})"));
    }
}
