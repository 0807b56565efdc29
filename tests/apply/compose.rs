//! Services of compose: made anew, refused, and put back.

use std::path::Path;

use seaworthy::error::{Failure, Kind};

use crate::scenes::{SHOP, SHOP_BEFORE, hardened, shop, shop_plan, shop_plan_to};
use crate::support::fake_compose::made;
use crate::support::fake_host::FakeHost;
use crate::support::world::{assert_as_before, differences, last, options, run, undo};

fn told(failure: &Failure) -> String {
    std::iter::once(&failure.message).chain(&failure.causes).cloned().collect::<Vec<_>>().join("; ")
}

/// A plan that is refused or fails before anything is changed.
fn unchanged(mut host: FakeHost, kind: Kind, words: &str) {
    let (files, composed) = (host.state(), host.composed());
    let failure = run(&mut host, &shop_plan()).expect_err("an error");
    assert!(failure.kind == kind && told(&failure).contains(words), "{failure:?}");
    assert!(failure.host.is_some_and(|host| host.starts_with("unchanged")));
    assert!(host.state() == files && host.composed() == composed);
}

#[test]
fn services_are_made_anew_once_their_file_is_written() {
    let mut host = shop();
    let outcome = run(&mut host, &shop_plan()).unwrap();
    assert_eq!(outcome.recreated.iter().map(|one| one.service.as_str()).collect::<Vec<_>>(), ["front", "back"]);
    assert_eq!(host.text(SHOP).unwrap(), hardened("read_only: true"));
    for (name, runs, digest) in host.composed() {
        assert!(runs && digest.contains("read_only:true"), "{name}: {digest}");
    }
    // Held until it is wished for: containers are stopped on the way back.
    let id = last(&host);
    let refused = seaworthy::apply::rollback(
        &mut host,
        &seaworthy::apply::Store::default(),
        &id,
        &options(),
        &mut seaworthy::apply::Silent,
    );
    assert!(told(&refused.unwrap_err()).contains("container shop-front-1 is stopped for a moment and made anew"));
    let outcome = undo(&mut host, &id).unwrap();
    assert_eq!(outcome.recreated.len(), 2);
    assert_as_before(&mut host, &shop(), "undone");
}

#[test]
fn a_service_that_is_not_well_is_put_back() {
    for (line, why) in [("command: ends", "0 of 1 containers run"), ("command: ill", "is unhealthy")] {
        let mut host = shop();
        let failure = run(&mut host, &shop_plan_to(&hardened(line))).unwrap_err();
        assert_eq!(failure.kind, Kind::RolledBack, "{failure:?}");
        assert!(told(&failure).contains("service front of project shop is not well"), "{failure:?}");
        assert!(told(&failure).contains(why), "{failure:?}");
        assert_as_before(&mut host, &shop(), line);
    }
}

#[test]
fn a_file_that_compose_cannot_read_is_not_put_in_place() {
    let mut host = shop();
    let failure = run(&mut host, &shop_plan_to(&hardened("\tx: y"))).unwrap_err();
    assert!(told(&failure).contains("compose cannot read the new content"), "{failure:?}");
    assert!(!told(&failure).contains("hunter2"), "a value is told: {failure:?}");
    assert_eq!(host.composed(), shop().composed());
    assert_eq!(differences(&host, &shop()), [] as [String; 0]);
}

#[test]
fn what_would_bring_other_changes_along_is_refused() {
    // Written since the containers were made: compose would make both changes.
    let mut host = shop();
    let one = host.docker.containers.last_mut().unwrap();
    one.composed.as_mut().unwrap().digest = "another".into();
    unchanged(host, Kind::Refused, "container shop-back-1 is not what its compose file says");
    // Another image has its name by now, or compose is gone, or somebody made a container anew.
    let mut host = shop();
    host.engine_over.insert("/images/shop:1/json".into(), serde_json::json!({"Id": "sha256:2"}));
    unchanged(host, Kind::Refused, "another image is called shop:1 by now");
    let mut host = shop();
    host.files.remove(Path::new("/usr/bin/docker-compose"));
    unchanged(host, Kind::Refused, "its compose is gone");
    let mut host = shop();
    host.docker.containers.last_mut().unwrap().id = made(77);
    unchanged(host, Kind::Refused, "is gone, or was made anew");
    let mut host = shop();
    host.docker.containers.last_mut().unwrap().pid = 0;
    unchanged(host, Kind::Refused, "container shop-back-1 does not run");
}

#[test]
fn what_somebody_stopped_since_is_not_started_by_the_way_back() {
    let mut host = shop();
    run(&mut host, &shop_plan()).unwrap();
    for one in host.docker.containers.iter_mut().filter(|one| one.composed.is_some()) {
        one.pid = 0;
    }
    let id = last(&host);
    let outcome = undo(&mut host, &id).unwrap();
    assert!(outcome.notes.iter().any(|note| note.contains("service front of project shop does not run")));
    assert!(host.composed().iter().all(|(_, runs, _)| !runs));
    assert_eq!(host.text(SHOP).unwrap(), SHOP_BEFORE);
}

/// A service that would not come back well either leaves the run open, and is named.
#[test]
fn what_cannot_be_put_back_is_named() {
    let mut host = shop();
    run(&mut host, &shop_plan()).unwrap();
    let id = last(&host);
    host.compose_is_gone = true;
    let failure = undo(&mut host, &id).unwrap_err();
    assert_eq!(failure.kind, Kind::Incomplete);
    assert!(told(&failure).contains("service back of project shop cannot be made anew"), "{failure:?}");
    assert!(told(&failure).contains("by hand: docker-compose -p shop"), "{failure:?}");
    host.compose_is_gone = false;
    undo(&mut host, &id).unwrap();
    assert_as_before(&mut host, &shop(), "compose is back");
}
