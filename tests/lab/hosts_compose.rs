//! Services of compose that are made anew by both versions of it: well, put back when they do not come up, and taken back.

use crate::hosts::{runs, says, seaworthy};
use crate::machine::Machine;

const CHECKS: &str = "--check container.read-only --check container.no-new-privileges";
const FILE: &str = "/srv/shop/compose.yaml";

/// A host with the shop: front answers what back says, which asks store.
fn shop(suite: &str) -> Machine {
    let host = Machine::host(suite);
    host.write_file("/root/build", include_str!("shop/build"));
    host.write_file(FILE, include_str!("shop/compose.yaml"));
    host.ok("sh /root/build && cd /srv/shop && docker-compose up -d 2>&1");
    well(&host, "the shop does not open");
    host
}

/// The shop answers, with the goods that were put into its volume.
fn well(host: &Machine, what: &str) {
    let asked = "for i in $(seq 60); do busybox wget -q -O - http://127.0.0.1:8080/cgi-bin/say && break; sleep 1; done";
    assert_eq!(host.ok(asked), "hello from the store", "{what}");
}

/// Names of the shop's containers, and whether their root file system is read-only.
fn standing(host: &Machine) -> String {
    host.ok("docker ps -q --filter label=com.docker.compose.project=shop | xargs docker inspect \
             -f '{{index .Config.Labels \"com.docker.compose.service\"}} {{.HostConfig.ReadonlyRootfs}} \
             {{.HostConfig.SecurityOpt}}' | sort")
}

fn ids(host: &Machine) -> String {
    host.ok("docker ps -aq --no-trunc --filter label=com.docker.compose.project=shop | sort")
}

fn made_anew_and_taken_back(suite: &str) {
    let host = shop(suite);
    let (file, before, old) = (host.ok(&format!("cat {FILE}")), standing(&host), ids(&host));
    let back = "$(docker ps -q --filter label=com.docker.compose.service=back)";
    host.ok(&format!("docker exec {back} sh -c 'echo kept >/scratch/kept; echo lost >/lost'"));

    // Without being asked nothing is made anew, and what it would cost is said.
    let held = seaworthy(&host, &format!("apply --yes {CHECKS}"), 0);
    says(&held.stdout, &["nothing to do", "made anew: what it", "--recreate"]);
    assert_eq!((standing(&host), ids(&host)), (before.clone(), old.clone()));
    let plan = seaworthy(&host, &format!("plan --recreate --accept container.read-only {CHECKS}"), 2);
    says(
        &plan.stdout,
        &["+    read_only: true", "recreate service back of project shop", "up --detach --no-deps --no-build"],
    );
    let applied = seaworthy(&host, &format!("apply --yes --recreate --accept container.read-only {CHECKS}"), 0);
    says(
        &applied.stdout,
        &["recreated service back of project shop", "recreated service front", "recreated service store"],
    );
    well(&host, "made anew, the shop does not answer");
    assert_eq!(standing(&host).matches(" true ").count(), 3, "{}", standing(&host));
    assert!(ids(&host).lines().all(|id| !old.contains(id)) && ids(&host).lines().count() == 3);
    assert_eq!(host.ok(&format!("docker exec {back} cat /scratch/kept")), "kept", "a volume without a name is kept");
    assert!(host.sh(&format!("docker exec {back} cat /lost")).status != 0, "what is in no volume goes");
    says(
        &seaworthy(&host, &format!("apply --yes --recreate --accept container.read-only {CHECKS}"), 0).stdout,
        &["nothing to do"],
    );

    // The way back stops them as well: that has to be wished for.
    let run = runs(&host).pop().expect("a run");
    let refused = seaworthy(&host, &format!("rollback {run} --yes"), 3);
    says(&refused.stderr, &["is stopped for a moment and made anew", "--force"]);
    let undone = seaworthy(&host, &format!("rollback {run} --yes --force"), 0);
    says(&undone.stdout, &["recreated service back of project shop"]);
    well(&host, "taken back, the shop does not answer");
    assert_eq!((host.ok(&format!("cat {FILE}")), standing(&host)), (file, before));
    assert_eq!(host.ok(&format!("docker exec {back} cat /scratch/kept")), "kept");
    says(&seaworthy(&host, &format!("history {run}"), 0).stdout, &["rolled back"]);
}

#[test]
fn services_are_made_anew_and_taken_back_on_bookworm() {
    made_anew_and_taken_back("bookworm");
}

#[test]
fn services_are_made_anew_and_taken_back_on_trixie() {
    made_anew_and_taken_back("trixie");
}

/// What only the owner of the shop can know.
const VALUES: &str = r#"
[values.containers."shop-*"]
memory = "64m"
cpus = 0.5
pids-limit = 50

[values.compose."shop/front"]
address = "127.0.0.1"
user = "1000:1000"

[values.compose."shop/back"]
user = "1000:1000"
healthcheck = { test = ["CMD", "wget", "-q", "-O", "/dev/null", "http://127.0.0.1:9000/cgi-bin/say"], interval = "1s", retries = 5 }

[values.compose."shop/store"]
user = "1000:1000"
"#;

/// Of the checks that say it, on the shop's containers.
fn fails(host: &Machine) -> usize {
    let report = host.sh("seaworthy audit --check 4.1,5 --format json").stdout;
    let report: serde_json::Value = serde_json::from_str(&report).expect("a report");
    usize::try_from(report["summary"]["open"].as_u64().expect("a count")).expect("a small one")
}

/// All of section 5, and the user: nothing stays open, the shop opens, and all of it goes back. docker-bench's logs of
/// this host before and after are in `fixtures/reports/docker-bench`.
#[test]
fn an_application_is_hardened_and_taken_back() {
    let host = shop("trixie");
    host.write_file("/etc/seaworthy/config.toml", VALUES);
    let (file, before, open) = (host.ok(&format!("cat {FILE}")), standing(&host), fails(&host));
    assert!(open > 20, "{open}");
    let apply = "apply --yes --recreate --accept container.read-only,container.capabilities --check 4.1,5";
    for _ in 0..2 {
        // What our own way back made is taken for what its file says.
        seaworthy(&host, apply, 0);
        assert_eq!(fails(&host), 0);
        well(&host, "hardened, the shop does not answer");
        let undone = seaworthy(&host, "rollback --yes --force", 0);
        assert!(!undone.stdout.contains("is gone"), "{}", undone.stdout);
        well(&host, "taken back, the shop does not answer");
        assert_eq!((host.ok(&format!("cat {FILE}")), standing(&host)), (file.clone(), before.clone()));
    }
    assert_eq!(fails(&host), open);
}

/// A service that needs to write where its file will not let it: it does not come up, and is put back.
fn put_back(suite: &str) {
    let host = shop(suite);
    host.ok(&format!("sed -i 's|    image: shop/back:1|&\\n    command: [\"sh\", \"-c\", \"date >/began \\&\\& exec httpd -f -p 9000 -h /www\"]|' {FILE}"));
    host.ok("cd /srv/shop && docker-compose up -d 2>&1");
    well(&host, "the shop does not open");
    let (file, before) = (host.ok(&format!("cat {FILE}")), standing(&host));
    let failed = seaworthy(&host, "apply --yes --recreate --check container.read-only --accept container.read-only", 4);
    says(&failed.stderr, &["service back of project shop is not well", "rolled back"]);
    assert_eq!((host.ok(&format!("cat {FILE}")), standing(&host)), (file.clone(), before.clone()));
    well(&host, "put back, the shop does not answer");

    // A file that somebody changed since, without making the containers anew: what else comes of it nobody has seen.
    host.ok(&format!("sed -i 's|STORE: .*|&\\n      MORE: \"1\"|' {FILE}"));
    let refused = seaworthy(&host, "apply --yes --recreate --check container.no-new-privileges", 3);
    says(&refused.stderr, &["is not what its compose file says", "host: unchanged"]);
    assert_eq!(standing(&host), before);
    host.write_file(FILE, &(file.clone() + "\n"));

    // Killed while compose is at work, and taken back by whoever comes next.
    let apply = "seaworthy apply --yes --recreate --check container.no-new-privileges";
    let once = format!(
        "rm -f /run/said; {apply} 2>/run/said & p=$!; \
         until grep -q '^recreate service' /run/said || ! kill -0 $p; do sleep 0.01; done; sleep 0.3; kill -9 $p; wait $p"
    );
    assert_eq!(host.sh(&once).status, 137);
    seaworthy(&host, "rollback --yes", 0);
    assert_eq!((host.ok(&format!("cat {FILE}")), standing(&host)), (file.trim_end().to_owned(), before));
    well(&host, "after a kill, the shop does not answer");
}

#[test]
fn a_service_that_does_not_come_up_is_put_back_on_bookworm() {
    put_back("bookworm");
}

#[test]
fn a_service_that_does_not_come_up_is_put_back_on_trixie() {
    put_back("trixie");
}
