//! Users and groups: through the C library where the host runs (LDAP and the like included), from the image's own
//! files where it does not: there the host's accounts would be the wrong ones.

use std::path::Path;

use users::os::unix::GroupExt;

use crate::host::seam::{Group, Host};

/// The name of a user id of this running host.
pub(super) fn live_user_name(uid: u32) -> Option<String> {
    users::get_user_by_uid(uid).map(|user| user.name().to_string_lossy().into_owned())
}

/// The name of a group id of this running host.
pub(super) fn live_group_name(gid: u32) -> Option<String> {
    users::get_group_by_gid(gid).map(|group| group.name().to_string_lossy().into_owned())
}

/// A group of this running host.
pub(super) fn live_group(name: &str) -> Option<Group> {
    let group = users::get_group_by_name(name)?;
    let members = group.members().iter().map(|member| member.to_string_lossy().into_owned()).collect();
    Some(Group { gid: group.gid(), members })
}

/// The name of an id in `/etc/passwd` or `/etc/group` of an image: field 1 by field 3 in both.
pub(super) fn name_in(host: &dyn Host, file: &str, id: u32) -> Option<String> {
    entry(host, file, |fields| fields.get(2).and_then(|text| text.parse().ok()) == Some(id))?.into_iter().next()
}

/// A group in an image's `/etc/group`.
pub(super) fn group_in(host: &dyn Host, name: &str) -> Option<Group> {
    let fields = entry(host, "/etc/group", |fields| fields.first() == Some(&name))?;
    let members = fields.get(3).map(String::as_str).unwrap_or_default();
    let members = members.split(',').map(str::trim).filter(|member| !member.is_empty()).map(Into::into).collect();
    Some(Group { gid: fields.get(2)?.parse().ok()?, members })
}

/// The first line that fits, split at its colons. Lines that start with `+` or `-` are NIS switches, not entries.
fn entry(host: &dyn Host, file: &str, fits: impl Fn(&[&str]) -> bool) -> Option<Vec<String>> {
    let bytes = host.read(Path::new(file)).ok()?;
    let text = String::from_utf8_lossy(&bytes);
    text.lines().filter(|line| !line.starts_with(['#', '+', '-'])).find_map(|line| {
        let fields: Vec<&str> = line.split(':').collect();
        fits(&fields).then(|| fields.iter().map(|field| (*field).to_owned()).collect())
    })
}
