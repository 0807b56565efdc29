//! Edits of audit rules: what was wanted is watched, no rule of anybody's is lost or glued to another, and nothing but
//! watches is added. All spellings of a rule that `auditctl -l` or a file can hold are read alike.
//!
//! Input: watches, `PATH PERM` each, in the first line; the rules file or listing.

use seaworthy::facts::AuditRule;
use seaworthy::facts::audit_rules::{parse, parse_list};
use seaworthy::plan::edit::rules_file::{TmpDir, add_watches, append_to_plain, tmpfiles};

use super::keeps_line_ends;

/// The property.
pub fn check(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let (first, old) = text.split_once('\n').unwrap_or((text, ""));
    old.lines().for_each(reads);
    assert!(parse_list(old).len() <= old.lines().count());
    let words: Vec<&str> = first.split(' ').collect();
    let watches: Vec<(&str, &str)> = words.chunks_exact(2).map(|pair| (pair[0], pair[1])).collect();
    if let Ok(new) = add_watches(Some(old), &watches) {
        edited(old, &new, &watches);
        assert_eq!(add_watches(Some(&new), &watches).as_ref().ok(), Some(&new), "the second time changes nothing");
    }
    if let Ok(new) = append_to_plain(Some(old), &watches) {
        edited(old, &new, &watches);
        assert!(new.starts_with(old), "a file of others is only appended to: {old:?} became {new:?}");
        assert_eq!(append_to_plain(Some(&new), &watches).as_ref().ok(), Some(&new), "the second time changes nothing");
    }
    directories(old, &watches);
}

/// One line reads as the rule that it is, in each of its spellings.
fn reads(line: &str) {
    let rule = parse(line);
    assert_eq!(parse(&line.split_whitespace().collect::<Vec<_>>().join(" ")), rule, "blanks in {line:?}");
    let Some(AuditRule::Watch { path, perm, dir }) = rule else { return };
    assert!(perm.chars().all(|one| "rwxa".contains(one)), "{line:?}");
    let rule = AuditRule::Watch { path: path.clone(), dir: false, perm: perm.clone() };
    // auditctl leaves permissions out when they are all four, and has no watch of none
    let spelled = |perms: &str| {
        [
            format!("-w {path} {perms} -k x"),
            format!("-a always,exit -F path={path} {}", perms.replace("-p ", "-F perm=")),
        ]
    };
    if !perm.is_empty() {
        for text in spelled(&format!("-p {perm}")) {
            assert_eq!(parse(&text).as_ref(), Some(&rule), "{text}");
        }
    }
    assert!(rule.covers(&path, &perm) && (!dir || rule.covers(&path, "")));
}

fn edited(old: &str, new: &str, watches: &[(&str, &str)]) {
    let rules: Vec<AuditRule> = new.lines().filter_map(parse).collect();
    for (path, perm) in watches {
        let path = if path.trim_end_matches('/').is_empty() { "/" } else { path.trim_end_matches('/') };
        assert!(
            rules.iter().any(|rule| rule.covers(path, perm)),
            "{path} {perm} is not watched in {new:?} from {old:?}"
        );
    }
    let old = if old.trim().is_empty() { "" } else { old };
    let mut news = lines(new).filter(|line| !old.is_empty() || !(line.trim().is_empty() || line.starts_with('#')));
    for line in lines(old) {
        let now = news.next().expect("no line goes");
        if line != now {
            widened(line, now);
        }
    }
    for line in news {
        let words: Vec<&str> = line.split(' ').collect();
        let [flag, path, p, perm, k, key] = words[..] else { panic!("{line:?} was added") };
        assert_eq!((flag, p, k, key), ("-w", "-p", "-k", "docker"), "{line:?} was added");
        assert!(watches.iter().any(|(wanted, _)| *wanted == path) && !perm.is_empty(), "{line:?} was added");
    }
    assert!(new.ends_with('\n') || watches.is_empty() || new == old, "{new:?}");
    keeps_line_ends(old, new);
}

/// Lines without their ends, the last one too.
fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.split_terminator('\n').map(|line| line.trim_end_matches('\r'))
}

/// A rule that was changed watches the same path, at least as much, under the same key.
fn widened(old: &str, new: &str) {
    let (Some(AuditRule::Watch { path, perm, .. }), Some(after)) = (parse(old), parse(new)) else {
        panic!("{old:?} became {new:?}");
    };
    assert!(after.covers(&path, &perm), "{old:?} became {new:?}");
    let mut left = new.chars();
    assert!(old.chars().all(|c| left.any(|kept| kept == c)), "{old:?} became {new:?}");
}

/// Entries of tmpfiles.d, for the same paths.
fn directories(old: &str, watches: &[(&str, &str)]) {
    let entry = |(dir, _): &(&str, &str)| TmpDir {
        dir: (*dir).to_owned(),
        mode: 0o711,
        user: "root".into(),
        group: "root".into(),
    };
    let entries: Vec<TmpDir> = watches.iter().map(entry).collect();
    let Ok(new) = tmpfiles(Some(old), &entries) else { return };
    assert_eq!(tmpfiles(Some(&new), &entries).as_ref().ok(), Some(&new), "the second time changes nothing");
    for entry in &entries {
        let line = format!("d {} 0711 root root -", entry.dir);
        let dir = |line: &str| line.split_whitespace().nth(1).map(|dir| dir.trim_end_matches('/').to_owned());
        let same = |one: &&str| one.split_whitespace().next() == Some("d") && dir(one) == dir(&line);
        assert!(
            new.lines().find(same).is_some_and(|found| dir(found) == dir(&line) && found.ends_with("0711 root root -")),
            "{line} is not in {new:?}"
        );
    }
    if !old.trim().is_empty() {
        let ours = |line: &&str| line.split_whitespace().next() == Some("d");
        assert!(
            lines(old).filter(|line| !ours(line)).eq(lines(&new).filter(|line| !ours(line))),
            "{old:?} became {new:?}"
        );
    }
}
