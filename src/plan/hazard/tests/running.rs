use super::*;
use crate::facts::Located;
use crate::facts::workload::{Exec, Login, Work};
use crate::host::{FileKind, Stat};

#[test]
fn a_restart_stops_containers_and_says_which_stay_down() {
    let mut case = Case::restart();
    assert_eq!(case.detect(Hazard::StopsContainers), Detection::Absent);
    let policy = |name: &str, restart: &str| Container { restart: restart.into(), ..container(name) };
    let stopped = Container { running: false, ..container("old") };
    let lost = Container { auto_remove: true, ..container("tmp") };
    case.workload.containers =
        Ok(vec![container("web"), policy("job", "no"), policy("batch", "on-failure"), lost, stopped]);
    assert_eq!(
        case.detect(Hazard::StopsContainers),
        found(&[
            "web",
            "job (does not return by itself)",
            "batch (on-failure: may not return by itself)",
            "tmp (--rm: lost)"
        ])
    );
    case.change.restart = false;
    assert_eq!(case.detect(Hazard::StopsContainers), Detection::Absent);
}

#[test]
fn a_restart_locks_a_swarm_with_autolock() {
    let mut case = Case::restart();
    let spec = |on: bool| json!({"Swarm": {"Cluster": {"Spec": {"EncryptionConfig": {"AutoLockManagers": on}}}}});
    case.info(spec(false));
    assert_eq!(case.detect(Hazard::StopsContainers), Detection::Absent);
    case.info(spec(true));
    let locked = "this manager of a swarm (locked from then on until somebody runs `docker swarm unlock`)";
    assert_eq!(case.detect(Hazard::StopsContainers), found(&[locked]));
    case.change.restart = false;
    assert_eq!(case.detect(Hazard::StopsContainers), Detection::Absent);
}

#[test]
fn live_restore_holds_containers_when_it_is_in_force_and_stays() {
    let mut case = Case::restart();
    case.workload.containers = Ok(vec![container("web")]);
    case.info(json!({"LiveRestoreEnabled": true}));
    // In force by a reload, but gone from the file: the next start would be without it.
    assert_eq!(case.detect(Hazard::StopsContainers), found(&["web"]));
    case.facts.daemon.config = testing::config(&json!({"live-restore": true}));
    assert_eq!(case.detect(Hazard::StopsContainers), Detection::Absent);
    case.info(json!({"LiveRestoreEnabled": false}));
    assert_eq!(case.detect(Hazard::StopsContainers), found(&["web"]));
    case.change.live_restore_first = true;
    assert_eq!(case.detect(Hazard::StopsContainers), Detection::Absent);
    case.change.together = vec!["userns-remap".into()];
    assert_eq!(case.detect(Hazard::StopsContainers), found(&["web"]));
}

#[test]
fn containers_that_outlived_the_daemon_need_live_restore_at_its_start() {
    let mut case = Case::restart();
    case.workload.containers = Ok(vec![container("web")]);
    case.facts.daemon.running = Ok(None);
    case.facts.daemon.info = unread();
    assert_eq!(case.detect(Hazard::StopsContainers), found(&["web"]));
    case.facts.daemon.config = testing::config(&json!({"live-restore": true}));
    assert_eq!(case.detect(Hazard::StopsContainers), Detection::Absent);
}

#[test]
fn stops_containers_could_not_look() {
    let mut case = Case::restart();
    case.workload.containers = unread();
    assert_eq!(case.detect(Hazard::StopsContainers), blind());
    // Whether live-restore holds them is unknown: they are named, and why.
    case.workload.containers = Ok(vec![container("web")]);
    case.facts.daemon.info = unread();
    assert_eq!(case.detect(Hazard::StopsContainers), found(&["web", "could not look further: may not be read"]));
}

#[test]
fn a_restart_interrupts_execs_builds_and_our_own_login() {
    let mut case = Case::restart();
    assert_eq!(case.detect(Hazard::Interrupts), Detection::Absent);
    case.workload.containers = Ok(vec![container("bastion")]);
    case.workload.execs = Ok(vec![Exec { container: "web".into(), program: "mysql".into(), ..Exec::default() }]);
    case.workload.processes = Ok(Processes {
        work: vec![Work { what: "build step".into(), ..Work::default() }],
        login: Login { containers: Vec::new(), peers: vec!["172.18.0.2".parse().unwrap()] },
        ..Processes::default()
    });
    assert_eq!(
        case.detect(Hazard::Interrupts),
        found(&["exec in web: mysql", "build step", "our own login comes through bastion"])
    );
    case.workload.processes = unread();
    case.workload.execs = Ok(Vec::new());
    assert_eq!(case.detect(Hazard::Interrupts), blind());
    case.change.restart = false;
    assert_eq!(case.detect(Hazard::Interrupts), Detection::Absent);
}

#[test]
fn a_client_in_a_container_counts_with_the_socket_and_units_that_stop_too_are_named() {
    let mut case = Case::restart();
    let (nested, runner) = (container("nested"), container("runner"));
    let inside =
        |container: &Container| Work { what: "build by docker".into(), containers: vec![container.id.clone()] };
    let work = vec![inside(&nested), inside(&runner)];
    let runner = Container { mounts: vec!["/var/run/docker.sock".into()], ..runner };
    case.workload.containers = Ok(vec![nested, runner]);
    case.workload.processes = Ok(Processes { work, ..Processes::default() });
    case.workload.dependents = Ok(vec!["app.service".into()]);
    let names = ["build by docker in runner", "app.service stops with docker.service"];
    assert_eq!(case.detect(Hazard::Interrupts), found(&names));
    case.workload.processes = Ok(Processes::default());
    case.workload.dependents = unread();
    assert_eq!(case.detect(Hazard::Interrupts), blind());
}

#[test]
fn a_session_inside_a_container_comes_through_it() {
    let mut case = Case::restart();
    let shell = container("shell");
    let login = Login { containers: vec![shell.id.clone()], peers: Vec::new() };
    case.workload.processes = Ok(Processes { login, ..Processes::default() });
    case.workload.containers = Ok(vec![shell, container("web")]);
    assert_eq!(case.detect(Hazard::Interrupts), found(&["our own login comes through shell"]));
}

#[test]
fn a_daemon_reload_takes_devices_away() {
    let mut case = Case::new();
    let gpu = Container { devices: vec!["GPU".into(), "/dev/fuse".into()], ..container("train") };
    case.workload.containers = Ok(vec![gpu.clone(), container("web")]);
    assert_eq!(case.detect(Hazard::LosesDevices), Detection::Absent);
    case.change.daemon_reload = true;
    assert_eq!(case.detect(Hazard::LosesDevices), found(&["train (GPU, /dev/fuse)"]));
    case.workload.containers = Ok(vec![Container { running: false, ..gpu }]);
    assert_eq!(case.detect(Hazard::LosesDevices), Detection::Absent);
    case.workload.containers = unread();
    assert_eq!(case.detect(Hazard::LosesDevices), blind());
}

#[test]
fn privileges_gained_in_containers_are_named() {
    let mut case = Case::setting("no-new-privileges", json!(true));
    let web = container("web");
    let inside = |pid, parent, name: &str, ruid, euid| Process {
        pid,
        parent,
        name: name.into(),
        containers: vec![web.id.clone()],
        ruid,
        euid,
        ..Process::default()
    };
    let elsewhere = Process { containers: vec!["f".repeat(64)], ..inside(90, 1, "podman", 1000, 0) };
    let bound = Process { no_new_privs: true, ..inside(91, 1, "bound", 1000, 0) };
    let contained = vec![
        inside(10, 1, "init", 1000, 1000),
        inside(11, 10, "ping", 1000, 0),
        inside(12, 10, "cron", 0, 0),
        elsewhere,
        bound,
    ];
    case.workload.containers = Ok(vec![web.clone()]);
    case.workload.processes = Ok(Processes { contained, ..Processes::default() });
    assert_eq!(
        case.detect(Hazard::DropsPrivilege),
        found(&["web: ping (user 1000, acts as 0)", "web: cron (root, started by user 1000)"])
    );
    case.workload.processes = Ok(Processes {
        contained: vec![
            Process { capabilities: 1, ..inside(12, 1, "nginx", 0, 0) },
            inside(13, 12, "nginx", 33, 33),
            // It was root and kept some.
            Process { capabilities: 1, ..inside(14, 12, "chronyd", 33, 33) },
        ],
        ..Processes::default()
    });
    assert_eq!(case.detect(Hazard::DropsPrivilege), Detection::Absent);
    case.workload.processes = unread();
    assert_eq!(case.detect(Hazard::DropsPrivilege), blind());
}

#[test]
fn groups_and_capabilities_of_a_program_are_gained_too() {
    let mut case = Case::setting("no-new-privileges", json!(true));
    let web = Container { user: "1000".into(), ..container("web") };
    let inside = |pid, parent, name: &str| Process {
        pid,
        parent,
        name: name.into(),
        containers: vec![web.id.clone()],
        ruid: 1000,
        euid: 1000,
        ..Process::default()
    };
    let contained = vec![
        inside(10, 1, "sh"),
        Process { rgid: 1000, egid: 8, ..inside(11, 10, "mail") },
        Process { capabilities: 1, ..inside(12, 10, "caddy") },
        Process { capabilities: 1, ..inside(13, 1, "vault") },
        Process { capabilities: 1, no_new_privs: true, ..inside(14, 10, "bound") },
    ];
    case.workload.containers = Ok(vec![web]);
    case.workload.processes = Ok(Processes { contained, ..Processes::default() });
    let capable = |name: &str| format!("web: {name} (user 1000, with capabilities of its program)");
    let names = ["web: mail (group 1000, acts as 8)", &capable("caddy"), &capable("vault")];
    assert_eq!(case.detect(Hazard::DropsPrivilege), found(&names));
    // The first process of a container keeps them since 25.
    case.facts.daemon.version = Some(testing::version("25.0.0"));
    assert_eq!(case.detect(Hazard::DropsPrivilege), found(&names[..2]));
}

fn socket_change(group: Option<&str>, mode: &str, stat: Stat) -> Case {
    let mut case = Case::new();
    case.change.edits.push(Edit::FileAccess {
        object: crate::catalog::Object::Named("docker-socket".into()),
        owner: Some("root".into()),
        group: group.map(str::to_owned),
        mode: Some(mode.into()),
    });
    case.host = case.host.node("/run/docker.sock", stat).file("/proc/1/status", "Uid:\t0\t0\nGroups:\t999\n");
    case
}

fn socket(mode: u32, gid: u32) -> Stat {
    Stat { mode, gid, ..testing::stat(FileKind::Socket) }
}

#[test]
fn members_of_the_group_lose_the_socket() {
    let mut case = socket_change(None, "0600", socket(0o660, 999));
    case.host = case.host.file("/proc/40/status", "Uid:\t998\t998\nGid:\t998\t998\nGroups:\t4 999\n");
    let runner = Container { user: "1000".into(), mounts: vec!["/var/run/docker.sock".into()], ..container("ci") };
    let root = Container { mounts: vec!["/var/run".into()], ..container("traefik") };
    case.workload.containers = Ok(vec![runner, root]);
    assert_eq!(
        case.detect(Hazard::CutsAccess),
        found(&[
            "user 998, by group docker",
            "user alice, by group docker",
            "container ci has the socket and runs as 1000"
        ])
    );
}

#[test]
fn a_socket_that_keeps_its_users_cuts_nobody() {
    // Only the other users' bits go, and they had none.
    assert_eq!(socket_change(Some("docker"), "0660", socket(0o660, 999)).detect(Hazard::CutsAccess), Detection::Absent);
    // root's group is stricter, and stays.
    assert_eq!(socket_change(Some("docker"), "0660", socket(0o660, 0)).detect(Hazard::CutsAccess), Detection::Absent);
}

#[test]
fn who_uses_an_open_socket_cannot_be_seen() {
    let open = socket_change(Some("docker"), "0660", socket(0o666, 999)).detect(Hazard::CutsAccess);
    assert!(matches!(open, Detection::CouldNotLook(why) if why.starts_with("mode 0666")));
    let mut denied = socket_change(Some("docker"), "0660", socket(0o660, 999));
    denied.host = denied.host.deny("/run/docker.sock");
    assert!(matches!(denied.detect(Hazard::CutsAccess), Detection::CouldNotLook(_)));
}

#[test]
fn who_uses_containerd_s_socket_cannot_be_seen() {
    let object = crate::catalog::Object::Named("containerd-socket".into());
    let cuts = |stat: Stat| {
        let mut case = Case::new();
        let located = Located { path: "/run/containerd/containerd.sock".into(), aliases: Vec::new(), stat };
        case.facts.objects.insert(object.clone(), Ok(vec![located]));
        let mode = Some("0660".into());
        case.change.edits.push(Edit::FileAccess { object: object.clone(), owner: None, group: None, mode });
        case.detect(Hazard::CutsAccess)
    };
    let blind = Detection::CouldNotLook("who uses containerd's socket leaves no trace".into());
    assert_eq!(cuts(socket(0o666, 0)), blind);
    assert_eq!(cuts(socket(0o660, 999)), blind);
    assert_eq!(cuts(Stat { uid: 1000, ..socket(0o600, 0) }), blind);
    assert_eq!(cuts(socket(0o744, 0)), Detection::Absent);
}
