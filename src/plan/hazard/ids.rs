//! The ids that remapped containers run with. They have to be nobody else's: whoever holds the same ones owns the
//! containers' files, and the containers own theirs.

use std::path::Path;
use std::{fmt, io};

use super::{Evidence, Situation};
use crate::host::path;

/// How many ids dockerd gives a user that has none, and where it begins to look for them.
const GIVEN: u64 = 65_536;
const GIVEN_FROM: u64 = 100_000;
/// The kernel has no id from here on.
const NO_ID: u64 = u32::MAX as u64;

/// A line of /etc/subuid or /etc/subgid: this owner may map to these ids.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Range<'t> {
    owner: &'t str,
    first: u64,
    count: u64,
}

impl Range<'_> {
    fn end(&self) -> u64 {
        self.first.saturating_add(self.count)
    }

    fn overlaps(&self, other: &Range) -> bool {
        self.first < other.end() && other.first < self.end()
    }
}

impl fmt::Display for Range<'_> {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{}-{} of {}", self.first, self.end().saturating_sub(1), self.owner)
    }
}

/// Looks whether the ids of `owner` in this file are its own, over all lines of it. `made`: dockerd writes a line where
/// the owner has none. Without the file it neither finds ids nor writes any.
pub(super) fn free(subject: &Situation, file: &str, owner: &str, made: bool, evidence: &mut Evidence) {
    let text = match path::read_text(subject.host, Path::new(file)) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return evidence.name(format!("{file} does not exist: dockerd finds no ids to map to"));
        }
        Err(error) => return evidence.blind(format!("{file}: {error}")),
    };
    let lines = text.lines().map(str::trim).zip(1..).filter(|(line, _)| !line.is_empty() && !line.starts_with('#'));
    let (mut all, mut unread) = (Vec::new(), Vec::new());
    for (line, number) in lines {
        match range(line) {
            Some(range) => all.push(range),
            None => unread.push(number),
        }
    }
    if all.iter().any(|range| range.owner == owner) {
        return shared(file, &all, owner, evidence);
    }
    if !made {
        return evidence.name(format!("{file} has no ids for {owner}: dockerd does not start"));
    }
    // To find free ids dockerd reads all lines, and gives up at one that it cannot read.
    for number in unread {
        evidence.name(format!("{file}:{number} is not `NAME:ID:COUNT`: dockerd finds no ids to map to"));
    }
    let next = next(&all, owner);
    if next.end() > NO_ID {
        evidence.name(format!("{file} has no {GIVEN} ids left for {owner}"));
    }
    all.push(next);
    shared(file, &all, owner, evidence);
}

fn range(line: &str) -> Option<Range<'_>> {
    let (owner, ids) = line.split_once(':')?;
    let (first, count) = ids.split_once(':')?;
    Some(Range { owner, first: first.parse().ok()?, count: count.parse().ok()? })
}

/// Names every range of `owner` that overlaps with another one, be it its own: the kernel refuses such a map.
fn shared(file: &str, all: &[Range], owner: &str, evidence: &mut Evidence) {
    for (at, one) in all.iter().enumerate() {
        for other in &all[at + 1..] {
            let (own, other) = if one.owner == owner { (one, other) } else { (other, one) };
            if own.owner == owner && own.overlaps(other) {
                evidence.name(format!("{file}: the ids {own} are also the ids {other}"));
            }
        }
    }
}

/// The range that dockerd will write: behind those that its begin or its end lies in. One that lies in the middle it
/// does not see (moby `idtools.findNextRangeStart`).
fn next<'t>(all: &[Range], owner: &'t str) -> Range<'t> {
    let mut sorted = all.to_vec();
    sorted.sort_by_key(|range| range.first);
    let first = sorted.iter().fold(GIVEN_FROM, |first, range| {
        let meets = |id: u64| (range.first..=range.end()).contains(&id);
        if meets(first) || meets(first.saturating_add(GIVEN)) { range.end() } else { first }
    });
    Range { owner, first, count: GIVEN }
}
