//! Registries that are trusted without TLS.

use serde_json::Value;

use crate::audit::finding::{PendingOn, Verdict};
use crate::facts::Facts;
use crate::policy::{CONFIG, Policy};

use super::{DAEMON, Outcome, daemon_setting};

/// Loopback is always on dockerd's own list and cannot be taken off.
const BUILT_IN: &[&str] = &["127.0.0.0/8", "::1/128"];

/// No registry but loopback and those that the site accepts is trusted without TLS, neither by the next start nor now.
pub(super) fn insecure(facts: &Facts, policy: &Policy) -> Outcome {
    let accepted = |name: &String| policy.registries.accepted(name).is_some();
    let expected = "no insecure registry but loopback";
    let setting = facts.daemon.setting("insecure-registries");
    let next = match &setting.next {
        Ok(value) => names(value),
        Err(why) => return Outcome::unknown(DAEMON, why).expected(expected),
    };
    let (known, next): (Vec<String>, Vec<String>) = next.into_iter().partition(accepted);
    if !next.is_empty() {
        let source = daemon_setting::source(facts, "insecure-registries", &setting);
        let outcome = Outcome::new(DAEMON, Verdict::Fail).expected(expected);
        return outcome.actual(format!("insecure: {}", next.join(", "))).source(source);
    }
    match (&facts.daemon.running, &facts.daemon.info) {
        (Ok(None), _) => Outcome::new(DAEMON, Verdict::Pass).expected(expected).actual("none").source("daemon.json"),
        (_, Err(why)) => Outcome::unknown(DAEMON, why).expected(expected),
        (_, Ok(info)) => {
            let now: Vec<String> = in_force(info).into_iter().filter(|name| !accepted(name)).collect();
            if now.is_empty() && !known.is_empty() {
                let reason =
                    |name: &String| format!("{name} ({})", policy.registries.accepted(name).unwrap_or_default());
                let told = known.iter().map(reason).collect::<Vec<_>>().join(", ");
                let outcome = Outcome::new(DAEMON, Verdict::Pass).expected(expected);
                return outcome.actual(format!("accepted: {told}")).source(format!("[[registries]] in {CONFIG}"));
            }
            if now.is_empty() {
                let outcome = Outcome::new(DAEMON, Verdict::Pass).expected(expected).actual("none");
                return outcome.source("API /info RegistryConfig");
            }
            Outcome::pending(DAEMON, PendingOn::Restart)
                .expected(expected)
                .actual(format!("in force until a restart: {}", now.join(", ")))
                .source("API /info RegistryConfig")
        }
    }
}

fn names(value: &Value) -> Vec<String> {
    let all = value.as_array().into_iter().flatten().filter_map(Value::as_str);
    all.filter(|name| !BUILT_IN.contains(name)).map(str::to_owned).collect()
}

fn in_force(info: &Value) -> Vec<String> {
    let config = &info["RegistryConfig"];
    let mut found = names(&config["InsecureRegistryCIDRs"]);
    for (name, index) in config["IndexConfigs"].as_object().into_iter().flatten() {
        if index["Secure"].as_bool() == Some(false) {
            found.push(name.clone());
        }
    }
    found
}
