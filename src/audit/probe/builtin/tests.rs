use serde_json::json;

use super::*;
use crate::facts::testing::{config, facts};

#[test]
fn an_unknown_key_fails_the_check_of_daemon_json() {
    let mut facts = facts();
    assert_eq!(daemon_config(&facts).verdict, Verdict::Pass);
    facts.daemon.config = config(&json!({"live-restor": true}));
    facts.daemon.config_mtime = Some(1000);
    let outcome = daemon_config(&facts);
    assert_eq!(outcome.verdict, Verdict::Fail);
    assert!(outcome.actual.contains("/etc/docker/daemon.json:1: `live-restor`"), "{}", outcome.actual);
}
