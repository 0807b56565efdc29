//! Recorded hosts, bent at random: audit, plan, its diffs and reports hold together, whatever a host says of itself.
//!
//! Input: choices; which host, and what is bent.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use arbitrary::{Result, Unstructured};
use seaworthy::audit;
use seaworthy::catalog::{Catalog, Edit, Entry};
use seaworthy::facts::{self, Facts, keys};
use seaworthy::host::{Answer, EngineError, FileKind, Host, Overlay, OverlayFile, RecordedHost, Recorder, Recording};
use seaworthy::plan::{Act, Choice, FileState, Inputs, Plan, Planned, Step, diff, edit::daemon_json, plan, vetted};
use seaworthy::policy::Policy;
use seaworthy::report::{AuditReport, Envelope, HostLine, json, plan_text, text};
use serde_json::Value;

const HOSTS: [&str; 5] = [
    include_str!("../../../fixtures/hosts/debian-12-busy.json"),
    include_str!("../../../fixtures/hosts/debian-12-no-auditd.json"),
    include_str!("../../../fixtures/hosts/rhel-docker-ce.json"),
    include_str!("../../../fixtures/hosts/debian-13.json"),
    include_str!("../../../fixtures/hosts/debian-13-swarm.json"),
];

/// What files are given instead of what they hold.
const TEXTS: &[&str] = &[
    "",
    "\n",
    "{\"icc\": true, \"live-restore\": false}",
    "{\n  \"userns-remap\": \"\",\n  \"hosts\": [\"tcp://0.0.0.0:2375\"]\n}\n",
    "{\"icc\": true,}",
    "{\"log-opts\": {\"max-size\": \"1m\"}, \"default-ulimits\": {}}",
    "-w /etc/docker -p r -k docker",
    "-a never,task\n",
    "-a always,exit -F path=/usr/bin/dockerd -F perm=wa\n-e 2",
    "[Service]\nExecStart=\nExecStart=/usr/sbin/dockerd --icc=true $DOCKER_OPTS\nEnvironment=\"DOCKER_OPTS=-D --tls\"\n",
    "[Service]\nEnvironmentFile=-/etc/environment\nExecStart=/usr/sbin/dockerd --userns-remap=",
    "DOCKER_CONTENT_TRUST=0\nDOCKER_OPTS=\"--log-level debug\"\n",
    "DOCKER_CONTENT_TRUST=1\\\n",
    "root:x:0:0::/:/bin/sh\ndocker:x:0:0\n::::\n",
    "1 2 0:1 / / rw\n\u{20ac}",
    "btime x\n",
    "9 (a) b) S 1",
];

/// What an answer's line is replaced with.
const LINES: &[&str] = &[
    "",
    "=",
    "MainPID=0",
    "MainPID=99999999999",
    "ActiveState=activating",
    "LoadState=masked",
    "FragmentPath=",
    "enabled 2",
    "enabled 0",
    "No rules",
    "-w / -p",
    "-a",
    "Docker version 29.0.0",
];

/// The property.
pub fn check(data: &[u8]) {
    if let Ok(case) = bent(&mut Unstructured::new(data)) {
        holds(&case);
    }
}

/// A host, and what is asked of it.
pub(super) struct Case {
    pub(super) recording: Recording,
    pub(super) entries: &'static [&'static Entry],
    pub(super) policy: Policy,
    /// Every check is accepted, whatever it would hurt.
    pub(super) accept: bool,
}

pub(super) fn all() -> &'static [&'static Entry] {
    static ENTRIES: OnceLock<Vec<&'static Entry>> = OnceLock::new();
    ENTRIES.get_or_init(|| {
        let catalog: &'static Catalog = Box::leak(Box::new(Catalog::built_in()));
        catalog.entries().collect()
    })
}

fn bent(u: &mut Unstructured<'_>) -> Result<Case> {
    static KNOWN: OnceLock<Vec<Recording>> = OnceLock::new();
    let known =
        KNOWN.get_or_init(|| HOSTS.iter().map(|text| serde_json::from_str(text).expect("a recording")).collect());
    let mut recording = u.choose(known)?.clone();
    let accept = u.arbitrary()?;
    let policy = if u.ratio(1, 4)? {
        let text = "[values]\nlog-driver = \"syslog\"\nauthorization-plugins = [\"opa\"]\n[values.log-opts]\ntag = \"x\"\n[values.default-ulimits]\nnofile = { hard = 2, soft = 1 }\n";
        Policy::parse(text, Path::new("/x")).expect("a policy")
    } else {
        Policy::default()
    };
    for _ in 0..u.int_in_range(0..=6)? {
        match u.int_in_range(0..=6)? {
            0..=2 => file(u, &mut recording)?,
            3 => answer(u, &mut recording)?,
            4 => engine(u, &mut recording)?,
            5 => recording.euid = *u.choose(&[0, 1000])?,
            _ => recording.offline = u.arbitrary()?,
        }
    }
    Ok(Case { recording, entries: all(), policy, accept })
}

/// Paths that decide more than others, and any.
fn file(u: &mut Unstructured<'_>, recording: &mut Recording) -> Result<()> {
    const OFTEN: &[&str] = &[
        "/etc/docker/daemon.json",
        "/etc/default/docker",
        "/etc/environment",
        "/etc/audit/rules.d/50-seaworthy-docker.rules",
        "/etc/audit/rules.d/audit.rules",
        "/etc/systemd/system/docker.service",
        "/lib/systemd/system/docker.service",
        "/etc/docker",
        "/run/docker.sock",
        "/etc/passwd",
    ];
    let path = if u.arbitrary()? {
        (*u.choose(OFTEN)?).to_owned()
    } else {
        let paths: Vec<&String> = recording.files.keys().collect();
        (*u.choose(&paths)?).clone()
    };
    let paths: Vec<String> = recording.files.keys().cloned().collect();
    let node = recording.files.entry(path).or_default();
    match u.int_in_range(0..=7)? {
        0 => *node = seaworthy::host::Node { absent: true, ..Default::default() },
        1 => *node = seaworthy::host::Node { denied: true, stat: node.stat.clone(), ..Default::default() },
        2 => {
            if let Some(stat) = &mut node.stat {
                stat.mode = u.int_in_range(0..=0o7777)?;
                (stat.uid, stat.gid) = (*u.choose(&[0, 998, 1000])?, *u.choose(&[0, 998, 1000])?);
            }
        }
        3 => {
            if let Some(stat) = &mut node.stat {
                let target = FileKind::Symlink(u.choose(&paths)?.clone());
                stat.kind = [FileKind::File, FileKind::Dir, target, FileKind::Socket, FileKind::Other]
                    [u.int_in_range(0..=4)?]
                .clone();
            }
        }
        4 => node.content = Some(u.arbitrary::<&str>()?.to_owned()),
        5 => node.list = Some(vec![u.choose(&paths)?.rsplit('/').next().unwrap_or_default().to_owned()]),
        _ => {
            node.absent = false;
            node.content = Some((*u.choose(TEXTS)?).to_owned());
            node.stat.get_or_insert_with(|| seaworthy::host::Stat {
                kind: FileKind::File,
                mode: 0o644,
                uid: 0,
                gid: 0,
                nlink: 1,
                immutable: false,
                size: 0,
                mtime: 0,
                dev: "8:1".into(),
            });
        }
    }
    Ok(())
}

fn answer(u: &mut Unstructured<'_>, recording: &mut Recording) -> Result<()> {
    let keys: Vec<String> = recording.answers.keys().cloned().collect();
    let answer = recording.answers.entry(u.choose(&keys)?.clone()).or_default();
    match u.int_in_range(0..=3)? {
        0 => *answer = None,
        1 => *answer = Some(Answer { status: 1, stderr: "no".into(), ..Answer::default() }),
        _ => {
            let Some(answer) = answer else { return Ok(()) };
            let mut lines: Vec<&str> = answer.stdout.lines().collect();
            let line = *u.choose(LINES)?;
            match lines.len() {
                0 => lines.push(line),
                len => lines[u.choose_index(len)?] = line,
            }
            answer.stdout = lines.join("\n") + "\n";
        }
    }
    Ok(())
}

fn engine(u: &mut Unstructured<'_>, recording: &mut Recording) -> Result<()> {
    let keys: Vec<String> = recording.engine.keys().cloned().collect();
    if keys.is_empty() {
        return Ok(());
    }
    let Some(answer) = recording.engine.get_mut(u.choose(&keys)?) else { return Ok(()) };
    if u.ratio(1, 5)? {
        *answer = Err(EngineError::Status(500, "no".into()));
    }
    let Ok(mut value) = answer.as_mut() else { return Ok(()) };
    for _ in 0..u.int_in_range(0..=4)? {
        let len = value.as_object().map(serde_json::Map::len).or_else(|| value.as_array().map(Vec::len)).unwrap_or(0);
        if len == 0 {
            break;
        }
        let at = u.choose_index(len)?;
        value = match value {
            Value::Object(map) => map.values_mut().nth(at).expect("chosen among them"),
            Value::Array(all) => &mut all[at],
            leaf => leaf,
        };
    }
    let other = [
        Value::Null,
        Value::from(""),
        Value::from("\u{1b}[2J\u{20ac}"),
        Value::from(-1),
        serde_json::json!([]),
        serde_json::json!({}),
        Value::from(true),
    ];
    *value = u.choose(&other)?.clone();
    Ok(())
}

/// Audits and plans, and holds the outcome to everything.
pub(super) fn holds(case: &Case) {
    let host = RecordedHost::new(case.recording.clone());
    let host = Recorder::new(&host);
    let needs = audit::needs(case.entries);
    let before = facts::gather(&host, &needs);
    let planned = plan(&inputs(case, &host, &before));
    reports(&host, &before, &planned);
    let plan = &planned.plan;
    if !plan.is_empty() {
        let again = vetted(plan, &inputs(case, &host, &before));
        assert!(again.as_ref().is_ok_and(|again| again.steps == plan.steps), "our own plan is vetted: {again:?}");
    }
    let text = serde_json::to_string(plan).expect("a plan is JSON");
    assert_eq!(serde_json::from_str::<Plan>(&text).expect("and is read again"), *plan);

    let mut overlay = Overlay::new(&host);
    for step in &plan.steps {
        let Act::File(change) = &step.act else { continue };
        assert!(change.path.is_absolute() && (change.before != change.after || change.interim.is_some()), "{change:?}");
        assert!(!step.checks.is_empty());
        if let FileState::Present { content: Some(text), .. } = &change.before {
            let now = host.read(&change.path).expect("what is edited was read");
            assert_eq!(*text, String::from_utf8_lossy(&now), "{}", change.path.display());
        }
        super::diff::shown(change);
        let FileState::Present { dir, mode, uid, gid, content } = change.after.clone() else {
            panic!("a plan removes {}", change.path.display());
        };
        if let (FileState::Present { mode: old, .. }, new) = (&change.before, mode) {
            assert_eq!(new & !old, 0, "{}: mode {old:o} became {new:o}", change.path.display());
        }
        overlay.set(change.path.clone(), OverlayFile { content, mode, uid, gid, dir });
    }
    let overlay = Recorder::new(&overlay);
    let after = facts::gather(&overlay, &needs);
    settings(plan, case, &before, &after);
    let again = seaworthy::plan::plan(&inputs(case, &overlay, &after)).plan;
    // What only waited for this plan may come now.
    let held = |check: &String| plan.held.iter().any(|held| held.check == *check);
    let new = |step: &&Step| matches!(step.act, Act::File(_)) && !step.checks.iter().all(held);
    if let Some(step) = again.steps.iter().find(new) {
        let first: Vec<_> =
            plan.steps.iter().filter(|first| first.checks.iter().any(|c| step.checks.contains(c))).collect();
        panic!("a second plan is not empty: {step:#?} after {first:#?}, held {:#?}", plan.held);
    }
}

/// What a run of ours has written: nothing yet.
pub(super) static NOTHING: BTreeSet<String> = BTreeSet::new();

fn inputs<'a>(case: &'a Case, host: &'a dyn Host, facts: &'a Facts) -> Inputs<'a> {
    let ids: BTreeSet<String> = case.entries.iter().map(|entry| entry.id.clone()).collect();
    Inputs {
        host,
        entries: case.entries,
        policy: &case.policy,
        facts,
        choice: if case.accept { Choice::accepting(ids) } else { Choice::automatic() },
        no_restart: false,
        put_back: &[] as &[PathBuf],
        written: &NOTHING,
    }
}

/// Every document can be written, and the JSON is JSON.
fn reports(host: &dyn Host, facts: &Facts, planned: &Planned) {
    let envelope = Envelope::new(host.now(), facts.scope.machine_id.clone(), 0);
    let render = |change: &seaworthy::plan::FileChange| {
        let rendered = diff::render(change, &|uid, gid| facts.names.owner(uid, gid));
        plan_text::Diff { text: rendered.text, patchable: rendered.patchable }
    };
    let document = json::plan(&envelope, &planned.plan, &[], &render).expect("JSON");
    assert!(serde_json::from_str::<Value>(&document).is_ok());
    for line in plan_text::document(&planned.plan, &|_| None, &render).lines() {
        let known = ["#", "--- ", "+++ ", "@@ ", " ", "+", "-", "\\ ", "diff --git ", "new file", "deleted file"];
        assert!(
            line.is_empty() || known.iter().any(|start| line.starts_with(start)),
            "{line:?} is neither comment nor diff"
        );
    }
    let report = AuditReport::new(envelope, HostLine::default(), "1.8.0", "level-2", planned.findings.clone(), &[]);
    assert!(!text::audit(&report, 2).is_empty());
    let mut document = Vec::new();
    json::audit(&report, &mut document).expect("JSON");
    assert!(serde_json::from_slice::<Value>(&document).is_ok());
}

/// What the daemon will be told differs in what the plan's checks are about, and the daemon still starts.
fn settings(plan: &Plan, case: &Case, before: &Facts, after: &Facts) {
    let mut meant: BTreeSet<&str> = BTreeSet::new();
    for entry in case.entries.iter().filter(|entry| plan.accepted.contains(&entry.id)) {
        for edit in &entry.remediation.edits {
            match edit {
                Edit::DaemonSetting { key, .. } if key == "log-driver" => meant.extend(["log-driver", "log-opts"]),
                Edit::DaemonSetting { key, .. } | Edit::DaemonSettingRemove { key } => drop(meant.insert(key)),
                _ => {}
            }
        }
    }
    for key in keys::KEYS.iter().filter(|key| !meant.contains(key.name)) {
        let (old, new) = (before.daemon.setting(key.name), after.daemon.setting(key.name));
        assert_eq!(old.next, new.next, "{} is none of {meant:?}", key.name);
    }
    if before.daemon.next_start_fails().is_none() {
        assert_eq!(after.daemon.next_start_fails(), None, "after {meant:?}");
    }
    let text = |facts: &Facts| facts.daemon.config.editable().map(str::to_owned);
    if let (Some(old), Some(new)) = (text(before), text(after)) {
        let (old, new) = (daemon_json::read(&old).expect("valid"), daemon_json::read(&new).expect("valid"));
        for (key, value) in old.iter().filter(|(key, _)| !meant.contains(key.as_str())) {
            assert_eq!(new.get(key), Some(value), "`{key}` of daemon.json is none of {meant:?}");
        }
    }
}
