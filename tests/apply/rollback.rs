//! Taking runs back, whole and in part.

use std::path::Path;

use seaworthy::apply::{RollbackOptions, Silent, State, Store, confirm, list, plan_rollback, rollback};
use seaworthy::error::Kind;
use seaworthy::host::{Command, FileKind};
use seaworthy::plan::{Act, FileState};
use serde_json::json;

use crate::support::fake_host::FakeHost;
use crate::support::world::{
    AFTER, BEFORE, CONFIG, RULES, With, assert_as_before, busy, change, config_change, host, node, of, options, pids,
    plan, present, run, run_with, step, undo,
};

#[test]
fn rollback_is_exact_and_keeps_containers() {
    let mut host = busy();
    let (before, rules) = (host.state(), host.kernel_rules.clone());
    let run = run(&mut host, &plan()).unwrap().run;
    let shown = plan_rollback(&host, &Store::default(), &run, None).unwrap();
    assert!(shown.held.is_empty() && shown.changed_since.is_empty());
    assert_eq!(shown.actions, ["systemctl restart docker.service", "augenrules --load"]);
    undo(&mut host, &run).unwrap();
    assert_eq!(host.state(), before);
    assert_eq!(host.kernel_rules, rules);
    assert_eq!(pids(&host), [901, 902]);
    assert!(!host.docker.live_restore(), "live-restore is off in force, not only in the file");
    assert_eq!(list(&host, &Store::default()).unwrap()[0].state, State::RolledBack);
    assert_eq!(undo(&mut host, &run).unwrap().notes, ["nothing of it stands"]);
}

#[test]
fn a_fresh_host_without_etc_docker() {
    let mut host = host();
    host.files.remove(Path::new(CONFIG));
    host.files.remove(Path::new("/etc/docker"));
    let before = host.state();
    let dir = FileState::Present { dir: true, mode: 0o755, uid: 0, gid: 0, content: None };
    let text = "{\n  \"live-restore\": true,\n  \"icc\": false\n}\n";
    let plan = of(vec![
        step(Act::File(change("/etc/docker", FileState::Absent, dir)), &["a"]),
        step(Act::File(change(CONFIG, FileState::Absent, present(0o644, Some(text)))), &["a"]),
        step(Act::RestartDocker, &["a"]),
    ]);
    let run = run(&mut host, &plan).unwrap().run;
    assert!(host.docker.live_restore() && !host.docker.icc);
    // A container that came since lives through the rollback, which restarts without live-restore in the end.
    host.container("late", 950, false);
    undo(&mut host, &run).unwrap();
    assert_eq!(host.state(), before);
    assert_eq!(pids(&host), [950]);
    assert!(!host.docker.live_restore());
}

#[test]
fn a_run_changed_by_hand_since_is_refused_without_force() {
    let mut host = busy();
    let run = run(&mut host, &plan()).unwrap().run;
    host.write(RULES, 0o640, "-w /mine -p wa\n");
    let changed = host.state();
    let error = undo(&mut host, &run).unwrap_err();
    assert_eq!(error.kind, Kind::Refused);
    assert!(error.message.contains(RULES), "{error}");
    assert_eq!(host.state(), changed);
    let force = RollbackOptions { force: true, ..options() };
    rollback(&mut host, &Store::default(), &run, &force, &mut Silent).unwrap();
    assert_eq!(host.text(RULES), None);
    assert_eq!(host.text(CONFIG).unwrap(), BEFORE);
}

#[test]
fn what_was_changed_since_is_known_three_ways() {
    let mut host = busy();
    let run = run(&mut host, &plan()).unwrap().run;
    let now = AFTER.replace("10.0.0.2", "10.0.0.3");
    host.write(CONFIG, 0o600, &now);
    let shown = plan_rollback(&host, &Store::default(), &run, None).unwrap();
    let [one] = shown.changed_since.as_slice() else { panic!("{:?}", shown.changed_since) };
    let text = |state: &FileState| match state {
        FileState::Present { content, mode, .. } => (content.clone().unwrap_or_default(), *mode),
        FileState::Absent => (String::new(), 0),
    };
    let [by_run, since] = &one.both;
    let ways = [&by_run.before, &by_run.after, &since.before, &since.after].map(text);
    assert_eq!(ways, [(BEFORE, 0o644), (AFTER, 0o644), (AFTER, 0o644), (&now, 0o600)].map(|(t, m)| (t.to_owned(), m)));
    assert_eq!(shown.unforced().unwrap_err().kind, Kind::Refused);
}

#[test]
fn one_check_is_taken_back_and_then_the_rest() {
    let mut host = busy();
    let (before, rules) = (host.state(), host.kernel_rules.clone());
    let run = run(&mut host, &plan()).unwrap().run;
    let only = |check: &str| RollbackOptions { only_check: Some(check.into()), ..options() };
    let undo_check = |host: &mut FakeHost, check: &str| {
        rollback(host, &Store::default(), &run, &only(check), &mut Silent).unwrap();
    };
    undo_check(&mut host, "daemon.icc");
    let config: serde_json::Value = serde_json::from_str(&host.text(CONFIG).unwrap()).unwrap();
    assert_eq!(config, serde_json::json!({"dns": ["10.0.0.2"], "live-restore": true}));
    assert!(host.docker.live_restore(), "the other check stands, in force");
    undo_check(&mut host, "audit.dockerd");
    assert_eq!(host.text(RULES).unwrap(), "-w /etc/docker -p wa -k docker\n");
    assert_eq!(host.kernel_rules.len(), 2);
    assert_eq!(host.text("/etc/tmpfiles.d/x.conf"), None);
    undo_check(&mut host, "file.socket");
    assert_eq!(node(&host, "/run/docker.sock").stat.mode, 0o666);
    let runs = list(&host, &Store::default()).unwrap();
    assert_eq!((runs[0].state.clone(), runs[0].undone.len()), (State::Committed, 3));
    assert_eq!(pids(&host), [901, 902]);
    undo_check(&mut host, "daemon.live-restore");
    assert_eq!(host.text(CONFIG).unwrap(), BEFORE, "the last share of a file brings its old bytes back");
    assert!(!host.docker.live_restore());
    undo(&mut host, &run).unwrap();
    assert_eq!(host.state(), before);
    assert_eq!(host.kernel_rules, rules);
    assert_eq!(pids(&host), [901, 902]);
}

#[test]
fn of_a_run_that_was_taken_back_nothing_stands_though_the_next_one_left_the_same() {
    let mut host = busy();
    let first = run(&mut host, &plan()).unwrap().run;
    undo(&mut host, &first).unwrap();
    run(&mut host, &plan()).unwrap();
    let runs = list(&host, &Store::default()).unwrap();
    let now =
        |at: usize| runs[at].paths.iter().map(|path| path.now.as_str()).collect::<std::collections::BTreeSet<_>>();
    assert_eq!((now(0), now(1)), (["undone"].into(), ["stands"].into()));
}

#[test]
fn an_unknown_check_is_refused() {
    let mut host = busy();
    let run = run(&mut host, &plan()).unwrap().run;
    let only = RollbackOptions { only_check: Some("daemon.nope".into()), ..options() };
    let error = rollback(&mut host, &Store::default(), &run, &only, &mut Silent).unwrap_err();
    assert_eq!(error.kind, Kind::Refused);
}

#[test]
fn an_unconfirmed_run_is_kept_or_undone() {
    for keep in [true, false] {
        let mut host = busy();
        let before = host.state();
        let outcome = run_with(&mut host, &plan(), &With { confirm_within: Some(60), ..With::default() }).unwrap();
        assert_eq!(host.timers.keys().collect::<Vec<_>>(), [&format!("seaworthy-confirm-{}", outcome.run)]);
        let argv = host.timers.values().next().unwrap().clone();
        assert_eq!(argv[1..], ["rollback", &outcome.run, "--yes", "--only-unfinished"]);
        assert_eq!(run(&mut host, &of(vec![step(Act::DaemonReload, &["a"])])).unwrap_err().kind, Kind::Refused);
        if keep {
            confirm(&mut host, &Store::default(), &outcome.run, &mut Silent).unwrap();
            assert!(host.timers.is_empty());
        }
        let timer = RollbackOptions { only_unfinished: true, ..options() };
        rollback(&mut host, &Store::default(), &outcome.run, &timer, &mut Silent).unwrap();
        assert_eq!(host.state() == before, !keep);
        assert_eq!(pids(&host), [901, 902]);
    }
}

#[test]
fn runs_that_others_could_plant_are_refused() {
    for (mode, uid, kind) in
        [(0o777, 0, FileKind::Dir), (0o700, 1000, FileKind::Dir), (0o700, 0, FileKind::Symlink("/tmp/x".into()))]
    {
        let mut host = busy();
        let run_id = run(&mut host, &plan()).unwrap().run;
        let dir = format!("/var/lib/seaworthy/runs/{run_id}");
        let node = host.files.get_mut(Path::new(&dir)).unwrap();
        (node.stat.mode, node.stat.uid, node.stat.kind) = (mode, uid, kind);
        assert_eq!(undo(&mut host, &run_id).unwrap_err().kind, Kind::Refused);
    }
    assert_eq!(undo(&mut busy(), "../../etc").unwrap_err().kind, Kind::Refused);
}

/// A restore from an archive can leave files of others in a directory of root's.
#[test]
fn files_of_runs_that_others_could_write_are_refused() {
    for file in ["plan.json", "journal", "backups/002"] {
        for (mode, uid, kind) in
            [(0o602, 0, FileKind::File), (0o600, 1000, FileKind::File), (0o600, 0, FileKind::Symlink("/tmp/x".into()))]
        {
            let mut host = busy();
            let run_id = run(&mut host, &plan()).unwrap().run;
            let after = host.state();
            let path = format!("/var/lib/seaworthy/runs/{run_id}/{file}");
            let node = host.files.get_mut(Path::new(&path)).unwrap();
            (node.stat.mode, node.stat.uid, node.stat.kind) = (mode, uid, kind);
            let error = undo(&mut host, &run_id).unwrap_err();
            assert!(error.kind == Kind::Refused && error.message.contains(&path), "{error:?}");
            assert_eq!((error.host.as_deref(), host.state()), (Some("unchanged"), after));
        }
    }
}

/// However much of the journal is lost, nothing is written that was neither there before nor planned, and no container
/// is lost.
#[test]
fn a_journal_that_was_cut_anywhere_does_no_harm() {
    let mut host = busy();
    let id = run(&mut host, &plan()).unwrap().run;
    let (applied, before) = (host.state(), busy().state());
    let journal = format!("/var/lib/seaworthy/runs/{id}/journal");
    let whole = host.text(&journal).unwrap();
    let ends: Vec<usize> = whole.match_indices('\n').map(|(at, _)| at).collect();
    let mut refused = 0;
    for cut in ends.iter().flat_map(|end| [end / 2, *end, end + 1]).chain([0]) {
        let mut host = busy();
        assert_eq!(run(&mut host, &plan()).unwrap().run, id);
        host.write(&journal, 0o600, &whole[..cut]);
        if undo(&mut host, &id).is_err() {
            refused += 1;
            assert_eq!(host.state(), applied, "cut at {cut}");
        }
        for one in host.state() {
            assert!(applied.contains(&one) || before.contains(&one), "cut at {cut}: {}", one.0.display());
        }
        assert_eq!(pids(&host), [901, 902], "cut at {cut}");
    }
    assert!(refused > 10, "{refused}: a journal that ends before the backups do is no journal of a run that was armed");
}

#[test]
fn units_are_enabled_and_put_back() {
    let mut host = host();
    let unit = "auditd.service".to_owned();
    let plan = of(vec![
        step(Act::Run(Command::Enable(unit.clone())), &["a"]),
        step(Act::Run(Command::Start(unit.clone())), &["a"]),
    ]);
    let outcome = run(&mut host, &plan).unwrap();
    assert_eq!(host.units[&unit], ("enabled".to_owned(), "active".to_owned()));
    let undone = undo(&mut host, &outcome.run).unwrap();
    assert_eq!(host.units[&unit], ("disabled".to_owned(), "active".to_owned()));
    assert_eq!(undone.notes.len(), 1);
}

#[test]
fn a_stopped_daemon_stays_stopped() {
    let mut host = busy();
    let run = run(&mut host, &plan()).unwrap().run;
    host.docker.stop();
    // Its containers live on; a later start without live-restore would kill them, so this needs a person.
    host.write("/proc/901/comm", 0o444, "containerd-shim\n");
    let error = undo(&mut host, &run).unwrap_err();
    assert_eq!(error.kind, Kind::Refused);
    assert!(error.causes[0].starts_with("stops-containers: 1"), "{error:?}");
    host.files.remove(Path::new("/proc/901/comm"));
    undo(&mut host, &run).unwrap();
    assert_eq!((host.docker.active.as_str(), host.docker.started), ("inactive", 2));
    assert_eq!(host.text(CONFIG).unwrap(), BEFORE);
}

#[test]
fn userns_remap_is_not_taken_back_over_what_came_since() {
    let text = "{\"userns-remap\": \"default\", \"live-restore\": true}";
    let mut host = host();
    let steps = vec![step(Act::File(config_change(text)), &["a"]), step(Act::RestartDocker, &["a"])];
    let id = run(&mut host, &of(steps.clone())).unwrap().run;
    host.container("late", 950, false);
    let error = undo(&mut host, &id).unwrap_err();
    assert_eq!(error.kind, Kind::Refused);
    assert!(error.causes.iter().any(|cause| cause == "hides-images: container late"), "{error:?}");
    let force = RollbackOptions { force: true, ..options() };
    rollback(&mut host, &Store::default(), &id, &force, &mut Silent).unwrap();
    assert_eq!((pids(&host), host.text(CONFIG).unwrap().as_str()), (vec![0], BEFORE), "stopped, not orphaned");
    // Nor is it turned on over containers that live-restore holds.
    let mut host = busy();
    let mut with_live_restore = vec![step(Act::LiveRestoreFirst(CONFIG.into()), &["a"])];
    with_live_restore.extend(steps);
    assert_eq!(run(&mut host, &of(with_live_restore)).unwrap_err().kind, Kind::Refused);
    assert_as_before(&mut host, &busy(), "held");
}

/// A client builds, as far as a look for hazards can see.
fn building(host: &mut FakeHost) {
    for (name, text) in [("comm", "docker\n"), ("cgroup", "0::/user.slice\n"), ("cmdline", "docker\0build\0.\0")] {
        host.write(&format!("/proc/777/{name}"), 0o444, text);
    }
}

#[test]
fn what_a_restart_cuts_holds_whoever_asks_and_nobody_who_mends() {
    let world = || {
        let mut host = busy();
        host.write("/proc/stat", 0o444, "btime 1794990000\n");
        host.write("/proc/self/status", 0o444, "Name:\tseaworthy\nPPid:\t0\n");
        host
    };
    let timer = RollbackOptions { only_unfinished: true, ..options() };
    let force = RollbackOptions { force: true, ..options() };
    for (confirm_within, how) in [(None, &force), (Some(60), &force), (Some(60), &timer)] {
        let mut host = world();
        let before = host.state();
        let id = run_with(&mut host, &plan(), &With { confirm_within, ..With::default() }).unwrap().run;
        assert_eq!(plan_rollback(&host, &Store::default(), &id, None).unwrap().cuts, [] as [&str; 0]);
        building(&mut host);
        let after = host.state();
        let shown = plan_rollback(&host, &Store::default(), &id, None).unwrap();
        assert_eq!(shown.cuts, ["interrupts: build by docker"]);
        let error = undo(&mut host, &id).unwrap_err();
        assert_eq!((error.kind, error.host.as_deref(), host.state()), (Kind::Refused, Some("unchanged"), after));
        assert!(error.causes.iter().any(|cause| cause == "interrupts: build by docker"), "{error:?}");
        rollback(&mut host, &Store::default(), &id, how, &mut Silent).unwrap();
        assert_eq!(host.state(), before);
    }
    // One that was killed, here before its last line.
    let mut host = world();
    let before = host.state();
    let id = run(&mut host, &plan()).unwrap().run;
    let journal = format!("/var/lib/seaworthy/runs/{id}/journal");
    let whole = host.text(&journal).unwrap();
    let end = whole.trim_end().rfind('\n').unwrap() + 1;
    host.write(&journal, 0o600, &whole[..end]);
    building(&mut host);
    undo(&mut host, &id).unwrap();
    assert_eq!(host.state(), before);
    // Where nobody can look it holds as well.
    let mut host = world();
    let id = run(&mut host, &plan()).unwrap().run;
    host.files.remove(Path::new("/proc/self/status"));
    let causes = undo(&mut host, &id).unwrap_err().causes;
    assert!(causes[0].starts_with("interrupts: could not look: /proc/self/status"), "{causes:?}");
    // What restarts nothing cuts nothing.
    let mut host = world();
    let id = run(&mut host, &of(vec![step(Act::File(config_change(AFTER)), &["a"])])).unwrap().run;
    building(&mut host);
    undo(&mut host, &id).unwrap();
}

#[test]
fn devices_that_a_daemon_reload_takes_hold_a_rollback() {
    let mut host = busy();
    host.write("/proc/stat", 0o444, "btime 1794990000\n");
    host.settle(4711);
    let path = "/etc/systemd/system/docker.service.d/x.conf";
    let drop_in = change(path, FileState::Absent, present(0o644, Some("[Service]\n")));
    let dir = FileState::Present { dir: true, mode: 0o755, uid: 0, gid: 0, content: None };
    let folders = ["/etc/systemd", "/etc/systemd/system", "/etc/systemd/system/docker.service.d"];
    let mut steps: Vec<_> =
        folders.iter().map(|path| step(Act::File(change(path, FileState::Absent, dir.clone())), &["a"])).collect();
    steps.extend([step(Act::File(drop_in), &["a"]), step(Act::DaemonReload, &["a"])]);
    let id = run(&mut host, &of(steps)).unwrap().run;
    let devices = json!({"HostConfig": {"Devices": [{"PathOnHost": "/dev/nvidia0"}]}});
    host.engine_over.insert("/containers/web00ff/json".into(), devices);
    let error = undo(&mut host, &id).unwrap_err();
    assert_eq!(
        (error.kind, error.causes.as_slice()),
        (Kind::Refused, &["loses-devices: web (/dev/nvidia0)".into()][..])
    );
    host.engine_over.clear();
    undo(&mut host, &id).unwrap();
    assert_eq!(host.text(path), None);
}

#[test]
fn an_acl_given_since_is_not_lost_without_force() {
    let acl = ("system.posix_acl_access".to_owned(), b"user:ada:r--".to_vec());
    for path in [CONFIG, RULES] {
        let mut host = busy();
        let (before, id) = (host.state(), run(&mut host, &plan()).unwrap().run);
        host.files.get_mut(Path::new(path)).unwrap().xattrs.push(acl.clone());
        let shown = plan_rollback(&host, &Store::default(), &id, None).unwrap();
        let [one] = shown.changed_since.as_slice() else { panic!("{:?}", shown.changed_since) };
        assert!(one.now.ends_with(" with other attributes: system.posix_acl_access"), "{}", one.now);
        assert_eq!(undo(&mut host, &id).unwrap_err().kind, Kind::Refused);
        // That of one check keeps it.
        if path == CONFIG {
            let only = RollbackOptions { only_check: Some("daemon.icc".into()), ..options() };
            rollback(&mut host, &Store::default(), &id, &only, &mut Silent).unwrap();
            assert!(node(&host, path).xattrs.contains(&acl));
        }
        let force = RollbackOptions { force: true, ..options() };
        rollback(&mut host, &Store::default(), &id, &force, &mut Silent).unwrap();
        assert_eq!(host.state(), before);
    }
    // Labels are not people's, and a new file's ACL may be its directory's.
    let mut host = busy();
    let id = run(&mut host, &plan()).unwrap().run;
    host.files.get_mut(Path::new(CONFIG)).unwrap().xattrs = vec![("security.selinux".into(), b"other".to_vec())];
    let dir = Path::new(RULES).parent().unwrap();
    host.files.get_mut(dir).unwrap().xattrs.push(("system.posix_acl_default".into(), b"user:ada:r--".to_vec()));
    host.files.get_mut(Path::new(RULES)).unwrap().xattrs.push(acl);
    undo(&mut host, &id).unwrap();
}
