//! Judgements that no fixture shows, and the words of some.

use std::sync::Arc;

use serde_json::json;

use super::*;
use crate::catalog::{Capability, Namespace, Severity};
use crate::facts::workload::{Confinement, Mount, Namespaces, Partial, Processes, Unread};
use crate::facts::{Config, Unknown, testing};

fn web() -> Container {
    Container { id: "a".repeat(64), name: "web".into(), running: true, pid: 7, ..Container::default() }
}

fn first() -> Process {
    Process { pid: 7, containers: vec!["a".repeat(64)], seccomp: 2, root: Some(0), ..Process::default() }
}

fn host(containers: Vec<Container>, contained: Vec<Process>) -> Facts {
    let mut facts = testing::facts();
    facts.daemon.info = Ok(json!({"SecurityOptions": ["name=seccomp,profile=builtin"], "NCPU": 4}));
    Arc::make_mut(&mut facts.workload).containers = Ok(containers);
    Arc::make_mut(&mut facts.workload).processes = Ok(Processes { contained, ..Processes::default() });
    facts
}

/// Verdict and words for the first container.
fn told(rule: &Rule, facts: &Facts) -> (Verdict, String) {
    let outcome = run(rule, facts).swap_remove(0);
    (outcome.verdict, outcome.actual)
}

#[test]
fn one_that_could_not_be_read_is_unknown_and_the_others_are_judged() {
    let mut facts = host(Vec::new(), Vec::new());
    let unread = Unread { id: "b".repeat(64), name: "db".into(), why: Unknown("timed out".into()) };
    Arc::make_mut(&mut facts.workload).containers = Err(Unknown("timed out".into()));
    Arc::make_mut(&mut facts.workload).partial = Some(Partial { read: vec![web()], unread: vec![unread] });
    let outcomes = run(&Rule::Privileged, &facts);
    let told: Vec<_> = outcomes.iter().map(|one| (one.subject.as_str(), one.verdict, one.actual.as_str())).collect();
    assert_eq!(
        told,
        [("container:web", Verdict::Pass, "not privileged"), ("container:db", Verdict::Unknown, "timed out")]
    );
    assert_eq!(outcomes[1].subject_id, Some("b".repeat(64)));
}

#[test]
fn a_list_that_could_not_be_read_and_an_empty_one_are_told_apart() {
    let mut facts = host(Vec::new(), Vec::new());
    assert_eq!(told(&Rule::Memory, &facts).0, Verdict::NotApplicable);
    Arc::make_mut(&mut facts.workload).containers = Err(Unknown("connection refused".into()));
    assert_eq!(told(&Rule::Memory, &facts), (Verdict::Unknown, "connection refused".into()));
}

#[test]
fn a_process_that_could_not_be_read_is_unknown() {
    let gone = host(vec![web()], Vec::new());
    let rules = [Rule::User, Rule::Capabilities, Rule::Capability(Capability::SysAdmin), Rule::Seccomp];
    for rule in rules.iter().chain([&Rule::NoNewPrivileges]) {
        let (verdict, actual) = told(rule, &gone);
        assert_eq!((verdict, actual.as_str()), (Verdict::Unknown, "process 7 of container web is gone"), "{rule:?}");
    }
    let mut facts = host(vec![web()], Vec::new());
    Arc::make_mut(&mut facts.workload).processes = Err(Unknown("only root".into()));
    Arc::make_mut(&mut facts.workload).execs = Err(Unknown("no answer".into()));
    assert_eq!(told(&Rule::Sshd, &facts).0, Verdict::Unknown);
    assert_eq!(told(&Rule::RootExec, &facts).0, Verdict::Unknown);
}

#[test]
fn without_its_map_a_user_says_nothing_where_there_are_namespaces() {
    let mut facts = host(vec![web()], vec![Process { euid: 100_000, root: None, ..first() }]);
    assert_eq!(told(&Rule::User, &facts), (Verdict::Pass, "user 100000".into()));
    facts.daemon.info = Ok(json!({"SecurityOptions": ["name=userns"]}));
    assert_eq!(told(&Rule::User, &facts), (Verdict::Unknown, "/proc/7/uid_map could not be read".into()));
    facts.daemon.info = Err(Unknown("no answer".into()));
    assert_eq!(told(&Rule::User, &facts).0, Verdict::Unknown);
    // Whatever the map says, user 0 of the host is root.
    Arc::make_mut(&mut facts.workload).processes =
        Ok(Processes { contained: vec![Process { root: None, ..first() }], ..Processes::default() });
    assert_eq!(told(&Rule::User, &facts), (Verdict::Fail, "root".into()));
}

#[test]
fn containers_that_join_each_other_have_an_end() {
    let joins = |id: char, other: &str| Container {
        id: id.to_string().repeat(64),
        name: id.into(),
        namespaces: Namespaces { pid: format!("container:{other}"), ..Namespaces::default() },
        ..Container::default()
    };
    let rule = Rule::HostNamespace(Namespace::Pid);
    let facts = host(vec![joins('a', "b"), joins('b', "a")], Vec::new());
    assert_eq!(told(&rule, &facts), (Verdict::Pass, "not the host's".into()));
    let far = Container {
        id: "c".repeat(64),
        name: "far".into(),
        namespaces: Namespaces { pid: "host".into(), ..Namespaces::default() },
        ..Container::default()
    };
    let facts = host(vec![joins('a', "b"), joins('b', "far"), far], Vec::new());
    assert_eq!(told(&rule, &facts), (Verdict::Fail, "the host's, through container far".into()));
}

#[test]
fn what_is_within_reach_is_told_by_name() {
    let with = |bounding: u64| host(vec![web()], vec![Process { bounding, ..first() }]);
    let words = |bounding| told(&Rule::Capabilities, &with(bounding)).1;
    assert_eq!(words(0xa804_25fb | 1 << 12), "beyond the default: NET_ADMIN");
    assert_eq!(words(1 << 50), "beyond the default: capability 50");
    assert_eq!(
        words((1 << 41) - 1),
        "beyond the default: SYS_ADMIN, SYS_MODULE, SYS_PTRACE, DAC_READ_SEARCH and 23 more"
    );
    assert_eq!(words(1 << 10), "NET_BIND_SERVICE");
    assert_eq!(words(0), "none");
    for (which, bit) in [(Capability::SysModule, 16), (Capability::SysPtrace, 19), (Capability::DacReadSearch, 2)] {
        let rule = Rule::Capability(which);
        assert_eq!(told(&rule, &with(1 << bit)), (Verdict::Fail, format!("{} within reach", which.name())));
        assert_eq!(told(&rule, &with(!(1 << bit))).0, Verdict::Pass);
    }
}

#[test]
fn processors_are_counted() {
    let on = |list: &str| {
        let confinement = Confinement { cpuset: list.into(), ..Confinement::default() };
        told(&Rule::Cpu, &host(vec![Container { confinement, ..web() }], vec![first()]))
    };
    assert_eq!(on("0-2"), (Verdict::Pass, "processors 0-2".into()));
    assert_eq!(on("0,1,2-3"), (Verdict::Fail, "all 4 processors".into()));
    assert_eq!(on("3-0").0, Verdict::Pass, "dockerd refuses it: nothing to count");
}

#[test]
fn sockets_are_found_where_the_daemon_says() {
    let bind = |facts: &mut Facts, source: &str| {
        let mount = Mount { kind: "bind".into(), source: source.into(), ..Mount::default() };
        let confinement = Confinement { mounts: vec![mount], ..Confinement::default() };
        Arc::make_mut(&mut facts.workload).containers = Ok(vec![Container { confinement, ..web() }]);
        told(&Rule::DockerSocket, facts).0
    };
    let mut facts = host(Vec::new(), Vec::new());
    facts.daemon.others =
        vec![crate::facts::Other { socket: "/run/user/1000/docker.sock".into(), what: "a rootless Docker" }];
    for source in
        ["/", "/run", "/var/run", "/run/containerd", "/run/docker/containerd", "/run/user", "/srv/x/docker.sock"]
    {
        assert_eq!(bind(&mut facts, source), Verdict::Fail, "{source}");
    }
    // `/var/run` in it is a link, which leads to the container's own /run.
    for source in ["/var", "/srv", "/run/dbus", "/opt/c"] {
        assert_eq!(bind(&mut facts, source), Verdict::Pass, "{source}");
    }
    let own = json!({"containerd": "/opt/c/own.sock"});
    facts.daemon.config = Config::Valid { text: own.to_string(), value: own.as_object().cloned().unwrap() };
    assert_eq!(bind(&mut facts, "/opt/c"), Verdict::Fail);
}

#[test]
fn mounts_are_compared_by_name_and_not_by_letter() {
    let bind = |source: &str, writable: bool| {
        let mount = Mount { kind: "bind".into(), source: source.into(), writable, ..Mount::default() };
        let confinement = Confinement { mounts: vec![mount], ..Confinement::default() };
        let facts = host(vec![Container { confinement, ..web() }], vec![first()]);
        let outcome = run(&Rule::HostMounts, &facts).swap_remove(0);
        (outcome.verdict, outcome.severity)
    };
    let (full, little, fine) = ((Verdict::Fail, None), (Verdict::Fail, Some(Severity::Low)), (Verdict::Pass, None));
    for source in
        ["/", "/etc/", "/etc/cron.d", "/srv/../etc", "/var/run", "/var/lib", "/home", "/home/ann", "/opt/a/.ssh/x"]
    {
        assert_eq!(bind(source, true), full, "{source}");
    }
    for source in ["/", "/etc", "/root/x", "/home/ann/.ssh", "/proc", "/var/lib/docker"] {
        assert_eq!(bind(source, false), little, "{source}");
    }
    for source in ["/srv", "/opt", "/mnt/etc", "/home/ann/www", "/var/log/app", "/bootstrap", "/dev2"] {
        assert_eq!(bind(source, true), fine, "{source}");
    }
    for source in ["/sys", "/usr", "/boot", "/etc/app", "/usr/share/zoneinfo"] {
        assert_eq!(bind(source, false), fine, "{source}");
    }
}
