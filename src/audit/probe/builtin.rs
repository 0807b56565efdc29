//! Probes that serve one check each.

use serde_json::json;

use crate::audit::expect;
use crate::audit::finding::{PendingOn, Verdict};
use crate::catalog::{Builtin, Entry, Expect, Object, Releases};
use crate::facts::{Config, Facts, Located, has_option};
use crate::policy::Policy;

use super::{DAEMON, Outcome, audit_service, daemon_setting, operations, registries, tls_listener};

/// Runs a probe by name.
pub(super) fn run(which: Builtin, entry: &Entry, facts: &Facts, policy: &Policy) -> Vec<Outcome> {
    let outcome = match which {
        Builtin::DataRootMount => data_root_mount(facts),
        Builtin::DockerGroup => docker_group(facts, policy),
        Builtin::EngineVersion => engine_version(facts, entry.releases.as_ref()),
        Builtin::Rootless => rootless(facts),
        Builtin::InsecureRegistries => registries::insecure(facts, policy),
        Builtin::StorageAufs => storage_driver(facts, "aufs"),
        Builtin::StorageDevicemapper => storage_driver(facts, "devicemapper"),
        Builtin::TlsListener => tls_listener::run(facts),
        Builtin::ImageSprawl => operations::images(facts),
        Builtin::ContainerSprawl => operations::containers(facts),
        Builtin::UserNamespaces => daemon_setting::run(facts, "userns-remap", &Expect::NonEmpty),
        Builtin::CentralLogging => central_logging(facts),
        Builtin::DaemonConfig => daemon_config(facts),
        Builtin::Auditd => audit_service::auditd(facts),
        Builtin::AuditNeverTask => audit_service::never_task(facts),
        Builtin::AuditRulesLoad => audit_service::rules_load(facts),
    };
    vec![outcome]
}

pub(super) fn first(facts: &Facts, object: &Object) -> Option<Located> {
    facts.objects.get(object)?.as_ref().ok()?.first().cloned()
}

fn data_root_mount(facts: &Facts) -> Outcome {
    let subject = format!("path:{}", facts.daemon.data_root.display());
    let expected = "a file system of its own";
    let root = first(facts, &Object::Path("/".into()));
    let data = first(facts, &Object::Named("data-root".into()));
    let (Some(root), Some(data)) = (root, data) else {
        return Outcome::not_applicable(subject, "the data root does not exist").expected(expected);
    };
    // With the containerd image store (default of fresh Engine 29) the layers are here, not in the data root.
    let containerd = first(facts, &Object::Path("/var/lib/containerd".into()));
    let store = facts.daemon.info.as_ref().ok().and_then(|i| i["DriverStatus"].as_array().cloned());
    let in_containerd = store.is_some_and(|s| s.iter().any(|p| p[1].as_str() == Some("io.containerd.snapshotter.v1")));
    let shared = |located: &Located| located.stat.dev == root.stat.dev;
    let bad = if shared(&data) {
        Some(data.path.clone())
    } else {
        containerd.filter(|c| in_containerd && shared(c)).map(|c| c.path)
    };
    let verdict = if bad.is_some() { Verdict::Fail } else { Verdict::Pass };
    let actual = bad.map_or("on its own device".into(), |p| {
        if p == data.path { "on the device of /".into() } else { format!("{} is on the device of /", p.display()) }
    });
    Outcome::new(subject, verdict).expected(expected).actual(actual).source("device numbers of stat")
}

fn docker_group(facts: &Facts, policy: &Policy) -> Outcome {
    let subject = "group:docker";
    let expected = "trusted users only: members are root on this host";
    let members = match &facts.docker_group {
        Ok(members) => members,
        Err(why) => return Outcome::unknown(subject, why).expected(expected),
    };
    let outcome = |verdict, actual: String| {
        Outcome::new(subject, verdict).expected(expected).actual(actual).source("/etc/group and /etc/passwd")
    };
    if members.is_empty() {
        return outcome(Verdict::Pass, "no members".into());
    }
    let trusted = &policy.trusted_docker_users;
    let doubtful: Vec<&str> = members.iter().filter(|m| !trusted.contains(m)).map(String::as_str).collect();
    match (doubtful.is_empty(), trusted.is_empty()) {
        (true, _) => outcome(Verdict::Pass, format!("members: {}", members.join(", "))),
        (false, true) => outcome(Verdict::Manual, format!("members: {}", members.join(", "))),
        (false, false) => outcome(Verdict::Fail, format!("not in trusted-docker-users: {}", doubtful.join(", "))),
    }
}

/// Never a pass: without the network nobody can say that a version is current.
fn engine_version(facts: &Facts, releases: Option<&Releases>) -> Outcome {
    let branches = releases.map(|r| r.branches.as_slice()).unwrap_or_default();
    let newest: Vec<&str> = branches.iter().map(|b| b.latest.as_str()).collect();
    let date = releases.map_or("an unknown date", |r| r.as_of.as_str());
    let expected = format!("a maintained release with its latest patches ({} as of {date})", newest.join(" or "));
    let Some(version) = &facts.daemon.version else {
        return Outcome::new(DAEMON, Verdict::Unknown).expected(expected).actual("the version could not be read");
    };
    let maintained = branches.iter().any(|b| b.major <= version.numbers[0]);
    // `20.10.24+dfsg1`, `26.1.5-0ubuntu1`: a distribution's build, kept safe by the distribution.
    let distribution = version.text.contains(['+', '~']) || version.text.contains("ubuntu");
    let (verdict, actual) = if maintained {
        (Verdict::Manual, format!("{}: compare with the release notes", version.text))
    } else if distribution {
        (Verdict::Manual, format!("{}: a distribution's build, see its security tracker", version.text))
    } else {
        (Verdict::Fail, format!("{}: no longer maintained", version.text))
    };
    Outcome::new(DAEMON, verdict).expected(expected).actual(actual).source("API /version or dockerd --version")
}

fn rootless(facts: &Facts) -> Outcome {
    let expected = "a daemon without root, where the workload allows it";
    match &facts.daemon.info {
        Ok(info) if has_option(info, "rootless") => Outcome::new(DAEMON, Verdict::Pass)
            .expected(expected)
            .actual("rootless")
            .source("API /info SecurityOptions"),
        _ => Outcome::new(DAEMON, Verdict::Manual)
            .expected(expected)
            .actual("the daemon runs as root")
            .source("API /info"),
    }
}

fn storage_driver(facts: &Facts, driver: &str) -> Outcome {
    let expected = format!("a storage driver other than {driver}");
    let configured = daemon_setting::value(facts, "storage-driver");
    let (value, source) = match &facts.daemon.info {
        Ok(info) => (info["Driver"].clone(), "API /info Driver"),
        Err(_) if configured.is_string() => (configured, "daemon.json"),
        Err(why) => return Outcome::unknown(DAEMON, why).expected(expected),
    };
    let verdict = if value == json!(driver) { Verdict::Fail } else { Verdict::Pass };
    Outcome::new(DAEMON, verdict).expected(expected).actual(expect::show(&value)).source(source)
}

/// Log drivers that send to another machine by themselves.
const REMOTE: &[&str] = &["gelf", "fluentd", "splunk", "awslogs", "gcplogs", "logentries", "etwlogs"];

fn central_logging(facts: &Facts) -> Outcome {
    let expected = "a log driver that sends to another machine";
    let driver = match facts.daemon.setting("log-driver").next {
        Ok(value) => expect::show(&value),
        Err(why) => return Outcome::unknown(DAEMON, &why).expected(expected),
    };
    let options = daemon_setting::value(facts, "log-opts");
    let address = options["syslog-address"].as_str().unwrap_or_default();
    let remote = REMOTE.contains(&driver.as_str())
        || (driver == "syslog" && address.contains("://") && !address.starts_with("unix"));
    let setting = facts.daemon.setting("log-driver");
    let source = daemon_setting::source(facts, "log-driver", &setting);
    let outcome = |verdict| Outcome::new(DAEMON, verdict).expected(expected).source(source.clone());
    if driver == "journald" {
        return outcome(Verdict::Manual).actual("journald: central only if the journal is forwarded");
    }
    if !remote {
        return outcome(Verdict::Fail).actual(format!("log-driver: {driver}"));
    }
    match setting.in_force {
        Ok(Some(value)) if value != json!(driver) => Outcome::pending(DAEMON, PendingOn::Restart)
            .expected(expected)
            .actual(format!("log-driver: {driver} is written, in force is {}", expect::show(&value)))
            .source(source),
        _ => outcome(Verdict::Pass).actual(format!("log-driver: {driver}")),
    }
}

/// Whether the next start of dockerd takes daemon.json.
fn daemon_config(facts: &Facts) -> Outcome {
    let path = facts.daemon.config_path.display();
    let expected = "one JSON object that dockerd reads, no unknown key, no key that is also a flag";
    let outcome = |verdict, actual: String| {
        Outcome::new(format!("path:{path}"), verdict).expected(expected).actual(actual).source(path.to_string())
    };
    match &facts.daemon.config {
        Config::Unreadable(why) => outcome(Verdict::Unknown, why.clone()),
        config => match facts.daemon.next_start_fails() {
            Some(why) => outcome(Verdict::Fail, format!("the next start fails: {why}")),
            None if *config == Config::Missing => outcome(Verdict::Pass, "no file: defaults".into()),
            None => outcome(Verdict::Pass, "valid".into()),
        },
    }
}

#[cfg(test)]
mod tests;
