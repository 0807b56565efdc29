//! Flags of dockerd in a unit, its drop-in and /etc/default/docker, and daemon.json beside them, through the planner:
//! what a plan changes reads as what was meant, and nothing else reads differently.
//!
//! Input: how (`vendor`: the unit is the package's), the unit, the drop-in, /etc/default/docker, daemon.json.

use std::sync::OnceLock;

use seaworthy::catalog::{Catalog, Entry};
use seaworthy::host::{Answer, Node, Recording};
use seaworthy::policy::Policy;

use super::facts::{Case, holds};

/// The property.
pub fn check(data: &[u8]) {
    let Some([how, unit, drop_in, default, config]) = super::parts(data) else { return };
    let fragment = if how.starts_with("vendor") { "/usr/lib/systemd/system" } else { "/etc/systemd/system" };
    let fragment = format!("{fragment}/docker.service");
    let extra = "/etc/systemd/system/docker.service.d/override.conf";
    let mut recording = Recording { complete: true, recorded_at: 1_795_000_000, ..Recording::default() };
    let mut file = |path: &str, text: &str| {
        let stat = seaworthy::host::Stat {
            kind: seaworthy::host::FileKind::File,
            mode: 0o644,
            uid: 0,
            gid: 0,
            nlink: 1,
            immutable: false,
            size: text.len() as u64,
            mtime: 0,
            dev: "8:1".into(),
        };
        recording.files.insert(path.into(), Node { stat: Some(stat), content: Some(text.into()), ..Node::default() });
    };
    file("/usr/sbin/dockerd", "");
    file("/run/systemd/system/x", "");
    file("/etc/machine-id", "0123456789abcdef0123456789abcdef\n");
    file(&fragment, unit);
    for (path, text) in [(extra, drop_in), ("/etc/default/docker", default), ("/etc/docker/daemon.json", config)] {
        if !text.is_empty() {
            file(path, text);
        }
    }
    let drop_ins = if drop_in.is_empty() { "" } else { extra };
    let stdout = format!(
        "LoadState=loaded\nActiveState=inactive\nUnitFileState=enabled\nFragmentPath={fragment}\nDropInPaths={drop_ins}\n"
    );
    recording.answers.insert("systemctl show docker.service".into(), Some(Answer { stdout, ..Answer::default() }));
    let version = Answer { stdout: "Docker version 26.1.5, build 1\n".into(), ..Answer::default() };
    recording.answers.insert("dockerd --version".into(), Some(version));
    holds(&Case { recording, entries: entries(), policy: Policy::default(), accept: !how.ends_with("automatic") });
}

/// The checks of daemon.json and its flags.
fn entries() -> &'static [&'static Entry] {
    static ENTRIES: OnceLock<Vec<&'static Entry>> = OnceLock::new();
    ENTRIES.get_or_init(|| {
        let catalog: &'static Catalog = Box::leak(Box::new(Catalog::built_in()));
        catalog.entries().filter(|entry| entry.id.starts_with("daemon.")).collect()
    })
}
