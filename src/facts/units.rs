//! systemd units: as systemd reports them, or as their files say on an offline image.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::model::{Known, Unit, Unknown};
use crate::host::{Answer, Host, Query};

/// Where unit files are looked for on an offline image, first hit wins (systemd.unit(5)).
const UNIT_DIRS: &[&str] = &[
    "/etc/systemd/system",
    "/run/systemd/system",
    "/usr/local/lib/systemd/system",
    "/usr/lib/systemd/system",
    "/lib/systemd/system",
];

/// Reads one unit.
pub(super) fn read(host: &dyn Host, name: &str) -> Known<Unit> {
    if host.offline() {
        return Ok(from_files(host, name));
    }
    match host.ask(&Query::UnitShow(name.to_owned())) {
        Ok(answer) if answer.ok() => Ok(parse_show(&answer)),
        Ok(answer) => Err(Unknown(format!("systemctl show {name}: {}", answer.stderr.trim()))),
        Err(error) => Err(Unknown(format!("systemctl show {name}: {error}"))),
    }
}

fn parse_show(answer: &Answer) -> Unit {
    let mut properties: BTreeMap<String, String> = BTreeMap::new();
    for line in answer.stdout.lines() {
        let Some((key, value)) = line.split_once('=') else { continue };
        match properties.get_mut(key) {
            // systemctl shows a socket's addresses in a line each.
            Some(addresses) if key == "Listen" => {
                addresses.push('\n');
                addresses.push_str(value);
            }
            _ => {
                properties.insert(key.to_owned(), value.to_owned());
            }
        }
    }
    let text = |key: &str| properties.get(key).cloned().unwrap_or_default();
    Unit {
        load: text("LoadState"),
        active: text("ActiveState"),
        enabled: text("UnitFileState"),
        fragment: Some(text("FragmentPath")).filter(|t| !t.is_empty()).map(PathBuf::from),
        drop_ins: text("DropInPaths").split_whitespace().map(PathBuf::from).collect(),
        main_pid: text("MainPID").parse().unwrap_or(0),
        properties,
    }
}

fn from_files(host: &dyn Host, name: &str) -> Unit {
    let fragment = UNIT_DIRS.iter().map(|dir| Path::new(dir).join(name)).find(|path| host.stat(path).is_ok());
    let mut drop_ins: BTreeMap<String, PathBuf> = BTreeMap::new();
    for dir in UNIT_DIRS.iter().rev() {
        let dir = Path::new(dir).join(format!("{name}.d"));
        for file in host.list(&dir).unwrap_or_default() {
            if Path::new(&file).extension().is_some_and(|e| e == "conf") {
                drop_ins.insert(file.clone(), dir.join(file));
            }
        }
    }
    let wanted = ["multi-user.target.wants", "sockets.target.wants"];
    let enabled = wanted.iter().any(|w| host.stat(&Path::new("/etc/systemd/system").join(w).join(name)).is_ok());
    Unit {
        load: if fragment.is_some() { "loaded" } else { "not-found" }.into(),
        active: "inactive".into(),
        enabled: if enabled { "enabled" } else { "disabled" }.into(),
        fragment,
        drop_ins: drop_ins.into_values().collect(),
        main_pid: 0,
        properties: BTreeMap::new(),
    }
}

impl Unit {
    /// Whether systemd knows the unit.
    pub fn exists(&self) -> bool {
        self.load != "not-found" && !self.load.is_empty()
    }

    /// The unit's own file and its drop-ins, in the order in which they are read.
    pub fn files(&self) -> Vec<&PathBuf> {
        self.fragment.iter().chain(&self.drop_ins).collect()
    }
}

/// Whether a unit file belongs to a package, so that it is never edited.
pub(super) fn is_vendor(path: &Path) -> bool {
    !path.starts_with("/etc/systemd") && !path.starts_with("/run/systemd/transient")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_address_of_a_socket_is_kept() {
        let stdout = "Listen=/run/docker.sock (Stream)\nListen=[::]:2375 (Stream)\n".into();
        let unit = parse_show(&Answer { stdout, ..Answer::default() });
        assert_eq!(unit.properties["Listen"], "/run/docker.sock (Stream)\n[::]:2375 (Stream)");
    }
}
