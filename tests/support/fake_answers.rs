//! Every way to ask the host in memory.

use std::io::{Error, ErrorKind, Result};
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;

use seaworthy::host::{Answer, EngineError, FileKind, Group, Host, Query, Stat, path};
use serde_json::Value;

use super::fake_host::{FakeHost, not_found};

impl FakeHost {
    /// The path as it is stored: links on the way to it are followed, itself it is not.
    fn entry(&self, path: &Path) -> Result<PathBuf> {
        if self.files.contains_key(path) {
            return Ok(path.to_owned());
        }
        match (path.parent(), path.file_name()) {
            (Some(parent), Some(name)) => Ok(path::resolve(self, parent)?.join(name)),
            _ => Err(not_found()),
        }
    }

    fn goes_unanswered(&self) -> bool {
        self.unanswered == Some(self.asked.fetch_add(1, Ordering::SeqCst) + 1)
    }

    /// A unit's answer with what changed since it was recorded.
    fn show(&self, unit: &str, recorded: &str) -> String {
        let mut over: Vec<(String, String)> = Vec::new();
        if unit == "docker.service" {
            over.push(("ActiveState".into(), self.docker.active.clone()));
            over.push(("MainPID".into(), self.docker.pid.to_string()));
            over.push(("ExecMainStartTimestampMonotonic".into(), self.docker.started.to_string()));
            over.extend(self.unit_read.properties.clone());
        } else if let Some((enabled, active)) = self.units.get(unit) {
            over.push(("UnitFileState".into(), enabled.clone()));
            over.push(("ActiveState".into(), active.clone()));
        }
        if unit == "docker.socket" {
            over.extend(self.socket_read.properties.clone());
        }
        let old = recorded.lines().filter(|line| over.iter().all(|(key, _)| !line.starts_with(&format!("{key}="))));
        let mut lines: Vec<String> = old.map(str::to_owned).collect();
        lines.extend(over.iter().map(|(key, value)| format!("{key}={value}")));
        lines.join("\n") + "\n"
    }
}

impl Host for FakeHost {
    fn read(&self, path: &Path) -> Result<Vec<u8>> {
        let node = self.files.get(&path::resolve(self, path)?).ok_or_else(not_found)?;
        match &node.stat.kind {
            FileKind::Dir => Err(Error::from(ErrorKind::IsADirectory)),
            _ => Ok(node.bytes.clone()),
        }
    }

    fn stat(&self, path: &Path) -> Result<Stat> {
        let node = self.files.get(&self.entry(path)?).ok_or_else(not_found)?;
        let size = u64::try_from(node.bytes.len()).unwrap_or(0);
        Ok(Stat { size, ..node.stat.clone() })
    }

    fn list(&self, path: &Path) -> Result<Vec<String>> {
        let path = path::resolve(self, path)?;
        let node = self.files.get(&path).ok_or_else(not_found)?;
        if node.stat.kind != FileKind::Dir {
            return Err(Error::from(ErrorKind::NotADirectory));
        }
        let inside = self.files.keys().filter(|one| one.parent() == Some(&path));
        Ok(inside.filter_map(|one| Some(one.file_name()?.to_string_lossy().into_owned())).collect())
    }

    fn xattrs(&self, path: &Path) -> Result<Vec<(String, Vec<u8>)>> {
        Ok(self.files.get(&self.entry(path)?).ok_or_else(not_found)?.xattrs.clone())
    }

    fn ask(&self, query: &Query) -> Result<Answer> {
        let recorded = self.recording.answers.get(&query.key()).cloned().flatten();
        let text = |stdout: String| Ok(Answer { status: 0, stdout, stderr: String::new() });
        match query {
            Query::AuditRules if recorded.is_some() && self.kernel_rules.is_empty() => text("No rules\n".into()),
            Query::AuditRules if recorded.is_some() => text(self.kernel_rules.join("\n") + "\n"),
            Query::AuditStatus if recorded.is_some() => {
                text(format!("enabled {}\nlost {}\n", self.audit_enabled, self.audit_lost))
            }
            Query::UnitShow(_) if self.goes_unanswered() => {
                Ok(Answer { status: 1, stderr: "Connection timed out".into(), ..Answer::default() })
            }
            Query::UnitShow(name) => {
                let recorded = recorded.ok_or_else(not_found)?;
                text(self.show(name, &recorded.stdout))
            }
            _ => recorded.ok_or_else(not_found),
        }
    }

    fn engine(&self, _socket: &Path, paths: &[String]) -> Vec<std::result::Result<Value, EngineError>> {
        let one = |path: &String| {
            if self.docker.active != "active" {
                self.woken.store(true, Ordering::SeqCst);
                return Err(EngineError::Unreachable("connection refused".into()));
            }
            let recorded = self.recording.engine.get(path).cloned();
            let value = recorded.as_ref().and_then(|answer| answer.as_ref().ok());
            match self.docker.answer(path, value) {
                Some(mut value) => {
                    if let Some(over) = self.engine_over.get(path) {
                        merge(&mut value, over);
                    }
                    Ok(value)
                }
                None => recorded.unwrap_or_else(|| Err(EngineError::Status(404, "not recorded".into()))),
            }
        };
        paths.iter().map(one).collect()
    }

    fn user_name(&self, uid: u32) -> Option<String> {
        self.recording.users.get(&uid).cloned().flatten()
    }

    fn group_name(&self, gid: u32) -> Option<String> {
        self.recording.groups.get(&gid).cloned().flatten()
    }

    fn group(&self, name: &str) -> Option<Group> {
        self.recording.groups_by_name.get(name).cloned().flatten()
    }

    fn now(&self) -> i64 {
        self.clock / 1000
    }

    fn euid(&self) -> u32 {
        self.recording.euid
    }

    fn offline(&self) -> bool {
        self.recording.offline
    }
}

/// Puts one JSON value over another, object by object.
fn merge(base: &mut Value, over: &Value) {
    match (base, over) {
        (Value::Object(base), Value::Object(over)) => {
            for (key, value) in over {
                merge(base.entry(key.clone()).or_insert(Value::Null), value);
            }
        }
        (base, over) => *base = over.clone(),
    }
}
