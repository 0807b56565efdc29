//! What is mounted where, as the kernel says in `/proc/self/mountinfo`. Each running container has some mounts.

use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::model::{Known, Unknown};
use crate::host::Host;

/// One line of mountinfo.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount {
    /// Where it is mounted.
    pub point: PathBuf,
    /// Kind of file system, such as `overlay`.
    pub kind: String,
    /// Nothing can be written there: by this mount, or in the whole file system.
    pub read_only: bool,
    /// Options of the file system, separated by commas.
    pub options: String,
}

impl Mount {
    /// The one that a path lies in. The last of several on one point is the one that is seen, and the one that
    /// `max_by_key` takes.
    pub fn of<'a>(all: &'a [Self], path: &Path) -> Option<&'a Self> {
        all.iter().filter(|m| m.holds(path)).max_by_key(|m| m.point.components().count())
    }

    /// Whether a path lies in it. Both are without `.`, `..` and double slashes, so their bytes tell, which a host with
    /// thousands of mounts notices.
    fn holds(&self, path: &Path) -> bool {
        let (point, path) = (self.point.as_os_str().as_bytes(), path.as_os_str().as_bytes());
        match path.strip_prefix(point) {
            Some(rest) => rest.is_empty() || rest[0] == b'/' || point.ends_with(b"/"),
            None => false,
        }
    }

    /// Whether what is written there is gone at the next boot.
    pub fn vanishes(&self, all: &[Mount], outermost: bool) -> bool {
        match self.kind.as_str() {
            "tmpfs" | "ramfs" => true,
            // An overlay is as lasting as its upper directory, whose path is that of whoever mounted it: in a
            // container it is one of the host, and says nothing.
            "overlay" => {
                let upper = self.options.split(',').find_map(|option| option.strip_prefix("upperdir="));
                let below = upper.and_then(|upper| Self::of(all, Path::new(upper)));
                outermost && below.is_some_and(|mount| ["tmpfs", "ramfs"].contains(&mount.kind.as_str()))
                    || self.point.starts_with("/etc")
            }
            _ => false,
        }
    }
}

/// What is mounted, in order.
pub(super) fn gather(host: &dyn Host) -> Known<Arc<[Mount]>> {
    if host.offline() {
        // An image that does not run has nothing mounted in it.
        return Ok(Arc::default());
    }
    let path = "/proc/self/mountinfo";
    let bytes = host.read(Path::new(path)).map_err(|error| Unknown(format!("{path}: {error}")))?;
    Ok(String::from_utf8_lossy(&bytes).lines().filter_map(mount).collect())
}

fn mount(line: &str) -> Option<Mount> {
    let (before, after) = line.split_once(" - ")?;
    let before: Vec<&str> = before.split(' ').collect();
    let mut after = after.split(' ');
    let (kind, _source, options) = (after.next()?, after.next()?, after.next().unwrap_or_default());
    let read_only = |options: &str| options.split(',').any(|option| option == "ro");
    Some(Mount {
        // The kernel writes space, tab, newline and backslash in octal.
        point: before
            .get(4)?
            .replace("\\040", " ")
            .replace("\\011", "\t")
            .replace("\\012", "\n")
            .replace("\\134", "\\")
            .into(),
        kind: kind.to_owned(),
        read_only: read_only(before.get(5)?) || read_only(options),
        options: options.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::super::testing::{FakeHost, mounts};
    use super::*;

    #[test]
    fn a_path_lies_in_the_nearest_mount_and_the_last_one_is_seen() {
        let line = |point: &str, kind: &str| format!("40 22 0:1 / {point} rw - {kind} none rw\n");
        let text = [("/", "ext4"), ("/etc", "xfs"), ("/etc", "tmpfs"), ("/etc/a\\040b", "vfat"), ("/run/", "ramfs")];
        let text: String = text.iter().map(|(point, kind)| line(point, kind)).collect();
        let all = mounts(&FakeHost::default().file("/proc/self/mountinfo", &text)).unwrap();
        let kind = |path: &str| Mount::of(&all, Path::new(path)).map(|mount| mount.kind.as_str());
        for (path, want) in [
            ("/etc", "tmpfs"),
            ("/etc/docker/daemon.json", "tmpfs"),
            ("/etcetera/x", "ext4"),
            ("/etc/a b/c", "vfat"),
            ("/run/x", "ramfs"),
            ("/", "ext4"),
        ] {
            assert_eq!(kind(path), Some(want), "{path}");
        }
    }
}
