//! Data that would vanish from view.

use super::{Evidence, Situation};
use crate::facts::workload::short;

/// How many names of a kind are told.
const NAMES: usize = 10;

/// Under userns-remap dockerd works in another data root, and back in the old one without: what is in the one that is
/// left is kept but not seen.
pub(super) fn hides_images(subject: &Situation, evidence: &mut Evidence) {
    if subject.change.sets("userns-remap").is_none() {
        return;
    }
    let workload = subject.workload;
    if let Some(images) = evidence.known(&workload.images) {
        one_each(evidence, "image", images);
    }
    if let Some(containers) = evidence.known(&workload.containers) {
        one_each(evidence, "container", &containers.iter().map(|c| c.name.clone()).collect::<Vec<_>>());
    }
    if let Some(volumes) = evidence.known(&workload.volumes) {
        // Anonymous volumes have ids for names.
        let names: Vec<&str> = volumes.iter().map(|name| if is_id(name) { short(name) } else { name }).collect();
        let told = names.iter().take(NAMES).copied().collect::<Vec<_>>().join(", ");
        match names.len() {
            0 => {}
            1 => evidence.name(format!("volume {told}")),
            count if count <= NAMES => evidence.name(format!("{count} volumes: {told}")),
            count => evidence.name(format!("{count} volumes: {told} and {} more", count - NAMES)),
        }
    }
}

fn one_each(evidence: &mut Evidence, kind: &str, names: &[String]) {
    for name in names.iter().take(NAMES) {
        evidence.name(format!("{kind} {name}"));
    }
    if names.len() > NAMES {
        evidence.name(format!("{} more {kind}s", names.len() - NAMES));
    }
}

fn is_id(name: &str) -> bool {
    name.len() == 64 && name.bytes().all(|byte| byte.is_ascii_hexdigit())
}
