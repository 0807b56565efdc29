//! Loading audit rules, judged by the kernel's own list: augenrules says 0 when nothing was loaded.

use std::io::ErrorKind;
use std::path::Path;
use std::time::Duration;

use super::service::command;
use crate::error::{Failure, Result};
use crate::host::{Command, Host, HostMut, Query};

const RULES_D: &str = "/etc/audit/rules.d";
/// How long the kernel's count of lost records is watched after the rules are loaded.
const WATCHED: Duration = Duration::from_secs(3);
/// All of them in one file, in the order in which they are loaded.
const GENERATED: &str = "/etc/audit/audit.rules";

/// The rules in the kernel, as `auditctl -l` lists them.
pub(super) fn kernel(host: &dyn Host) -> Result<Vec<String>> {
    let answer = host
        .ask(&Query::AuditRules)
        .map_err(|error| Failure::new("the kernel's audit rules cannot be read").because(error))?;
    if !answer.ok() {
        return Err(Failure::new("`auditctl -l` failed").because(answer.stderr.trim()));
    }
    let fold = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
    Ok(answer.stdout.lines().map(fold).filter(|line| line.starts_with('-')).collect())
}

/// A number of `auditctl -s`.
fn status(host: &dyn Host, name: &str) -> Option<u64> {
    let answer = host.ask(&Query::AuditStatus).ok()?;
    answer.stdout.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.trim().parse().ok())
}

/// 0 off, 1 on, 2 immutable.
fn enabled(host: &dyn Host) -> Option<u64> {
    status(host, "enabled")
}

/// Whether the kernel takes no change of its rules until the next boot.
pub(super) fn locked(host: &dyn Host) -> bool {
    enabled(host) == Some(2)
}

/// Path and permissions of a rule that is a watch, in either spelling.
fn watch(rule: &str) -> Option<(String, String)> {
    let words: Vec<_> = rule.split_whitespace().collect();
    let after = |flag: &str| words.iter().position(|word| *word == flag).and_then(|at| words.get(at + 1)).copied();
    let field = |name: &str| words.iter().find_map(|word| word.strip_prefix(name));
    let path = after("-w").or_else(|| field("path=")).or_else(|| field("dir="))?;
    let perm = after("-p").or_else(|| field("perm=")).unwrap_or("rwxa");
    let path = if path.len() > 1 { path.trim_end_matches('/') } else { path };
    Some((path.to_owned(), perm.to_owned()))
}

/// `PATH PERM` of a plan.
fn expected(text: &str) -> Option<(String, String)> {
    let (path, perm) = text.rsplit_once(' ')?;
    Some((path.trim_end_matches('/').to_owned(), perm.to_owned()))
}

fn holds(rules: &[String], (path, perm): &(String, String)) -> bool {
    rules.iter().filter_map(|rule| watch(rule)).any(|(at, has)| at == *path && perm.chars().all(|p| has.contains(p)))
}

fn missing(rules: &[String], expect: &[String]) -> Vec<(String, String)> {
    expect.iter().filter_map(|text| expected(text)).filter(|wanted| !holds(rules, wanted)).collect()
}

/// Rules of `before` that are not in `after`, but for watches of paths that `expect` speaks of.
fn lost(before: &[String], after: &[String], expect: &[String]) -> Vec<String> {
    let ours: Vec<_> = expect.iter().filter_map(|text| expected(text)).map(|(path, _)| path).collect();
    let own = |rule: &&String| watch(rule).is_some_and(|(path, _)| ours.contains(&path));
    before.iter().filter(|rule| !after.contains(rule)).filter(|rule| !own(rule)).cloned().collect()
}

/// How the loading went.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Loaded {
    /// Everything expected is in the kernel.
    InForce,
    /// Written, but the kernel takes rules only after the next boot.
    NextBoot(String),
}

/// Loads the rules; all of `expect` has to be in the kernel afterwards, none of the earlier rules lost, and no record
/// either: rules that bring more than auditd can write take other people's records away, and where the site set `-f 2`
/// the kernel panics at the first one that is lost.
pub(super) fn load(host: &mut dyn HostMut, expect: &[String], notes: &mut Vec<String>) -> Result<Loaded> {
    let state = enabled(host.as_host());
    if state == Some(2) {
        return Ok(Loaded::NextBoot("the kernel's audit rules are immutable until the next boot".into()));
    }
    let before = kernel(host.as_host())?;
    let lost_before = status(host.as_host(), "lost");
    let failure = reload(host)?;
    let mut after = kernel(host.as_host())?;
    if !clears(host.as_host()) {
        // Without a `-D` loading stops at the first rule that the kernel has already, before it reaches ours.
        for (path, perm) in missing(&after, expect) {
            let _ = command(host, &Command::AddAuditRule(format!("-w {path} -p {perm} -k docker")));
        }
    }
    for rule in lost(&before, &after, expect) {
        // `-D` takes rules that someone loaded by hand and that are in no file.
        notes.push(format!("put back an audit rule that the loading dropped: {rule}"));
        command(host, &Command::AddAuditRule(rule))?;
    }
    after = kernel(host.as_host())?;
    let missing = missing(&after, expect);
    if missing.is_empty() {
        return keeps_up(host, lost_before).map(|()| Loaded::InForce);
    }
    if state == Some(0) {
        return Ok(Loaded::NextBoot("the kernel's audit is switched off".into()));
    }
    let names: Vec<_> = missing.iter().map(|(path, perm)| format!("{path} ({perm})")).collect();
    let mut error = Failure::new(format!("audit rules are not in the kernel after loading: {}", names.join(", ")));
    if let Some(cause) = failure.filter(|cause| !cause.is_empty()) {
        error = error.because(cause);
    }
    // auditctl stops at the first rule that it cannot load, and says so to the system log only.
    error = error.because(match after.last() {
        Some(rule) => format!("{GENERATED}: loading stopped behind `{rule}`"),
        None => format!("{GENERATED}: its first rule does not load"),
    });
    Err(error.hint("run `augenrules --load` and `auditctl -l`"))
}

/// Fails when the kernel lost records since `before`, or loses some while it is watched.
fn keeps_up(host: &mut dyn HostMut, before: Option<u64>) -> Result<()> {
    let Some(before) = before else { return Ok(()) };
    host.sleep(WATCHED);
    match status(host.as_host(), "lost").map(|now| now.saturating_sub(before)) {
        None | Some(0) => Ok(()),
        Some(lost) => {
            let seconds = WATCHED.as_secs();
            let message = format!("the kernel lost {lost} audit records within {seconds} s of loading the audit rules");
            let error =
                Failure::new(message).because("more is recorded than auditd writes; see backlog in `auditctl -s`");
            Err(error.hint("run `seaworthy apply --skip 'audit.*'`"))
        }
    }
}

/// Runs augenrules where there is one; its own verdict is only a cause, the kernel's list decides.
fn reload(host: &mut dyn HostMut) -> Result<Option<String>> {
    match host.run(&Command::LoadAuditRules) {
        Ok(answer) if answer.ok() => Ok(None),
        Ok(answer) => Ok(Some(answer.stderr.trim().to_owned())),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Some("augenrules is not installed".into())),
        Err(error) => Err(Failure::new(format!("`{}` cannot be run", Command::LoadAuditRules)).because(error)),
    }
}

/// Lines of all files in rules.d.
fn filed(host: &dyn Host) -> Vec<String> {
    let names = host.list(Path::new(RULES_D)).unwrap_or_default();
    let read = |name: &String| host.read(&Path::new(RULES_D).join(name)).ok();
    let texts =
        names.iter().filter(|name| Path::new(name).extension().is_some_and(|end| end == "rules")).filter_map(read);
    texts.flat_map(|text| String::from_utf8_lossy(&text).lines().map(str::to_owned).collect::<Vec<_>>()).collect()
}

/// Whether loading starts from an empty list.
fn clears(host: &dyn Host) -> bool {
    filed(host).iter().any(|line| line.trim() == "-D")
}

/// Loads the rules after our file is as before. `earlier`: rules that were there before the run; with `restore` they
/// have to be there again, beside those that are there now. Answers with what could not be put right.
pub(super) fn unload(
    host: &mut dyn HostMut,
    expect: &[String],
    earlier: &[String],
    restore: bool,
) -> Result<Vec<String>> {
    if locked(host.as_host()) {
        return Ok(vec!["the kernel keeps the audit rules until the next boot".into()]);
    }
    let mut wanted = kernel(host.as_host())?;
    let again: Vec<_> = earlier.iter().filter(|rule| restore && !wanted.contains(rule)).cloned().collect();
    wanted.extend(again);
    let ours: Vec<_> = expect.iter().filter_map(|text| expected(text)).map(|(path, _)| path).collect();
    let own = |rule: &String| !earlier.contains(rule) && watch(rule).is_some_and(|(path, _)| ours.contains(&path));
    wanted.retain(|rule| !own(rule));
    reload(host)?;
    let files = filed(host.as_host());
    for rule in kernel(host.as_host())?.into_iter().filter(own) {
        let path = watch(&rule).map(|(path, _)| path).unwrap_or_default();
        if !files.iter().filter_map(|line| watch(line)).any(|(at, _)| at == path) {
            command(host, &Command::RemoveAuditRule(rule))?;
        }
    }
    let now = kernel(host.as_host())?;
    for rule in wanted.iter().filter(|rule| !now.contains(rule)) {
        command(host, &Command::AddAuditRule(rule.clone()))?;
    }
    Ok(Vec::new())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_spellings_are_one_watch() {
        for rule in
            ["-w /etc/docker/ -p wa -k docker", "-a always,exit -S all -F dir=/etc/docker -F perm=wa -F key=docker"]
        {
            assert_eq!(watch(rule), Some(("/etc/docker".into(), "wa".into())), "{rule}");
        }
        assert_eq!(watch("-a never,task"), None);
    }

    #[test]
    fn more_permissions_hold_fewer() {
        let rules = vec!["-w /usr/bin/docker -p rwxa -k x".to_owned()];
        assert!(missing(&rules, &["/usr/bin/docker wa".into()]).is_empty());
        assert_eq!(missing(&["-w /usr/bin/docker -p wa".into()], &["/usr/bin/docker wax".into()]).len(), 1);
    }
}
