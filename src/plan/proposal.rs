//! What each failing container gets, or the swarm: the site's value, else one computed from what a container has taken so
//! far.

use std::collections::BTreeSet;

use super::compose;
use super::draft::Draft;
use super::live::{DEFAULT_BRIDGE, LiveChange, LiveSetting, LiveState, size};
use super::swarm;
use crate::audit::{Finding, HazardFound, Verdict};
use crate::catalog::{ContainerSetting, Edit, Entry};
use crate::facts::workload::{self, ComposeOrigin, Most, Usage};
use crate::facts::{Container, Facts, Known, networks};
use crate::host::Host;
use crate::policy::{CONFIG, CPU_PERIOD, ContainerValues, Policy};

/// Retries that the benchmark asks for.
const RETRIES: i64 = 5;
/// A peak below these counts as these: a container that has just started has not shown what it takes.
const LEAST_MEMORY_PEAK: u64 = 32 << 20;
const LEAST_PIDS_PEAK: u64 = 32;
/// A proposal beyond these would limit nothing.
const MOST_MEMORY: u64 = 1 << 50;
const MOST_PIDS: u64 = 1 << 22;

/// What one container would get, or the swarm.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proposal {
    /// Name of the container; `swarm`.
    pub name: String,
    /// Its full id.
    pub id: String,
    /// The change, and where its value comes from; or what keeps it from being made.
    pub change: Result<(LiveChange, Basis), Obstacle>,
    /// Why nobody knows what it takes now.
    pub blind: Option<String>,
}

/// What keeps a container, or the swarm, from being changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Obstacle {
    /// What is in the way.
    pub why: String,
    /// What has to be done first, as a request.
    pub first: String,
}

/// Where a value comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Basis {
    /// The site's file.
    Config,
    /// The benchmark itself names it.
    Benchmark,
    /// Computed; a sentence that says from what.
    Computed(String),
}

/// What a check would do to the containers that fail it, or to the swarm.
pub(super) fn proposals(
    host: &dyn Host,
    facts: &Facts,
    policy: &Policy,
    entry: &Entry,
    findings: &[&Finding],
) -> Vec<Proposal> {
    let settings = entry.remediation.edits.iter().filter_map(LiveSetting::of);
    let (read, _) = facts.workload.each().unwrap_or_default();
    let own = findings.iter().filter(|f| f.check == entry.id && f.verdict == Verdict::Fail);
    let fails: BTreeSet<&str> = own.map(|f| f.subject_id.as_str()).collect();
    let failing: Vec<&Container> = read.iter().filter(|container| fails.contains(container.id.as_str())).collect();
    let fails = findings.iter().any(|f| f.check == entry.id && f.verdict == Verdict::Fail);
    let each = |setting| match setting {
        LiveSetting::Container(setting) => {
            // Compose would undo a move at the next recreation: its file is what decides.
            let composed = |one: &Container| one.compose.as_ref().is_some_and(ComposeOrigin::can_be_followed);
            let of = failing.iter().filter(|one| setting != ContainerSetting::Network || !composed(one));
            of.map(|one| proposal(host, facts, policy, setting, one)).collect()
        }
        LiveSetting::Swarm(setting) if fails => vec![swarm::proposal(host, facts, policy, setting)],
        LiveSetting::Swarm(_) => Vec::new(),
    };
    settings.flat_map(each).collect()
}

fn proposal(
    host: &dyn Host,
    facts: &Facts,
    policy: &Policy,
    setting: ContainerSetting,
    container: &Container,
) -> Proposal {
    let usage = || {
        let (memory, pids) = workload::usage(host, container);
        if setting == ContainerSetting::Memory { memory } else { pids }
    };
    let counted = matches!(setting, ContainerSetting::Memory | ContainerSetting::PidsLimit);
    let usage = (container.running && counted).then(usage);
    let value = || match setting {
        ContainerSetting::Network => network(host, facts, policy, container),
        _ => value(policy, setting, container, usage.as_ref()),
    };
    let after = refused(setting, container).map_or_else(value, Err);
    let blind = usage.and_then(Known::err).map(|unknown| unknown.0);
    let change = after.map(|(after, basis)| {
        let before = LiveState::of(setting, container);
        (LiveChange { name: container.name.clone(), id: container.id.clone(), before, after }, basis)
    });
    Proposal { name: container.name.clone(), id: container.id.clone(), change, blind }
}

/// What dockerd refuses, or somebody else would undo at once.
fn refused(setting: ContainerSetting, container: &Container) -> Option<Obstacle> {
    if let Some(service) = container.labels.get("com.docker.swarm.service.name") {
        return Some(Obstacle {
            why: format!("a task of the service {service}"),
            first: format!("use `docker service update {service}`"),
        });
    }
    // "Restart policy cannot be updated because AutoRemove is enabled", status 409.
    let removed = setting == ContainerSetting::RestartPolicy && container.auto_remove;
    removed.then(|| Obstacle {
        why: "removed when it ends".into(),
        first: format!("make {} anew without `--rm`", container.name),
    })
}

fn value(
    policy: &Policy,
    setting: ContainerSetting,
    container: &Container,
    usage: Option<&Known<Usage>>,
) -> Result<(LiveState, Basis), Obstacle> {
    let name = &container.name;
    let chosen = |of: fn(&ContainerValues) -> Option<i64>| policy.values.containers.value(name, &container.image, of);
    let (word, given, least, most) = match setting {
        ContainerSetting::Memory => ("memory", chosen(|values| values.memory), LEAST_MEMORY_PEAK, MOST_MEMORY),
        ContainerSetting::PidsLimit => ("pids-limit", chosen(|values| values.pids_limit), LEAST_PIDS_PEAK, MOST_PIDS),
        ContainerSetting::Cpus => ("cpus", chosen(|values| values.cpus), 0, 0),
        // A network is a name and no number.
        ContainerSetting::RestartPolicy | ContainerSetting::Network => {
            let after = LiveState::RestartPolicy { name: "on-failure".into(), retries: RETRIES };
            return Ok((after, Basis::Benchmark));
        }
    };
    let usage = usage.and_then(|usage| usage.as_ref().ok());
    if let Some(given) = given {
        if usage.is_some_and(|usage| i64::try_from(usage.now).is_ok_and(|now| given < now)) {
            return Err(Obstacle {
                why: format!("{} is less than it takes now", state(setting, given).shown()),
                first: format!("raise `{word}` of {name} under [values.containers] in {CONFIG}"),
            });
        }
        return Ok((state(setting, given), Basis::Config));
    }
    // The processor time of the past says nothing about that of the next request.
    let Some(usage) = usage.filter(|_| most > 0) else {
        return Err(Obstacle {
            why: format!("`{word}` has to be chosen"),
            first: format!("set `{word}` under [values.containers.\"{name}\"] in {CONFIG}"),
        });
    };
    let (peak, times, told) = match usage.most {
        Most::Peak(peak) => (peak, 2, "twice its peak"),
        Most::Now(now) => (now, 4, "four times what it takes now"),
    };
    // In powers of two, so that the same comes of it a moment later.
    let round = peak.clamp(least, most).next_power_of_two();
    let limit = i64::try_from((round * times).min(most)).unwrap_or(i64::MAX);
    let after = state(setting, limit);
    let seen = if setting == ContainerSetting::Memory { mebibytes(peak) } else { peak.to_string() };
    let what = after.what();
    let sentence = format!("container {name}: {what} {} is at least {told}, {seen}", after.shown());
    Ok((after, Basis::Computed(sentence)))
}

/// The site's network for a container, which has to be there: a run makes none, and takes none away.
fn network(
    host: &dyn Host,
    facts: &Facts,
    policy: &Policy,
    container: &Container,
) -> Result<(LiveState, Basis), Obstacle> {
    let name = &container.name;
    let chosen = policy.values.containers.value(name, &container.image, |values| values.network.clone());
    let Some(network) = chosen else {
        return Err(Obstacle {
            why: "`network` has to be chosen".into(),
            first: format!("set `network` under [values.containers.\"{name}\"] in {CONFIG}"),
        });
    };
    let trouble = match networks::find(host, &facts.daemon.socket, &network) {
        Err(unknown) => Some((unknown.0, format!("look at `docker network inspect {network}`"))),
        Ok(None) => {
            Some((format!("there is no network {network}"), format!("run `docker network create {network}` first")))
        }
        Ok(Some(found)) if found.driver != "bridge" || found.internal => {
            let what = if found.internal { "internal".to_owned() } else { format!("of the driver {}", found.driver) };
            let why = format!("the network {network} is {what}: published ports would be lost");
            Some((why, format!("choose another `network` under [values.containers.\"{name}\"] in {CONFIG}")))
        }
        Ok(Some(_)) => None,
    };
    if let Some((why, first)) = trouble {
        return Err(Obstacle { why, first });
    }
    let LiveState::Networks { mut names } = LiveState::of(ContainerSetting::Network, container) else {
        return Err(Obstacle { why: "its networks are not known".into(), first: "look at `docker ps -a`".into() });
    };
    names.retain(|one| *one != DEFAULT_BRIDGE && *one != network);
    names.push(network);
    names.sort_unstable();
    Ok((LiveState::Networks { names }, Basis::Config))
}

fn state(setting: ContainerSetting, value: i64) -> LiveState {
    match setting {
        ContainerSetting::Memory => LiveState::Memory { limit: value, swap: value },
        ContainerSetting::Cpus => LiveState::Cpus { quota: value, period: CPU_PERIOD },
        ContainerSetting::PidsLimit => LiveState::PidsLimit { limit: value },
        ContainerSetting::RestartPolicy | ContainerSetting::Network => {
            LiveState::RestartPolicy { name: "on-failure".into(), retries: value }
        }
    }
}

/// Bytes to a whole mebibyte, upwards.
fn mebibytes(bytes: u64) -> String {
    size(i64::try_from(bytes.div_ceil(1 << 20) << 20).unwrap_or(i64::MAX))
}

/// Changes the containers that can be changed, and what their compose files say; the others keep their finding.
pub(super) fn take_up(base: &dyn Host, facts: &Facts, draft: &mut Draft, entry: &Entry, proposals: Vec<Proposal>) {
    let (read, _) = facts.workload.each().unwrap_or_default();
    let check = entry.id.as_str();
    let composes = entry.remediation.edits.iter().any(|edit| matches!(edit, Edit::Compose(_)));
    for proposal in proposals {
        let kept = composes && compose::keep(base, facts, draft, check, &proposal);
        let Ok((change, basis)) = proposal.change else { continue };
        let mut notes = Vec::new();
        if let Basis::Computed(sentence) = basis {
            notes.push(sentence);
        }
        let container = read.iter().find(|container| container.id == change.id);
        if let Some(ComposeOrigin { project, service, .. }) = container.and_then(|one| one.compose.as_ref())
            && !kept
        {
            notes.push(format!(
                "container {} is made anew from its compose file (project {project}, service {service}), which undoes \
                 this: write it there too",
                change.name
            ));
        }
        draft.update(check, &change, notes);
    }
}

impl Proposal {
    /// What a person has to agree to, in words that stay the same as long as the proposal does.
    pub(super) fn to_choose(&self) -> Option<String> {
        match &self.change {
            Ok((change, Basis::Computed(_))) => Some(format!("{}: {} proposed", self.name, change.after.shown())),
            Ok((_, Basis::Config | Basis::Benchmark)) => None,
            Err(Obstacle { why, .. }) => Some(format!("{}: {why}", self.name)),
        }
    }

    /// The change, where it takes a container off a network.
    pub(super) fn moves(&self) -> Option<&LiveChange> {
        let (change, _) = self.change.as_ref().ok()?;
        matches!(change.after, LiveState::Networks { .. }).then_some(change)
    }

    /// What another restart policy means for a container that comes back by itself today.
    pub(super) fn stays_down(&self) -> Option<String> {
        let Ok((change, _)) = &self.change else { return None };
        let LiveState::RestartPolicy { name, .. } = &change.before else { return None };
        Some(match name.as_str() {
            "on-failure" => format!("{} (given up after {RETRIES} failures)", self.name),
            _ => format!("{} (down after a boot or a restart of docker, if it ends without an error)", self.name),
        })
    }

    /// Of what a check would hurt, what is about this container: with hundreds of them each would else carry the words
    /// of all.
    pub(super) fn own(&self, hazards: &[HazardFound]) -> Vec<HazardFound> {
        let words: Vec<String> = self.to_choose().into_iter().chain(self.stays_down()).collect();
        let mine = |text: &&String| {
            words.contains(*text)
                || self.moves().is_some() && text.starts_with(&format!("{}: ", self.name))
                || self.blind.as_ref().is_some_and(|why| text.contains(why.as_str()))
        };
        let of = |found: &HazardFound| {
            let evidence: Vec<String> = found.evidence.iter().filter(mine).cloned().collect();
            (!evidence.is_empty()).then_some(HazardFound { evidence, hazard: found.hazard, looked: found.looked })
        };
        hazards.iter().filter_map(of).collect()
    }
}
