//! Changes of the swarm that a host manages: certificates, autolock and the file that gets its key.

use std::path::Path;

use seaworthy::apply::{State, Store, list, plan_rollback, summary};
use seaworthy::error::Kind;
use seaworthy::plan::{Act, FileState, LiveChange, LiveState, Plan};
use serde_json::json;

use crate::support::fake_faults::{EIO, Fault};
use crate::support::fake_host::FakeHost;
use crate::support::fake_updates::{FakeCluster, UNLOCK_KEY};
use crate::support::world::{CONFIG, change, differences, host, last, of, present, run, step, undo};

const KEY_FILE: &str = "/root/swarm.key";
const HOUR: i64 = 3_600_000_000_000;

/// A manager, alone in its swarm.
fn manager() -> FakeHost {
    let mut host = host();
    host.write("/root/.profile", 0o644, "");
    host.docker.swarm = true;
    host.docker.cluster = Some(FakeCluster {
        id: "cluster1".into(),
        version: 10,
        spec: json!({
            "Name": "default", "Labels": {"of": "somebody"}, "CAConfig": {"NodeCertExpiry": 90 * 24 * HOUR},
            "EncryptionConfig": {"AutoLockManagers": false},
        }),
        locked: false,
    });
    host
}

fn changed(before: LiveState, after: LiveState) -> Act {
    Act::Update(LiveChange { name: "swarm".into(), id: "cluster1".into(), before, after })
}

fn expiry(hours: i64) -> Act {
    let of = |hours: i64| LiveState::CertExpiry { nanoseconds: hours * HOUR };
    changed(of(90 * 24), of(hours))
}

fn autolock() -> Act {
    let state = |on: bool| LiveState::Autolock { on, key_file: on.then(|| KEY_FILE.into()) };
    changed(state(false), state(true))
}

fn both() -> Plan {
    of(vec![step(expiry(48), &["swarm.cert-expiry"]), step(autolock(), &["swarm.autolock"])])
}

fn spec(host: &FakeHost) -> serde_json::Value {
    host.docker.cluster.as_ref().expect("a swarm").spec.clone()
}

/// What a run left anywhere but in the file that was named.
fn tells_the_key(host: &FakeHost) -> Vec<String> {
    let known = |bytes: &[u8]| String::from_utf8_lossy(bytes).contains(UNLOCK_KEY);
    let files = host.files.iter().filter(|(path, node)| *path != Path::new(KEY_FILE) && known(&node.bytes));
    files
        .map(|(path, _)| path.display().to_string())
        .chain(host.log.iter().filter(|l| l.contains(UNLOCK_KEY)).cloned())
        .collect()
}

fn assert_before(host: &FakeHost, what: &str) {
    assert_eq!(differences(host, &manager()), [] as [String; 0], "{what}");
    assert_eq!(spec(host), spec(&manager()), "{what}");
}

#[test]
fn there_and_back_and_the_key_is_in_its_file_alone() {
    let mut host = manager();
    let outcome = run(&mut host, &both()).unwrap();
    let now = spec(&host);
    assert_eq!(now["CAConfig"]["NodeCertExpiry"], 48 * HOUR);
    assert_eq!(
        (&now["EncryptionConfig"]["AutoLockManagers"], &now["Labels"]["of"]),
        (&json!(true), &json!("somebody"))
    );
    assert_eq!(host.text(KEY_FILE).unwrap(), format!("{UNLOCK_KEY}\n"));
    assert_eq!(host.files[Path::new(KEY_FILE)].stat.mode, 0o600);
    assert_eq!(tells_the_key(&host), [] as [String; 0]);
    assert!(!format!("{outcome:?}").contains(UNLOCK_KEY));
    let shown = plan_rollback(&host, &Store::default(), &outcome.run, None).unwrap();
    assert_eq!(shown.actions, ["docker swarm update --autolock=false", "docker swarm update --cert-expiry 2160h"]);
    let told = summary(&host, &Store::default(), &outcome.run).unwrap().unwrap().containers;
    assert_eq!(told[0].change, "swarm: life of nodes' certificates 48 hours (was 90 days)");
    assert_eq!(told[1].change, "swarm: autolock on, its unlock key in /root/swarm.key (was off)");
    assert!(told.iter().all(|one| one.now == "stands"), "{told:?}");
    undo(&mut host, &outcome.run).unwrap();
    assert_before(&host, "rolled back");
    assert_eq!(tells_the_key(&host), [] as [String; 0]);
    assert_eq!(list(&host, &Store::default()).unwrap()[0].state, State::RolledBack);
}

#[test]
fn killed_or_failing_at_any_operation_of_a_run_it_comes_back() {
    let mut whole = manager();
    run(&mut whole, &both()).unwrap();
    let faults: [fn(usize) -> Fault; 3] = [Fault::Kill, |at| Fault::Once(at, EIO), |at| Fault::Late(at, EIO)];
    let mut halves = 0;
    for fault in faults {
        for at in 1..=whole.ops {
            let what = format!("{:?}", fault(at));
            let mut host = manager();
            host.fault = fault(at);
            let ended = run(&mut host, &both());
            host.revive();
            halves += usize::from(host.text(KEY_FILE).is_some_and(|text| text.is_empty()));
            if let Some(open) = seaworthy::apply::unfinished(&host, &Store::default()).unwrap() {
                undo(&mut host, &open.run).unwrap_or_else(|error| panic!("{what}: {error:?}"));
            } else if ended.is_ok() || spec(&host) == spec(&whole) {
                assert!(host.text(KEY_FILE).unwrap().contains(UNLOCK_KEY), "{what}");
                continue;
            }
            assert_before(&host, &what);
        }
    }
    assert!(halves > 1, "never between the file and its key: {halves}");
}

#[test]
fn killed_or_failing_at_any_operation_of_a_rollback_it_can_be_run_again() {
    let applied = || {
        let mut host = manager();
        run(&mut host, &both()).unwrap();
        host.ops = 0;
        host
    };
    let mut whole = applied();
    let id = last(&whole);
    undo(&mut whole, &id).unwrap();
    let faults: [fn(usize) -> Fault; 3] = [Fault::Kill, |at| Fault::Once(at, EIO), |at| Fault::Late(at, EIO)];
    for fault in faults {
        for at in 1..=whole.ops {
            let mut host = applied();
            let id = last(&host);
            host.fault = fault(at);
            let first = undo(&mut host, &id);
            host.revive();
            undo(&mut host, &id).unwrap_or_else(|error| panic!("{:?}: {first:?} {error:?}", fault(at)));
            assert_before(&host, &format!("{:?}", fault(at)));
        }
    }
}

#[test]
fn a_rollback_that_restarts_takes_autolock_back_first() {
    let icc = change(CONFIG, present(0o644, Some("{\n  \"dns\": [\"10.0.0.2\"]\n}\n")), config(false));
    let plan = of(vec![step(Act::File(icc), &["a"]), step(Act::RestartDocker, &["a"]), step(autolock(), &["b"])]);
    let mut host = manager();
    let id = run(&mut host, &plan).unwrap().run;
    let starts = host.docker.started;
    undo(&mut host, &id).unwrap();
    assert_eq!(host.docker.started, starts + 1);
    assert!(!host.docker.cluster.as_ref().unwrap().locked);
    assert_before(&host, "rolled back");
}

fn config(icc: bool) -> FileState {
    present(0o644, Some(&format!("{{\n  \"dns\": [\"10.0.0.2\"],\n  \"icc\": {icc}\n}}\n")))
}

#[test]
fn a_locked_manager_is_unlocked_first() {
    let mut host = manager();
    let id = run(&mut host, &both()).unwrap().run;
    host.docker.cluster.as_mut().unwrap().locked = true;
    let error = undo(&mut host, &id).unwrap_err();
    assert_eq!(error.kind, Kind::Incomplete);
    assert!(error.causes.iter().any(|cause| cause.contains("run `docker swarm unlock` first")), "{error:?}");
    assert!(host.text(KEY_FILE).is_some(), "without it nobody unlocks it");
    host.docker.cluster.as_mut().unwrap().locked = false;
    undo(&mut host, &id).unwrap();
    assert_before(&host, "rolled back");
}

#[test]
fn what_lies_where_the_key_was_by_now_is_left() {
    let mut host = manager();
    let id = run(&mut host, &both()).unwrap().run;
    host.write(KEY_FILE, 0o600, "a note of somebody's\n");
    undo(&mut host, &id).unwrap();
    assert_eq!(spec(&host), spec(&manager()));
    assert_eq!(host.text(KEY_FILE).as_deref(), Some("a note of somebody's\n"));
}

#[test]
fn a_file_that_is_there_is_not_written_over() {
    let mut host = manager();
    host.write(KEY_FILE, 0o600, "a note of somebody's\n");
    let error = run(&mut host, &both()).unwrap_err();
    assert_eq!(error.kind, Kind::RolledBack, "{error:?}");
    assert_eq!(host.text(KEY_FILE).as_deref(), Some("a note of somebody's\n"));
    assert_eq!(spec(&host), spec(&manager()));
}

#[test]
fn a_swarm_that_moved_on_is_refused_by_name() {
    let mut host = manager();
    host.docker.cluster.as_mut().unwrap().spec["CAConfig"]["NodeCertExpiry"] = (24 * HOUR).into();
    let error = run(&mut host, &both()).unwrap_err();
    assert_eq!((error.kind, error.message.as_str()), (Kind::Refused, "the swarm changed after the plan was made"));
    assert_eq!(error.causes, ["swarm: life of nodes' certificates planned on 90 days, found 24 hours"]);
    host.docker.cluster.as_mut().unwrap().id = "another".into();
    let error = run(&mut host, &both()).unwrap_err();
    assert!(error.causes[0].contains("swarm (cluster1) is gone, or was made anew"), "{error:?}");
}

#[test]
fn what_somebody_changed_since_is_held_and_another_swarm_is_left_alone() {
    let mut host = manager();
    let id = run(&mut host, &both()).unwrap().run;
    host.docker.cluster.as_mut().unwrap().spec["CAConfig"]["NodeCertExpiry"] = (24 * HOUR).into();
    let error = undo(&mut host, &id).unwrap_err();
    assert_eq!(error.kind, Kind::Refused);
    assert_eq!(
        error.causes,
        ["swarm: life of nodes' certificates before 90 days, left by the run 48 hours, now 24 hours"]
    );
    host.docker.cluster.as_mut().unwrap().id = "another".into();
    let undone = undo(&mut host, &id).unwrap();
    assert!(undone.notes.iter().any(|note| note.starts_with("swarm is gone: autolock")), "{undone:?}");
    assert_eq!(spec(&host)["EncryptionConfig"]["AutoLockManagers"], true);
}
