//! One outcome for each image that has a name or that a container uses.

use std::collections::BTreeSet;

use crate::audit::finding::Verdict;
use crate::catalog::ImageRule;
use crate::facts::images::{Instruction, Step};
use crate::facts::{Facts, Health, Image, Known};
use crate::policy::{CONFIG, Policy, registry_of};
use crate::{secret, text};

use super::Outcome;

/// The subject where there is no image to name.
const NONE: &str = "host:this";
/// Names of images that are told in one line.
const TOLD: usize = 12;

/// Judges every image.
pub(super) fn run(rule: ImageRule, facts: &Facts) -> Vec<Outcome> {
    let images = match images(facts) {
        Ok(images) => images,
        Err(outcome) => return vec![*outcome],
    };
    let used = used(facts);
    let judged = images.iter().filter(|image| !image.dangling() || used.contains(image.id.as_str()));
    let outcomes: Vec<Outcome> = judged.map(|image| judge(rule, image)).collect();
    if outcomes.is_empty() { vec![none()] } else { outcomes }
}

/// Something that a person has to say about the images of this host: names those that containers use.
pub(super) fn attest(look_at: &str, facts: &Facts) -> Outcome {
    let outcome = Outcome::new(NONE, Verdict::Manual).expected(look_at);
    let images = match images(facts) {
        Ok([]) => return none().expected(look_at),
        Ok(images) => images,
        // It is for a person anyway.
        Err(unknown) if unknown.verdict == Verdict::Unknown => return outcome.actual(unknown.actual),
        Err(none) => return none.expected(look_at),
    };
    let used = used(facts);
    let names: Vec<&str> = images.iter().filter(|image| used.contains(image.id.as_str())).map(Image::name).collect();
    match names.as_slice() {
        [] => outcome.actual(format!("{}, none of them in use", counted(images.len(), "image"))),
        names => outcome.actual(format!("in use: {}", listed(names))),
    }
    .source("API /images/json and /containers")
}

/// As [`attest`]. Where the site lists its registries, an image in use that was pulled from elsewhere is a finding; one
/// without a digest was built or loaded here.
pub(super) fn origin(look_at: &str, facts: &Facts, policy: &Policy) -> Outcome {
    let outcome = attest(look_at, facts);
    let hosts = policy.registries.hosts();
    let (Ok(images), false) = (&facts.images, hosts.is_empty()) else { return outcome };
    let used = used(facts);
    let pulled = images.iter().filter(|image| used.contains(image.id.as_str()) && !image.digests.is_empty());
    let elsewhere = pulled.filter(|image| !image.digests.iter().any(|digest| policy.registries.hold(digest)));
    let told: Vec<String> = elsewhere
        .map(|image| format!("{} from {}", image.name(), image.digests.first().map_or("?", |name| registry_of(name))))
        .collect();
    if told.is_empty() {
        return outcome;
    }
    let names: Vec<&str> = told.iter().map(String::as_str).collect();
    let outcome = outcome.expected(format!("images from {} alone", hosts.join(", ")));
    outcome.fails(listed(&names)).source(format!("API /images/json and [[registries]] in {CONFIG}"))
}

/// The images, or what there is to say instead.
fn images(facts: &Facts) -> Result<&[Image], Box<Outcome>> {
    match &facts.images {
        Ok(images) => Ok(images),
        // With the daemon down its data root still tells that there are none.
        Err(_) if facts.workload.images.as_ref().is_ok_and(Vec::is_empty) => Err(Box::new(none())),
        Err(why) => Err(Box::new(Outcome::unknown(NONE, why))),
    }
}

fn none() -> Outcome {
    Outcome::not_applicable(NONE, "there is no image")
}

/// Ids of images that a container uses, as far as containers could be read.
pub(super) fn used(facts: &Facts) -> BTreeSet<&str> {
    let containers = facts.workload.each().map(|(read, _)| read).unwrap_or_default();
    containers.iter().map(|container| container.image_id.as_str()).collect()
}

fn judge(rule: ImageRule, image: &Image) -> Outcome {
    let outcome = Outcome::new(format!("image:{}", image.name()), Verdict::Pass).id(image.id.clone());
    let judged = match rule {
        ImageRule::Healthcheck => healthcheck(image, outcome.clone()),
        ImageRule::UpdateAlone => update_alone(image, outcome.clone()),
        ImageRule::Add => add(image, outcome.clone()),
        ImageRule::Secrets => secrets(image, outcome.clone()),
    };
    judged.unwrap_or_else(|why| outcome.verdict(Verdict::Unknown).actual(why.to_string()))
}

fn healthcheck(image: &Image, outcome: Outcome) -> Known<Outcome> {
    let outcome = outcome.expected("a HEALTHCHECK").source("API /images Config.Healthcheck");
    Ok(match image.detail.as_ref().map_err(Clone::clone)?.health {
        Health::Set => outcome.actual("there is one"),
        Health::Missing => outcome.fails("no HEALTHCHECK"),
        Health::Disabled => outcome.fails("HEALTHCHECK NONE"),
    })
}

fn update_alone(image: &Image, outcome: Outcome) -> Known<Outcome> {
    let steps = image.history.as_ref().map_err(Clone::clone)?;
    let alone = found(steps, |step| step.update_alone.clone());
    let outcome = outcome.expected("updates in the same step as what they install").source(HISTORY);
    Ok(if alone.is_empty() { outcome.actual("no update on its own") } else { outcome.fails(alone.join(", ")) })
}

/// ADD is how the root file system of a base image comes in; that is the first step that makes a layer.
fn add(image: &Image, outcome: Outcome) -> Known<Outcome> {
    let steps = image.history.as_ref().map_err(Clone::clone)?;
    let makes_layer = |step: &Step| matches!(step.instruction, Instruction::Run | Instruction::Add | Instruction::Copy);
    let base = steps.iter().position(makes_layer).filter(|at| steps[*at].target.as_deref() == Some("/"));
    let added = steps.iter().enumerate().filter(|(at, step)| step.instruction == Instruction::Add && Some(*at) != base);
    let told = |(at, step): (usize, &Step)| step_at(at, &format!("ADD to {}", step.target.as_deref().unwrap_or("?")));
    let added: Vec<String> = added.map(told).collect();
    let outcome = outcome.expected("COPY instead of ADD").source(HISTORY);
    Ok(if added.is_empty() { outcome.actual("no ADD") } else { outcome.fails(added.join(", ")) })
}

const HISTORY: &str = "API /images history";

/// In names that look like those of secrets: words that make them something else.
const HARMLESS: &[&str] = &["gpg", "public", "pub", "disabled"];
/// What a name ends with that tells where a secret is, or what it would be recognized by.
const ELSEWHERE: &[&str] = &["file", "path", "dir", "url", "uri", "sha256", "sha512", "fingerprint"];

fn secrets(image: &Image, outcome: Outcome) -> Known<Outcome> {
    let env = &image.detail.as_ref().map_err(Clone::clone)?.env;
    let steps = image.history.as_ref().map_err(Clone::clone)?;
    let mut names: Vec<String> = env
        .iter()
        .filter(|name| doubtful(name))
        .map(|name| format!("{} in its environment", text::clean(name)))
        .collect();
    let in_steps = |step: &Step| {
        let names: Vec<String> =
            step.names.iter().filter(|name| doubtful(name)).map(|name| text::clean(name)).collect();
        (!names.is_empty()).then(|| names.join(" and "))
    };
    names.extend(found(steps, in_steps));
    let outcome = outcome.source("API /images Config.Env and history, names only");
    let expected = "no secret in the image";
    Ok(if names.is_empty() {
        outcome.expected(expected).actual("no name that means a secret")
    } else {
        outcome
            .verdict(Verdict::Manual)
            .expected(expected)
            .actual(format!("names that may be one: {}", names.join(", ")))
    })
}

fn doubtful(name: &str) -> bool {
    let words = secret::words(name.trim_start_matches('-'));
    let last = words.last().map_or("", String::as_str);
    // `key=…` alone is the way in which many a build checks a signature; PWD is the working directory.
    let alone = words.len() == 1 && ["key", "pwd"].contains(&last);
    let harmless = ELSEWHERE.contains(&last) || words.iter().any(|word| HARMLESS.contains(&word.as_str()));
    secret::is_secret(name) && !alone && !harmless
}

/// What is found in the steps, each with its number from the oldest.
fn found(steps: &[Step], look: impl Fn(&Step) -> Option<String>) -> Vec<String> {
    steps.iter().enumerate().filter_map(|(at, step)| Some(step_at(at, &look(step)?))).collect()
}

fn step_at(at: usize, what: &str) -> String {
    format!("step {}: {what}", at + 1)
}

/// The first names, and how many more there are.
pub(super) fn listed(names: &[&str]) -> String {
    let told = names.iter().take(TOLD).copied().collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(TOLD) {
        0 => told,
        more => format!("{told} and {more} more"),
    }
}

/// `1 image`, `2 images`.
pub(super) fn counted(count: usize, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_secrets_and_those_that_only_look_like_one() {
        for name in ["DB_PASSWORD", "API_KEY", "apiToken", "--password", "AWS_SECRET_ACCESS_KEY", "MYSQL_PWD"] {
            assert!(doubtful(name), "{name}");
        }
        for name in ["GPG_KEY", "TOKEN_FILE", "PWD", "key", "KEY_SHA256", "PATH", "--disabled-password", "AUTH_URL"] {
            assert!(!doubtful(name), "{name}");
        }
    }

    #[test]
    fn many_names_are_counted() {
        let names = ["a"; TOLD + 2];
        assert!(listed(&names).ends_with("a and 2 more"));
        assert_eq!(listed(&names[..2]), "a, a");
    }
}
