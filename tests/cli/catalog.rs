//! `seaworthy explain` and `seaworthy checks`.

use crate::shell::seaworthy;

#[test]
fn explain_tells_all_about_a_check() {
    seaworthy(&["explain", "daemon.icc"]).exits(0).is("explain");
    let page = seaworthy(&["explain", "daemon.icc"]).out;
    for name in ["icc", "2.2", "cis-1.6.0:2.2"] {
        let said = seaworthy(&["explain", name]).exits(0);
        assert_eq!(said.out, page, "{name}");
    }
}

#[test]
fn a_number_that_moved_says_so() {
    let said = seaworthy(&["explain", "2.15"]).exits(0);
    assert!(said.err.starts_with("note: 2.15 is read as daemon.no-new-privileges of CIS 1.8.0;"), "{}", said.err);
}

#[test]
fn an_unknown_name_gets_the_nearest() {
    seaworthy(&["explain", "daemon.ic"]).exits(64).is("explain-unknown");
    seaworthy(&["explain", "9.99"]).exits(64).is("explain-unknown-number");
}

#[test]
fn every_check_has_a_page() {
    let checks = seaworthy(&["checks", "--format", "json"]).exits(0).json();
    let checks = checks["checks"].as_array().or(checks.as_array()).unwrap().clone();
    assert!(checks.len() > 60, "{}", checks.len());
    for check in checks {
        let slug = check["id"].as_str().or(check["check"].as_str()).unwrap();
        let said = seaworthy(&["explain", slug]).exits(0);
        assert!(said.out.starts_with(&format!("{slug}: ")), "{}", said.out);
        assert!(said.out.lines().skip(1).all(|line| line.chars().count() <= 80), "{}", said.out);
    }
}

#[test]
fn checks_lists_what_is_selected() {
    seaworthy(&["checks", "--profile", "lab", "--skip", "audit.*"]).exits(0).is("checks");
}
