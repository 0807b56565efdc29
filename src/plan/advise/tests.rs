//! Inspections to command lines.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use serde_json::{Value, json};

use super::*;
use crate::audit;
use crate::catalog::Catalog;
use crate::facts::testing::{self, FakeHost};
use crate::host::EngineError;
use crate::plan::Choice as Taken;
use crate::policy::Policy;

const ID: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

/// A container that does not run, of an image that gives some of everything.
fn container(config: &Value, host: &Value) -> Value {
    let mut value = json!({
        "Id": ID, "Name": "/web", "Image": "sha256:22", "State": {"Running": false},
        "Config": {"Image": "shop:1", "Hostname": &ID[..12], "Env": ["A=1"], "Cmd": ["serve"], "Entrypoint": null,
            "Labels": {"base": "yes"}, "ExposedPorts": {"80/tcp": {}}, "WorkingDir": "/srv"},
        "HostConfig": {"NetworkMode": "default", "LogConfig": {"Type": "json-file", "Config": {}}, "Runtime": "runc",
            "IpcMode": "private", "CgroupnsMode": "private", "ShmSize": 64 << 20, "ConsoleSize": [0, 0],
            "RestartPolicy": {"Name": "no", "MaximumRetryCount": 0}},
        "NetworkSettings": {"Networks": {"bridge": {}}}, "Mounts": [],
    });
    for (part, more) in [("Config", config), ("HostConfig", host)] {
        for (key, new) in more.as_object().unwrap() {
            value[part][key] = new.clone();
        }
    }
    value
}

fn image() -> Value {
    json!({"Config": {"Env": ["A=1"], "Cmd": ["serve"], "Labels": {"base": "yes"}, "ExposedPorts": {"80/tcp": {}},
        "WorkingDir": "/srv"}})
}

/// What is advised for these containers, as far as these checks fail.
fn advised(host: FakeHost, containers: &[Value], checks: &[&str]) -> Vec<Advised> {
    let read = containers.iter().map(|value| Container::read(value).unwrap()).collect();
    let mut facts = testing::facts();
    Arc::make_mut(&mut facts.workload).containers = Ok(read);
    facts.daemon.info = Ok(json!({"LoggingDriver": "json-file", "DefaultRuntime": "runc", "CgroupVersion": "2"}));
    let catalog = Catalog::built_in();
    let entries: Vec<_> = checks.iter().map(|check| catalog.get(check).unwrap()).collect();
    let host = containers.iter().fold(host, |host, value| {
        host.api(&format!("/containers/{}/json", value["Id"].as_str().unwrap()), value.clone())
    });
    let inputs = Inputs {
        host: &host,
        entries: &entries,
        policy: &Policy::default(),
        facts: &facts,
        choice: Taken::automatic(),
        no_restart: false,
        put_back: &[] as &[PathBuf],
        written: &BTreeSet::new(),
    };
    let findings = audit::audit(&entries, &facts, inputs.policy);
    advise(&inputs, &findings)
}

fn one(config: &Value, host: &Value, checks: &[&str]) -> Advised {
    let fake = FakeHost::default().api("/images/sha256:22/json", image());
    advised(fake, &[container(config, host)], checks).pop().expect("something is advised")
}

fn command(config: &Value, host: &Value, checks: &[&str]) -> String {
    one(config, host, checks).command.expect("a command")
}

#[test]
fn what_the_image_and_the_daemon_give_is_left_out() {
    let line = command(&json!({}), &json!({}), &["container.no-new-privileges"]);
    assert_eq!(line, "docker create --name web --security-opt no-new-privileges shop:1");
}

#[test]
fn a_command_of_its_own_is_kept_word_by_word() {
    let words = json!(["sh", "-c", "echo \"a\" 'b' $HOME\nexit", ""]);
    let line = command(&json!({"Cmd": words}), &json!({}), &["container.no-new-privileges"]);
    assert!(line.ends_with(r#" shop:1 sh -c $'echo "a" \'b\' $HOME\x0aexit' ''"#), "{line}");
    let line = command(&json!({"Entrypoint": ["/bin/a", "b"]}), &json!({}), &["container.no-new-privileges"]);
    assert!(line.ends_with(" --entrypoint /bin/a shop:1 b serve"), "{line}");
}

#[test]
fn no_secret_and_nothing_that_a_terminal_acts_on_is_shown() {
    let config = json!({
        "Env": ["A=1", "PLAIN=hunter2", "TWO=hunter2\nx", "B.C=hunter2"], "Cmd": ["x", "--password", "hunter2", "--token=hunter2"],
        "Labels": {"api.token": "hunter2", "e\u{1b}[2J": "\u{202e}evil"},
        "Healthcheck": {"Test": ["CMD", "ping", "--token=hunter2"]},
    });
    let host = json!({"LogConfig": {"Type": "splunk", "Config": {"splunk-token": "hunter2"}}});
    let advised = one(&config, &host, &["container.no-new-privileges"]);
    let text = serde_json::to_string(&advised).unwrap();
    assert!(!text.contains("hunter2"), "{text}");
    let line = advised.command.unwrap();
    assert_eq!(crate::text::clean(&line), line);
    for part in [
        r"$'e\x1b[2J=\xe2\x80\xaeevil'",
        "--env-file web.env",
        "--env TWO --env B.C",
        "--log-opt splunk-token=\"${SECRET_",
    ] {
        assert!(line.contains(part), "{part}: {line}");
    }
    assert!(advised.before[0].contains("grep -E '^(PLAIN)='"), "{:?}", advised.before);
    assert_eq!(advised.choices.len(), line.matches(":?}").count());
}

#[test]
fn what_opens_the_host_is_left_out() {
    let host = json!({
        "Privileged": true, "CapAdd": ["CAP_SYS_ADMIN", "CHOWN"], "NetworkMode": "host", "PidMode": "host", "IpcMode": "host",
        "UTSMode": "host", "UsernsMode": "host", "CgroupParent": "/x", "SecurityOpt": ["label=disable", "apparmor:unconfined"],
        "Binds": ["/a:/a:ro,rshared", "/b:/b:shared"],
    });
    let checks = [
        "container.privileged",
        "container.capabilities",
        "container.host-network",
        "container.host-pid",
        "container.host-ipc",
        "container.host-uts",
        "container.host-userns",
        "container.cgroup-parent",
        "container.devices",
    ];
    let advised = one(&json!({}), &host, &checks);
    assert_eq!((advised.checks.len(), advised.left.len()), (checks.len(), 0), "{advised:?}");
    assert_eq!(
        advised.command.as_deref(),
        Some(
            "docker create --name web --cap-drop NET_RAW --cap-add CHOWN --security-opt apparmor:unconfined \
             --volume /a:/a:ro,rshared --volume /b:/b:shared --network \"${NETWORK:?}\" shop:1"
        )
    );
    let given =
        json!({"Devices": [{"PathOnHost": "/dev/sda", "PathInContainer": "/dev/sda", "CgroupPermissions": "rwm"}]});
    let advised = one(&json!({}), &given, &["container.devices", "container.no-new-privileges"]);
    assert_eq!(advised.left, ["container.devices"]);
    assert!(advised.command.unwrap().contains("--device /dev/sda:/dev/sda:rwm"));
}

#[test]
fn ports_get_an_address_and_a_number_to_be_chosen() {
    let ports = json!({"80/tcp": [{"HostIp": "", "HostPort": "80"}, {"HostIp": "::", "HostPort": "80"}],
        "53/udp": [{"HostIp": "::1", "HostPort": "5353"}], "81/tcp": [{"HostIp": "0.0.0.0", "HostPort": ""}]});
    let line = command(
        &json!({}),
        &json!({"PortBindings": ports}),
        &["container.wildcard-ports", "container.privileged-ports"],
    );
    let published: Vec<&str> = line.split("--publish ").skip(1).map(str::trim).collect();
    assert_eq!(
        published,
        ["\"${ADDRESS:?}\":\"${PORT_80:?}\":80", "'[::1]:5353:53/udp'", "\"${ADDRESS:?}\"::81 shop:1"]
    );
    let mut every = container(&json!({}), &json!({"PublishAllPorts": true}));
    every["NetworkSettings"]["Ports"] = json!({"80/tcp": [{"HostIp": "0.0.0.0", "HostPort": "32768"}]});
    let fake = FakeHost::default().api("/images/sha256:22/json", image());
    let line = advised(fake, &[every], &["container.wildcard-ports"]).pop().unwrap().command.unwrap();
    assert!(line.contains("--publish \"${ADDRESS:?}\"::80") && !line.contains("--publish-all"), "{line}");
}

#[test]
fn data_of_volumes_without_a_name_stays() {
    let mut value = container(&json!({}), &json!({"Binds": ["named:/data"]}));
    value["Mounts"] = json!([
        {"Type": "volume", "Name": "named", "Destination": "/data", "RW": true},
        {"Type": "volume", "Name": "0123", "Destination": "/cache", "RW": false},
    ]);
    let fake = FakeHost::default().api("/images/sha256:22/json", image());
    let line = advised(fake, &[value], &["container.no-new-privileges"]).pop().unwrap().command.unwrap();
    assert!(line.contains("--volume named:/data --volume 0123:/cache:ro shop:1"), "{line}");
}

#[test]
fn what_no_option_says_is_named() {
    let advised =
        one(&json!({"Newest": true}), &json!({"Future": {"x": 1}, "Unused": []}), &["container.no-new-privileges"]);
    let notes = advised.notes.join("\n");
    assert!(notes.contains("leaves out: Future") && notes.contains("leaves out: Newest"), "{notes}");
    assert!(!notes.contains("Unused"), "{notes}");
}

#[test]
fn who_else_makes_containers_is_left_to_it() {
    let fake = || FakeHost::default().api("/images/sha256:22/json", image());
    let checks = ["container.no-new-privileges"];
    for label in ["com.docker.compose.project", "com.docker.swarm.service.name", "io.kubernetes.pod.name"] {
        assert!(
            advised(fake(), &[container(&json!({"Labels": {label: "x"}}), &json!({}))], &checks).is_empty(),
            "{label}"
        );
    }
    // Limits alone are given while it runs.
    assert!(advised(fake(), &[container(&json!({}), &json!({}))], &["container.memory", "container.cpu"]).is_empty());
}

#[test]
fn what_is_not_known_is_said() {
    let gone =
        FakeHost::default().api_error("/images/sha256:22/json", EngineError::Status(404, "no such image".into()));
    let checks = ["container.no-new-privileges"];
    let found = advised(gone, &[container(&json!({}), &json!({}))], &checks).pop().unwrap();
    assert!(found.notes[0].contains("image") && found.command.unwrap().ends_with("--workdir /srv --expose 80/tcp --label base=yes --env-file web.env --security-opt no-new-privileges shop:1 serve"));
}
