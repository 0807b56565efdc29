//! `seaworthy waive`, and what an audit and a plan make of waivers.

use serde_json::json;

use crate::DEBIAN;
use crate::shell::{Said, seaworthy};

/// A site's folder on this machine, with an empty config.
struct Site(tempfile::TempDir);

impl Site {
    fn new() -> Self {
        let site = Self(tempfile::tempdir().unwrap());
        site.write("config.toml", "");
        site
    }

    fn path(&self, name: &str) -> String {
        self.0.path().join(name).to_str().unwrap().to_owned()
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).unwrap();
    }

    fn waivers(&self) -> String {
        std::fs::read_to_string(self.path("waivers.toml")).unwrap()
    }

    fn run(&self, args: &[&str]) -> Said {
        seaworthy(&[args, &["--config", &self.path("config.toml")]].concat())
    }

    fn waive(&self, check: &str, more: &[&str]) -> Said {
        let args = ["waive", check, "--reason", "an old app", "--owner", "ops", "--until", "2099-12-31"];
        self.run(&[&args[..], more].concat())
    }
}

const ICC: &str = "[[waiver]]\ncheck = \"daemon.icc\"\nsubject = \"*\"\nreason = \"an old app\"\nowner = \"ops\"\n\
                   until = 2099-12-31\n";

#[test]
fn a_waived_fail_is_judged_and_shown_apart_and_not_planned() {
    let site = Site::new();
    let said = site.waive("2.2", &[]).exits(0);
    assert!(said.err.starts_with("daemon.icc is waived until 2099-12-31: * in /"), "{}", said.err);
    assert_eq!(site.waivers(), ICC);
    let again = site.waive("icc", &[]).exits(0);
    assert!(again.err.contains("says so already"), "{}", again.err);

    let checks = ["--facts", DEBIAN, "--check", "daemon.icc,daemon.live-restore"];
    let audit = |more: &[&str]| site.run(&[&["audit"], &checks[..], more].concat());
    let text = audit(&[]).exits(2).out;
    let told = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let shown =
        "fail, waived: 1 daemon.icc 2.2 icc: true; expected false; taken on by ops until 2099-12-31: an old app";
    assert!(told.contains(shown) && told.contains("2 findings: 1 fail, 1 waived"), "{text}");
    let findings = audit(&["--format", "json"]).json()["findings"].clone();
    assert_eq!((&findings[0]["verdict"], &findings[0]["waived"]), (&json!("fail"), &json!(true)));
    assert_eq!(findings[0]["waiver"]["reason"], "an old app");
    let plan = site.run(&[&["plan"], &checks[..]].concat()).exits(2).out;
    assert!(plan.contains("live-restore") && !plan.contains("icc"), "{plan}");
    let said = site.run(&["audit", "--facts", DEBIAN, "--check", "daemon.icc"]).exits(0);
    assert!(said.out.contains("1 finding: 1 waived"), "{}", said.out);
}

#[test]
fn what_nobody_needs_any_more_is_named_with_its_line() {
    let site = Site::new();
    let waiver = |check: &str, subject: &str, until: &str| {
        format!("[[waiver]]\ncheck = '{check}'\nsubject = '{subject}'\nreason = 'r'\nowner = 'o'\nuntil = {until}\n\n")
    };
    let all = [
        waiver("daemon.icc", "*", "2026-11-21"),
        waiver("daemon.icc", "container:gone", "2099-01-01"),
        waiver("daemon.iccc", "*", "2099-01-01"),
        waiver("daemon.tls", "*", "2099-01-01"),
    ];
    site.write("waivers.toml", &all.concat());
    let text = site.run(&["audit", "--facts", DEBIAN, "--check", "daemon.icc"]).exits(2).out;
    let lines: Vec<&str> = text.lines().skip_while(|line| *line != "waivers to look at: 3").collect();
    let told = lines[1..].join(" ").split_whitespace().collect::<Vec<_>>().join(" ");
    for part in [
        "waivers.toml:1: daemon.icc, *: counted until 2026-11-21 ",
        "waivers.toml:8: daemon.icc, container:gone: nothing that it names fails here ",
        "waivers.toml:15: daemon.iccc, *: there is no such check 1 finding",
    ] {
        assert!(told.contains(part), "no `{part}` in {told}");
    }
    let json = site.run(&["audit", "--facts", DEBIAN, "--check", "daemon.icc", "--format", "json"]).json();
    let troubles: Vec<_> = json["stale_waivers"].as_array().unwrap().iter().map(|one| &one["trouble"]).collect();
    assert_eq!(troubles, ["expired", "unused", "unknown-check"]);
}

#[test]
fn a_file_that_is_broken_stays_as_it_is() {
    let site = Site::new();
    let broken = format!("{ICC}\n[[waiver]]\ncheck = \"daemon.tls\"\nsubjekt = \"*\"\n");
    site.write("waivers.toml", &broken);
    for said in [site.waive("live-restore", &[]), site.run(&["audit", "--facts", DEBIAN])] {
        let said = said.exits(1);
        assert!(said.err.contains("waivers.toml:10: unknown field `subjekt`"), "{}", said.err);
        assert!(said.err.contains("host: unchanged\nhint: write `subject`"), "{}", said.err);
    }
    assert_eq!(site.waivers(), broken);
}

#[test]
fn a_waiver_says_why_whose_and_how_long() {
    let site = Site::new();
    let waive = |reason, until| {
        site.run(&["waive", "icc", "--reason", reason, "--owner", "me", "--until", until]).exits(64).err
    };
    assert!(waive("  ", "2099-01-01").contains("--reason must be a text of one line"));
    assert!(waive("why", "2001-01-01").contains("that day is over"));
    assert!(waive("why", "2099-02-30").contains("`2099-02-30` is not a day"));
    let said = site.run(&["waive", "icc", "--owner", "me", "--until", "2099-01-01"]).exits(64);
    assert!(said.err.contains("--reason"), "{}", said.err);
    let unknown = site.waive("daemon.iccc", &[]).exits(64).err;
    assert!(unknown.contains("daemon.icc"), "{unknown}");
    assert!(!std::path::Path::new(&site.path("waivers.toml")).exists(), "nothing is written");
    // One for each subject, in the order given.
    let said = site.waive("container.user", &["--subject", "web,db"]).exits(0);
    assert!(said.err.contains("web, db"), "{}", said.err);
    let subjects: Vec<_> =
        site.waivers().lines().filter(|line| line.starts_with("subject")).map(str::to_owned).collect();
    assert_eq!(subjects, ["subject = \"web\"", "subject = \"db\""]);
}
