//! A power cut in the middle of an apply.

use crate::machine::Machine;
use crate::vm_look::{assert_same, files, kernel_rules, seaworthy};

/// Applies, and cuts the power the moment that docker's restart begins: everything is written, little is on the disk.
const CUT: &str = "seaworthy apply --yes 2>/root/said & \
    until grep -q '^restart docker' /root/said; do sleep 0.1; done; echo b >/proc/sysrq-trigger; sleep 60";

#[test]
fn a_power_cut_during_apply_is_named_and_mended() {
    let vm = Machine::vm("bookworm");
    let (before, rules) = (files(&vm), kernel_rules(&vm));
    vm.power_cut(CUT, 300.0);
    assert_eq!(
        vm.ok("systemctl is-active docker && docker info --format '{{.ServerVersion}}'").lines().next(),
        Some("active")
    );
    let audit = vm.sh("seaworthy audit");
    assert!(audit.stderr.contains("did not finish: `seaworthy rollback "), "{}", audit.stderr);
    seaworthy(&vm, "rollback --yes");
    let now = files(&vm);
    assert_same(&before, &now);
    assert_eq!(kernel_rules(&vm), rules);
    assert!(!vm.sh("seaworthy audit").stderr.contains("did not finish"));
    assert_eq!(vm.ok("systemctl is-active docker"), "active");
}
