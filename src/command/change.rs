//! What the commands that change a host share: the store of runs, the lock's companions, and the two looks that an
//! apply takes at the host while it works.

use std::path::Path;

use super::session::{Past, Session, catalog};
use crate::apply::{self, ApplyOptions, Deadlines, Outcome, Progress, RollbackOptions, Store, Who};
use crate::approve::{Mode, confirm};
use crate::audit::{self, Finding, Verdict};
use crate::catalog::{Check, Edit, Entry};
use crate::cli::{Apply, Global};
use crate::error::{Failure, Result};
use crate::facts;
use crate::host::{Host, HostMut, LiveHost, Recorder};
use crate::plan::{self, Act, Choice, Inputs, Plan, Step};
use crate::policy::Policy;
use crate::ui::Ui;

/// What one apply was told.
pub(super) struct Wish<'a> {
    pub(super) args: &'a Apply,
    pub(super) global: &'a Global,
}

impl Progress for Ui {
    fn step(&mut self, text: &str) {
        Ui::step(self, text);
    }

    fn wait(&mut self, text: &str) {
        Ui::wait(self, text);
    }
}

/// Who asked: the person behind sudo, or root.
pub(super) fn who(host: &dyn Host) -> Who {
    crate::host::local::sudo_user().map_or_else(
        || Who { uid: host.euid(), name: host.user_name(host.euid()).unwrap_or_else(|| host.euid().to_string()) },
        |(uid, name)| Who { uid, name },
    )
}

/// The command line, for the journal.
pub(super) fn args() -> Vec<String> {
    std::env::args().collect()
}

/// The options without a selection: a saved plan or a report is about all checks.
pub(super) fn everything(global: &Global) -> Global {
    Global { check: Vec::new(), skip: Vec::new(), subject: Vec::new(), profile: None, ..global.clone() }
}

/// What earlier runs tell. One whose journal cannot be read tells nothing here; `history` names it.
pub(super) fn past(host: &dyn Host) -> Past {
    let mut runs = apply::list(host, &Store::default()).unwrap_or_default();
    runs.retain(|run| run.state == apply::State::Committed);
    let written = runs.iter().flat_map(|run| run.checks.iter().filter(|check| !run.undone.contains(check)).cloned());
    let written = written.collect();
    let last = runs.into_iter().rev().find(|run| run.undone.is_empty());
    let paths = last.map(|run| run.paths).unwrap_or_default();
    let put_back = paths.into_iter().filter(|path| path.now == "undone").map(|path| path.path).collect();
    Past { put_back, written }
}

/// Refuses to work from inside a container: the restart would end us half-way, and its files are not the host's.
pub(super) fn outside(host: &dyn Host) -> Result<()> {
    if host.offline() {
        return Ok(());
    }
    let marks = ["/.dockerenv", "/run/.containerenv"];
    let what = match marks.iter().find(|mark| host.stat(Path::new(mark)).is_ok()) {
        Some(mark) => format!("this is a container ({mark}), not the Docker host"),
        None => match facts::workload::own_container(host) {
            Some(id) => format!("this process lives in a container ({id}) and would end with it"),
            None => return Ok(()),
        },
    };
    Err(Failure::refused(what).host("unchanged").hint("run seaworthy on the host itself"))
}

/// Undoes a run that was killed, before anything else is done: asked for, or with `--yes`.
pub(super) fn settle(host: &mut LiveHost, yes: bool, ui: &mut Ui) -> Result<()> {
    let store = Store::default();
    if apply::unfinished(&*host, &store)?.is_none() {
        return Ok(());
    }
    // A run that is at work looks like one that was killed, but for the lock.
    take_lock(host)?;
    let open = apply::unfinished(&*host, &store)?;
    host.unlock();
    let Some(open) = open else { return Ok(()) };
    ui.warning(&format!("run {} did not finish: it has to be taken back first", open.run));
    let command = format!("seaworthy rollback {}", open.run);
    if !confirm(Mode::of(yes, ui), "take it back?", &command)? {
        return Err(Failure::refused(format!("run {} did not finish", open.run))
            .host("as that run left it")
            .hint(format!("run `{command}`")));
    }
    let mut options = rollback_options(host);
    options.only_check = open.check;
    options.only_unfinished = true;
    apply::rollback(host, &store, &open.run, &options, ui)?;
    ui.end_progress();
    ui.status(&format!("run {} is taken back", open.run));
    Ok(())
}

/// Names a run that was killed, or is at work, on stderr: for the commands that only read.
pub(super) fn name_unfinished(host: &dyn Host, ui: &mut Ui) {
    if host.euid() != 0 {
        return;
    }
    match open_run(host) {
        Ok(Some((run, Some(pid)))) => ui.warning(&format!("run {run} is at work (pid {pid}): the host is changing")),
        Ok(Some((run, None))) => {
            ui.warning(&format!("run {run} did not finish: `seaworthy rollback {run}` takes it back"));
        }
        Ok(None) => {}
        Err(failure) => ui.warning(&failure.message),
    }
}

/// The run that is not finished, and the process that is at work on it.
pub(super) fn open_run(host: &dyn Host) -> Result<Option<(String, Option<u32>)>> {
    let open = || Ok(apply::unfinished(host, &Store::default())?.map(|open| open.run));
    let Some(run) = open()? else { return Ok(None) };
    let pid = apply::at_work(host);
    // One that ended between the two looks holds no lock either.
    if pid.is_none() && open()?.as_ref() != Some(&run) {
        return Ok(None);
    }
    Ok(Some((run, pid)))
}

/// How a rollback works unless it is told otherwise.
pub(super) fn rollback_options(host: &dyn Host) -> RollbackOptions {
    RollbackOptions {
        force: false,
        only_check: None,
        only_unfinished: false,
        wait_lock: 0,
        deadlines: Deadlines::default(),
        who: who(host),
    }
}

/// The saved plan as it is planned on this host now: what the file says is compared, not carried out.
pub(super) fn vetted(host: &LiveHost, saved: &Plan, global: &Global) -> Result<Plan> {
    if saved.is_empty() {
        return Ok(saved.clone());
    }
    let policy = Policy::load(host, global.config.as_deref())?;
    seen(host, &policy, |inputs| {
        stands(host, saved, inputs)?;
        apply::unmoved(host, saved)?;
        plan::vetted(saved, inputs)
    })
}

/// Shows the planner the host as it is now, with all checks.
fn seen<T>(host: &dyn Host, policy: &Policy, see: impl FnOnce(&Inputs<'_>) -> T) -> T {
    let recorder = Recorder::new(host);
    let entries: Vec<&'static Entry> = catalog().entries().collect();
    let past = past(host);
    let facts = facts::gather(&recorder, &audit::needs(&entries));
    see(&Inputs {
        host: &recorder,
        entries: &entries,
        policy,
        facts: &facts,
        choice: Choice::automatic(),
        no_restart: false,
        put_back: &past.put_back,
        written: &past.written,
    })
}

/// Compares everything but files with what the plan was made on.
fn stands(host: &dyn Host, plan: &Plan, inputs: &Inputs<'_>) -> Result<()> {
    let differs = moved(plan, &plan::fingerprint(inputs, plan));
    if differs.is_empty() {
        return Ok(());
    }
    // The file behind a setting is what a person can look at.
    let files = apply::unmoved(host, plan).err().into_iter().flat_map(|failure| failure.causes);
    let failure = Failure::refused("the host moved on since the plan was made").host("unchanged");
    let failure = differs.into_iter().chain(files).fold(failure, Failure::because);
    Err(failure.hint("run `seaworthy plan` and review the new diff"))
}

/// Compares the host with the plan under the lock, and carries it out.
pub(super) fn apply(host: &mut LiveHost, plan: &Plan, wish: &Wish<'_>, ui: &mut Ui) -> Result<Outcome> {
    take_lock(host)?;
    let policy = Policy::load(&*host, wish.global.config.as_deref())?;
    let entries: Vec<&'static Entry> = catalog().entries().collect();
    seen(&*host, &policy, |inputs| stands(&*host, plan, inputs))?;
    let mut detect = |host: &dyn Host| {
        let now = seen(host, &policy, |inputs| plan::evidence(inputs, plan));
        Ok(now.into_iter().filter(|found| !plan.fingerprint.evidence.contains(found)).collect())
    };
    let mut verify = |host: &dyn Host| Ok(still_open(host, plan, &entries, &policy));
    let mut options = ApplyOptions {
        no_restart: wish.args.limits.no_restart,
        confirm_within: wish.args.confirm_within,
        deadlines: Deadlines::default(),
        who: who(&*host),
        args: args(),
        detect: &mut detect,
        verify: &mut verify,
    };
    let interrupt = ui.interrupt().any();
    apply::apply(host, &Store::default(), plan, &mut options, ui, &interrupt)
}

/// Takes the one lock, so that what is compared now is what is changed.
fn take_lock(host: &mut LiveHost) -> Result<()> {
    host.lock().map_err(|error| {
        let failure = match error.kind() {
            std::io::ErrorKind::WouldBlock => Failure::refused("another seaworthy is at work on this host")
                .hint("wait until it is done, then try again"),
            _ => Failure::refused("the lock cannot be taken").because(error).hint("run `ls -ld /run/seaworthy`"),
        };
        failure.host("unchanged")
    })
}

/// What is not as the plan found it.
fn moved(plan: &Plan, now: &plan::Fingerprint) -> Vec<String> {
    let then = &plan.fingerprint;
    let mut differs = Vec::new();
    if then.machine_id != now.machine_id {
        let id = |id: &Option<String>| id.clone().unwrap_or_else(|| "none".into());
        differs.push(format!("machine-id: planned on {}, this is {}", id(&then.machine_id), id(&now.machine_id)));
    }
    let lists = [(&then.versions, &now.versions), (&then.settings, &now.settings), (&then.evidence, &now.evidence)];
    for (then, now) in lists {
        differs.extend(then.iter().filter(|e| !now.contains(e)).map(|e| format!("was: {e}")));
        differs.extend(now.iter().filter(|e| !then.contains(e)).map(|e| format!("now: {e}")));
    }
    differs
}

/// The audit again: which of the plan's checks are still open. Never the exit code of a fix.
fn still_open(host: &dyn Host, plan: &Plan, entries: &[&'static Entry], policy: &Policy) -> Vec<String> {
    let chosen: Vec<&Entry> = entries.iter().copied().filter(|e| plan.accepted.contains(&e.id)).collect();
    let recorder = Recorder::new(host);
    let facts = facts::gather(&recorder, &audit::needs(&chosen));
    let findings = audit::audit(&chosen, &facts, policy);
    // Containers whose value nobody knows, and the subjects that were not asked for, stay as they are.
    // A swarm is one subject, and is changed whole.
    let stays = |f: &Finding| {
        let updates = |e: &&Entry| e.remediation.edits.iter().any(|edit| matches!(edit, Edit::Container(_)));
        let planned = |s: &Step| {
            s.checks.contains(&f.check) && matches!(&s.act, Act::Update(change) if change.id == f.subject_id)
        };
        let of = |wanted: &dyn Fn(&&Entry) -> bool| chosen.iter().any(|e| e.id == f.check && wanted(e));
        if of(&updates) {
            return !plan.steps.iter().any(planned);
        }
        // A container that was made anew has the same name and another id.
        let written = |(check, name): &(String, String)| *check == f.check && f.subject == format!("container:{name}");
        of(&|e| e.remediation.edits.iter().any(|edit| matches!(edit, Edit::Compose(_))))
            && !plan.composed.iter().any(written)
    };
    // A plan for some subjects leaves the owner and mode of the others as they are.
    let left = |f: &Finding| {
        let access = chosen.iter().any(|e| e.id == f.check && matches!(e.check, Check::FileAccess { .. }));
        access
            && !plan
                .steps
                .iter()
                .any(|s| matches!(&s.act, Act::File(c) if f.subject == format!("path:{}", c.path.display())))
    };
    let open =
        findings.iter().filter(|f| matches!(f.verdict, Verdict::Fail | Verdict::Unknown) && !left(f) && !stays(f));
    open.map(|f| format!("{} {}: {}", f.check, f.subject, f.actual)).collect()
}

impl Session<'_> {
    /// The plan's own view of who may be hurt, for the guided review.
    pub(super) fn choose(&self, checks: &[String], no_restart: bool, past: &Past) -> Result<Plan> {
        Ok(self.plan(Choice::only(checks.iter().cloned().collect()), no_restart, past)?.plan)
    }
}
