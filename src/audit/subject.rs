//! Which subjects a person means, with `--subject` or in a waiver.

use std::collections::BTreeMap;

use wildmatch::WildMatch;

use super::probe::Outcome;
use crate::facts::{Container, Facts, Image, short};

/// What patterns are matched with besides the subject itself.
pub(super) struct Subjects<'a> {
    containers: BTreeMap<&'a str, &'a Container>,
    images: BTreeMap<&'a str, &'a Image>,
}

impl<'a> Subjects<'a> {
    pub(super) fn new(facts: &'a Facts) -> Self {
        let containers = facts.workload.each().map(|(read, _)| read).unwrap_or_default();
        let images = facts.images.as_deref().unwrap_or_default();
        Self {
            containers: containers.iter().map(|container| (container.id.as_str(), container)).collect(),
            images: images.iter().map(|image| (image.id.as_str(), image)).collect(),
        }
    }

    /// Whether a pattern matches the subject: as `KIND:NAME`, by name or id; a container also by its image and its
    /// labels (`KEY` or `KEY=VALUE`), an image also by its other tags, its digests and its labels.
    pub(super) fn named(&self, outcome: &Outcome, pattern: &WildMatch) -> bool {
        let subject = outcome.subject.as_str();
        let (kind, name) = subject.split_once(':').unwrap_or(("", subject));
        let id = outcome.subject_id.as_deref().unwrap_or(name);
        let label =
            |(key, value): (&String, &String)| pattern.matches(key) || pattern.matches(&format!("{key}={value}"));
        [subject, name, id, short(id)].iter().any(|text| pattern.matches(text))
            || match kind {
                "container" => self
                    .containers
                    .get(id)
                    .is_some_and(|one| pattern.matches(&one.image) || one.labels.iter().any(label)),
                "image" => self.images.get(id).is_some_and(|one| {
                    one.tags.iter().chain(&one.digests).any(|name| pattern.matches(name))
                        || one.labels.iter().any(label)
                }),
                _ => false,
            }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::Verdict;
    use crate::facts::testing;

    #[test]
    fn a_container_goes_by_name_id_image_and_label() {
        let mut facts = testing::facts();
        let labels = [("tier".to_owned(), "front".to_owned())].into();
        let id = "0123456789abcdef".to_owned();
        let web =
            Container { id: id.clone(), name: "web".into(), image: "nginx:1".into(), labels, ..Container::default() };
        std::sync::Arc::make_mut(&mut facts.workload).containers = Ok(vec![web]);
        let outcome = Outcome::new("container:web", Verdict::Fail).id(id);
        let wanted = |pattern: &str| Subjects::new(&facts).named(&outcome, &WildMatch::new(pattern));
        for pattern in ["web", "container:*", "0123456789ab", "0123*", "nginx:*", "tier", "tier=front"] {
            assert!(wanted(pattern), "{pattern}");
        }
        for pattern in ["we", "image:*", "tier=back", "front"] {
            assert!(!wanted(pattern), "{pattern}");
        }
    }
    #[test]
    fn an_image_goes_by_tag_digest_id_and_label() {
        let mut facts = testing::facts();
        let id = "sha256:0123456789abcdef".to_owned();
        let unread = || crate::facts::Unknown("?".into());
        facts.images = Ok(vec![Image {
            id: id.clone(),
            tags: vec!["web:1".into(), "registry.example/web:1".into()],
            digests: vec!["web@sha256:77".into()],
            labels: [("tier".to_owned(), "front".to_owned())].into(),
            detail: Err(unread()),
            history: Err(unread()),
        }]);
        let outcome = Outcome::new("image:web:1", Verdict::Fail).id(id.clone());
        let wanted = |pattern: &str| Subjects::new(&facts).named(&outcome, &WildMatch::new(pattern));
        for pattern in
            ["web:1", "image:*", "0123456789ab", "sha256:0123*", "registry.example/*", "*@sha256:77", "tier=front"]
        {
            assert!(wanted(pattern), "{pattern}");
        }
        for pattern in ["web", "container:*", "tier=back", "web:2"] {
            assert!(!wanted(pattern), "{pattern}");
        }
    }
}
