use std::io::{self, ErrorKind};

use super::*;
use crate::host::{Answer, EngineError, FileKind, Group, Query, Stat};

fn parse(text: &str) -> Result<Policy> {
    Policy::parse(text, Path::new(CONFIG))
}

#[test]
fn values_come_in_the_form_of_daemon_json() {
    let policy = parse(
        "profile = \"level-1\"\nbenchmark = \"1.6.0\"\ntrusted-docker-users = [\"deploy\"]\n\
         [values]\nlog-driver = \"syslog\"\nlog-opts = { syslog-address = \"udp://10.0.0.5:514\" }\n\
         authorization-plugins = [\"opa\"]\n[values.default-ulimits]\nnofile = { soft = 1024, hard = 4096 }\n",
    )
    .unwrap();
    assert_eq!(policy.profile.as_deref(), Some("level-1"));
    assert_eq!(policy.benchmark.map(Benchmark::version), Some("1.6.0"));
    assert_eq!(policy.trusted_docker_users, ["deploy"]);
    assert_eq!(policy.value("log-driver"), Some(json!("syslog")));
    assert_eq!(policy.value("log-opts"), Some(json!({"syslog-address": "udp://10.0.0.5:514"})));
    assert_eq!(policy.value("authorization-plugins"), Some(json!(["opa"])));
    assert_eq!(
        policy.value("default-ulimits"),
        Some(json!({"nofile": {"Name": "nofile", "Hard": 4096, "Soft": 1024}}))
    );
    assert_eq!(policy.value("icc"), None);
}

#[test]
fn a_container_has_the_value_of_its_name_or_of_the_longest_pattern() {
    let policy = parse(
        "[values.containers.\"*\"]\npids-limit = 200\nmemory = \"1g\"\n\
         [values.containers.\"redis:*\"]\nmemory = \"64M\"\n[values.containers.db]\nmemory = \"2g\"\ncpus = 1.5\n",
    )
    .unwrap();
    let containers = &policy.values.containers;
    let memory = |name, image| containers.value(name, image, |values| values.memory);
    assert_eq!(memory("db", "redis:7-alpine"), Some(2 << 30));
    assert_eq!(memory("cache", "redis:7"), Some(64 << 20));
    assert_eq!(memory("web", "nginx:1"), Some(1 << 30));
    assert_eq!(containers.value("db", "", |values| values.pids_limit), Some(200));
    assert_eq!(containers.value("db", "", |values| values.cpus), Some(150_000));
    assert_eq!(containers.value("web", "", |values| values.cpus), None);
}

#[test]
fn networks_and_what_the_swarm_gets_are_read() {
    let text = "[values.containers.web]\nnetwork = \"shop_1.x\"\n\
                [values.swarm]\ncert-expiry = \"48h\"\nunlock-key-file = \"/root/swarm.key\"\n";
    let values = parse(text).unwrap().values;
    assert_eq!(values.containers.value("web", "", |one| one.network.clone()).as_deref(), Some("shop_1.x"));
    assert_eq!(values.swarm.cert_expiry, Some(172_800_000_000_000));
    assert_eq!(values.swarm.unlock_key_file, Some("/root/swarm.key".into()));
    for wrong in ["bridge", "host", "none", "default", "", "a/b", "-x", "a b"] {
        assert!(parse(&format!("[values.containers.web]\nnetwork = \"{wrong}\"\n")).is_err(), "{wrong}");
    }
    for wrong in ["59m", "0h", "2161h", "h", "-2h", "2", "1h30m", "9999999999999999999h"] {
        assert!(parse(&format!("[values.swarm]\ncert-expiry = \"{wrong}\"\n")).is_err(), "{wrong}");
    }
    for wrong in ["swarm.key", "/", "/root/../etc/key", ""] {
        assert!(parse(&format!("[values.swarm]\nunlock-key-file = \"{wrong}\"\n")).is_err(), "{wrong}");
    }
}

#[test]
fn a_registry_is_named_as_images_name_it() {
    let policy = parse(
        "[[registries]]\nhost = \"docker.io\"\n[[registries]]\nhost = \"localhost:5000\"\ninsecure = \"this host\"\n",
    )
    .unwrap();
    let registries = &policy.registries;
    assert_eq!(registries.hosts(), ["docker.io", "localhost:5000"]);
    assert!(registries.hold("redis@sha256:00") && registries.hold("localhost:5000/app:1"));
    assert!(!registries.hold("localhost/app") && !registries.hold("docker.io.example/redis"));
    assert_eq!((registries.accepted("localhost:5000"), registries.accepted("docker.io")), (Some("this host"), None));
    let now = json!(["localhost:5000", "docker.io"]);
    assert_eq!(registries.kept("insecure-registries", &json!([]), &now), json!(["localhost:5000"]));
    assert_eq!(registries.kept("registry-mirrors", &json!([]), &now), json!([]));
    for wrong in [
        "host = \"https://r.example\"",
        "host = \"r.example/team\"",
        "host = \"\"",
        "host = \"library\"",
        "host = \"R.example\"",
        "host = \"index.docker.io\"",
        "host = \"10.0.0.0/8\"",
    ] {
        let failure = parse(&format!("[[registries]]\n{wrong}\n")).unwrap_err();
        assert!(failure.message.starts_with("/etc/seaworthy/config.toml:2: "), "{wrong}: {failure}");
        assert!(failure.message.contains("as images name it"), "{wrong}: {failure}");
    }
    let unsaid = parse("[[registries]]\nhost = \"r.example\"\ninsecure = \" \"\n").unwrap_err();
    assert!(unsaid.message.contains(":3: `insecure` is the reason"), "{unsaid}");
    let unknown = parse("[[registries]]\nhost = \"r.example\"\ninsecur = \"x\"\n").unwrap_err();
    assert_eq!(unknown.hint.as_deref(), Some("write `insecure`"));
}

#[test]
fn the_registry_is_in_the_name() {
    for (name, registry) in [
        ("redis", "docker.io"),
        ("redis:7", "docker.io"),
        ("team/app@sha256:00", "docker.io"),
        ("docker.io/library/redis", "docker.io"),
        ("index.docker.io/library/redis", "docker.io"),
        ("localhost/app", "localhost"),
        ("localhost:5000/app:1", "localhost:5000"),
        ("registry.example/team/app", "registry.example"),
        ("[::1]:5000/app", "[::1]:5000"),
    ] {
        assert_eq!(registry_of(name), registry, "{name}");
    }
}

#[test]
fn limits_that_nothing_could_keep_are_named() {
    for wrong in [
        "memory = \"5m\"",
        "memory = \"-1\"",
        "memory = \"9999999t\"",
        "memory = \"much\"",
        "memory = \"\"",
        "memory = 7",
        "cpus = 0",
        "cpus = nan",
        "pids-limit = 0",
        "pids-limit = -1",
        "pids = 7",
    ] {
        let failure = parse(&format!("[values.containers.web]\n{wrong}\n")).unwrap_err();
        assert!(failure.message.starts_with("/etc/seaworthy/config.toml:2: "), "{wrong}: {failure}");
    }
}

#[test]
fn an_empty_file_is_the_default_and_chooses_nothing() {
    let policy = parse("# nothing yet\n").unwrap();
    assert_eq!(policy, Policy::default());
    assert_eq!(policy.value("log-driver"), None);
    assert_eq!(policy.value("default-ulimits"), None);
}

#[test]
fn an_error_has_its_line_and_the_key_that_was_meant() {
    let failure = parse("# site\nprofle = \"lab\"\n").unwrap_err();
    assert!(failure.message.starts_with("/etc/seaworthy/config.toml:2: unknown field `profle`"), "{failure}");
    assert_eq!(failure.hint.as_deref(), Some("write `profile`"));
    let failure = parse("[values]\n\nlog_driver = \"syslog\"\n").unwrap_err();
    assert!(failure.message.starts_with("/etc/seaworthy/config.toml:3: "), "{failure}");
    assert_eq!(failure.hint.as_deref(), Some("write `log-driver`"));
}

#[test]
fn wrong_types_and_versions_are_named() {
    let failure = parse("trusted-docker-users = \"deploy\"\n").unwrap_err();
    assert!(failure.message.contains(":1: invalid type"), "{failure}");
    assert_eq!(failure.hint, None);
    assert!(parse("benchmark = \"1.9.0\"\n").unwrap_err().message.contains("1.8.0"));
    assert!(parse("profile = \n").unwrap_err().message.starts_with("/etc/seaworthy/config.toml:1: "));
}

/// A host with one file, or one that may not be read.
struct OneFile(&'static str, io::Result<&'static str>, Stat);

fn one_file(path: &'static str, text: io::Result<&'static str>) -> OneFile {
    let dev = "8:1".into();
    let stat =
        Stat { kind: FileKind::File, mode: 0o644, uid: 0, gid: 0, nlink: 1, size: 0, mtime: 0, dev, immutable: false };
    OneFile(path, text, stat)
}

impl Host for OneFile {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        match &self.1 {
            _ if path != Path::new(self.0) => Err(ErrorKind::NotFound.into()),
            Ok(text) => Ok(text.as_bytes().to_vec()),
            Err(error) => Err(error.kind().into()),
        }
    }

    fn stat(&self, path: &Path) -> io::Result<Stat> {
        if path == Path::new(self.0) { Ok(self.2.clone()) } else { above(path, self.0) }
    }

    fn list(&self, _: &Path) -> io::Result<Vec<String>> {
        Err(ErrorKind::Unsupported.into())
    }

    fn xattrs(&self, _: &Path) -> io::Result<Vec<(String, Vec<u8>)>> {
        Err(ErrorKind::Unsupported.into())
    }

    fn ask(&self, _: &Query) -> io::Result<Answer> {
        Err(ErrorKind::Unsupported.into())
    }

    fn engine(&self, _: &Path, _: &[String]) -> Vec<std::result::Result<Value, EngineError>> {
        Vec::new()
    }

    fn user_name(&self, _: u32) -> Option<String> {
        None
    }

    fn group_name(&self, _: u32) -> Option<String> {
        None
    }

    fn group(&self, _: &str) -> Option<Group> {
        None
    }

    fn now(&self) -> i64 {
        0
    }

    fn euid(&self) -> u32 {
        0
    }

    fn offline(&self) -> bool {
        false
    }
}

/// Directories on the way to the file are root's.
fn above(path: &Path, file: &str) -> io::Result<Stat> {
    let dir = Stat { kind: FileKind::Dir, ..one_file("", Ok("")).2 };
    if Path::new(file).starts_with(path) { Ok(dir) } else { Err(ErrorKind::NotFound.into()) }
}

#[test]
fn a_file_that_others_can_have_written_is_refused() {
    for (mode, uid) in [(0o666, 0), (0o664, 0), (0o600, 1000)] {
        let mut host = one_file(CONFIG, Ok("profile = \"lab\"\n"));
        (host.2.mode, host.2.uid) = (mode, uid);
        assert_eq!(Policy::load(&host, None).unwrap_err().kind, crate::error::Kind::Refused, "{mode:o} {uid}");
    }
}

#[test]
fn a_missing_file_is_the_default() {
    let host = one_file("/srv/policy.toml", Ok("profile = \"lab\"\n"));
    assert_eq!(Policy::load(&host, None).unwrap(), Policy::default());
    let host = one_file(CONFIG, Ok("profile = \"lab\"\n"));
    assert_eq!(Policy::load(&host, None).unwrap().profile.as_deref(), Some("lab"));
}

#[test]
fn a_file_that_was_named_is_the_callers_and_has_to_be_there() {
    let host = one_file(CONFIG, Ok("profile = \"lab\"\n"));
    let dir = tempfile::TempDir::new().unwrap();
    let path = dir.path().join("policy.toml");
    local::write(&path, "profile = \"level-1\"\n").unwrap();
    assert_eq!(Policy::load(&host, Some(&path)).unwrap().profile.as_deref(), Some("level-1"));
    let missing = dir.path().join("polcy.toml");
    let failure = Policy::load(&host, Some(&missing)).unwrap_err();
    assert_eq!(failure.message, format!("{} cannot be read", missing.display()));
}

#[test]
fn a_file_that_cannot_be_read_is_not_taken_for_a_missing_one() {
    let host = one_file(CONFIG, Err(ErrorKind::PermissionDenied.into()));
    assert_eq!(Policy::load(&host, None).unwrap_err().message, "/etc/seaworthy/config.toml cannot be read");
}
