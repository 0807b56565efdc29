//! A host and a plan for it that has every kind of step.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use seaworthy::apply::{
    ApplyOptions, Deadlines, Outcome, RollbackOptions, RollbackOutcome, Silent, Store, Who, apply, rollback,
};
use seaworthy::error::Result;
use seaworthy::host::{Answer, Host, Node, Recording};
use seaworthy::plan::{Act, FileChange, FileState, Fingerprint, Part, Plan, Step, Target, Undo};
use serde_json::json;

use super::fake_host::{FakeHost, FakeNode};

pub(crate) const CONFIG: &str = "/etc/docker/daemon.json";
pub(crate) const RULES: &str = "/etc/audit/rules.d/50-seaworthy-docker.rules";
pub(crate) const BEFORE: &str = "{\n  \"dns\": [\"10.0.0.2\"]\n}\n";
pub(crate) const INTERIM: &str = "{\n  \"dns\": [\"10.0.0.2\"],\n  \"live-restore\": true\n}\n";
pub(crate) const AFTER: &str = "{\n  \"dns\": [\"10.0.0.2\"],\n  \"live-restore\": true,\n  \"icc\": false\n}\n";

fn answer(stdout: &str) -> Answer {
    Answer { status: 0, stdout: stdout.into(), stderr: String::new() }
}

/// A running Docker host without containers.
pub(crate) fn host() -> FakeHost {
    let unit = "ActiveState=active\nUnitFileState=enabled\nExecStart={ path=/usr/sbin/dockerd ; argv[]=/usr/sbin/dockerd -H fd:// $DOCKER_OPTS ; }\n";
    let auditd = "ActiveState=inactive\nUnitFileState=disabled\n";
    let answers = [
        ("systemctl show docker.service", answer(unit)),
        ("systemctl show auditd.service", answer(auditd)),
        ("auditctl -l", answer("-w /etc/passwd -p wa -k id\n")),
        ("auditctl -s", answer("enabled 1\n")),
    ];
    let mut recording = Recording { recorded_at: 1_795_000_000, complete: true, ..Recording::default() };
    recording.answers = answers.into_iter().map(|(key, answer)| (key.to_owned(), Some(answer))).collect();
    recording.files.insert("/run/systemd/system".into(), Node { list: Some(Vec::new()), ..Node::default() });
    recording.files.insert(
        CONFIG.into(),
        Node {
            content: Some(BEFORE.into()),
            xattrs: vec![("security.selinux".into(), "system_u:object_r:etc_t:s0".into())],
            ..Node::default()
        },
    );
    let mut host = FakeHost::from_recording(recording);
    host.write("/etc/audit/rules.d/audit.rules", 0o640, "-D\n-b 8192\n-w /etc/passwd -p wa -k id\n");
    host.write("/usr/bin/dockerd", 0o755, "elf");
    host.write("/run/docker.sock", 0o666, "");
    let socket = host.files.get_mut(std::path::Path::new("/run/docker.sock")).expect("written above");
    socket.stat.kind = seaworthy::host::FileKind::Socket;
    socket.stat.gid = 998;
    host.write("/etc/environment", 0o664, "PATH=/bin\n");
    host.files.get_mut(std::path::Path::new("/etc/environment")).expect("written above").stat.uid = 1000;
    host
}

/// The same with two containers; neither returns by itself.
pub(crate) fn busy() -> FakeHost {
    let mut host = host();
    host.container("web", 901, false);
    host.container("db", 902, false);
    host
}

pub(crate) fn present(mode: u32, content: Option<&str>) -> FileState {
    FileState::Present { dir: false, mode, uid: 0, gid: 0, content: content.map(str::to_owned) }
}

pub(crate) fn change(path: &str, before: FileState, after: FileState) -> FileChange {
    FileChange { path: path.into(), before, after, interim: None, secret: false }
}

pub(crate) fn step(act: Act, checks: &[&str]) -> Step {
    Step { act, checks: checks.iter().map(ToString::to_string).collect() }
}

pub(crate) fn of(steps: Vec<Step>) -> Plan {
    let empty = json!({
        "schema_version": 1, "tool_version": "0", "generated_at": "2026-11-22T18:30:00Z",
        "fingerprint": Fingerprint::default(), "accepted": [], "steps": [], "held": [], "disruption": "none",
        "expected_containers": [], "notes": []
    });
    let plan: Plan = serde_json::from_value(empty).expect("a plan");
    let argv = ["/usr/sbin/dockerd", "-H", "fd://"].map(str::to_owned).to_vec();
    let target = Target { validate_argv: Some(argv), ..Target::default() };
    Plan { steps, target, ..plan }
}

/// daemon.json with live-restore first.
pub(crate) fn config_change(after: &str) -> FileChange {
    FileChange {
        interim: Some(INTERIM.into()),
        ..change(CONFIG, present(0o644, Some(BEFORE)), present(0o644, Some(after)))
    }
}

/// Every kind of step.
pub(crate) fn plan() -> Plan {
    let daemon = ["daemon.live-restore", "daemon.icc"];
    let rules = ["audit.dockerd", "audit.etc-docker"];
    let lines = ["-w /usr/bin/dockerd -p wa -k docker", "-w /etc/docker -p wa -k docker"];
    let dir = |mode| FileState::Present { dir: true, mode, uid: 0, gid: 0, content: None };
    let socket = |mode| FileState::Present { dir: false, mode, uid: 0, gid: 998, content: None };
    let environment = FileState::Present { dir: false, mode: 0o664, uid: 1000, gid: 0, content: None };
    let mut plan = of(vec![
        step(Act::LiveRestoreFirst(CONFIG.into()), &daemon[..1]),
        step(Act::File(change(RULES, FileState::Absent, present(0o640, Some(&(lines.join("\n") + "\n"))))), &rules),
        step(Act::LoadAuditRules { expect: vec!["/usr/bin/dockerd wa".into(), "/etc/docker wa".into()] }, &rules),
        step(Act::File(change("/etc/docker", dir(0o755), dir(0o750))), &["file.etc-docker"]),
        step(Act::File(change("/run/docker.sock", socket(0o666), socket(0o660))), &["file.socket"]),
        step(Act::File(change("/etc/environment", environment, present(0o644, None))), &["file.environment"]),
        step(Act::File(change("/etc/tmpfiles.d", FileState::Absent, dir(0o755))), &["audit.dockerd"]),
        step(
            Act::File(change("/etc/tmpfiles.d/x.conf", FileState::Absent, present(0o644, Some("d /run/x\n")))),
            &["audit.dockerd"],
        ),
        step(Act::File(config_change(AFTER)), &daemon),
        step(Act::RestartDocker, &daemon),
    ]);
    let key = |check: &str, key: &str| Part {
        check: check.into(),
        path: CONFIG.into(),
        undo: Undo::DaemonKey { key: key.into(), before: None },
    };
    let line = |check: &str, line: &str| Part {
        check: check.into(),
        path: RULES.into(),
        undo: Undo::Lines { before: Vec::new(), after: vec![line.into()] },
    };
    plan.parts =
        vec![key(daemon[0], "live-restore"), key(daemon[1], "icc"), line(rules[0], lines[0]), line(rules[1], lines[1])];
    plan
}

/// How a run is asked for.
#[derive(Clone, Default)]
pub(crate) struct With {
    pub(crate) no_restart: bool,
    pub(crate) confirm_within: Option<u64>,
    /// What the look before the restart finds.
    pub(crate) hazards: Vec<String>,
    /// What the audit afterwards finds.
    pub(crate) wrong: Vec<String>,
    pub(crate) interrupted: bool,
}

pub(crate) fn run_with(host: &mut FakeHost, plan: &Plan, with: &With) -> Result<Outcome> {
    let mut options = ApplyOptions {
        no_restart: with.no_restart,
        confirm_within: with.confirm_within,
        deadlines: Deadlines::default(),
        who: Who { uid: 1000, name: "ada".into() },
        args: vec!["apply".into(), "--yes".into()],
        detect: &mut |_: &dyn Host| Ok(with.hazards.clone()),
        verify: &mut |_: &dyn Host| Ok(with.wrong.clone()),
    };
    apply(host, &Store::default(), plan, &mut options, &mut Silent, &AtomicBool::new(with.interrupted))
}

pub(crate) fn run(host: &mut FakeHost, plan: &Plan) -> Result<Outcome> {
    run_with(host, plan, &With::default())
}

pub(crate) fn options() -> RollbackOptions {
    RollbackOptions {
        force: false,
        only_check: None,
        only_unfinished: false,
        wait_lock: 0,
        deadlines: Deadlines::default(),
        who: Who { uid: 0, name: "root".into() },
    }
}

/// With what compose made there are containers that a rollback stops for a moment, which has to be wished for.
pub(crate) fn undo(host: &mut FakeHost, run: &str) -> Result<RollbackOutcome> {
    let force = !host.composed().is_empty();
    rollback(host, &Store::default(), run, &RollbackOptions { force, ..options() }, &mut Silent)
}

/// The processes of all containers but those of compose, which are others after a change.
pub(crate) fn pids(host: &FakeHost) -> Vec<i64> {
    host.docker.containers.iter().filter(|one| one.composed.is_none()).map(|one| one.pid).collect()
}

pub(crate) fn last(host: &FakeHost) -> String {
    Store::default().list(host).expect("runs").pop().expect("a run")
}

pub(crate) fn node(host: &FakeHost, path: &str) -> FakeNode {
    host.files[Path::new(path)].clone()
}

/// Paths that are not as on another host, in words.
pub(crate) fn differences(host: &FakeHost, other: &FakeHost) -> Vec<String> {
    type State = [(std::path::PathBuf, FakeNode)];
    let (now, then) = (host.state(), other.state());
    let told = |(path, node): &(std::path::PathBuf, FakeNode)| {
        let stat = &node.stat;
        let text = String::from_utf8_lossy(&node.bytes);
        format!("{} {:?} {:04o} {}:{} {text:?}", path.display(), stat.kind, stat.mode, stat.uid, stat.gid)
    };
    let only = |a: &State, b: &State, whose: &str| {
        let lines = a.iter().filter(|one| !b.contains(one)).map(|one| format!("{whose} {}", told(one)));
        lines.collect::<Vec<_>>()
    };
    [only(&now, &then, "now"), only(&then, &now, "was")].concat()
}

/// The host after a rollback, or never touched: everything as before, containers with their processes.
pub(crate) fn assert_as_before(host: &mut FakeHost, before: &FakeHost, what: &str) {
    host.revive();
    assert!(!host.woken.load(Ordering::SeqCst), "{what}: the socket of a stopped daemon was asked");
    assert_eq!(differences(host, before), [] as [String; 0], "{what}");
    assert_eq!(host.kernel_rules, before.kernel_rules, "{what}");
    assert_eq!(pids(host), pids(before), "{what}");
    assert_eq!(host.composed(), before.composed(), "{what}");
    let settings = |host: &FakeHost| host.settings().into_iter().collect::<std::collections::BTreeSet<_>>();
    assert_eq!(settings(host), settings(before), "{what}");
    assert_eq!((host.docker.active.as_str(), host.docker.live_restore()), ("active", false), "{what}");
}
