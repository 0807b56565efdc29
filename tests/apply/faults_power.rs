//! A power cut at every operation of a run and of a rollback: what was not synced is lost, or there by chance.

use seaworthy::apply::{Store, list, unfinished};

use crate::scenes::{Scene, scenes, told};
use crate::support::fake_disk::Survives;
use crate::support::fake_faults::Fault;
use crate::support::fake_host::FakeHost;
use crate::support::world::{differences, last, pids, run, undo};

/// What reaches the disk beside what was synced.
const LUCK: [Survives; 6] =
    [Survives::Nothing, Survives::Names, Survives::Content, Survives::All, Survives::Some(1), Survives::Some(2)];

/// The host has booted again: it works, what the run left can be told and taken back, and containers that were started
/// since live through that.
fn assert_recovers(scene: &Scene, host: &mut FakeHost, stands: bool, what: &str) {
    let what = format!("{}, {what}", scene.name);
    assert_eq!(host.docker.active, "active", "{what}: docker does not start");
    scene.assert_whole(host, &what);
    // Whoever starts what does not run knows nothing of what compose had not begun to run.
    let known = host.docker.containers.iter().filter(|one| one.composed.as_ref().is_none_or(|made| made.ran));
    let ids: Vec<String> = known.map(|one| one.id.clone()).collect();
    assert!(ids.iter().all(|id| host.docker.start_container(id)), "{what}");
    let running = pids(host);
    let store = Store::default();
    list(host, &store).unwrap_or_else(|error| panic!("{what}: {error:?}"));
    let open = unfinished(host, &store).unwrap_or_else(|error| panic!("{what}: {error:?}"));
    let differ = |host: &FakeHost, other: &FakeHost| {
        let mut lines = differences(host, other);
        // What lies in memory came anew.
        lines.retain(|line| !line.contains(" /run"));
        lines
    };
    let before = (scene.host)();
    let none: [String; 0] = [];
    match open {
        Some(open) => {
            undo(host, &open.run).unwrap_or_else(|error| panic!("{what}: {error:?}"));
            assert_eq!(differ(host, &before), none, "{what}");
        }
        None if stands => assert_eq!(differ(host, &scene.applied()), none, "{what}: not all of it stands"),
        None => assert_eq!(differ(host, &before), none, "{what}: nobody would undo it"),
    }
    assert_eq!(unfinished(host, &store).expect("runs"), None, "{what}");
    assert_eq!(pids(host), running, "{what}: the way back lost a container {:#?}", host.log);
    assert_eq!(host.docker.active, "active", "{what}");
    if !stands {
        assert_eq!(host.kernel_rules, before.kernel_rules, "{what}");
        assert!(!host.docker.live_restore(), "{what}: live-restore is still in force");
    }
}

fn committed(host: &FakeHost) -> bool {
    list(host, &Store::default())
        .is_ok_and(|runs| runs.last().is_some_and(|run| run.state == seaworthy::apply::State::Committed))
}

#[test]
fn a_power_cut_at_any_operation_of_a_run_can_be_undone() {
    let mut tried = 0;
    for scene in scenes() {
        let last_op = scene.operations();
        for luck in LUCK {
            for at in 1..=last_op + 1 {
                let what = format!("power cut at operation {at} of {last_op}, {luck:?}");
                let mut host = (scene.host)();
                host.watch_disk();
                host.fault = Fault::Kill(at);
                let done = run(&mut host, &(scene.plan)()).is_ok();
                // The last operation disarms the timer; what becomes of that is not waited for.
                assert_eq!(done, at >= last_op, "{what}");
                host.power_cut(luck);
                tried += 1;
                let stands = committed(&host);
                assert!(stands || !done, "{what}: the run was reported, and is gone");
                assert_recovers(&scene, &mut host, stands, &what);
            }
        }
    }
    told(&format!("apply, power cut: {tried} crash points"));
}

#[test]
fn a_power_cut_at_any_operation_of_a_rollback_can_be_undone() {
    let mut tried = 0;
    for scene in scenes() {
        let last_op = scene.rollback_operations();
        for luck in LUCK {
            for at in 1..=last_op + 1 {
                let what = format!("power cut at operation {at} of {last_op} of a rollback, {luck:?}");
                let mut host = scene.applied();
                let run = last(&host);
                host.watch_disk();
                host.fault = Fault::Kill(at);
                let done = undo(&mut host, &run).is_ok_and(|_| at > last_op);
                host.power_cut(luck);
                tried += 1;
                let stands = committed(&host);
                assert!(!stands || !done, "{what}: the rollback was reported, and is gone");
                assert_recovers(&scene, &mut host, stands, &what);
            }
        }
    }
    told(&format!("rollback, power cut: {tried} crash points"));
}
