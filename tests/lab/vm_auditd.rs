//! Hosts whose audit is not in order: no auditd, auditd off, rules that do not load, rules that cannot change.

use crate::machine::Machine;
use crate::vm_look::{OWN_RULES, files, findings, kernel_rules, open, own_rules, seaworthy};

const AUDIT_ONLY: &str = "--check 'audit.*'";
const SITE_RULE: &str = "-w /etc/passwd -p aw -k site";

/// Holds the lock of dpkg's frontends, as another package manager does.
const UPGRADES: &str = r#"use Fcntl;
open(my $lock, ">>", "/var/lib/dpkg/lock-frontend") or die;
my $whole = pack("s s x4 q q l x4", F_WRLCK, 0, 0, 0, 0);
fcntl($lock, F_SETLK, $whole) or die;
open(my $told, ">", "/run/locked") or die;
sleep 1 until system("pgrep -x apt-get >/dev/null") == 0;
sleep 5;
print $told "waited for" if system("pgrep -x apt-get >/dev/null") == 0;
close $told;
"#;

/// A signal in the middle of an installation: what apt-get has begun it ends, and nothing else is begun.
fn interrupted(vm: &Machine, signal: &str) {
    vm.ok(&format!(
        "env --default-signal=INT,TERM seaworthy apply --yes {AUDIT_ONLY} >/run/said 2>&1 & p=$!; \
         until test -e /usr/sbin/auditctl; do kill -0 $p || {{ cat /run/said; exit 99; }}; sleep 0.1; done; kill -{signal} $p; \
         pgrep -x apt-get >/run/apt || exit 98; wait $p; test $? = 1 || {{ cat /run/said; exit 97; }}"
    ));
    let said = vm.ok("cat /run/said");
    for part in ["interrupted", "host: unchanged, but for packages"] {
        assert!(said.contains(part), "{signal}: no `{part}` in {said}");
    }
    assert_eq!(vm.ok("dpkg --audit; dpkg-query -W -f '${db:Status-Abbrev}' auditd"), "ii", "{signal}");
    assert_eq!(vm.ok("pgrep -lx 'apt-get|dpkg'; systemctl list-timers --all | grep seaworthy; true"), "", "{signal}");
    assert_eq!(vm.sh(&format!("test -e {OWN_RULES}")).status, 1, "{signal}");
    assert!(!vm.sh("seaworthy audit -q").stderr.contains("did not finish"), "{signal}");
}

#[test]
fn auditd_is_installed_and_stays() {
    let vm = Machine::vm("bookworm");
    for signal in ["INT", "TERM"] {
        vm.ok("dpkg --purge auditd");
        interrupted(&vm, signal);
    }
    vm.ok("dpkg --purge auditd");
    let plan = vm.sh(&format!("seaworthy plan {AUDIT_ONLY}"));
    assert_eq!(plan.status, 2);
    assert!(plan.stdout.contains("\n# run: /usr/bin/apt-get "), "{}", plan.stdout);
    assert!(plan.stdout.contains("# note: the package auditd stays installed on rollback\n"), "{}", plan.stdout);
    assert_eq!(vm.sh("command -v auditctl").status, 1, "a plan installs nothing");

    // Unattended upgrades have dpkg's lock, and keep it until apt-get has been waiting for a while.
    vm.write_file("/root/upgrades", UPGRADES);
    vm.ok("setsid perl /root/upgrades >/dev/null 2>&1 & until [ -e /run/locked ]; do sleep 0.1; done");
    seaworthy(&vm, &format!("apply --yes {AUDIT_ONLY}"));
    assert_eq!(vm.ok("cat /run/locked"), "waited for", "apt-get did not meet the lock");
    assert_eq!(vm.ok("systemctl is-enabled auditd; systemctl is-active auditd"), "enabled\nactive");
    assert_eq!(kernel_rules(&vm), own_rules(&vm));
    assert_eq!(open(&findings(&vm, AUDIT_ONLY)), Vec::<String>::new());

    let said = seaworthy(&vm, "rollback --yes");
    assert!(said.contains("packages stay: /usr/bin/apt-get"), "{said}");
    assert_eq!(kernel_rules(&vm), Vec::<String>::new());
    assert_eq!(vm.sh(&format!("test -e {OWN_RULES}")).status, 1);
    assert_eq!(vm.ok("systemctl is-active auditd; command -v auditctl"), "active\n/usr/sbin/auditctl");
}

#[test]
fn auditd_that_is_off_is_switched_on_and_disabled_again() {
    let vm = Machine::vm("bookworm");
    // systemd may not stop auditd: its unit says RefuseManualStop
    vm.ok("systemctl disable -q auditd; kill $(cat /run/auditd.pid); while systemctl -q is-active auditd; do sleep 0.2; done");
    let before = files(&vm);
    assert!(open(&findings(&vm, AUDIT_ONLY)).contains(&"audit.auditd fail -".to_owned()));
    seaworthy(&vm, &format!("apply --yes {AUDIT_ONLY}"));
    assert_eq!(vm.ok("systemctl is-enabled auditd; systemctl is-active auditd"), "enabled\nactive");
    assert_eq!(kernel_rules(&vm), own_rules(&vm));
    seaworthy(&vm, "rollback --yes");
    assert_eq!(vm.sh("systemctl is-enabled auditd").stdout, "disabled\n");
    assert_eq!(kernel_rules(&vm), Vec::<String>::new());
    crate::vm_look::assert_same(&before, &files(&vm));

    // More is recorded than auditd may write: the kernel would lose the records of others too.
    vm.ok("auditctl -r 1; (until test -e /run/enough; do chmod 755 /usr/bin/docker; done) >/dev/null 2>&1 &");
    let out = vm.sh(&format!("seaworthy apply --yes {AUDIT_ONLY}"));
    vm.ok("touch /run/enough; auditctl -r 0");
    assert_eq!(out.status, 4, "{out:?}");
    assert!(out.stderr.contains("the kernel lost ") && out.stderr.contains("host: rolled back"), "{}", out.stderr);
    assert_eq!(kernel_rules(&vm), Vec::<String>::new());
    crate::vm_look::assert_same(&before, &files(&vm));
}

/// Runs seaworthy; whether its report says that it takes a boot.
fn wants_a_boot(vm: &Machine, args: &str) -> bool {
    let report = vm.ok(&format!("seaworthy {args} --format json"));
    let report: serde_json::Value = serde_json::from_str(&report).expect("a report");
    report["reboot_required"] == true
}

#[test]
fn rules_that_others_stop_wait_and_say_why() {
    let vm = Machine::vm("bookworm");
    vm.write_file("/etc/audit/rules.d/10-site.rules", "# the owner's\n-w /nosuchdir/x/y -p wa -k site\n");
    vm.ok("augenrules --load; true");
    let said = seaworthy(&vm, &format!("apply --yes {AUDIT_ONLY}"));
    assert!(said.contains("waits") && said.contains("/etc/audit/rules.d/10-site.rules:2 does not load"), "{said}");
    let found = findings(&vm, AUDIT_ONLY);
    let loads = found.iter().find(|f| f["check"] == "audit.rules-load").expect("rules-load");
    assert_eq!(loads["verdict"], "fail");
    assert_eq!(loads["source"], "/etc/audit/rules.d/10-site.rules:2");
    assert!(
        loads["actual"].as_str().is_some_and(|a| a.ends_with("10-site.rules:2 (/nosuchdir/x is missing)")),
        "{loads}"
    );
    let left = open(&found);
    assert!(
        left.len() > 10 && left.iter().all(|f| f.ends_with(" pending reload") || f.starts_with("audit.rules-load ")),
        "{left:#?}"
    );
    seaworthy(&vm, "rollback --yes");

    // a call that no kernel has, below a comment that is not UTF-8
    vm.ok("printf '# h\\351\\n-a always,exit -F arch=b64 -S nosuch -k calls\\n' >/etc/audit/rules.d/10-site.rules");
    vm.ok("augenrules --load; true");
    let found = findings(&vm, "--check audit.rules-load");
    assert_eq!(
        (&found[0]["verdict"], &found[0]["source"]),
        (&"fail".into(), &"/etc/audit/rules.d/10-site.rules:2".into())
    );

    // the owner mends the rule but for the end of its line, which nothing of theirs follows, and locks all rules until
    // the next boot
    vm.ok(
        "rm /etc/audit/rules.d/audit.rules; printf -- '-w /etc/passwd -p wa -k site' >/etc/audit/rules.d/10-site.rules",
    );
    vm.ok("augenrules --load; auditctl -e 2; auditctl -s | grep -x 'enabled 2'");
    assert!(wants_a_boot(&vm, &format!("apply --yes {AUDIT_ONLY}")));
    assert_eq!(kernel_rules(&vm), [SITE_RULE]);
    vm.write_file("/etc/audit/rules.d/99-finalize.rules", "-e 2\n");
    let left = open(&findings(&vm, AUDIT_ONLY));
    assert!(left.len() > 10 && left.iter().all(|f| f.ends_with(" pending reboot")), "{left:#?}");
    vm.reboot();
    assert_eq!(open(&findings(&vm, AUDIT_ONLY)), Vec::<String>::new());
    let all = [vec![SITE_RULE.to_owned()], own_rules(&vm)].concat();
    assert_eq!(kernel_rules(&vm), all);
    assert!(wants_a_boot(&vm, "rollback --yes"));
    assert_eq!(kernel_rules(&vm), all, "locked rules stay until then");
    assert_eq!(vm.sh(&format!("test -e {OWN_RULES}")).status, 1);
}
