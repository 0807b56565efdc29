//! Audit rules: in the kernel (`auditctl -l`) and on disk, brought into one form in which all spellings are equal.

use std::path::{Path, PathBuf};

use super::model::{Audit, AuditRule, FiledRule, Known, Unknown, Version};
use crate::host::{Host, Query, path};

/// The rules directory that augenrules(8) reads.
pub const RULES_D: &str = "/etc/audit/rules.d";
/// Our own rules file.
pub const OWN_RULES: &str = "/etc/audit/rules.d/50-seaworthy-docker.rules";
/// The generated file, or the only one where there is no rules.d.
pub const PLAIN_RULES: &str = "/etc/audit/audit.rules";
/// Our tmpfiles.d file: makes the parents of watched sockets before auditd loads its rules.
pub const OWN_TMPFILES: &str = "/etc/tmpfiles.d/seaworthy-docker.conf";

/// Reads everything about audit. `kernel`: whether the kernel's rules concern this host (initial PID namespace).
pub fn gather(host: &dyn Host, kernel: bool) -> Audit {
    let version = match host.ask(&Query::AuditVersion) {
        Ok(answer) => Ok(Version::find(&answer.stdout)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(_) if host.offline() => Ok(installed_offline(host)),
        Err(error) => Err(Unknown(format!("auditctl -v: {error}"))),
    };
    let installed = matches!(version, Ok(Some(_)));
    let rules_d = host.stat(Path::new(RULES_D)).is_ok();
    let (enabled, rules) = if !kernel {
        let why = Unknown("the kernel's audit rules belong to another namespace or no kernel runs".into());
        (Err(why.clone()), Err(why))
    } else if installed {
        (status(host), kernel_rules(host))
    } else {
        (Err(Unknown("auditctl is not installed".into())), Err(Unknown("auditctl is not installed".into())))
    };
    let files = filed(host, rules_d);
    Audit {
        version,
        enabled,
        kernel: rules,
        strays: strays(host, rules_d, &files),
        files,
        rules_d,
        own_file: optional(host, OWN_RULES),
        own_tmpfiles: optional(host, OWN_TMPFILES),
    }
}

fn installed_offline(host: &dyn Host) -> Option<Version> {
    let found = ["/usr/sbin/auditctl", "/sbin/auditctl"].iter().any(|p| path::stat_follow(host, Path::new(p)).is_ok());
    found.then(|| Version { text: "unknown".into(), numbers: [0; 3] })
}

fn optional(host: &dyn Host, file: &str) -> Known<Option<String>> {
    match path::read_text(host, Path::new(file)) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Unknown(format!("{file}: {error}"))),
    }
}

fn status(host: &dyn Host) -> Known<u32> {
    let answer = host.ask(&Query::AuditStatus).map_err(|e| Unknown(format!("auditctl -s: {e}")))?;
    let enabled = answer.stdout.lines().find_map(|line| line.strip_prefix("enabled ")?.trim().parse().ok());
    enabled.ok_or_else(|| Unknown(format!("auditctl -s: {}", answer.stderr.trim())))
}

fn kernel_rules(host: &dyn Host) -> Known<Vec<AuditRule>> {
    let answer = host.ask(&Query::AuditRules).map_err(|e| Unknown(format!("auditctl -l: {e}")))?;
    // Without the right to ask, auditctl prints an error and still may exit 0.
    if !answer.ok() || (answer.stdout.trim().is_empty() && !answer.stderr.trim().is_empty()) {
        return Err(Unknown(format!("auditctl -l: {}", answer.stderr.trim())));
    }
    Ok(parse_list(&answer.stdout))
}

/// The rules in an `auditctl -l` listing.
pub fn parse_list(text: &str) -> Vec<AuditRule> {
    text.lines().filter(|line| line.trim() != "No rules").filter_map(parse).collect()
}

fn filed(host: &dyn Host, rules_d: bool) -> Known<Vec<FiledRule>> {
    let files: Vec<PathBuf> = if rules_d {
        let names = host.list(Path::new(RULES_D)).map_err(|e| Unknown(format!("{RULES_D}: {e}")))?;
        let rules = names.iter().filter(|n| Path::new(n).extension().is_some_and(|e| e == "rules"));
        rules.map(|name| Path::new(RULES_D).join(name)).collect()
    } else {
        vec![PathBuf::from(PLAIN_RULES)]
    };
    let mut all = Vec::new();
    for file in files {
        all.extend(rules_in(host, &file)?);
    }
    Ok(all)
}

/// The rules of one file; one that does not exist has none.
fn rules_in(host: &dyn Host, file: &Path) -> Known<Vec<FiledRule>> {
    // auditctl takes bytes, and where they are no UTF-8 it is mostly in a comment.
    let text = match path::read_lossy(host, file) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(Unknown(format!("{}: {error}", file.display()))),
    };
    let last = text.lines().count();
    let filed = |(index, line): (usize, &str)| {
        let rule = parse(line)?;
        let glued = index + 1 == last && !text.ends_with('\n');
        let trouble = if glued {
            Some("no newline ends it, so the next file is glued to it".into())
        } else {
            lost_dir(host, &rule)
        };
        Some(FiledRule { file: file.to_owned(), line: index + 1, rule, text: line.trim().to_owned(), trouble })
    };
    Ok(text.lines().enumerate().filter_map(filed).collect())
}

/// The kernel takes no watch of a path whose directory is missing.
fn lost_dir(host: &dyn Host, rule: &AuditRule) -> Option<String> {
    let AuditRule::Watch { path, .. } = rule else { return None };
    let dir = Path::new(path).parent()?;
    let gone = path::stat_follow(host, dir).is_err_and(|error| error.kind() == std::io::ErrorKind::NotFound);
    gone.then(|| format!("{} is missing", dir.display()))
}

/// audit.rules may be kept by hand and loaded by `auditctl -R`, although there is a rules.d.
fn strays(host: &dyn Host, rules_d: bool, files: &Known<Vec<FiledRule>>) -> Known<Vec<FiledRule>> {
    if !rules_d {
        return Ok(Vec::new());
    }
    let kept = files.as_ref().map_err(Clone::clone)?;
    let mut plain = rules_in(host, Path::new(PLAIN_RULES))?;
    plain.retain(|stray| !kept.iter().any(|filed| filed.rule == stray.rule));
    Ok(plain)
}

/// One line of a rules file or of `auditctl -l`; `None` for blanks, comments and control lines.
pub fn parse(line: &str) -> Option<AuditRule> {
    let line = line.trim();
    if line.is_empty() || line.starts_with('#') {
        return None;
    }
    let words: Vec<&str> = line.split_whitespace().collect();
    match words[0] {
        "-w" => watch(&words),
        "-a" | "-A" => Some(filter(&words).unwrap_or_else(|| AuditRule::Other(words.join(" ")))),
        _ => None,
    }
}

fn watch(words: &[&str]) -> Option<AuditRule> {
    let mut perm = "rwxa".to_owned();
    for pair in words.windows(2) {
        if pair[0] == "-p" {
            perm = ordered(pair[1]);
        }
    }
    Some(AuditRule::Watch { path: trimmed(words.get(1)?), dir: false, perm })
}

/// `-a always,exit` with nothing but a path, permissions, architecture and key is the same rule as a watch.
fn filter(words: &[&str]) -> Option<AuditRule> {
    if !matches!(*words.get(1)?, "always,exit" | "exit,always") {
        return None;
    }
    let (mut path, mut dir, mut perm) = (None, false, "rwxa".to_owned());
    let mut rest = words[2..].iter();
    while let Some(word) = rest.next() {
        match *word {
            "-k" => {
                rest.next()?;
            }
            "-S" if rest.next() == Some(&"all") => {}
            "-F" => match rest.next()?.split_once('=')? {
                ("path", value) => path = Some(trimmed(value)),
                ("dir", value) => {
                    path = Some(trimmed(value));
                    dir = true;
                }
                ("perm", value) => perm = ordered(value),
                ("arch", "b64") | ("key", _) => {}
                _ => return None,
            },
            _ => return None,
        }
    }
    Some(AuditRule::Watch { path: path?, dir, perm })
}

fn trimmed(path: &str) -> String {
    let short = path.trim_end_matches('/');
    if short.is_empty() { "/".into() } else { short.into() }
}

fn ordered(perm: &str) -> String {
    "rwxa".chars().filter(|c| perm.contains(*c)).collect()
}

impl Audit {
    /// Rules of others on disk that the kernel does not have, for certain, the likely culprit first: of those that are no watches, which the
    /// kernel lists in words of its own, this is known where they have a key that no rule has.
    ///
    /// # Errors
    /// Files or kernel could not be read.
    pub fn not_loaded(&self) -> Known<Vec<&FiledRule>> {
        let kernel = self.kernel.as_ref().map_err(Clone::clone)?;
        let files = self.files.as_ref().map_err(Clone::clone)?;
        let missing = |rule: &AuditRule| match rule {
            AuditRule::Watch { path, perm, .. } => !kernel.iter().any(|k| k.covers(path, perm)),
            AuditRule::Other(_) => rule.key().is_some_and(|key| kernel.iter().all(|k| k.key() != Some(key))),
        };
        let foreign = files.iter().filter(|f| f.file.as_os_str() != OWN_RULES);
        let mut all: Vec<&FiledRule> = foreign.filter(|f| missing(&f.rule)).collect();
        // Loading stops at the first that does not load; those behind it may be right.
        all.sort_by_key(|rule| rule.trouble.is_none());
        Ok(all)
    }
}

impl AuditRule {
    /// The key of a rule that is no watch.
    fn key(&self) -> Option<&str> {
        let Self::Other(text) = self else { return None };
        let mut words = text.split(' ').skip_while(|word| *word != "-k" && !word.starts_with("key="));
        let key = words.next()?;
        if key == "-k" { words.next() } else { key.strip_prefix("key=") }
    }

    /// Whether this rule records at least `perm` on `path`: the same path, or a tree above it named as `dir=`.
    pub fn covers(&self, path: &str, perm: &str) -> bool {
        let Self::Watch { path: own, dir, perm: own_perm } = self else { return false };
        let place = own == path || (*dir && Path::new(path).starts_with(own));
        place && perm.chars().all(|c| own_perm.contains(c))
    }

    /// Whether it is the rule that stops all auditing (`-a never,task`, the default of some distributions).
    pub fn is_never_task(&self) -> bool {
        matches!(self, Self::Other(text) if text.starts_with("-a never,task") || text.starts_with("-a task,never"))
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::FakeHost;
    use super::*;

    #[test]
    fn rules_that_augenrules_would_lose_are_strays() {
        let generated = "## This file is automatically generated\n-D\n-b 8192\n\n-w /etc/passwd -p wa -k users\n";
        let host = FakeHost::default()
            .file("/etc/audit/rules.d/10-users.rules", "-b 8192\n-a always,exit -F path=/etc/passwd -F perm=wa\n");
        let by_augenrules = gather(&host.file(PLAIN_RULES, generated), false);
        assert_eq!(by_augenrules.strays, Ok(Vec::new()));
        let host = FakeHost::default().file("/etc/audit/rules.d/10-users.rules", "").file(PLAIN_RULES, generated);
        let strays = gather(&host, false).strays.expect("readable");
        assert_eq!(strays.iter().map(|stray| stray.line).collect::<Vec<_>>(), [5]);
        let without_rules_d = gather(&FakeHost::default().file(PLAIN_RULES, generated), false);
        assert_eq!(without_rules_d.strays, Ok(Vec::new()));
        assert!(
            gather(&FakeHost::default().file("/etc/audit/rules.d/a.rules", "").deny(PLAIN_RULES), false)
                .strays
                .is_err()
        );
    }

    #[test]
    fn what_does_not_load_is_known_by_path_or_key() {
        let site = "-w /gone/x -p wa -k a\n-w /etc/passwd -p wa -k a\n-a always,exit -S nosuch -k b\n-a always,exit -S mount -k c\n-a always,exit -S open -F key=d";
        let host = FakeHost::default().file("/etc/passwd", "").file("/etc/audit/rules.d/10.rules", site);
        let mut audit = gather(&host, false);
        audit.kernel = Ok(parse_list("-w /etc/passwd -p wa -k a\n-a always,exit -F arch=b64 -S mount -F key=c\n"));
        let missing = audit.not_loaded().expect("known");
        let told: Vec<_> = missing.iter().map(|rule| (rule.line, rule.trouble.as_deref())).collect();
        let glued = "no newline ends it, so the next file is glued to it";
        assert_eq!(told, [(1, Some("/gone is missing")), (5, Some(glued)), (3, None)]);
    }

    fn watch_of(path: &str, dir: bool, perm: &str) -> AuditRule {
        AuditRule::Watch { path: path.into(), dir, perm: perm.into() }
    }

    #[test]
    fn both_spellings_are_one_rule() {
        assert_eq!(parse("-w /usr/bin/runc -p aw -k docker"), Some(watch_of("/usr/bin/runc", false, "wa")));
        assert_eq!(
            parse("-a always,exit -F arch=b64 -F path=/usr/bin/runc -F perm=wa -F key=x"),
            Some(watch_of("/usr/bin/runc", false, "wa"))
        );
        assert_eq!(
            parse("-a always,exit -S all -F dir=/etc/docker/ -F perm=wa -k y"),
            Some(watch_of("/etc/docker", true, "wa"))
        );
    }

    #[test]
    fn a_rule_with_a_further_condition_is_not_a_watch() {
        let rule = parse("-a always,exit -F path=/usr/bin/runc -F perm=wa -F auid>=1000");
        assert!(matches!(rule, Some(AuditRule::Other(_))));
    }

    #[test]
    fn a_longer_path_does_not_cover_a_shorter_one() {
        let rule = parse("-w /usr/bin/containerd-shim -p wa").expect("rule");
        assert!(!rule.covers("/usr/bin/containerd", "wa"));
        let tree = parse("-a always,exit -F dir=/etc/docker -F perm=wa").expect("rule");
        assert!(tree.covers("/etc/docker/daemon.json", "wa"));
        assert!(!tree.covers("/etc/docker2", "wa"));
    }

    #[test]
    fn a_watch_without_permissions_has_all() {
        assert_eq!(parse("-w /etc/docker"), Some(watch_of("/etc/docker", false, "rwxa")));
    }
}
