//! A check in words: the page of `explain`, and the table and JSON of `checks`.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::benchmark::Benchmark;
use super::entry::Entry;
use super::words::{decision, hazard_name, meaning, word, written};

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
    // A command or a path that is broken cannot be copied: blanks inside backticks are none to the wrapping.
    const HELD: &str = "\u{a0}";
    let quoted = |(index, part): (usize, &str)| if index % 2 == 1 { part.replace(' ', HELD) } else { part.to_owned() };
    let text = text.split('`').enumerate().map(quoted).collect::<Vec<_>>().join("`");
    let options = options.clone().word_splitter(textwrap::WordSplitter::NoHyphenation).break_words(false);
    for line in textwrap::wrap(&text, options) {
        let _ = writeln!(page, "{}", line.replace(HELD, " "));
    }
}
