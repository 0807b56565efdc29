//! Turns one check's remediation into changes of the draft.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::compose;
use super::draft::Draft;
use super::edit::{daemon_json, drop_in, environment, flags, rules_file};
use super::proposal::{self, proposals};
use crate::audit::{Finding, Verdict};
use crate::catalog::{Edit, Entry, Object};
use crate::error::{Failure, Result};
use crate::facts::audit_rules::{self, OWN_RULES, OWN_TMPFILES, PLAIN_RULES};
use crate::facts::{Argument, Facts, Located, Origin, Place, keys};
use crate::host::{Command, FileKind, Host, path};
use crate::policy::Policy;

/// Where a flag of a vendor unit is overridden, when that was accepted.
pub(super) const OWN_DROP_IN: &str = "/etc/systemd/system/docker.service.d/50-seaworthy.conf";

/// Everything that edits need to know.
pub(super) struct Context<'a> {
    pub(super) base: &'a dyn Host,
    pub(super) facts: &'a Facts,
    pub(super) policy: &'a Policy,
}

/// What a remediation needs besides files.
#[derive(Clone, Debug, Default)]
pub(super) struct Effects {
    /// Commands that come before all files: packages, units of auditd.
    pub(super) first: Vec<Command>,
}

/// Applies every edit of a check to the draft. `findings`: those of this check that are to be fixed.
pub(super) fn apply(context: &Context<'_>, draft: &mut Draft, entry: &Entry, findings: &[&Finding]) -> Result<Effects> {
    let mut effects = Effects::default();
    for edit in &entry.remediation.edits {
        match edit {
            Edit::DaemonSetting { key, value } => {
                let value = value.as_ref().map(|value| kept(context.policy, context.facts, key, value));
                let value = value.or_else(|| context.policy.value(key));
                if let Some(value) = value {
                    set(context, draft, &entry.id, key, Some(&value))?;
                }
                // A driver's options mean nothing to another driver: where the site gives them, they come with it.
                if key == "log-driver"
                    && let Some(options) = context.policy.value("log-opts")
                {
                    set(context, draft, &entry.id, "log-opts", Some(&options))?;
                }
            }
            Edit::DaemonSettingRemove { key } => set(context, draft, &entry.id, key, None)?,
            Edit::AuditWatch { object, perm } => watch(context, draft, entry, object, perm, &mut effects)?,
            Edit::FileAccess { object, owner, group, mode } => {
                let ids = (owner.as_deref(), group.as_deref());
                access(context, draft, entry, findings, object, ids, mode.as_deref())?;
            }
            Edit::Environment { name, value } => {
                let file = Path::new("/etc/environment");
                let file = path::resolve_new(context.base, file).unwrap_or_else(|_| file.to_owned());
                let old = draft.text(context.base, &file)?.unwrap_or_default();
                let new = environment::set(&old, name, value)?;
                draft.lines(&entry.id, &file, &old, &new);
                draft.write(context.base, &entry.id, &file, 0o644, new)?;
            }
            Edit::Auditd => effects.first.extend(auditd(context)),
            Edit::AuditNeverTask => never_task(context, draft, &entry.id)?,
            Edit::Container(_) | Edit::Swarm(_) => {
                let all = proposals(context.base, context.facts, context.policy, entry, findings);
                proposal::take_up(context.base, context.facts, draft, entry, all);
            }
            Edit::Compose(_) => {
                let all = compose::writings(context.facts, context.policy, entry, findings);
                compose::take_up(context.base, context.facts, draft, &entry.id, all);
            }
        }
    }
    Ok(effects)
}

/// The catalogue's value, with what the site keeps of the setting as it is.
pub(super) fn kept(policy: &Policy, facts: &Facts, key: &str, value: &Value) -> Value {
    policy.registries.kept(key, value, &facts.daemon.setting(key).next.unwrap_or_default())
}

/// Gives a daemon setting a value (`None`: takes it away) where it is set now.
fn set(context: &Context<'_>, draft: &mut Draft, check: &str, key: &str, value: Option<&Value>) -> Result<()> {
    let setting = context.facts.daemon.setting(key);
    let good = setting.next.as_ref().ok() == value && value.is_some();
    match &setting.origin {
        Origin::Flag(place) => {
            if !good {
                set_flag(context, draft, check, key, value, place)?;
            }
            // In both places the next start fails, whatever the values: the flag alone stays.
            if setting.conflict { set_key(context, draft, check, key, None) } else { Ok(()) }
        }
        Origin::Default if value.is_none() => Ok(()),
        Origin::Default | Origin::File if good => Ok(()),
        Origin::Default | Origin::File => set_key(context, draft, check, key, value),
    }
}

/// Gives a key of daemon.json a value, or takes it away.
fn set_key(context: &Context<'_>, draft: &mut Draft, check: &str, key: &str, value: Option<&Value>) -> Result<()> {
    let file = context.facts.daemon.config_real_path.clone();
    let old = draft.text(context.base, &file)?.unwrap_or_default();
    let broken = |e: daemon_json::ReadError| {
        Failure::new(format!("{} cannot be edited", file.display())).because(e).host("unchanged")
    };
    let before = daemon_json::read(&old).map_err(broken)?.get(key).cloned();
    let new = match value {
        Some(value) => daemon_json::set(&old, key, value).map_err(broken)?,
        None => daemon_json::remove(&old, key).map_err(broken)?,
    };
    if before.as_ref() != value {
        draft.key(check, &file, key, before);
    }
    draft.write(context.base, check, &file, 0o644, new)
}

fn set_flag(
    context: &Context<'_>,
    draft: &mut Draft,
    check: &str,
    key: &str,
    value: Option<&Value>,
    place: &Place,
) -> Result<()> {
    let Some(known) = keys::find(key) else { return Ok(()) };
    let text = match value {
        Some(Value::String(text)) => Some(text.clone()),
        // A flag that repeats says nothing by not being there.
        Some(Value::Array(all)) if all.is_empty() => None,
        Some(other) => Some(other.to_string()),
        None => None,
    };
    let boolean = known.shape == keys::Shape::Bool;
    if place.vendor {
        return override_vendor(context, draft, check, known, text.as_deref(), place);
    }
    let file = path::resolve(context.base, &place.file).unwrap_or_else(|_| place.file.clone());
    let old = draft.text(context.base, &file)?.unwrap_or_default();
    let new = flags::edit_file(&old, place.line, known.flags, boolean, text.as_deref()).ok_or_else(|| {
        let what = format!("{}:{}: the flag for {key} cannot be edited", place.file.display(), place.line);
        Failure::new(what).host("unchanged").hint(format!("change it by hand, or leave it out with --skip {check}"))
    })?;
    draft.lines(check, &file, &old, &new);
    draft.write(context.base, check, &file, 0o644, new)
}

/// A vendor unit is never edited: its command line is copied into a drop-in of ours, with this flag changed.
fn override_vendor(
    context: &Context<'_>,
    draft: &mut Draft,
    check: &str,
    key: &keys::Key,
    value: Option<&str>,
    place: &Place,
) -> Result<()> {
    let file = Path::new(OWN_DROP_IN);
    let old = draft.text(context.base, file)?;
    let command = match exec_start(&draft.text(context.base, &place.file)?.unwrap_or_default(), place.line) {
        Some(command) => command,
        None => rebuilt(context.facts.daemon.next_argv.as_deref().unwrap_or_default()),
    };
    let full = old.clone().unwrap_or_else(|| format!("[Service]\nExecStart=\nExecStart={command}\n"));
    let at =
        full.lines().position(|l| l.starts_with("ExecStart=") && l.len() > "ExecStart=".len()).map_or(0, |i| i + 1);
    let boolean = key.shape == keys::Shape::Bool;
    let new = flags::edit_file(&full, at, key.flags, boolean, value)
        .ok_or_else(|| Failure::new(format!("{OWN_DROP_IN}: the flag for {} cannot be edited", key.name)))?;
    draft.lines(check, file, old.as_deref().unwrap_or_default(), &new);
    draft.write(context.base, check, file, 0o644, new)
}

/// The command of the `ExecStart=` at a line, as it is written: variables stay, those that are empty today too.
fn exec_start(unit: &str, line: usize) -> Option<String> {
    let mut lines = unit.lines().skip(line.checked_sub(1)?);
    let mut command = lines.next()?.trim_start().strip_prefix("ExecStart=")?.to_owned();
    while let Some(body) = command.strip_suffix('\\') {
        let next = lines.by_ref().find(|line| !line.trim_start().starts_with(['#', ';']))?;
        command = format!("{} {}", body.trim_end(), next.trim_start());
    }
    Some(command)
}

/// The command line put together again, where a variable of the unit holds the flag.
fn rebuilt(argv: &[Argument]) -> String {
    let mut words: Vec<String> = argv.iter().filter(|a| a.place.variable.is_none()).map(|a| quoted(&a.text)).collect();
    // Arguments from environment files keep coming from there: the variables are named again.
    let mut variables: Vec<String> = argv.iter().filter_map(|a| a.place.variable.clone()).collect();
    variables.dedup();
    words.extend(variables.iter().map(|v| format!("${v}")));
    words.join(" ")
}

fn quoted(word: &str) -> String {
    if word.contains([' ', '\t']) { format!("\"{word}\"") } else { word.to_owned() }
}

fn watch(
    context: &Context<'_>,
    draft: &mut Draft,
    entry: &Entry,
    object: &Object,
    perm: &str,
    effects: &mut Effects,
) -> Result<()> {
    let facts = context.facts;
    if matches!(facts.audit.version, Ok(None)) {
        effects.first.extend(auditd(context));
    }
    let located: &[Located] = match facts.objects.get(object) {
        Some(Ok(located)) => located,
        _ => &[],
    };
    let rules = facts.audit.files.as_deref().unwrap_or_default();
    let names = located.iter().flat_map(|one| std::iter::once(&one.path).chain(&one.aliases));
    let covered = |name: &Path| rules.iter().any(|r| r.rule.covers(&name.display().to_string(), perm));
    let missing: Vec<&PathBuf> = names.filter(|n| !covered(n)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let texts: Vec<(String, String)> = missing.iter().map(|n| (n.display().to_string(), perm.to_owned())).collect();
    let pairs: Vec<(&str, &str)> = texts.iter().map(|(p, x)| (p.as_str(), x.as_str())).collect();
    // Where the package is still to come, it brings rules.d with it (audit 2.3 and later).
    let own = facts.audit.rules_d || matches!(facts.audit.version, Ok(None));
    let file = Path::new(if own { OWN_RULES } else { PLAIN_RULES });
    let old = draft.text(context.base, file)?;
    let before = old.clone().unwrap_or_default();
    let new = if own {
        rules_file::add_watches(old.as_deref(), &pairs)?
    } else {
        rules_file::append_to_plain(old.as_deref(), &pairs)?
    };
    draft.lines(&entry.id, file, &before, &new);
    draft.write(context.base, &entry.id, file, 0o640, new)?;
    keep_parents(context, draft, &entry.id, &missing)
}

/// One rule whose parent directory is missing stops all later ones at the next boot, and /run is empty then: the
/// parent is made before auditd starts, by a tmpfiles.d entry with today's owner and mode.
fn keep_parents(context: &Context<'_>, draft: &mut Draft, check: &str, watched: &[&PathBuf]) -> Result<()> {
    let mut entries = Vec::new();
    for name in watched.iter().filter(|n| n.starts_with("/run")) {
        // A directory that is watched itself is made as well: else it would be watched as a single inode.
        let is_dir = path::stat_follow(context.base, name).is_ok_and(|(_, s)| s.kind == FileKind::Dir);
        let dir = if is_dir { Some(name.as_path()) } else { name.parent() };
        let Some(dir) = dir.filter(|d| *d != Path::new("/run")) else { continue };
        if let Ok((real, stat)) = path::stat_follow(context.base, dir) {
            // A directory service may call a group `domain users`, which would be two fields.
            let word = |name: &String| {
                name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
                    && name.chars().all(|c| c.is_ascii_alphanumeric() || "_-.".contains(c))
            };
            let owner = |id: u32, name: Option<String>| name.filter(word).unwrap_or_else(|| id.to_string());
            let user = owner(stat.uid, context.base.user_name(stat.uid));
            let group = owner(stat.gid, context.base.group_name(stat.gid));
            entries.push(rules_file::TmpDir { dir: real.display().to_string(), mode: stat.mode, user, group });
        }
    }
    if entries.is_empty() {
        return Ok(());
    }
    let file = Path::new(OWN_TMPFILES);
    let old = draft.text(context.base, file)?;
    let new = rules_file::tmpfiles(old.as_deref(), &entries)?;
    draft.lines(check, file, old.as_deref().unwrap_or_default(), &new);
    draft.write(context.base, check, file, 0o644, new)
}

fn access(
    context: &Context<'_>,
    draft: &mut Draft,
    entry: &Entry,
    findings: &[&Finding],
    object: &Object,
    (owner, group): (Option<&str>, Option<&str>),
    mode: Option<&str>,
) -> Result<()> {
    let Some(Ok(located)) = context.facts.objects.get(object) else { return Ok(()) };
    let max = mode.and_then(|m| u32::from_str_radix(m, 8).ok());
    let names = &context.facts.names;
    for one in located {
        let subject = format!("path:{}", one.path.display());
        if !findings.iter().any(|f| f.verdict == Verdict::Fail && f.subject == subject) {
            continue;
        }
        let ids = owner.map(|owner| {
            let uid = names.user_ids.get(owner).copied().unwrap_or(one.stat.uid);
            let gid = group.map_or(one.stat.gid, |g| names.group_ids.get(g).copied().unwrap_or(0));
            (uid, gid)
        });
        draft.access(context.base, &entry.id, &one.path, ids, max)?;
    }
    if *object == Object::Named("docker-socket".into()) {
        keep_socket(context, draft, &entry.id, owner.is_some(), mode)?;
    }
    Ok(())
}

/// The socket is made anew by docker.socket at each start: what is changed on it now holds only when the unit says so
/// too. The running socket is changed in place, so nothing restarts.
fn keep_socket(context: &Context<'_>, draft: &mut Draft, check: &str, owner: bool, mode: Option<&str>) -> Result<()> {
    let Some(unit) = context.facts.unit("docker.socket") else { return Ok(()) };
    let property = |key: &str| unit.properties.get(key).cloned().unwrap_or_default();
    let max = mode.and_then(|m| u32::from_str_radix(m, 8).ok());
    let loose = |max: u32| u32::from_str_radix(&property("SocketMode"), 8).is_ok_and(|now| now & !max != 0);
    let wrong_mode = max.is_some_and(loose);
    let user = property("SocketUser");
    let wrong_owner =
        owner && !matches!((user.as_str(), property("SocketGroup").as_str()), ("" | "root", "" | "root" | "docker"));
    if !wrong_mode && !wrong_owner {
        return Ok(());
    }
    let file = Path::new(drop_in::SOCKET_PATH);
    let old = draft.text(context.base, file)?;
    let new_mode = max.filter(|_| wrong_mode);
    let new_owner = wrong_owner.then_some(("root", "docker"));
    let wanted = drop_in::Socket { user: new_owner.map(|o| o.0), group: new_owner.map(|o| o.1), mode: new_mode };
    let new = drop_in::socket(old.as_deref(), wanted);
    draft.lines(check, file, old.as_deref().unwrap_or_default(), &new);
    draft.write(context.base, check, file, 0o644, new)
}

/// Takes the lines out that switch auditing off.
fn never_task(context: &Context<'_>, draft: &mut Draft, check: &str) -> Result<()> {
    let rules = context.facts.audit.files.as_deref().unwrap_or_default();
    for rule in rules.iter().filter(|r| r.rule.is_never_task()) {
        let old = draft.text(context.base, &rule.file)?.unwrap_or_default();
        let kept = |line: &&str| !audit_rules::parse(line).is_some_and(|r| r.is_never_task());
        let new: String = old.split_inclusive('\n').filter(kept).collect();
        draft.lines(check, &rule.file, &old, &new);
        draft.write(context.base, check, &rule.file, 0o640, new)?;
    }
    Ok(())
}

/// Package managers, the first one present is used. Options: no questions; wait for another installation to end.
const INSTALLERS: &[(&str, &[&str])] = &[
    ("/usr/bin/apt-get", &["-y", "--no-install-recommends", "-o", "DPkg::Lock::Timeout=300", "install", "auditd"]),
    ("/usr/bin/dnf", &["-y", "install", "audit"]),
    ("/usr/bin/zypper", &["--non-interactive", "install", "audit"]),
    ("/sbin/apk", &["add", "audit"]),
];

/// The package manager of this host, and its words for installing auditd.
fn installer(host: &dyn Host) -> Option<&'static (&'static str, &'static [&'static str])> {
    INSTALLERS.iter().find(|(program, _)| path::stat_follow(host, Path::new(program)).is_ok())
}

/// Whether a check's edits can be made here. Watches need auditd, and nothing installs it where nothing is run (an
/// offline tree) or where the package manager is not one of ours; its service needs systemd.
pub(super) fn possible(host: &dyn Host, facts: &Facts, entry: &Entry) -> bool {
    let missing = matches!(facts.audit.version, Ok(None));
    let installable = || !facts.scope.offline && installer(host).is_some();
    entry.remediation.edits.iter().all(|edit| match edit {
        Edit::AuditWatch { .. } => !missing || installable(),
        Edit::Auditd => {
            if missing {
                installable()
            } else {
                facts.scope.systemd
            }
        }
        Edit::Container(_) | Edit::Swarm(_) => !facts.scope.offline && facts.daemon.info.is_ok(),
        Edit::Compose(_) => !facts.compose.texts.is_empty() || keeps_live(entry),
        _ => true,
    })
}

/// Whether its compose edits only write down what it changes in running containers.
fn keeps_live(entry: &Entry) -> bool {
    entry.remediation.edits.iter().any(|edit| matches!(edit, Edit::Container(_)))
}

/// What brings auditd up: install, enable, start, whichever is missing.
fn auditd(context: &Context<'_>) -> Vec<Command> {
    let mut commands = Vec::new();
    if matches!(context.facts.audit.version, Ok(None)) {
        if let Some((program, words)) = installer(context.base) {
            let argv = std::iter::once(program).chain(words.iter()).map(|w| (*w).to_owned()).collect();
            commands.push(Command::Install { argv });
            // Debian's package enables and starts the service by itself.
            if context.facts.scope.systemd && *program != INSTALLERS[0].0 {
                commands.extend([Command::Enable, Command::Start].map(|make| make("auditd.service".into())));
            }
        }
        return commands;
    }
    if let Some(unit) = context.facts.unit("auditd.service") {
        if unit.enabled == "disabled" {
            commands.push(Command::Enable("auditd.service".into()));
        }
        if unit.active != "active" && unit.load != "masked" && !context.facts.scope.offline {
            commands.push(Command::Start("auditd.service".into()));
        }
    }
    commands
}
