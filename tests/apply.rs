//! Applying and rolling back on a host in memory: what is written, what is restored, and what lives through it.

mod support;

use std::path::Path;

use seaworthy::apply::{RollbackOptions, Silent, State, Store, confirm, list, plan_rollback, rollback, unfinished};
use seaworthy::error::Kind;
use seaworthy::host::{Command, FileKind};
use seaworthy::plan::{Act, FileState};
use support::fake_host::{FakeHost, Fault};
use support::world::{
    AFTER, BEFORE, CONFIG, RULES, With, busy, change, config_change, host, of, options, pids, plan, present, run,
    run_with, step, undo,
};

fn last(host: &FakeHost) -> String {
    Store::default().list(host).unwrap().pop().unwrap()
}

fn node(host: &FakeHost, path: &str) -> support::fake_host::FakeNode {
    host.files[Path::new(path)].clone()
}

#[test]
fn a_run_writes_all_and_keeps_containers() {
    let mut host = busy();
    let outcome = run(&mut host, &plan()).unwrap();
    assert_eq!(host.text(CONFIG).unwrap(), AFTER);
    assert_eq!(node(&host, CONFIG).xattrs[0].0, "security.selinux");
    assert_eq!(pids(&host), [901, 902]);
    assert!(host.docker.live_restore());
    assert!(host.docker.icc, "icc does not take effect while a container runs");
    assert_eq!(host.kernel_rules.len(), 3);
    assert_eq!(node(&host, "/etc/docker").stat.mode, 0o750);
    let environment = node(&host, "/etc/environment").stat;
    assert_eq!((environment.mode, environment.uid), (0o644, 0));
    assert!(host.timers.is_empty());
    assert!(!host.files.keys().any(|path| path.to_string_lossy().contains(".seaworthy-")));
    assert_eq!(outcome.applied.len(), 7);
    let runs = list(&host, &Store::default()).unwrap();
    assert_eq!((runs[0].state.clone(), runs[0].who.name.as_str()), (State::Committed, "ada"));
    assert!(runs[0].paths.iter().all(|path| path.now == "stands"), "{:?}", runs[0].paths);
    let secret = host.files.iter().filter(|(path, _)| path.starts_with("/var/lib/seaworthy"));
    for (path, node) in secret {
        assert_eq!(node.stat.mode & 0o077, 0, "{}", path.display());
    }
}

#[test]
fn nothing_to_do_does_nothing() {
    let mut host = busy();
    run(&mut host, &of(Vec::new())).unwrap();
    assert_eq!((host.ops, host.log.len()), (0, 0));
}

#[test]
fn a_host_that_moved_on_is_refused_by_name() {
    let mut host = busy();
    run(&mut host, &plan()).unwrap();
    let before = host.state();
    let error = run(&mut host, &plan()).unwrap_err();
    assert_eq!(error.kind, Kind::Refused);
    assert!(error.message.contains("changed after the plan was made"), "{error}");
    assert!(error.causes.iter().any(|cause| cause.contains(CONFIG)));
    assert_eq!(host.state(), before);
}

#[test]
fn rollback_is_exact_and_keeps_containers() {
    let mut host = busy();
    let (before, rules) = (host.state(), host.kernel_rules.clone());
    let run = run(&mut host, &plan()).unwrap().run;
    let shown = plan_rollback(&host, &Store::default(), &run, None, options().edit_key).unwrap();
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
fn a_configuration_that_is_refused_at_start_is_taken_back() {
    let mut host = busy();
    let before = host.state();
    // The contradiction shows only at a start: --validate takes it.
    let fatal = "{\"icc\": false, \"iptables\": false, \"live-restore\": true}";
    let steps = vec![
        step(Act::LiveRestoreFirst(CONFIG.into()), &["a"]),
        step(Act::File(config_change(fatal)), &["a"]),
        step(Act::RestartDocker, &["a"]),
    ];
    let error = run(&mut host, &of(steps)).unwrap_err();
    assert_eq!(error.kind, Kind::RolledBack, "{error:?}");
    assert!(error.host.unwrap().starts_with("rolled back"));
    assert_eq!(host.state(), before);
    assert_eq!(pids(&host), [901, 902]);
    assert_eq!((host.docker.active.as_str(), host.docker.live_restore()), ("active", false));
}

#[test]
fn what_dockerd_cannot_read_is_refused_before_anything_changes() {
    for text in ["{\"icc\": false,}", "{\"iccc\": false}"] {
        let mut host = busy();
        let before = host.state();
        let plan = of(vec![step(Act::File(config_change(text)), &["a"]), step(Act::RestartDocker, &["a"])]);
        let error = run(&mut host, &plan).unwrap_err();
        assert_eq!((error.kind, error.host.as_deref()), (Kind::Failed, Some("unchanged")), "{error:?}");
        assert_eq!(host.state(), before);
        assert_eq!(host.docker.started, 1);
    }
}

#[test]
fn validation_never_sees_userns_remap() {
    let mut host = host();
    let plan = of(vec![step(Act::File(config_change("{\"userns-remap\": \"default\"}")), &["a"])]);
    run(&mut host, &plan).unwrap();
    assert!(host.log.iter().any(|line| line.starts_with("ValidateDaemon")));
    assert_eq!(host.text("/etc/passwd"), None, "dockerd --validate would create dockremap");
}

/// The host after a rollback, or never touched: everything as before, containers with their processes.
fn assert_as_before(host: &mut FakeHost, before: &FakeHost, what: &str) {
    host.revive();
    assert_eq!(host.state(), before.state(), "{what}");
    assert_eq!(host.kernel_rules, before.kernel_rules, "{what}");
    assert_eq!(pids(host), pids(before), "{what}");
    assert_eq!((host.docker.active.as_str(), host.docker.live_restore()), ("active", false), "{what}");
}

fn operations(prepare: impl Fn() -> FakeHost, act: impl Fn(&mut FakeHost)) -> usize {
    let mut host = prepare();
    act(&mut host);
    host.ops
}

#[test]
fn killed_at_any_operation_a_fresh_process_restores_everything() {
    let last_op = operations(busy, |host| {
        run(host, &plan()).unwrap();
    });
    assert!(last_op > 100, "{last_op}");
    for at in 1..=last_op {
        let mut host = busy();
        host.fault = Fault::Kill(at);
        let finished = run(&mut host, &plan()).is_ok();
        host.revive();
        let open = unfinished(&host, &Store::default()).unwrap();
        let touched = host.state() != busy().state();
        assert!(!touched || !host.timers.is_empty() || at > last_op - 1, "operation {at}: nobody would undo it");
        match open {
            Some(open) => {
                undo(&mut host, &open.run).unwrap_or_else(|error| panic!("operation {at}: {error:?}"));
                assert!(host.timers.is_empty(), "operation {at}");
            }
            // Killed while the timer is disarmed: the run stands.
            None if host.text(CONFIG).unwrap() == AFTER => {
                assert!(finished || at > last_op - 4, "operation {at}");
                continue;
            }
            None => {}
        }
        assert_as_before(&mut host, &busy(), &format!("operation {at}"));
    }
}

#[test]
fn an_error_at_any_operation_leaves_all_or_nothing() {
    let last_op = operations(busy, |host| {
        run(host, &plan()).unwrap();
    });
    let mut rolled_back = 0;
    for at in 1..=last_op {
        let mut host = busy();
        host.fault = Fault::Fail(at);
        match run(&mut host, &plan()) {
            Ok(_) => assert_eq!(host.text(CONFIG).unwrap(), AFTER, "operation {at}"),
            Err(error) => {
                let stands = error.host.clone().unwrap_or_default();
                match error.kind {
                    Kind::RolledBack => rolled_back += 1,
                    Kind::Failed => assert_eq!(stands, "unchanged", "operation {at}: {error:?}"),
                    other => panic!("operation {at}: {other:?} {error:?}"),
                }
                assert_as_before(&mut host, &busy(), &format!("operation {at}: {error:?}"));
                assert_eq!(unfinished(&host, &Store::default()).unwrap(), None, "operation {at}");
                run(&mut host, &plan()).unwrap_or_else(|error| panic!("again after {at}: {error:?}"));
            }
        }
    }
    assert!(rolled_back > 30, "{rolled_back}");
}

#[test]
fn a_rollback_killed_at_any_operation_can_be_run_again() {
    let prepare = || {
        let mut host = busy();
        run(&mut host, &plan()).unwrap();
        host.ops = 0;
        host
    };
    let last_op = operations(prepare, |host| {
        let run = last(host);
        undo(host, &run).unwrap();
    });
    for fault in [Fault::Kill, Fault::Fail] {
        for at in 1..=last_op {
            let mut host = prepare();
            let run = last(&host);
            host.fault = fault(at);
            let first = undo(&mut host, &run);
            host.revive();
            if let Err(error) = &first {
                assert!(matches!(error.kind, Kind::Incomplete | Kind::Failed), "operation {at}: {error:?}");
            }
            undo(&mut host, &run).unwrap_or_else(|error| panic!("operation {at}: {first:?} {error:?}"));
            // Boot, apply, rollback: what was seen through is not restarted once more.
            assert!(host.docker.started == 3 || at < last_op - 30, "operation {at}: {}", host.docker.started);
            assert_as_before(&mut host, &busy(), &format!("rollback, operation {at}"));
        }
    }
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
fn containers_whose_stop_was_accepted_are_started_again() {
    let mut host = busy();
    host.docker.containers[1].restarts = true;
    let ids: Vec<_> = host.docker.containers.iter().map(|one| (one.name.clone(), one.id.clone())).collect();
    let mut plan = of(vec![
        step(Act::File(change(CONFIG, present(0o644, Some(BEFORE)), present(0o644, Some("{\"icc\": false}")))), &["a"]),
        step(Act::RestartDocker, &["a"]),
    ]);
    plan.stopped_containers = ids[..1].to_vec();
    plan.expected_containers = ids;
    let run = run(&mut host, &plan).unwrap().run;
    assert_eq!(host.docker.running(), 2);
    assert!(host.log.contains(&"POST /containers/web00ff/start".to_owned()));
    let now = pids(&host);
    assert!(!now.contains(&901));
    undo(&mut host, &run).unwrap();
    assert_eq!(pids(&host), now, "the way back stops nothing");
    assert_eq!(host.text(CONFIG).unwrap(), BEFORE);
}

#[test]
fn a_new_hazard_stops_the_run_before_the_restart() {
    let mut host = busy();
    let before = host.state();
    let with = With { hazards: vec!["stops-containers: web".into()], ..With::default() };
    let error = run_with(&mut host, &plan(), &with).unwrap_err();
    assert_eq!(error.kind, Kind::Refused);
    assert_eq!(error.causes, ["stops-containers: web"]);
    assert_eq!(host.state(), before);
    assert_eq!(host.docker.started, 1, "nothing was restarted");
}

#[test]
fn an_audit_that_does_not_close_takes_the_run_back() {
    let mut host = busy();
    let before = host.state();
    let with = With { wrong: vec!["daemon.icc: still fails".into()], ..With::default() };
    let error = run_with(&mut host, &plan(), &with).unwrap_err();
    assert_eq!(error.kind, Kind::RolledBack);
    assert_eq!(host.state(), before);
    assert_eq!(pids(&host), [901, 902]);
}

#[test]
fn an_interrupt_before_the_first_step_changes_nothing() {
    let mut host = busy();
    let before = host.state();
    let error = run_with(&mut host, &plan(), &With { interrupted: true, ..With::default() }).unwrap_err();
    assert_eq!((error.kind, error.host.as_deref()), (Kind::Failed, Some("unchanged")));
    assert_eq!(host.state(), before);
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
fn an_unknown_check_is_refused() {
    let mut host = busy();
    let run = run(&mut host, &plan()).unwrap().run;
    let only = RollbackOptions { only_check: Some("daemon.nope".into()), ..options() };
    let error = rollback(&mut host, &Store::default(), &run, &only, &mut Silent).unwrap_err();
    assert_eq!(error.kind, Kind::Refused);
}

#[test]
fn a_torn_last_line_is_mended_and_a_broken_one_before_it_refused() {
    let mut host = busy();
    let before = host.state();
    let run = run(&mut host, &plan()).unwrap().run;
    let journal = format!("/var/lib/seaworthy/runs/{run}/journal");
    let whole = host.text(&journal).unwrap();
    let without_commit = whole.lines().count() - 1;
    let prefix: String = whole.lines().take(without_commit).map(|line| format!("{line}\n")).collect();
    host.write(&journal, 0o600, &whole.replacen("\"record\":\"backup\"", "\"record\":\"bac", 1));
    assert_eq!(undo(&mut host, &run).unwrap_err().kind, Kind::Incomplete);
    host.write(&journal, 0o600, &format!("{prefix}{{\"record\":\"com"));
    assert_eq!(unfinished(&host, &Store::default()).unwrap().unwrap().run, run);
    undo(&mut host, &run).unwrap();
    assert_eq!(host.state(), before);
    assert!(host.text(&journal).unwrap().starts_with(&prefix));
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
fn a_killed_run_blocks_the_next_until_it_is_undone() {
    let mut host = busy();
    host.fault = Fault::Kill(90);
    run(&mut host, &plan()).unwrap_err();
    host.revive();
    let error = run(&mut host, &plan()).unwrap_err();
    assert_eq!(error.kind, Kind::Refused);
    assert!(error.hint.unwrap().contains("seaworthy rollback"));
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

#[test]
fn links_mounts_and_a_held_lock_are_refused() {
    let refused = |spoil: &dyn Fn(&mut FakeHost)| {
        let mut host = busy();
        spoil(&mut host);
        let before = host.state();
        let error = run(&mut host, &plan()).unwrap_err();
        assert_eq!((error.kind, host.ops), (Kind::Refused, 0), "{error:?}");
        assert_eq!(host.state(), before);
        error.message
    };
    let config = |host: &mut FakeHost| host.files.get_mut(Path::new(CONFIG)).unwrap().stat.clone();
    let set = |host: &mut FakeHost, stat| host.files.get_mut(Path::new(CONFIG)).unwrap().stat = stat;
    refused(&|host| host.locked_by_other = true);
    let message = refused(&|host| {
        let stat = seaworthy::host::Stat { nlink: 2, ..config(host) };
        set(host, stat);
    });
    assert!(message.contains("hard links"));
    refused(&|host| {
        let stat = seaworthy::host::Stat { dev: "0:45".into(), ..config(host) };
        set(host, stat);
    });
    refused(&|host| {
        let stat = seaworthy::host::Stat { kind: FileKind::Symlink("x".into()), ..config(host) };
        set(host, stat);
    });
    refused(&|host| host.write("/proc/self/mountinfo", 0o444, &format!("1 1 8:1 / {CONFIG} rw - ext4 x rw\n")));
}

fn rules_plan(line: &str, expect: &str) -> seaworthy::plan::Plan {
    of(vec![
        step(Act::File(change(RULES, FileState::Absent, present(0o640, Some(line)))), &["a"]),
        step(Act::LoadAuditRules { expect: vec![expect.into()] }, &["a"]),
    ])
}

#[test]
fn audit_rules_are_judged_by_the_kernel() {
    let good = rules_plan("-w /usr/bin/dockerd -p wa -k docker\n", "/usr/bin/dockerd wa");
    // A rule that is only in the kernel survives the load and the way back.
    let mut host = host();
    host.kernel_rules.push("-w /by/hand -p r".into());
    let outcome = run(&mut host, &good).unwrap();
    assert!(host.kernel_rules.contains(&"-w /by/hand -p r".to_owned()));
    undo(&mut host, &outcome.run).unwrap();
    assert_eq!(host.kernel_rules, ["-w /etc/passwd -p wa -k id", "-w /by/hand -p r"]);
    // One whose parent is missing stops the loading: taken back.
    let mut host = support::world::host();
    let bad = rules_plan("-w /missing/dir/file -p wa -k docker\n", "/missing/dir/file wa");
    let before = host.state();
    assert_eq!(run(&mut host, &bad).unwrap_err().kind, Kind::RolledBack);
    assert_eq!((host.state(), host.kernel_rules.len()), (before, 1));
    // Immutable: written, in force after a boot.
    let mut host = support::world::host();
    host.audit_enabled = 2;
    let outcome = run(&mut host, &good).unwrap();
    assert!(outcome.reboot_required && outcome.pending.len() == 1);
    // Without augenrules each rule goes in and out by itself.
    let mut host = support::world::host();
    host.augenrules = false;
    host.write("/etc/audit/rules.d/audit.rules", 0o640, "");
    let outcome = run(&mut host, &good).unwrap();
    assert_eq!(host.kernel_rules.len(), 2);
    undo(&mut host, &outcome.run).unwrap();
    assert_eq!(host.kernel_rules.len(), 1);
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
fn without_systemd_files_are_written_and_commands_named() {
    let mut host = busy();
    host.files.remove(Path::new("/run/systemd/system"));
    let plan = of(vec![step(Act::File(config_change(AFTER)), &["a"]), step(Act::RestartDocker, &["a"])]);
    let outcome = run(&mut host, &plan).unwrap();
    assert_eq!(host.text(CONFIG).unwrap(), AFTER);
    assert_eq!((outcome.by_hand, host.log.len()), (vec!["systemctl restart docker.service".to_owned()], 0));
    undo(&mut host, &outcome.run).unwrap();
    assert_eq!(host.text(CONFIG).unwrap(), BEFORE);
}

#[test]
fn no_restart_leaves_the_daemon_alone() {
    let mut host = busy();
    let outcome = run_with(&mut host, &plan(), &With { no_restart: true, ..With::default() }).unwrap();
    assert!(outcome.restart_required);
    assert_eq!(host.docker.started, 1);
    undo(&mut host, &outcome.run).unwrap();
    assert_eq!((host.docker.started, host.docker.live_restore()), (1, false));
    assert_eq!(host.text(CONFIG).unwrap(), BEFORE);
}

#[test]
fn a_full_disk_below_the_journal_does_not_keep_the_host_from_coming_back() {
    let last_op = operations(busy, |host| {
        run(host, &plan()).unwrap();
    });
    for at in 1..=last_op {
        let mut host = busy();
        host.fault = Fault::VarFull(at);
        let Err(error) = run(&mut host, &plan()) else { continue };
        assert!(matches!(error.kind, Kind::Failed | Kind::RolledBack), "operation {at}: {error:?}");
        assert_as_before(&mut host, &busy(), &format!("operation {at}: {error:?}"));
        // With room again the journal is closed; nothing is left to do.
        if let Some(open) = unfinished(&host, &Store::default()).unwrap() {
            undo(&mut host, &open.run).unwrap_or_else(|error| panic!("operation {at}: {error:?}"));
            assert_as_before(&mut host, &busy(), &format!("again, operation {at}"));
        }
        run(&mut host, &plan()).unwrap_or_else(|error| panic!("again after {at}: {error:?}"));
    }
}

#[test]
fn a_rollback_killed_while_the_journal_cannot_be_written_is_still_ours() {
    let prepare = || {
        let mut host = busy();
        host.fault = Fault::VarFull(usize::MAX);
        run(&mut host, &plan()).unwrap();
        host
    };
    let run_ops = prepare().ops;
    // The journal takes the start of the rollback and nothing more; each prefix of what follows is then the end.
    for room in 3..12 {
        let mut host = prepare();
        let run = last(&host);
        host.fault = Fault::VarFull(run_ops + room);
        undo(&mut host, &run).unwrap_err();
        host.revive();
        undo(&mut host, &run).unwrap_or_else(|error| panic!("room {room}: {error:?}"));
        assert_as_before(&mut host, &busy(), &format!("room {room}"));
    }
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
    assert!(error.causes.iter().any(|cause| cause == "hides-images: 1 containers"), "{error:?}");
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

#[test]
fn a_plan_of_another_machine_is_refused() {
    let mut host = host();
    host.write("/etc/machine-id", 0o444, "aaaa\n");
    let mut plan = plan();
    plan.fingerprint.machine_id = Some("bbbb".into());
    assert_eq!(run(&mut host, &plan).unwrap_err().kind, Kind::Refused);
    plan.fingerprint.machine_id = Some("aaaa".into());
    run(&mut host, &plan).unwrap();
}
