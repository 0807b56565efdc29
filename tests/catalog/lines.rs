//! What a plan may touch, and what it has to say that it interrupts: read from the plan itself, not from its maker.

use std::collections::BTreeSet;
use std::path::Path;

use seaworthy::audit::Disruption;
use seaworthy::catalog::{Catalog, ComposeEdit, Edit, Entry};
use seaworthy::facts::{Facts, keys};
use seaworthy::plan::{Act, FileChange, FileState, LiveSetting, Plan, Undo};
use serde_json::Value;
use similar::{ChangeTag, TextDiff};

use crate::Checked;
use crate::support::fake_docker::RELOADABLE;
use crate::support::fake_host::FakeHost;

fn changes(plan: &Plan) -> impl Iterator<Item = &FileChange> {
    plan.steps.iter().filter_map(|step| match &step.act {
        Act::File(change) => Some(change),
        _ => None,
    })
}

fn text(state: &FileState) -> &str {
    match state {
        FileState::Present { content: Some(text), .. } => text,
        _ => "",
    }
}

/// Every line that a plan changes names a key or an object of one of its checks.
pub(crate) fn only_its_own(plan: &Plan, catalog: &Catalog, facts: &Facts) -> Checked {
    let entries: Vec<&Entry> = plan.accepted.iter().filter_map(|slug| catalog.get(slug)).collect();
    for step in &plan.steps {
        let Act::Update(change) = &step.act else { continue };
        let setting = change.after.setting();
        let own = |edit: &Edit| LiveSetting::of(edit) == Some(setting);
        if !entries.iter().any(|entry| step.checks.contains(&entry.id) && entry.remediation.edits.iter().any(own)) {
            return Err(format!("no check of the plan updates {}", change.told()));
        }
    }
    let mut general: BTreeSet<String> = entries.iter().flat_map(|entry| names(entry, facts)).collect();
    // What comes with this plan may have to be watched.
    general.extend(changes(plan).map(|change| change.path.display().to_string()));
    for change in changes(plan) {
        let (before, after) = (text(&change.before), text(&change.after));
        let mut names = general.clone();
        names.extend(inner(&general, after));
        let diff = TextDiff::from_lines(before, after);
        let of = |tag: ChangeTag| -> Vec<&str> {
            let some = diff.iter_all_changes().filter(|one| one.tag() == tag).map(|one| one.value());
            some.map(|line| line.trim_end_matches(['\n', '\r'])).collect()
        };
        let (removed, added) = (of(ChangeTag::Delete), of(ChangeTag::Insert));
        for (lines, others) in [(&removed, &added), (&added, &removed)] {
            for line in lines {
                let named = names.iter().any(|name| line.contains(name.as_str()));
                // A comma, an end of line or a brace moves when a neighbour comes or goes.
                let bare = |line: &str| line.trim_end_matches([',', '}']).trim_end().to_owned();
                let moved = others.iter().any(|other| bare(other) == bare(line));
                // A line that holds several keys changes as a whole.
                let shared = removed.len() == added.len() && others.iter().any(|o| names.iter().any(|n| o.contains(n)));
                if !named && !moved && !shared && !frame(&change.path, line) {
                    return Err(format!("{}: a line of someone else's changes: `{line}`", change.path.display()));
                }
            }
        }
    }
    Ok(())
}

fn names(entry: &Entry, facts: &Facts) -> Vec<String> {
    let mut names = Vec::new();
    for edit in &entry.remediation.edits {
        match edit {
            Edit::DaemonSetting { key, .. } | Edit::DaemonSettingRemove { key } => {
                names.push(format!("\"{key}\""));
                if key == "log-driver" {
                    names.push("\"log-opts\"".into());
                }
                names.extend(keys::find(key).into_iter().flat_map(|key| key.flags).map(|flag| (*flag).to_owned()));
            }
            Edit::AuditWatch { object, .. } | Edit::FileAccess { object, .. } => {
                for located in facts.objects.get(object).into_iter().flatten().flatten() {
                    names.push(located.path.display().to_string());
                    names.extend(located.aliases.iter().map(|alias| alias.display().to_string()));
                    names.extend(located.path.parent().map(|dir| format!("d {} ", dir.display())));
                }
                names.push("SocketMode".into());
                names.push("SocketUser".into());
                names.push("SocketGroup".into());
            }
            Edit::Environment { name, .. } => names.push(name.clone()),
            Edit::AuditNeverTask => names.push("never,task".into()),
            Edit::Compose(edit) => names.extend(composed(*edit).iter().map(|key| (*key).to_owned())),
            Edit::Auditd | Edit::Container(_) | Edit::Swarm(_) => {}
        }
    }
    names
}

/// What a line of a compose file holds that the edit is about.
fn composed(edit: ComposeEdit) -> &'static [&'static str] {
    match edit {
        ComposeEdit::Apparmor => &["apparmor", "privileged", "security_opt"],
        ComposeEdit::Seccomp => &["seccomp", "privileged", "security_opt"],
        ComposeEdit::Selinux => &["label", "privileged", "security_opt"],
        ComposeEdit::NoNewPrivileges => &["no-new-privileges", "security_opt"],
        ComposeEdit::Capabilities | ComposeEdit::Capability(_) => &["cap_", "NET_", "SYS_", "DAC_", "privileged"],
        ComposeEdit::Privileged => &["privileged", "cap_", "NET_", "ALL"],
        ComposeEdit::CgroupParent => &["cgroup_parent"],
        ComposeEdit::Cpus => &["cpus"],
        ComposeEdit::Memory => &["mem_limit"],
        ComposeEdit::PidsLimit => &["pids_limit"],
        ComposeEdit::RestartPolicy => &["restart"],
        ComposeEdit::DefaultBridge => &["network_mode"],
        ComposeEdit::HostNamespace(_) => &["network_mode", "pid", "ipc", "uts", "userns_mode"],
        ComposeEdit::Devices => &["devices", "/dev/", "privileged"],
        ComposeEdit::Healthcheck => &["healthcheck", "test", "CMD", "interval", "timeout", "retries"],
        ComposeEdit::PrivateMounts | ComposeEdit::ReadOnlyMounts => &[":/", "read_only", "propagation"],
        ComposeEdit::Ports => &[":80", "host_ip"],
        ComposeEdit::ReadOnlyRoot => &["read_only", "tmpfs", "/tmp", "/run"],
        ComposeEdit::User => &["user"],
    }
}

/// Keys of the objects that are written as values, `"nofile"` in `default-ulimits`.
fn inner(names: &BTreeSet<String>, after: &str) -> Vec<String> {
    fn collect(value: &Value, into: &mut Vec<String>) {
        for (key, value) in value.as_object().into_iter().flatten() {
            into.push(format!("\"{key}\""));
            collect(value, into);
        }
    }
    let Ok(Value::Object(all)) = serde_json::from_str(after.trim_start_matches('\u{feff}')) else { return Vec::new() };
    let mut found = Vec::new();
    for (_, value) in all.iter().filter(|(key, _)| names.contains(&format!("\"{key}\""))) {
        collect(value, &mut found);
    }
    found
}

/// What a new file of ours, or a new object, begins and ends with.
fn frame(path: &Path, line: &str) -> bool {
    let own = path.to_string_lossy().contains("seaworthy");
    let trimmed = line.trim().trim_start_matches('\u{feff}');
    matches!(trimmed, "" | "{" | "}" | "}," | "{}")
        || own && (trimmed.starts_with(['#', '[']) || trimmed == "ExecStart=")
}

/// A key outside dockerd's reload set says that it restarts, and does; one inside says that it reloads.
pub(crate) fn disruption(plan: &Plan, host: &FakeHost) -> Checked {
    let keys: Vec<&str> = plan
        .parts
        .iter()
        .filter_map(|part| match &part.undo {
            Undo::DaemonKey { key, .. } => Some(key.as_str()),
            _ => None,
        })
        .collect();
    if keys.is_empty() {
        return Ok(());
    }
    let restarts = plan.steps.iter().any(|step| step.act == Act::RestartDocker);
    // dockerd would reload authorization plugins too, but exits when one does not answer: ours restarts for them.
    let reloads = |key: &&str| RELOADABLE.contains(key) && *key != "authorization-plugins";
    let needs = !keys.iter().all(reloads);
    let wanted = if needs { Disruption::RestartDaemon } else { Disruption::Reload };
    let runs = host.docker.active == "active";
    if plan.disruption != wanted || restarts != (needs && runs) {
        return Err(format!("{keys:?}: says {:?}, restarts: {restarts}, but it is {wanted:?}", plan.disruption));
    }
    Ok(())
}
