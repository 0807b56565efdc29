//! Owner, group and mode of files, directories and sockets, with correct arithmetic: a mode passes when it has no
//! permission bit beyond the most permissive one.

use crate::audit::finding::Verdict;
use crate::catalog::Object;
use crate::facts::{Facts, Located};
use crate::host::FileKind;

use super::Outcome;

/// What is asked of an object; absent fields are not judged.
pub(super) struct Wanted<'a> {
    pub(super) owner: Option<&'a str>,
    pub(super) group: Option<&'a str>,
    pub(super) mode: Option<u32>,
}

/// Judges every path of the object.
pub(super) fn run(facts: &Facts, object: &Object, wanted: &Wanted<'_>) -> Vec<Outcome> {
    match facts.objects.get(object) {
        Some(Ok(located)) if located.is_empty() => {
            vec![Outcome::not_applicable(format!("object:{object}"), "does not exist on this host")]
        }
        Some(Ok(located)) => located.iter().map(|one| judge(facts, one, wanted)).collect(),
        Some(Err(why)) => vec![Outcome::unknown(format!("object:{object}"), why)],
        None => vec![Outcome::not_applicable(format!("object:{object}"), "was not looked at")],
    }
}

fn judge(facts: &Facts, located: &Located, wanted: &Wanted<'_>) -> Outcome {
    let (stat, names) = (&located.stat, &facts.names);
    let mut good = true;
    let (mut expected, mut actual) = (Vec::new(), Vec::new());
    if let Some(owner) = wanted.owner {
        let group = wanted.group.unwrap_or("root");
        good &= names.user_ids.get(owner) == Some(&stat.uid);
        // root in place of another group is stricter, and all there is without that group.
        good &= stat.gid == 0 || names.group_ids.get(group) == Some(&stat.gid);
        expected.push(format!("{owner}:{group}"));
        actual.push(names.owner(stat.uid, stat.gid));
    }
    if let Some(max) = wanted.mode {
        good &= excess(stat.mode, max, stat.kind == FileKind::Dir) == 0;
        expected.push(format!("mode {max:04o} or stricter"));
        actual.push(format!("mode {:04o}", stat.mode));
    }
    Outcome::new(format!("path:{}", located.path.display()), if good { Verdict::Pass } else { Verdict::Fail })
        .expected(expected.join(", "))
        .actual(actual.join(", "))
        .source(format!("stat {}", located.path.display()))
}

/// Permission bits beyond `max`. The sticky bit of a directory takes rights away, so it does not count.
fn excess(mode: u32, max: u32, dir: bool) -> u32 {
    let sticky = if dir { 0o1000 } else { 0 };
    mode & 0o7777 & !max & !sticky
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_are_compared_not_decimal_numbers() {
        // These pass a comparison of the digits as one number and are too open all the same.
        for (mode, max) in [(0o626, 0o644), (0o606, 0o644), (0o577, 0o644), (0o747, 0o755), (0o656, 0o660)] {
            assert_ne!(excess(mode, max, false), 0, "{mode:o}");
        }
        assert_eq!(excess(0o1755, 0o755, true), 0);
        assert_eq!(excess(0o000, 0o400, false), 0);
        assert_ne!(excess(0o4644, 0o644, false), 0);
    }
}
