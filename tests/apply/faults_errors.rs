//! One operation that fails, and a disk that stays ill, at every operation of a run and of a rollback.

use seaworthy::apply::{Store, unfinished};
use seaworthy::error::{Failure, Kind};

use crate::scenes::{Scene, scenes, told};
use crate::support::fake_faults::{Disk, EIO, ENOSPC, EROFS, Fault};
use crate::support::fake_host::FakeHost;
use crate::support::world::{last, run, undo};

type At = fn(usize) -> Fault;

/// One operation fails: it was not done, or it was done and nobody knows.
const SINGLE: [(&str, At); 6] = [
    ("EIO", |at| Fault::Once(at, EIO)),
    ("ENOSPC", |at| Fault::Once(at, ENOSPC)),
    ("EROFS", |at| Fault::Once(at, EROFS)),
    ("EIO afterwards", |at| Fault::Late(at, EIO)),
    ("ENOSPC afterwards", |at| Fault::Late(at, ENOSPC)),
    ("EROFS afterwards", |at| Fault::Late(at, EROFS)),
];

const ERRNOS: [(&str, i32); 3] = [("EIO", EIO), ("ENOSPC", ENOSPC), ("EROFS", EROFS)];

/// What a failure has to tell.
fn assert_told(error: &Failure, what: &str) {
    let stands = error.host.clone().unwrap_or_default();
    match error.kind {
        Kind::RolledBack => assert!(stands.starts_with("rolled back (run "), "{what}: {error:?}"),
        Kind::Failed => assert!(stands.starts_with("unchanged"), "{what}: {error:?}"),
        Kind::Incomplete => {
            assert!(stands.contains("is incomplete"), "{what}: {error:?}");
            assert!(error.hint.as_ref().is_some_and(|hint| hint.contains("seaworthy rollback")), "{what}: {error:?}");
            let told = |cause: &String| cause.starts_with("by hand: ") || cause.ends_with("cannot be removed");
            assert!(error.causes.iter().any(told), "{what}: {error:?}");
        }
        other => panic!("{what}: {other:?} {error:?}"),
    }
}

/// What failed stands in nobody's way: the same run goes through. Tried at some of the points, for the time it takes.
fn again(scene: &Scene, host: &mut FakeHost, at: usize, what: &str) {
    if at.is_multiple_of(9) {
        run(host, &scene.plan_anew(host)).unwrap_or_else(|error| panic!("again after {what}: {error:?}"));
    }
}

#[test]
fn one_error_at_any_operation_leaves_all_or_nothing() {
    let mut rolled_back = 0;
    for (name, fault) in SINGLE {
        let mut tried = 0;
        for scene in scenes() {
            for at in 1..=scene.operations() {
                let what = format!("{name} at operation {at}");
                let mut host = (scene.host)();
                host.fault = fault(at);
                let result = run(&mut host, &(scene.plan)());
                tried += 1;
                scene.assert_sound(&host, &what);
                let Err(error) = result else {
                    assert!(scene.is_done(&host), "{}, {what}", scene.name);
                    continue;
                };
                assert_told(&error, &what);
                assert_ne!(error.kind, Kind::Incomplete, "{what}: {error:?}");
                rolled_back += usize::from(error.kind == Kind::RolledBack);
                scene.assert_before(&mut host, &format!("{what}: {error:?}"));
                assert_eq!(unfinished(&host, &Store::default()).unwrap(), None, "{what}");
                again(&scene, &mut host, at, &what);
            }
        }
        told(&format!("apply, one operation with {name}: {tried} crash points"));
    }
    assert!(rolled_back > 600, "{rolled_back}");
}

#[test]
fn a_rollback_with_one_error_at_any_operation_can_be_run_again() {
    for (name, fault) in SINGLE {
        let mut tried = 0;
        for scene in scenes() {
            for at in 1..=scene.rollback_operations() {
                let what = format!("rollback, {name} at operation {at}");
                let mut host = scene.applied();
                let run = last(&host);
                host.fault = fault(at);
                let first = undo(&mut host, &run);
                tried += 1;
                scene.assert_sound(&host, &what);
                if let Err(error) = &first {
                    assert!(matches!(error.kind, Kind::Incomplete | Kind::Failed), "{what}: {error:?}");
                }
                host.revive();
                undo(&mut host, &run).unwrap_or_else(|error| panic!("{what}: {first:?} {error:?}"));
                scene.settle(&mut host, &what);
            }
        }
        told(&format!("rollback, one operation with {name}: {tried} crash points"));
    }
}

/// A run on a disk that is ill from an operation on. Says whether the host was brought back while it still was.
fn ill(scene: &Scene, at: usize, disk: Disk, what: &str) -> (FakeHost, Option<Failure>) {
    let mut host = (scene.host)();
    host.fault = Fault::Ill(at, disk);
    let error = run(&mut host, &(scene.plan)()).err();
    scene.assert_sound(&host, what);
    match &error {
        None => assert!(scene.is_done(&host), "{}, {what}", scene.name),
        Some(error) => assert_told(error, what),
    }
    (host, error)
}

#[test]
fn a_store_that_stays_ill_does_not_keep_the_host_from_coming_back() {
    for (name, errno) in ERRNOS {
        let mut tried = 0;
        for scene in scenes() {
            for at in 1..=scene.operations() {
                let what = format!("/var with {name} from operation {at} on");
                let (mut host, error) = ill(&scene, at, Disk { errno, top: "/var" }, &what);
                tried += 1;
                let Some(error) = error else { continue };
                assert_ne!(error.kind, Kind::Incomplete, "{what}: {error:?}");
                scene.assert_before(&mut host, &format!("{what}: {error:?}"));
                // Mended, the journal is closed; nothing is left to do.
                scene.settle(&mut host, &what);
                again(&scene, &mut host, at, &what);
            }
        }
        told(&format!("apply, /var with {name} until mended: {tried} crash points"));
    }
}

#[test]
fn what_cannot_be_brought_back_on_an_ill_disk_is_once_it_is_mended() {
    for top in ["/etc", "/"] {
        for (name, errno) in ERRNOS {
            let (mut tried, mut incomplete) = (0, 0);
            for scene in scenes() {
                for at in 1..=scene.operations() {
                    let what = format!("{top} with {name} from operation {at} on");
                    let (mut host, error) = ill(&scene, at, Disk { errno, top }, &what);
                    tried += 1;
                    let Some(error) = error else { continue };
                    if error.kind == Kind::Incomplete {
                        incomplete += 1;
                        assert!(!host.timers.is_empty(), "{what}: nobody would try again: {error:?}");
                        host.revive();
                        let run = last(&host);
                        undo(&mut host, &run).unwrap_or_else(|error| panic!("{what}: {error:?}"));
                    } else {
                        scene.assert_before(&mut host, &format!("{what}: {error:?}"));
                    }
                    scene.settle(&mut host, &what);
                    again(&scene, &mut host, at, &what);
                }
            }
            assert!(incomplete > 0 && incomplete < tried, "{top} with {name}: {incomplete} of {tried}");
            told(&format!(
                "apply, {top} with {name} until mended: {tried} crash points, {incomplete} of them incomplete"
            ));
        }
    }
}

#[test]
fn a_rollback_on_a_disk_that_stays_ill_is_completed_once_it_is_mended() {
    for top in ["/var", "/etc", "/"] {
        for (name, errno) in ERRNOS {
            let mut tried = 0;
            for scene in scenes() {
                for at in 1..=scene.rollback_operations() {
                    let what = format!("rollback, {top} with {name} from operation {at} on");
                    let mut host = scene.applied();
                    let run = last(&host);
                    host.fault = Fault::Ill(at, Disk { errno, top });
                    let first = undo(&mut host, &run);
                    tried += 1;
                    scene.assert_sound(&host, &what);
                    if let Err(error) = &first {
                        assert!(matches!(error.kind, Kind::Incomplete | Kind::Failed), "{what}: {error:?}");
                        assert!(error.host.is_some(), "{what}: {error:?}");
                    }
                    host.revive();
                    undo(&mut host, &run).unwrap_or_else(|error| panic!("{what}: {first:?} {error:?}"));
                    scene.settle(&mut host, &what);
                }
            }
            told(&format!("rollback, {top} with {name} until mended: {tried} crash points"));
        }
    }
}
