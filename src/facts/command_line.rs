//! The command line that the next start of docker.service will use, each argument with the file and line it is
//! written in: a flag is changed where it stands, never set a second time elsewhere.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::model::{Argument, Known, Place, Unit, Unknown};
use super::units;
use crate::host::{Host, path};

/// A value and where it is written.
type Placed = (String, Place);

/// What the unit's files say together.
#[derive(Default)]
struct Merged {
    exec_start: Vec<Placed>,
    environment: BTreeMap<String, Placed>,
    environment_files: Vec<PathBuf>,
}

/// Reads `ExecStart=` of the unit and its drop-ins and expands the variables of its environment (systemd.service(5)).
pub(super) fn read(host: &dyn Host, unit: &Unit) -> Known<Vec<Argument>> {
    let mut merged = Merged::default();
    for file in unit.files() {
        let text = path::read_lossy(host, file).map_err(|e| Unknown(format!("{}: {e}", file.display())))?;
        merge(&mut merged, file, &text);
    }
    for file in std::mem::take(&mut merged.environment_files) {
        let text = match path::read_lossy(host, &file) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            // Its flags count all the same: a key for one of them would keep dockerd from starting.
            Err(error) => return Err(Unknown(format!("{}: {error}", file.display()))),
        };
        for (number, line) in environment_lines(&text) {
            if let Some((name, value)) = variable(&line) {
                if line.contains(char::REPLACEMENT_CHARACTER) {
                    let what = "is not UTF-8, and systemd leaves out the whole file";
                    return Err(Unknown(format!("{}: line {number} {what}", file.display())));
                }
                let place = Place { file: file.clone(), line: number, variable: Some(name.clone()), vendor: false };
                merged.environment.insert(name, (value, place));
            }
        }
    }
    let (line, place) = merged.exec_start.last().ok_or_else(|| Unknown("the unit has no ExecStart=".into()))?;
    Ok(expand(line, place, &merged.environment))
}

fn merge(merged: &mut Merged, file: &Path, text: &str) {
    let mut section = String::new();
    for (number, line) in logical_lines(text) {
        let line = line.trim();
        if line.starts_with('[') {
            line.clone_into(&mut section);
        }
        let Some((key, value)) = line.split_once('=').map(|(k, v)| (k.trim(), v.trim())) else { continue };
        // systemd ignores a line that is not UTF-8.
        if section != "[Service]" || line.contains(char::REPLACEMENT_CHARACTER) {
            continue;
        }
        let place = Place { file: file.to_owned(), line: number, variable: None, vendor: units::is_vendor(file) };
        match key {
            "ExecStart" if value.is_empty() => merged.exec_start.clear(),
            "ExecStart" => merged.exec_start.push((value.to_owned(), place)),
            "Environment" if value.is_empty() => merged.environment.clear(),
            "Environment" => {
                for word in words(value) {
                    if let Some((name, text)) = word.split_once('=') {
                        let place = Place { variable: Some(name.to_owned()), ..place.clone() };
                        merged.environment.insert(name.to_owned(), (text.to_owned(), place));
                    }
                }
            }
            "EnvironmentFile" if value.is_empty() => merged.environment_files.clear(),
            "EnvironmentFile" => merged.environment_files.push(PathBuf::from(value.trim_start_matches('-'))),
            _ => {}
        }
    }
}

/// Lines with `\` continuations joined, and the number of the first physical line. Comments inside a continuation are
/// skipped, as systemd does.
fn logical_lines(text: &str) -> Vec<(usize, String)> {
    let mut lines: Vec<(usize, String)> = Vec::new();
    let mut open = false;
    for (index, line) in text.lines().enumerate() {
        let comment = line.trim_start().starts_with(['#', ';']);
        if comment {
            continue;
        }
        let (body, more) = match line.strip_suffix('\\') {
            Some(body) => (body, true),
            None => (line, false),
        };
        match lines.last_mut() {
            Some((_, joined)) if open => {
                joined.push(' ');
                joined.push_str(body);
            }
            _ => lines.push((index + 1, body.to_owned())),
        }
        open = more;
    }
    lines
}

/// Lines of an environment file, those that end in a backslash joined with the next, and the number of the first
/// physical one. Here systemd puts nothing in place of backslash and newline.
fn environment_lines(text: &str) -> Vec<(usize, String)> {
    let mut lines: Vec<(usize, String)> = Vec::new();
    let mut open = false;
    for (index, line) in text.lines().enumerate() {
        let comment = !open && line.trim_start().starts_with(['#', ';']);
        // Two backslashes are one, and join nothing.
        let slashes = line.len() - line.trim_end_matches('\\').len();
        let more = !comment && slashes % 2 == 1;
        let body = if more { &line[..line.len() - 1] } else { line };
        match lines.last_mut() {
            Some((_, joined)) if open => joined.push_str(body),
            _ => lines.push((index + 1, body.to_owned())),
        }
        open = more;
    }
    lines
}

/// `NAME=VALUE` of an environment file, quotes taken off (systemd.exec(5), `EnvironmentFile=`).
fn variable(line: &str) -> Option<(String, String)> {
    let line = line.trim();
    if line.starts_with(['#', ';']) {
        return None;
    }
    let (name, value) = line.split_once('=')?;
    let value = value.trim();
    let quoted = ['"', '\''].into_iter().find_map(|q| value.strip_prefix(q).and_then(|v| v.strip_suffix(q)));
    Some((name.trim().to_owned(), quoted.unwrap_or(value).to_owned()))
}

fn expand(line: &str, place: &Place, environment: &BTreeMap<String, Placed>) -> Vec<Argument> {
    let line = line.trim_start_matches(['@', '-', ':', '+', '!']);
    let mut arguments = Vec::new();
    for word in words(line) {
        // `$NAME` as a word of its own splits at blanks; `${NAME}` stays one argument.
        if let Some(name) = word.strip_prefix('$').filter(|n| !n.starts_with('{')) {
            if let Some((value, origin)) = environment.get(name) {
                let parts = words(value).into_iter();
                arguments.extend(parts.map(|text| Argument { text, place: origin.clone() }));
            }
            continue;
        }
        let mut text = word.clone();
        let mut origin = place;
        for (name, (value, from)) in environment {
            let braced = format!("${{{name}}}");
            if text.contains(&braced) {
                text = text.replace(&braced, value);
                origin = from;
            }
        }
        arguments.push(Argument { text, place: origin.clone() });
    }
    arguments
}

/// Splits at blanks outside quotes.
fn words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut quote: Option<char> = None;
    let mut inside = false;
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match (quote, c) {
            (Some(q), c) if c == q => quote = None,
            (None, '"' | '\'') => {
                quote = Some(c);
                inside = true;
            }
            (_, '\\') => {
                word.extend(chars.next());
                inside = true;
            }
            (None, c) if c.is_whitespace() => {
                if inside {
                    words.push(std::mem::take(&mut word));
                }
                inside = false;
            }
            (_, c) => {
                word.push(c);
                inside = true;
            }
        }
    }
    if inside {
        words.push(word);
    }
    words
}

#[cfg(test)]
mod tests {
    use super::super::testing::FakeHost;
    use super::*;

    fn place() -> Place {
        Place { file: "/u".into(), line: 1, variable: None, vendor: false }
    }

    #[test]
    fn a_variable_of_its_own_splits_at_blanks_and_keeps_its_place() {
        let from = Place { file: "/etc/default/docker".into(), line: 3, variable: Some("OPTS".into()), vendor: false };
        let environment = BTreeMap::from([("OPTS".into(), ("--icc=false -D".to_owned(), from.clone()))]);
        let argv = expand("/usr/sbin/dockerd -H fd:// $OPTS", &place(), &environment);
        let texts: Vec<_> = argv.iter().map(|a| a.text.as_str()).collect();
        assert_eq!(texts, ["/usr/sbin/dockerd", "-H", "fd://", "--icc=false", "-D"]);
        assert_eq!(argv[3].place, from);
    }

    #[test]
    fn continuations_are_joined_and_an_empty_exec_start_resets() {
        let mut merged = Merged::default();
        let unit = Path::new("/lib/systemd/system/docker.service");
        merge(&mut merged, unit, "[Service]\nExecStart=/usr/bin/dockerd\n");
        let drop_in = Path::new("/etc/systemd/system/docker.service.d/o.conf");
        merge(&mut merged, drop_in, "[Service]\nExecStart=\nExecStart=/usr/bin/dockerd \\\n  --icc \\\n  -D\n");
        assert_eq!(merged.exec_start.len(), 1);
        let (line, place) = &merged.exec_start[0];
        assert_eq!((words(line).len(), place.line, place.vendor), (3, 3, false));
    }

    #[test]
    fn an_environment_file_may_continue_its_lines() {
        let unit = "[Service]\nEnvironmentFile=-/etc/default/docker\nExecStart=/usr/sbin/dockerd $OPTS $MORE\n";
        let options = "# site \\\nOPTS=\"--icc=false \\\n  --debug\"\nMORE=-D\n";
        let host = FakeHost::default().file("/u", unit).file("/etc/default/docker", options);
        let unit = Unit { fragment: Some("/u".into()), ..Unit::default() };
        let argv = read(&host, &unit).expect("command line");
        let seen: Vec<_> = argv.iter().map(|a| (a.text.as_str(), a.place.line)).collect();
        assert_eq!(seen, [("/usr/sbin/dockerd", 3), ("--icc=false", 2), ("--debug", 2), ("-D", 4)]);
    }

    #[test]
    fn an_environment_file_counts_in_any_encoding() {
        let unit = "[Service]\nEnvironmentFile=-/etc/default/docker\nExecStart=/usr/sbin/dockerd $OPTS\n";
        let of = |options: &[u8]| {
            let host = FakeHost::default().file("/u", unit).bytes("/etc/default/docker", options);
            read(&host, &Unit { fragment: Some("/u".into()), ..Unit::default() })
        };
        let argv = of(b"# caf\xe9\nOPTS=--icc=true\n").expect("command line");
        assert_eq!((argv[1].text.as_str(), argv[1].place.line), ("--icc=true", 2));
        let why = of(b"OPTS=--icc=true\nA=caf\xe9\n").unwrap_err().0;
        assert_eq!(why, "/etc/default/docker: line 2 is not UTF-8, and systemd leaves out the whole file");
        let host = FakeHost::default().file("/u", unit).deny("/etc/default/docker");
        assert!(read(&host, &Unit { fragment: Some("/u".into()), ..Unit::default() }).is_err());
    }

    #[test]
    fn an_environment_file_line_loses_its_quotes() {
        assert_eq!(variable("DOCKER_OPTS=\"--icc=true\""), Some(("DOCKER_OPTS".into(), "--icc=true".into())));
        assert_eq!(variable("#DOCKER_OPTS=x"), None);
    }
}
