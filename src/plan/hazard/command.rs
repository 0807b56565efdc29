//! Settings that cannot be written as they are.

use serde_json::Value;

use super::{Evidence, Situation, settings};
use crate::catalog::Edit;
use crate::plan::compose::Writing;

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
            // Most drivers do without options; for syslog, log_driver() asks.
            && key != "log-opts"
            && subject.change.values.get(key).is_none_or(Value::is_null)
        {
            evidence.name(format!("{key} has to be chosen"));
        }
    }
    log_driver(subject, evidence);
    for choice in subject.change.composed.iter().filter_map(Writing::to_choose) {
        evidence.name(choice);
    }
    for one in &subject.change.containers {
        if let Some(choice) = one.to_choose() {
            evidence.name(choice);
        }
        // A value of the site's could be below what the container takes now.
        if let (Ok(_), Some(why)) = (&one.change, &one.blind) {
            evidence.blind(why.clone());
        }
    }
}

/// A log driver that sends nothing away would be written, restarted for and then taken back by the audit.
fn log_driver(subject: &Situation, evidence: &mut Evidence) {
    let Some(driver) = subject.change.sets("log-driver") else { return };
    let options = subject.change.sets("log-opts").unwrap_or_default();
    let address = options["syslog-address"].as_str().unwrap_or_default();
    match driver.as_str() {
        Some("syslog") if !address.contains("://") || address.starts_with("unix") => {
            evidence.name("syslog-address in log-opts has to be chosen: without it syslog stays on this host");
        }
        Some(local @ ("json-file" | "local" | "none")) => {
            evidence.name(format!("log-driver {local} sends nothing to another machine"));
        }
        _ => {}
    }
}
