//! One outcome for each container: what runs, not what a flag once said.

use crate::audit::finding::{PendingOn, Verdict};
use crate::catalog::ContainerRule;
use crate::facts::{Container, Facts};

use super::Outcome;

/// Judges every container that could be read, and names those that could not.
pub(super) fn run(rule: &ContainerRule, facts: &Facts) -> Vec<Outcome> {
    let (containers, unread) = match facts.workload.each() {
        Ok(found) => found,
        Err(why) => return vec![Outcome::unknown(NONE, &why)],
    };
    let subject = |name: &str| format!("container:{name}");
    let mut outcomes: Vec<Outcome> = containers
        .iter()
        .map(|container| judge(rule, facts, container, Outcome::new(subject(&container.name), Verdict::Pass)))
        .zip(containers)
        .map(|(outcome, container)| outcome.id(container.id.clone()))
        .collect();
    outcomes.extend(unread.iter().map(|one| Outcome::unknown(subject(&one.name), &one.why).id(one.id.clone())));
    if outcomes.is_empty() {
        outcomes.push(Outcome::not_applicable(NONE, "there is no container"));
    }
    outcomes
}

/// The subject where there is no container to name.
const NONE: &str = "host:this";

/// Fills `outcome` for one container.
fn judge(rule: &ContainerRule, facts: &Facts, container: &Container, outcome: Outcome) -> Outcome {
    let confinement = &container.confinement;
    match rule {
        ContainerRule::Memory => {
            let limit = confinement.memory;
            let outcome = outcome.expected("a limit").source("HostConfig.Memory");
            if limit > 0 { outcome.actual(format!("{limit} bytes")) } else { outcome.fails("no limit") }
        }
        ContainerRule::Cpu => {
            let outcome = outcome.expected("a limit or a share of its own").source("HostConfig");
            let limited = confinement.nano_cpus > 0 || confinement.cpu_quota > 0;
            if limited || ![0, 1024].contains(&confinement.cpu_shares) {
                outcome.actual("limited")
            } else {
                outcome.fails("no limit")
            }
        }
        ContainerRule::RestartPolicy => {
            let outcome =
                outcome.expected("`no`, or `on-failure` with up to 5 tries").source("HostConfig.RestartPolicy");
            match (container.restart.as_str(), container.restart_count) {
                ("" | "no", _) => outcome.actual("no"),
                ("on-failure", 1..=5) => outcome.actual(format!("on-failure:{}", container.restart_count)),
                (name, _) => outcome.fails(name),
            }
        }
        ContainerRule::PidsLimit => {
            let limit = confinement.pids;
            let outcome = outcome.expected("a limit").source("HostConfig.PidsLimit");
            if limit > 0 { outcome.actual(format!("{limit} processes")) } else { outcome.fails("no limit") }
        }
        ContainerRule::NoNewPrivileges => no_new_privileges(facts, container, outcome),
        ContainerRule::Privileged => {
            let outcome = outcome.expected("not privileged").source("HostConfig.Privileged");
            if container.privileged { outcome.fails("privileged") } else { outcome.actual("not privileged") }
        }
    }
}

/// The daemon's default is copied into a container when it is created, and inspection never shows it: only the process
/// tells.
fn no_new_privileges(facts: &Facts, container: &Container, outcome: Outcome) -> Outcome {
    let outcome = outcome.expected("processes that cannot gain privileges");
    let named = |option: &String| option.strip_prefix("no-new-privileges").map(|rest| !rest.ends_with("false"));
    let option = container.security_opts.iter().find_map(named);
    if !container.running {
        let default = || facts.daemon.setting("no-new-privileges").next.is_ok_and(|value| value == true);
        let outcome = outcome.source("HostConfig.SecurityOpt");
        // Not known: what the daemon's default was when it was created.
        return match option {
            Some(true) => outcome.actual("set"),
            Some(false) => outcome.fails("switched off"),
            None if default() => outcome.verdict(Verdict::Manual).actual("not running: by the default at its creation"),
            None => outcome.fails("not set"),
        };
    }
    match facts.workload.first_process(container) {
        Ok(process) if process.no_new_privs => outcome.actual("NoNewPrivs: 1").source(status(container)),
        Ok(_) if option == Some(true) || option.is_none() && set_by_default(facts) => {
            let outcome = outcome.verdict(Verdict::Pending).actual("NoNewPrivs: 0").source(status(container));
            Outcome { pending_on: Some(PendingOn::Recreate), ..outcome }
        }
        Ok(_) => outcome.fails("NoNewPrivs: 0").source(status(container)),
        Err(why) => outcome.verdict(Verdict::Unknown).actual(why.to_string()),
    }
}

/// Whether containers that are created from now on get it from the daemon.
fn set_by_default(facts: &Facts) -> bool {
    facts.daemon.setting("no-new-privileges").in_force.is_ok_and(|value| value.is_some_and(|value| value == true))
}

fn status(container: &Container) -> String {
    format!("/proc/{}/status", container.pid)
}
