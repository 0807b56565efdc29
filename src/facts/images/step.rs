//! One step of an image's build, from the line of text that the builder left about it. Builders write them in forms of
//! their own:
//!
//! ```text
//! /bin/sh -c #(nop)  ENV A=b                       the old builder, an instruction
//! |1 TOKEN=x /bin/sh -c apt-get update             the old builder, RUN with a build argument
//! ENV A=b                                          BuildKit
//! RUN |1 TOKEN=x /bin/sh -c apt-get update # buildkit
//! ```
//!
//! What is read here can be read from the [`masked`] line too: it keeps the words that count and hides the others.

/// What a step did, as far as anybody asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Instruction {
    /// A command ran.
    Run,
    /// Files came in by ADD.
    Add,
    /// Files came in by COPY.
    Copy,
    /// A build argument.
    Arg,
    /// Anything else, or unknown.
    Other,
}

/// A step of a build.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// What it did.
    pub instruction: Instruction,
    /// Refreshes a package index and installs nothing from it, such as `apt-get update`.
    pub update_alone: Option<String>,
    /// Where ADD puts what it adds.
    pub target: Option<String>,
    /// Names that are given a value: build arguments, variables of a command, its long options.
    pub names: Vec<String>,
}

const MASK: &str = "********";

/// Instructions whose text `BuildKit` writes as in the Dockerfile.
const INSTRUCTIONS: &[&str] = &[
    "RUN",
    "ADD",
    "COPY",
    "ARG",
    "ENV",
    "LABEL",
    "CMD",
    "ENTRYPOINT",
    "HEALTHCHECK",
    "EXPOSE",
    "USER",
    "WORKDIR",
    "VOLUME",
    "SHELL",
    "STOPSIGNAL",
    "ONBUILD",
    "MAINTAINER",
];

/// What ends a command in a line of a shell.
const SEPARATORS: &[&str] = &["&&", "||", "|", ";", "&"];

/// What may stand before a command.
const WRAPPERS: &[&str] =
    &["sudo", "exec", "command", "env", "time", "nice", "eval", "if", "then", "else", "elif", "while", "do", "!"];

const SHELLS: &[&str] = &["sh", "bash", "ash", "dash", "zsh", "ksh"];

/// Options whose value is the next word.
const VALUED: &[&str] = &["--password", "--passwd", "--passphrase", "--secret", "--token"];

/// A package manager: its names, what only refreshes its index, what installs or upgrades.
struct Manager {
    names: &'static [&'static str],
    refreshes: &'static [&'static str],
    installs: &'static [&'static str],
}

const MANAGERS: &[Manager] = &[
    Manager {
        names: &["apt-get", "apt", "aptitude"],
        refreshes: &["update"],
        installs: &[
            "install",
            "reinstall",
            "upgrade",
            "dist-upgrade",
            "full-upgrade",
            "safe-upgrade",
            "build-dep",
            "satisfy",
        ],
    },
    Manager { names: &["apk"], refreshes: &["update"], installs: &["add", "upgrade", "fix"] },
    Manager {
        names: &["yum", "dnf", "dnf5", "microdnf", "tdnf"],
        refreshes: &["update", "makecache", "check-update"],
        installs: &[
            "install",
            "reinstall",
            "localinstall",
            "groupinstall",
            "group",
            "upgrade",
            "builddep",
            "swap",
            "distro-sync",
        ],
    },
    Manager {
        names: &["zypper"],
        refreshes: &["refresh", "ref"],
        installs: &["install", "in", "update", "up", "dup", "dist-upgrade", "patch"],
    },
    Manager { names: &["opkg"], refreshes: &["update"], installs: &["install", "upgrade"] },
];

/// A line taken apart: the instruction as written, the count of build arguments (`|1`), and the words.
struct Parts<'t> {
    word: &'t str,
    arguments: Option<&'t str>,
    words: Vec<String>,
}

impl Step {
    /// Reads the line that the builder left, `CreatedBy` of the Engine.
    pub fn read(line: &str) -> Self {
        let Parts { word, arguments, words } = parts(line);
        let instruction = match word {
            "RUN" => Instruction::Run,
            "ADD" => Instruction::Add,
            "COPY" => Instruction::Copy,
            "ARG" => Instruction::Arg,
            _ => Instruction::Other,
        };
        let named = matches!(instruction, Instruction::Run | Instruction::Arg);
        Self {
            instruction,
            update_alone: match instruction {
                Instruction::Run if arguments.is_some() => update_alone(behind_arguments(&words)),
                Instruction::Run => update_alone(&words),
                _ => None,
            },
            target: target(&words).filter(|_| instruction == Instruction::Add).cloned(),
            names: if named { names(&words) } else { Vec::new() },
        }
    }
}

/// The line without anything that could be a secret: words that are not known here are hidden, one by one.
pub fn masked(line: &str) -> String {
    let Parts { word, arguments, words } = parts(line);
    // Where files were put is no secret.
    let open = target(&words).filter(|_| ["ADD", "COPY"].contains(&word));
    let shown = words
        .iter()
        .map(|text| if open.is_some_and(|open| std::ptr::eq(open, text)) { text.clone() } else { shown(text) });
    let lead = [word, arguments.unwrap_or_default()].into_iter().filter(|text| !text.is_empty()).map(str::to_owned);
    lead.chain(shown).collect::<Vec<_>>().join(" ")
}

fn parts(line: &str) -> Parts<'_> {
    let line = line.trim();
    let line = line.strip_suffix("# buildkit").unwrap_or(line).trim();
    let instruction = |line: &str| line.split_whitespace().next().is_some_and(|first| INSTRUCTIONS.contains(&first));
    // The mark of the old builder stands before the instruction; behind one it is a word like others.
    let marked = line.split_once("#(nop)").filter(|_| !instruction(line));
    let line = marked.map_or(line, |(_, behind)| behind.trim_start());
    let first = line.split_whitespace().next().unwrap_or_default();
    let (word, rest) = if INSTRUCTIONS.contains(&first) {
        (first, line[first.len()..].trim_start())
    } else if line.is_empty() {
        ("", "")
    } else {
        ("RUN", line)
    };
    if word != "RUN" {
        return Parts { word, arguments: None, words: rest.split_whitespace().map(str::to_owned).collect() };
    }
    let count = rest.split_whitespace().next().filter(|text| is_count(text));
    let body = &rest[count.map_or(0, str::len)..];
    Parts { word, arguments: count, words: shell_words(body) }
}

/// The last word of ADD and COPY, behind what they take; one that was hidden says nothing.
fn target(words: &[String]) -> Option<&String> {
    words.last().filter(|word| words.len() > 1 && !word.contains("://") && !word.contains(MASK))
}

/// `|2`: two build arguments follow.
fn is_count(text: &str) -> bool {
    text.strip_prefix('|').is_some_and(|count| !count.is_empty() && count.bytes().all(|byte| byte.is_ascii_digit()))
}

/// Words of a command line, those that part commands for themselves. Quotes are dropped: nothing is run from this.
fn shell_words(text: &str) -> Vec<String> {
    let mut spaced = String::with_capacity(text.len() + 16);
    let text = text.replace("\\\n", " ");
    let mut all = text.chars().peekable();
    while let Some(c) = all.next() {
        match c {
            '"' | '\'' | '\\' => {}
            '`' | '(' | ')' | '{' | '}' => spaced.push(' '),
            ';' | '\n' => spaced.push_str(" ; "),
            '|' | '&' if all.peek() == Some(&c) => {
                all.next();
                spaced.extend([' ', c, c, ' ']);
            }
            '|' => spaced.push_str(" | "),
            c => spaced.push(c),
        }
    }
    spaced.split_whitespace().map(str::to_owned).collect()
}

/// The command behind build arguments, whose values may have blanks: from its shell on.
fn behind_arguments(words: &[String]) -> &[String] {
    let mut before = words.iter().take_while(|word| !SEPARATORS.contains(&word.as_str()));
    before.position(|word| SHELLS.contains(&base(word))).map_or(words, |at| &words[at..])
}

/// The command that refreshes an index, when none of the step installs anything.
fn update_alone(words: &[String]) -> Option<String> {
    let mut refreshes = None;
    for command in words.split(|word| SEPARATORS.contains(&word.as_str())) {
        let Some((manager, program, arguments)) = manager(command) else { continue };
        let known = |word: &&String| {
            let word = word.as_str();
            manager.refreshes.contains(&word) || manager.installs.contains(&word)
        };
        match arguments.iter().find(known) {
            Some(verb) if manager.installs.contains(&verb.as_str()) => return None,
            Some(verb) => {
                refreshes.get_or_insert_with(|| format!("{program} {verb}"));
            }
            None => {}
        }
    }
    refreshes
}

/// The package manager that a command runs, its name, and the words after it.
fn manager(command: &[String]) -> Option<(&'static Manager, &'static str, &[String])> {
    let mut rest = command;
    loop {
        let (first, after) = rest.split_first()?;
        let found = MANAGERS.iter().find_map(|manager| {
            let name = manager.names.iter().find(|name| **name == base(first))?;
            Some((manager, *name))
        });
        if let Some((manager, name)) = found {
            return Some((manager, name, after));
        }
        if SHELLS.contains(&base(first)) {
            let at = after.iter().position(|word| is_command_option(word))?;
            rest = &after[at + 1..];
        } else if WRAPPERS.contains(&first.as_str()) || assignment(first).is_some() {
            // Options of `sudo` and `env`.
            let at = after.iter().position(|word| !word.starts_with('-'))?;
            rest = &after[at..];
        } else {
            return None;
        }
    }
}

/// The name of a program that may be given with its folder. What is no plain path (an option, an assignment, an address,
/// something taken from elsewhere) names none and stays as it is.
fn base(word: &str) -> &str {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/._+-".contains(&byte);
    if word.starts_with('-') || !word.bytes().all(plain) {
        return word;
    }
    word.rsplit('/').next().unwrap_or(word)
}

/// `-c`, `-ec`, `-exc`: the next word of a shell's is a command.
fn is_command_option(word: &str) -> bool {
    word.strip_prefix('-')
        .and_then(|flags| flags.strip_suffix('c'))
        .is_some_and(|f| f.chars().all(|c| "eiluvx".contains(c)))
}

/// `NAME=VALUE` and `--name=VALUE`, taken apart. Without a value the sign may be the end of something in base64, which
/// is then no name.
fn assignment(word: &str) -> Option<(&str, &str)> {
    let (name, value) = word.split_once('=').filter(|(_, value)| !value.is_empty() && !value.starts_with('='))?;
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let dashed = |c: char| c.is_ascii_alphanumeric() || c == '-';
    let option = name.strip_prefix("--").is_some_and(|option| !option.is_empty() && option.chars().all(dashed));
    let variable = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') && name.chars().all(plain);
    (option || variable).then_some((name, value))
}

/// Names with a value of their own; one that is taken from elsewhere (`$X`) is none.
fn names(words: &[String]) -> Vec<String> {
    let literal = |value: &str| !value.is_empty() && !value.starts_with('$');
    let mut names = Vec::new();
    for (at, word) in words.iter().enumerate() {
        let next = words.get(at + 1).map_or("", String::as_str);
        match assignment(word) {
            Some((name, value)) if literal(value) => names.push(name.to_owned()),
            None if VALUED.contains(&word.as_str())
                && literal(next)
                && !next.starts_with('-')
                && !SEPARATORS.contains(&next) =>
            {
                names.push(word.clone());
            }
            _ => {}
        }
    }
    names.sort_unstable();
    names.dedup();
    names
}

/// A word that counts as it is, any other one hidden with no more left of it than [`names`] and [`manager`] look at.
fn shown(word: &str) -> String {
    let verb = |manager: &Manager| manager.refreshes.contains(&word) || manager.installs.contains(&word);
    let program = |manager: &Manager| manager.names.contains(&base(word));
    let known = SEPARATORS.contains(&word)
        || WRAPPERS.contains(&word)
        || VALUED.contains(&word)
        || is_command_option(word)
        || MANAGERS.iter().any(verb);
    if known {
        return word.to_owned();
    }
    if SHELLS.contains(&base(word)) || MANAGERS.iter().any(program) {
        return base(word).to_owned();
    }
    // That it comes from elsewhere counts.
    let hidden = |value: &str| if value.starts_with('$') { "$********" } else { MASK };
    match assignment(word) {
        Some((name, value)) => format!("{name}={}", hidden(value)),
        None if word.starts_with('-') => format!("-{MASK}"),
        None => hidden(word).to_owned(),
    }
}

#[cfg(test)]
mod tests;
