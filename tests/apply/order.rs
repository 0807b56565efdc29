//! What comes before what, and how long anything may take: seen on the trail of a run that leaves no doubt.

use std::path::{Path, PathBuf};

use seaworthy::apply::Store;
use seaworthy::error::Kind;
use seaworthy::host::Command;
use seaworthy::plan::Act;

use crate::rules_plan;
use crate::support::fake_docker::Sick;
use crate::support::fake_faults::Fault;
use crate::support::fake_host::FakeHost;
use crate::support::world::{
    AFTER, CONFIG, INTERIM, RULES, assert_as_before, busy, config_change, host, of, pids, plan, run, step,
};

const OWN: [&str; 2] = ["/var/lib/seaworthy", "/run/seaworthy"];

fn is_own(path: &Path) -> bool {
    OWN.iter().any(|own| path.starts_with(own))
}

/// The position of the first change of the host: anything but syncs, outside seaworthy's own directories.
fn first_change(trail: &[(&str, PathBuf)]) -> usize {
    let change = |(what, path): &(&str, PathBuf)| *what != "sync" && !is_own(path) && !path.ends_with("lib");
    trail.iter().position(change).expect("a run changes something")
}

/// The host of a run that dies right after it ran this command.
fn died_after(command: &str) -> FakeHost {
    for at in 1.. {
        let mut host = busy();
        host.fault = Fault::Kill(at);
        assert!(run(&mut host, &plan()).is_err(), "it never runs {command}");
        if host.log.iter().any(|line| line.contains(command)) {
            return host;
        }
    }
    unreachable!("a run ends")
}

/// Commands of a host that speak of one unit.
fn about(host: &FakeHost, unit: &str) -> Vec<String> {
    let about = host.log.iter().filter(|line| line.contains(unit) && !line.contains("ResetFailed"));
    about.cloned().collect()
}

#[test]
fn backups_are_on_the_disk_before_the_first_change() {
    let mut host = busy();
    run(&mut host, &plan()).unwrap();
    let before = &host.trail[..first_change(&host.trail)];
    let last = |what: &str, path: &Path| before.iter().rposition(|(w, p)| *w == what && p == path);
    let backups: Vec<&PathBuf> = before
        .iter()
        .filter(|(what, path)| *what == "create" && path.parent().is_some_and(|dir| dir.ends_with("backups")))
        .map(|(_, path)| path)
        .collect();
    assert_eq!(backups.len(), 1, "one file has content that changes: {backups:?}");
    for backup in backups {
        let synced = last("sync", backup).expect("synced");
        assert!(synced > last("append", backup).expect("written"), "{}", backup.display());
        let dir = last("sync", backup.parent().unwrap()).expect("its directory is synced");
        assert!(dir > last("create", backup).unwrap(), "{}", backup.display());
        assert_eq!(host.files[backup].stat.mode, 0o600);
    }
}

#[test]
fn a_file_is_replaced_by_a_whole_one_from_its_own_directory() {
    let mut host = busy();
    run(&mut host, &plan()).unwrap();
    let trail = &host.trail;
    let renames: Vec<usize> =
        (0..trail.len()).filter(|at| trail[*at].0 == "rename" && !is_own(&trail[*at].1)).collect();
    assert!(renames.len() >= 4, "{renames:?}");
    for at in renames {
        let (target, dir) = (&trail[at].1, trail[at].1.parent().unwrap());
        let written = trail[..at].iter().rposition(|(what, path)| *what == "append" && !is_own(path)).unwrap();
        let staged = &trail[written].1;
        assert_eq!(staged.parent(), Some(dir), "{} is staged elsewhere", target.display());
        let between = &trail[written..at];
        let sync = between.iter().rposition(|(what, path)| *what == "sync" && path == staged);
        let metadata =
            between.iter().rposition(|(what, path)| matches!(*what, "owner" | "mode" | "xattr") && path == staged);
        assert!(sync > metadata && sync.is_some(), "{} is not durable", staged.display());
        let next =
            trail[at + 1..].iter().position(|(what, path)| *what != "sync" && !is_own(path)).unwrap_or(trail.len());
        let after = &trail[at + 1..(at + 1 + next).min(trail.len())];
        assert!(after.contains(&("sync", dir.to_owned())), "{} is not synced after the rename", dir.display());
        assert!(!trail[..at].iter().any(|(what, path)| *what == "append" && path == target), "written in place");
    }
}

/// Also in the order in which the disk sees them.
#[test]
fn the_intent_is_on_the_disk_before_the_change() {
    let mut host = busy();
    run(&mut host, &plan()).unwrap();
    let staged = |path: &Path| path.to_string_lossy().contains(".seaworthy-");
    let changes = (0..host.trail.len()).filter(|at| {
        let (what, path) = &host.trail[*at];
        *what != "sync" && !is_own(path) && !staged(path) && !path.ends_with("lib")
    });
    let mut changed: Vec<&Path> = Vec::new();
    for at in changes {
        let journal = |what: &str| {
            host.trail[..at].iter().rposition(|(w, path)| *w == what && path.ends_with("journal") && is_own(path))
        };
        assert!(journal("sync") > journal("append"), "{:?} before its intent", host.trail[at]);
        changed.push(&host.trail[at].1);
    }
    // Each path in its turn has an intent of its own.
    changed.dedup();
    assert!(changed.len() >= 8, "{changed:?}");
    let id = Store::default().list(&host).unwrap().pop().unwrap();
    let journal = host.text(&format!("/var/lib/seaworthy/runs/{id}/journal")).unwrap();
    let records = journal.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    let intents = records.filter(|record| record["record"] == "intent");
    let mut paths: Vec<String> =
        intents.filter_map(|intent| Some(intent["op"]["path"]["path"].as_str()?.to_owned())).collect();
    paths.dedup();
    assert_eq!(paths.iter().map(Path::new).collect::<Vec<_>>(), changed);
}

#[test]
fn live_restore_is_in_force_before_the_only_restart() {
    let mut host = busy();
    run(&mut host, &plan()).unwrap();
    assert_eq!(about(&host, "docker.service"), ["Reload(\"docker.service\")", "Restart(\"docker.service\")"]);
    let reloaded = died_after("Reload(\"docker.service\")");
    assert_eq!(reloaded.text(CONFIG).unwrap(), INTERIM, "live-restore goes alone");
    let restarted = died_after("Restart(\"docker.service\")");
    assert_eq!(restarted.text(CONFIG).unwrap(), AFTER, "everything is written by then");
    // A reload that dockerd does not take shows in its API alone: without it nothing restarts.
    let mut deaf = busy();
    deaf.docker.sick = Some((Sick::Deaf, "live-restore"));
    let (before, begun) = (busy(), deaf.clock);
    let error = run(&mut deaf, &plan()).unwrap_err();
    assert!((15..90).contains(&((deaf.clock - begun) / 1000)), "{} ms", deaf.clock - begun);
    assert!(error.message.contains("did not take live-restore=true"), "{error:?}");
    assert_eq!((error.kind, deaf.docker.started), (Kind::RolledBack, 1));
    assert_eq!((deaf.state(), pids(&deaf)), (before.state(), pids(&before)));
}

#[test]
fn audit_rules_are_written_before_they_are_loaded_and_auditd_is_left_alone() {
    let loaded = died_after("LoadAuditRules");
    assert!(loaded.text(RULES).unwrap().ends_with("-w /etc/docker -p wa -k docker\n"));
    let mut host = busy();
    run(&mut host, &plan()).unwrap();
    assert_eq!(host.log.iter().filter(|line| *line == "LoadAuditRules").count(), 1);
    assert_eq!(about(&host, "audit"), Vec::<String>::new());
}

/// Rules that bring more than auditd can write cost the site records of its own, and with `-f 2` the host.
#[test]
fn rules_that_make_the_kernel_lose_records_are_taken_back() {
    let good = rules_plan("-w /usr/bin/dockerd -p wa -k docker\n", "/usr/bin/dockerd wa");
    let mut host = host();
    host.audit_flood = Some("/usr/bin/dockerd".into());
    let (before, rules) = (host.state(), host.kernel_rules.clone());
    let error = run(&mut host, &good).unwrap_err();
    assert_eq!(error.kind, Kind::RolledBack, "{error:?}");
    assert!(error.message.starts_with("the kernel lost ") && error.hint.is_some(), "{error:?}");
    assert_eq!((host.state(), host.kernel_rules.clone()), (before, rules));
    // What it lost before is not ours.
    host.audit_flood = None;
    run(&mut host, &good).unwrap();
}

/// Its unit has no limit of its own: systemctl would wait for ever.
#[test]
fn a_start_that_never_ends_is_given_up_and_taken_back() {
    let mut host = busy();
    host.docker.sick = Some((Sick::Hangs, "icc"));
    let begun = host.clock;
    let error = run(&mut host, &plan()).unwrap_err();
    assert_eq!(error.kind, Kind::RolledBack, "{error:?}");
    assert!(error.message.contains("is not healthy 90 s after the restart: docker.service is activating"), "{error:?}");
    let passed = (host.clock - begun) / 1000;
    assert!((95..130).contains(&passed), "{passed} s");
    assert_as_before(&mut host, &busy(), "after a start that hung");
    // The same of a unit that is started for the audit.
    let mut host = busy();
    host.hangs = Some("auditd.service".into());
    let begun = host.clock;
    let start = step(Act::Run(Command::Start("auditd.service".into())), &["a"]);
    let error = run(&mut host, &of(vec![start])).unwrap_err();
    assert!(error.message.contains("auditd.service is activating after its start"), "{error:?}");
    let passed = (host.clock - begun) / 1000;
    assert!((15..60).contains(&passed), "{passed} s");
}

#[test]
fn active_is_not_healthy_without_a_lasting_process_and_the_networks() {
    for (sick, said) in [(Sick::Loops, "its process changes"), (Sick::Bridgeless, "network bridge is missing")] {
        let mut host = busy();
        host.docker.sick = Some((sick, "icc"));
        let error = run(&mut host, &plan()).unwrap_err();
        assert_eq!(error.kind, Kind::RolledBack, "{error:?}");
        assert!(error.causes.iter().chain([&error.message]).any(|text| text.contains(said)), "{error:?}");
        assert_as_before(&mut host, &busy(), said);
    }
    // What it is after all that is asked of it: a healthy one is watched over the window.
    let mut well = host();
    let begun = well.clock;
    let steps = vec![step(Act::File(config_change(AFTER)), &["a"]), step(Act::RestartDocker, &["a"])];
    run(&mut well, &of(steps)).unwrap();
    assert!(well.clock - begun >= 5000);
}
