//! Content trust: a setting of the docker command line, not of the daemon.

use super::{Evidence, Situation};

/// The first version of the command line that ignores `DOCKER_CONTENT_TRUST`.
const IGNORES_TRUST: u64 = 29;

/// Until version 28 the command line refuses what is not signed, and the signatures of official images have expired.
pub(super) fn breaks_pulls(subject: &Situation, evidence: &mut Evidence) {
    if let Some(Some(version)) = evidence.known(&subject.facts.client_version)
        && version.numbers[0] < IGNORES_TRUST
    {
        evidence.name(format!("docker {}: pulls of official images fail, their signatures have expired", version.text));
    }
}

/// From version 29 on it is not looked at; without a command line there is nothing that could.
pub(super) fn inert(subject: &Situation, evidence: &mut Evidence) {
    match evidence.known(&subject.facts.client_version) {
        Some(Some(version)) if version.numbers[0] >= IGNORES_TRUST => {
            evidence.name(format!("docker {} ignores DOCKER_CONTENT_TRUST", version.text));
        }
        Some(None) => evidence.name("no docker command line is installed that could read it"),
        _ => {}
    }
}
