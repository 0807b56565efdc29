//! Files that nobody can change as they are, accepted or not: what has to be done first is said instead of a flag.

use std::path::Path;

use super::Situation;
use crate::catalog::Edit;
use crate::facts::Mount;
use crate::host::{FileKind, Stat, path};

/// Read-only trees that a package or image manager fills.
const STORES: [&str; 4] = ["/nix/store", "/gnu/store", "/ostree", "/sysroot/ostree"];
/// No configuration that someone wrote is larger, in bytes. A plan holds what it changes whole.
pub(super) const LARGEST_TEXT: u64 = 1 << 20;

/// Why a file cannot be changed, and what would have to be done first.
pub(super) struct Fixed {
    pub(super) why: String,
    first: String,
}

/// What has to be done before any of the change's files can be changed; `None`: nothing.
pub(in crate::plan) fn in_the_way(subject: &Situation) -> Option<String> {
    // What cannot be looked at is held by `foreign_owner`.
    let mounts = subject.facts.mounts.as_deref().unwrap_or_default();
    subject.change.files.iter().find_map(|file| {
        let real = path::resolve_new(subject.host, file).ok()?;
        let stat = subject.host.stat(&real).ok();
        fixed(subject, file, &real, stat.as_ref(), mounts).map(|fixed| fixed.first)
    })
}

/// Looks at one file: `path` as configured, `real` where it is, `stat` what is there.
pub(super) fn fixed(s: &Situation, path: &Path, real: &Path, stat: Option<&Stat>, mounts: &[Mount]) -> Option<Fixed> {
    let (shown, place) = (path.display(), real.display());
    let because = |why: String, first: String| Some(Fixed { why: format!("{shown}: {why}"), first });
    if let Some(store) = STORES.iter().find(|store| real.starts_with(store)) {
        let why = if path == real { format!("lies in {store}") } else { format!("a link into {store}") };
        return because(why, format!("change what {store} is filled from"));
    }
    let mount = Mount::of(mounts, real);
    let file = stat.filter(|stat| stat.kind == FileKind::File);
    // Owner and mode change in place, on all names of a file at once.
    let edits = &s.change.edits;
    let replaces = edits.is_empty() || edits.iter().any(|edit| !matches!(edit, Edit::FileAccess { .. }));
    if let Some(file) = file.filter(|_| replaces) {
        if mount.is_some_and(|mount| mount.point == real) {
            return because("a bind mount, which cannot be replaced".into(), format!("unmount {place} first"));
        }
        if file.nlink > 1 {
            let why = format!("has {} names (hard links); a new file would take only one", file.nlink);
            return because(why, format!("leave {place} one name first, `find / -xdev -samefile {place}` lists them"));
        }
        if file.size > LARGEST_TEXT {
            let why = format!("{} bytes, and nothing over 1 MiB is edited", file.size);
            return because(why, format!("change {place} by hand"));
        }
    }
    if let Some(mount) = mount.filter(|mount| mount.read_only) {
        let point = mount.point.display();
        return because(format!("its file system {point} is read-only"), format!("make {point} writable first"));
    }
    let held = |at: &Path| s.host.stat(at).is_ok_and(|stat| stat.immutable);
    // A file is made and replaced in its directory.
    let above = real.ancestors().skip(1).find(|dir| s.host.stat(dir).is_ok()).filter(|_| replaces);
    let at = std::iter::once(real).chain(above).find(|at| held(at))?;
    let what = if at == real { String::new() } else { format!("{} is ", at.display()) };
    because(format!("{what}immutable, for root too"), format!("run `chattr -i -a {}` first", at.display()))
}
