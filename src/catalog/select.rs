//! Which checks a command is about: patterns, profiles and numbers.

use std::collections::BTreeMap;

use wildmatch::WildMatch;

use super::benchmark::{Benchmark, in_group, is_number};
use super::entry::Entry;
use super::load::Catalog;
use super::validate::PROFILES;
use crate::error::{Failure, Kind, Result};

/// What the command line and the config select.
#[derive(Clone, Debug)]
pub struct Selection {
    /// Patterns of `--check`; none: all of the profile.
    pub check: Vec<String>,
    /// Patterns of `--skip`, taken away from the rest.
    pub skip: Vec<String>,
    /// Name of the profile.
    pub profile: String,
    /// Version of the benchmark that bare numbers are read in.
    pub benchmark: String,
}

impl Default for Selection {
    /// Everything.
    fn default() -> Self {
        let benchmark = Benchmark::DEFAULT.version().to_owned();
        Self { check: Vec::new(), skip: Vec::new(), profile: "level-2".to_owned(), benchmark }
    }
}

/// Checks that were selected, in the order of the catalogue.
#[derive(Clone, Debug, Default)]
pub struct Selected<'c> {
    /// The checks.
    pub entries: Vec<&'c Entry>,
    /// What the person should know about how the selection was read; for stderr.
    pub notes: Vec<String>,
}

impl Selected<'_> {
    /// Whether the check is among them.
    #[must_use]
    pub fn has(&self, slug: &str) -> bool {
        self.entries.iter().any(|entry| entry.id == slug)
    }
}

/// The checks of the profile that `check` names and `skip` does not.
///
/// # Errors
/// Usage: a pattern, profile or benchmark that names nothing, or nothing left.
pub fn select<'c>(catalog: &'c Catalog, selection: &Selection) -> Result<Selected<'c>> {
    let benchmark = benchmark(&selection.benchmark)?;
    let profile = Profile::of(catalog, &selection.profile)?;
    let skipped = resolve(catalog, &selection.skip, benchmark)?;
    let mut selected = if selection.check.is_empty() {
        Selected { entries: catalog.entries().collect(), notes: Vec::new() }
    } else {
        resolve(catalog, &selection.check, benchmark)?
    };
    // A pattern means "those of the profile that match"; a check that was named by itself was expected.
    for (entry, _) in selection.check.iter().filter_map(|pattern| find(catalog, pattern, benchmark).ok()) {
        if !profile.has(entry) && !skipped.has(&entry.id) {
            selected.notes.push(format!("{} is not in profile {}: left out", entry.id, selection.profile));
        }
    }
    selected.entries.retain(|entry| profile.has(entry) && !skipped.has(&entry.id));
    selected.notes.extend(skipped.notes);
    selected.notes.dedup();
    if selected.entries.is_empty() {
        let message =
            format!("selection is empty: profile {} holds none of the checks that were named", selection.profile);
        return Err(usage(message).hint("run `seaworthy checks`"));
    }
    Ok(selected)
}

/// The checks that any of the patterns names: a slug (`daemon.icc`), its last part where only one check has it
/// (`content-trust`), a glob (`audit.*`), a number or group of numbers in the benchmark (`2.8`, `2`, `1.1.*`), or the
/// same with a benchmark of its own (`cis-1.6.0:2.8`).
///
/// # Errors
/// Usage: a pattern that names nothing or, being a last part, several checks.
pub fn resolve<'c>(catalog: &'c Catalog, patterns: &[String], benchmark: Benchmark) -> Result<Selected<'c>> {
    let mut named: Vec<&str> = Vec::new();
    let mut notes = Vec::new();
    for pattern in patterns {
        let (entries, note) = one(catalog, pattern, benchmark)?;
        named.extend(entries.iter().map(|entry| entry.id.as_str()));
        notes.extend(note);
    }
    let entries = catalog.entries().filter(|entry| named.contains(&entry.id.as_str())).collect();
    Ok(Selected { entries, notes })
}

/// The one check that the text names, and a note where its number is another check elsewhere.
///
/// # Errors
/// Usage: the text names no check, or several.
pub fn find<'c>(catalog: &'c Catalog, text: &str, benchmark: Benchmark) -> Result<(&'c Entry, Option<String>)> {
    let (entries, note) = one(catalog, text, benchmark)?;
    match entries.as_slice() {
        [entry] => Ok((entry, note)),
        several => Err(usage(format!("`{text}` names {} checks: {}", several.len(), slugs(several))).hint("name one")),
    }
}

/// Reads `1.8.0` or `cis-1.8.0`.
///
/// # Errors
/// Usage: no such benchmark.
fn benchmark(text: &str) -> Result<Benchmark> {
    text.parse().map_err(usage)
}

/// A named selection of checks.
enum Profile<'n> {
    /// Checks up to this level of the benchmark.
    Level(u8),
    /// Checks that name the profile.
    Named(&'n str),
}

impl<'n> Profile<'n> {
    /// # Errors
    /// Usage: no check is in it.
    fn of(catalog: &Catalog, name: &'n str) -> Result<Self> {
        let profile = match name {
            "level-1" => Self::Level(1),
            "level-2" => Self::Level(2),
            // A site's own entries may name profiles of their own.
            _ => Self::Named(name),
        };
        if catalog.entries().any(|entry| profile.has(entry)) {
            return Ok(profile);
        }
        Err(usage(format!("profile `{name}` is not known; there are level-1, level-2, {}", PROFILES.join(", "))))
    }

    fn has(&self, entry: &Entry) -> bool {
        match self {
            Self::Level(level) => entry.level <= *level,
            Self::Named(name) => entry.profiles.iter().any(|own| own == name),
        }
    }
}

fn one<'c>(catalog: &'c Catalog, pattern: &str, benchmark: Benchmark) -> Result<(Vec<&'c Entry>, Option<String>)> {
    if let Some((key, number)) = pattern.split_once(':') {
        let named = key.parse().map_err(usage)?;
        return Ok((by_number(catalog, number, named).ok_or_else(|| no_number(catalog, number, named))?, None));
    }
    if is_number(pattern.trim_end_matches(".*")) {
        let found = by_number(catalog, pattern, benchmark).ok_or_else(|| no_number(catalog, pattern, benchmark))?;
        return Ok((found, moved(catalog, pattern, benchmark)));
    }
    if let Some(entry) = catalog.get(pattern) {
        return Ok((vec![entry], None));
    }
    if pattern.contains(['*', '?']) {
        let glob = WildMatch::new(pattern);
        let found: Vec<&Entry> = catalog.entries().filter(|entry| glob.matches(&entry.id)).collect();
        return if found.is_empty() { Err(unknown(catalog, pattern)) } else { Ok((found, None)) };
    }
    let found: Vec<&Entry> = catalog.entries().filter(|entry| last_part(entry) == pattern).collect();
    match found.len() {
        0 => Err(unknown(catalog, pattern)),
        1 => Ok((found, None)),
        _ => Err(usage(format!("`{pattern}` is ambiguous: {}", slugs(&found)))
            .hint(format!("write its first part too, such as `{}`", found[0].id))),
    }
}

/// The check with this number, or those of the group; `None` when there are none.
fn by_number<'c>(catalog: &'c Catalog, text: &str, benchmark: Benchmark) -> Option<Vec<&'c Entry>> {
    if let Some(entry) = catalog.numbered(benchmark, text) {
        return Some(vec![entry]);
    }
    let group = text.trim_end_matches(".*");
    let inside = |entry: &&Entry| entry.number(benchmark).is_some_and(|number| in_group(number, group));
    let found: Vec<&Entry> = catalog.entries().filter(inside).collect();
    (!found.is_empty()).then_some(found)
}

/// A note when the number is another check in another benchmark: the person may have that one's text at hand.
fn moved(catalog: &Catalog, number: &str, benchmark: Benchmark) -> Option<String> {
    let here = catalog.numbered(benchmark, number)?;
    let mut elsewhere: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for other in Benchmark::ALL {
        let slug = catalog.numbered(other, number).map_or("no check", |entry| &entry.id);
        if slug != here.id {
            elsewhere.entry(slug).or_default().push(other.version());
        }
    }
    let others: Vec<String> =
        elsewhere.iter().map(|(slug, versions)| format!("{slug} in {}", versions.join(" and "))).collect();
    (!others.is_empty())
        .then(|| format!("{number} is read as {} of CIS {benchmark}; it is {}", here.id, others.join(", ")))
}

fn no_number(catalog: &Catalog, number: &str, benchmark: Benchmark) -> Failure {
    let failure = usage(format!("number {number} is not in CIS {benchmark}, or not among the checks of this version"));
    let elsewhere = Benchmark::ALL.into_iter().rev().find_map(|other| Some((other, catalog.numbered(other, number)?)));
    match elsewhere {
        Some((other, entry)) => {
            failure.because(format!("in CIS {other} it is {}", entry.id)).hint(format!("--check {}", entry.id))
        }
        None => failure.hint("run `seaworthy checks`"),
    }
}

/// How alike two names have to be, from 0 to 1, to be worth mentioning.
const ALIKE: f64 = 0.7;

fn unknown(catalog: &Catalog, pattern: &str) -> Failure {
    let likeness = |entry: &Entry| {
        let whole = strsim::jaro_winkler(&entry.id, pattern);
        whole.max(strsim::jaro_winkler(last_part(entry), pattern.rsplit('.').next().unwrap_or(pattern)))
    };
    let mut near: Vec<(f64, &Entry)> = catalog.entries().map(|entry| (likeness(entry), entry)).collect();
    near.retain(|(likeness, _)| *likeness >= ALIKE);
    near.sort_by(|left, right| right.0.total_cmp(&left.0));
    let failure = usage(format!("check `{pattern}` is not in the catalogue")).hint("run `seaworthy checks`");
    if near.is_empty() {
        return failure;
    }
    let names: Vec<&str> = near.iter().take(3).map(|(_, entry)| entry.id.as_str()).collect();
    failure.because(format!("nearest: {}", names.join(", ")))
}

fn last_part(entry: &Entry) -> &str {
    entry.id.rsplit('.').next().unwrap_or(&entry.id)
}

fn slugs(entries: &[&Entry]) -> String {
    entries.iter().map(|entry| entry.id.as_str()).collect::<Vec<_>>().join(", ")
}

fn usage(message: String) -> Failure {
    Failure::of(Kind::Usage, message)
}
