//! The changes so far: what each path was and what it will be, and which check did what to it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde_json::Value;
use similar::DiffOp;

use super::change::{FileState, Part, Undo};
use super::live::LiveChange;
use crate::error::{Failure, Result};
use crate::facts::workload::ComposeOrigin;
use crate::host::{FileKind, Host, Overlay, OverlayFile, path};
use crate::mode;

/// One path before and after.
#[derive(Clone, Debug)]
pub(super) struct Target {
    pub(super) before: FileState,
    pub(super) after: FileState,
    /// A socket or another thing that has owner and mode, but no content of ours.
    pub(super) checks: BTreeSet<String>,
}

/// The changes so far.
#[derive(Clone, Debug, Default)]
pub(super) struct Draft {
    pub(super) targets: BTreeMap<PathBuf, Target>,
    pub(super) parts: Vec<Part>,
    pub(super) live: Vec<Live>,
    pub(super) composed: Vec<Composed>,
    /// Origins of which a file is changed, each project once.
    pub(super) projects: Vec<ComposeOrigin>,
}

/// A change of a container or of the swarm, for these checks.
#[derive(Clone, Debug)]
pub(super) struct Live {
    pub(super) change: LiveChange,
    pub(super) checks: BTreeSet<String>,
    /// What has to be said about it.
    pub(super) notes: Vec<String>,
}

/// A service whose compose file is changed, for these checks.
#[derive(Clone, Debug)]
pub(super) struct Composed {
    pub(super) origin: ComposeOrigin,
    pub(super) checks: BTreeSet<String>,
    /// The check and the name of each container that it is for.
    pub(super) containers: BTreeSet<(String, String)>,
}

impl Draft {
    /// The host as it will be.
    pub(super) fn overlay<'a>(&self, base: &'a dyn Host) -> Overlay<'a> {
        let mut overlay = Overlay::new(base);
        for (path, target) in &self.targets {
            if let FileState::Present { dir, mode, uid, gid, content } = &target.after {
                let file = OverlayFile { content: content.clone(), mode: *mode, uid: *uid, gid: *gid, dir: *dir };
                overlay.set(path.clone(), file);
            }
        }
        overlay
    }

    /// The content of a path as it will be; `None`: no such file.
    pub(super) fn text(&self, base: &dyn Host, path: &Path) -> Result<Option<String>> {
        if let Some(target) = self.targets.get(path)
            && let FileState::Present { content: Some(text), .. } = &target.after
        {
            return Ok(Some(text.clone()));
        }
        match path::read_text(base, path) {
            Ok(text) => Ok(Some(text)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => {
                Err(Failure::new(format!("{} cannot be read", path.display())).because(error).host("unchanged"))
            }
        }
    }

    /// Gives a path new content; a new file gets `mode` and belongs to root. Parents that are missing are made.
    pub(super) fn write(&mut self, base: &dyn Host, check: &str, path: &Path, mode: u32, text: String) -> Result<()> {
        let old = self.text(base, path)?;
        if old.as_deref() == Some(text.as_str()) {
            return Ok(());
        }
        self.make_parents(base, check, path)?;
        let target = self.target(base, path, true)?;
        target.checks.insert(check.to_owned());
        target.after = match &target.after {
            FileState::Present { dir, mode, uid, gid, .. } => {
                FileState::Present { dir: *dir, mode: *mode, uid: *uid, gid: *gid, content: Some(text) }
            }
            FileState::Absent => FileState::Present { dir: false, mode, uid: 0, gid: 0, content: Some(text) },
        };
        Ok(())
    }

    /// Changes a container or the swarm, once whoever asks for it.
    pub(super) fn update(&mut self, check: &str, change: &LiveChange, notes: Vec<String>) {
        let same = |one: &&mut Live| one.change.id == change.id && one.change.after.setting() == change.after.setting();
        match self.live.iter_mut().find(same) {
            Some(one) => {
                one.checks.insert(check.to_owned());
            }
            None => self.live.push(Live { change: change.clone(), checks: BTreeSet::from([check.to_owned()]), notes }),
        }
    }

    /// Notes that files of a project are changed.
    pub(super) fn project(&mut self, origin: &ComposeOrigin) {
        let files = |one: &ComposeOrigin| (one.project.clone(), one.config_files.clone());
        if !self.projects.iter().any(|one| files(one) == files(origin)) {
            self.projects.push(origin.clone());
        }
    }

    /// Notes that a container gets what its service's file says now, once it is made anew.
    pub(super) fn compose(&mut self, check: &str, name: &str, origin: &ComposeOrigin) {
        let same =
            |one: &&mut Composed| (&one.origin.project, &one.origin.service) == (&origin.project, &origin.service);
        let new = || Composed { origin: origin.clone(), checks: BTreeSet::new(), containers: BTreeSet::new() };
        if self.composed.iter_mut().find(same).is_none() {
            self.composed.push(new());
        }
        if let Some(one) = self.composed.iter_mut().find(same) {
            one.checks.insert(check.to_owned());
            one.containers.insert((check.to_owned(), name.to_owned()));
        }
    }

    /// Records what a check did to lines of a shared file, so that it can be undone alone.
    pub(super) fn lines(&mut self, check: &str, path: &Path, old: &str, new: &str) {
        let (before, after): (Vec<&str>, Vec<&str>) = (old.lines().collect(), new.lines().collect());
        for op in similar::capture_diff_slices(similar::Algorithm::Myers, &before, &after) {
            if matches!(op, DiffOp::Equal { .. }) {
                continue;
            }
            let owned = |all: &[&str]| all.iter().map(|l| (*l).to_owned()).collect::<Vec<_>>();
            let undo = Undo::Lines { before: owned(&before[op.old_range()]), after: owned(&after[op.new_range()]) };
            self.parts.push(Part { check: check.to_owned(), path: path.to_owned(), undo });
        }
    }

    /// Records the earlier value of a key of daemon.json.
    pub(super) fn key(&mut self, check: &str, path: &Path, key: &str, before: Option<Value>) {
        let undo = Undo::DaemonKey { key: key.to_owned(), before };
        self.parts.push(Part { check: check.to_owned(), path: path.to_owned(), undo });
    }

    /// Changes owner or mode of a path that exists.
    pub(super) fn access(
        &mut self,
        base: &dyn Host,
        check: &str,
        path: &Path,
        owner: Option<(u32, u32)>,
        max_mode: Option<u32>,
    ) -> Result<()> {
        let target = self.target(base, path, false)?;
        let FileState::Present { dir, mode, uid, gid, content } = target.after.clone() else { return Ok(()) };
        let (new_uid, new_gid) = owner.unwrap_or((uid, gid));
        let new_mode = max_mode.map_or(mode, |max| mode::masked(mode, max));
        target.after = FileState::Present { dir, mode: new_mode, uid: new_uid, gid: new_gid, content };
        target.checks.insert(check.to_owned());
        if (new_uid, new_gid) != (uid, gid) {
            let undo = Undo::Owner { uid, gid };
            self.parts.push(Part { check: check.to_owned(), path: path.to_owned(), undo });
        }
        if new_mode != mode {
            self.parts.push(Part { check: check.to_owned(), path: path.to_owned(), undo: Undo::Mode { mode } });
        }
        Ok(())
    }

    fn make_parents(&mut self, base: &dyn Host, check: &str, path: &Path) -> Result<()> {
        let Some(parent) = path.parent() else { return Ok(()) };
        // The package of auditd brings its own directories.
        let package = parent.starts_with("/etc/audit");
        if package || self.targets.contains_key(parent) || path::stat_follow(base, parent).is_ok() {
            return Ok(());
        }
        self.make_parents(base, check, parent)?;
        let after = FileState::Present { dir: true, mode: 0o755, uid: 0, gid: 0, content: None };
        let checks = BTreeSet::from([check.to_owned()]);
        self.targets.insert(parent.to_owned(), Target { before: FileState::Absent, after, checks });
        Ok(())
    }

    /// The target of a path, begun with its state on the base host. With `content` its text is part of that state.
    fn target(&mut self, base: &dyn Host, path: &Path, content: bool) -> Result<&mut Target> {
        if !self.targets.contains_key(path) {
            let before = state(base, path)?;
            let target = Target { after: before.clone(), before, checks: BTreeSet::new() };
            self.targets.insert(path.to_owned(), target);
        }
        let text = if content { self.text(base, path)? } else { None };
        let target = self.targets.get_mut(path).ok_or_else(|| Failure::new("a draft lost its target"))?;
        if let Some(text) = text {
            for state in [&mut target.before, &mut target.after] {
                if let FileState::Present { content: content @ None, dir: false, .. } = state {
                    *content = Some(text.clone());
                }
            }
        }
        Ok(target)
    }
}

fn state(base: &dyn Host, path: &Path) -> Result<FileState> {
    match base.stat(path) {
        Ok(stat) => Ok(FileState::Present {
            dir: stat.kind == FileKind::Dir,
            mode: stat.mode,
            uid: stat.uid,
            gid: stat.gid,
            content: None,
        }),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(FileState::Absent),
        Err(error) => Err(Failure::new(format!("{} cannot be looked at", path.display())).because(error)),
    }
}
