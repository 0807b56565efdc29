//! A setting of the daemon: pass only when the next start will use it *and* it is in force.

use serde_json::{Value, json};

use crate::audit::expect;
use crate::audit::finding::{PendingOn, Verdict};
use crate::catalog::Expect;
use crate::facts::{Container, Facts, Origin, Setting, has_option, keys};

use super::{DAEMON, Outcome};

/// Judges one key of daemon.json.
pub(super) fn run(facts: &Facts, key: &str, wanted: &Expect) -> Outcome {
    if let Some(outcome) = special(facts, key) {
        return outcome;
    }
    let outcome = judge(facts, key, wanted);
    if key == "no-new-privileges" && outcome.verdict == Verdict::Pass {
        return reached(facts, outcome);
    }
    outcome
}

/// The daemon copies no-new-privileges into a container when it creates it, and shows it nowhere: the processes of
/// those that were created before tell.
fn reached(facts: &Facts, outcome: Outcome) -> Outcome {
    let workload = &facts.workload;
    let running = match (workload.running(), &workload.processes) {
        (Ok(running), _) if running.is_empty() => return outcome,
        (Ok(running), Ok(_)) => running,
        (Err(why), _) => return Outcome::unknown(DAEMON, &why).expected(outcome.expected),
        (_, Err(why)) => return Outcome::unknown(DAEMON, why).expected(outcome.expected),
    };
    let gains = |one: &&&Container| workload.first_process(one).is_ok_and(|process| !process.no_new_privs);
    let old: Vec<&str> = running.iter().filter(gains).map(|c| c.name.as_str()).collect();
    if old.is_empty() {
        return outcome;
    }
    Outcome::pending(DAEMON, PendingOn::Recreate)
        .expected(outcome.expected)
        .actual(format!("holds for new containers; created before: {}", old.join(", ")))
        .source("NoNewPrivs in /proc/PID/status")
}

fn judge(facts: &Facts, key: &str, wanted: &Expect) -> Outcome {
    let setting = facts.daemon.setting(key);
    let expected = expect::words(wanted);
    let outcome = |verdict| Outcome::new(DAEMON, verdict).expected(expected.clone());
    let next = match &setting.next {
        Ok(value) => value,
        Err(why) => return Outcome::unknown(DAEMON, why).expected(expected),
    };
    let actual = format!("{key}: {}", expect::show(next));
    let source = source(facts, key, &setting);
    if setting.conflict {
        let actual = format!("{actual}, set by a flag and in daemon.json: the next start fails");
        return outcome(Verdict::Fail).actual(actual).source(source);
    }
    if !expect::holds(wanted, next) {
        return outcome(Verdict::Fail).actual(actual).source(source);
    }
    match &setting.in_force {
        Ok(None) => outcome(Verdict::Pass).actual(actual).source(format!("{source}; docker.service is not running")),
        Ok(Some(value)) if expect::holds(wanted, value) => {
            outcome(Verdict::Pass).actual(actual).source(format!("{source}; {}", setting.in_force_source))
        }
        Ok(Some(value)) => Outcome::pending(DAEMON, waits_for(facts, key))
            .expected(expected)
            .actual(format!("{actual} is written, in force is {}", expect::show(value)))
            .source(format!("{source}; {}", setting.in_force_source)),
        // Written after the daemon started: a restart makes it certain.
        Err(_) if facts.daemon.changed_since_start() => Outcome::pending(DAEMON, waits_for(facts, key))
            .expected(expected)
            .actual(format!("{actual} is written, the daemon started before that"))
            .source(source),
        Err(why) => Outcome::unknown(DAEMON, why).expected(expected).source(source),
    }
}

/// What a written value of this key waits for. With containers running the bridge keeps its old options even through
/// a restart under live-restore (moby `initNetworkController`; measured on 20.10.24 and 26.1.5).
fn waits_for(facts: &Facts, key: &str) -> PendingOn {
    let running = facts.daemon.info.as_ref().ok().and_then(|i| i["ContainersRunning"].as_u64()).unwrap_or(0);
    if key == "icc" && running > 0 {
        PendingOn::ContainersStopped
    } else if keys::find(key).is_some_and(|k| k.reload) {
        PendingOn::Reload
    } else {
        PendingOn::Restart
    }
}

pub(super) fn source(facts: &Facts, key: &str, setting: &Setting) -> String {
    match &setting.origin {
        Origin::Default => "default of dockerd".into(),
        Origin::File => {
            let line = facts.daemon.config.line_of(key).map_or(String::new(), |n| format!(":{n}"));
            format!("{}{line}", facts.daemon.config_path.display())
        }
        Origin::Flag(place) => {
            let variable = place.variable.as_ref().map_or(String::new(), |v| format!(" in {v}"));
            format!("flag{variable} at {}:{}", place.file.display(), place.line)
        }
    }
}

/// Settings whose verdict needs more than their own value.
fn special(facts: &Facts, key: &str) -> Option<Outcome> {
    let info = facts.daemon.info.as_ref().ok();
    match key {
        "live-restore" => {
            let state = info.and_then(|i| i["Swarm"]["LocalNodeState"].as_str()).unwrap_or("inactive");
            let why = "this node is part of a swarm, which does without live-restore";
            (state != "inactive").then(|| Outcome::not_applicable(DAEMON, why).source("API /info Swarm.LocalNodeState"))
        }
        "userns-remap" if info.is_some_and(|i| has_option(i, "rootless")) => {
            let outcome = Outcome::new(DAEMON, Verdict::Pass).expected("a user namespace").actual("rootless");
            Some(outcome.source("API /info SecurityOptions name=rootless"))
        }
        "userns-remap" => {
            // Remapping to root is no remapping at all.
            let next = facts.daemon.setting(key).next.ok()?;
            let root = next.as_str().is_some_and(|t| t.split(':').next() == Some("root") || t == "0");
            let outcome = Outcome::new(DAEMON, Verdict::Fail).expected("an unprivileged user");
            root.then(|| outcome.actual(format!("userns-remap: {}", expect::show(&next))).source("daemon.json"))
        }
        // Debug mode logs at level debug whatever log-level says.
        "log-level" => {
            let debug = judge(facts, "debug", &Expect::Equals(json!(false)));
            (debug.verdict == Verdict::Fail).then_some(debug)
        }
        "seccomp-profile" => {
            let profile = facts.daemon.setting(key).next.ok()?;
            let custom = profile.as_str().is_some_and(|p| !matches!(p, "" | "builtin" | "default" | "unconfined"));
            let outcome = Outcome::new(DAEMON, Verdict::Manual).expected("the built-in profile, or one that you trust");
            custom.then(|| outcome.actual(format!("profile {}", expect::show(&profile))).source("daemon.json"))
        }
        _ => None,
    }
}

/// For the checks whose probe is their own but whose heart is a setting.
pub(super) fn value(facts: &Facts, key: &str) -> Value {
    facts.daemon.setting(key).next.unwrap_or(Value::Null)
}
