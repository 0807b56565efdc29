//! Hosts with a plan that is run on them and taken back while things go wrong, and how the host has to stand then.

use std::path::Path;

use seaworthy::apply::{Store, list, unfinished};
use seaworthy::host::{Command, ComposeTool};
use seaworthy::plan::{Act, FileState, Plan, Recreation};
use serde_json::json;

use crate::live::{cpus, memory, on, pids_limit, update};
use crate::support::fake_compose::made;
use crate::support::fake_host::FakeHost;
use crate::support::world::{
    AFTER, CONFIG, RULES, assert_as_before, busy, change, config_change, host, last, pids, plan, present, run, step,
    undo,
};

/// A host, and what is done to it.
pub(crate) struct Scene {
    pub(crate) name: &'static str,
    pub(crate) host: fn() -> FakeHost,
    pub(crate) plan: fn() -> Plan,
    /// Files whose content the run changes: before it and after it.
    files: Vec<(String, Option<String>, Option<String>)>,
}

/// Files of every kind on a host that has them; one that has next to nothing and gets a package, units and folders; and
/// one whose containers are changed while they run, with a restart behind that; and one whose compose services are made
/// anew.
pub(crate) fn scenes() -> [Scene; 4] {
    let scene = |name, host: fn() -> FakeHost, plan: fn() -> Plan| {
        let mut scene = Scene { name, host, plan, files: Vec::new() };
        let (before, after) = (host(), scene.applied());
        let paths = after
            .files
            .keys()
            .filter_map(|path| path.to_str())
            .filter(|path| path.starts_with("/etc") || path.starts_with("/srv"));
        let texts = paths.map(|path| (path.to_owned(), before.text(path), after.text(path)));
        scene.files = texts.filter(|(_, old, new)| old != new).collect();
        scene
    };
    [
        scene("busy", busy, plan),
        scene("bare", bare, bare_plan),
        scene("live", networked, live_plan),
        scene("compose", shop, shop_plan),
    ]
}

/// Without /etc/docker and with auditd off; a container runs that does not come back by itself.
fn bare() -> FakeHost {
    let mut host = host();
    host.files.remove(Path::new(CONFIG));
    host.files.remove(Path::new("/etc/docker"));
    host.write("/etc/systemd/system/other.conf", 0o644, "");
    host.container("one", 950, false);
    host
}

fn bare_plan() -> Plan {
    let dir = || FileState::Present { dir: true, mode: 0o755, uid: 0, gid: 0, content: None };
    let new = |path: &str, after: FileState| change(path, FileState::Absent, after);
    let file = |path: &str, text: &str| step(Act::File(new(path, present(0o644, Some(text)))), &["a"]);
    let folder = |path: &str| step(Act::File(new(path, dir())), &["a"]);
    let mut config = new(CONFIG, present(0o644, Some("{\n  \"live-restore\": true,\n  \"icc\": false\n}\n")));
    config.interim = Some("{\n  \"live-restore\": true\n}\n".into());
    let (auditd, drop_in) = ("auditd.service".to_owned(), "/etc/systemd/system/docker.service.d");
    let argv = ["/usr/bin/apt-get", "install", "auditd"].map(str::to_owned).to_vec();
    crate::support::world::of(vec![
        step(Act::Run(Command::Install { argv }), &["a"]),
        folder("/etc/docker"),
        step(Act::LiveRestoreFirst(CONFIG.into()), &["a"]),
        step(Act::Run(Command::Enable(auditd.clone())), &["a"]),
        step(Act::Run(Command::Start(auditd)), &["a"]),
        file(RULES, "-w /usr/bin/dockerd -p wa -k docker\n"),
        step(Act::LoadAuditRules { expect: vec!["/usr/bin/dockerd wa".into()] }, &["a"]),
        folder(drop_in),
        file(&format!("{drop_in}/50-seaworthy.conf"), "[Service]\nEnvironment=A=b\n"),
        step(Act::DaemonReload, &["a"]),
        step(Act::File(config), &["a"]),
        step(Act::RestartDocker, &["a"]),
    ])
}

/// A network of somebody's own is there besides.
pub(crate) fn networked() -> FakeHost {
    let mut host = busy();
    let all = json!([{"Name": "bridge"}, {"Name": "host"}, {"Name": "none"}, {"Name": "shop", "Driver": "bridge"}]);
    host.engine_over.insert("/networks".into(), all);
    host
}

fn live_plan() -> Plan {
    crate::support::world::of(vec![
        step(Act::LiveRestoreFirst(CONFIG.into()), &["a"]),
        step(Act::Update(update("web", memory(256 << 20))), &["container.memory"]),
        step(Act::Update(update("db", pids_limit(64))), &["container.pids-limit"]),
        step(Act::Update(update("web", cpus(150_000))), &["container.cpu"]),
        step(Act::Update(update("web", on(&["shop"]))), &["container.default-bridge"]),
        step(Act::File(config_change(AFTER)), &["a"]),
        step(Act::RestartDocker, &["a"]),
    ])
}

pub(crate) const SHOP: &str = "/srv/shop/compose.yaml";
pub(crate) const SHOP_BEFORE: &str = "services:\n  front:\n    image: shop:1\n  back:\n    image: shop:1\n";

/// What hardens a service, behind its image.
pub(crate) fn hardened(line: &str) -> String {
    SHOP_BEFORE.replace("shop:1\n", &format!("shop:1\n    {line}\n"))
}

/// Beside the containers that compose has nothing to do with, a project of two services.
pub(crate) fn shop() -> FakeHost {
    let mut host = busy();
    host.write(SHOP, 0o644, SHOP_BEFORE);
    host.service(SHOP, "shop", "front");
    host.service(SHOP, "shop", "back");
    host
}

pub(crate) fn shop_plan() -> Plan {
    shop_plan_to(&hardened("read_only: true"))
}

/// Writes the file, then makes both services anew.
pub(crate) fn shop_plan_to(text: &str) -> Plan {
    let file = change(SHOP, present(0o644, Some(SHOP_BEFORE)), present(0o644, Some(text)));
    let recreation = |service: &str, number| Recreation {
        tool: ComposeTool::Program,
        project: "shop".into(),
        service: service.into(),
        working_dir: "/srv/shop".into(),
        files: vec![SHOP.into()],
        environment_files: Vec::new(),
        containers: vec![(format!("shop-{service}-1"), made(number))],
    };
    crate::support::world::of(vec![
        step(Act::File(file), &["a"]),
        step(Act::Recreate(recreation("front", 1)), &["a"]),
        step(Act::Recreate(recreation("back", 2)), &["a"]),
    ])
}

impl Scene {
    /// The host with the run done.
    pub(crate) fn applied(&self) -> FakeHost {
        let mut host = (self.host)();
        run(&mut host, &(self.plan)()).expect("a run");
        host.ops = 0;
        host
    }

    /// How many operations a run has.
    pub(crate) fn operations(&self) -> usize {
        let mut host = (self.host)();
        run(&mut host, &(self.plan)()).expect("a run");
        host.ops
    }

    /// How many operations its rollback has.
    pub(crate) fn rollback_operations(&self) -> usize {
        let mut host = self.applied();
        let run = last(&host);
        undo(&mut host, &run).expect("a rollback");
        host.ops
    }

    /// The same plan, made on the host as it is: what compose put back has the names and settings of before, and other ids.
    pub(crate) fn plan_anew(&self, host: &FakeHost) -> Plan {
        let mut plan = (self.plan)();
        for step in &mut plan.steps {
            let Act::Recreate(recreation) = &mut step.act else { continue };
            for (name, id) in &mut recreation.containers {
                let now = host.docker.containers.iter().find(|one| one.name == *name).expect("a container");
                id.clone_from(&now.id);
            }
        }
        plan
    }

    /// Everything is as before the run: files, rules, units, containers with their processes, the daemon.
    pub(crate) fn assert_before(&self, host: &mut FakeHost, what: &str) {
        assert_as_before(host, &(self.host)(), &format!("{}, {what}", self.name));
        self.assert_units(host, what);
    }

    fn assert_units(&self, host: &FakeHost, what: &str) {
        let enabled = host.units.get("auditd.service").is_some_and(|unit| unit.0 == "enabled");
        assert!(!enabled, "{}, {what}: auditd is still enabled", self.name);
    }

    /// At any instant, whatever went wrong: the daemon runs with all containers in their processes, its next start
    /// would not fail, and every file is the old one or the new one, whole.
    pub(crate) fn assert_sound(&self, host: &FakeHost, what: &str) {
        let what = format!("{}, {what}", self.name);
        assert_eq!(pids(host), pids(&(self.host)()), "{what}");
        self.assert_whole(host, &what);
        let mut after = host.docker.clone();
        after.reset_failed();
        after.start(host.clock, host.text(CONFIG).as_deref().map(str::as_bytes));
        assert_eq!(after.active, "active", "{what}: the next start fails on {:?}", host.text(CONFIG));
    }

    /// No file that the plan changes is empty or half written.
    pub(crate) fn assert_whole(&self, host: &FakeHost, what: &str) {
        for (path, old, new) in self.files.iter().filter(|(path, ..)| path != CONFIG) {
            let now = host.text(path);
            assert!(now == *old || now == *new, "{what}: {path} is {now:?}");
        }
        // Between the two it passes through contents of its own, each of them whole and with everything of the owner's.
        if let Some(text) = host.text(CONFIG) {
            let value: serde_json::Value =
                serde_json::from_str(&text).unwrap_or_else(|error| panic!("{what}: {error} {text:?}"));
            assert_eq!(value.get("dns").is_some(), self.name != "bare", "{what}: {text}");
        }
    }

    /// Nothing of the run is left to undo, or it is undone now; then everything is as before.
    pub(crate) fn settle(&self, host: &mut FakeHost, what: &str) {
        let store = Store::default();
        if let Some(open) = unfinished(host, &store).unwrap_or_else(|error| panic!("{what}: {error:?}")) {
            undo(host, &open.run).unwrap_or_else(|error| panic!("{}, {what}: {error:?}", self.name));
        }
        assert_eq!(unfinished(host, &store).expect("runs"), None, "{}, {what}", self.name);
        list(host, &store).expect("runs");
        self.assert_before(host, what);
    }

    /// Whether all that was planned is there.
    pub(crate) fn is_done(&self, host: &FakeHost) -> bool {
        let live = self.name != "live" || host.settings()[0] == "web: 256 MiB, 1.5, unlimited, no, shop";
        let composed =
            self.name != "compose" || host.composed().iter().all(|(_, runs, made)| *runs && made.contains("read_only"));
        live && composed && self.files.iter().all(|(path, _, new)| host.text(path) == *new)
    }
}

/// The figures of a test, to be quoted: `cargo test --test apply faults -- --nocapture`.
#[allow(clippy::print_stdout, reason = "a test has no other way to tell a figure")]
pub(crate) fn told(line: &str) {
    println!("{line}");
}

#[test]
fn the_scenes_change_what_they_should() {
    for scene in scenes() {
        let host = scene.applied();
        assert!(scene.is_done(&host), "{}", scene.name);
        assert_eq!(host.docker.live_restore(), scene.name != "compose");
        let rules = host.text(RULES).map_or(0, |rules| rules.lines().count());
        assert_eq!(rules, [1, 2].into_iter().find(|lines| ["bare", "busy"][lines - 1] == scene.name).unwrap_or(0));
        assert_eq!(["live", "busy"].contains(&scene.name), host.text(CONFIG).unwrap() == AFTER);
        let (there, back) = if ["live", "compose"].contains(&scene.name) { (60, 20) } else { (100, 50) };
        let (run, undo) = (scene.operations(), scene.rollback_operations());
        assert!(run > there && undo > back, "{}: {run} {undo}", scene.name);
    }
}
