//! Owner, group and mode of files, directories and sockets, with correct arithmetic: a mode passes when it has no
//! permission bit beyond the most permissive one.

use crate::audit::finding::Verdict;
use crate::catalog::Object;
use crate::facts::{Facts, Located};
use crate::mode;

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
    if let (Some(account), Some(_)) = (&facts.rootless, wanted.owner) {
        // Groups there are numbers that nobody but this user has. What a package put there is root's.
        good &= [0, account.uid].contains(&stat.uid);
        expected.push(account.name.clone());
        actual.push(names.owner(stat.uid, stat.gid));
    } else if let Some(owner) = wanted.owner {
        let group = wanted.group.unwrap_or("root");
        good &= names.user_ids.get(owner) == Some(&stat.uid);
        // root in place of another group is stricter, and all there is without that group.
        good &= stat.gid == 0 || names.group_ids.get(group) == Some(&stat.gid);
        expected.push(format!("{owner}:{group}"));
        actual.push(names.owner(stat.uid, stat.gid));
    }
    if let Some(max) = wanted.mode {
        good &= mode::excess(stat.mode, max) == 0;
        expected.push(format!("mode {max:04o} or stricter"));
        actual.push(format!("mode {:04o}", stat.mode));
    }
    Outcome::new(format!("path:{}", located.path.display()), if good { Verdict::Pass } else { Verdict::Fail })
        .expected(expected.join(", "))
        .actual(actual.join(", "))
        .source(format!("stat {}", located.path.display()))
}
