//! Which subjects a person asked for with `--subject`.

use std::collections::BTreeMap;

use wildmatch::WildMatch;

use super::probe::Outcome;
use crate::facts::{Container, Facts, short};

/// Patterns, and what they are matched with besides the subject itself.
pub(super) struct Subjects<'a> {
    patterns: Vec<WildMatch>,
    containers: BTreeMap<&'a str, &'a Container>,
}

impl<'a> Subjects<'a> {
    pub(super) fn new(patterns: &[String], facts: &'a Facts) -> Self {
        let containers = facts.workload.each().map(|(read, _)| read).unwrap_or_default();
        Self {
            patterns: patterns.iter().map(|pattern| WildMatch::new(pattern)).collect(),
            containers: containers.iter().map(|container| (container.id.as_str(), container)).collect(),
        }
    }

    /// Whether a pattern matches the subject: as `KIND:NAME`, by name or id; a container also by its image and its
    /// labels (`KEY` or `KEY=VALUE`). Without patterns every subject is wanted.
    pub(super) fn wanted(&self, outcome: &Outcome) -> bool {
        if self.patterns.is_empty() {
            return true;
        }
        let subject = outcome.subject.as_str();
        let (kind, name) = subject.split_once(':').unwrap_or(("", subject));
        let id = outcome.subject_id.as_deref().unwrap_or(name);
        let named = self.matches(subject) || self.matches(name) || self.matches(id) || self.matches(short(id));
        named || kind == "container" && self.containers.get(id).is_some_and(|container| self.of(container))
    }

    fn of(&self, container: &Container) -> bool {
        let label = |(key, value): (&String, &String)| self.matches(key) || self.matches(&format!("{key}={value}"));
        self.matches(&container.image) || container.labels.iter().any(label)
    }

    fn matches(&self, text: &str) -> bool {
        self.patterns.iter().any(|pattern| pattern.matches(text))
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
        let wanted = |pattern: &str| Subjects::new(&[pattern.to_owned()], &facts).wanted(&outcome);
        for pattern in ["web", "container:*", "0123456789ab", "0123*", "nginx:*", "tier", "tier=front"] {
            assert!(wanted(pattern), "{pattern}");
        }
        for pattern in ["we", "image:*", "tier=back", "front"] {
            assert!(!wanted(pattern), "{pattern}");
        }
        assert!(Subjects::new(&[], &facts).wanted(&outcome));
    }
}
