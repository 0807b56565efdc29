//! Before the first change: is the host what the plan was made on, and can every candidate be read by dockerd?

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::compose;
use super::image::{Image, look};
use super::io::write_new;
use super::live;
use super::replace::replaceable;
use super::service::{command, systemd};
use super::store::Run;
use crate::error::{Failure, Result};
use crate::host::{Command, Host, HostMut};
use crate::plan::{Act, FileChange, FileState, Plan};

/// The file changes of a plan, in order.
pub(super) fn changes(plan: &Plan) -> impl Iterator<Item = &FileChange> {
    plan.steps.iter().filter_map(|step| match &step.act {
        Act::File(change) => Some(change),
        _ => None,
    })
}

/// Whether a change is about content, and not owner and mode alone.
pub(super) fn about_content(change: &FileChange) -> bool {
    let content = |state: &FileState| matches!(state, FileState::Present { content: Some(_), .. });
    let gone = change.after == FileState::Absent;
    content(&change.before) || content(&change.after) || gone
}

/// Compares every path with the plan.
///
/// # Errors
/// As `apply` refuses: the host is not the one that the plan was made on, or not as it was then.
pub fn unmoved(host: &dyn Host, plan: &Plan) -> Result<()> {
    drift(host, plan).map(|_| ())
}

/// Compares every path with the plan; answers with what each is now.
///
/// # Errors
/// Refuses, naming each path that differs, and each that must not be replaced.
pub(super) fn drift(host: &dyn Host, plan: &Plan) -> Result<BTreeMap<PathBuf, Image>> {
    same_machine(host, plan)?;
    let mut now = BTreeMap::new();
    let mut differ = Vec::new();
    for change in changes(plan) {
        sane(change)?;
        if now.contains_key(&change.path) {
            continue;
        }
        let found = look(host, &change.path, about_content(change)).map_err(|error| error.host("unchanged"))?;
        let planned = Image::planned(&change.before, &found);
        if !planned.covers(&found) {
            differ.push((change.path.clone(), planned, found.clone()));
        }
        if about_content(change) {
            replaceable(host, &change.path).map_err(|error| error.host("unchanged"))?;
        }
        now.insert(change.path.clone(), found);
    }
    let Some((path, _, _)) = differ.first() else {
        live::unmoved(host, plan)?;
        compose::unmoved(host, plan)?;
        return Ok(now);
    };
    let more = if differ.len() > 1 { format!(" and {} more", differ.len() - 1) } else { String::new() };
    let mut failure = Failure::refused(format!("{}{more} changed after the plan was made", path.display()));
    for (path, planned, found) in &differ {
        failure = failure.because(format!("{}: planned on {planned}, found {found}", path.display()));
    }
    Err(failure.host("unchanged").hint("run `seaworthy plan` and review the new diff"))
}

/// A plan is for the machine that it was made on.
fn same_machine(host: &dyn Host, plan: &Plan) -> Result<()> {
    let Some(planned) = &plan.fingerprint.machine_id else { return Ok(()) };
    let here = host.read(Path::new("/etc/machine-id")).unwrap_or_default();
    if String::from_utf8_lossy(&here).trim() == planned.trim() {
        return Ok(());
    }
    Err(Failure::refused("plan was made on another machine").host("unchanged").hint("run `seaworthy plan` here"))
}

/// Changes that no planner makes, but a plan file could hold.
fn sane(change: &FileChange) -> Result<()> {
    let path = &change.path;
    let plain = path.is_absolute() && path.components().all(|part| part != std::path::Component::ParentDir);
    let wrong = match (&change.before, &change.after) {
        _ if !plain => "is not a plain absolute path",
        (FileState::Absent, FileState::Present { dir: false, content: None, .. }) => "would be created without content",
        (FileState::Present { dir: true, .. }, FileState::Absent) => "is a directory and would be removed",
        (FileState::Present { dir: a, .. }, FileState::Present { dir: b, .. }) if a != b => "would change its kind",
        (FileState::Present { content: None, .. }, FileState::Present { content: Some(_), .. }) => {
            "would be overwritten without having been read"
        }
        _ => return Ok(()),
    };
    Err(Failure::refused(format!("plan: {} {wrong}", path.display())).host("unchanged"))
}

/// Lets dockerd read a candidate of daemon.json that is durable at `staged`. Passing is necessary, not sufficient.
///
/// With `userns-remap: default` even `--validate` creates the user dockremap (26.1.5): dockerd never sees that key
/// here, and gets a copy without it in the directory of the run.
pub(super) fn validate(host: &mut dyn HostMut, run: &Run, plan: &Plan, text: &str, staged: &Path) -> Result<()> {
    let Some(argv) = &plan.target.validate_argv else { return Ok(()) };
    if host.offline() {
        return Ok(());
    }
    let without = without_userns(text)?;
    let mut file = staged.to_path_buf();
    if let Some(text) = &without {
        file = run.dir.join("candidate.json");
        if host.stat(&file).is_ok() {
            host.remove(&file).map_err(|error| Failure::new(format!("{}", file.display())).because(error))?;
        }
        write_new(host, &file, text.as_bytes())?;
    }
    let mut argv = flags(argv);
    argv.extend(["--validate".into(), "--config-file".into(), file.display().to_string()]);
    command(host, &Command::ValidateDaemon { argv }).map(|_| ()).map_err(|error| {
        let config = plan.target.config.as_deref().unwrap_or(staged);
        Failure { message: format!("{}: dockerd refuses the new content", config.display()), ..error }
    })
}

/// The text without `userns-remap`; `None` when it has no such key.
fn without_userns(text: &str) -> Result<Option<String>> {
    let bare = text.trim_start_matches('\u{feff}');
    if bare.trim().is_empty() {
        return Ok(None);
    }
    let mut value: Value =
        serde_json::from_str(bare).map_err(|error| Failure::new("daemon.json candidate").because(error))?;
    let Some(object) = value.as_object_mut() else { return Ok(None) };
    let before = object.len();
    object.retain(|key, _| !key.eq_ignore_ascii_case("userns-remap"));
    Ok((object.len() != before).then(|| value.to_string()))
}

/// The unit's command line without what names another file, and without userns-remap.
fn flags(argv: &[String]) -> Vec<String> {
    let mut kept = Vec::new();
    let mut words = argv.iter();
    while let Some(word) = words.next() {
        let name = word.split('=').next().unwrap_or(word).trim_start_matches('-');
        if !word.starts_with('-') || !matches!(name, "config-file" | "userns-remap" | "validate") {
            kept.push(word.clone());
        } else if !word.contains('=') && name != "validate" {
            words.next();
        }
    }
    kept
}

/// Validates every candidate of daemon.json before anything is changed.
pub(super) fn validate_all(host: &mut dyn HostMut, run: &Run, plan: &Plan) -> Result<()> {
    if plan.target.validate_argv.is_none() || !systemd(host.as_host()) {
        return Ok(());
    }
    for (number, change) in changes(plan).filter(|change| Some(&change.path) == plan.target.config.as_ref()).enumerate()
    {
        let FileState::Present { content: Some(after), .. } = &change.after else { continue };
        for (name, text) in [("interim", change.interim.as_ref()), ("after", Some(after))] {
            let Some(text) = text else { continue };
            let file = run.dir.join(format!("{name}-{number}.json"));
            write_new(host, &file, text.as_bytes())?;
            validate(host, run, plan, text, &file)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dockerd_never_sees_userns_remap() {
        let argv = ["/usr/sbin/dockerd", "-H", "fd://", "--userns-remap", "default", "--config-file=/x", "--icc=false"];
        let argv: Vec<_> = argv.iter().map(ToString::to_string).collect();
        assert_eq!(flags(&argv), ["/usr/sbin/dockerd", "-H", "fd://", "--icc=false"]);
        let text = "\u{feff}{\"icc\": false, \"Userns-Remap\": \"default\"}";
        assert_eq!(without_userns(text).unwrap().unwrap(), "{\"icc\":false}");
        assert_eq!(without_userns("{\"icc\": false}").unwrap(), None);
        assert!(without_userns("{\"icc\": false,}").is_err());
    }
}
