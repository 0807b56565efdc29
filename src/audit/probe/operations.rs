//! What lies about: images that nobody uses, containers that do not run. What is kept for later only a person knows.

use jiff::Timestamp;

use crate::audit::finding::Verdict;
use crate::facts::{Container, Facts, Image};

use super::Outcome;
use super::image::{counted, listed, used};

const HOST: &str = "host:this";

/// Images that no container uses.
pub(super) fn images(facts: &Facts) -> Outcome {
    let expected = "only images that are needed";
    let source = "API /images/json and /containers";
    let images = match &facts.images {
        Ok(images) => images,
        Err(_) if facts.workload.images.as_ref().is_ok_and(Vec::is_empty) => &Vec::new(),
        Err(why) => return Outcome::unknown(HOST, why).expected(expected),
    };
    // A container that could not be read may use any of them.
    if let Err(why) = &facts.workload.containers {
        return Outcome::unknown(HOST, why).expected(expected);
    }
    let used = used(facts);
    let unused: Vec<&Image> = images.iter().filter(|image| !used.contains(image.id.as_str())).collect();
    let dangling = unused.iter().filter(|image| image.dangling()).count();
    let outcome = Outcome::new(HOST, Verdict::Pass).expected(expected).source(source);
    if unused.is_empty() {
        return outcome.actual(format!("{}, each in use", counted(images.len(), "image")));
    }
    let names: Vec<&str> = unused.iter().filter(|image| !image.dangling()).map(|image| image.name()).collect();
    let dangling = if dangling > 0 { format!(", {dangling} of these without a name") } else { String::new() };
    let names = if names.is_empty() { String::new() } else { format!(": {}", listed(&names)) };
    let counts = format!("{}, {} used by no container", counted(images.len(), "image"), unused.len());
    outcome.verdict(Verdict::Manual).actual(format!("{counts}{dangling}{names}"))
}

/// Containers that do not run, and since when.
pub(super) fn containers(facts: &Facts) -> Outcome {
    let expected = "only containers that are needed";
    let containers = match &facts.workload.containers {
        Ok(containers) => containers,
        Err(why) => return Outcome::unknown(HOST, why).expected(expected),
    };
    let mut idle: Vec<(i64, &Container)> =
        containers.iter().filter(|one| !one.running).map(|one| (days(facts, one), one)).collect();
    let outcome = Outcome::new(HOST, Verdict::Pass).expected(expected).source("API /containers State");
    if idle.is_empty() {
        return outcome.actual(format!("{}, each runs", counted(containers.len(), "container")));
    }
    idle.sort_by_key(|(days, _)| std::cmp::Reverse(*days));
    let told: Vec<String> = idle.iter().map(|(days, one)| age(*days, one)).collect();
    let told: Vec<&str> = told.iter().map(String::as_str).collect();
    let counts = format!("{}, {} of them not running", counted(containers.len(), "container"), idle.len());
    outcome.verdict(Verdict::Manual).actual(format!("{counts}: {}", listed(&told)))
}

/// Whether it ever ran: the Engine gives the year 1 for never.
fn ran(container: &Container) -> bool {
    container.finished.parse::<Timestamp>().is_ok_and(|at| at > Timestamp::UNIX_EPOCH)
}

/// Whole days since it ended, or since it was created.
fn days(facts: &Facts, container: &Container) -> i64 {
    let since = if ran(container) { &container.finished } else { &container.created };
    let since = since.parse::<Timestamp>().map_or(facts.read_at, Timestamp::as_second);
    (facts.read_at - since).max(0) / 86400
}

fn age(days: i64, container: &Container) -> String {
    let what = if ran(container) { "ended" } else { "created and never run," };
    let when = match days {
        0 => "today".to_owned(),
        1 => "1 day ago".to_owned(),
        days => format!("{days} days ago"),
    };
    format!("{} ({what} {when})", container.name)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::facts::testing;

    #[test]
    fn those_that_do_not_run_are_told_by_age() {
        let mut facts = testing::facts();
        facts.read_at = 1_767_225_600 + 86400 * 12; // 2026-01-13
        let one = |name: &str, running, finished: &str| Container {
            name: name.into(),
            running,
            finished: finished.into(),
            created: "2026-01-12T00:00:00Z".into(),
            ..Container::default()
        };
        Arc::make_mut(&mut facts.workload).containers = Ok(vec![
            one("web", true, "0001-01-01T00:00:00Z"),
            one("never", false, "0001-01-01T00:00:00Z"),
            one("old", false, "2026-01-01T00:00:00.123456789Z"),
        ]);
        let outcome = containers(&facts);
        let told =
            "3 containers, 2 of them not running: old (ended 12 days ago), never (created and never run, 1 day ago)";
        assert_eq!((outcome.verdict, outcome.actual.as_str()), (Verdict::Manual, told));
        Arc::make_mut(&mut facts.workload).containers.as_mut().unwrap().truncate(1);
        assert_eq!(containers(&facts).verdict, Verdict::Pass);
    }

    #[test]
    fn an_unread_container_may_use_any_image() {
        let mut facts = testing::facts();
        assert_eq!(images(&facts).verdict, Verdict::Pass);
        Arc::make_mut(&mut facts.workload).containers = Err(crate::facts::Unknown("?".into()));
        assert_eq!(images(&facts).verdict, Verdict::Unknown);
    }
}
