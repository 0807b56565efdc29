use super::super::model::Envelope;
use super::super::samples;
use super::*;
use crate::catalog::Hazard;
use crate::plan::{LiveChange, LiveState};

fn report(findings: Vec<Finding>) -> AuditReport {
    let host = HostLine {
        hostname: "web1".into(),
        os: "Debian GNU/Linux 12 (bookworm)".into(),
        docker: Some("20.10.24".into()),
        daemon: "running".into(),
        privileged: true,
        offline: false,
        recorded_at: None,
    };
    AuditReport::new(Envelope::new(0, None, 0), host, "1.8.0", "level-2", findings, &[])
}

fn plain(text: &str) -> String {
    anstream::adapter::strip_str(text).to_string()
}

#[test]
fn an_audit_reads_from_the_worst_to_the_next_command() {
    let text = plain(&audit(&report(samples::findings()), 0));
    assert_eq!(
        text,
        "\
web1: Debian GNU/Linux 12 (bookworm), Docker 20.10.24, daemon running
CIS Docker 1.8.0, profile level-2

fail, high: 1
  daemon.userns-remap  2.9    not set; expected a user namespace
      held, hides-images: redis:7, 3 volumes

fail, medium: 2
  daemon.icc       2.2    true; expected false
  file.etc-docker  3.6    /etc/docker: root:root 0777, which lets everybody put
                          a new daemon.json there; expected root:root 0755 (by
                          hand)

pending: 1
  daemon.live-restore  2.14   true; waits for a start of docker while no
                              container runs

unknown: 1
  daemon.log-level  2.3    permission denied\\u{1b}[2J (/run/docker.sock)

fail, waived: 1
  daemon.content-trust  4.5    true; expected false

8 findings: 3 fail, 1 waived, 1 pending, 1 unknown, 1 pass, 1 not applicable
level 1: 2 fail of 6
level 2: 2 fail of 2
of the fails: 1 fixed by `seaworthy apply`, 1 held back for a decision, 1 to be
fixed by hand
next: `seaworthy plan` shows the diff, `seaworthy explain CHECK` tells why
"
    );
    assert!(text.lines().all(|line| line.chars().count() <= WIDTH));
}

#[test]
fn verbose_shows_passes_sources_and_titles() {
    let text = plain(&audit(&report(samples::findings()), 1));
    assert!(text.contains("pass: 1\n  daemon.iptables  2.4    true\n      read from default\n"), "{text}");
    assert!(text.contains("not applicable: 1\n  daemon.rootless"), "{text}");
    assert!(text.contains("      title of daemon.icc\n") && !text.contains("title of daemon.iptables"), "{text}");
}

#[test]
fn what_is_said_of_many_is_said_once() {
    let of = |check: &str, name: &str, actual: &str| Finding {
        subject: format!("container:{name}"),
        actual: actual.into(),
        expected: "a limit".into(),
        ..samples::finding(check, "5.11", Verdict::Fail)
    };
    let many = (1..=97).map(|number| of("container.memory", &format!("job{number:02}"), "no limit"));
    let mut findings = vec![of("container.memory", "web", "no limit"), of("container.memory", "big", "9 bytes")];
    findings.push(of("container.memory", "db", "no limit"));
    findings.extend(many);
    findings.extend(["a", "b", "c", "d"].map(|name| of("container.cpu", name, "no limit")));
    findings.push(of("container.user", "one", "no limit"));
    let text = plain(&audit(&report(findings.clone()), 0));
    let told = "\
fail, medium: 105
  container.memory  5.11   web, db and 97 more: no limit; expected a limit (by
                           hand)
  container.memory  5.11   big: 9 bytes; expected a limit (by hand)
  container.cpu     5.11   a, b, c and d: no limit; expected a limit (by hand)
  container.user    5.11   one: no limit; expected a limit (by hand)
";
    assert!(text.contains(told), "{text}");
    assert!(text.contains("\n105 findings: 105 fail\n"), "{text}");
    let all = plain(&audit(&report(findings), 1));
    assert_eq!(all.matches("container.memory").count(), 2 * 100, "a line and a title for each");
}

#[test]
fn what_hurts_differently_is_said_apart() {
    let of = |name: &str, hurt: &str| Finding {
        subject: format!("container:{name}"),
        applicability: Some(Applicability::Ask),
        hazards: vec![samples::hazard(Hazard::CutsTraffic, &[hurt])],
        ..samples::finding("container.default-bridge", "5.30", Verdict::Fail)
    };
    let text = plain(&audit(&report(vec![of("web", "x"), of("db", "y"), of("app", "x")]), 0));
    assert!(text.contains("web and app: true; expected false\n      held, cuts-traffic: x\n"), "{text}");
    assert!(text.contains("db: true; expected false\n      held, cuts-traffic: y\n"), "{text}");
}

#[test]
fn a_clean_host_needs_no_next_command() {
    let text = plain(&audit(&report(vec![samples::finding("daemon.icc", "2.2", Verdict::Pass)]), 0));
    assert_eq!(
        text,
        "\
web1: Debian GNU/Linux 12 (bookworm), Docker 20.10.24, daemon running
CIS Docker 1.8.0, profile level-2

1 finding: 1 pass
level 1: 0 fail of 1
"
    );
}

#[test]
fn what_could_not_be_seen_is_said_in_the_head() {
    let mut report = report(Vec::new());
    report.host.privileged = false;
    report.host.recorded_at = Some("2023-11-14T22:13:20Z".into());
    let text = plain(&audit(&report, 0));
    assert!(text.contains("\nfrom facts recorded 2023-11-14T22:13:20Z\nnot root: what could not be read is unknown\n"));
}

#[test]
fn a_run_tells_what_is_done_what_waits_and_what_is_held() {
    let mut report = RunReport {
        envelope: Envelope::new(0, None, 0),
        changed: true,
        run: Some("20231114-221320".into()),
        applied: vec!["daemon.icc".into(), "daemon.live-restore".into()],
        held: samples::plan().held,
        pending: vec![Rest { check: "daemon.icc".into(), reason: "a start of docker while no container runs".into() }],
        restart_required: true,
        reboot_required: false,
        not_reverted: vec![Rest { check: "auditd".into(), reason: "the package stays".into() }],
        diff: Vec::new(),
        recreated: vec!["service back of project shop: container shop-back-1".into()],
        containers: vec![LiveChange {
            name: "web".into(),
            id: "ab".into(),
            before: LiveState::PidsLimit { limit: 0 },
            after: LiveState::PidsLimit { limit: 64 },
        }],
    };
    assert_eq!(
        run(&report, "fixed"),
        "\
run 20231114-221320: 2 checks fixed
  daemon.icc, daemon.live-restore
updated container web: processes 64 (was unlimited)
recreated service back of project shop: container shop-back-1
pending: daemon.icc waits for a start of docker while no container runs
held: daemon.userns-remap hides-images: redis:7, 3 volumes; include with
      `--accept daemon.userns-remap`
note: auditd: the package stays
restart docker for the rest: `systemctl restart docker`
"
    );
    report = RunReport {
        changed: false,
        run: None,
        applied: Vec::new(),
        held: Vec::new(),
        pending: Vec::new(),
        restart_required: false,
        not_reverted: Vec::new(),
        containers: Vec::new(),
        recreated: Vec::new(),
        ..report
    };
    assert_eq!(run(&report, "fixed"), "nothing to do\n");
}

#[test]
fn history_lists_runs_and_details_a_single_one() {
    let one = |run: &str| HistoryRun {
        run: run.into(),
        started_at: "2023-11-14T22:13:20Z".into(),
        user: "anna".into(),
        state: "committed".into(),
        stands: "stands".into(),
        checks: vec!["daemon.icc".into()],
        paths: vec!["/etc/docker/daemon.json".into()],
        containers: vec!["container web: memory 256 MiB (was unlimited): stands".into()],
    };
    assert_eq!(
        history(&[one("r2"), one("r1")], 0),
        "r2  2023-11-14T22:13:20Z  committed, stands, by anna, 1 check\n\
         r1  2023-11-14T22:13:20Z  committed, stands, by anna, 1 check\n"
    );
    assert!(history(&[one("r1")], 0).ends_with(
        "  daemon.icc\n  /etc/docker/daemon.json\n  container web: memory 256 MiB (was unlimited): stands\n"
    ));
    assert_eq!(history(&[], 0), "no runs\n");
}
