//! What most subcommands begin with: the host, the site's file, the selection, the facts.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use crate::audit::{self, Finding, Stale};
use crate::catalog::{Benchmark, Catalog, Entry, Hazard, Selection, resolve, select};
use crate::cli::Global;
use crate::error::{Failure, Kind, Result};
use crate::facts::{self, Account, Facts, Install, Other};
use crate::host::{Host, LiveHost, RecordedHost, Recording, local};
use crate::plan::{Accept, Advised, Choice, Inputs, Planned, advise, plan};
use crate::policy::Policy;
use crate::report::{Envelope, HostLine};
use crate::time;
use crate::ui::Ui;

/// The catalogue, read once.
pub(super) fn catalog() -> &'static Catalog {
    static CATALOG: OnceLock<Catalog> = OnceLock::new();
    CATALOG.get_or_init(Catalog::built_in)
}

/// Opens the host that the options name, to read and to change.
pub(super) fn live(global: &Global) -> Result<LiveHost> {
    LiveHost::new(global.root.clone()).map_err(|error| {
        let shown = global.root.as_ref().map_or("/".into(), |root| root.display().to_string());
        Failure::new(format!("{shown} cannot be opened")).because(error).host("unchanged")
    })
}

/// Opens the host that the options name, to read: a recording, an image, or this one.
pub(super) fn open(global: &Global, recording: Option<&Path>) -> Result<Box<dyn Host>> {
    let Some(path) = recording else { return Ok(Box::new(live(global)?)) };
    let shown = path.display();
    let text = local::read(path).map_err(|e| Failure::new(format!("{shown} cannot be read")).because(e))?;
    let recording: Recording = serde_json::from_str(&text).map_err(|e| {
        Failure::new(format!("{shown}:{}: this is not a facts file", e.line()))
            .because(e)
            .hint("record one with `seaworthy facts --output FILE`")
    })?;
    if recording.schema_version > crate::host::RECORDING_SCHEMA {
        let by = recording.tool_version;
        return Err(Failure::new(format!("{shown} was recorded by a newer seaworthy ({by})")).hint("use that version"));
    }
    Ok(Box::new(RecordedHost::new(recording)))
}

/// What is looked at.
#[derive(Clone, Copy, Default)]
pub(super) struct Look<'a> {
    /// Recorded facts, not a host.
    pub(super) recorded: bool,
    /// The user whose own Docker is meant, by name or number; `None`: the system's.
    pub(super) rootless: Option<&'a str>,
}

/// What earlier runs tell about this host.
#[derive(Default)]
pub(super) struct Past {
    /// Paths of the last run that stands and that someone put back since: a configuration manager owns them.
    pub(super) put_back: Vec<PathBuf>,
    /// Checks that runs wrote and that stand.
    pub(super) written: BTreeSet<String>,
}

/// A host that was looked at.
pub(super) struct Session<'a> {
    pub(super) host: &'a dyn Host,
    pub(super) policy: Policy,
    pub(super) benchmark: Benchmark,
    pub(super) profile: String,
    pub(super) entries: Vec<&'static Entry>,
    pub(super) facts: Facts,
    /// When the host was recorded, for a recorded one.
    recorded: bool,
}

impl<'a> Session<'a> {
    /// Reads the site's file, selects, and gathers the facts. `host` should remember its answers.
    pub(super) fn open(host: &'a dyn Host, global: &Global, look: Look<'_>, ui: &mut Ui) -> Result<Self> {
        let Look { recorded, rootless } = look;
        let mut policy = if recorded && global.config.is_none() {
            Policy::default()
        } else {
            Policy::load(host, global.config.as_deref())?
        };
        policy.subjects.clone_from(&global.subject);
        let benchmark = benchmark(global, &policy)?;
        let profile = global.profile.clone().or_else(|| policy.profile.clone()).unwrap_or_else(|| "level-2".into());
        let selection = Selection {
            check: global.check.clone(),
            skip: global.skip.clone(),
            profile: profile.clone(),
            benchmark: benchmark.version().into(),
        };
        let selected = select(catalog(), &selection)?;
        for note in &selected.notes {
            ui.note(note);
        }
        let mut needs = audit::needs(&selected.entries);
        needs.rootless = rootless.map(|user| account(host, user)).transpose()?;
        ui.look("reading the host");
        let facts = facts::gather(host, &needs);
        ui.end_progress();
        let others = &facts.daemon.others;
        if facts.daemon.install == Install::Missing {
            let failure = Failure::new("Docker is not installed: no dockerd and no docker.service were found")
                .host("unchanged")
                .hint("install Docker first, then run `seaworthy audit`");
            return Err(others.iter().map(told).fold(failure, Failure::because));
        }
        for other in others {
            ui.note(&told(other));
        }
        Ok(Self { host, policy, benchmark, profile, entries: selected.entries, facts, recorded })
    }

    fn inputs<'b>(&'b self, choice: Choice, no_restart: bool, past: &'b Past) -> Inputs<'b> {
        Inputs {
            host: self.host,
            entries: &self.entries,
            policy: &self.policy,
            facts: &self.facts,
            choice,
            no_restart,
            put_back: &past.put_back,
            written: &past.written,
        }
    }

    /// How containers would be made anew that nothing but a command line makes.
    pub(super) fn advise(&self, choice: Choice, past: &Past, findings: &[Finding]) -> Vec<Advised> {
        advise(&self.inputs(choice, false, past), findings)
    }

    /// Computes the plan.
    pub(super) fn plan(&self, choice: Choice, no_restart: bool, past: &Past) -> Result<Planned> {
        let planned = plan(&self.inputs(choice, no_restart, past));
        self.some(&planned.findings)?;
        Ok(planned)
    }

    /// The findings alone, of a Docker that nothing is planned for.
    pub(super) fn findings(&self) -> Result<Vec<Finding>> {
        let findings = audit::audit(&self.entries, &self.facts, &self.policy);
        self.some(&findings)?;
        Ok(findings)
    }

    /// Nothing found would read as nothing open.
    fn some(&self, findings: &[Finding]) -> Result<()> {
        if findings.is_empty() && !self.policy.subjects.is_empty() {
            let message = format!("no subject matches `{}`", self.policy.subjects.join(","));
            return Err(Failure::of(Kind::Usage, message).hint("`seaworthy audit --format json` names them all"));
        }
        Ok(())
    }

    /// Waivers that somebody has to look at.
    pub(super) fn stale_waivers(&self, findings: &[Finding]) -> Vec<Stale> {
        audit::stale(catalog(), &self.entries, findings, &self.facts, &self.policy)
    }

    /// The slugs that `--accept` and the profile accept.
    pub(super) fn accepted(&self, patterns: &[String], ui: &mut Ui) -> Result<BTreeMap<String, Accept>> {
        let named = resolve(catalog(), patterns, self.benchmark)?;
        for note in &named.notes {
            ui.note(note);
        }
        let mut accepted: BTreeMap<String, Accept> =
            named.entries.iter().map(|e| (e.id.clone(), Accept::All)).collect();
        // Choosing the exercise is choosing what it asks for; other hazards still ask.
        if self.profile == "lab" {
            let trust = Accept::Shown([Hazard::BreaksPulls, Hazard::Inert].into());
            accepted.entry("image.content-trust".into()).or_insert(trust);
        }
        Ok(accepted)
    }

    /// What a document begins with.
    pub(super) fn envelope(&self, exit: u8) -> Envelope {
        Envelope::new(self.host.now(), self.facts.scope.machine_id.clone(), exit)
    }

    /// The host, for the head of a report.
    pub(super) fn host_line(&self) -> HostLine {
        let daemon = &self.facts.daemon;
        let state = match (&daemon.running, &daemon.install) {
            (_, Install::Snap) => "the snap, which seaworthy does not change".into(),
            (Ok(Some(_)), _) => {
                let rootless = self.facts.rootless.as_ref();
                rootless.map_or("running".into(), |account| format!("running without root, of user {}", account.name))
            }
            (Ok(None), _) if self.facts.scope.offline => "not running (files only)".into(),
            (Ok(None), _) => "stopped".into(),
            (Err(why), _) => format!("unknown: {why}"),
        };
        HostLine {
            hostname: Some(self.facts.scope.hostname.clone())
                .filter(|n| !n.is_empty())
                .unwrap_or("unnamed host".into()),
            os: self.facts.scope.os_name.clone(),
            docker: daemon.version.as_ref().map(|v| v.text.clone()),
            daemon: state,
            privileged: self.facts.scope.privileged,
            offline: self.facts.scope.offline,
            recorded_at: self.recorded.then(|| time::rfc3339(self.host.now())),
        }
    }

    /// A check's number in the benchmark at hand.
    pub(super) fn number(&self, slug: &str) -> Option<String> {
        catalog().get(slug)?.number(self.benchmark).map(str::to_owned)
    }

    /// `OWNER:GROUP` for a diff.
    pub(super) fn owner(&self, uid: u32, gid: u32) -> String {
        self.facts.names.owner(uid, gid)
    }
}

/// An engine beside the daemon, and what there is to do about it.
fn told(other: &Other) -> String {
    match other.rootless_user() {
        Some(user) => {
            format!("{other}, which seaworthy does not change; `seaworthy audit --rootless {user}` looks at it")
        }
        None => format!("{other}, which seaworthy neither looks at nor changes"),
    }
}

/// The user whose own Docker is meant, which has to run.
fn account(host: &dyn Host, user: &str) -> Result<Account> {
    let account = Account::find(host, user)
        .map_err(|why| Failure::of(Kind::Usage, format!("--rootless {user}: no such user")).because(why.to_string()))?;
    if account.socket(host).is_none() {
        return Err(Failure::new(format!("no Docker of user {} runs: its socket is not there", account.name))
            .because(format!("/run/user/{}/docker.sock was looked for", account.uid))
            .host("unchanged")
            .hint("start it as that user with `systemctl --user start docker`"));
    }
    Ok(account)
}

/// The benchmark in which bare numbers are read: flag before file.
pub(super) fn benchmark(global: &Global, policy: &Policy) -> Result<Benchmark> {
    match &global.benchmark {
        Some(text) => text.parse().map_err(|e: String| Failure::of(Kind::Usage, e)),
        None => Ok(policy.benchmark.unwrap_or(Benchmark::DEFAULT)),
    }
}

/// Refuses what only root can do.
pub(super) fn need_root(host: &dyn Host, what: &str) -> Result<()> {
    if host.euid() == 0 {
        return Ok(());
    }
    Err(Failure::refused(format!("{what} needs root")).host("unchanged").hint(format!("run `sudo seaworthy {what}`")))
}
