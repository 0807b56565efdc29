//! What an accepted fix breaks is said in the plan, on a recorded host.
#![allow(clippy::disallowed_methods, reason = "the test starts the binary")]

use std::path::Path;
use std::process::Command;

fn plan(options: &[&str]) -> String {
    let facts = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/hosts/debian-12.json");
    let mut command = Command::new(env!("CARGO_BIN_EXE_seaworthy"));
    let out = command.arg("plan").arg("--facts").arg(facts).args(options).output().expect("the binary runs");
    assert_eq!(out.status.code(), Some(2), "{}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8_lossy(&out.stdout).into_owned()
}

const ACCEPTED: &str = "# note: image.content-trust is accepted in spite of breaks-pulls: docker 20.10.24";

#[test]
fn what_is_accepted_by_name_or_profile_is_named_with_its_hazard() {
    for options in [["--profile", "lab"], ["--accept", "content-trust"]] {
        let plan = plan(&options);
        assert!(plan.contains(ACCEPTED), "{options:?}: {plan}");
        assert!(!plan.contains("# held: image.content-trust"), "{options:?}: {plan}");
    }
}

#[test]
fn what_is_held_is_not_called_accepted() {
    let plan = plan(&[]);
    assert!(plan.contains("# held: image.content-trust breaks-pulls"), "{plan}");
    assert!(!plan.contains("is accepted in spite of"), "{plan}");
}
