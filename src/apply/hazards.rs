//! What a change of the daemon would hurt at the moment at which it is made. The plan has looked before; this is the
//! last look, and the only one that a rollback has.

use std::path::Path;

use serde_json::Value;

use super::daemon_undo::with_live_restore;
use super::goal::Goal;
use super::prepare::changes;
use super::service;
use crate::catalog::Hazard;
use crate::catalog::words::hazard_name;
use crate::facts::{self, Needs};
use crate::host::Host;
use crate::plan::hazard::{Change, Situation, detect};
use crate::plan::{FileState, Plan};

/// Whether the data root moves: by key or by flag, wherever it is written.
fn remapped(text: &str) -> bool {
    text.contains("userns-remap")
}

/// Whether a plan turns userns-remap on or off.
pub(super) fn plan_switches_userns(plan: &Plan) -> bool {
    let of = |state: &FileState| matches!(state, FileState::Present { content: Some(text), .. } if remapped(text));
    changes(plan).any(|change| of(&change.before) != of(&change.after))
}

/// Whether reaching the goals turns userns-remap on or off.
pub(super) fn switches_userns(host: &dyn Host, goals: &[Goal]) -> bool {
    goals.iter().filter(|goal| goal.reads() && !goal.is_dir()).any(|goal| {
        let now = host.read(&goal.path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default();
        remapped(&now) != remapped(&goal.text())
    })
}

/// Whether reaching a goal may turn live-restore on or off, as a key or as a flag.
fn switches_live_restore(host: &dyn Host, goal: &Goal) -> bool {
    if !goal.reads() || goal.is_dir() {
        return false;
    }
    let now = host.read(&goal.path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default();
    let told = |text: &str| -> Vec<String> {
        text.lines().filter(|line| line.contains("live-restore")).map(str::to_owned).collect()
    };
    told(&now) != told(&goal.text())
}

/// What a rollback of a finished run would hurt now.
pub(super) fn hazards(host: &dyn Host, plan: &Plan, goals: &[Goal], restart: bool) -> Vec<String> {
    let mut held = Vec::new();
    if !service::systemd(host) || !restart {
        return held;
    }
    let socket = &plan.target.socket;
    let switches = switches_userns(host, goals);
    if switches {
        held.extend(hidden(host, socket));
    }
    let keeps = !switches
        && !plan.target.live_restore_is_flag
        && goals.iter().any(|goal| {
            plan.target.config.as_ref() == Some(&goal.path) && with_live_restore(&goal.text(), true).is_some()
        });
    // A start for which no goal touches live-restore, in daemon.json or as a flag, keeps what it is now.
    let untouched = !switches
        && !goals.iter().any(|goal| switches_live_restore(host, goal))
        && service::live_restore(host, socket) == Some(true);
    match service::running(host, socket) {
        Some(running) if !running.is_empty() && !keeps && !untouched => {
            let names: Vec<_> = running.iter().map(|one| one.name.as_str()).collect();
            held.push(format!("stops-containers: {}", names.join(", ")));
        }
        Some(_) => {}
        None => held.extend(orphans(host)),
    }
    held
}

/// What a rollback of a finished run would cut now although containers live on, and what systemd would take from them
/// when it reads its units again.
pub(super) fn cuts(host: &dyn Host, restart: bool, daemon_reload: bool) -> Vec<String> {
    // Of a daemon that is down nobody holds the other end.
    let restart = restart && service::up(host);
    if !service::systemd(host) || !(restart || daemon_reload) {
        return Vec::new();
    }
    let facts = facts::gather(host, &Needs::default());
    let change = Change { restart, daemon_reload, ..Change::default() };
    let situation = Situation { host, facts: &facts, workload: &facts.workload, change: &change };
    let looked = [Hazard::Interrupts, Hazard::LosesDevices].map(|hazard| detect(hazard, &situation).found(hazard));
    let line = |hazard: Hazard, looked: bool, what: &str| {
        let blind = if looked { "" } else { "could not look: " };
        format!("{}: {blind}{what}", hazard_name(hazard))
    };
    let lines = |found: crate::audit::HazardFound| {
        found.evidence.iter().map(|what| line(found.hazard, found.looked, what)).collect::<Vec<_>>()
    };
    looked.into_iter().flatten().flat_map(lines).collect()
}

/// Containers of a stopped daemon: its next start, without live-restore, kills them.
fn orphans(host: &dyn Host) -> Option<String> {
    let Ok(processes) = host.list(Path::new("/proc")) else {
        return Some("stops-containers: could not look for containers of the stopped daemon".into());
    };
    let shim = |pid: &&String| {
        let comm = host.read(&Path::new("/proc").join(pid).join("comm")).unwrap_or_default();
        comm.starts_with(b"containerd-shim")
    };
    let count = processes.iter().filter(|name| name.bytes().all(|byte| byte.is_ascii_digit())).filter(shim).count();
    (count > 0).then(|| format!("stops-containers: {count} of the stopped daemon"))
}

/// Images, containers and volumes that vanish from view with userns-remap.
fn hidden(host: &dyn Host, socket: &Path) -> Vec<String> {
    let paths = ["/containers/json?all=true", "/images/json", "/volumes"].map(str::to_owned);
    let words = ["container", "image", "volume"];
    if !service::up(host) {
        return vec!["hides-images: could not look, the daemon is stopped".into()];
    }
    let mut held = Vec::new();
    for (answer, word) in host.engine(socket, &paths).into_iter().zip(words) {
        let Ok(answer) = answer else {
            held.push(format!("hides-images: could not look for {word}s"));
            continue;
        };
        let list = answer.get("Volumes").unwrap_or(&answer).as_array();
        held.extend(list.into_iter().flatten().map(|one| format!("hides-images: {word} {}", name(one))));
    }
    held
}

/// What a person calls a container, an image or a volume; an image without a tag has its id alone.
fn name(one: &Value) -> String {
    let first = |key: &str| one.get(key)?.as_array()?.first()?.as_str();
    let text = |key: &str| one.get(key).and_then(Value::as_str);
    let name = first("Names").or(first("RepoTags")).or(text("Name")).or(text("Id")).unwrap_or("without a name");
    name.trim_start_matches('/').to_owned()
}
