//! A saved plan, edited by anybody: what is let through does what plans of ours do, and applying it is all or nothing
//! and can be taken back.
//!
//! Input: the plan as JSON.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use seaworthy::apply::{RollbackOptions, Silent, Store, rollback};
use seaworthy::audit;
use seaworthy::error::{Kind, Result};
use seaworthy::facts::{self, Facts};
use seaworthy::host::{Command, RecordedHost};
use seaworthy::plan::edit::daemon_json;
use seaworthy::plan::{Act, Choice, FileChange, FileState, Inputs, LiveChange, LiveState, Plan, diff, vetted};
use seaworthy::policy::Policy;
use seaworthy::report::{Envelope, json, plan_text};

use super::facts::{NOTHING, all};
use super::support::fake_host::FakeHost;
use super::support::world;

/// The property.
pub fn check(data: &[u8]) {
    let Ok(plan) = serde_json::from_slice::<Plan>(data) else { return };
    let text = serde_json::to_string(&plan).expect("a plan is JSON");
    assert_eq!(serde_json::from_str::<Plan>(&text).expect("and is read again"), plan);
    let render = |change: &FileChange| {
        let rendered = diff::render(change, &|uid, gid| format!("{uid}:{gid}"));
        plan_text::Diff { text: rendered.text, patchable: rendered.patchable }
    };
    let document = json::plan(&Envelope::new(0, None, 2), &plan, &[], &render).expect("JSON");
    assert!(serde_json::from_str::<serde_json::Value>(&document).is_ok());
    plan_text::document(&plan, &|_| None, &render);
    if let Ok(again) = vetted_there(&plan) {
        assert_eq!(again.steps, plan.steps, "what is carried out is what the file says");
        plan.steps.iter().for_each(|step| ours(&step.act));
    }
    applied(&plan);
}

/// The plan as it is vetted on a fresh host, with all checks.
fn vetted_there(saved: &Plan) -> Result<Plan> {
    static FRESH: OnceLock<(RecordedHost, Facts)> = OnceLock::new();
    let (host, facts) = FRESH.get_or_init(|| {
        let text = include_str!("../../../fixtures/hosts/debian-12.json");
        let host = RecordedHost::new(serde_json::from_str(text).expect("a recording"));
        let facts = facts::gather(&host, &audit::needs(all()));
        (host, facts)
    });
    let (policy, choice, put_back) = (&Policy::default(), Choice::automatic(), &[] as &[PathBuf]);
    let written = &NOTHING;
    vetted(saved, &Inputs { host, entries: all(), policy, facts, choice, no_restart: false, put_back, written })
}

/// Nothing that runs as root but what the planner itself would run, and no content that no diff shows.
fn ours(act: &Act) {
    match act {
        Act::Run(Command::Install { argv }) => {
            let programs = ["/usr/bin/apt-get", "/usr/bin/dnf", "/usr/bin/zypper", "/sbin/apk"];
            assert!(
                programs.contains(&argv[0].as_str()) && argv.iter().any(|word| word.starts_with("audit")),
                "{argv:?}"
            );
        }
        Act::Run(Command::Enable(unit) | Command::Start(unit)) => assert_eq!(unit, "auditd.service"),
        Act::Run(Command::Reload(unit)) => assert_eq!(unit, "docker.service"),
        Act::Run(command) => panic!("{command} went through"),
        Act::File(FileChange { interim: Some(interim), before, .. }) => {
            let text = match before {
                FileState::Present { content, .. } => content.clone().unwrap_or_default(),
                FileState::Absent => String::new(),
            };
            let mut wanted = daemon_json::read(&text).expect("was read");
            wanted.insert("live-restore".into(), true.into());
            assert_eq!(daemon_json::read(interim).as_ref(), Ok(&wanted), "interim of {before:?}");
        }
        // Where the site chose nothing: never less than a container that has just started gets.
        Act::Update(LiveChange { after, .. }) => match after {
            LiveState::Memory { limit, swap } => assert!(limit == swap && *limit >= 64 << 20, "{after:?}"),
            LiveState::PidsLimit { limit } => assert!(*limit >= 64, "{after:?}"),
            LiveState::RestartPolicy { name, retries } => assert_eq!((name.as_str(), *retries), ("on-failure", 5)),
            LiveState::Cpus { .. }
            | LiveState::Networks { .. }
            | LiveState::CertExpiry { .. }
            | LiveState::Autolock { .. } => panic!("nobody chose {after:?}"),
        },
        _ => {}
    }
}

/// Applies the plan to a host in memory, and takes it back.
fn applied(plan: &Plan) {
    let before = world::busy();
    let mut host = world::busy();
    let installs = plan.steps.iter().any(|step| matches!(step.act, Act::Run(Command::Install { .. })));
    let restarts = plan.steps.iter().any(|step| step.act == Act::RestartDocker);
    match world::run(&mut host, plan) {
        Err(failure) => {
            assert_ne!(failure.kind, Kind::Incomplete, "{failure:?}");
            if !installs {
                as_before(&host, &before, &format!("{failure:?}"));
            }
        }
        Ok(outcome) if outcome.run.is_empty() => as_before(&host, &before, "nothing to do"),
        Ok(outcome) => {
            for step in &plan.steps {
                let Act::File(change) = &step.act else { continue };
                if let FileState::Present { content: Some(text), .. } = last(plan, &change.path) {
                    assert_eq!(host.text(&change.path.to_string_lossy()).as_ref(), Some(text));
                }
            }
            let force = RollbackOptions { force: true, ..world::options() };
            if let Err(failure) = rollback(&mut host, &Store::default(), &outcome.run, &force, &mut Silent) {
                // An edited plan may restart without live-restore, and so may taking it back by force.
                let known = |cause: &String| restarts && cause.ends_with("was restarted");
                assert!(failure.causes.iter().all(known), "it cannot be taken back: {failure:?}");
            }
            // Packages stay, which is said before.
            if !installs {
                as_before(&host, &before, "after a rollback");
            }
        }
    }
    if !restarts {
        assert_eq!(world::pids(&host), world::pids(&before), "containers live through it");
    }
}

fn as_before(host: &FakeHost, before: &FakeHost, what: &str) {
    let (now, then) = (host.state(), before.state());
    for one in &now {
        assert!(then.contains(one), "{what}: {one:?} is not as before");
    }
    for one in &then {
        assert!(now.contains(one), "{what}: {one:?} is gone");
    }
    // What an edited plan loads beside its list may stay; what was there does not go.
    for rule in &before.kernel_rules {
        assert!(host.kernel_rules.contains(rule), "{what}: {rule} is gone from the kernel");
    }
}

/// What the last change of a path makes of it.
fn last<'a>(plan: &'a Plan, path: &Path) -> &'a FileState {
    let of = |step: &'a seaworthy::plan::Step| match &step.act {
        Act::File(change) if change.path == path => Some(&change.after),
        _ => None,
    };
    plan.steps.iter().rev().find_map(of).expect("a change of that path")
}
