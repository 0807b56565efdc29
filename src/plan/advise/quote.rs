//! Words of a command line for bash, one line whatever is in them.

use crate::text::clean;

/// What stands around the name of a choice inside a word: no argument of a program can hold it.
const MARK: char = '\0';

/// A place in a word that a person fills in. As bash reads it (`${NAME:?}`), the command does not run before.
pub(super) fn ask(name: &str) -> String {
    format!("{MARK}{name}{MARK}")
}

/// A word in quotes as far as it needs any. No library does that: what a terminal acts on or what disguises (see
/// [`clean`]) is escaped too, so that what is shown is what runs.
pub(super) fn quoted(word: &str) -> String {
    let parts = word.split(MARK).enumerate().map(|(at, part)| match at % 2 {
        1 if is_name(part) => format!("\"${{{part}:?}}\""),
        _ if part.is_empty() => String::new(),
        _ => literal(part),
    });
    let all: String = parts.collect();
    if all.is_empty() { "''".into() } else { all }
}

/// Names of choices are ours; what a host could put between two marks is none.
fn is_name(part: &str) -> bool {
    part.starts_with(|c: char| c.is_ascii_uppercase())
        && part.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_')
}

fn literal(part: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"_@%+=:,./-".contains(&b);
    if part.bytes().all(plain) {
        return part.into();
    }
    if clean(part) == part {
        return format!("'{}'", part.replace('\'', r"'\''"));
    }
    let byte = |b: u8| match b {
        b'\'' | b'\\' => format!("\\{}", char::from(b)),
        b' '..=b'~' if b != b'!' => char::from(b).to_string(),
        _ => format!("\\x{b:02x}"),
    };
    format!("$'{}'", part.bytes().map(byte).collect::<String>())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn words_are_quoted_as_far_as_they_need_it() {
        assert_eq!(quoted("redis:7"), "redis:7");
        assert_eq!(quoted(""), "''");
        assert_eq!(quoted("it's $HOME `id`"), r"'it'\''s $HOME `id`'");
        assert_eq!(quoted("a\nb\u{202e}!'"), r"$'a\x0ab\xe2\x80\xae\x21\''");
        assert_eq!(quoted(&format!("{}:8080:80", ask("ADDRESS"))), "\"${ADDRESS:?}\":8080:80");
        // What is no name of ours is no expansion.
        assert_eq!(quoted("\0x:-$(id)\0"), "'x:-$(id)'");
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]
        #[test]
        fn bash_reads_what_was_written(words in prop::collection::vec("[^\\x00]{0,12}", 1..8)) {
            let line = words.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" ");
            prop_assert_eq!(clean(&line), line.clone());
            let script = format!("printf '%s\\0' {line}");
            #[expect(clippy::disallowed_methods, reason = "the shell itself is what is asked")]
            let output = std::process::Command::new("/bin/bash").args(["-c", &script]).output().unwrap();
            let read = String::from_utf8(output.stdout).unwrap();
            prop_assert_eq!(read.split_terminator('\0').map(str::to_owned).collect::<Vec<_>>(), words);
        }
    }
}
