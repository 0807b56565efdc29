//! A variable in `/etc/environment`, as `pam_env` reads it at login.

use crate::audit::finding::Verdict;
use crate::facts::{Facts, environment_file};

use super::Outcome;

/// Judges one variable.
pub(super) fn run(facts: &Facts, name: &str, value: &str) -> Outcome {
    let subject = "path:/etc/environment";
    let expected = format!("{name}={value}");
    let text = match &facts.environment {
        Ok(text) => text,
        Err(why) => return Outcome::unknown(subject, why).expected(expected),
    };
    match environment_file::get(text, name) {
        Some((found, line)) => {
            let verdict = if found == value { Verdict::Pass } else { Verdict::Fail };
            let outcome = Outcome::new(subject, verdict).expected(expected).actual(format!("{name}={found}"));
            outcome.source(format!("/etc/environment:{line}"))
        }
        None => Outcome::new(subject, Verdict::Fail)
            .expected(expected)
            .actual(format!("{name} is not set"))
            .source("/etc/environment"),
    }
}
