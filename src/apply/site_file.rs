//! Files of the site's own, which are no run and which no rollback takes back: the waivers.

use std::path::Path;

use super::image::{Access, look};
use super::replace::{Content, make_dir, put, replaceable, stage};
use crate::error::{Failure, Result};
use crate::host::HostMut;

/// Writes such a file, whole or not at all; its folder is made where it is missing. Owner, mode and attributes of a file
/// that is there stay.
///
/// # Errors
/// The file is then as it was.
pub fn write_site_file(host: &mut dyn HostMut, path: &Path, text: &str) -> Result<()> {
    let found = look(host.as_host(), path, true)?;
    let owner = host.euid();
    let group = |host: &dyn HostMut, dir: &Path| host.stat(dir).map_or(0, |stat| if owner == 0 { 0 } else { stat.gid });
    let dir = path.parent().unwrap_or(Path::new("/"));
    if host.stat(dir).is_err() {
        let above = dir.parent().unwrap_or(dir);
        let access = Access { mode: 0o755, uid: owner, gid: group(host, above) };
        make_dir(host, dir, access)?;
    }
    replaceable(host.as_host(), path)?;
    let xattrs = match found.access() {
        Some(_) => host
            .xattrs(path)
            .map(Some)
            .map_err(|error| Failure::new(format!("attributes of {} cannot be read", path.display())).because(error))?,
        None => None,
    };
    let access = found.access().unwrap_or(Access { mode: 0o644, uid: owner, gid: group(host, dir) });
    let staged = stage(host, path, "site", &Content { bytes: text.as_bytes(), access, xattrs: xattrs.as_deref() })?;
    put(host, &staged, path, &found)
}
