use std::sync::LazyLock;

use serde_json::{Value, json};

use super::*;
use crate::facts::testing::FakeHost;
use crate::host::EngineError;

const WEB: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
const HEAD: &str = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n";

/// A docker.service that nothing depends on but its socket and two units.
static SERVICE: LazyLock<Known<Unit>> = LazyLock::new(|| {
    let related = [("ConsistsOf", "docker.socket"), ("RequiredBy", "app.service idle.service")];
    let properties = related.map(|(relation, names)| (relation.to_owned(), names.to_owned())).into();
    Ok(Unit { properties, ..Unit::default() })
});

fn context(running: bool, info: &Known<Value>) -> Context<'_> {
    Context {
        service: &SERVICE,
        socket: Path::new("/run/docker.sock"),
        running,
        data_root: Path::new("/var/lib/docker"),
        info,
        systemd: true,
    }
}

#[expect(clippy::unnecessary_wraps, reason = "the form that the context takes")]
fn info(state: &str) -> Known<Value> {
    Ok(json!({"Swarm": {"LocalNodeState": state}}))
}

fn status(name: &str, parent: u32, uids: &str) -> String {
    format!("Name:\t{name}\nPPid:\t{parent}\nUid:\t{uids}\nGroups:\t\nNoNewPrivs:\t0\n")
}

fn process(host: FakeHost, pid: u32, name: &str, cgroup: &str, line: &str) -> FakeHost {
    host.file(&format!("/proc/{pid}/comm"), &format!("{name}\n"))
        .file(&format!("/proc/{pid}/cgroup"), &format!("0::{cgroup}\n"))
        .file(&format!("/proc/{pid}/cmdline"), &line.replace(' ', "\0"))
        .file(&format!("/proc/{pid}/status"), &status(name, 1, "0\t1000\t0\t0"))
}

/// A running daemon with nothing in it, reached by root at a plain shell.
fn live() -> FakeHost {
    FakeHost::default()
        .api("/containers/json?all=1", json!([]))
        .api("/images/json", json!([]))
        .api("/volumes", json!({"Volumes": null}))
        .file("/proc/self/status", &status("seaworthy", 1, "0\t0\t0\t0"))
        .file("/proc/self/cgroup", "0::/user.slice\n")
}

fn with_web(execs: &Value) -> FakeHost {
    live().api("/containers/json?all=1", json!([{"Id": WEB}])).api(
        &format!("/containers/{WEB}/json"),
        json!({
            "Id": WEB, "Name": "/web", "State": {"Running": true, "Pid": 77}, "ExecIDs": execs, "Image": "sha256:22",
            "Config": {"Image": "redis:7", "Healthcheck": {"Test": ["CMD", "redis-cli", "ping"]}},
            "HostConfig": {"NetworkMode": "default"},
            "NetworkSettings": {"Networks": {"bridge": {"IPAddress": "172.17.0.2"}}},
        }),
    )
}

#[test]
fn the_engine_is_asked_while_it_runs() {
    let host = with_web(&json!(["e1", "e2", "gone"]))
        .api(
            "/images/json",
            json!([
                {"Id": "sha256:0123456789abcdef", "RepoTags": ["<none>:<none>"]},
                {"Id": "sha256:22", "RepoTags": ["redis:7"], "RepoDigests": ["redis@sha256:1"], "Created": 1_700_000_000},
            ]),
        )
        .api("/volumes", json!({"Volumes": [{"Name": "data"}]}))
        .api(
            "/exec/e1/json",
            json!({"Running": true, "ProcessConfig": {"entrypoint": "mysql", "arguments": ["-psecret"]}}),
        )
        .api(
            "/exec/e2/json",
            json!({"Running": true, "ProcessConfig": {"entrypoint": "redis-cli", "arguments": ["ping"]}}),
        )
        .api_error("/exec/gone/json", EngineError::Status(404, "no such exec".into()))
        .file("/proc/77/net/tcp", &format!("{HEAD} 0: 00000000:18EB 00000000:0000 0A 0:0 0:0 0 0 0 5 1\n"))
        .unit("puppet.service", "ActiveState=active\n")
        .unit("app.service", "ActiveState=active\n")
        .unit("idle.service", "ActiveState=inactive\n");
    let info = info("pending");
    let found = gather(&host, &context(true, &info), None);
    let web = &found.containers.as_ref().unwrap()[0];
    assert_eq!((web.name.as_str(), web.image_created), ("web", Some(1_700_000_000)));
    assert_eq!(found.images.unwrap(), ["0123456789ab", "redis:7"]);
    assert_eq!(found.volumes.unwrap(), ["data"]);
    assert_eq!(found.swarm.unwrap(), Swarm::Active("pending".into()));
    assert_eq!(found.execs.unwrap(), [Exec { container: "web".into(), program: "mysql".into(), ..Exec::default() }]);
    assert_eq!(found.listeners[WEB].as_ref().unwrap().as_slice(), ["6379/tcp"]);
    assert_eq!(found.agents.unwrap(), ["puppet.service"]);
    assert_eq!(found.dependents.unwrap(), ["app.service"]);
}

#[test]
fn an_engine_that_does_not_answer_leaves_all_unknown() {
    let host = FakeHost { euid: 1000, ..FakeHost::default() };
    let info = Err(Unknown("no /info".into()));
    let found = gather(&host, &context(true, &info), None);
    assert!(found.containers.unwrap_err().0.contains("connection refused"));
    assert!(found.images.is_err() && found.volumes.is_err() && found.execs.is_err());
    assert_eq!(found.swarm, Err(Unknown("no /info".into())));
    assert!(found.processes.unwrap_err().0.contains("only root"));
}

#[test]
fn one_container_that_cannot_be_inspected_makes_all_unknown() {
    let host = live()
        .api("/containers/json?all=1", json!([{"Id": WEB}]))
        .api_error(&format!("/containers/{WEB}/json"), EngineError::Broken("timed out".into()));
    let info = info("inactive");
    assert!(gather(&host, &context(true, &info), None).containers.unwrap_err().0.contains("timed out"));
}

#[test]
fn a_stopped_daemon_is_read_from_its_data_root() {
    let old = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";
    let root = "/var/lib/docker";
    let config = |id: &str, name: &str, pid: u32| {
        json!({"ID": id, "Name": name, "State": {"Running": true, "Pid": pid}, "Config": {"Image": "x"}}).to_string()
    };
    let host = FakeHost::default()
        .file(&format!("{root}/containers/{WEB}/config.v2.json"), &config(WEB, "/web", 77))
        .file(&format!("{root}/containers/{WEB}/hostconfig.json"), r#"{"Privileged": true}"#)
        .file(&format!("{root}/100000.100000/containers/{old}/config.v2.json"), &config(old, "/old", 78))
        .file(
            &format!("{root}/image/overlay2/repositories.json"),
            r#"{"Repositories": {"redis": {"redis:7": "sha256:11", "redis@sha256:9": "sha256:11"}}}"#,
        )
        .file(&format!("{root}/image/overlay2/imagedb/content/sha256/11"), "{}")
        .file(&format!("{root}/image/overlay2/imagedb/content/sha256/22aa22aa22aa22"), "{}")
        .file(&format!("{root}/volumes/data/_data/x"), "")
        .file(&format!("{root}/volumes/metadata.db"), "")
        .file(&format!("{root}/swarm/docker-state.json"), "{}")
        .file("/proc/77/cgroup", &format!("0::/system.slice/docker-{WEB}.scope\n"))
        .file("/proc/78/cgroup", "0::/init.scope\n")
        .file("/proc/self/status", &status("seaworthy", 1, "0"));
    let info = Err(Unknown("down".into()));
    let found = gather(&host, &context(false, &info), None);
    let containers = found.containers.as_ref().unwrap();
    let told: Vec<_> = containers.iter().map(|c| (c.name.as_str(), c.running, c.privileged)).collect();
    // `old` says that it runs, but its process is another one by now.
    assert_eq!(told, [("old", false, false), ("web", true, true)]);
    assert_eq!(found.images.unwrap(), ["22aa22aa22aa", "redis:7"]);
    assert_eq!(found.volumes.unwrap(), ["data"]);
    assert!(matches!(found.swarm.unwrap(), Swarm::Active(_)));
    assert_eq!(found.execs, Ok(Vec::new()));
}

#[test]
fn no_data_root_is_an_empty_one() {
    let info = Err(Unknown("down".into()));
    let found = gather(&FakeHost::default(), &context(false, &info), None);
    assert_eq!((found.containers, found.images, found.volumes), (Ok(Vec::new()), Ok(Vec::new()), Ok(Vec::new())));
    assert_eq!(found.swarm, Ok(Swarm::Inactive));
    assert!(found.processes.is_ok());
}

#[test]
fn a_data_root_that_may_not_be_read_is_unknown() {
    let host = FakeHost::default().deny("/var/lib/docker");
    let info = Err(Unknown("down".into()));
    let found = gather(&host, &context(false, &info), None);
    assert!(found.containers.is_err() && found.images.is_err() && found.volumes.is_err() && found.swarm.is_err());
}

#[test]
fn layers_in_containerd_say_that_images_are_unknown() {
    let host =
        FakeHost::default().file("/var/lib/containerd/io.containerd.snapshotter.v1.overlayfs/snapshots/1/fs/x", "");
    let info = Err(Unknown("down".into()));
    let found = gather(&host, &context(false, &info), None);
    assert!(found.images.unwrap_err().0.contains("holds layers"));
    assert!(found.containers.is_ok());
}

#[test]
fn an_image_that_does_not_run_has_no_processes() {
    let host = FakeHost { offline: true, euid: 1000, ..FakeHost::default() };
    let info = Err(Unknown("offline".into()));
    assert!(gather(&host, &context(true, &info), None).processes.unwrap().contained.is_empty());
}

#[test]
fn processes_are_told_apart() {
    let proxy =
        "/usr/bin/docker-proxy -proto tcp -host-ip 0.0.0.0 -host-port 8080 -container-ip 172.17.0.2 -container-port 80";
    let mut host = with_web(&Value::Null);
    host = process(host, 77, "redis", &format!("/system.slice/docker-{WEB}.scope"), "redis");
    host = process(host, 80, "docker-proxy", "/system.slice/docker.service", proxy);
    host = process(host, 81, "sh", "/system.slice:docker:q8ydhw1jdtr7mplcxw3k2z6bn", "sh");
    host = process(host, 82, "docker", "/user.slice", "docker build -t secret .");
    host = process(host, 83, "docker", "/user.slice", "docker run -it x sh -c something build");
    host = process(host, 84, "docker", "/user.slice", "docker logs -f run");
    host = process(host, 85, "docker", &format!("/docker/{WEB}"), "docker -H unix:///x pull y");
    let table = format!("{HEAD} 0: 0100007F:1F90 0100007F:C001 01 0:0 0:0 0 0 0 5 1\n");
    let host = host.file("/proc/80/net/tcp", &table).file("/proc/77/net/tcp", HEAD);
    let host = host.file("/proc/77/uid_map", "         1     200000          9\n         0     100000          1\n");
    let info = info("inactive");
    let found = gather(&host, &context(true, &info), None).processes.unwrap();
    let inside: Vec<_> =
        found.contained.iter().map(|p| (p.name.as_str(), p.ruid, p.euid, p.containers[0].as_str())).collect();
    assert_eq!(inside, [("redis", 0, 1000, WEB)]);
    assert_eq!(found.contained[0].root, Some(100_000));
    assert_eq!((found.proxies[0].host_port, found.proxies[0].container_port), (8080, 80));
    assert!(found.proxy_sockets[0].established());
    let work: Vec<_> = found.work.iter().map(|w| (w.what.as_str(), w.containers.len())).collect();
    assert_eq!(work, [("build by docker", 0), ("build step", 0), ("docker pull", 1), ("docker run", 0)]);
    assert_eq!(found.login, Login::default());
}

#[test]
fn our_own_login_is_followed_to_its_peer() {
    let host = live()
        .file("/proc/self/status", &status("seaworthy", 900, "0"))
        .file("/proc/900/status", &status("bash", 899, "0"))
        .file("/proc/900/cgroup", "0::/user.slice\n")
        .file("/proc/899/status", &status("sshd", 1, "0"))
        .file("/proc/899/cgroup", &format!("0::/docker/{WEB}\n"))
        .link("/proc/899/fd/4", "socket:[4711]")
        .link("/proc/899/fd/5", "socket:[12]")
        .file(
            "/proc/899/net/tcp",
            &format!(
                "{HEAD} 0: 0100A8C0:0016 020011AC:C001 01 0:0 0:0 0 0 0 4711 1\n \
                 1: 0100A8C0:0016 030011AC:C001 01 0:0 0:0 0 0 0 99 1\n"
            ),
        );
    let info = info("inactive");
    let login = gather(&host, &context(true, &info), None).processes.unwrap().login;
    assert_eq!(login, Login { containers: vec![WEB.into()], peers: vec!["172.17.0.2".parse().unwrap()] });
}

#[test]
fn who_comes_from_a_container_by_nsenter_lives_in_it() {
    let host = FakeHost::default().file("/proc/self/cgroup", "0::/user.slice/session-1.scope\n");
    assert_eq!(own_container(&host), None);
    let own = |space| FakeHost::default().file("/proc/self/cgroup", "0::/\n").link("/proc/self/ns/cgroup", space);
    assert_eq!(own_container(&own("cgroup:[7]").link("/proc/1/ns/cgroup", "cgroup:[7]")), None);
    assert!(own_container(&own("cgroup:[8]").link("/proc/1/ns/cgroup", "cgroup:[7]")).is_some());
    let inside = FakeHost::default().file("/proc/self/cgroup", &format!("0::/docker/{WEB}\n"));
    assert_eq!(own_container(&inside).as_deref(), Some("aaaaaaaaaaaa"));
}
