//! Reads entries and says what is wrong with them, with file, line and column.
//!
//! `build.rs` runs it over `remediations/`, so a malformed entry never gets into a binary; the library runs it over a
//! site's own entries and behind `checks --lint`.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;

use toml_edit::{Document, Item};

use super::benchmark::{Benchmark, is_number};
use super::entry::{Builtin, Check, Edit, Entry};

/// First words of slugs.
pub const SECTIONS: &[&str] = &["host", "audit", "daemon", "file", "image", "container", "operations", "swarm"];

/// Profiles that entries name. `level-1` and `level-2` follow from the level.
pub const PROFILES: &[&str] = &["lab"];

/// Where an entry comes from; the catalogue's own are held to a file name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// `remediations/`, embedded in the binary.
    Shipped,
    /// `/etc/seaworthy/remediations.d/`.
    Site,
}

/// One thing that is wrong with an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The file, as it was named to us.
    pub file: String,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// What is wrong.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}: {}", self.file, self.line, self.column, self.message)
    }
}

/// An entry with the text that it was read from.
#[derive(Clone, Debug)]
pub struct Source {
    /// The file, as it was named to us.
    pub file: String,
    /// Its text.
    pub text: String,
    /// What it holds.
    pub entry: Entry,
}

/// Reads entries, each `(file, text)`, and everything that is wrong with any of them.
pub fn read_all(origin: Origin, files: impl IntoIterator<Item = (String, String)>) -> (Vec<Source>, Vec<Problem>) {
    let (mut sources, mut problems) = (Vec::new(), Vec::new());
    for (file, text) in files {
        match read(origin, &file, &text) {
            Ok(entry) => sources.push(Source { file, text, entry }),
            Err(found) => problems.extend(found),
        }
    }
    problems.extend(together(&sources));
    (sources, problems)
}

/// Reads one entry.
///
/// # Errors
/// Everything that is wrong with it.
pub fn read(origin: Origin, file: &str, text: &str) -> Result<Entry, Vec<Problem>> {
    let problem = |span: Option<Range<usize>>, message: &str| {
        let (line, column) = line_column(text, span.map_or(0, |span| span.start));
        Problem { file: file.to_owned(), line, column, message: message.trim_end().replace('\n', "; ") }
    };
    let mut entry: Entry =
        toml_edit::de::from_str(text).map_err(|error| vec![problem(error.span(), error.message())])?;
    let document = Document::parse(text).map_err(|error| vec![problem(error.span(), error.message())])?;
    let mut faults = Faults::default();
    identity(&entry, origin, file, &mut faults);
    references(&entry, &mut faults);
    prose(&entry, &mut faults);
    decision(&entry, &mut faults);
    edits(&entry, &mut faults);
    if faults.0.is_empty() {
        unfold(&mut entry);
        return Ok(entry);
    }
    Err(faults.0.iter().map(|(path, message)| problem(span_of(document.as_item(), path), message)).collect())
}

/// What is wrong between entries: a slug or a number that two of them claim.
#[must_use]
pub fn together(sources: &[Source]) -> Vec<Problem> {
    let (mut claimed, mut problems) = (BTreeMap::new(), Vec::new());
    for Source { file, text, entry } in sources {
        let numbers =
            entry.references.iter().map(|(key, number)| (format!("number {number} of {key}"), vec!["references", key]));
        for (what, path) in std::iter::once((format!("id `{}`", entry.id), vec!["id"])).chain(numbers) {
            let Some(other) = claimed.insert(what.clone(), file) else { continue };
            let path: Vec<String> = path.into_iter().map(str::to_owned).collect();
            let span = Document::parse(text.as_str()).ok().and_then(|document| span_of(document.as_item(), &path));
            let (line, column) = line_column(text, span.map_or(0, |span| span.start));
            problems.push(Problem { file: file.clone(), line, column, message: format!("{what} is taken by {other}") });
        }
    }
    problems
}

/// Faults found, each with the path of keys that it is about.
#[derive(Default)]
struct Faults(Vec<(Vec<String>, String)>);

impl Faults {
    fn add(&mut self, path: &[&str], message: impl Into<String>) {
        self.0.push((path.iter().map(|key| (*key).to_owned()).collect(), message.into()));
    }

    fn require(&mut self, holds: bool, path: &[&str], message: impl Into<String>) {
        if !holds {
            self.add(path, message);
        }
    }
}

fn identity(entry: &Entry, origin: Origin, file: &str, faults: &mut Faults) {
    let word = |text: &str| {
        let bytes = text.as_bytes();
        bytes.first().is_some_and(u8::is_ascii_lowercase)
            && bytes.iter().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || *byte == b'-')
    };
    let Some((section, name)) = entry.id.split_once('.') else {
        return faults.add(&["id"], format!("`{}` is not of the form `section.name`", entry.id));
    };
    faults.require(
        SECTIONS.contains(&section),
        &["id"],
        format!("`{section}` is not a section; there are {}", SECTIONS.join(", ")),
    );
    faults.require(word(name), &["id"], format!("`{name}` is not lower case, digits and hyphens"));
    faults.require((1..=2).contains(&entry.level), &["level"], "a level is 1 or 2");
    for (index, profile) in entry.profiles.iter().enumerate() {
        let known = origin == Origin::Site && word(profile) || PROFILES.contains(&profile.as_str());
        faults.require(
            known,
            &["profiles", &index.to_string()],
            format!("`{profile}` is not a profile; there is {}", PROFILES.join(", ")),
        );
    }
    // Sites name their files as they like; ours are found by number.
    let number = entry.references.get(Benchmark::DEFAULT.key()).map_or(section, String::as_str);
    let wanted = format!("{number}-{name}.toml");
    let given = file.rsplit('/').next().unwrap_or(file);
    faults.require(origin == Origin::Site || given == wanted, &["id"], format!("its file has to be named `{wanted}`"));
}

fn references(entry: &Entry, faults: &mut Faults) {
    for (key, number) in &entry.references {
        let path = ["references", key.as_str()];
        let known: Vec<&str> = Benchmark::ALL.iter().map(|benchmark| benchmark.key()).collect();
        faults.require(
            Benchmark::of_key(key).is_some(),
            &path,
            format!("`{key}` is not a benchmark; there are {}", known.join(", ")),
        );
        faults.require(is_number(number), &path, format!("`{number}` is not a number such as 2.10"));
    }
}

fn prose(entry: &Entry, faults: &mut Faults) {
    let plain = |text: &str| !text.trim().is_empty() && !text.ends_with('.') && !text.contains('\n');
    faults.require(plain(&entry.title), &["title"], "a title is one line without a full stop");
    faults.require(
        plain(&entry.remediation.title),
        &["remediation", "title"],
        "a title is one line without a full stop",
    );
    faults.require(!entry.rationale.trim().is_empty(), &["rationale"], "says nothing");
    faults.require(!entry.impact.trim().is_empty(), &["impact"], "says nothing");
}

fn decision(entry: &Entry, faults: &mut Faults) {
    match &entry.check {
        Check::AuditWatch { perm, .. } => permissions(perm, &["check", "audit-watch", "perm"], faults),
        Check::FileAccess { owner, group, mode, .. } => {
            let path = ["check", "file-access"];
            faults.require(
                owner.is_some() || group.is_some() || mode.is_some(),
                &path,
                "judges neither owner, group nor mode",
            );
            octal(mode.as_deref(), &[path[0], path[1], "mode"], faults);
        }
        Check::DaemonSetting { .. }
        | Check::Environment { .. }
        | Check::Attest { .. }
        | Check::Container(_)
        | Check::Image(_)
        | Check::Swarm(_)
        | Check::Builtin(_) => {}
    }
    let wants_releases = matches!(entry.check, Check::Builtin(Builtin::EngineVersion));
    match &entry.releases {
        None if wants_releases => faults.add(&["check"], "`engine-version` needs a table `[releases]`"),
        Some(_) if !wants_releases => faults.add(&["releases"], "only `engine-version` has a table of releases"),
        Some(releases) => {
            let newest_first = releases.branches.windows(2).all(|pair| pair[0].major > pair[1].major);
            faults.require(
                newest_first && !releases.branches.is_empty(),
                &["releases", "branches"],
                "branches stand newest first",
            );
        }
        None => {}
    }
}

fn edits(entry: &Entry, faults: &mut Faults) {
    let remediation = &entry.remediation;
    faults.require(
        !remediation.edits.is_empty() || !remediation.advice.is_empty(),
        &["remediation"],
        "writes nothing and advises nothing",
    );
    for (index, edit) in remediation.edits.iter().enumerate() {
        let index = index.to_string();
        let path = ["remediation", "edits", index.as_str()];
        match edit {
            Edit::AuditWatch { perm, .. } => permissions(perm, &[&path[..], &["audit-watch", "perm"]].concat(), faults),
            Edit::FileAccess { mode, .. } => {
                octal(mode.as_deref(), &[&path[..], &["file-access", "mode"]].concat(), faults);
            }
            Edit::DaemonSetting { .. }
            | Edit::DaemonSettingRemove { .. }
            | Edit::Environment { .. }
            | Edit::Auditd
            | Edit::AuditNeverTask => {}
            Edit::Compose(edit) if edit.is_kept_live() => faults.require(
                remediation.edits.iter().any(|other| matches!(other, Edit::Container(_))),
                &path,
                "keeps what a change of the running container does, and there is none",
            ),
            Edit::Container(_) | Edit::Compose(_) => faults.require(
                matches!(entry.check, Check::Container(_)),
                &path,
                "changes failing containers, and the check is not about containers",
            ),
            Edit::Swarm(_) => faults.require(
                matches!(entry.check, Check::Swarm(_)),
                &path,
                "changes the swarm, and the check is not about it",
            ),
        }
    }
}

fn permissions(perm: &str, path: &[&str], faults: &mut Faults) {
    faults.require(matches!(perm, "wa" | "wax"), path, format!("`{perm}` is not `wa` or `wax`"));
}

fn octal(mode: Option<&str>, path: &[&str], faults: &mut Faults) {
    let Some(mode) = mode else { return };
    let valid = mode.len() == 4 && mode.bytes().all(|byte| (b'0'..=b'7').contains(&byte));
    faults.require(valid, path, format!("`{mode}` is not an octal mode of four digits such as 0644"));
}

/// Takes the line breaks out of the prose: where a line of the file ends says nothing. Blank lines part paragraphs.
fn unfold(entry: &mut Entry) {
    let texts = [&mut entry.rationale, &mut entry.impact].into_iter().chain(&mut entry.remediation.undo);
    for text in texts {
        let paragraphs: Vec<String> =
            text.split("\n\n").map(|part| part.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
        *text = paragraphs.join("\n\n");
    }
}

/// Where the deepest key of the path that exists is written.
fn span_of(item: &Item, path: &[String]) -> Option<Range<usize>> {
    let inside = path.first().and_then(|key| {
        let value = key.parse::<usize>().ok().and_then(|index| item.get(index)).or_else(|| item.get(key.as_str()))?;
        span_of(value, &path[1..])
    });
    inside.or_else(|| item.span())
}

/// Line and column, from 1, of a byte of the text.
fn line_column(text: &str, offset: usize) -> (usize, usize) {
    let before = text.get(..offset).unwrap_or(text);
    let start = before.rfind('\n').map_or(0, |end| end + 1);
    (before.matches('\n').count() + 1, before[start..].chars().count() + 1)
}
