//! Changes of containers while they run: what is asked of the Engine, what it refuses, and the way back.

use std::sync::atomic::Ordering;

use seaworthy::apply::{RollbackOptions, Silent, State, Store, list, plan_rollback, rollback, summary};
use seaworthy::error::Kind;
use seaworthy::plan::{Act, LiveChange, LiveState, Plan};

use crate::scenes::networked;
use crate::support::fake_host::FakeHost;
use crate::support::world::{With, busy, of, options, pids, run, run_with, step, undo};

/// A change of one of [`busy`]'s containers from no limit, or from no restart policy.
pub(crate) fn update(name: &str, after: LiveState) -> LiveChange {
    let before = match &after {
        LiveState::Memory { .. } => memory(0),
        LiveState::Cpus { period, .. } => LiveState::Cpus { quota: 0, period: *period },
        LiveState::PidsLimit { .. } => pids_limit(0),
        LiveState::RestartPolicy { .. } => LiveState::RestartPolicy { name: "no".into(), retries: 0 },
        LiveState::Networks { .. } => on(&["bridge"]),
        LiveState::CertExpiry { .. } | LiveState::Autolock { .. } => panic!("not of a container"),
    };
    LiveChange { name: name.into(), id: format!("{name}00ff"), before, after }
}

pub(crate) fn memory(limit: i64) -> LiveState {
    LiveState::Memory { limit, swap: limit }
}

pub(crate) fn pids_limit(limit: i64) -> LiveState {
    LiveState::PidsLimit { limit }
}

pub(crate) fn cpus(quota: i64) -> LiveState {
    LiveState::Cpus { quota, period: 100_000 }
}

pub(crate) fn on(names: &[&str]) -> LiveState {
    LiveState::Networks { names: names.iter().map(ToString::to_string).collect() }
}

fn on_failure() -> LiveState {
    LiveState::RestartPolicy { name: "on-failure".into(), retries: 5 }
}

fn four() -> Plan {
    of(vec![
        step(Act::Update(update("web", memory(256 << 20))), &["container.memory"]),
        step(Act::Update(update("db", memory(512 << 20))), &["container.memory"]),
        step(Act::Update(update("web", pids_limit(64))), &["container.pids-limit"]),
        step(Act::Update(update("web", cpus(150_000))), &["container.cpu"]),
        step(Act::Update(update("web", on_failure())), &["container.restart-policy"]),
    ])
}

fn updated(host: &FakeHost, name: &str, key: &str) -> i64 {
    let one = host.docker.containers.iter().find(|one| one.name == name).expect("a container");
    one.updated.get(key).and_then(serde_json::Value::as_i64).unwrap_or(0)
}

fn forced() -> RollbackOptions {
    RollbackOptions { force: true, ..options() }
}

#[test]
fn all_settings_there_and_back() {
    let mut host = busy();
    let before = host.settings();
    let outcome = run(&mut host, &four()).unwrap();
    assert_eq!(outcome.containers.len(), 5);
    assert_eq!((updated(&host, "web", "Memory"), updated(&host, "web", "MemorySwap")), (256 << 20, 256 << 20));
    assert_eq!((updated(&host, "web", "PidsLimit"), updated(&host, "web", "CpuQuota")), (64, 150_000));
    assert_eq!(updated(&host, "db", "Memory"), 512 << 20);
    let shown = plan_rollback(&host, &Store::default(), &outcome.run, None).unwrap();
    assert_eq!(shown.actions.first().unwrap(), "docker update --restart no web");
    assert_eq!(shown.actions.len(), 5);
    let now = |host: &FakeHost| summary(host, &Store::default(), &outcome.run).unwrap().unwrap();
    assert!(now(&host).containers.iter().all(|one| one.now == "stands"));
    assert!(!now(&host).services);
    let undone = undo(&mut host, &outcome.run).unwrap();
    assert_eq!(undone.containers.len(), 5);
    assert!(undone.notes.iter().any(|note| note.contains("container web") && note.contains("4 EiB")), "{undone:?}");
    assert_eq!(host.settings(), before);
    assert_eq!(pids(&host), [901, 902]);
    assert!(now(&host).containers.iter().all(|one| one.now == "undone"));
    assert_eq!(list(&host, &Store::default()).unwrap()[0].state, State::RolledBack);
}

#[test]
fn one_check_is_taken_back_alone() {
    let mut host = busy();
    let id = run(&mut host, &four()).unwrap().run;
    let only = RollbackOptions { only_check: Some("container.pids-limit".into()), ..options() };
    rollback(&mut host, &Store::default(), &id, &only, &mut Silent).unwrap();
    assert_eq!((updated(&host, "web", "PidsLimit"), updated(&host, "web", "Memory")), (0, 256 << 20));
    undo(&mut host, &id).unwrap();
    assert_eq!(host.settings(), busy().settings());
}

#[test]
fn what_the_engine_refuses_takes_the_rest_back() {
    let mut host = busy();
    host.docker.containers[0].remove = true;
    let error = run(&mut host, &four()).unwrap_err();
    assert_eq!(error.kind, Kind::RolledBack);
    assert!(error.message.contains("container web cannot be updated"), "{error:?}");
    assert!(error.causes.iter().any(|cause| cause.contains("AutoRemove is enabled")), "{error:?}");
    assert_eq!(host.settings(), busy().settings());
}

#[test]
fn an_audit_that_still_fails_takes_all_back() {
    let mut host = busy();
    let error = run_with(&mut host, &four(), &With { wrong: vec!["container.memory".into()], ..With::default() });
    assert_eq!(error.unwrap_err().kind, Kind::RolledBack);
    assert_eq!(host.settings(), busy().settings());
}

#[test]
fn a_container_that_is_another_one_by_now_is_refused_by_name() {
    let mut host = busy();
    host.docker.containers[0].id = "new00ff".into();
    let error = run(&mut host, &four()).unwrap_err();
    assert_eq!((error.kind, error.host.as_deref()), (Kind::Refused, Some("unchanged")));
    assert!(error.causes[0].contains("container web (web00ff) is gone, or was made anew"), "{error:?}");
    assert_eq!(error.causes.len(), 4, "db is as planned: {error:?}");
}

#[test]
fn a_container_that_was_changed_by_now_is_refused_with_both_values() {
    let mut host = busy();
    host.docker.containers[1].updated.insert("Memory".into(), (1_i64 << 30).into());
    let error = run(&mut host, &four()).unwrap_err();
    assert_eq!(error.kind, Kind::Refused);
    assert_eq!(error.causes, ["container db: memory planned on unlimited, found 1 GiB"]);
}

#[test]
fn what_somebody_changed_since_is_held_until_it_is_forced() {
    let mut host = busy();
    let id = run(&mut host, &four()).unwrap().run;
    host.docker.containers[0].updated.insert("PidsLimit".into(), 99.into());
    let after = host.settings();
    let error = undo(&mut host, &id).unwrap_err();
    assert_eq!((error.kind, error.host.as_deref()), (Kind::Refused, Some("unchanged")));
    assert_eq!(error.causes, ["container web: processes before unlimited, left by the run 64, now 99"]);
    assert_eq!(host.settings(), after);
    rollback(&mut host, &Store::default(), &id, &forced(), &mut Silent).unwrap();
    assert_eq!(host.settings(), busy().settings());
}

#[test]
fn a_container_that_is_gone_since_is_named_and_stops_nothing() {
    let mut host = busy();
    let id = run(&mut host, &four()).unwrap().run;
    host.docker.containers.remove(1);
    let undone = undo(&mut host, &id).unwrap();
    assert!(undone.notes.contains(&"container db is gone: memory cannot be set back".into()), "{undone:?}");
    assert_eq!((undone.containers.len(), updated(&host, "web", "PidsLimit")), (4, 0));
}

#[test]
fn a_stopped_daemon_is_not_woken_and_the_rollback_is_not_done() {
    let mut host = busy();
    let id = run(&mut host, &four()).unwrap().run;
    (host.docker.active, host.docker.pid) = ("inactive".into(), 0);
    let error = undo(&mut host, &id).unwrap_err();
    assert_eq!(error.kind, Kind::Incomplete);
    assert!(!host.woken.load(Ordering::SeqCst));
    assert!(error.causes.iter().any(|cause| cause.contains("docker.service does not run")), "{error:?}");
    assert!(
        error.causes.contains(&"by hand: docker update --pids-limit -1 web".into()),
        "what to type is said: {error:?}"
    );
    let text = host.text("/etc/docker/daemon.json");
    host.docker.start(host.clock, text.as_deref().map(str::as_bytes));
    undo(&mut host, &id).unwrap();
    assert_eq!(updated(&host, "web", "PidsLimit"), 0);
}

#[test]
fn a_step_that_is_done_already_is_no_change() {
    let mut host = busy();
    let twice = update("web", pids_limit(64));
    let plan = of(vec![step(Act::Update(twice.clone()), &["a"]), step(Act::Update(twice), &["b"])]);
    let outcome = run(&mut host, &plan).unwrap();
    assert_eq!(outcome.containers.len(), 1);
    assert_eq!(host.log.iter().filter(|line| line.starts_with("POST")).count(), 1);
}

#[test]
fn an_image_has_no_containers_to_change() {
    let mut host = busy();
    host.recording.offline = true;
    assert_eq!(run(&mut host, &four()).unwrap_err().kind, Kind::Refused);
}

fn moved() -> Plan {
    of(vec![step(Act::Update(update("web", on(&["shop"]))), &["container.default-bridge"])])
}

#[test]
fn a_container_goes_to_its_network_before_it_leaves_the_bridge() {
    let mut host = networked();
    let id = run(&mut host, &moved()).unwrap().run;
    assert_eq!(host.settings()[0], "web: unlimited, unlimited, unlimited, no, shop");
    let calls =
        |host: &FakeHost| -> Vec<String> { host.log.iter().filter(|line| line.starts_with("POST")).cloned().collect() };
    assert_eq!(calls(&host), ["POST /networks/shop/connect", "POST /networks/bridge/disconnect"]);
    let shown = plan_rollback(&host, &Store::default(), &id, None).unwrap();
    assert_eq!(shown.actions, ["docker network connect bridge web && docker network disconnect shop web"]);
    assert!(shown.notes.iter().any(|note| note.contains("container web gets an address")), "{shown:?}");
    undo(&mut host, &id).unwrap();
    assert_eq!(calls(&host)[2..], ["POST /networks/bridge/connect", "POST /networks/shop/disconnect"]);
    assert_eq!((host.settings(), pids(&host)), (networked().settings(), vec![901, 902]));
}

#[test]
fn a_network_that_is_gone_takes_the_run_back() {
    let mut host = busy();
    let error = run(&mut host, &moved()).unwrap_err();
    assert_eq!(error.kind, Kind::RolledBack);
    assert!(error.causes.iter().any(|cause| cause.contains("network shop not found")), "{error:?}");
    assert_eq!(host.settings(), busy().settings());
}

#[test]
fn a_container_on_both_networks_by_now_is_refused() {
    let mut host = networked();
    host.docker.containers[0].networks =
        Some(["bridge", "shop"].map(|name| (name.to_owned(), serde_json::Value::Null)).into_iter().collect());
    let error = run(&mut host, &moved()).unwrap_err();
    assert_eq!((error.kind, error.host.as_deref()), (Kind::Refused, Some("unchanged")));
    assert_eq!(error.causes, ["container web: half of it is there already"]);
}
