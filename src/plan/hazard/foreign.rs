//! Files that something else keeps: what is written there is lost, or is not ours to write.

use std::io;
use std::path::Path;

use super::fixed::{LARGEST_TEXT, fixed};
use super::{Evidence, Situation};
use crate::catalog::Edit;
use crate::facts::{Install, Mount};
use crate::host::{FileKind, Host, Stat, path};
use crate::plan::compose;

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

/// Looks at the host as a whole, then at each file.
pub(super) fn foreign_owner(subject: &Situation, evidence: &mut Evidence) {
    if subject.change.files.is_empty() {
        return;
    }
    whole_host(subject, evidence);
    version_control(subject, evidence);
    generated_rules(subject, evidence);
    let mounts = evidence.known(&subject.facts.mounts).map(|mounts| &**mounts).unwrap_or_default();
    for path in &subject.change.files {
        if subject.change.own_history.contains(path) {
            evidence.name(format!("{}: our last change was put back", path.display()));
        }
        if subject.change.edits.contains(&Edit::AuditNeverTask) {
            evidence.name(format!("{}: switches auditing off, perhaps on purpose", path.display()));
        }
        // Links in its directories too: on some systems `/etc/static` is one.
        match path::resolve_new(subject.host, path) {
            Ok(real) => file(subject, path, &real, mounts, evidence),
            Err(error) => evidence.blind(error.to_string()),
        }
    }
}

/// A compose file that is kept under version control: whoever deploys next would overwrite the change, or be stopped by it.
fn version_control(subject: &Situation, evidence: &mut Evidence) {
    for file in compose::targets(&subject.change.composed) {
        match compose::work_tree(subject.host, &file) {
            Ok(Some(tree)) => evidence.name(format!("{}: in the git work tree {}", file.display(), tree.display())),
            Ok(None) => {}
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
        Ok(_) => evidence.name("the system is an ostree image: what is in it comes from its build"),
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
    let shown = path.display();
    let stat = match host.stat(real) {
        Ok(stat) => Some(stat),
        Err(error) if absent(&error) => None,
        Err(error) => {
            evidence.blind(format!("{}: {error}", real.display()));
            return;
        }
    };
    if let Some(fixed) = fixed(subject, path, real, stat.as_ref(), mounts) {
        evidence.name(fixed.why);
        return;
    }
    mounted(subject, path, real, stat.as_ref(), mounts, evidence);
    let Some(stat) = stat else { return };
    let is_link = host.stat(path).is_ok_and(|stat| matches!(stat.kind, FileKind::Symlink(_)));
    if is_link && stat.uid != 0 {
        // A link is followed only to what root alone can replace.
        evidence.name(format!("{shown}: a link to {}, which belongs to user {}", real.display(), stat.uid));
    }
    if stat.kind == FileKind::File && can_have_comments(real) && stat.size <= LARGEST_TEXT {
        header(host, path, real, evidence);
    }
}

/// What the file system below it says.
fn mounted(s: &Situation, path: &Path, real: &Path, stat: Option<&Stat>, mounts: &[Mount], evidence: &mut Evidence) {
    let shown = path.display();
    let Some(mount) = Mount::of(mounts, real) else { return };
    if mount.point == real && stat.is_some_and(|stat| stat.kind == FileKind::File) {
        evidence.name(format!("{shown}: a bind mount of a file that is kept elsewhere"));
        return;
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

fn absent(error: &io::Error) -> bool {
    [io::ErrorKind::NotFound, io::ErrorKind::NotADirectory].contains(&error.kind())
}
