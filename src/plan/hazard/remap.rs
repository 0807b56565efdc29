//! What dockerd needs before it can start with `userns-remap`.

use std::io;
use std::path::Path;

use super::{Evidence, Situation, ids};
use crate::facts::{Known, Unknown};
use crate::host::path;

/// The user that dockerd makes for `userns-remap: default`.
const USER: &str = "dockremap";
const OTHERS_ENTER: u32 = 0o001;

/// Looks at the kernel, the account tools and files, and the way to the data root. `value` is that of the key: a user,
/// a user and a group, or `default`, whose user dockerd makes by itself.
pub(super) fn prerequisites(subject: &Situation, value: &str, evidence: &mut Evidence) {
    namespaces(subject, evidence);
    let made = value == "default";
    if made && evidence.take(user_is_missing(subject)) == Some(true) {
        user_tool(subject, evidence);
    }
    let (user, group) = if made { (USER, USER) } else { value.split_once(':').unwrap_or((value, value)) };
    for (file, owner) in [("/etc/subuid", user), ("/etc/subgid", group)] {
        ids::free(subject, file, owner, made, evidence);
    }
    way_to_data_root(subject, evidence);
}

fn namespaces(subject: &Situation, evidence: &mut Evidence) {
    let file = "/proc/sys/user/max_user_namespaces";
    match path::read_text(subject.host, Path::new(file)) {
        Ok(text) if text.trim() == "0" => evidence.name(format!("{file} is 0: no user namespace can be made")),
        Ok(_) => {}
        // An image that does not run has no /proc.
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => evidence.blind(format!("{file}: {error}")),
    }
}

fn user_is_missing(subject: &Situation) -> Known<bool> {
    let file = "/etc/passwd";
    let text = path::read_text(subject.host, Path::new(file)).map_err(|e| Unknown(format!("{file}: {e}")))?;
    Ok(!text.lines().any(|line| line.split(':').next() == Some(USER)))
}

fn user_tool(subject: &Situation, evidence: &mut Evidence) {
    let places = ["/usr/sbin/useradd", "/sbin/useradd"];
    let there = |place: &&str| path::stat_follow(subject.host, Path::new(place)).is_ok();
    if !places.iter().any(there) {
        evidence.name(format!("useradd is not installed: dockerd cannot make the user {USER}"));
    }
}

/// Containers reach their files as users that own nothing on the way. dockerd opens the data root itself, not what is
/// above it, and a directory that it makes is open.
fn way_to_data_root(subject: &Situation, evidence: &mut Evidence) {
    let root = &subject.facts.daemon.data_root;
    let real = match path::resolve_new(subject.host, root) {
        Ok(real) => real,
        Err(error) if error.kind() == io::ErrorKind::NotFound => root.clone(),
        Err(error) => return evidence.blind(format!("{}: {error}", root.display())),
    };
    for parent in real.ancestors().skip(1) {
        match subject.host.stat(parent) {
            Ok(stat) if stat.mode & OTHERS_ENTER == 0 => {
                let shown = parent.display();
                evidence
                    .name(format!("{shown} (mode {:04o}) lets no remapped user through to the data root", stat.mode));
            }
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => evidence.blind(format!("{}: {error}", parent.display())),
        }
    }
}
