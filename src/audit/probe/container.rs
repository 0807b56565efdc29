//! One outcome for each container: what runs, not what a flag once said. What needs a process is judged by the
//! configuration where there is none, and the source says so.

mod capabilities;
mod confinement;
mod mounts;
mod namespaces;
mod ports;
mod resources;
mod running;
mod user;

#[cfg(test)]
mod tests;

pub(in crate::audit) use capabilities::is_usual;

use crate::audit::finding::{PendingOn, Verdict};
use crate::catalog::ContainerRule as Rule;
use crate::facts::workload::Process;
use crate::facts::{Container, Facts, Known, has_option};

use super::Outcome;

/// Judges every container that could be read, and names those that could not.
pub(super) fn run(rule: &Rule, facts: &Facts) -> Vec<Outcome> {
    let (containers, unread) = match facts.workload.each() {
        Ok(found) => found,
        Err(why) => return vec![Outcome::unknown(NONE, &why)],
    };
    let subject = |name: &str| format!("container:{name}");
    let one = |container: &Container| {
        let outcome = Outcome::new(subject(&container.name), Verdict::Pass).id(container.id.clone());
        let seen = Seen { facts, containers, container };
        written(rule, &seen, judge(rule, &seen, outcome))
    };
    let mut outcomes: Vec<Outcome> = containers.iter().map(one).collect();
    outcomes.extend(unread.iter().map(|one| Outcome::unknown(subject(&one.name), &one.why).id(one.id.clone())));
    if outcomes.is_empty() {
        outcomes.push(Outcome::not_applicable(NONE, "there is no container"));
    }
    outcomes
}

/// What its compose files have mended already waits for the container to be made anew from them.
fn written(rule: &Rule, seen: &Seen<'_>, outcome: Outcome) -> Outcome {
    let anew = seen.facts.compose.anew.get(&seen.container.id).filter(|_| outcome.verdict == Verdict::Fail);
    if anew.is_some_and(|anew| holds(rule, seen.facts, anew)) {
        return Outcome { verdict: Verdict::Pending, pending_on: Some(PendingOn::Recreate), ..outcome };
    }
    outcome
}

/// Whether a container that is not there yet would pass.
pub(in crate::audit) fn holds(rule: &Rule, facts: &Facts, container: &Container) -> bool {
    let (containers, _) = facts.workload.each().unwrap_or_default();
    judge(rule, &Seen { facts, containers, container }, Outcome::new(NONE, Verdict::Pass)).verdict == Verdict::Pass
}

/// The subject where there is no container to name.
const NONE: &str = "host:this";

/// What is known when a container is judged.
#[derive(Clone, Copy)]
struct Seen<'a> {
    facts: &'a Facts,
    /// All that could be read: a container can live in the namespaces of another.
    containers: &'a [Container],
    container: &'a Container,
}

impl<'a> Seen<'a> {
    /// Its first process; `None`: it does not run.
    fn process(&self) -> Known<Option<&'a Process>> {
        if !self.container.running {
            return Ok(None);
        }
        self.facts.workload.first_process(self.container).map(Some)
    }

    /// Whether the engine works with this security option (`SecurityOptions` of `GET /info`).
    fn engine_has(&self, option: &str) -> Known<bool> {
        let info = self.facts.daemon.info.as_ref().map_err(Clone::clone)?;
        Ok(has_option(info, option))
    }

    /// Whether containers get user namespaces, by userns-remap or because the daemon is rootless.
    fn in_user_namespaces(&self) -> Known<bool> {
        Ok(self.engine_has("userns")? || self.engine_has("rootless")?)
    }

    /// Its own `--security-opt` of this name, written `NAME=VALUE` or, as before Docker 1.11, `NAME:VALUE`.
    fn security_option(&self, name: &str) -> Option<&'a str> {
        self.container.security_opts.iter().find_map(|option| option.strip_prefix(name)?.strip_prefix(['=', ':']))
    }

    /// Where the facts about its first process come from.
    fn status(&self) -> String {
        format!("/proc/{}/status", self.container.pid)
    }
}

/// Fills `outcome` for one container.
fn judge(rule: &Rule, seen: &Seen<'_>, outcome: Outcome) -> Outcome {
    match rule {
        Rule::Apparmor => confinement::apparmor(seen, outcome),
        Rule::Capabilities => capabilities::all(seen, outcome),
        Rule::Capability(which) => capabilities::one(seen, *which, outcome),
        Rule::CgroupParent => resources::cgroup_parent(seen, outcome),
        Rule::Cpu => resources::cpu(seen, outcome),
        Rule::DefaultBridge => ports::default_bridge(seen, outcome),
        Rule::Devices => mounts::devices(seen, outcome),
        Rule::DockerSocket => mounts::docker_socket(seen, outcome),
        Rule::Healthcheck => running::healthcheck(seen, outcome),
        Rule::HostMounts => mounts::host_mounts(seen, outcome),
        Rule::HostNamespace(which) => namespaces::run(seen, *which, outcome),
        Rule::ImageAge => running::image_age(seen, outcome),
        Rule::Memory => resources::memory(seen, outcome),
        Rule::NoNewPrivileges => confinement::no_new_privileges(seen, outcome),
        Rule::PidsLimit => resources::pids(seen, outcome),
        Rule::Privileged => {
            let outcome = outcome.expected("not privileged").source("HostConfig.Privileged");
            if seen.container.privileged { outcome.fails("privileged") } else { outcome.actual("not privileged") }
        }
        Rule::PrivilegedExec => running::privileged_exec(seen, outcome),
        Rule::PrivilegedPorts => ports::privileged(seen, outcome),
        Rule::PublishedPorts => ports::published(seen, outcome),
        Rule::ReadOnly => mounts::read_only(seen, outcome),
        Rule::RestartPolicy => resources::restart(seen, outcome),
        Rule::RootExec => running::root_exec(seen, outcome),
        Rule::Seccomp => confinement::seccomp(seen, outcome),
        Rule::Selinux => confinement::selinux(seen, outcome),
        Rule::SharedPropagation => mounts::propagation(seen, outcome),
        Rule::Sshd => running::sshd(seen, outcome),
        Rule::Ulimits => resources::ulimits(seen, outcome),
        Rule::User => user::run(seen, outcome),
        Rule::WildcardPorts => ports::wildcard(seen, outcome),
    }
}
