//! The waivers' file: it is refused with a line that is in it, or read with the line of each waiver; a waiver that is
//! added is there once, however often it is added, and takes no other line with it.
//!
//! Input: the file; the check, subject, reason and owner of a new waiver, each on a line of its own.

use std::path::Path;

use seaworthy::policy::{Waiver, Waivers, parse_date, waived};

use super::parts;

/// The property.
pub fn check(data: &[u8]) {
    let Some([text, new]) = parts::<2>(data) else { return };
    let path = Path::new("/x.toml");
    let before = match Waivers::parse(text, path) {
        Ok(waivers) => waivers.list,
        Err(failure) => {
            let line = failure.message.strip_prefix("/x.toml:").and_then(|rest| rest.split(':').next()?.parse().ok());
            let lines = text.split('\n').count();
            assert!(line.is_some_and(|line: usize| (1..=lines).contains(&line)), "{} of {text:?}", failure.message);
            return;
        }
    };
    let lines: Vec<&str> = text.split('\n').collect();
    for waiver in &before {
        let filled =
            [&waiver.check, &waiver.subject, &waiver.reason, &waiver.owner].map(|part| !part.trim().is_empty());
        assert_eq!(filled, [true; 4], "{waiver:?}");
        assert!(
            lines.get(waiver.line - 1).is_some_and(|line| line.contains(['[', '{', '='])),
            "{waiver:?} of {text:?}"
        );
    }
    let mut said = new.lines().map(str::to_owned);
    let mut next = || said.next().filter(|part| !part.trim().is_empty()).unwrap_or_else(|| "x".into());
    let until = parse_date("2099-12-31").expect("a day");
    let waiver = Waiver { check: next(), subject: next(), reason: next(), owner: next(), until, line: 0 };
    let Ok(after) = waived(text, path, &waiver) else { return };
    let same = |one: &Waiver| one.check == waiver.check && one.subject == waiver.subject;
    let read = Waivers::parse(&after, path).expect("what is written is read").list;
    let plain = |all: &[Waiver]| all.iter().map(|one| Waiver { line: 0, ..one.clone() }).collect::<Vec<_>>();
    let at = before.iter().position(same);
    let mut expected = plain(&before);
    match at {
        Some(at) => expected[at] = waiver.clone(),
        None => expected.push(waiver.clone()),
    }
    assert_eq!(plain(&read), expected, "{text:?} became {after:?}");
    assert_eq!(waived(&after, path, &waiver).expect("once more"), after);
    let comments = |text: &str| text.lines().filter(|line| line.trim_start().starts_with('#')).count();
    assert!(comments(&after) >= comments(text), "a comment is lost: {text:?} became {after:?}");
}
