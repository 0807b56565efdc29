//! Audit rules of our own, and the tmpfiles.d entries that keep them alive at boot.
//!
//! One rule whose parent directory is missing stops all later ones, other people's too; one that is there twice does
//! the same. So a path gets one rule, and no control lines (`-D`, `-e`, `-b`, `-f`) are ever written.

use super::{line_end, terminated};
use crate::error::{Failure, Result};
use crate::facts::{AuditRule, audit_rules};
use crate::mode;

/// Our rules file on hosts that have rules.d.
pub const RULES_PATH: &str = "/etc/audit/rules.d/50-seaworthy-docker.rules";
/// The rules file of hosts without rules.d.
pub const PLAIN_PATH: &str = "/etc/audit/audit.rules";
/// Our tmpfiles.d file.
pub const TMPFILES_PATH: &str = "/etc/tmpfiles.d/seaworthy-docker.conf";

/// Begins with a line end: augenrules joins the files as they are, and the one before may lack its last.
const RULES_HEADER: &str = "
# Written by seaworthy: what Docker is made of, watched for writes and changed attributes.
# `seaworthy rollback` takes it back.
";
const TMPFILES_HEADER: &str = "\
# Written by seaworthy: directories that have to be there before the audit rules are loaded at boot.
# `seaworthy rollback` takes it back.
";

/// A directory that has to exist at boot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TmpDir {
    /// The directory.
    pub dir: String,
    /// Its permission bits.
    pub mode: u32,
    /// Name of the owner.
    pub user: String,
    /// Name of the group.
    pub group: String,
}

/// Adds watches, each a path and permissions, to our own rules file: a path that is watched there already gets the
/// missing permissions in its line, others are appended in the order given.
///
/// # Errors
/// A path that a watch cannot name, or permissions other than `r`, `w`, `x` and `a`.
pub fn add_watches<P: AsRef<str>, M: AsRef<str>>(existing: Option<&str>, watches: &[(P, M)]) -> Result<String> {
    let mut text = own(existing, RULES_HEADER);
    for (path, perm) in checked(watches)? {
        text = widened(&text, path, perm).unwrap_or_else(|| appended(&text, path, perm));
    }
    Ok(text)
}

/// Appends watches to a rules file that is not ours: its lines stay, and a path that is watched enough already gets
/// no rule.
///
/// # Errors
/// As [`add_watches`].
pub fn append_to_plain<P: AsRef<str>, M: AsRef<str>>(existing: Option<&str>, watches: &[(P, M)]) -> Result<String> {
    let mut text = existing.unwrap_or_default().to_owned();
    for (path, perm) in checked(watches)? {
        let covered = text
            .lines()
            .filter_map(watch_of)
            .any(|(watched, have)| same(&watched, path) && missing(&have, perm).is_empty());
        if !covered {
            text = appended(&terminated(&text), path, perm);
        }
    }
    Ok(text)
}

/// Adds directories to our own tmpfiles.d file; a directory that is there gets the mode and owner given.
///
/// # Errors
/// A directory whose name has blanks or a `%`, which tmpfiles.d would expand.
pub fn tmpfiles(existing: Option<&str>, entries: &[TmpDir]) -> Result<String> {
    let mut text = own(existing, TMPFILES_HEADER);
    for entry in entries {
        if !speakable(&entry.dir) || entry.dir.contains('%') {
            return Err(Failure::new(format!("`{}`: tmpfiles.d cannot name this directory", entry.dir)));
        }
        let line = format!("d {} {} {} {} -", entry.dir, mode::text(entry.mode), entry.user, entry.group);
        let is_same = |old: &str| {
            let mut words = old.split_whitespace();
            words.next() == Some("d") && words.next().is_some_and(|dir| same(dir, &entry.dir))
        };
        text = replace_line(&text, is_same, &line).unwrap_or_else(|| [&text, line.as_str(), line_end(&text)].concat());
    }
    Ok(text)
}

fn own(existing: Option<&str>, header: &str) -> String {
    match existing {
        Some(text) if !text.trim().is_empty() => terminated(text),
        _ => header.to_owned(),
    }
}

/// The path and the permissions of a line that watches one path, in whatever form; the kernel makes the same rule of
/// them. A rule with further conditions sees less than a watch does and is none.
fn watch_of(line: &str) -> Option<(String, String)> {
    match audit_rules::parse(line)? {
        AuditRule::Watch { path, perm, .. } => Some((path, perm)),
        AuditRule::Other(_) => None,
    }
}

/// The text with the permissions of that path's watch widened; `None`: no such watch, or none that can be.
fn widened(text: &str, path: &str, perm: &str) -> Option<String> {
    let watches = || text.lines().filter(|line| watch_of(line).is_some_and(|(watched, _)| same(&watched, path)));
    let lacks = |line: &str| watch_of(line).map_or_else(String::new, |(_, have)| missing(&have, perm));
    if watches().any(|line| lacks(line).is_empty()) {
        return Some(text.to_owned());
    }
    let old = watches().find(|line| line.trim_start().starts_with("-w"))?;
    // Behind the path, so that a path of that name is not taken for it.
    let mut words = old.split_whitespace().skip(2).skip_while(|word| *word != "-p").skip(1);
    let perms = words.next().filter(|perms| missing("rwxa", perms).is_empty())?;
    let perm_end = perms.as_ptr() as usize + perms.len() - old.as_ptr() as usize;
    let line = [&old[..perm_end], &lacks(old), &old[perm_end..]].concat();
    let fits = watch_of(&line).is_some_and(|(_, have)| missing(&have, perm).is_empty());
    if fits { replace_line(text, |line| std::ptr::eq(line, old), &line) } else { None }
}

fn appended(text: &str, path: &str, perm: &str) -> String {
    [text, &format!("-w {path} -p {perm} -k docker"), line_end(text)].concat()
}

/// Replaces the first line that matches, its line end kept.
fn replace_line(text: &str, matches: impl Fn(&str) -> bool, with: &str) -> Option<String> {
    let old = text.lines().find(|line| matches(line))?;
    let start = old.as_ptr() as usize - text.as_ptr() as usize;
    Some([&text[..start], with, &text[start + old.len()..]].concat())
}

/// auditctl drops slashes at the end of a path.
fn same(a: &str, b: &str) -> bool {
    a.trim_end_matches('/') == b.trim_end_matches('/')
}

/// The permissions of `wanted` that `have` lacks.
fn missing(have: &str, wanted: &str) -> String {
    wanted.chars().filter(|perm| !have.contains(*perm)).collect()
}

fn checked<P: AsRef<str>, M: AsRef<str>>(watches: &[(P, M)]) -> Result<Vec<(&str, &str)>> {
    watches
        .iter()
        .map(|(path, perm)| {
            let (path, perm) = (path.as_ref(), perm.as_ref());
            if !speakable(path) {
                // auditctl splits its rules at blanks and knows no quoting.
                return Err(Failure::new(format!("`{path}`: an audit watch cannot name this path")));
            }
            if perm.is_empty() || !missing("rwxa", perm).is_empty() {
                return Err(Failure::new(format!("`{perm}`: these are not permissions of an audit watch")));
            }
            Ok((path, perm))
        })
        .collect()
}

/// An absolute path without blanks and control characters.
fn speakable(path: &str) -> bool {
    path.starts_with('/') && !path.contains(|c: char| c.is_whitespace() || c.is_control())
}

#[cfg(test)]
mod tests {
    use super::{RULES_HEADER, TMPFILES_HEADER, TmpDir, add_watches, append_to_plain, tmpfiles};

    #[test]
    fn writes_a_file_of_its_own() {
        let text = add_watches(None, &[("/usr/bin/dockerd", "wa"), ("/etc/docker", "wa")]).unwrap();
        assert_eq!(
            text,
            format!("{RULES_HEADER}-w /usr/bin/dockerd -p wa -k docker\n-w /etc/docker -p wa -k docker\n")
        );
        assert_eq!(add_watches(Some(&text), &[("/etc/docker/", "w")]).unwrap(), text);
        assert!(text.lines().all(|line| line.is_empty() || line.starts_with('#') || line.starts_with("-w ")));
        assert!(text.starts_with('\n'), "the file before may lack its last line end");
    }

    #[test]
    fn a_path_gets_one_rule_with_all_permissions() {
        let text = add_watches(None, &[("/a", "wa"), ("/b", "wa"), ("/a", "wax")]).unwrap();
        assert_eq!(text, format!("{RULES_HEADER}-w /a -p wax -k docker\n-w /b -p wa -k docker\n"));
        let odd = "-w /pa/-p  -p w -k docker\n-a always,exit -F dir=/etc/docker -F perm=wa -F key=docker";
        assert_eq!(
            add_watches(Some(odd), &[("/pa/-p", "wa"), ("/etc/docker", "wa")]).unwrap(),
            "-w /pa/-p  -p wa -k docker\n-a always,exit -F dir=/etc/docker -F perm=wa -F key=docker\n"
        );
        assert_eq!(add_watches(Some("-w /a -p w -k my-p\n"), &[("/a", "wa")]).unwrap(), "-w /a -p wa -k my-p\n");
        // What auditctl takes for no rule is none here: options before what they are for.
        let wrong = "-p w -w /a\nx -F path=/a -F perm=wa\n";
        assert_eq!(add_watches(Some(wrong), &[("/a", "wa")]).unwrap(), format!("{wrong}-w /a -p wa -k docker\n"));
        // Permissions twice: the last ones count, and what cannot be widened gets a rule beside it.
        let twice = "-w /a -p w -p r\n-w /b -p -p w\n";
        let rules = "-w /a -p wa -k docker\n-w /b -p x -k docker\n";
        assert_eq!(add_watches(Some(twice), &[("/a", "wa"), ("/b", "x")]).unwrap(), format!("{twice}{rules}"));
        // A watch without permissions sees everything.
        assert_eq!(add_watches(Some("-w /a\n"), &[("/a", "wa")]).unwrap(), "-w /a\n");
    }

    #[test]
    fn a_rule_with_conditions_is_no_watch() {
        let text = "-a always,exit -F path=/a -F perm=wa -F auid>=1000 -k x\n-a always,exit -F arch=b32 -F path=/a -F perm=wa\n";
        assert_eq!(add_watches(Some(text), &[("/a", "wa")]).unwrap(), format!("{text}-w /a -p wa -k docker\n"));
    }

    #[test]
    fn appends_to_the_plain_file_on_a_line_of_its_own() {
        assert_eq!(
            append_to_plain(Some("-D\n-w /a -p w -k x\n-w /b -p rwxa"), &[("/a", "wa"), ("/b", "wa")]).unwrap(),
            "-D\n-w /a -p w -k x\n-w /b -p rwxa\n-w /a -p wa -k docker\n"
        );
        assert_eq!(append_to_plain(None, &[("/a", "wa"), ("/a", "wa")]).unwrap(), "-w /a -p wa -k docker\n");
        assert_eq!(append_to_plain(Some("-w /a"), &[("/a", "wa")]).unwrap(), "-w /a");
    }

    #[test]
    fn refuses_what_a_watch_cannot_say() {
        for path in ["/etc/my docker", "etc/docker", "/a\n-e 2", ""] {
            assert!(add_watches(None, &[(path, "wa")]).is_err(), "{path}");
            assert!(append_to_plain(None, &[(path, "wa")]).is_err(), "{path}");
        }
        assert!(add_watches(None, &[("/a", "")]).is_err());
        assert!(add_watches(None, &[("/a", "wq")]).is_err());
    }

    #[test]
    fn keeps_directories_for_the_boot() {
        let entry = |mode| TmpDir { dir: "/run/containerd".into(), mode, user: "root".into(), group: "root".into() };
        let text = tmpfiles(None, &[entry(0o711)]).unwrap();
        assert_eq!(text, format!("{TMPFILES_HEADER}d /run/containerd 0711 root root -\n"));
        assert_eq!(tmpfiles(Some(&text), &[entry(0o711)]).unwrap(), text);
        assert_eq!(tmpfiles(Some(&text), &[entry(0o700)]).unwrap(), text.replace("0711", "0700"));
        assert_eq!(
            tmpfiles(Some("d /run/x 0755 root root -"), &[entry(0o711)]).unwrap(),
            "d /run/x 0755 root root -\nd /run/containerd 0711 root root -\n"
        );
        assert!(tmpfiles(None, &[TmpDir { dir: "/run/%u".into(), ..entry(0o711) }]).is_err());
    }
}
