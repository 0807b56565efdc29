//! The hosts that are no hosts: recording, replay, overlay.

use super::path::{read_text, resolve, stat_follow};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use serde_json::{Value, json};

use super::testing::TempDir;
use super::*;

fn p(path: &str) -> &Path {
    Path::new(path)
}

/// Below a directory that we may not search.
fn hidden(path: &Path) -> bool {
    path.starts_with("/root") && path != "/root"
}

/// An image's files with an engine and children of our own; counts what it is asked.
struct Counting {
    files: LiveHost,
    asked: Mutex<Vec<String>>,
}

impl Counting {
    fn new(dir: &TempDir) -> Self {
        Self { files: LiveHost::new(Some(dir.path().to_owned())).unwrap(), asked: Mutex::default() }
    }

    fn note(&self, what: impl std::fmt::Display) {
        self.asked.lock().unwrap().push(what.to_string());
    }
}

impl Host for Counting {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        self.note(format_args!("read {}", path.display()));
        if path.ends_with("shadow") || hidden(path) {
            return Err(ErrorKind::PermissionDenied.into());
        }
        self.files.read(path)
    }
    fn stat(&self, path: &Path) -> io::Result<Stat> {
        self.note(format_args!("stat {}", path.display()));
        if hidden(path) {
            return Err(ErrorKind::PermissionDenied.into());
        }
        self.files.stat(path)
    }
    fn list(&self, path: &Path) -> io::Result<Vec<String>> {
        self.note(format_args!("list {}", path.display()));
        self.files.list(path)
    }
    fn xattrs(&self, path: &Path) -> io::Result<Vec<(String, Vec<u8>)>> {
        self.note(format_args!("xattrs {}", path.display()));
        if hidden(path) {
            return Err(ErrorKind::PermissionDenied.into());
        }
        self.files.stat(path)?;
        Ok(vec![("security.selinux".into(), b"etc_t\0".to_vec())])
    }
    fn ask(&self, query: &Query) -> io::Result<Answer> {
        self.note(query.key());
        match query {
            Query::UnitShow(unit) => Ok(Answer { stdout: format!("Id={unit}\n"), ..Answer::default() }),
            Query::AuditRules => Err(ErrorKind::NotFound.into()),
            _ => Err(ErrorKind::Unsupported.into()),
        }
    }
    fn engine(&self, _: &Path, paths: &[String]) -> Vec<Result<Value, EngineError>> {
        self.note(format_args!("engine {}", paths.join(" ")));
        let answer = |path: &String| match path.as_str() {
            "/info" => Ok(json!({"ID": "x"})),
            _ => Err(EngineError::Status(404, "gone".into())),
        };
        paths.iter().map(answer).collect()
    }
    fn user_name(&self, uid: u32) -> Option<String> {
        self.note(format_args!("user {uid}"));
        (uid == 0).then(|| "root".into())
    }
    fn group_name(&self, gid: u32) -> Option<String> {
        self.note(format_args!("group {gid}"));
        (gid == 0).then(|| "root".into())
    }
    fn group(&self, name: &str) -> Option<Group> {
        self.note(format_args!("group {name}"));
        (name == "docker").then(|| Group { gid: 999, members: vec!["ann".into()] })
    }
    fn now(&self) -> i64 {
        1_700_000_000
    }
    fn euid(&self) -> u32 {
        1000
    }
    fn offline(&self) -> bool {
        false
    }
}

fn sample() -> TempDir {
    let dir = TempDir::new();
    dir.file("etc/docker/daemon.json", b"{\"icc\": false}\n");
    dir.file("etc/shadow", b"secret");
    dir.file("etc/latin1", b"caf\xe9");
    dir.dir("run");
    dir.dir("root");
    dir.dir("var");
    dir.link("var/run", "/run");
    dir.file("run/docker.pid", b"17\n");
    dir.link("etc/dangling", "nowhere");
    dir.link("etc/alias", "docker/daemon.json");
    dir
}

/// Everything that can be asked, as text; errors by their kind.
fn interview(host: &dyn Host) -> Vec<String> {
    let mut said = Vec::new();
    let mut say = |what: String| said.push(what);
    let kind = |e: io::Error| e.kind();
    for path in [
        "/etc/docker/daemon.json",
        "/etc/alias",
        "/etc/dangling",
        "/etc/none",
        "/etc/none/below",
        "/etc/shadow",
        "/etc/shadow/below",
        "/root/.docker",
        "/root/.docker/config.json",
        "/var/run/docker.pid",
        "/run/docker.pid",
        "/etc",
        "/var/run",
    ] {
        let path = p(path);
        say(format!("{:?}", host.stat(path).map_err(kind)));
        say(format!("{:?}", host.read(path).map(|b| String::from_utf8_lossy(&b).into_owned()).map_err(kind)));
        say(format!("{:?}", host.xattrs(path).map_err(kind)));
        say(format!("{:?}", resolve(host, path).map_err(kind)));
        say(format!("{:?}", stat_follow(host, path).map_err(kind)));
    }
    for path in ["/etc/docker", "/var/run", "/", "/none"] {
        say(format!("{:?}", host.list(p(path)).map_err(kind)));
    }
    for query in [Query::UnitShow("docker.service".into()), Query::AuditRules, Query::AuditStatus] {
        say(format!("{:?}", host.ask(&query).map_err(kind)));
    }
    say(format!("{:?}", host.engine(p("/run/docker.sock"), &["/info".into(), "/networks/x".into()])));
    say(format!("{:?} {:?}", host.user_name(0), host.user_name(5)));
    say(format!("{:?} {:?}", host.group_name(0), host.group_name(5)));
    say(format!("{:?} {:?}", host.group("docker"), host.group("none")));
    say(format!("{} {} {}", host.now(), host.euid(), host.offline()));
    said
}

#[test]
fn a_recording_answers_as_the_host_did() {
    let dir = sample();
    let host = Counting::new(&dir);
    let recorder = Recorder::new(&host);
    let seen = interview(&recorder);
    // "below a file" and "not there" are one to a reader of recordings
    let plain = |said: Vec<String>| said.iter().map(|s| s.replace("NotADirectory", "NotFound")).collect::<Vec<_>>();
    assert_eq!(plain(seen.clone()), plain(interview(&host)));

    let recording = recorder.recording();
    let text = serde_json::to_string(&recording).unwrap();
    let replay = RecordedHost::new(serde_json::from_str(&text).unwrap());
    assert_eq!(*replay.recording(), recording);
    assert_eq!(plain(interview(&replay)), plain(seen));
    assert_eq!(Recorder::new(&replay).recording().files.len(), 0);

    // and a recording of the replay is the recording, but for what cannot be told apart any more
    let again = Recorder::new(&replay);
    interview(&again);
    assert_eq!(again.recording().files.keys().collect::<Vec<_>>(), recording.files.keys().collect::<Vec<_>>());
    assert_eq!(again.recording().answers, recording.answers);
    assert_eq!(again.recording().engine, recording.engine);
}

#[test]
fn a_second_question_costs_nothing() {
    let dir = sample();
    let host = Counting::new(&dir);
    let recorder = Recorder::new(&host);
    let first = interview(&recorder);
    let asked = host.asked.lock().unwrap().len();
    assert!(asked > 40, "{asked}");
    assert_eq!(interview(&recorder), first);
    assert_eq!(host.asked.lock().unwrap()[asked..], Vec::<String>::new());
    let mut once = host.asked.lock().unwrap().clone();
    once.sort();
    once.dedup();
    assert_eq!(once.len(), asked);
    recorder.engine(p("/run/docker.sock"), &["/info".into(), "/version".into()]);
    assert_eq!(host.asked.lock().unwrap().last().unwrap(), "engine /version");
}

#[test]
fn what_is_asked_ahead_is_asked_once_and_told_to_whoever_asks() {
    let dir = sample();
    let host = Counting::new(&dir);
    let recorder = Recorder::new(&host);
    let unit = |name: &str| Query::UnitShow(name.to_owned());
    recorder.ask(&unit("a.service")).unwrap();
    let overlay = Overlay::new(&recorder);
    overlay.ahead(&[unit("a.service"), unit("b.service"), Query::AuditRules]);
    let asked = ["systemctl show a.service", "systemctl show b.service", "auditctl -l"];
    assert_eq!(*host.asked.lock().unwrap(), asked);
    assert_eq!(recorder.ask(&unit("b.service")).unwrap().stdout, "Id=b.service\n");
    assert_eq!(recorder.ask(&Query::AuditRules).unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(host.asked.lock().unwrap().len(), asked.len());
    // who remembers nothing does not ask for nothing
    host.ahead(&[unit("c.service")]);
    assert_eq!(host.asked.lock().unwrap().len(), asked.len());
}

#[test]
fn files_of_processes_are_read_without_a_look_and_recorded_as_gone() {
    let dir = sample();
    dir.file("proc/17/comm", b"sh\n");
    dir.dir("proc/18");
    let host = Counting::new(&dir);
    let recorder = Recorder::new(&host);
    assert_eq!(recorder.read(p("/proc/17/comm")).unwrap(), b"sh\n");
    assert_eq!(recorder.read(p("/proc/18/comm")).unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(*host.asked.lock().unwrap(), ["read /proc/17/comm", "read /proc/18/comm"]);
    let replay = RecordedHost::new(recorder.recording());
    assert_eq!(replay.read(p("/proc/17/comm")).unwrap(), b"sh\n");
    assert_eq!(replay.read(p("/proc/18/comm")).unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(replay.read(p("/proc/19/comm")).unwrap_err().kind(), ErrorKind::Other);
}

#[test]
fn what_is_recorded_is_kept_once_and_marked() {
    let dir = sample();
    let host = Counting::new(&dir);
    let recorder = Recorder::new(&host);
    for path in ["/etc/alias", "/etc/latin1", "/etc/shadow", "/root/x", "/etc/none"] {
        let _ = recorder.read(p(path));
    }
    let files = recorder.recording().files;
    assert_eq!(files["/etc/docker/daemon.json"].content.as_deref(), Some("{\"icc\": false}\n"));
    assert_eq!(files["/etc/alias"].content, None);
    assert!(files["/etc/latin1"].lossy && files["/etc/latin1"].content.as_deref() == Some("caf\u{fffd}"));
    assert!(files["/etc/shadow"].denied && files["/etc/shadow"].stat.is_some());
    assert!(files["/root/x"].denied && files["/root/x"].stat.is_none());
    assert!(files["/etc/none"].absent);
}

#[test]
fn what_was_not_recorded_is_not_absent() {
    let mut recording = Recording::default();
    let node = Node { content: Some("{}".into()), ..Node::default() };
    recording.files.insert("/etc/docker/daemon.json".into(), node);
    recording.files.insert("/etc/gone".into(), Node { absent: true, ..Node::default() });
    let host = RecordedHost::new(recording.clone());
    for error in [
        host.read(p("/etc/other")).unwrap_err(),
        host.stat(p("/etc/docker")).unwrap_err(),
        host.stat(p("/etc/docker/daemon.json")).unwrap_err(),
        host.list(p("/etc/docker")).unwrap_err(),
    ] {
        assert_eq!(error.kind(), ErrorKind::Other);
        assert!(error.to_string().ends_with("was not recorded"), "{error}");
    }
    assert_eq!(host.read(p("/etc/gone")).unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(host.ask(&Query::AuditRules).unwrap_err().kind(), ErrorKind::Unsupported);
    assert!(matches!(&host.engine(p("/s"), &["/info".into()])[0], Err(EngineError::Unreachable(_))));

    recording.complete = true;
    let host = RecordedHost::new(recording);
    assert_eq!(host.read(p("/etc/other")).unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(host.stat(p("/etc/other")).unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(host.list(p("/etc/other")).unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(host.list(p("/etc")).unwrap(), ["docker"]);
    assert_eq!(host.stat(p("/etc/docker")).unwrap().kind, FileKind::Dir);
    assert_eq!(resolve(&host, p("/etc/docker")).unwrap(), p("/etc/docker"));
    assert_eq!(read_text(&host, p("/etc/docker/daemon.json")).unwrap(), "{}");
    // a content without a stat is a mistake of the fixture, not an absent file
    assert_eq!(host.stat(p("/etc/docker/daemon.json")).unwrap_err().kind(), ErrorKind::Other);
}

fn shown(content: Option<&str>) -> OverlayFile {
    OverlayFile { content: content.map(Into::into), mode: 0o640, uid: 3, gid: 4, dir: false }
}

#[test]
fn an_overlay_shows_what_will_be() {
    let dir = sample();
    let host = Counting::new(&dir);
    let before = host.stat(p("/etc/docker/daemon.json")).unwrap();
    let mut overlay = Overlay::new(&host);
    assert_eq!(interview(&overlay), interview(&host));

    overlay.set("/etc/docker/daemon.json".into(), shown(Some("{}")));
    overlay.set("/run/docker.pid".into(), shown(None));
    let new_dir = OverlayFile { mode: 0o755, dir: true, ..shown(None) };
    overlay.set("/etc/audit".into(), new_dir);
    overlay.set("/etc/audit/new.rules".into(), shown(Some("-w /x\n")));

    assert_eq!(overlay.read(p("/etc/alias")).unwrap(), b"{}");
    let after = overlay.stat(p("/etc/docker/daemon.json")).unwrap();
    assert_eq!(after, Stat { mode: 0o640, uid: 3, gid: 4, size: 2, mtime: host.now() + 1, ..before.clone() });
    assert_eq!(overlay.xattrs(p("/etc/docker/daemon.json")).unwrap().len(), 1);

    let pid = host.stat(p("/run/docker.pid")).unwrap();
    let changed = overlay.stat(p("/var/run/docker.pid")).unwrap();
    assert_eq!(changed, Stat { mode: 0o640, uid: 3, gid: 4, ..pid });
    assert_eq!(overlay.read(p("/var/run/docker.pid")).unwrap(), b"17\n");

    let made = overlay.stat(p("/etc/audit")).unwrap();
    assert_eq!((made.kind, made.mode, made.dev), (FileKind::Dir, 0o755, before.dev.clone()));
    assert_eq!(overlay.list(p("/etc/audit")).unwrap(), ["new.rules"]);
    assert!(overlay.list(p("/etc")).unwrap().contains(&"audit".to_owned()));
    assert_eq!(overlay.stat(p("/etc/audit/new.rules")).unwrap().dev, before.dev);
    assert_eq!(overlay.xattrs(p("/etc/audit/new.rules")).unwrap(), []);
    assert_eq!(overlay.read(p("/etc/audit/new.rules")).unwrap(), b"-w /x\n");
    assert_eq!(overlay.read(p("/etc/audit")).unwrap_err().kind(), ErrorKind::IsADirectory);
    assert_eq!(overlay.list(p("/none")).unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(resolve(&overlay, p("/etc/audit/new.rules")).unwrap(), PathBuf::from("/etc/audit/new.rules"));
}

#[test]
fn text_that_is_not_utf8_is_said_to_be() {
    let dir = sample();
    let error = read_text(&Counting::new(&dir), p("/etc/latin1")).unwrap_err();
    assert_eq!((error.kind(), error.to_string().as_str()), (ErrorKind::InvalidData, "line 1 is not UTF-8"));
}
