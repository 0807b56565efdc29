//! Applying and rolling back on a host in memory: what is written, what is restored, and what lives through it.

#[path = "apply/compose.rs"]
mod compose;
#[path = "apply/faults.rs"]
mod faults;
#[path = "apply/faults_errors.rs"]
mod faults_errors;
#[path = "apply/faults_killed.rs"]
mod faults_killed;
#[path = "apply/faults_power.rs"]
mod faults_power;
#[path = "apply/interrupts.rs"]
mod interrupts;
#[path = "apply/live.rs"]
mod live;
#[path = "apply/order.rs"]
mod order;
#[path = "apply/rollback.rs"]
mod rollback;
#[path = "apply/scenes.rs"]
mod scenes;
mod support;
#[path = "apply/swarm.rs"]
mod swarm;

use std::path::Path;

use seaworthy::apply::{Silent, State, Store, confirm, list};
use seaworthy::error::Kind;
use seaworthy::host::FileKind;
use seaworthy::plan::{Act, FileState};

use crate::support::fake_docker::Sick;
use crate::support::fake_host::FakeHost;
use crate::support::world::{
    AFTER, BEFORE, CONFIG, RULES, With, assert_as_before, busy, change, config_change, host, node, of, pids, plan,
    present, run, run_with, step, undo,
};

#[test]
fn a_recorded_host_is_the_same_host() {
    let mut host = busy();
    run(&mut host, &plan()).unwrap();
    assert_eq!(FakeHost::from_recording(host.recording()).state(), host.state());
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
    assert_eq!((runs[0].args.join(" ").as_str(), runs[0].when), ("apply --yes", 1_795_000_000));
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
    let message = refused(&|host| {
        let stat = seaworthy::host::Stat { immutable: true, ..config(host) };
        set(host, stat);
    });
    assert!(message.contains("immutable"));
    refused(&|host| host.write("/proc/self/mountinfo", 0o444, &format!("1 1 8:1 / {CONFIG} rw - ext4 x rw\n")));
}

#[test]
fn a_held_lock_holds_off_rollback_and_confirm_too() {
    let mut host = busy();
    let id = run_with(&mut host, &plan(), &With { confirm_within: Some(60), ..With::default() }).unwrap().run;
    let (before, ops) = (host.state(), host.ops);
    host.locked_by_other = true;
    let confirmed = confirm(&mut host, &Store::default(), &id, &mut Silent);
    for error in [confirmed.unwrap_err(), undo(&mut host, &id).unwrap_err()] {
        assert_eq!((error.kind, host.ops), (Kind::Refused, ops), "{error:?}");
        assert!(error.message.contains("another seaworthy is at work"), "{error:?}");
    }
    assert_eq!(host.state(), before);
}

/// The file that is put in the place of another has its attributes, and none that its directory gives to new files.
#[test]
fn a_default_acl_lets_nobody_into_a_file_that_is_replaced() {
    let mut host = busy();
    let acl =
        |host: &FakeHost, path: &str| node(host, path).xattrs.iter().any(|(name, _)| name == "system.posix_acl_access");
    for dir in ["/etc/docker", "/etc/tmpfiles.d", "/etc/audit/rules.d"] {
        host.write(&format!("{dir}/x"), 0o644, "");
        let default = ("system.posix_acl_default".to_owned(), b"bob:rwx".to_vec());
        host.files.get_mut(Path::new(dir)).unwrap().xattrs.push(default);
    }
    let mut plan = plan();
    plan.steps.retain(|step| !matches!(&step.act, Act::File(change) if change.path == Path::new("/etc/tmpfiles.d")));
    let before = host.state();
    let run = run(&mut host, &plan).unwrap().run;
    assert!(!acl(&host, CONFIG));
    assert_eq!(node(&host, CONFIG).xattrs[0].0, "security.selinux");
    assert!(acl(&host, RULES), "a new file has what its directory gives it");
    undo(&mut host, &run).unwrap();
    assert_eq!(host.state(), before);
}

/// A plan that holds another change besides, so that one file's refusal is everybody's.
#[test]
fn owner_and_mode_change_on_all_names_of_a_file() {
    let mut host = busy();
    host.files.get_mut(Path::new("/etc/environment")).unwrap().stat.nlink = 2;
    let before = host.state();
    let run = run(&mut host, &plan()).unwrap().run;
    assert_eq!(node(&host, "/etc/environment").stat.mode, 0o644);
    undo(&mut host, &run).unwrap();
    assert_eq!(host.state(), before);
}

/// On an overlay a file has the device of its layer.
#[test]
fn another_device_alone_makes_no_mount_point() {
    let mut host = busy();
    host.files.get_mut(Path::new(CONFIG)).unwrap().stat.dev = "0:45".into();
    host.write("/proc/self/mountinfo", 0o444, "1 0 0:44 / / rw - overlay overlay rw\n");
    run(&mut host, &plan()).unwrap();
}

#[test]
fn a_plan_that_no_rollback_could_read_is_refused() {
    let mut host = busy();
    let before = host.state();
    let large = format!("{{\"labels\": [\"{}\"]}}", "x".repeat(17 << 20));
    let error = run(&mut host, &of(vec![step(Act::File(config_change(&large)), &["a"])])).unwrap_err();
    assert_eq!((error.kind, error.host.as_deref()), (Kind::Refused, Some("unchanged")), "{error:?}");
    assert_eq!((host.state(), host.ops), (before, 0));
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
    let mut host = crate::support::world::host();
    let bad = rules_plan("-w /missing/dir/file -p wa -k docker\n", "/missing/dir/file wa");
    let before = host.state();
    assert_eq!(run(&mut host, &bad).unwrap_err().kind, Kind::RolledBack);
    assert_eq!((host.state(), host.kernel_rules.len()), (before, 1));
    // Immutable: written, in force after a boot.
    let mut host = crate::support::world::host();
    host.audit_enabled = 2;
    let outcome = run(&mut host, &good).unwrap();
    assert!(outcome.reboot_required && outcome.pending.len() == 1);
    // Without augenrules each rule goes in and out by itself.
    let mut host = crate::support::world::host();
    host.augenrules = false;
    host.write("/etc/audit/rules.d/audit.rules", 0o640, "");
    let outcome = run(&mut host, &good).unwrap();
    assert_eq!(host.kernel_rules.len(), 2);
    undo(&mut host, &outcome.run).unwrap();
    assert_eq!(host.kernel_rules.len(), 1);
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
fn a_plan_of_another_machine_is_refused() {
    let mut host = host();
    host.write("/etc/machine-id", 0o444, "aaaa\n");
    let mut plan = plan();
    plan.fingerprint.machine_id = Some("bbbb".into());
    assert_eq!(run(&mut host, &plan).unwrap_err().kind, Kind::Refused);
    plan.fingerprint.machine_id = Some("aaaa".into());
    run(&mut host, &plan).unwrap();
}

/// Someone broke daemon.json, and nobody restarted since: a restart of ours would be the one that fails.
#[test]
fn a_file_that_dockerd_refuses_is_not_restarted_onto_though_the_plan_leaves_it_alone() {
    let mut host = busy();
    host.write(CONFIG, 0o644, "{\"no-such-key\": true}\n");
    let (processes, starts) = (pids(&host), host.docker.started);
    let error = run(&mut host, &of(vec![step(Act::RestartDocker, &["daemon.icc"])])).unwrap_err();
    assert!(error.message.contains("dockerd refuses"), "{error:?}");
    assert_eq!((pids(&host), host.docker.started), (processes, starts));
}

/// The way back starts what the restart of the failed run lost, and not only what still runs.
#[test]
fn containers_that_a_failed_run_lost_run_again() {
    let mut host = busy();
    let mut plan = of(vec![step(Act::RestartDocker, &["daemon.icc"])]);
    plan.expected_containers = host.docker.containers.iter().map(|one| (one.name.clone(), one.id.clone())).collect();
    let error = run(&mut host, &plan).unwrap_err();
    assert!(error.message.contains("docker is not as before"), "{error:?}");
    assert!(pids(&host).iter().all(|pid| *pid != 0), "{:?}", host.docker.containers);
}

/// dockerd makes its networks before it listens, so nobody waits for one: the window is enough.
#[test]
fn a_daemon_without_its_network_is_taken_back_at_once() {
    let mut host = busy();
    host.docker.sick = Some((Sick::Bridgeless, "icc"));
    let began = host.clock;
    let error = run(&mut host, &plan()).unwrap_err();
    assert_eq!((error.kind, error.causes), (Kind::RolledBack, vec!["network bridge is missing".to_owned()]));
    let passed = (host.clock - began) / 1000;
    assert!(passed < 60, "{passed} s");
    assert_as_before(&mut host, &busy(), "a lost network");
}
