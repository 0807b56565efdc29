use std::path::Path;

use super::*;
use crate::facts::workload::{Port, Proxy, sockets};
use crate::plan::proposal::{Basis, Proposal};
use crate::plan::{LiveChange, LiveState};

fn on_bridge(name: &str) -> Container {
    Container { networks: vec![("bridge".into(), vec!["172.17.0.2".parse().unwrap()])], ..container(name) }
}

fn proxy(host_ip: &str, container_ip: &str) -> Proxy {
    Proxy {
        protocol: "tcp".into(),
        host_ip: host_ip.parse().unwrap(),
        host_port: 8080,
        container_ip: container_ip.parse().unwrap(),
        container_port: 80,
    }
}

/// Sockets as the kernel tells them.
fn table(name: &str, line: &str) -> Vec<sockets::Socket> {
    let host = FakeHost::default().file("/proc/9/net/tcp", "").file(&format!("/proc/9/net/{name}"), line);
    sockets::tcp(&host, 9).unwrap()
}

#[test]
fn connections_through_docker_proxy_are_named_without_their_port() {
    let mut case = Case::restart();
    case.workload.containers = Ok(vec![on_bridge("web")]);
    let line = "0: 0100007F:1F90 0101A8C0:C001 01 0:0 0:0 0 0 0 5 1\n1: 0100007F:1F90 0101A8C0:C002 01 0:0 0:0 0 0 0 6 1\n\
                2: 00000000:1F90 00000000:0000 0A 0:0 0:0 0 0 0 7 1\n3: 0100007F:1F91 0101A8C0:C003 01 0:0 0:0 0 0 0 8 1\n";
    let proxies = vec![proxy("0.0.0.0", "172.17.0.2")];
    case.workload.processes = Ok(Processes { proxies, proxy_sockets: table("tcp", line), ..Processes::default() });
    assert_eq!(case.detect(Hazard::Interrupts), found(&["connection from 192.168.1.1 to web:80"]));
    // The same table for a proxy on another address.
    if let Ok(processes) = &mut case.workload.processes {
        processes.proxies = vec![proxy("192.168.1.9", "172.17.0.2")];
    }
    assert_eq!(case.detect(Hazard::Interrupts), Detection::Absent);
}

#[test]
fn containers_that_may_talk_on_the_default_bridge() {
    let mut case = Case::setting("icc", json!(false));
    let listens = |case: &mut Case, name: &str, ports: &[&str]| {
        case.workload.listeners.insert(container(name).id, Ok(ports.iter().map(|port| (*port).to_owned()).collect()));
    };
    case.workload.containers = Ok(vec![on_bridge("db"), container("other")]);
    listens(&mut case, "db", &["5432/tcp"]);
    assert_eq!(case.detect(Hazard::CutsTraffic), Detection::Absent, "nobody else is on that bridge");
    case.workload.containers = Ok(vec![on_bridge("db"), on_bridge("web")]);
    listens(&mut case, "web", &[]);
    assert_eq!(
        case.detect(Hazard::CutsTraffic),
        found(&["db listens on 5432/tcp beside 1 other container on the default bridge"])
    );
    listens(&mut case, "db", &[]);
    assert_eq!(case.detect(Hazard::CutsTraffic), Detection::Absent, "nobody listens");
    case.workload.listeners.insert(container("db").id, unread());
    assert_eq!(case.detect(Hazard::CutsTraffic), blind());
    case.workload.containers = unread();
    assert_eq!(case.detect(Hazard::CutsTraffic), blind());
}

#[test]
fn links_are_named() {
    let mut case = Case::setting("icc", json!(false));
    case.workload.containers = Ok(vec![Container { links: vec!["/db:/web/database".into()], ..on_bridge("web") }]);
    assert_eq!(case.detect(Hazard::CutsTraffic), found(&["web links to db"]));
    case.change.edits = vec![Edit::DaemonSetting { key: "icc".into(), value: Some(json!(true)) }];
    assert_eq!(case.detect(Hazard::CutsTraffic), Detection::Absent);
}

#[test]
fn ports_that_only_docker_proxy_brings_to_ipv6() {
    let mut case = Case::setting("userland-proxy", json!(false));
    case.workload.containers = Ok(vec![on_bridge("web")]);
    let mut processes =
        Processes { proxies: vec![proxy("0.0.0.0", "172.17.0.2"), proxy("::", "172.17.0.2")], ..Processes::default() };
    case.workload.processes = Ok(processes.clone());
    assert_eq!(
        case.detect(Hazard::CutsTraffic),
        found(&["web:80 is reached over IPv6 ([::]:8080) by docker-proxy alone"])
    );
    let line = "0: 00000000000000000000000001000000:1F90 00000000000000000000000001000000:C001 01 0:0 0:0 0 0 0 5 1\n";
    processes.proxy_sockets = table("tcp6", line);
    case.workload.processes = Ok(processes.clone());
    assert_eq!(case.detect(Hazard::CutsTraffic), found(&["web:80 is used over [::1]:8080 now"]));
    processes.proxies = vec![proxy("0.0.0.0", "172.17.0.2"), proxy("::", "fd00::2")];
    processes.proxy_sockets.clear();
    case.workload.processes = Ok(processes);
    assert_eq!(case.detect(Hazard::CutsTraffic), Detection::Absent);
    case.workload.processes = unread();
    assert_eq!(case.detect(Hazard::CutsTraffic), blind());
}

#[test]
fn images_from_a_registry_without_tls() {
    let mut case = Case::setting("insecure-registries", json!(["kept:5000"]));
    case.facts.daemon.config =
        testing::config(&json!({"insecure-registries": ["old:5000", "kept:5000", "10.0.0.0/8"]}));
    case.workload.images =
        Ok(["old:5000/a:1", "kept:5000/b:1", "10.1.2.3:80/c", "11.1.2.3:80/d", "redis:7"].map(str::to_owned).to_vec());
    assert_eq!(
        case.detect(Hazard::CutsTraffic),
        found(&["image 10.1.2.3:80/c comes from 10.0.0.0/8", "image old:5000/a:1 comes from old:5000"])
    );
    case.workload.images = Ok(vec!["redis:7".into()]);
    assert_eq!(case.detect(Hazard::CutsTraffic), Detection::Absent);
    case.workload.images = unread();
    assert_eq!(case.detect(Hazard::CutsTraffic), blind());
}

#[test]
fn the_loopback_networks_that_the_engine_always_trusts_do_not_count() {
    let mut case = Case::setting("insecure-registries", json!([]));
    case.info(json!({"RegistryConfig": {
        "InsecureRegistryCIDRs": ["::1/128", "127.0.0.0/8"],
        "IndexConfigs": {"docker.io": {"Secure": true}, "lab:5000": {"Secure": false}},
    }}));
    case.workload.images = Ok(vec!["127.0.0.1:5000/a".into(), "lab:5000/b".into(), "docker.io/c".into()]);
    assert_eq!(case.detect(Hazard::CutsTraffic), found(&["image lab:5000/b comes from lab:5000"]));
}

#[test]
fn a_missing_socket_table_is_unknown() {
    assert!(sockets::tcp(&FakeHost::default(), 9).is_err());
    let host = FakeHost::default().file("/proc/9/net/tcp", "").deny(Path::new("/proc/9/net/tcp6").to_str().unwrap());
    assert!(sockets::tcp(&host, 9).is_err());
}

#[test]
fn docker_s_firewall_goes_before_the_host_s() {
    let mut case = Case::new();
    case.change.edits.push(Edit::DaemonSettingRemove { key: "iptables".into() });
    assert!(case.change.implied().contains(&Hazard::CutsTraffic));
    let chains = "Docker's own firewall chains come back and go before the host's rules";
    assert_eq!(case.detect(Hazard::CutsTraffic), found(&[chains]));
    let port = |host_ip: &str, inside: &str| Port { host_ip: host_ip.into(), host_port: 8080, inside: inside.into() };
    let ports = vec![port("", "80/tcp"), port("127.0.0.1", "90/tcp")];
    case.workload.containers = Ok(vec![Container { ports, ..container("web") }]);
    assert_eq!(case.detect(Hazard::CutsTraffic), found(&["web:80/tcp becomes reachable past the host's firewall"]));
    case.workload.containers = unread();
    assert_eq!(case.detect(Hazard::CutsTraffic), found(&[chains, "could not look further: may not be read"]));
    case.change.edits = vec![Edit::DaemonSetting { key: "ip6tables".into(), value: Some(json!(false)) }];
    assert_eq!(case.detect(Hazard::CutsTraffic), Detection::Absent);
}

/// A container on the default bridge that leaves it for `shop`.
fn leaving(name: &str) -> (Container, Proposal) {
    let one = on_bridge(name);
    let on = |name: &str| LiveState::Networks { names: vec![name.into()] };
    let change = LiveChange { name: name.into(), id: one.id.clone(), before: on("bridge"), after: on("shop") };
    let proposal = Proposal { name: name.into(), id: one.id.clone(), change: Ok((change, Basis::Config)), blind: None };
    (one, proposal)
}

#[test]
fn who_leaves_the_default_bridge_is_lost_to_those_that_stay() {
    let mut case = Case::new();
    let ((web, moves), (stays, _)) = (leaving("web"), leaving("db"));
    let stopped = Container { running: false, ..web.clone() };
    case.change.containers = vec![moves];
    case.workload.containers = Ok(vec![stopped, stays.clone()]);
    assert_eq!(case.detect(Hazard::CutsTraffic), Detection::Absent, "nothing is open to what does not run");
    let moved = "web: gets another address, and connections that are open now end";
    let lost = "web: is not reached any more by db on the default bridge";
    case.workload.containers = Ok(vec![web.clone(), stays.clone()]);
    assert_eq!(case.detect(Hazard::CutsTraffic), found(&[moved, lost]));
    // Where both go they find each other.
    case.change.containers.push(leaving("db").1);
    let both = [moved, "db: gets another address, and connections that are open now end"];
    assert_eq!(case.detect(Hazard::CutsTraffic), found(&both));
    case.change.containers.pop();
    let linked = Container { links: vec!["/web:/db/front".into()], running: false, ..stays };
    let mut joined = container("side");
    joined.namespaces.network = format!("container:{}", web.id);
    case.workload.containers = Ok(vec![web, linked, joined]);
    let linked = ["web: db links to web", "web: side shares the network of web", moved];
    assert_eq!(case.detect(Hazard::CutsTraffic), found(&linked));
    case.workload.containers = unread();
    assert_eq!(case.detect(Hazard::CutsTraffic), blind());
}
