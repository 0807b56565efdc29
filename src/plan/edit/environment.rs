//! Edits of `/etc/environment`.

use super::terminated;
use crate::error::{Failure, Result};
use crate::facts::environment_file::{assignments, goes_on};

/// The file.
pub const PATH: &str = "/etc/environment";

/// Gives a variable a value: in the last line that sets it, which is the one that wins, or in a new line at the end.
///
/// # Errors
/// A name or value that the file cannot express: it knows no escapes.
pub fn set(text: &str, name: &str, value: &str) -> Result<String> {
    let plain = |c: char| !c.is_control() && !matches!(c, '#' | '"' | '\'' | '\\');
    if !is_name(name) || !value.chars().all(plain) || value.trim() != value {
        return Err(Failure::new(format!("{PATH}: `{name}` cannot be given this value there")));
    }
    if let Some(last) = assignments(text, name).pop() {
        if &text[last.value.clone()] == value {
            return Ok(text.to_owned());
        }
        if text[last.value.clone()].ends_with('\\') {
            return Err(Failure::new(format!("{PATH}: the value of `{name}` goes on in the next line")));
        }
        return Ok([&text[..last.value.start], value, &text[last.value.end..]].concat());
    }
    if goes_on(text) {
        // Ours would be swallowed, and the other variable spoiled; an empty line between does not stop pam_env 1.5.2.
        return Err(Failure::new(format!("{PATH}: the last line ends in a backslash, so nothing can be added to it")));
    }
    let text = terminated(text);
    let end = super::line_end(&text);
    Ok(format!("{text}{name}={value}{end}"))
}

fn is_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

#[cfg(test)]
mod tests {
    use super::set;
    use crate::facts::environment_file::get;

    const NAME: &str = "DOCKER_CONTENT_TRUST";

    #[test]
    fn reads_as_pam_env_does() {
        for (text, value, line) in [
            ("DOCKER_CONTENT_TRUST=1\n", "1", 1),
            ("DOCKER_CONTENT_TRUST=0\nDOCKER_CONTENT_TRUST=1", "1", 2),
            ("\n  export DOCKER_CONTENT_TRUST=\"1\" # on\r\n", "1", 2),
            ("DOCKER_CONTENT_TRUST='1'\n", "1", 1),
            ("DOCKER_CONTENT_TRUST=1#2\n", "1", 1),
            ("DOCKER_CONTENT_TRUST=\n", "", 1),
            ("DOCKER_CONTENT_TRUST=\"\n", "", 1),
            ("# ends in \\\nDOCKER_CONTENT_TRUST=1\n", "1", 2),
            ("A=1 \\ # c\nDOCKER_CONTENT_TRUST=1\n", "1", 2),
        ] {
            assert_eq!(get(text, NAME), Some((value.into(), line)), "{text:?}");
        }
        for text in [
            "",
            "#DOCKER_CONTENT_TRUST=1",
            "DOCKER_CONTENT_TRUST =1",
            "DOCKER_CONTENT_TRUST_SERVER=1",
            "X=\\\nDOCKER_CONTENT_TRUST=1",
            "X=1 \\ \t\nDOCKER_CONTENT_TRUST=1\n",
            "X=\\\n\n# c\nDOCKER_CONTENT_TRUST=1\n",
        ] {
            assert_eq!(get(text, NAME), None, "{text:?}");
        }
    }

    #[test]
    fn edits_the_line_that_wins_and_nothing_else() {
        for (before, after) in [
            ("DOCKER_CONTENT_TRUST=0\n", "DOCKER_CONTENT_TRUST=1\n"),
            (
                "A=1\r\nexport DOCKER_CONTENT_TRUST=\"0\"  # off\r\nB=2",
                "A=1\r\nexport DOCKER_CONTENT_TRUST=\"1\"  # off\r\nB=2",
            ),
            ("DOCKER_CONTENT_TRUST=1\nDOCKER_CONTENT_TRUST=0\n", "DOCKER_CONTENT_TRUST=1\nDOCKER_CONTENT_TRUST=1\n"),
            ("DOCKER_CONTENT_TRUST=", "DOCKER_CONTENT_TRUST=1"),
            ("", "DOCKER_CONTENT_TRUST=1\n"),
            ("A=1", "A=1\nDOCKER_CONTENT_TRUST=1\n"),
            ("A=1\r\nB=2", "A=1\r\nB=2\r\nDOCKER_CONTENT_TRUST=1\r\n"),
            ("#DOCKER_CONTENT_TRUST=1\n", "#DOCKER_CONTENT_TRUST=1\nDOCKER_CONTENT_TRUST=1\n"),
        ] {
            assert_eq!(set(before, NAME, "1").unwrap(), after, "{before:?}");
            assert_eq!(set(after, NAME, "1").unwrap(), after, "second time, {before:?}");
            assert_eq!(get(after, NAME).unwrap().0, "1");
        }
    }

    #[test]
    fn refuses_what_the_file_cannot_say() {
        for (name, value) in
            [("A", "a#b"), ("A", "a\nb"), ("A", " a"), ("A", "\"a"), ("A-B", "1"), ("", "1"), ("A", "a\\")]
        {
            assert!(set("", name, value).is_err(), "{name}={value}");
        }
        assert!(set("A=0\\\nB=1\n", "A", "1").is_err());
        // pam_env would make one variable of the last line and ours.
        for text in ["B=0\\", "B=0\\\n", "B=0\\ \n\n# c\n"] {
            assert!(set(text, "A", "1").is_err(), "{text:?}");
        }
    }
}
