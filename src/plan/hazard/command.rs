//! Settings that cannot be written as they are.

use serde_json::Value;

use super::{Evidence, Situation, settings};
use crate::catalog::Edit;

/// A flag in the package's own unit: that file is never edited, and a drop-in would have to repeat its whole
/// `ExecStart`, which then misses what the package changes later.
pub(super) fn vendor_command(subject: &Situation, evidence: &mut Evidence) {
    for key in subject.change.keys() {
        for (argument, _) in evidence.take(settings::flags(subject.facts, key)).into_iter().flatten() {
            let place = &argument.place;
            if place.vendor {
                // The name alone: a value may be secret, such as a proxy with a password.
                let flag = argument.text.split('=').next().unwrap_or_default();
                evidence.name(format!("{flag} in {} line {}", place.file.display(), place.line));
            }
        }
    }
}

/// A setting without a value that suits every host.
pub(super) fn needs_value(subject: &Situation, evidence: &mut Evidence) {
    for edit in &subject.change.edits {
        if let Edit::DaemonSetting { key, value: None } = edit
            && subject.change.values.get(key).is_none_or(Value::is_null)
        {
            evidence.name(format!("{key} has to be chosen"));
        }
    }
}
