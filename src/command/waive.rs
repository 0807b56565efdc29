//! `seaworthy waive`: takes a fail on, in the waivers' file, whose other lines stay as they are.

use std::path::{Path, PathBuf};

use super::session::{self, catalog};
use crate::apply;
use crate::catalog::find;
use crate::cli::{Global, Waive};
use crate::error::{Failure, Kind, Result};
use crate::host::Host;
use crate::policy::{self, CONFIG, Policy, WAIVERS, Waiver};
use crate::ui::Ui;

/// Adds a waiver for each subject, or changes the one that is there.
pub(super) fn run(args: &Waive, global: &Global, ui: &mut Ui) -> Result<u8> {
    let mut host = session::live(global)?;
    let policy = Policy::load(&host, global.config.as_deref())?;
    let (entry, note) = find(catalog(), &args.name, session::benchmark(global, &policy)?)?;
    if let Some(note) = note {
        ui.note(&note);
    }
    let path = file(global)?;
    if global.config.is_none() {
        session::need_root(&host, "waive")?;
    }
    let all = ["*".to_owned()];
    let subjects = if global.subject.is_empty() { &all[..] } else { &global.subject };
    let before = policy::text(&host, &path, global.config.is_some())?.unwrap_or_default();
    let mut after = before.clone();
    for subject in subjects {
        let waiver = Waiver {
            check: entry.id.clone(),
            subject: said("--subject", subject)?,
            reason: said("--reason", &args.reason)?,
            owner: said("--owner", &args.owner)?,
            until: args.until,
            line: 0,
        };
        if waiver.is_over(host.now()) {
            return Err(Failure::of(Kind::Usage, format!("--until {}: that day is over", args.until)).host("unchanged"));
        }
        after = policy::waived(&after, &path, &waiver)?;
    }
    let shown = path.display();
    if after == before {
        ui.status(&format!("{shown} says so already"));
        return Ok(0);
    }
    apply::write_site_file(&mut host, &path, &after).map_err(|failure| failure.host("unchanged"))?;
    ui.status(&format!("{} is waived until {}: {} in {shown}", entry.id, args.until, subjects.join(", ")));
    Ok(0)
}

/// The waivers that belong to the config.
fn file(global: &Global) -> Result<PathBuf> {
    let Some(config) = &global.config else { return Ok(Path::new(CONFIG).with_file_name(WAIVERS)) };
    if global.root.is_some() {
        return Err(Failure::of(Kind::Usage, "--config and --root together: the waivers of which of them?"));
    }
    let beside = std::path::absolute(config).map_err(|error| {
        Failure::new(format!("{} cannot be found", config.display())).because(error).host("unchanged")
    })?;
    Ok(beside.with_file_name(WAIVERS))
}

/// A text that says something.
fn said(flag: &str, text: &str) -> Result<String> {
    let text = text.trim();
    let plain = !text.is_empty() && !text.chars().any(char::is_control);
    let wrong = || Failure::of(Kind::Usage, format!("{flag} must be a text of one line")).host("unchanged");
    plain.then(|| text.to_owned()).ok_or_else(wrong)
}
