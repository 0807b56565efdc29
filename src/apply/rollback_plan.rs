//! What a rollback would do: shown, and checked for what it would hurt, before anything is done.

use std::path::{Path, PathBuf};

use super::compose_undo::{self, ServiceUndo};
use super::daemon_undo::Needs;
use super::goal::{Goal, Standing, whole};
use super::hazards::{cuts, hazards};
use super::history::{State, state};
use super::image::Image;
use super::journal::{Journal, Op, Record};
use super::live::{self, LiveUndo, begun};
use super::partial;
use super::prepare::about_content;
use super::service::{self, DOCKER};
use super::store::{PLAN, Run, Store};
use crate::error::{Failure, Kind, Result};
use crate::host::{Command, FileKind, Host};
use crate::plan::{Act, FileChange, FileState, LiveChange, LiveState, Plan, Step};

/// What a rollback would do.
#[derive(Clone, Debug)]
pub struct RollbackPlan {
    /// Id of the run.
    pub run: String,
    /// Paths: `before` is now, `after` as it will be. Content that is not UTF-8 is shown with replacements.
    pub changes: Vec<FileChange>,
    /// Commands, in order, as a person would type them.
    pub actions: Vec<String>,
    /// Paths that were changed since; they need `--force`.
    pub changed_since: Vec<ChangedSince>,
    /// What would be hurt, with names; needs `--force`.
    pub held: Vec<String>,
    /// What a restart would cut, with names; needs `--force` from whoever asks for it. A host that mends itself is not
    /// held by it.
    pub cuts: Vec<String>,
    /// What stays.
    pub notes: Vec<String>,
    /// Containers that were changed since, a line each; they need `--force`.
    pub containers_since: Vec<String>,
    pub(super) live: Vec<LiveUndo>,
    pub(super) services: Vec<ServiceUndo>,
    pub(super) goals: Vec<Goal>,
    pub(super) needs: Needs,
    pub(super) audit: Option<Vec<String>>,
    pub(super) daemon_reload: bool,
    pub(super) disable: Vec<Command>,
    /// The run was finished: what differs since is someone's wish.
    pub(super) finished: bool,
}

/// A path that is no longer what the run left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChangedSince {
    /// The path.
    pub path: PathBuf,
    /// Before the run.
    pub before: String,
    /// As the run left it.
    pub ours: String,
    /// Now.
    pub now: String,
    /// What the run did to it, and what was done to it since.
    pub both: [FileChange; 2],
}

/// Plans a rollback: of the whole run, or of one check.
///
/// # Errors
/// When the run or its journal cannot be read, or the check's share cannot be told from others'.
pub fn plan_rollback(host: &dyn Host, store: &Store, id: &str, check: Option<&str>) -> Result<RollbackPlan> {
    let run = store.open(host, id)?;
    let journal = Journal::open(host, &run)?;
    if !journal.records.contains(&Record::Prepared) {
        // Nothing was changed, and the plan itself may be half written.
        return Ok(RollbackPlan::empty(&run));
    }
    read(host, &run, &journal, check).map(|(_, draft)| draft)
}

/// The plan of a run and of its rollback. What cannot be read here keeps all of it from being undone.
pub(super) fn read(host: &dyn Host, run: &Run, journal: &Journal, check: Option<&str>) -> Result<(Plan, RollbackPlan)> {
    let both = read_plan(host, run).and_then(|plan| {
        let draft = draft(host, run, journal, &plan, check)?;
        Ok((plan, draft))
    });
    both.map_err(|error| Failure {
        host: error.host.or_else(|| Some(format!("as run {} left it", run.id))),
        hint: error.hint.or_else(|| Some(format!("run `ls -lR {}`", run.dir.display()))),
        ..error
    })
}

/// The plan of a run.
pub(super) fn read_plan(host: &dyn Host, run: &Run) -> Result<Plan> {
    let text = run.read(host, PLAN)?;
    serde_json::from_slice(&text)
        .map_err(|error| Failure::of(Kind::Incomplete, format!("{} is damaged", run.plan().display())).because(error))
}

/// The plan of a rollback whose run is open already.
pub(super) fn draft(
    host: &dyn Host,
    run: &Run,
    journal: &Journal,
    plan: &Plan,
    check: Option<&str>,
) -> Result<RollbackPlan> {
    let mut draft = RollbackPlan::empty(run);
    let concerns = |act: &dyn Fn(&Act) -> bool| {
        plan.steps
            .iter()
            .any(|step| act(&step.act) && check.is_none_or(|check| step.checks.iter().any(|one| one == check)))
    };
    draft.goals = match check {
        None => whole(host, run, journal)?,
        Some(check) => partial::goals(host, run, journal, plan, check)?,
    };
    for op in journal.begun() {
        match op {
            Op::Restart { .. } if concerns(&|act| matches!(act, Act::RestartDocker)) => {
                draft.needs.restart = true;
            }
            Op::Reload if concerns(&|act| matches!(act, Act::LiveRestoreFirst(_))) => draft.needs.reload = true,
            Op::LoadAuditRules if concerns(&|act| matches!(act, Act::LoadAuditRules { .. })) => {
                draft.audit = Some(partial::watches(plan, check));
            }
            Op::DaemonReload if concerns(&|act| *act == Act::DaemonReload) => draft.daemon_reload = true,
            Op::Run { command: done @ Command::Reload(_) } if concerns(&|act| *act == Act::Run(done.clone())) => {
                draft.needs.values = true;
            }
            Op::Run { command } => draft.service(journal, plan, command, check),
            _ => {}
        }
    }
    let written = |act: &dyn Fn(&Act) -> bool| {
        concerns(act) && plan.steps.iter().any(|step| act(&step.act) && wrote_for(journal, plan, step))
    };
    if written(&|act| matches!(act, Act::LoadAuditRules { .. })) {
        // A boot loads them as well.
        draft.audit = Some(partial::watches(plan, check));
    }
    if started_since(host, journal) {
        draft.daemon_reload |= written(&|act| *act == Act::DaemonReload);
        // Without daemon.json in our hands a restart may cost containers.
        if draft.goals.iter().any(|goal| plan.target.config.as_ref() == Some(&goal.path)) {
            draft.needs.restart |= written(&|act| matches!(act, Act::RestartDocker));
            draft.needs.reload |= concerns(&|act| matches!(act, Act::LiveRestoreFirst(_)));
        }
    }
    draft.describe(host, journal, plan);
    draft.containers(host, journal, plan, check);
    draft.finished = matches!(state(&journal.records), State::Committed | State::Unconfirmed { .. });
    if draft.finished {
        draft.held = hazards(host, plan, &draft.goals, draft.needs.restart);
        draft.cuts = cuts(host, draft.needs.restart, draft.daemon_reload);
    }
    let services = compose_undo::services(host, journal, plan, check, draft.finished);
    draft.actions.extend(services.undo.iter().map(|undo| undo.recreation.command()));
    draft.services = services.undo;
    draft.cuts.extend(services.cuts);
    draft.notes.extend(services.notes);
    Ok(draft)
}

/// Whether docker.service was started since the run began, be it by a boot: what the run had written is in force then,
/// also where the run itself did not come to that.
fn started_since(host: &dyn Host, journal: &Journal) -> bool {
    let Some(before) = journal.before().filter(|before| before.active == "active") else { return false };
    let now = service::unit(host, DOCKER).unwrap_or_default();
    now.active == "active" && before.process.0 != 0 && before.process != now.process
}

/// Whether the run began to write a file for what this step puts in force.
fn wrote_for(journal: &Journal, plan: &Plan, step: &Step) -> bool {
    let files = plan.steps.iter().filter(|other| other.checks.iter().any(|check| step.checks.contains(check)));
    let mut paths = files.filter_map(|other| match &other.act {
        Act::File(change) if about_content(change) => Some(&change.path),
        _ => None,
    });
    paths.any(|path| journal.begun().any(|op| matches!(op, Op::Path { path: begun, .. } if begun == path)))
}

impl RollbackPlan {
    fn empty(run: &Run) -> Self {
        Self {
            run: run.id.clone(),
            changes: Vec::new(),
            actions: Vec::new(),
            changed_since: Vec::new(),
            held: Vec::new(),
            cuts: Vec::new(),
            notes: Vec::new(),
            containers_since: Vec::new(),
            live: Vec::new(),
            services: Vec::new(),
            goals: Vec::new(),
            needs: Needs::default(),
            audit: None,
            daemon_reload: false,
            disable: Vec::new(),
            finished: false,
        }
    }

    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty() && self.actions.is_empty()
    }

    /// Whether it can be done without `--force`.
    ///
    /// # Errors
    /// Refuses when a path was changed since, or when something would be hurt.
    pub fn unforced(&self) -> Result<()> {
        self.unless(self.held.iter().chain(&self.cuts))
    }

    /// The same for a rollback that nobody asked for: what a restart cuts is less than what a run may have broken.
    pub(super) fn mends(&self) -> Result<()> {
        self.unless(self.held.iter())
    }

    fn unless<'a>(&'a self, held: impl Iterator<Item = &'a String>) -> Result<()> {
        let held: Vec<String> = held.cloned().collect();
        let (message, causes): (_, Vec<String>) = if let Some(first) = self.changed_since.first() {
            let line = |one: &ChangedSince| {
                format!("{}: before {}, left by the run {}, now {}", one.path.display(), one.before, one.ours, one.now)
            };
            let message = format!("{} was changed since run {}", first.path.display(), self.run);
            let causes = self.changed_since.iter().map(line).chain(self.containers_since.iter().cloned());
            (message, causes.collect())
        } else if !self.containers_since.is_empty() {
            (format!("containers were changed since run {}", self.run), self.containers_since.clone())
        } else if !held.is_empty() {
            (format!("rollback of run {} would hurt what is there now", self.run), held)
        } else {
            return Ok(());
        };
        let failure = causes.into_iter().fold(Failure::refused(message), Failure::because);
        Err(failure.host("unchanged").hint(format!("run `seaworthy rollback {} --force`", self.run)))
    }

    /// Takes up what the run did to containers.
    fn containers(&mut self, host: &dyn Host, journal: &Journal, plan: &Plan, check: Option<&str>) {
        let changes = begun(journal, plan, check);
        if changes.is_empty() {
            return;
        }
        let info = service::get(host, &plan.target.socket, "/info").unwrap_or_default();
        let systemd = info["CgroupDriver"] == "systemd";
        for change in changes {
            let LiveChange { name, before, after, .. } = change;
            let subject = change.subject();
            let undo = |from| LiveUndo { back: change.reversed(), from };
            match live::look(host, &plan.target.socket, change) {
                Ok(live::Standing::Before) => continue,
                // The run itself made it anew: its old file says what it had.
                Ok(live::Standing::Gone) if made_anew(plan, &change.id) => continue,
                Ok(live::Standing::Gone) => {
                    self.notes.push(format!("{subject} is gone: {} cannot be set back", after.what()));
                    continue;
                }
                Ok(live::Standing::Foreign(now)) => {
                    self.containers_since.push(format!(
                        "{subject}: {} before {}, left by the run {}, now {}",
                        after.what(),
                        before.shown(),
                        after.shown(),
                        now.shown()
                    ));
                    self.live.push(undo(Some(now)));
                }
                // A daemon that is down may be brought back by this very rollback.
                Ok(live::Standing::After | live::Standing::Between) | Err(_) => self.live.push(undo(None)),
            }
            if *before == (LiveState::PidsLimit { limit: 0 }) && systemd {
                self.notes.push(format!(
                    "container {name} may have any number of processes; systemd's own limit (TasksMax) does not come back"
                ));
            }
            if matches!(before, LiveState::Networks { .. }) {
                self.notes.push(format!(
                    "container {name} gets an address on its old network as any new one does: it may be another"
                ));
            }
            if before.is_unlimited_memory() {
                self.notes.push(format!(
                    "container {name} may take all memory again; docker shows a limit of 4 EiB, since it cannot take one \
                     away"
                ));
            }
        }
        self.actions.extend(self.live.iter().map(|undo| undo.back.command()));
    }

    /// How a command of the plan is taken back.
    fn service(&mut self, journal: &Journal, plan: &Plan, done: &Command, check: Option<&str>) {
        let alone = plan
            .steps
            .iter()
            .filter(|step| step.act == Act::Run(done.clone()))
            .all(|step| check.is_none_or(|check| step.checks.iter().all(|one| one == check)));
        if !alone {
            return;
        }
        let before = journal.before().map(|before| &before.units);
        let was = |unit: &str| before.and_then(|units| units.get(unit)).cloned().unwrap_or_default();
        match done {
            Command::Enable(unit) if was(unit).0 == "disabled" => self.disable.push(Command::Disable(unit.clone())),
            // auditd refuses to be stopped by systemd, and a host without it is worse off.
            Command::Start(unit) if unit == "auditd.service" && was(unit).1 != "active" => {
                self.notes.push("auditd.service keeps running until the next boot".into());
            }
            Command::Start(unit) if was(unit).1 == "inactive" => self.disable.push(Command::Stop(unit.clone())),
            Command::Install { argv } => self.notes.push(format!("packages stay: {}", argv.join(" "))),
            _ => {}
        }
    }

    /// Whether userns-remap is set now and will not be.
    fn ends_remapping(&self) -> bool {
        let sets = |state: &FileState| matches!(state, FileState::Present { content: Some(text), .. } if text.contains("userns-remap"));
        self.changes.iter().any(|change| sets(&change.before) && !sets(&change.after))
    }

    /// Fills in what is shown.
    fn describe(&mut self, host: &dyn Host, journal: &Journal, plan: &Plan) {
        for goal in &self.goals {
            let standing = goal.standing(host, journal, plan);
            if standing == Standing::There {
                continue;
            }
            let planned: Vec<_> = super::prepare::changes(plan).filter(|change| change.path == goal.path).collect();
            let secret = planned.iter().any(|change| change.secret);
            let change = |before, after| FileChange { path: goal.path.clone(), before, after, interim: None, secret };
            let found = shown(host, goal);
            if let Standing::Foreign(now) = standing {
                let before = planned.first().map_or_else(|| goal.state(), |first| first.before.clone());
                let ours = planned.last().map_or_else(|| goal.state(), |last| last.after.clone());
                let name = |state| Image::planned(state, &goal.image).to_string();
                self.changed_since.push(ChangedSince {
                    path: goal.path.clone(),
                    before: name(&before),
                    ours: name(&ours),
                    now,
                    both: [change(before, ours.clone()), change(ours, found.clone())],
                });
            }
            self.changes.push(change(found, goal.state()));
        }
        if self.ends_remapping() && host.read(Path::new("/etc/passwd")).is_ok_and(|text| has_dockremap(&text)) {
            let stays = "dockremap, the user and group that dockerd made for userns-remap, stay with their ranges in \
                         /etc/subuid and /etc/subgid: files may belong to them";
            self.notes.push(stays.into());
        }
        let mut actions = Vec::new();
        if self.daemon_reload {
            actions.push(Command::DaemonReload);
        }
        if self.needs.restart {
            actions.push(Command::Restart(DOCKER.into()));
        } else if self.needs.reload || self.needs.values {
            actions.push(Command::Reload(DOCKER.into()));
        }
        if self.audit.is_some() {
            actions.push(Command::LoadAuditRules);
        }
        actions.extend(self.disable.iter().cloned());
        self.actions = actions.iter().map(ToString::to_string).collect();
    }
}

fn has_dockremap(passwd: &[u8]) -> bool {
    passwd.split(|byte| *byte == b'\n').any(|line| line.starts_with(b"dockremap:"))
}

impl Goal {
    fn state(&self) -> FileState {
        let Some(access) = self.image.access() else { return FileState::Absent };
        let content = self.bytes.as_ref().map(|_| self.text());
        FileState::Present { dir: self.is_dir(), mode: access.mode, uid: access.uid, gid: access.gid, content }
    }
}

/// The host's path in the form of a plan.
fn shown(host: &dyn Host, goal: &Goal) -> FileState {
    let Ok(stat) = host.stat(&goal.path) else { return FileState::Absent };
    let content = if goal.reads() { host.read(&goal.path).ok() } else { None };
    FileState::Present {
        dir: stat.kind == FileKind::Dir,
        mode: stat.mode,
        uid: stat.uid,
        gid: stat.gid,
        content: content.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()),
    }
}

/// Whether a step of the plan makes this container anew.
fn made_anew(plan: &Plan, id: &str) -> bool {
    let anew = |act: &Act| matches!(act, Act::Recreate(service) if service.containers.iter().any(|(_, one)| one == id));
    plan.steps.iter().any(|step| anew(&step.act))
}
