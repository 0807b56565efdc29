//! What holds a container's processes back: `AppArmor`, `SELinux`, seccomp, and that they cannot gain privileges.

use super::{Outcome, Seen};
use crate::audit::finding::{PendingOn, Verdict};
use crate::facts::Facts;

/// Where options of a container are.
const OPTIONS: &str = "HostConfig.SecurityOpt";

pub(super) fn apparmor(seen: &Seen<'_>, outcome: Outcome) -> Outcome {
    match seen.engine_has("apparmor") {
        Ok(true) => {}
        Ok(false) => return outcome.does_not_apply("the engine works without AppArmor"),
        Err(why) => return outcome.not_known(&why),
    }
    let outcome = outcome.expected("a profile");
    let own = seen.container.confinement.apparmor.as_str();
    if seen.container.running {
        let outcome = outcome.source("AppArmorProfile");
        return if ["", "unconfined"].contains(&own) { outcome.fails("unconfined") } else { outcome.actual(own) };
    }
    // The profile of one that never started is not filled in yet; dockerd gives its own unless told otherwise.
    match seen.security_option("apparmor") {
        Some("unconfined") => outcome.fails("unconfined").source(OPTIONS),
        // Docker 20.10.24 runs it unconfined all the same.
        Some(profile) if seen.container.privileged => {
            outcome.verdict(Verdict::Manual).actual(format!("privileged, with the profile {profile}")).source(OPTIONS)
        }
        Some(profile) => outcome.actual(profile).source(OPTIONS),
        None if seen.container.privileged => {
            outcome.fails("unconfined, being privileged").source("HostConfig.Privileged")
        }
        None => outcome.actual("docker-default, once it starts").source(OPTIONS),
    }
}

pub(super) fn selinux(seen: &Seen<'_>, outcome: Outcome) -> Outcome {
    let outcome = outcome.expected("a label that confines");
    let scope = &seen.facts.scope;
    match seen.engine_has("selinux") {
        Ok(true) => {}
        Ok(false) if scope.selinux => return outcome.fails("the daemon does not set labels").source("API /info"),
        Ok(false) => return outcome.does_not_apply("the engine works without SELinux"),
        Err(why) => return outcome.not_known(&why),
    }
    let label = seen.container.confinement.process_label.as_str();
    let outcome = outcome.source("ProcessLabel");
    // The type is the third part; these two are not confined (`container-selinux`, `spc_t` for "super privileged").
    match label.split(':').nth(2) {
        None => outcome.fails("no label"),
        Some("spc_t" | "unconfined_t") => outcome.fails(label),
        Some(_) => outcome.actual(label),
    }
}

/// A filter that a process has can be inherited from the daemon's own (`SystemCallFilter=` of its unit, or a container
/// around it): where the configuration says that there is none, it is not the container's.
pub(super) fn seccomp(seen: &Seen<'_>, outcome: Outcome) -> Outcome {
    let configured = seccomp_configured(seen, outcome.expected("a filter"));
    if configured.verdict == Verdict::Fail {
        return configured;
    }
    match seen.process() {
        Ok(Some(process)) => {
            let outcome = configured.verdict(Verdict::Pass).source(seen.status());
            let mode = format!("Seccomp: {}", process.seccomp);
            if process.seccomp == 0 { outcome.fails(mode) } else { outcome.actual(mode) }
        }
        Ok(None) => configured,
        Err(why) => configured.not_known(&why),
    }
}

fn seccomp_configured(seen: &Seen<'_>, outcome: Outcome) -> Outcome {
    let privileged = seen.container.privileged;
    match seen.security_option("seccomp") {
        Some("unconfined") => outcome.fails("unconfined").source(OPTIONS),
        // Engines of today use it then too, those of old did not (`daemon/seccomp_linux.go` in moby).
        Some(_) if privileged => {
            outcome.verdict(Verdict::Manual).actual("privileged, with a profile of its own").source(OPTIONS)
        }
        Some(_) => outcome.actual("a profile of its own").source(OPTIONS),
        None if privileged => outcome.fails("none, being privileged").source("HostConfig.Privileged"),
        None => {
            let outcome = outcome.source("seccomp-profile of the daemon");
            let setting = seen.facts.daemon.setting("seccomp-profile");
            let value = if seen.container.running { setting.in_force } else { setting.next.map(Some) };
            match value {
                Ok(Some(profile)) if profile == "unconfined" => outcome.fails("the daemon's, which is unconfined"),
                Ok(_) => outcome.actual("the daemon's profile"),
                Err(why) => outcome.not_known(&why),
            }
        }
    }
}

/// The daemon's default is copied into a container when it is created, and inspection never shows it: only the process
/// tells.
pub(super) fn no_new_privileges(seen: &Seen<'_>, outcome: Outcome) -> Outcome {
    let Seen { facts, container, .. } = seen;
    let outcome = outcome.expected("processes that cannot gain privileges");
    let named = |option: &String| option.strip_prefix("no-new-privileges").map(|rest| !rest.ends_with("false"));
    let option = container.security_opts.iter().find_map(named);
    match seen.process() {
        Ok(None) => not_running(facts, option, outcome.source(OPTIONS)),
        Ok(Some(process)) if process.no_new_privs => outcome.actual("NoNewPrivs: 1").source(seen.status()),
        Ok(Some(_)) if option == Some(true) || option.is_none() && set_by_default(facts) => {
            let outcome = outcome.verdict(Verdict::Pending).actual("NoNewPrivs: 0").source(seen.status());
            Outcome { pending_on: Some(PendingOn::Recreate), ..outcome }
        }
        Ok(Some(_)) => outcome.fails("NoNewPrivs: 0").source(seen.status()),
        Err(why) => outcome.not_known(&why),
    }
}

/// Not known there: what the daemon's default was when it was created.
fn not_running(facts: &Facts, option: Option<bool>, outcome: Outcome) -> Outcome {
    let default = || facts.daemon.setting("no-new-privileges").next.is_ok_and(|value| value == true);
    match option {
        Some(true) => outcome.actual("set"),
        Some(false) => outcome.fails("switched off"),
        None if default() => outcome.verdict(Verdict::Manual).actual("not running: by the default at its creation"),
        None => outcome.fails("not set"),
    }
}

/// Whether containers that are created from now on get it from the daemon.
fn set_by_default(facts: &Facts) -> bool {
    facts.daemon.setting("no-new-privileges").in_force.is_ok_and(|value| value.is_some_and(|value| value == true))
}
