//! A recording of a host with more containers than there is memory for.

use serde_json::Value;

const LIST: &str = "/containers/json?all=1";
/// Process ids from here on are nobody's: above the kernel's default limit.
const FIRST_PID: usize = 5_000_000;

/// The same host with `count` running containers, all but the recorded ones twins of the first.
pub(crate) fn grown(recording: &Value, count: usize) -> Value {
    let mut all = recording.clone();
    let listed = recording["engine"][LIST]["Ok"].as_array().expect("a list of containers");
    let one = listed.first().expect("a container");
    let id = one["Id"].as_str().expect("its id");
    let inspection = format!("/containers/{id}/json");
    let inspected = &recording["engine"][&inspection];
    let name = inspected["Ok"]["Name"].as_str().expect("its name");
    let pid = inspected["Ok"]["State"]["Pid"].as_u64().expect("its process");
    let process = format!("/proc/{pid}/");
    let files = recording["files"].as_object().expect("files");
    let own: Vec<(&String, &Value)> =
        files.iter().filter(|(path, _)| path.starts_with(&process) || path.contains(id)).collect();
    for number in listed.len()..count {
        let (twin, twin_pid) = (format!("{number:064x}"), FIRST_PID + number);
        let moved = |text: &str| {
            let text = text.replace(id, &twin).replace(&format!("\"{name}\""), &format!("\"/twin{number}\""));
            text.replace(&process, &format!("/proc/{twin_pid}/"))
                .replace(&format!("\"Pid\":{pid}"), &format!("\"Pid\":{twin_pid}"))
        };
        let copy = |value: &Value| serde_json::from_str::<Value>(&moved(&value.to_string())).expect("it stays JSON");
        all["engine"][LIST]["Ok"].as_array_mut().expect("a list").push(copy(one));
        all["engine"][moved(&inspection)] = copy(inspected);
        all["files"]["/proc"]["list"].as_array_mut().expect("processes").push(twin_pid.to_string().into());
        for (path, node) in &own {
            all["files"][moved(path)] = copy(node);
        }
    }
    all
}
