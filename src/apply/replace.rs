//! Changing one path so that at every instant it is either as before or as intended.

use std::path::{Path, PathBuf};

use super::image::{Access, Image, ImageKind, look};
use super::io::{At, sync_parent};
use crate::error::{Failure, Result};
use crate::host::{FileKind, Host, HostMut, Stat};

/// A file to be written.
pub(super) struct Content<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) access: Access,
    /// All that it has; `None`: a new file, which has what its directory gives it.
    pub(super) xattrs: Option<&'a [(String, Vec<u8>)]>,
}

/// The candidate beside its target: a rename stays within one directory, one file system and one `SELinux` type.
pub(super) fn staged_path(path: &Path, run: &str) -> PathBuf {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    path.with_file_name(format!(".{name}.seaworthy-{run}"))
}

/// Writes the candidate beside its target, complete and durable, private until it has its owner.
pub(super) fn stage(host: &mut dyn HostMut, path: &Path, run: &str, content: &Content) -> Result<PathBuf> {
    let staged = staged_path(path, run);
    drop_staged(host, path, run)?;
    host.create(&staged).at("created", &staged)?;
    host.append(&staged, content.bytes).at("written", &staged)?;
    host.set_owner(&staged, content.access.uid, content.access.gid).at("given its owner", &staged)?;
    if let Some(xattrs) = content.xattrs {
        set_attributes(host, &staged, xattrs)?;
    }
    host.set_mode(&staged, content.access.mode).at("given its mode", &staged)?;
    host.sync(&staged).at("synced", &staged)?;
    Ok(staged)
}

/// Gives a new file these attributes, and no other: the default ACL of its directory would let more people in than the
/// file that it replaces did.
fn set_attributes(host: &mut dyn HostMut, staged: &Path, xattrs: &[(String, Vec<u8>)]) -> Result<()> {
    let inherited = host.xattrs(staged).at("read", staged)?;
    // The kernel's own: labels are overwritten below, and the digests of the content it keeps itself.
    let unwanted = |name: &str| !name.starts_with("security.") && xattrs.iter().all(|(wanted, _)| wanted != name);
    for (name, _) in inherited.iter().filter(|(name, _)| unwanted(name)) {
        host.remove_xattr(staged, name).at("given its attributes", staged)?;
    }
    for (name, value) in xattrs.iter().filter(|(name, _)| name != "security.ima" && name != "security.evm") {
        host.set_xattr(staged, name, value).at("given its attributes", staged)?;
    }
    Ok(())
}

/// Removes a candidate that an earlier process of the same run left behind.
pub(super) fn drop_staged(host: &mut dyn HostMut, path: &Path, run: &str) -> Result<()> {
    let staged = staged_path(path, run);
    if host.stat(&staged).is_ok() {
        host.remove(&staged).at("removed", &staged)?;
    }
    Ok(())
}

/// Puts a candidate in its place, if that is still as it was when the candidate was made.
pub(super) fn put(host: &mut dyn HostMut, staged: &Path, path: &Path, found: &Image) -> Result<()> {
    let content = matches!(found, Image::Present { sha256: Some(_), .. });
    if look(host.as_host(), path, content)? != *found {
        host.remove(staged).at("removed", staged)?;
        return Err(Failure::new(format!("{} was changed by someone else meanwhile", path.display())));
    }
    host.rename(staged, path).at("replaced", path)?;
    sync_parent(host, path)
}

/// Removes a file.
pub(super) fn remove(host: &mut dyn HostMut, path: &Path) -> Result<()> {
    host.remove(path).at("removed", path)?;
    sync_parent(host, path)
}

/// Makes a directory; private until it has its owner.
pub(super) fn make_dir(host: &mut dyn HostMut, path: &Path, access: Access) -> Result<()> {
    host.make_dir(path, 0o700).at("made", path)?;
    set_access(host, path, access)?;
    host.sync(path).at("synced", path)?;
    sync_parent(host, path)
}

/// Changes owner and mode. Bits that go, go before the owner changes; bits that come, come after: at no instant may
/// anyone do more than before or after.
pub(super) fn set_access(host: &mut dyn HostMut, path: &Path, to: Access) -> Result<()> {
    let now = host.stat(path).at("read", path)?;
    let common = now.mode & to.mode;
    if (now.uid, now.gid) != (to.uid, to.gid) {
        if common != now.mode {
            host.set_mode(path, common).at("given its mode", path)?;
        }
        host.set_owner(path, to.uid, to.gid).at("given its owner", path)?;
    }
    // The kernel takes setuid and setgid away when the owner changes, so what is there is read again.
    if host.stat(path).at("read", path)?.mode != to.mode {
        host.set_mode(path, to.mode).at("given its mode", path)?;
    }
    Ok(())
}

/// Every state that [`set_access`] passes through, the last one last.
pub(super) fn access_images(kind: ImageKind, from: Access, to: Access) -> Vec<Image> {
    let common = from.mode & to.mode;
    let moved = |mode, owner: Access| Image::present(kind, Access { mode, ..owner }, None);
    vec![moved(common, from), moved(common, to), moved(common & 0o1777, to), moved(to.mode, to)]
}

/// Every state that [`make_dir`] passes through, the last one last.
pub(super) fn dir_images(maker: u32, to: Access) -> Vec<Image> {
    let made = Access { mode: 0o700, uid: maker, gid: maker };
    let mut images = vec![Image::present(ImageKind::Dir, made, None)];
    images.extend(access_images(ImageKind::Dir, made, to));
    images
}

/// Refuses a file that a rename cannot replace, or of which another name would keep the old content.
///
/// # Errors
/// For hard links, mount points and what `chattr` made immutable.
pub(super) fn replaceable(host: &dyn Host, path: &Path) -> Result<()> {
    let Ok(stat) = host.stat(path) else { return Ok(()) };
    if stat.kind != FileKind::File {
        return Ok(());
    }
    let refused =
        |what: String| Err(Failure::refused(format!("{} {what}", path.display())).hint("run `seaworthy plan`"));
    if stat.nlink > 1 {
        return refused(format!("has {} hard links", stat.nlink));
    }
    if is_mount_point(host, path, &stat) {
        return refused("is a mount point of its own".into());
    }
    if stat.immutable {
        return refused("is immutable (`lsattr` shows it)".into());
    }
    Ok(())
}

/// Where the kernel's list cannot be read, another device than that of the directory tells. It is no proof: on an
/// overlay of several file systems a file has the device of the layer that it lies in.
fn is_mount_point(host: &dyn Host, path: &Path, stat: &Stat) -> bool {
    let Ok(mounts) = host.read(Path::new("/proc/self/mountinfo")) else {
        return path.parent().and_then(|parent| host.stat(parent).ok()).is_some_and(|parent| parent.dev != stat.dev);
    };
    String::from_utf8_lossy(&mounts)
        .lines()
        .filter_map(|line| line.split(' ').nth(4))
        .any(|point| Path::new(&point.replace("\\040", " ")) == path)
}
