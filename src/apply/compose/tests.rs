use serde_json::json;

use super::*;

#[test]
fn of_what_compose_says_no_value_is_told() {
    let told = |stderr: &str| said(&Answer { status: 1, stderr: stderr.into(), ..Answer::default() }).unwrap();
    let old =
        "The Compose file './compose.yaml' is invalid because:\nservices.web.environment contains \"A=hunter2\"\n";
    assert_eq!(told(old), "The Compose file '…' is invalid because:");
    assert_eq!(told(" Container shop-web-1  Recreate\nERROR: bad A=hunter2 `hunter2`\n"), "ERROR: bad A=… `…`");
    assert_eq!(told("invalid interpolation \"${A:hunter2"), "invalid interpolation \"…\"");
    assert_eq!(said(&Answer::default()), None);
}

#[test]
fn ports_are_those_of_the_file_whatever_they_are_bound_to() {
    let inspection = json!({
        "HostConfig": {"PortBindings": {
            "80/tcp": [{"HostIp": "127.0.0.1", "HostPort": "8080"}], "81/tcp": [{"HostPort": ""}],
            "82/tcp": [{"HostPort": "8000-8010"}], "83/tcp": [{"HostPort": "83"}],
        }},
        "NetworkSettings": {"Ports": {
            "80/tcp": [{"HostIp": "127.0.0.1", "HostPort": "8080"}], "81/tcp": [{"HostPort": "32768"}],
            "82/tcp": [{"HostPort": "8003"}], "83/tcp": null,
        }},
    });
    let found: Vec<String> = ports(&inspection).into_iter().collect();
    assert_eq!(found, ["8080->80/tcp", "any->81/tcp", "any->82/tcp"]);
}
