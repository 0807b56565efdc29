//! SIGKILL at every operation of a run and of a rollback.

use seaworthy::apply::{Store, unfinished};
use seaworthy::error::Kind;

use crate::scenes::{scenes, told};
use crate::support::fake_faults::{Disk, ENOSPC, EROFS, Fault};
use crate::support::world::{busy, last, plan, run, undo};

#[test]
fn killed_at_any_operation_a_fresh_process_restores_everything() {
    let mut tried = 0;
    for scene in scenes() {
        let last_op = scene.operations();
        for at in 1..=last_op {
            let what = format!("killed at operation {at}");
            let mut host = (scene.host)();
            host.fault = Fault::Kill(at);
            let ended = run(&mut host, &(scene.plan)()).is_ok();
            // The last operation disarms the timer, and what becomes of that is not waited for.
            assert!(!ended || at == last_op, "{what} of {last_op}");
            tried += 1;
            host.revive();
            scene.assert_sound(&host, &what);
            let open = unfinished(&host, &Store::default()).unwrap();
            let touched = host.state() != (scene.host)().state();
            let settled = touched && open.is_none();
            assert!(!touched || settled || !host.timers.is_empty(), "{what}: nobody would undo it");
            if settled {
                // Killed while its timer is disarmed: the run stands.
                assert!(scene.is_done(&host) && at >= last_op - 2, "{}, {what} of {last_op}", scene.name);
                continue;
            }
            if let Some(open) = open {
                undo(&mut host, &open.run).unwrap_or_else(|error| panic!("{what}: {error:?}"));
                assert!(host.timers.is_empty(), "{what}");
            }
            scene.settle(&mut host, &what);
        }
    }
    told(&format!("apply, SIGKILL: {tried} crash points"));
}

#[test]
fn a_rollback_killed_at_any_operation_can_be_run_again() {
    let mut tried = 0;
    for scene in scenes() {
        let last_op = scene.rollback_operations();
        for at in 1..=last_op {
            let what = format!("rollback killed at operation {at} of {last_op}");
            let mut host = scene.applied();
            let run = last(&host);
            host.fault = Fault::Kill(at);
            let first = undo(&mut host, &run);
            tried += 1;
            if let Err(error) = &first {
                assert!(matches!(error.kind, Kind::Incomplete | Kind::Failed), "{what}: {error:?}");
            }
            host.revive();
            scene.assert_sound(&host, &what);
            undo(&mut host, &run).unwrap_or_else(|error| panic!("{what}: {first:?} {error:?}"));
            // Boot, apply, rollback: what was seen through is not restarted once more.
            let never = scene.name == "compose" && host.docker.started == 1;
            assert!(never || host.docker.started == 3 || at <= last_op / 2 + 5, "{what}: {}", host.docker.started);
            scene.settle(&mut host, &what);
        }
    }
    told(&format!("rollback, SIGKILL: {tried} crash points"));
}

/// A disk went bad under the run, and then somebody lost patience.
#[test]
fn killed_while_a_disk_is_ill_the_host_comes_back_once_it_is_mended() {
    let mut tried = 0;
    let disks =
        [Disk { errno: ENOSPC, top: "/var" }, Disk { errno: EROFS, top: "/etc" }, Disk { errno: ENOSPC, top: "/" }];
    for scene in scenes() {
        for disk in disks {
            for from in (1..=scene.operations()).step_by(5) {
                for later in [1, 4, 11, 27] {
                    let what = format!("{disk:?} from {from}, killed {later} later");
                    let mut host = (scene.host)();
                    host.fault = Fault::IllKill(from, disk, from + later);
                    let done = run(&mut host, &(scene.plan)()).is_ok();
                    tried += 1;
                    host.revive();
                    scene.assert_sound(&host, &what);
                    if !done && !scene.is_done(&host) {
                        scene.settle(&mut host, &what);
                    }
                }
            }
        }
    }
    told(&format!("apply, an ill disk and then SIGKILL: {tried} crash points"));
}

/// The timer finds the disk still full: the host comes back all the same, and the journal is closed when there is room.
#[test]
fn a_full_disk_does_not_keep_the_timer_from_undoing_a_killed_run() {
    let mut tried = 0;
    for scene in scenes() {
        for at in 1..=scene.operations() {
            let what = format!("killed at operation {at}, /var full");
            let mut host = (scene.host)();
            host.fault = Fault::Kill(at);
            let _ = run(&mut host, &(scene.plan)());
            host.revive();
            let Some(open) = unfinished(&host, &Store::default()).unwrap() else { continue };
            host.fault = Fault::Ill(0, Disk { errno: ENOSPC, top: "/var" });
            let _ = undo(&mut host, &open.run);
            tried += 1;
            scene.assert_before(&mut host, &what);
            scene.settle(&mut host, &what);
        }
    }
    told(&format!("rollback of a killed run on a full disk: {tried} crash points"));
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
fn a_rollback_killed_while_the_journal_cannot_be_written_is_still_ours() {
    let mut tried = 0;
    for scene in scenes() {
        // The journal takes the start of the rollback and nothing more.
        for at in 3..=scene.rollback_operations() {
            let what = format!("rollback on a full disk, killed at operation {at}");
            let mut host = scene.applied();
            let run = last(&host);
            host.fault = Fault::IllKill(3, Disk { errno: ENOSPC, top: "/var" }, at);
            undo(&mut host, &run).unwrap_err();
            tried += 1;
            host.revive();
            scene.assert_sound(&host, &what);
            undo(&mut host, &run).unwrap_or_else(|error| panic!("{what}: {error:?}"));
            scene.settle(&mut host, &what);
        }
    }
    told(&format!("rollback, a full disk and then SIGKILL: {tried} crash points"));
}
