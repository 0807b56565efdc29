//! A check in words: the page of `explain`, and the table and JSON of `checks`.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::benchmark::Benchmark;
use super::entry::{Builtin, Check, Edit, Entry, Expect, Hazard, Support};

/// Width of the page; what is indented keeps to it too.
const WIDTH: usize = 80;

/// The page about one check.
#[must_use]
pub fn explain(entry: &Entry) -> String {
    let mut page = format!("{}: {}\n\n", entry.id, entry.title);
    for line in identity(entry) {
        paragraph(&mut page, "  ", &line);
    }
    section(&mut page, "WHY", &entry.rationale);
    section(&mut page, "HOW IT IS DECIDED", &decision(entry));
    fix(&mut page, entry);
    section(&mut page, "WHAT IT CAN BREAK", &entry.impact);
    if !entry.remediation.hazards.is_empty() {
        page.push('\n');
        paragraph(
            &mut page,
            "  ",
            "seaworthy looks for these on the host, and asks first when it finds one or cannot look:",
        );
        for hazard in &entry.remediation.hazards {
            item(&mut page, &format!("{}: {}", hazard_name(*hazard), meaning(*hazard)));
        }
    }
    if !entry.remediation.edits.is_empty() {
        section(
            &mut page,
            "HOW TO UNDO IT",
            &format!("`seaworthy rollback --check {}` takes this fix back.", entry.id),
        );
        if let Some(undo) = &entry.remediation.undo {
            paragraph(&mut page, "  ", undo);
        }
    }
    page
}

fn identity(entry: &Entry) -> Vec<String> {
    let mut numbers: Vec<(&str, Vec<&str>)> = Vec::new();
    for benchmark in Benchmark::ALL.into_iter().rev() {
        let Some(number) = entry.number(benchmark) else { continue };
        match numbers.iter_mut().find(|(known, _)| *known == number) {
            Some((_, versions)) => versions.push(benchmark.version()),
            None => numbers.push((number, vec![benchmark.version()])),
        }
    }
    let numbers: Vec<String> =
        numbers.iter().map(|(number, versions)| format!("{number} in {}", versions.join(", "))).collect();
    let numbers = if numbers.is_empty() { "none; a check of our own".to_owned() } else { numbers.join("; ") };
    let mut profiles: Vec<&str> = if entry.level == 1 { vec!["level-1", "level-2"] } else { vec!["level-2"] };
    profiles.extend(entry.profiles.iter().map(String::as_str));
    vec![
        format!("CIS number  {numbers}"),
        format!("Severity    {}", word(&entry.severity)),
        format!("Profiles    {}", profiles.join(", ")),
    ]
}

fn fix(page: &mut String, entry: &Entry) {
    let remediation = &entry.remediation;
    if remediation.edits.is_empty() {
        section(page, "WHAT TO DO", &format!("{}. seaworthy writes nothing here:", remediation.title));
    } else {
        section(page, "WHAT THE FIX WRITES", &format!("{}:", remediation.title));
        for edit in &remediation.edits {
            item(page, &written(edit));
        }
        paragraph(page, "  ", &format!("`seaworthy plan --check {}` shows the diff.", entry.id));
        if !remediation.advice.is_empty() {
            page.push('\n');
            paragraph(page, "  ", "Besides:");
        }
    }
    for step in &remediation.advice {
        item(page, step);
    }
}

/// How the verdict is decided, in one or two sentences.
#[must_use]
pub fn decision(entry: &Entry) -> String {
    match &entry.check {
        Check::DaemonSetting { key, expect } => format!(
            "The daemon's setting `{key}` {}. What counts is what is in force: what the Engine API reports where it does, \
             else the running daemon's flags, daemon.json, and the default, in this order. Written but not in force yet \
             is `pending`.",
            expected(expect)
        ),
        Check::AuditWatch { object, also, perm } => {
            let objects: Vec<String> =
                std::iter::once(object).chain(also).map(|object| format!("`{object}`")).collect();
            format!(
                "The kernel's audit rules watch {}, found where it really is on this host, for at least {}. A rule on a \
                 directory above counts. Where the object does not exist the check does not apply.",
                objects.join(" and "),
                permissions(perm)
            )
        }
        Check::FileAccess { object, owner, group, mode } => {
            let mut parts = Vec::new();
            parts.extend(owner.as_ref().map(|owner| format!("belongs to {owner}")));
            parts.extend(group.as_ref().map(|group| match group.as_str() {
                "root" => "to the group root".to_owned(),
                other => format!("to the group {other} (or root, which is stricter)"),
            }));
            parts.extend(mode.as_ref().map(|mode| format!("has no permission bit beyond {mode}")));
            format!(
                "`{object}`, found where it really is on this host, {}. Where it does not exist the check does not apply.",
                parts.join(" and ")
            )
        }
        Check::Environment { name, value } => {
            format!(
                "`/etc/environment` sets {name} to `{value}`. It is read at a login, so the sessions that are open say nothing."
            )
        }
        Check::Attest { look_at } => format!("By a person, who looks at {look_at}. The verdict is always `manual`."),
        Check::Builtin(builtin) => builtin_decision(*builtin, entry),
    }
}

fn expected(expect: &Expect) -> String {
    let list = |values: &[Value]| values.iter().map(|value| format!("`{value}`")).collect::<Vec<_>>().join(", ");
    match expect {
        Expect::Equals(value) => format!("has to be `{value}`"),
        Expect::OneOf(values) if values.len() == 1 => format!("has to be {}", list(values)),
        Expect::OneOf(values) => format!("has to be one of {}", list(values)),
        Expect::NoneOf(values) => format!("must not be {}", list(values)),
        Expect::NonEmpty => "has to be set".to_owned(),
        Expect::Empty => "must not be set".to_owned(),
        Expect::NoPrefix(prefix) => format!("must not have an element that begins with `{prefix}`"),
    }
}

fn builtin_decision(builtin: Builtin, entry: &Entry) -> String {
    let text = match builtin {
        Builtin::DataRootMount => "The data root lies on another device than the root file system.",
        Builtin::DockerGroup => "The group docker has no members, counting those whose primary group it is.",
        Builtin::EngineVersion => return releases(entry),
        Builtin::Rootless => "The engine says that it is rootless.",
        Builtin::InsecureRegistries => {
            "The engine lists no registry as insecure, beyond the loopback addresses that it always has."
        }
        Builtin::StorageAufs => "The engine's storage driver is not aufs.",
        Builtin::StorageDevicemapper => "The engine's storage driver is not devicemapper.",
        Builtin::TlsListener => {
            "The daemon's process listens on no TCP address, or `tlsverify` is in force and its three files exist."
        }
        Builtin::UserNamespaces => "The engine says that it remaps user namespaces, or that it is rootless.",
        Builtin::CentralLogging => "The engine's log driver sends logs away from this host, and its address is set.",
        Builtin::DaemonConfig => "daemon.json can be read by dockerd, and none of its keys is also a flag of the unit.",
        Builtin::Auditd => "auditd is installed, its service is enabled and running, and the kernel takes rules.",
        Builtin::AuditRulesLoad => "Every rule in rules.d is in the list that the kernel gives.",
    };
    text.to_owned()
}

fn releases(entry: &Entry) -> String {
    let Some(releases) = &entry.releases else { return String::new() };
    let branch = |branch: &super::entry::Branch| {
        let support = match branch.support {
            Support::Current => "current",
            Support::Previous => "previous",
        };
        format!("{} ({support}, newest {})", branch.major, branch.latest)
    };
    let branches: Vec<String> = releases.branches.iter().map(branch).collect();
    format!("The engine's version belongs to a branch that got fixes on {}: {}.", releases.as_of, branches.join(", "))
}

/// What an edit writes, in one line.
#[must_use]
pub fn written(edit: &Edit) -> String {
    match edit {
        Edit::DaemonSetting { key, value: Some(value) } => {
            format!("`\"{key}\": {value}` in daemon.json, or in the place of the flag that sets it now")
        }
        Edit::DaemonSetting { key, value: None } => {
            format!("`\"{key}\"` in daemon.json with a value that you give: in `[values]` of the config, or when asked")
        }
        Edit::DaemonSettingRemove { key } => {
            format!("takes `{key}` away from daemon.json or from the flags, so that the default holds")
        }
        Edit::AuditWatch { object, perm } => {
            format!("a rule `-w PATH -p {perm} -k docker` for {object} in /etc/audit/rules.d/50-seaworthy-docker.rules")
        }
        Edit::FileAccess { object, owner, group, mode } => {
            let mut parts = Vec::new();
            if owner.is_some() || group.is_some() {
                let name = |name: &Option<String>| name.clone().unwrap_or_default();
                parts.push(format!("owner {}:{}", name(owner), name(group)));
            }
            parts.extend(mode.as_ref().map(|mode| format!("the old mode AND {mode}")));
            format!("{} for {object}", parts.join(", "))
        }
        Edit::Environment { name, value } => format!("`{name}={value}` in /etc/environment"),
        Edit::Auditd => {
            "nothing by hand: installs the package, enables and starts the service, whichever is missing".to_owned()
        }
    }
}

fn permissions(perm: &str) -> &'static str {
    if perm.contains('x') {
        "writes, changes of owner or mode, and executions"
    } else {
        "writes and changes of owner or mode"
    }
}

/// The hazard's name in reports and on the command line.
#[must_use]
pub fn hazard_name(hazard: Hazard) -> String {
    word(&hazard)
}

/// The hazard in one sentence.
#[must_use]
pub fn meaning(hazard: Hazard) -> &'static str {
    match hazard {
        Hazard::HidesImages => "images, containers or volumes that exist would be out of sight.",
        Hazard::BreaksStartup => "the daemon or a container would not start any more.",
        Hazard::Swarm => "this host is a node of a swarm, and the daemon's next start would fail.",
        Hazard::StopsContainers => "a restart of the daemon would stop running containers.",
        Hazard::Interrupts => "a restart would cut connections, execs or builds that run now.",
        Hazard::LosesDevices => "running containers would lose their GPU or other devices.",
        Hazard::CutsTraffic => "traffic that flows today would stop.",
        Hazard::DropsPrivilege => "processes in containers have gained privileges, and new ones could not any more.",
        Hazard::CutsAccess => "somebody who uses the socket today would be locked out.",
        Hazard::BreaksPulls => "the Docker client here is older than 29, and pulls of unsigned images would fail.",
        Hazard::Inert => "the Docker client here is 29 or later, and the fix would have no effect.",
        Hazard::ForeignOwner => "something else keeps this file and would overwrite the change.",
        Hazard::VendorCommand => "a packaged unit's command line would have to be copied and would miss its updates.",
        Hazard::NeedsValue => "somebody has to choose a value.",
    }
}

/// The catalogue as a table, numbers as in this benchmark.
#[must_use]
pub fn table(entries: &[&Entry], benchmark: Benchmark) -> String {
    let width = entries.iter().map(|entry| entry.id.len()).max().unwrap_or(0).max("CHECK".len());
    let mut table =
        format!("{:<7} {:<width$} {:<5} {:<8} {:<6} TITLE\n", benchmark.version(), "CHECK", "LEVEL", "SEVERITY", "FIX");
    for entry in entries {
        let number = entry.number(benchmark).unwrap_or("-");
        let fix = if entry.remediation.edits.is_empty() { "advice" } else { "writes" };
        let severity = word(&entry.severity);
        let _ = writeln!(
            table,
            "{number:<7} {:<width$} {:<5} {severity:<8} {fix:<6} {}",
            entry.id, entry.level, entry.title
        );
    }
    table
}

/// The catalogue as data: what an entry says, and the decision in words.
#[must_use]
pub fn as_json(entries: &[&Entry]) -> Value {
    let one = |entry: &&Entry| {
        json!({
            "check": entry.id,
            "title": entry.title,
            "level": entry.level,
            "severity": entry.severity,
            "profiles": entry.profiles,
            "references": entry.references,
            "rationale": entry.rationale,
            "impact": entry.impact,
            "decision": decision(entry),
            "probe": entry.check,
            "remediation": entry.remediation,
        })
    };
    entries.iter().map(one).collect()
}

/// The kebab-case word under which a closed value is written everywhere.
fn word(value: &impl serde::Serialize) -> String {
    serde_json::to_value(value).ok().and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
}

fn section(page: &mut String, heading: &str, text: &str) {
    let _ = writeln!(page, "\n{heading}");
    paragraph(page, "  ", text);
}

fn paragraph(page: &mut String, indent: &str, text: &str) {
    let options = textwrap::Options::new(WIDTH).initial_indent(indent).subsequent_indent(indent);
    wrapped(page, text, &options);
}

fn item(page: &mut String, text: &str) {
    wrapped(page, text, &textwrap::Options::new(WIDTH).initial_indent("  - ").subsequent_indent("    "));
}

fn wrapped(page: &mut String, text: &str, options: &textwrap::Options<'_>) {
    // A path or a command that is broken at a hyphen cannot be copied.
    let options = options.clone().word_splitter(textwrap::WordSplitter::NoHyphenation).break_words(false);
    for line in textwrap::wrap(text, options) {
        let _ = writeln!(page, "{line}");
    }
}
