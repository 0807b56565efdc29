//! The published exercise as one selection: everything it asks for, content trust too, in one unattended run.

use crate::machine::Machine;
use crate::vm_look::{assert_same, files, findings, kernel_rules, open, own_rules, seaworthy};

/// What content trust breaks with this client; said before anything is written.
const BREAKS: &str = "image.content-trust is accepted in spite of breaks-pulls: docker 20.10.";

#[test]
fn profile_lab_brings_the_whole_exercise() {
    let vm = Machine::vm("bookworm");
    let before = files(&vm);
    vm.ok("lab-image; docker run -d --name deep --privileged --network none busybox:1 sleep 100000");
    let plan = vm.sh("seaworthy plan --profile lab");
    let held = plan.stdout.lines().find(|line| line.starts_with("# held: daemon.userns-remap"));
    assert!(held.is_some_and(|held| held.contains("breaks-startup: deep is privileged")), "{}", plan.stdout);
    vm.ok("docker rm -f deep; docker rmi busybox:1");
    let plan = vm.sh("seaworthy plan --profile lab");
    assert_eq!(plan.status, 2);
    assert!(plan.stdout.contains(&format!("\n# note: {BREAKS}")), "{}", plan.stdout);
    assert!(!plan.stdout.contains("# held:"), "{}", plan.stdout);

    let said = seaworthy(&vm, "apply --yes --profile lab");
    let (warned, written) = (said.find(BREAKS), said.find("write /etc/environment"));
    assert!(warned.is_some() && warned < written, "{said}");
    assert_eq!(open(&findings(&vm, "--profile lab")), Vec::<String>::new());
    assert_eq!(kernel_rules(&vm), own_rules(&vm));
    let daemon = "{\"live-restore\":true,\"icc\":false,\"userns-remap\":\"default\",\"no-new-privileges\":true,\
                  \"userland-proxy\":false}";
    assert_eq!(vm.ok("jq -c . /etc/docker/daemon.json"), daemon);
    let options = vm.ok("docker info --format '{{.SecurityOptions}} {{.LiveRestoreEnabled}}'");
    assert!(options.contains("name=userns") && options.ends_with(" true"), "{options}");
    let icc = "docker network inspect bridge --format '{{index .Options \"com.docker.network.bridge.enable_icc\"}}'";
    assert_eq!(vm.ok(icc), "false");

    // a login reads /etc/environment through PAM; a process that runs already does not
    for login in ["su -l root -c 'printenv DOCKER_CONTENT_TRUST'", "su root -c 'printenv DOCKER_CONTENT_TRUST'"] {
        assert_eq!(vm.ok(login), "1", "{login}");
    }
    assert_eq!(vm.ok("tr '\\0' '\\n' </proc/self/environ | grep -c DOCKER_CONTENT_TRUST; true"), "0");
    vm.ok("lab-image");
    let unsigned = vm.sh("su -l root -c 'timeout 20 docker pull busybox:1'");
    assert_ne!(unsigned.status, 0);
    assert!(unsigned.stderr.contains("notary"), "the client did not ask for a signature: {}", unsigned.stderr);
    assert_eq!(vm.ok("docker run --rm busybox:1 cat /proc/self/uid_map").split_whitespace().nth(1), Some("100000"));
    // What held it in the beginning: such a container does not start any more.
    let deep = vm.sh("docker run --rm --privileged --network none busybox:1 true");
    assert!(deep.status != 0 && deep.stderr.contains("user namespaces"), "{deep:?}");

    seaworthy(&vm, "rollback --yes --force");
    assert_same(&before, &files(&vm));
    assert_eq!(vm.sh("su -l root -c 'printenv DOCKER_CONTENT_TRUST'").status, 1);
}
