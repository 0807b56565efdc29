//! An apply that is killed: it is named, undone by hand, by the next apply or by its own timer.

use crate::hosts::{containers, content, runs, same, says, seaworthy, verdict};
use crate::machine::Machine;

fn busy(suite: &str) -> Machine {
    let host = Machine::host(suite);
    host.ok("lab-image && docker run -d --name one --network none busybox:1 sleep 10000");
    host
}

/// Kills an apply `later` seconds after it has said `step`; gives the run.
fn killed(host: &Machine, step: &str, later: f32) -> String {
    let line = format!(
        "rm -f /run/said; seaworthy apply --yes 2>/run/said & p=$!; \
         until grep -q '^{step}' /run/said; do kill -0 $p || exit 9; sleep 0.01; done; \
         sleep {later}; kill -9 $p; wait $p; test $? = 137"
    );
    host.ok(&line);
    runs(host).pop().expect("a run")
}

fn undone_by_hand_or_by_the_next_apply(suite: &str, moments: [(&str, f32); 2]) {
    let host = busy(suite);
    let (before, running) = (content(&host), containers(&host));
    for (at, (step, later)) in moments.into_iter().enumerate() {
        let run = killed(&host, step, later);
        let audit = seaworthy(&host, "audit", 2);
        says(&audit.stderr, &[&format!("run {run} did not finish"), &format!("`seaworthy rollback {run}`")]);
        if at % 2 == 0 {
            seaworthy(&host, "rollback --yes", 0);
        } else {
            let out = seaworthy(&host, "apply --yes", 0);
            says(&out.stderr, &[&format!("run {run} is taken back")]);
            assert_eq!(verdict(&host, "daemon.live-restore"), "pass");
            seaworthy(&host, "rollback --yes", 0);
        }
        assert_eq!(containers(&host), running, "killed {later} s after {step}");
        same(&before, &content(&host), &format!("killed {later} s after {step}, the rollback is not exact"));
        assert_eq!(host.ok("docker info -f '{{.LiveRestoreEnabled}}'"), "false");
        assert_eq!(host.ok("systemctl list-timers --all | grep -c seaworthy || true"), "0");
    }
}

#[test]
fn undone_by_hand_or_by_the_next_apply_on_bookworm() {
    undone_by_hand_or_by_the_next_apply("bookworm", [("write /etc/docker", 0.0), ("restart docker", 0.3)]);
}

#[test]
fn undone_by_hand_or_by_the_next_apply_on_trixie() {
    undone_by_hand_or_by_the_next_apply("trixie", [("audit again", 0.0), ("reload docker", 0.1)]);
}

#[test]
fn killed_before_anything_was_changed_there_is_nothing_to_undo() {
    let host = busy("trixie");
    let before = content(&host);
    killed(&host, "run ", 0.0);
    same(&before, &content(&host), "something was changed before the backups were made");
    seaworthy(&host, "apply --yes", 0);
    seaworthy(&host, "rollback --yes", 0);
    same(&before, &content(&host), "the rollback is not exact");
}

#[test]
fn its_own_timer_undoes_a_killed_run() {
    let host = busy("trixie");
    let (before, running) = (content(&host), containers(&host));
    let run = killed(&host, "restart docker", 0.5);
    let unit = format!("seaworthy-{run}");
    says(&host.ok("systemctl list-timers --all"), &[&format!("{unit}.timer")]);
    // The binary may be gone by then: the timer has its own.
    host.ok("mv /usr/local/bin/seaworthy /root/");
    // It fires in minutes; here it is told to.
    host.ok(&format!(
        "systemctl start {unit}.service; while systemctl is-active -q {unit}.service; do sleep 0.2; done"
    ));
    host.ok("mv /root/seaworthy /usr/local/bin/");
    assert_eq!(containers(&host), running);
    same(&before, &content(&host), "the rollback is not exact");
    says(&seaworthy(&host, &format!("history {run}"), 0).stdout, &["rolled back"]);
    assert_eq!(host.ok("systemctl list-timers --all | grep -c seaworthy || true"), "0");
    says(&seaworthy(&host, "rollback --yes", 1).stderr, &["no run stands"]);
}

#[test]
fn unconfirmed_is_undone_and_confirmed_stays() {
    let host = busy("bookworm");
    let (before, running) = (content(&host), containers(&host));
    let out = seaworthy(&host, "apply --yes --confirm-within 3", 0);
    let run = runs(&host).pop().expect("a run");
    says(&out.stderr, &[&format!("run `seaworthy confirm {run}`")]);
    host.ok(&format!(
        "for i in $(seq 60); do seaworthy history {run} | grep -q 'rolled back' && exit; sleep 0.5; done; exit 1"
    ));
    assert_eq!(containers(&host), running);
    same(&before, &content(&host), "the rollback is not exact");
    seaworthy(&host, &format!("confirm {run}"), 3);

    seaworthy(&host, "apply --yes --confirm-within 120", 0);
    let run = runs(&host).pop().expect("a run");
    says(&seaworthy(&host, "apply --yes --accept content-trust", 3).stderr, &["waits to be confirmed"]);
    seaworthy(&host, &format!("confirm {run}"), 0);
    assert_eq!(host.ok("systemctl list-timers --all | grep -c seaworthy || true"), "0");
    assert_eq!(verdict(&host, "daemon.live-restore"), "pass");
    assert_eq!(containers(&host), running);
}
