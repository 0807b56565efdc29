//! Audit rules in a kernel of their own: they load, they record, they come back at the next boot, and they leave.

use crate::machine::Machine;
use crate::vm_look::{assert_same, files, findings, kernel_rules, open, own_rules, seaworthy, untouched};

const SITE_RULE: &str = "-w /etc/passwd -p aw -k site";

/// Whether the kernel reported what `program` did, under our key.
fn recorded(vm: &Machine, program: &str) -> bool {
    // auditd writes a moment after the event
    let search =
        format!("for i in $(seq 20); do ausearch --input-logs -k docker -x {program} && exit; sleep 0.5; done");
    vm.sh(&format!("({search}) 2>&1 | grep -q type=SYSCALL")).status == 0
}

/// A fresh host with one rule of its owner, which sorts behind ours.
fn fresh(suite: &str) -> Machine {
    let vm = Machine::vm(suite);
    vm.write_file("/etc/audit/rules.d/90-site.rules", "-w /etc/passwd -p wa -k site\n");
    vm.ok("chmod 640 /etc/audit/rules.d/90-site.rules; augenrules --load");
    assert_eq!(kernel_rules(&vm), [SITE_RULE]);
    vm
}

/// Applies everything but what `skip` leaves; every watch of our file is in the kernel and records.
fn apply_everything(vm: &Machine, skip: &str) {
    seaworthy(vm, &format!("apply --yes {skip}"));
    let (rules, own) = (kernel_rules(vm), own_rules(vm));
    for watched in ["/usr/sbin/dockerd", "/run/containerd", "/etc/docker", "/etc/docker/daemon.json", "/usr/bin/docker"]
    {
        assert!(own.iter().any(|rule| rule.starts_with(&format!("-w {watched} "))), "{watched}: {own:#?}");
    }
    assert_eq!(rules[..own.len()], own, "ours sort first");
    assert_eq!(rules[own.len()..], [SITE_RULE]);
    assert!(!recorded(vm, "/usr/bin/touch"));
    vm.ok("touch /etc/docker/x && rm /etc/docker/x");
    assert!(recorded(vm, "/usr/bin/touch"), "a new file in /etc/docker was not recorded");
}

fn apply_again_does_nothing(vm: &Machine, skip: &str) {
    let before = (untouched(vm), kernel_rules(vm), files(vm));
    let said = seaworthy(vm, &format!("apply --yes {skip}"));
    assert!(said.contains("nothing to do"), "{said}");
    assert_eq!((untouched(vm), kernel_rules(vm), files(vm)), before);
}

#[test]
fn rules_survive_a_reboot_and_leave_with_the_rollback() {
    let vm = fresh("bookworm");
    let before = files(&vm);
    let later = "--skip daemon.no-new-privileges,userland-proxy";
    apply_everything(&vm, later);
    apply_again_does_nothing(&vm, later);

    let rules = kernel_rules(&vm);
    let plan = vm.sh("seaworthy plan --out /root/plan.json");
    assert_eq!(plan.status, 2, "{plan:?}");
    vm.reboot();
    assert_eq!(kernel_rules(&vm), rules, "after the reboot");
    // containerd made its directory after the rules were loaded: what is watched has to be the one in use
    vm.ok("cp /bin/true /run/containerd/x && rm /run/containerd/x");
    assert!(recorded(&vm, "/usr/bin/cp"), "/run/containerd is not watched after the reboot");
    // The boot changed nothing of what the plan is about.
    let said = seaworthy(&vm, "apply /root/plan.json --yes");
    assert!(said.contains("2 checks applied"), "{said}");
    let audit = findings(&vm, "--check 'audit.*' --check 'daemon.*'");
    let needs_value = [
        "daemon.rootless manual -",
        "daemon.default-ulimits fail -",
        "daemon.authorization-plugins fail -",
        "daemon.central-logging fail -",
    ];
    let left: Vec<_> = open(&audit).into_iter().filter(|f| !needs_value.contains(&f.as_str())).collect();
    assert!(left.is_empty(), "{left:#?}");

    seaworthy(&vm, "rollback --yes");
    assert_eq!(kernel_rules(&vm), rules, "the rules are of the other run");
    let said = seaworthy(&vm, "rollback --yes");
    assert_eq!(kernel_rules(&vm), [SITE_RULE], "{said}");
    assert_same(&before, &files(&vm));
    assert_eq!(vm.ok("systemctl is-active docker auditd"), "active\nactive");
    assert!(!vm.ok("docker info --format '{{.SecurityOptions}}'").contains("userns"));
}

#[test]
fn trixie_takes_the_rules_and_gives_them_back() {
    let vm = fresh("trixie");
    let before = files(&vm);
    apply_everything(&vm, "");
    apply_again_does_nothing(&vm, "");
    seaworthy(&vm, "rollback --yes");
    assert_eq!(kernel_rules(&vm), [SITE_RULE]);
    assert_same(&before, &files(&vm));
}
