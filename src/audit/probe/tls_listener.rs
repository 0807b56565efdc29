//! TCP sockets of the Engine's API: those that dockerd is told to open and those that systemd opens for it. What else
//! its process listens on (swarm, metrics, published ports) is not the API.

use serde_json::{Value, json};

use crate::audit::finding::{PendingOn, Verdict};
use crate::catalog::Object;
use crate::facts::{Facts, Known};

use super::{DAEMON, Outcome, builtin};

const EXPECTED: &str = "no TCP socket, or one that demands client certificates (tlsverify)";

/// Judges what the next start will listen on, then what the running daemon listens on.
pub(super) fn run(facts: &Facts) -> Outcome {
    let outcome = |verdict, actual: String| {
        let source = "hosts and tlsverify of dockerd, Listen of docker.socket";
        Outcome::new(DAEMON, verdict).expected(EXPECTED).actual(actual).source(source)
    };
    let next = match next(facts) {
        Ok(Ok(actual)) => actual,
        Ok(Err(actual)) => return outcome(Verdict::Fail, actual),
        Err(why) => return Outcome::unknown(DAEMON, &why).expected(EXPECTED),
    };
    match open_now(facts) {
        Ok(None) => outcome(Verdict::Pass, next),
        Ok(Some(hosts)) => {
            let actual = format!("{next} is written; now {hosts} without tlsverify");
            Outcome { pending_on: Some(PendingOn::Restart), ..outcome(Verdict::Pending, actual) }
        }
        Err(_) if facts.daemon.changed_since_start() => {
            let actual = format!("{next} is written, the daemon started before that");
            Outcome { pending_on: Some(PendingOn::Restart), ..outcome(Verdict::Pending, actual) }
        }
        Err(why) => Outcome::unknown(DAEMON, &why).expected(EXPECTED),
    }
}

/// The next start, in words: good or bad.
fn next(facts: &Facts) -> Known<Result<String, String>> {
    let hosts = tcp(facts, &facts.daemon.setting("hosts").next?);
    if hosts.is_empty() {
        return Ok(Ok("no TCP socket".into()));
    }
    let verify = facts.daemon.setting("tlsverify").next? == json!(true);
    let present = |name: &&str| builtin::first(facts, &Object::Named((*name).into())).is_some();
    let files = ["tls-ca", "tls-cert", "tls-key"].iter().all(present);
    let hosts = hosts.join(", ");
    Ok(match (verify, files) {
        (true, true) => Ok(format!("{hosts} with tlsverify")),
        (true, false) => Err(format!("{hosts} with tlsverify, but a certificate file is missing")),
        (false, _) => Err(format!("{hosts} without tlsverify")),
    })
}

/// TCP sockets of the running daemon that let anybody in; `None`: there are none.
fn open_now(facts: &Facts) -> Known<Option<String>> {
    let Some(hosts) = facts.daemon.setting("hosts").in_force? else { return Ok(None) };
    let hosts = tcp(facts, &hosts);
    if hosts.is_empty() || facts.daemon.setting("tlsverify").in_force? == Some(json!(true)) {
        return Ok(None);
    }
    Ok(Some(hosts.join(", ")))
}

/// The TCP addresses among `hosts`, and those of docker.socket.
fn tcp(facts: &Facts, hosts: &Value) -> Vec<String> {
    // dockerd takes an address without a protocol for TCP, an empty one for its default socket.
    let local = |host: &str| host.is_empty() || ["unix://", "fd://", "npipe://"].iter().any(|p| host.starts_with(p));
    let hosts = hosts.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::trim);
    let mut found: Vec<String> = hosts.filter(|host| !local(host)).map(str::to_owned).collect();
    let listen = facts.unit("docker.socket").and_then(|unit| unit.properties.get("Listen"));
    for line in listen.into_iter().flat_map(|text| text.lines()) {
        let Some(address) = line.trim().strip_suffix(" (Stream)") else { continue };
        if !address.starts_with(['/', '@']) && !address.starts_with("vsock:") {
            found.push(format!("{address} of docker.socket"));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::facts::testing::{argument, config, facts, stat};
    use crate::facts::{Located, Unit};
    use crate::host::FileKind;

    /// Verified TLS on a TCP socket, in force.
    fn verified() -> Facts {
        let mut facts = facts();
        for name in ["tls-ca", "tls-cert", "tls-key"] {
            let path = format!("/etc/docker/{name}.pem").into();
            let located = Located { path, aliases: Vec::new(), stat: stat(FileKind::File) };
            facts.objects.insert(Object::Named(name.into()), Ok(vec![located]));
        }
        let flags = ["-H", "tcp://0.0.0.0:2376", "--tlsverify"];
        facts.daemon.next_argv.as_mut().unwrap().extend(flags.map(|flag| argument(flag, false)));
        started_with(&mut facts, &["dockerd", "-H", "tcp://0.0.0.0:2376", "--tlsverify"]);
        facts
    }

    fn started_with(facts: &mut Facts, argv: &[&str]) {
        let argv = argv.iter().map(|word| (*word).to_owned()).collect();
        facts.daemon.running.as_mut().unwrap().as_mut().unwrap().argv = argv;
    }

    #[test]
    fn verification_that_the_running_daemon_lacks_is_pending() {
        let mut facts = verified();
        assert_eq!(run(&facts).verdict, Verdict::Pass);
        started_with(&mut facts, &["dockerd", "-H", "tcp://0.0.0.0:2376"]);
        let outcome = run(&facts);
        assert_eq!((outcome.verdict, outcome.pending_on), (Verdict::Pending, Some(PendingOn::Restart)));
        // The socket too may be gone from the configuration only.
        facts.daemon.next_argv.as_mut().unwrap().truncate(3);
        assert_eq!(run(&facts).verdict, Verdict::Pending);
        facts.daemon.running = Ok(None);
        assert_eq!(run(&facts).verdict, Verdict::Pass);
    }

    #[test]
    fn a_file_changed_after_the_start_is_pending() {
        let mut facts = verified();
        facts.daemon.next_argv.as_mut().unwrap().pop();
        assert_eq!(run(&facts).verdict, Verdict::Fail);
        facts.daemon.config = config(&json!({"tlsverify": true}));
        facts.daemon.config_mtime = Some(1000);
        started_with(&mut facts, &["dockerd", "-H", "tcp://0.0.0.0:2376"]);
        assert_eq!(run(&facts).verdict, Verdict::Pending);
    }

    #[test]
    fn an_address_without_protocol_is_tcp() {
        let mut facts = facts();
        assert_eq!(run(&facts).verdict, Verdict::Pass);
        facts.daemon.next_argv.as_mut().unwrap().extend(["-H", ":2375"].map(|flag| argument(flag, false)));
        assert_eq!(run(&facts).verdict, Verdict::Fail);
    }

    #[test]
    fn sockets_that_systemd_opens_count() {
        let mut facts = facts();
        let mut listen = |text: &str| {
            let properties = BTreeMap::from([("Listen".to_owned(), text.to_owned())]);
            let unit = Unit { load: "loaded".into(), properties, ..Unit::default() };
            facts.units.insert("docker.socket".into(), Ok(unit));
            run(&facts).verdict
        };
        assert_eq!(listen("/run/docker.sock (Stream)"), Verdict::Pass);
        assert_eq!(listen("/run/docker.sock (Stream)\n[::]:2375 (Stream)"), Verdict::Fail);
    }
}
