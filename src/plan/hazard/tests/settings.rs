use std::path::Path;

use super::*;
use crate::host::{FileKind, Stat};

#[test]
fn hides_images_names_what_vanishes() {
    let mut case = Case::setting("userns-remap", json!("default"));
    assert_eq!(case.detect(Hazard::HidesImages), Detection::Absent);
    case.workload.images = Ok((0..12).map(|n| format!("i{n:02}")).collect());
    case.workload.volumes = Ok(vec!["a".into(), "b".repeat(64)]);
    let Detection::Found(names) = case.detect(Hazard::HidesImages) else { panic!() };
    assert_eq!(names.len(), 12);
    assert_eq!(names[9..], ["image i09", "2 more images", "2 volumes: a, bbbbbbbbbbbb"]);
}

#[test]
fn hides_images_could_not_look_or_is_not_concerned() {
    let mut case = Case::setting("userns-remap", json!("default"));
    case.workload.images = unread();
    assert_eq!(case.detect(Hazard::HidesImages), blind());
    case.change.edits.clear();
    assert_eq!(case.detect(Hazard::HidesImages), Detection::Absent);
    // Taking it away hides what was made under it.
    case.change.edits.push(Edit::DaemonSettingRemove { key: "userns-remap".into() });
    assert_eq!(case.detect(Hazard::HidesImages), blind());
}

#[test]
fn userns_remap_stops_privileged_containers() {
    let mut case = remappable();
    let mut privileged = container("ci");
    privileged.privileged = true;
    privileged.namespaces.pid = "host".into();
    let mut spared = privileged.clone();
    spared.name = "agent".into();
    spared.namespaces.user = "host".into();
    case.workload.containers = Ok(vec![spared.clone(), privileged, container("web")]);
    assert_eq!(case.detect(Hazard::BreaksStartup), found(&["ci is privileged", "ci uses the host's pid namespace"]));
    case.workload.containers = Ok(vec![spared]);
    assert_eq!(case.detect(Hazard::BreaksStartup), Detection::Absent);
    case.workload.containers = unread();
    assert_eq!(case.detect(Hazard::BreaksStartup), blind());
}

#[test]
fn userns_remap_contradicts_an_explicit_image_store() {
    let mut case = remappable();
    case.facts.daemon.config = testing::config(&json!({"features": {"containerd-snapshotter": true}}));
    let refuses = "dockerd refuses it together with userns-remap";
    let later = format!("features.containerd-snapshotter is true: from Docker 29 on {refuses}");
    assert_eq!(case.detect(Hazard::BreaksStartup), found(&[&later]));
    case.facts.daemon.version = Some(testing::version("29.0.0"));
    let now = format!("features.containerd-snapshotter is true: {refuses}");
    assert_eq!(case.detect(Hazard::BreaksStartup), found(&[&now]));
    case.facts.daemon.config = testing::config(&json!({"features": {"containerd-snapshotter": false}}));
    assert_eq!(case.detect(Hazard::BreaksStartup), Detection::Absent);
}

#[test]
fn icc_contradicts_iptables() {
    let mut case = Case::setting("icc", json!(false));
    assert_eq!(case.detect(Hazard::BreaksStartup), Detection::Absent);
    if let Ok(arguments) = &mut case.facts.daemon.next_argv {
        arguments.push(testing::argument("--iptables=false", false));
    }
    assert_eq!(
        case.detect(Hazard::BreaksStartup),
        found(&["iptables is false: dockerd refuses it together with icc=false"])
    );
    case.facts.daemon.next_argv = unread();
    assert_eq!(case.detect(Hazard::BreaksStartup), blind());
}

#[test]
fn icc_contradicts_ipv6_without_ip6tables() {
    let mut case = Case::setting("icc", json!(false));
    case.facts.daemon.config = testing::config(&json!({"ipv6": true}));
    assert!(matches!(case.detect(Hazard::BreaksStartup), Detection::Found(_)));
    case.facts.daemon.version = Some(testing::version("27.0.1"));
    assert_eq!(case.detect(Hazard::BreaksStartup), Detection::Absent);
}

#[test]
fn a_node_of_a_swarm_takes_no_live_restore() {
    let mut case = Case::setting("live-restore", json!(true));
    assert_eq!(case.detect(Hazard::Swarm), Detection::Absent);
    case.workload.swarm = Ok(Swarm::Active("locked".into()));
    assert_eq!(case.detect(Hazard::Swarm), found(&["this node is in a swarm (locked)"]));
    case.workload.swarm = unread();
    assert_eq!(case.detect(Hazard::Swarm), blind());
}

#[test]
fn content_trust_breaks_pulls_before_29_and_does_nothing_after() {
    let mut case = Case::new();
    for (version, breaks, inert) in [("20.10.24", true, false), ("28.5.2", true, false), ("29.0.0", false, true)] {
        case.facts.client_version = Ok(Some(testing::version(version)));
        assert_eq!(matches!(case.detect(Hazard::BreaksPulls), Detection::Found(_)), breaks, "{version}");
        assert_eq!(matches!(case.detect(Hazard::Inert), Detection::Found(_)), inert, "{version}");
    }
    case.facts.client_version = Ok(None);
    assert_eq!(case.detect(Hazard::BreaksPulls), Detection::Absent);
    assert_eq!(case.detect(Hazard::Inert), found(&["no docker command line is installed that could read it"]));
    case.facts.client_version = unread();
    assert_eq!((case.detect(Hazard::BreaksPulls), case.detect(Hazard::Inert)), (blind(), blind()));
}

#[test]
fn a_flag_in_the_package_s_unit_is_not_ours_to_change() {
    let mut case = Case::setting("insecure-registries", json!([]));
    let arguments =
        |vendor| vec![testing::argument("dockerd", true), testing::argument("--insecure-registry=x", vendor)];
    case.facts.daemon.next_argv = Ok(arguments(true));
    assert_eq!(
        case.detect(Hazard::VendorCommand),
        found(&["--insecure-registry in /lib/systemd/system/docker.service line 13"])
    );
    case.facts.daemon.next_argv = Ok(arguments(false));
    assert_eq!(case.detect(Hazard::VendorCommand), Detection::Absent);
    case.facts.daemon.next_argv = unread();
    assert_eq!(case.detect(Hazard::VendorCommand), blind());
}

#[test]
fn a_value_has_to_come_from_somewhere() {
    let mut case = Case::new();
    case.change.edits.push(Edit::DaemonSetting { key: "log-driver".into(), value: None });
    assert_eq!(case.detect(Hazard::NeedsValue), found(&["log-driver has to be chosen"]));
    case.change.values.insert("log-driver".into(), json!("journald"));
    assert_eq!(case.detect(Hazard::NeedsValue), Detection::Absent);
    case.change.values.insert("log-driver".into(), json!("local"));
    assert_eq!(case.detect(Hazard::NeedsValue), found(&["log-driver local sends nothing to another machine"]));

    let without = "syslog-address in log-opts has to be chosen: without it syslog stays on this host";
    case.change.edits.push(Edit::DaemonSetting { key: "log-opts".into(), value: None });
    case.change.values.insert("log-driver".into(), json!("syslog"));
    assert_eq!(case.detect(Hazard::NeedsValue), found(&[without]));
    case.change.values.insert("log-opts".into(), json!({"syslog-address": "unixgram:///dev/log"}));
    assert_eq!(case.detect(Hazard::NeedsValue), found(&[without]));
    case.change.values.insert("log-opts".into(), json!({"syslog-address": "udp://10.0.0.5:514"}));
    assert_eq!(case.detect(Hazard::NeedsValue), Detection::Absent);
}

/// A host on which userns-remap can be switched on.
fn remappable() -> Case {
    let mut case = Case::setting("userns-remap", json!("default"));
    case.host = can_remap(case.host);
    case
}

#[test]
fn userns_remap_needs_namespaces_a_user_and_ranges() {
    let detect = |build: fn(FakeHost) -> FakeHost| {
        let mut case = remappable();
        case.host = build(case.host);
        case.detect(Hazard::BreaksStartup)
    };
    assert_eq!(detect(|host| host), Detection::Absent);
    let limit = "/proc/sys/user/max_user_namespaces";
    assert_eq!(
        detect(|host| host.file("/proc/sys/user/max_user_namespaces", "0\n")),
        found(&[&format!("{limit} is 0: no user namespace can be made")])
    );
    let without = |mut host: FakeHost| {
        host.files.remove(Path::new("/usr/sbin/useradd"));
        host
    };
    assert_eq!(detect(without), found(&["useradd is not installed: dockerd cannot make the user dockremap"]));
    let made = |host: FakeHost| {
        let mut host = host.file("/etc/passwd", "dockremap:x:110:115::/home/dockremap:/bin/false\n");
        host.files.remove(Path::new("/usr/sbin/useradd"));
        host
    };
    assert_eq!(detect(made), Detection::Absent);
    let none = |mut host: FakeHost| {
        host.files.remove(Path::new("/etc/subgid"));
        host
    };
    assert_eq!(detect(none), found(&["/etc/subgid does not exist: dockerd finds no ids to map to"]));
    for file in [limit, "/etc/subuid", "/etc/subgid", "/etc/passwd"] {
        let mut case = remappable();
        case.host = case.host.deny(file);
        assert!(matches!(case.detect(Hazard::BreaksStartup), Detection::CouldNotLook(why) if why.starts_with(file)));
    }
}

/// All lines count: those of other users, those behind ours, those that dockerd does not look at when it picks ids.
#[test]
fn remapped_users_have_ids_of_their_own() {
    let detect = |subuid: &str| {
        let mut case = remappable();
        case.host = case.host.file("/etc/subuid", subuid);
        case.detect(Hazard::BreaksStartup)
    };
    let is = |subuid: &str, names: &[&str]| assert_eq!(detect(subuid), found(names), "{subuid}");
    // dockerd goes on behind what is taken.
    for free in [
        "ada:100000:65536\nbo:165536:65536\n",
        "bo:165536:65536\nada:100000:65536\n",
        "# ids\n\nada:900000:65536\n",
        "dockremap:231072:65536\nada:100000:65536\nno line\n",
    ] {
        assert_eq!(detect(free), Detection::Absent, "{free}");
    }
    // Where it has ids they are kept, whoever has them as well.
    let also = "/etc/subuid: the ids 100000-165535 of dockremap are also the ids";
    is("dockremap:100000:65536\nada:90000:10001\n", &[&format!("{also} 90000-100000 of ada")]);
    is("ada:165535:1\nbo:300000:9\ndockremap:100000:65536\n", &[&format!("{also} 165535-165535 of ada")]);
    is(
        "dockremap:100000:65536\ndockremap:110000:10\n",
        &["/etc/subuid: the ids 100000-165535 of dockremap are also the ids 110000-110009 of dockremap"],
    );
    // A short range in the middle of those that it will take is not seen by dockerd.
    is("ada:110000:1000\n", &[&format!("{also} 110000-110999 of ada")]);
    is("ada 100000 5\n", &["/etc/subuid:1 is not `NAME:ID:COUNT`: dockerd finds no ids to map to"]);
    is("ada:100000:4294860000\n", &["/etc/subuid has no 65536 ids left for dockremap"]);
    // The groups have a file of their own, and a user of the site's has to have its ids already.
    let mut case = remappable();
    case.host = case.host.file("/etc/subgid", "dockremap:5000:10\nada:5009:1\n");
    assert_eq!(
        case.detect(Hazard::BreaksStartup),
        found(&["/etc/subgid: the ids 5000-5009 of dockremap are also the ids 5009-5009 of ada"])
    );
    let mut case = Case::setting("userns-remap", json!("ci:ops"));
    case.host = can_remap(case.host).file("/etc/subuid", "ci:100000:65536\n").file("/etc/subgid", "ci:100000:65536\n");
    assert_eq!(case.detect(Hazard::BreaksStartup), found(&["/etc/subgid has no ids for ops: dockerd does not start"]));
}

#[test]
fn remapped_users_have_to_reach_the_data_root() {
    let mut case = remappable();
    case.facts.daemon.data_root = "/srv/docker/root".into();
    let dir = |mode| Stat { mode, ..testing::stat(FileKind::Dir) };
    case.host = case.host.node("/srv", dir(0o755)).node("/srv/docker/root", dir(0o700));
    case.host = case.host.node("/srv/docker", dir(0o755));
    assert_eq!(case.detect(Hazard::BreaksStartup), Detection::Absent, "dockerd opens the data root itself");
    case.host = case.host.node("/srv/docker", dir(0o750));
    assert_eq!(
        case.detect(Hazard::BreaksStartup),
        found(&["/srv/docker (mode 0750) lets no remapped user through to the data root"])
    );
}
