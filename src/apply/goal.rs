//! What a rollback has to reach for each path, and whether it may.

use std::path::{Path, PathBuf};

use super::backup::Saved;
use super::daemon_undo::with_live_restore;
use super::image::{Access, Image, ImageKind, look};
use super::io::At;
use super::journal::{Journal, Op, Record};
use super::replace::{self, Content, access_images, drop_staged, replaceable};
use super::store::Run;
use crate::error::{Failure, Result};
use crate::host::{Host, HostMut, path};
use crate::plan::Plan;

/// One path and what it has to be after the rollback.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Goal {
    pub(super) path: PathBuf,
    pub(super) image: Image,
    /// Content; `None`: only owner and mode are restored, or nothing is there.
    pub(super) bytes: Option<Vec<u8>>,
    pub(super) xattrs: Vec<(String, Vec<u8>)>,
}

/// How a path stands against a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// As the goal wants it.
    There,
    /// In a state that the run left.
    Ours,
    /// In another state: changed since, by someone else.
    Foreign(String),
}

impl Goal {
    /// The goal of a whole rollback: what was backed up.
    pub(super) fn saved(host: &dyn Host, run: &Run, saved: &Saved) -> Result<Self> {
        Ok(Self {
            path: saved.path.clone(),
            image: saved.image.clone(),
            bytes: saved.content(host, run)?,
            xattrs: saved.attributes(),
        })
    }

    /// Content is part of it.
    pub(super) fn reads(&self) -> bool {
        self.bytes.is_some() || self.image == Image::Absent
    }

    /// The content as text, for what dockerd reads; absent is empty.
    pub(super) fn text(&self) -> String {
        String::from_utf8_lossy(self.bytes.as_deref().unwrap_or_default()).into_owned()
    }

    pub(super) fn is_dir(&self) -> bool {
        matches!(self.image, Image::Present { kind: ImageKind::Dir, .. })
    }

    /// Compares the host with the goal and with every state that the run can have left.
    pub(super) fn standing(&self, host: &dyn Host, journal: &Journal, plan: &Plan) -> Standing {
        let found = match look(host, &self.path, self.reads()) {
            Ok(found) => found,
            Err(error) => return Standing::Foreign(error.message),
        };
        if self.image.covers(&found) {
            return Standing::There;
        }
        let mut ours = images(journal, &self.path).chain(self.passing(plan));
        if !ours.any(|image| image.covers(&found)) {
            return Standing::Foreign(found.to_string());
        }
        match self.attributes_since(host, &found) {
            names if names.is_empty() => Standing::Ours,
            names => Standing::Foreign(format!("{found} with other attributes: {}", names.join(", "))),
        }
    }

    /// Extended attributes that a file has got, lost or changed since the run, and that the rollback would lose: its ACL
    /// and those that are people's. All others are the kernel's, a file system's, or a security module's.
    fn attributes_since(&self, host: &dyn Host, found: &Image) -> Vec<String> {
        if !self.reads() || !matches!(found, Image::Present { kind: ImageKind::File, .. }) {
            return Vec::new();
        }
        let now = match host.xattrs(&self.path) {
            Ok(now) => now,
            Err(error) => return vec![format!("cannot be read: {error}")],
        };
        // A new file has the ACL that its directory gives it.
        let inherits = self.image == Image::Absent && gives_acls(host, &self.path);
        let theirs = |name: &str| name.starts_with("user.") || (name == "system.posix_acl_access" && !inherits);
        let only = |a: &[(String, Vec<u8>)], b: &[(String, Vec<u8>)]| -> Vec<String> {
            a.iter().filter(|one| theirs(&one.0) && !b.contains(one)).map(|one| one.0.clone()).collect()
        };
        let mut names = [only(&now, &self.xattrs), only(&self.xattrs, &now)].concat();
        names.sort_unstable();
        names.dedup();
        names
    }

    /// States of daemon.json that a rollback of which the journal could not be written can have left.
    fn passing(&self, plan: &Plan) -> Vec<Image> {
        let access = self.image.access().unwrap_or(Access { mode: 0o644, uid: 0, gid: 0 });
        if plan.target.config.as_ref() != Some(&self.path) {
            return Vec::new();
        }
        let texts = [true, false].into_iter().filter_map(|value| with_live_restore(&self.text(), value));
        texts.map(|text| Image::file(access, text.as_bytes())).collect()
    }

    /// Brings the path to the goal. Answers with a note when something has to stay.
    pub(super) fn reach(&self, host: &mut dyn HostMut, run: &Run, journal: &mut Journal) -> Result<Option<String>> {
        let path = &self.path;
        drop_staged(host, path, &run.id)?;
        let found = look(host.as_host(), path, self.reads())?;
        if self.image.covers(&found) {
            return Ok(None);
        }
        if self.reads() {
            replaceable(host.as_host(), path)?;
        }
        let Some(access) = self.image.access() else { return self.remove(host, journal, &found) };
        if let Some(bytes) = &self.bytes {
            return self.write(host, run, journal, bytes, access).map(|()| None);
        }
        let (Image::Present { kind, .. }, Some(from)) = (&found, found.access()) else {
            return Ok(Some(format!("{} is gone: its owner and mode cannot be restored", path.display())));
        };
        intend(host, journal, path, access_images(*kind, from, access));
        replace::set_access(host, path, access)?;
        if *kind != ImageKind::Socket {
            host.sync(path).at("synced", path)?;
        }
        Ok(None)
    }

    /// Writes content that is the goal's, or on the way to it.
    pub(super) fn write(
        &self,
        host: &mut dyn HostMut,
        run: &Run,
        journal: &mut Journal,
        bytes: &[u8],
        access: Access,
    ) -> Result<()> {
        let found = look(host.as_host(), &self.path, true)?;
        let content = Content { bytes, access, xattrs: Some(&self.xattrs) };
        let staged = replace::stage(host, &self.path, &run.id, &content)?;
        intend(host, journal, &self.path, vec![Image::file(access, bytes)]);
        replace::put(host, &staged, &self.path, &found)
    }

    fn remove(&self, host: &mut dyn HostMut, journal: &mut Journal, found: &Image) -> Result<Option<String>> {
        let path = &self.path;
        if !matches!(found, Image::Present { kind: ImageKind::Dir, .. }) {
            intend(host, journal, path, vec![Image::Absent]);
            return replace::remove(host, path).map(|()| None);
        }
        // What others put there since is theirs.
        if !host.list(path).at("read", path)?.is_empty() {
            return Ok(Some(format!("{} stays: it is not empty", path.display())));
        }
        intend(host, journal, path, vec![Image::Absent]);
        host.remove_dir(path).at("removed", path)?;
        super::io::sync_parent(host, path)?;
        Ok(None)
    }
}

/// Whether new files beside this one get an ACL.
fn gives_acls(host: &dyn Host, path: &Path) -> bool {
    let dir = path.parent().and_then(|parent| path::resolve(host, parent).ok());
    let given = dir.and_then(|dir| host.xattrs(&dir).ok()).unwrap_or_default();
    given.iter().any(|(name, _)| name == "system.posix_acl_default")
}

/// Journals a step of a rollback. A journal that cannot be written does not stop it: the host comes first, and all
/// states in between are known from the backups.
fn intend(host: &mut dyn HostMut, journal: &mut Journal, path: &Path, images: Vec<Image>) {
    let _ = journal.record(host, Record::Intent { op: Op::Path { path: path.into(), images } });
}

/// Every state that the run can have left a path in.
fn images<'a>(journal: &'a Journal, path: &'a Path) -> impl Iterator<Item = Image> + 'a {
    let of = move |op: &'a Op| match op {
        Op::Path { path: at, images } if at == path => Some(images.iter().cloned()),
        _ => None,
    };
    journal.begun().filter_map(of).flatten()
}

/// The goals of a whole rollback, for the paths that were begun, last one first.
pub(super) fn whole(host: &dyn Host, run: &Run, journal: &Journal) -> Result<Vec<Goal>> {
    let mut paths: Vec<&PathBuf> = Vec::new();
    for op in journal.begun() {
        if let Op::Path { path, .. } = op
            && !paths.contains(&path)
        {
            paths.push(path);
        }
    }
    let mut goals = Vec::new();
    for path in paths.into_iter().rev() {
        let Some(saved) = journal.backups().find(|saved| saved.path == *path) else {
            return Err(Failure::of(crate::error::Kind::Incomplete, format!("{} has no backup", path.display())));
        };
        goals.push(Goal::saved(host, run, saved)?);
    }
    Ok(goals)
}
