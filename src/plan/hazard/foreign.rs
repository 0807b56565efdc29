//! Files that something else keeps: what is written there is lost, or is not ours to write.

use std::io;
use std::path::{Path, PathBuf};

use super::{Evidence, Situation};
use crate::catalog::Edit;
use crate::facts::{Install, Known, Unknown};
use crate::host::{FileKind, Host, Stat, path};

/// Read-only trees that a package or image manager fills.
const STORES: [&str; 4] = ["/nix/store", "/gnu/store", "/ostree", "/sysroot/ostree"];
/// `ID` of systems whose configuration comes from elsewhere: a written file is put back, or vanishes at an update.
const IMMUTABLE: [&str; 12] = [
    "nixos",
    "guix",
    "bottlerocket",
    "flatcar",
    "coreos",
    "fedora-coreos",
    "rhcos",
    "opensuse-microos",
    "sle-micro",
    "sl-micro",
    "ubuntu-core",
    "cos",
];
/// Words by which tools claim a file, in lower case.
const CLAIMS: [&str; 8] = [
    "managed by",
    "do not edit",
    "ansible managed",
    "maintained by",
    "automatically generated",
    "puppet",
    "chef",
    "salt",
];
/// A claim stands at the top.
const HEADER_LINES: usize = 20;
/// Nothing with a claim at its top is larger, in bytes.
const LARGEST_TEXT: u64 = 1 << 20;

/// Looks at the host as a whole, then at each file.
pub(super) fn foreign_owner(subject: &Situation, evidence: &mut Evidence) {
    if subject.change.files.is_empty() {
        return;
    }
    whole_host(subject, evidence);
    generated_rules(subject, evidence);
    let mounts = evidence.take(mounts(subject.host)).unwrap_or_default();
    for path in &subject.change.files {
        if subject.change.own_history.contains(path) {
            evidence.name(format!("{}: our last change was put back", path.display()));
        }
        if subject.change.edits.contains(&Edit::AuditNeverTask) {
            evidence.name(format!("{}: switches auditing off, perhaps on purpose", path.display()));
        }
        // Links in its directories too: on some systems `/etc/static` is one.
        match path::resolve_new(subject.host, path) {
            Ok(real) => file(subject, path, &real, &mounts, evidence),
            Err(error) => evidence.blind(error.to_string()),
        }
    }
}

fn whole_host(subject: &Situation, evidence: &mut Evidence) {
    let scope = &subject.facts.scope;
    if IMMUTABLE.contains(&scope.os_id.as_str()) {
        evidence.name(format!("{}: files come from its image or configuration", scope.os_name));
    }
    match subject.host.stat(Path::new("/run/ostree-booted")) {
        Ok(_) => evidence.name("the system is an ostree image"),
        Err(error) if absent(&error) => {}
        Err(error) => evidence.blind(format!("/run/ostree-booted: {error}")),
    }
    if subject.facts.daemon.install == Install::Snap {
        evidence.name("docker is a snap: its files are replaced at each refresh");
    }
    for agent in evidence.known(&subject.workload.agents).into_iter().flatten() {
        evidence.name(format!("{agent} is active"));
    }
}

/// Loading rules.d has augenrules write audit.rules anew.
fn generated_rules(subject: &Situation, evidence: &mut Evidence) {
    let loads = |edit: &Edit| matches!(edit, Edit::AuditWatch { .. } | Edit::AuditNeverTask);
    if !subject.change.edits.iter().any(loads) {
        return;
    }
    let Some(strays) = evidence.known(&subject.facts.audit.strays) else { return };
    let Some(first) = strays.first() else { return };
    let rules = if strays.len() == 1 { "rule that is" } else { "rules that are" };
    evidence.name(format!(
        "{}: {} {rules} in no file of rules.d would be lost, the first in line {}",
        first.file.display(),
        strays.len(),
        first.line
    ));
}

fn file(subject: &Situation, path: &Path, real: &Path, mounts: &[Mount], evidence: &mut Evidence) {
    let host = subject.host;
    // Owner and mode change in place, on all names of a file at once.
    let edits = &subject.change.edits;
    let replaces = edits.is_empty() || edits.iter().any(|edit| !matches!(edit, Edit::FileAccess { .. }));
    let shown = path.display();
    if let Some(store) = STORES.iter().find(|store| real.starts_with(store)) {
        evidence.name(format!("{shown}: a link into {store}"));
        return;
    }
    let stat = match host.stat(real) {
        Ok(stat) => Some(stat),
        Err(error) if absent(&error) => None,
        Err(error) => {
            evidence.blind(format!("{}: {error}", real.display()));
            return;
        }
    };
    mounted(subject, path, real, stat.as_ref(), mounts, evidence);
    let Some(stat) = stat else { return };
    let is_link = host.stat(path).is_ok_and(|stat| matches!(stat.kind, FileKind::Symlink(_)));
    if is_link && stat.uid != 0 {
        // A link is followed only to what root alone can replace.
        evidence.name(format!("{shown}: a link to {}, which belongs to user {}", real.display(), stat.uid));
    }
    if stat.kind != FileKind::File {
        return;
    }
    if stat.nlink > 1 && replaces {
        evidence.name(format!("{shown}: has {} names (hard links); a new file would take only one", stat.nlink));
    }
    if can_have_comments(real) && stat.size <= LARGEST_TEXT {
        header(host, path, real, evidence);
    }
}

/// What the file system below it says.
fn mounted(s: &Situation, path: &Path, real: &Path, stat: Option<&Stat>, mounts: &[Mount], evidence: &mut Evidence) {
    let shown = path.display();
    // The last of several mounts on one point is the one that is seen, and the one that `max_by_key` takes.
    let Some(mount) = mounts.iter().filter(|m| real.starts_with(&m.point)).max_by_key(|m| m.point.components().count())
    else {
        return;
    };
    if mount.point == real && stat.is_some_and(|stat| stat.kind == FileKind::File) {
        evidence.name(format!("{shown}: a bind mount, which cannot be replaced"));
        return;
    }
    if mount.read_only {
        evidence.name(format!("{shown}: its file system {} is read-only", mount.point.display()));
    }
    // What lives in /run is made anew at each boot anyway.
    let volatile_by_design = ["/run", "/dev", "/proc", "/sys", "/tmp"].iter().any(|top| real.starts_with(top));
    if !volatile_by_design && mount.vanishes(mounts, s.facts.scope.initial_pid_namespace) {
        evidence.name(format!("{shown}: {} is {}: gone at the next boot", mount.point.display(), mount.kind));
    }
}

fn can_have_comments(path: &Path) -> bool {
    // JSON has none: whoever generates daemon.json cannot claim it in the file. Keys and certificates have none either,
    // and a key is not read without need.
    let extension = path.extension().and_then(std::ffi::OsStr::to_str).unwrap_or_default();
    !["json", "pem", "key", "crt", "cert"].contains(&extension)
}

fn header(host: &dyn Host, path: &Path, real: &Path, evidence: &mut Evidence) {
    let bytes = match host.read(real) {
        Ok(bytes) => bytes,
        Err(error) => return evidence.blind(format!("{}: {error}", real.display())),
    };
    // A binary has no lines; the little that is decoded of one matches nothing.
    let text = String::from_utf8_lossy(bytes.get(..16384).unwrap_or(&bytes)).to_lowercase();
    for (number, line) in text.lines().take(HEADER_LINES).enumerate() {
        let comment = line.trim_start();
        let claims = |claim: &&&str| has_words(comment, claim);
        if comment.starts_with(['#', ';'])
            && !comment.contains("seaworthy")
            && CLAIMS.iter().any(|claim| claims(&claim))
        {
            evidence.name(format!("{}: line {} says that something else keeps it", path.display(), number + 1));
            return;
        }
    }
}

/// Whether the words stand alone in the line: `salt` is not in `basalt`.
fn has_words(line: &str, words: &str) -> bool {
    let outside = |c: Option<char>| c.is_none_or(|c| !c.is_alphanumeric());
    line.match_indices(words)
        .any(|(at, _)| outside(line[..at].chars().next_back()) && outside(line[at + words.len()..].chars().next()))
}

/// One line of mountinfo.
#[derive(Clone, Debug)]
struct Mount {
    point: PathBuf,
    kind: String,
    read_only: bool,
    options: String,
}

impl Mount {
    fn vanishes(&self, all: &[Mount], outermost: bool) -> bool {
        match self.kind.as_str() {
            "tmpfs" | "ramfs" => true,
            // An overlay is as lasting as its upper directory, whose path is that of whoever mounted it: in a
            // container it is one of the host, and says nothing.
            "overlay" => {
                let upper = self.options.split(',').find_map(|option| option.strip_prefix("upperdir="));
                let below = upper.and_then(|upper| {
                    all.iter()
                        .filter(|m| Path::new(upper).starts_with(&m.point))
                        .max_by_key(|m| m.point.components().count())
                });
                outermost && below.is_some_and(|mount| ["tmpfs", "ramfs"].contains(&mount.kind.as_str()))
                    || self.point.starts_with("/etc")
            }
            _ => false,
        }
    }
}

fn mounts(host: &dyn Host) -> Known<Vec<Mount>> {
    if host.offline() {
        // An image that does not run has nothing mounted in it.
        return Ok(Vec::new());
    }
    let path = "/proc/self/mountinfo";
    let bytes = host.read(Path::new(path)).map_err(|error| Unknown(format!("{path}: {error}")))?;
    Ok(String::from_utf8_lossy(&bytes).lines().filter_map(mount).collect())
}

fn mount(line: &str) -> Option<Mount> {
    let (before, after) = line.split_once(" - ")?;
    let before: Vec<&str> = before.split(' ').collect();
    let mut after = after.split(' ');
    let (kind, _source, options) = (after.next()?, after.next()?, after.next().unwrap_or_default());
    let read_only = |options: &str| options.split(',').any(|option| option == "ro");
    Some(Mount {
        // The kernel writes space, tab, newline and backslash in octal.
        point: before
            .get(4)?
            .replace("\\040", " ")
            .replace("\\011", "\t")
            .replace("\\012", "\n")
            .replace("\\134", "\\")
            .into(),
        kind: kind.to_owned(),
        read_only: read_only(before.get(5)?) || read_only(options),
        options: options.to_owned(),
    })
}

fn absent(error: &io::Error) -> bool {
    [io::ErrorKind::NotFound, io::ErrorKind::NotADirectory].contains(&error.kind())
}
