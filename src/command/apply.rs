//! `seaworthy apply`: makes the changes that are approved, and takes them back when the host does not come out healthy.

use super::carry_out::carry_out;
use super::change::Wish;
use super::session::{self, Look, Session};
use super::{change, documents, guided};
use crate::approve::{Mode, approve};
use crate::cli::{Apply, Global};
use crate::error::{Failure, Result};
use crate::host::{LiveHost, Recorder};
use crate::plan::{Choice, Plan};
use crate::ui::Ui;

/// Plans (or takes the saved plan), has it approved, applies it, reports.
pub(super) fn run(args: &Apply, global: &Global, ui: &mut Ui) -> Result<u8> {
    let mut host = session::live(global)?;
    session::need_root(&host, "apply")?;
    change::outside(&host)?;
    change::settle(&mut host, args.yes, ui)?;
    if !args.yes && args.plan.is_none() {
        if !ui.can_prompt() {
            return Err(Failure::refused("no terminal to ask on, and no `--yes`")
                .host("unchanged")
                .hint("run `seaworthy apply --yes`"));
        }
        return guided::review(&mut host, &Wish { args, global }, ui);
    }
    let plan = match &args.plan {
        Some(path) => change::vetted(&host, &documents::load(path)?, global)?,
        None => fresh(&host, args, global, ui)?,
    };
    if args.plan.is_some() && !args.yes {
        let recorder = Recorder::new(&host);
        let session = Session::open(&recorder, &change::everything(global), Look::default(), ui)?;
        ui.say(&crate::ui::paint_diff(&documents::document(&plan, &session)));
    }
    let command = match &args.plan {
        Some(path) => format!("seaworthy apply {} --yes", path.display()),
        None => "seaworthy apply --yes".into(),
    };
    if let Some(approved) = approve(plan, Mode::of(args.yes, ui), &command)? {
        carry_out(&mut host, &approved, &Wish { args, global }, ui)
    } else {
        ui.status("host: unchanged");
        Ok(0)
    }
}

fn fresh(host: &LiveHost, args: &Apply, global: &Global, ui: &mut Ui) -> Result<Plan> {
    let recorder = Recorder::new(host);
    let session = Session::open(&recorder, global, Look::default(), ui)?;
    let accept = session.accepted(&args.limits.accept, ui)?;
    Ok(session
        .plan(
            Choice { only: None, accept, recreate: args.limits.recreate },
            args.limits.no_restart,
            &change::past(host),
        )?
        .plan)
}
