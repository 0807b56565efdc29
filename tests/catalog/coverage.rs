//! What the fixtures have to cover, taken together.

use std::collections::BTreeSet;
use std::sync::Arc;

use libtest_mimic::{Failed, Trial};
use seaworthy::audit::Verdict;
use seaworthy::catalog::{Builtin, Catalog, Check, ContainerRule, Entry, ImageRule, SwarmRule};
use seaworthy::plan::Choice;
use seaworthy::policy::Policy;

use crate::Checked;
use crate::covered;
use crate::fixture::{Fixture, folder};
use crate::look::Question;
use crate::world;

/// The entry whose remediation has this file name.
pub(crate) fn entry<'c>(catalog: &'c Catalog, file: &str) -> Option<&'c Entry> {
    catalog.get(&slug(file)?)
}

fn slug(file: &str) -> Option<String> {
    let path = folder().with_file_name("remediations").join(format!("{file}.toml"));
    let text = std::fs::read_to_string(path).ok()?;
    let document: toml_edit::DocumentMut = text.parse().ok()?;
    Some(document["id"].as_str()?.to_owned())
}

/// One test each.
pub(crate) fn trials(catalog: &'static Catalog, fixtures: &[Arc<Fixture>]) -> Vec<Trial> {
    let trial = |name: &str, check: fn(&Catalog, &[Arc<Fixture>]) -> Checked| {
        let fixtures = fixtures.to_vec();
        Trial::test(name, move || check(catalog, &fixtures).map_err(Failed::from))
    };
    vec![
        trial("catalogue::every_remediation_has_a_fixture_and_none_is_left_over", same_names),
        trial("catalogue::every_check_is_seen_good_and_bad", good_and_bad),
        trial("catalogue::no_slug_of_an_earlier_release_is_missing", slugs),
        trial("catalogue::scenarios_have_names_of_their_own", names),
        trial("catalogue::the_readme_counts_the_checks", covered::is_fresh),
        trial("catalogue::what_is_harmless_only_with_live_restore_is_held_without", declined),
    ]
}

fn same_names(_: &Catalog, fixtures: &[Arc<Fixture>]) -> Checked {
    let folder = folder().with_file_name("remediations");
    let files = std::fs::read_dir(folder).map_err(|e| e.to_string())?.flatten();
    let wanted: BTreeSet<String> =
        files.filter_map(|file| Some(file.path().file_stem()?.to_string_lossy().into_owned())).collect();
    let there: BTreeSet<String> = fixtures.iter().map(|fixture| fixture.name.clone()).collect();
    let odd: Vec<&String> = wanted.symmetric_difference(&there).collect();
    if odd.is_empty() { Ok(()) } else { Err(format!("in one folder only: {odd:?}")) }
}

/// The verdicts that a check has to be seen with, one of each list.
fn wanted(entry: &Entry) -> Vec<&'static [Verdict]> {
    const GOOD: &[Verdict] = &[Verdict::Pass];
    const BAD: &[Verdict] = &[Verdict::Fail];
    const PERSON: &[Verdict] = &[Verdict::Manual];
    match &entry.check {
        // Nobody but a person says what is old.
        Check::Attest { .. }
        | Check::Container(ContainerRule::ImageAge)
        | Check::Swarm(SwarmRule::UnlockKey | SwarmRule::Ca | SwarmRule::DataPlane) => vec![PERSON],
        // The network would be needed to say that a version is current.
        Check::Builtin(Builtin::EngineVersion) => vec![PERSON, BAD],
        // Nor whether a port is needed, the daemon's limits fit, what is kept for a reason, and what is a secret.
        Check::Builtin(Builtin::Rootless | Builtin::ImageSprawl | Builtin::ContainerSprawl)
        | Check::Container(ContainerRule::PublishedPorts | ContainerRule::Ulimits)
        | Check::Image(ImageRule::Secrets)
        | Check::Swarm(SwarmRule::Secrets) => vec![GOOD, PERSON],
        _ => vec![GOOD, BAD],
    }
}

fn good_and_bad(catalog: &Catalog, fixtures: &[Arc<Fixture>]) -> Checked {
    let mut lacking = Vec::new();
    for fixture in fixtures {
        let Some(entry) = entry(catalog, &fixture.name) else { continue };
        for some in wanted(entry) {
            if !fixture.scenarios.iter().any(|scenario| some.contains(&scenario.expect)) {
                lacking.push(format!("{} {some:?}", fixture.name));
            }
        }
    }
    if lacking.is_empty() { Ok(()) } else { Err(format!("no scenario: {}", lacking.join(", "))) }
}

fn slugs(catalog: &Catalog, _: &[Arc<Fixture>]) -> Checked {
    let text = std::fs::read_to_string(folder().join("compat/slugs.txt")).map_err(|e| e.to_string())?;
    let gone: Vec<&str> = text.lines().filter(|slug| catalog.get(slug).is_none()).collect();
    if gone.is_empty() { Ok(()) } else { Err(format!("waivers and reports still name them: {gone:?}")) }
}

fn names(_: &Catalog, fixtures: &[Arc<Fixture>]) -> Checked {
    let mut seen = BTreeSet::new();
    let all = fixtures.iter().flat_map(|fixture| fixture.scenarios.iter().map(move |one| (&fixture.name, &one.name)));
    match all.into_iter().find(|one| !seen.insert(*one)) {
        Some((file, name)) => Err(format!("{file} has two scenarios `{name}`")),
        None => Ok(()),
    }
}

/// Reviewed one by one, icc is shown as harmless since live-restore goes first; that was declined then.
fn declined(catalog: &Catalog, fixtures: &[Arc<Fixture>]) -> Checked {
    let busy = fixtures.iter().flat_map(|fixture| &fixture.scenarios).find(|one| one.name == "one-container");
    let host = world::host(busy.ok_or("no fixture has the scenario one-container")?)?;
    let (entries, policy) = (catalog.entries().collect::<Vec<_>>(), Policy::default());
    let question = Question { entries: &entries, policy: &policy };
    let all = BTreeSet::from(["daemon.live-restore".to_owned(), "daemon.icc".to_owned()]);
    let (both, _) = question.plan(&host, Choice { only: Some(all), ..Choice::default() })?;
    let only = BTreeSet::from(["daemon.icc".to_owned()]);
    let (alone, _) = question.plan(&host, Choice { only: Some(only), ..Choice::default() })?;
    if both.plan.held.is_empty() && alone.plan.is_empty() && alone.plan.held.len() == 1 {
        return Ok(());
    }
    Err(format!("held: {:?} with, {:?} without", both.plan.held, alone.plan.held))
}
