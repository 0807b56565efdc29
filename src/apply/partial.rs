//! Taking one check of a run back, where it shares files with others.

use std::path::Path;

use super::goal::{Goal, whole};
use super::image::{Image, look};
use super::io::At;
use super::journal::{Journal, Record};
use super::store::Run;
use crate::error::{Failure, Result};
use crate::host::Host;
use crate::plan::edit::daemon_json;
use crate::plan::{Act, FileChange, FileState, Part, Plan, Undo};

/// The goals of taking one check back.
pub(super) fn goals(host: &dyn Host, run: &Run, journal: &Journal, plan: &Plan, check: &str) -> Result<Vec<Goal>> {
    if plan.steps.iter().all(|step| step.checks.iter().all(|one| one != check)) {
        return Err(Failure::refused(format!("run {} has no check `{check}`", run.id)).host("unchanged"));
    }
    let gone: Vec<&str> = journal
        .records
        .iter()
        .filter_map(|record| match record {
            Record::RollbackDone { check: Some(check), .. } => Some(check.as_str()),
            _ => None,
        })
        .collect();
    let mut goals = Vec::new();
    for goal in whole(host, run, journal)? {
        let sharers = sharers(plan, &goal.path);
        if !sharers.contains(&check) {
            continue;
        }
        if sharers.iter().all(|one| *one == check || gone.contains(one)) {
            goals.push(goal);
        } else {
            goals.extend(share(host, plan, &goal, check, &gone)?);
        }
    }
    Ok(goals)
}

/// The checks that changed a path. A directory that the run made is needed by everything in it.
fn sharers<'a>(plan: &'a Plan, path: &Path) -> Vec<&'a str> {
    let made = made_dir(plan, path);
    let about = |act: &Act| match act {
        Act::File(change) => change.path == path || (made && change.path.starts_with(path)),
        Act::LiveRestoreFirst(at) => at == path,
        _ => false,
    };
    plan.steps.iter().filter(|step| about(&step.act)).flat_map(|step| step.checks.iter().map(String::as_str)).collect()
}

/// The path without the share of one check; `None` when there is none of it, as for a directory that others need.
fn share(host: &dyn Host, plan: &Plan, goal: &Goal, check: &str, gone: &[&str]) -> Result<Option<Goal>> {
    let parts: Vec<&Part> = plan.parts.iter().filter(|part| part.path == goal.path).collect();
    let (mine, others): (Vec<&Part>, Vec<&Part>) = parts.into_iter().partition(|part| part.check == check);
    let path = goal.path.clone();
    let cannot = |why: &str| {
        Failure::refused(format!("{}: the share of `{check}` cannot be taken back alone: {why}", path.display()))
            .host("unchanged")
    };
    let found = look(host, &path, goal.reads())?;
    if made_dir(plan, &path) {
        return Ok(None);
    }
    if mine.is_empty() {
        return Err(cannot("the plan does not say which it is"));
    }
    let Some(mut access) = found.access() else { return Err(cannot("the file is gone")) };
    let standing = |part: &&&Part| !gone.contains(&part.check.as_str());
    let content = mine.iter().any(|part| matches!(part.undo, Undo::DaemonKey { .. } | Undo::Lines { .. }));
    let bytes = if content || goal.bytes.is_some() { Some(host.read(&path).at("read", &path)?) } else { None };
    let mut text = String::from_utf8(bytes.clone().unwrap_or_default()).map_err(|_| cannot("it is not UTF-8"))?;
    for part in &mine {
        match &part.undo {
            Undo::DaemonKey { key, before } => {
                let needed = |part: &&Part| matches!(&part.undo, Undo::DaemonKey { key: other, .. } if other == key);
                if !others.iter().filter(standing).any(needed) {
                    let edited = match before {
                        Some(value) => daemon_json::set(&text, key, value),
                        None => daemon_json::remove(&text, key),
                    };
                    text = edited.map_err(|why| cannot(&why.to_string()))?;
                }
            }
            Undo::Lines { before, after } => {
                text = lines(&text, after, before).ok_or_else(|| cannot("its lines are no longer there"))?;
            }
            Undo::Owner { uid, gid } => (access.uid, access.gid) = (*uid, *gid),
            Undo::Mode { mode } => access.mode = *mode,
        }
    }
    let xattrs = host.xattrs(&path).at("read", &path)?;
    let kind = match found {
        Image::Present { kind, .. } => kind,
        Image::Absent => return Err(cannot("the file is gone")),
    };
    Ok(Some(match bytes {
        Some(_) => Goal {
            image: Image::file(access, text.as_bytes()),
            bytes: Some(text.into_bytes()),
            xattrs,
            path: path.clone(),
        },
        None => Goal { image: Image::present(kind, access, None), bytes: None, xattrs, path: path.clone() },
    }))
}

/// Replaces the one place that holds exactly `from`. `None` when there is none, or more than one.
fn lines(text: &str, from: &[String], to: &[String]) -> Option<String> {
    if from.is_empty() {
        return None;
    }
    let all: Vec<&str> = text.split_inclusive('\n').collect();
    let bare: Vec<&str> = all.iter().map(|line| line.trim_end_matches(['\n', '\r'])).collect();
    let mut places = bare.windows(from.len()).enumerate().filter(|(_, window)| *window == from);
    let (at, _) = places.next()?;
    if places.next().is_some() {
        return None;
    }
    let end = all[at + from.len() - 1];
    let end = &end[end.trim_end_matches(['\n', '\r']).len()..];
    let mut out: String = all[..at].concat();
    for line in to {
        out.push_str(line);
        out.push_str(if end.is_empty() { "\n" } else { end });
    }
    out.push_str(&all[at + from.len()..].concat());
    Some(out)
}

/// Watches that a rollback takes out of the kernel: all of the plan's, or those of one check.
pub(super) fn watches(plan: &Plan, check: Option<&str>) -> Vec<String> {
    let all = plan.steps.iter().filter_map(|step| match &step.act {
        Act::LoadAuditRules { expect } => Some((step, expect)),
        _ => None,
    });
    let Some(check) = check else { return all.flat_map(|(_, expect)| expect.clone()).collect() };
    let added = |path: &str| {
        plan.parts.iter().any(|part| match &part.undo {
            Undo::Lines { after, .. } if part.check == check => {
                after.iter().any(|line| line.split_whitespace().any(|word| word == path))
            }
            _ => false,
        })
    };
    all.flat_map(|(step, expect)| {
        let alone = step.checks.iter().all(|one| one == check);
        expect
            .iter()
            .filter(|text| alone || text.rsplit_once(' ').is_some_and(|(path, _)| added(path)))
            .cloned()
            .collect::<Vec<_>>()
    })
    .collect()
}

/// Whether the plan makes this directory.
pub(super) fn made_dir(plan: &Plan, path: &Path) -> bool {
    let makes = |change: &FileChange| {
        change.path == path
            && change.before == FileState::Absent
            && matches!(change.after, FileState::Present { dir: true, .. })
    };
    super::prepare::changes(plan).any(makes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_replaced_where_they_are_unique() {
        let owned = |lines: &[&str]| lines.iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(lines("a\nb\nc\n", &owned(&["b"]), &[]).unwrap(), "a\nc\n");
        assert_eq!(lines("a\r\nb\r\n", &owned(&["b"]), &owned(&["x", "y"])).unwrap(), "a\r\nx\r\ny\r\n");
        assert_eq!(lines("b\nb\n", &owned(&["b"]), &[]), None);
        assert_eq!(lines("a\n", &owned(&["b"]), &[]), None);
        assert_eq!(lines("a\n", &[], &owned(&["b"])), None);
    }
}
