//! The catalogue as the rest of the program sees it: every entry, in the order of the newest benchmark.

use std::cmp::Ordering;

use super::benchmark::{Benchmark, compare_numbers};
use super::entry::Entry;
use super::validate::{Origin, Source, read_all, together};
use crate::error::{Failure, Result};

/// `remediations/*.toml`, each with its file name, and the entry that `build.rs` read in it as JSON: every start reads all
/// of them, and TOML takes ten times as long.
const SHIPPED: &[(&str, &str, &str)] = include!(concat!(env!("OUT_DIR"), "/catalog.rs"));

/// All checks that this program knows.
#[derive(Clone, Debug)]
pub struct Catalog {
    sources: Vec<Source>,
}

impl Catalog {
    /// The catalogue in this binary.
    ///
    /// # Panics
    /// Never: the build fails on an entry that cannot be read.
    #[must_use]
    pub fn built_in() -> Self {
        let source = |(file, text, entry): &(&str, &str, &str)| Source {
            entry: serde_json::from_str(entry).expect("build.rs wrote what it had read"),
            file: (*file).to_owned(),
            text: (*text).to_owned(),
        };
        Self::of(SHIPPED.iter().map(source).collect())
    }

    /// Adds a site's own entries, each `(file, text)`.
    ///
    /// # Errors
    /// What is wrong with any of them, each with file and line; a slug or number that is taken counts as wrong.
    pub fn with_site(self, files: impl IntoIterator<Item = (String, String)>) -> Result<Self> {
        let (site, mut problems) = read_all(Origin::Site, files);
        let mut sources = self.sources;
        sources.extend(site);
        for problem in together(&sources) {
            if !problems.contains(&problem) {
                problems.push(problem);
            }
        }
        if problems.is_empty() {
            return Ok(Self::of(sources));
        }
        let failure = Failure::new("the site's own checks cannot be read");
        Err(problems.iter().fold(failure, Failure::because).hint("seaworthy checks --lint FILE"))
    }

    fn of(mut sources: Vec<Source>) -> Self {
        sources.sort_by(|left, right| order(&left.entry, &right.entry));
        Self { sources }
    }

    /// All entries: by number in the newest benchmark, then those without one by slug.
    pub fn entries(&self) -> impl DoubleEndedIterator<Item = &Entry> {
        self.sources.iter().map(|source| &source.entry)
    }

    /// The entry with this slug.
    #[must_use]
    pub fn get(&self, slug: &str) -> Option<&Entry> {
        self.entries().find(|entry| entry.id == slug)
    }

    /// The entry with this number in this benchmark.
    #[must_use]
    pub fn numbered(&self, benchmark: Benchmark, number: &str) -> Option<&Entry> {
        self.entries().find(|entry| entry.number(benchmark) == Some(number))
    }
}

impl Entry {
    /// Its number in this benchmark.
    #[must_use]
    pub fn number(&self, benchmark: Benchmark) -> Option<&str> {
        self.references.get(benchmark.key()).map(String::as_str)
    }
}

fn order(left: &Entry, right: &Entry) -> Ordering {
    match (left.number(Benchmark::DEFAULT), right.number(Benchmark::DEFAULT)) {
        (Some(a), Some(b)) => compare_numbers(a, b),
        (Some(_), None) => Ordering::Less,
        (None, Some(_)) => Ordering::Greater,
        (None, None) => left.id.cmp(&right.id),
    }
}

#[cfg(test)]
mod tests {
    use super::super::validate::read;
    use super::*;

    /// Whoever reads the sources, or lints them, sees the same entries as who runs the program.
    #[test]
    fn what_is_built_in_is_what_the_sources_say() {
        let catalog = Catalog::built_in();
        assert!(catalog.sources.len() > 100);
        for source in &catalog.sources {
            let read = read(Origin::Shipped, &source.file, &source.text).unwrap();
            assert_eq!(format!("{:?}", source.entry), format!("{read:?}"), "{}", source.file);
        }
    }
}
