//! Makes a scenario's host: a recorded one with the scenario laid over it.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Mutex, OnceLock};
use std::time::Duration;

use seaworthy::host::{Answer, FileKind, Host, HostMut, Recording, Stat};
use seaworthy::mode;
use serde_json::Value;

use crate::Checked;
use crate::fixture::{File, Over, Scenario, folder};
use crate::support::fake_host::{FakeHost, FakeNode};

fn recorded(name: &str) -> Checked<Recording> {
    static KNOWN: OnceLock<Mutex<BTreeMap<String, Recording>>> = OnceLock::new();
    let mut known = KNOWN.get_or_init(Mutex::default).lock().map_err(|e| e.to_string())?;
    if let Some(recording) = known.get(name) {
        return Ok(recording.clone());
    }
    let path = folder().join("hosts").join(format!("{name}.json"));
    let text = std::fs::read_to_string(&path).map_err(|e| format!("{}: {e}", path.display()))?;
    let recording: Recording = serde_json::from_str(&text).map_err(|e| format!("{}: {e}", path.display()))?;
    known.insert(name.into(), recording.clone());
    Ok(recording)
}

/// The host of a scenario.
pub(crate) fn host(scenario: &Scenario) -> Checked<FakeHost> {
    let mut recording = recorded(&scenario.host)?;
    let over = &scenario.over;
    answers(&mut recording, over)?;
    if let Some(kept) = &over.containers {
        keep_containers(&mut recording, kept);
    }
    let mut host = FakeHost::from_recording(recording);
    host.engine_over = over.engine.clone();
    if let Some(enabled) = over.audit_enabled {
        host.audit_enabled = enabled;
    }
    if over.written_later {
        host.sleep(Duration::from_mins(1));
    }
    let age = if over.written_later { host.now() } else { 0 };
    // Directories before what is in them, links as they come.
    for (path, file) in &over.files {
        lay(&mut host, Path::new(path), file, age)?;
    }
    // augenrules reads rules.d alone.
    host.augenrules = host.files.contains_key(Path::new("/etc/audit/rules.d"));
    if !over.written_later && host.docker.active == "active" {
        let pid = host.docker.pid;
        host.settle(pid);
        if host.docker.active != "active" {
            // What would not start was written while it ran.
            host = unsettled(scenario, host)?;
        }
    } else {
        host.reload_units();
    }
    Ok(host)
}

/// The daemon runs as recorded: with these files it would not have started.
fn unsettled(scenario: &Scenario, host: FakeHost) -> Checked<FakeHost> {
    drop(host);
    let mut again = scenario.clone();
    again.over.written_later = true;
    self::host(&again)
}

fn answers(recording: &mut Recording, over: &Over) -> Checked {
    for (unit, properties) in &over.units {
        for (key, value) in properties {
            show(recording, unit, key, value);
        }
    }
    if over.daemon.as_deref() == Some("stopped") {
        for (key, value) in [("ActiveState", "inactive"), ("SubState", "dead"), ("MainPID", "0")] {
            show(recording, "docker.service", key, value);
        }
    }
    for (question, said) in &over.answers {
        let answer = match said {
            Value::String(text) => Some(Answer { stdout: text.clone(), ..Answer::default() }),
            Value::Bool(false) => None,
            other => return Err(format!("answers.{question}: {other} is neither a text nor false")),
        };
        recording.answers.insert(question.clone(), answer);
    }
    if let Some(rules) = &over.kernel_rules {
        let stdout = if rules.is_empty() { "No rules\n".into() } else { rules.join("\n") + "\n" };
        recording.answers.insert("auditctl -l".into(), Some(Answer { stdout, ..Answer::default() }));
    }
    if let Some(euid) = over.euid {
        recording.euid = euid;
    }
    if let Some(members) = &over.docker_group
        && let Some(Some(group)) = recording.groups_by_name.get_mut("docker")
    {
        group.members.clone_from(members);
    }
    Ok(())
}

/// Changes one property of a unit.
fn show(recording: &mut Recording, unit: &str, key: &str, value: &str) {
    let answer = recording.answers.entry(format!("systemctl show {unit}")).or_default().get_or_insert_default();
    let kept = answer.stdout.lines().filter(|line| !line.starts_with(&format!("{key}=")));
    let lines: Vec<String> = kept.map(str::to_owned).chain([format!("{key}={value}")]).collect();
    answer.stdout = lines.join("\n") + "\n";
}

fn keep_containers(recording: &mut Recording, kept: &[String]) {
    for path in ["/containers/json?all=1", "/containers/json"] {
        if let Some(Ok(Value::Array(all))) = recording.engine.get_mut(path) {
            all.retain(|one| {
                let name = one["Names"][0].as_str().unwrap_or_default().trim_start_matches('/');
                kept.iter().any(|keep| keep == name)
            });
        }
    }
}

fn lay(host: &mut FakeHost, path: &Path, file: &File, mtime: i64) -> Checked {
    if file.absent {
        host.files.retain(|known, _| !known.starts_with(path));
        return Ok(());
    }
    let mode = match &file.mode {
        Some(text) => Some(mode::parse(text).ok_or(format!("{}: mode {text} is not octal", path.display()))?),
        None => None,
    };
    if !host.files.contains_key(path) {
        let default = if file.dir { 0o755 } else { 0o644 };
        host.write(path.to_str().unwrap_or_default(), default, "");
    }
    let FakeNode { stat, bytes, .. } = host.files.get_mut(path).ok_or("it was just made")?;
    if file.dir {
        stat.kind = FileKind::Dir;
    }
    if let Some(target) = &file.symlink {
        stat.kind = FileKind::Symlink(target.clone());
    }
    if let Some(text) = &file.text {
        *bytes = text.clone().into_bytes();
    }
    let (uid, gid) = file.owner.unwrap_or((stat.uid, stat.gid));
    let (nlink, dev) = (file.links.unwrap_or(stat.nlink), file.dev.clone().unwrap_or(stat.dev.clone()));
    *stat = Stat { mode: mode.unwrap_or(stat.mode), uid, gid, nlink, dev, mtime, ..stat.clone() };
    Ok(())
}
