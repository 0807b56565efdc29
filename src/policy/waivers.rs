//! What the site lives with, `waivers.toml` beside the config: fails that somebody took on, for a reason and until a day.

use std::path::{Path, PathBuf};

use jiff::civil::Date;
use serde::{Deserialize, Deserializer, Serialize, de::Error as _};
use toml_edit::{ArrayOfTables, Document, DocumentMut, Item, Table, value};

use super::explain;
use crate::error::{Failure, Result};

/// The file's name, in the folder of the config.
pub const WAIVERS: &str = "waivers.toml";

/// All waivers of a site.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Waivers {
    /// The file.
    pub path: PathBuf,
    /// In the file's order.
    pub list: Vec<Waiver>,
}

/// One fail that somebody took on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Waiver {
    /// Slug of the check.
    #[serde(deserialize_with = "filled")]
    pub check: String,
    /// Which subjects, as `--subject` takes them: a name, an id, a label, a pattern; `*`: all of the check's.
    #[serde(deserialize_with = "filled")]
    pub subject: String,
    /// Why it is taken on.
    #[serde(deserialize_with = "filled")]
    pub reason: String,
    /// Who answers for it.
    #[serde(deserialize_with = "filled")]
    pub owner: String,
    /// The last day on which it counts, in UTC.
    #[serde(deserialize_with = "date")]
    pub until: Date,
    /// Line of the file at which it begins, from 1.
    #[serde(skip_deserializing)]
    pub line: usize,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    waiver: Vec<Waiver>,
}

impl Waivers {
    /// Reads the file's text; `path` is for messages.
    ///
    /// # Errors
    /// With file and line, and the key that was probably meant.
    pub fn parse(text: &str, path: &Path) -> Result<Self> {
        let mut list = toml_edit::de::from_str::<File>(text).map_err(|error| explain(&error, text, path))?.waiver;
        for (waiver, begin) in list.iter_mut().zip(begins(text)) {
            waiver.line = text[..begin].matches('\n').count() + 1;
        }
        Ok(Self { path: path.into(), list })
    }
}

/// Where each waiver begins in the file.
fn begins(text: &str) -> Vec<usize> {
    let Ok(document) = Document::parse(text) else { return Vec::new() };
    let item = document.get("waiver");
    if let Some(tables) = item.and_then(|item| item.as_array_of_tables()) {
        return tables.iter().map(|table| table.span().map_or(0, |span| span.start)).collect();
    }
    let values = item.and_then(|item| item.as_array()).into_iter().flatten();
    values.map(|value| value.span().map_or(0, |span| span.start)).collect()
}

impl Waiver {
    /// Whether its last day is over at this time, seconds since the epoch.
    pub fn is_over(&self, now: i64) -> bool {
        let today = jiff::Timestamp::from_second(now).map(|time| time.to_zoned(jiff::tz::TimeZone::UTC).date());
        today.is_ok_and(|today| today > self.until)
    }
}

/// The file's text with this waiver in it: instead of the one for the same check and subject, or at the end. All other
/// lines stay as they are.
///
/// # Errors
/// With file and line where the text is no waivers' file, and where it is one in a form that is not edited.
pub fn waived(text: &str, path: &Path, waiver: &Waiver) -> Result<String> {
    Waivers::parse(text, path)?;
    let broken = |why: String| Failure::new(format!("{}: {why}", path.display())).host("unchanged");
    let mut document: DocumentMut = text.parse().map_err(|error: toml_edit::TomlError| broken(error.to_string()))?;
    let item = document.entry("waiver").or_insert_with(|| Item::ArrayOfTables(ArrayOfTables::new()));
    let Some(tables) = item.as_array_of_tables_mut() else {
        return Err(broken("`waiver` is one list in brackets".into()).hint("write each waiver as a `[[waiver]]` table"));
    };
    let same = |table: &Table| {
        let is = |key: &str, text: &str| table.get(key).and_then(Item::as_str) == Some(text);
        is("check", &waiver.check) && is("subject", &waiver.subject)
    };
    let until: toml_edit::Datetime = waiver.until.to_string().parse().map_err(|_| broken("no such day".into()))?;
    let fields = [("check", &waiver.check), ("subject", &waiver.subject), ("reason", &waiver.reason)];
    let fields = fields.into_iter().chain([("owner", &waiver.owner)]).map(|(key, text)| (key, value(text.as_str())));
    let fields = fields.chain([("until", value(until))]);
    let at = tables.iter().position(same);
    if let Some(table) = at.and_then(|at| tables.get_mut(at)) {
        fields.for_each(|(key, value)| replace(table, key, value));
    } else {
        let mut table = Table::new();
        fields.for_each(|(key, value)| replace(&mut table, key, value));
        if !text.trim().is_empty() {
            table.decor_mut().set_prefix("\n");
        }
        tables.push(table);
    }
    Ok(document.to_string())
}

/// Gives a key a value; a comment behind it stays.
fn replace(table: &mut Table, key: &str, new: Item) {
    let decor = table.get(key).and_then(Item::as_value).map(|old| old.decor().clone());
    table.insert(key, new);
    if let (Some(decor), Some(value)) = (decor, table.get_mut(key).and_then(Item::as_value_mut)) {
        *value.decor_mut() = decor;
    }
}

/// A text that says something.
fn filled<'de, D: Deserializer<'de>>(from: D) -> std::result::Result<String, D::Error> {
    let text = String::deserialize(from)?;
    if text.trim().is_empty() { Err(D::Error::custom("must not be empty")) } else { Ok(text) }
}

/// `2027-01-31`, as a date of TOML or as a text.
fn date<'de, D: Deserializer<'de>>(from: D) -> std::result::Result<Date, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Written {
        Date(toml_edit::Datetime),
        Text(String),
    }
    let text = match Written::deserialize(from) {
        Ok(Written::Date(date)) => date.to_string(),
        Ok(Written::Text(text)) => text,
        Err(_) => String::new(),
    };
    parse_date(&text).map_err(D::Error::custom)
}

/// Reads a day.
///
/// # Errors
/// In words: the text is not a day that exists.
pub fn parse_date(text: &str) -> std::result::Result<Date, String> {
    let plain = text.len() == 10 && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-');
    let date = plain.then(|| text.parse().ok()).flatten();
    date.ok_or_else(|| format!("`{text}` is not a day; write one like 2027-01-31"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TWO: &str = "# ours\n[[waiver]]\ncheck = \"daemon.icc\"\nsubject = \"*\"\nreason = \"old app\"\nowner = \"ops\"\n\
                       until = 2027-01-31\n\n[[waiver]] # the proxy\ncheck = \"container.user\"\nsubject = \"web\"\n\
                       reason = \"port 80\"\nowner = \"eve\"\nuntil = \"2026-12-01\"\n";

    fn parse(text: &str) -> Result<Waivers> {
        Waivers::parse(text, Path::new("/etc/seaworthy/waivers.toml"))
    }

    #[test]
    fn each_has_its_line_and_its_day() {
        let waivers = parse(TWO).expect("waivers").list;
        assert_eq!(waivers.iter().map(|one| one.line).collect::<Vec<_>>(), [2, 9]);
        let until = waivers[0].until.at(0, 0, 0, 0).to_zoned(jiff::tz::TimeZone::UTC).expect("a day");
        let midnight = until.timestamp().as_second();
        assert!(!waivers[0].is_over(midnight + 86_399) && waivers[0].is_over(midnight + 86_400));
        assert_eq!(parse("").expect("none").list, []);
        let inline =
            format!("waiver = [{{{}}}]", TWO[18..].split("\n\n").next().unwrap_or_default().replace('\n', ", "));
        assert_eq!(parse(&inline).expect(&inline).list[0].line, 1);
    }

    #[test]
    fn a_new_one_leaves_the_others_as_they_are() {
        let path = Path::new("waivers.toml");
        let until = parse_date("2028-02-29").expect("a day");
        let fields = |check: &str| (check.to_owned(), "*".to_owned(), "a \"reason\"".to_owned(), "me".to_owned());
        let new = |check: &str| {
            let (check, subject, reason, owner) = fields(check);
            Waiver { check, subject, reason, owner, until, line: 0 }
        };
        let first = waived("", path, &new("daemon.icc")).expect("text");
        assert_eq!(
            first,
            "[[waiver]]\ncheck = \"daemon.icc\"\nsubject = \"*\"\nreason = 'a \"reason\"'\nowner = \"me\"\n\
             until = 2028-02-29\n"
        );
        let third = waived(TWO, path, &new("daemon.tls")).expect("text");
        assert!(third.starts_with(TWO) && third[TWO.len()..].starts_with("\n[[waiver]]\ncheck = \"daemon.tls\"\n"));
        let again = TWO.replace("\"ops\"", "\"ops\" # who else");
        let renewed = waived(&again, path, &new("daemon.icc")).expect("text");
        assert_eq!(renewed.lines().count(), again.lines().count());
        for line in ["# ours", "owner = \"me\" # who else", "until = 2028-02-29", "[[waiver]] # the proxy"] {
            assert!(renewed.lines().any(|one| one == line), "{line}: {renewed}");
        }
        assert!(waived("waiver = []", path, &new("daemon.icc")).is_err());
        assert!(waived("[[waivers]]", path, &new("daemon.icc")).is_err());
    }

    #[test]
    fn what_is_wrong_has_its_line() {
        for (from, to, message) in [
            ("owner", "onwer", "waivers.toml:6: unknown field `onwer`"),
            ("reason = \"old app\"\n", "", "waivers.toml:2: missing field `reason`"),
            ("\"old app\"", "\"  \"", "waivers.toml:5: must not be empty"),
            ("2027-01-31", "2027-02-30", "waivers.toml:7: "),
            ("\"2026-12-01\"", "\"soon\"", "waivers.toml:14: `soon` is not a day"),
            ("\"2026-12-01\"", "7", "waivers.toml:14: "),
            ("[[waiver]]\n", "[[waivers]]\n", "waivers.toml:2: unknown field `waivers`"),
        ] {
            let failure = parse(&TWO.replacen(from, to, 1)).expect_err(to);
            assert!(failure.message.contains(message), "{to}: {}", failure.message);
        }
    }
}
