//! `seaworthy audit`: what is open on this host. Changes nothing.

use super::documents::save;
use super::session::{self, Look, Past, Session};
use crate::cli::{Audit, Format, Global};
use crate::error::{Failure, Result};
use crate::host::Recorder;
use crate::plan::Choice;
use crate::report::{AuditReport, json, text};
use crate::ui::Ui;

/// Audits and reports.
pub(super) fn run(args: &Audit, global: &Global, ui: &mut Ui) -> Result<u8> {
    let host = session::open(global, args.facts.as_deref())?;
    let recorder = Recorder::new(&*host);
    let look = Look { recorded: args.facts.is_some(), rootless: args.rootless.as_deref() };
    let session = Session::open(&recorder, global, look, ui)?;
    if args.facts.is_none() {
        super::change::name_unfinished(&*host, ui);
    }
    let findings = match look.rootless {
        // The plan tells what is fixable, and what a fix would hurt here.
        None => session.plan(Choice::automatic(), false, &Past::default())?.findings,
        Some(_) => session.findings()?,
    };
    let line = session.host_line();
    let version = session.benchmark.version();
    let report = AuditReport::new(session.envelope(0), line, version, &session.profile, findings, &args.fail_on);
    let report = AuditReport { stale_waivers: session.stale_waivers(&report.findings), ..report };
    let exit = report.envelope.exit;
    match (&args.output, args.format) {
        (Some(path), Format::Text) => save(path, &text::audit(&report, ui.verbose()))?,
        (Some(path), Format::Json) => {
            let mut document = Vec::new();
            json::audit(&report, &mut document)
                .map_err(|e| Failure::new("the report cannot be written").because(e).host("unchanged"))?;
            save(path, &String::from_utf8_lossy(&document))?;
        }
        (None, Format::Text) => ui.report(&text::audit(&report, ui.verbose()))?,
        (None, Format::Json) => ui.stream(|out| json::audit(&report, out))?,
    }
    Ok(exit)
}
