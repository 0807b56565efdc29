use super::explain::{as_json, explain, table};
use super::validate::{Origin, read, read_all};
use super::words::hazard_name;
use super::*;
use crate::error::Kind;

fn slugs(selected: &Selected<'_>) -> Vec<String> {
    selected.entries.iter().map(|entry| entry.id.clone()).collect()
}

fn chosen(check: &[&str], benchmark: &str) -> crate::error::Result<(Vec<String>, Vec<String>)> {
    let catalog = Catalog::built_in();
    let check = check.iter().map(|pattern| (*pattern).to_owned()).collect();
    let selection = Selection { check, benchmark: benchmark.to_owned(), ..Selection::default() };
    let selected = select(&catalog, &selection)?;
    Ok((slugs(&selected), selected.notes))
}

fn numbers(group: &str, last: usize) -> impl Iterator<Item = String> {
    (1..=last).map(move |number| format!("{group}.{number}"))
}

#[test]
fn every_number_of_each_benchmark_is_there() {
    let catalog = Catalog::built_in();
    for (benchmark, daemon) in [(Benchmark::V1_6_0, 18), (Benchmark::V1_7_0, 18), (Benchmark::V1_8_0, 19)] {
        let host = numbers("1.1", 18).chain(numbers("1.2", 2)).chain(numbers("2", daemon)).chain(numbers("3", 24));
        let lives = numbers("4", 12).chain(numbers("5", 32)).chain(numbers("6", 2)).chain(numbers("7", 9));
        let wanted: Vec<String> = host.chain(lives).collect();
        for number in &wanted {
            assert!(catalog.numbered(benchmark, number).is_some(), "{benchmark} {number} is missing");
        }
        assert_eq!(catalog.entries().filter(|entry| entry.number(benchmark).is_some()).count(), wanted.len());
        assert_eq!(wanted.len(), if benchmark == Benchmark::V1_8_0 { 118 } else { 117 });
    }
    assert_eq!(catalog.numbered(Benchmark::V1_8_0, "2.7").unwrap().id, "daemon.storage-devicemapper");
}

#[test]
fn entries_stand_by_number_and_then_by_slug() {
    let catalog = Catalog::built_in();
    let order: Vec<&str> = catalog.entries().filter_map(|entry| entry.number(Benchmark::V1_8_0)).collect();
    let mut sorted = order.clone();
    sorted.sort_by(|left, right| benchmark::compare_numbers(left, right));
    assert_eq!(order, sorted);
    assert_eq!(order.first(), Some(&"1.1.1"));
    let own: Vec<&str> = catalog.entries().skip(order.len()).map(|entry| entry.id.as_str()).collect();
    let mut by_slug = own.clone();
    by_slug.sort_unstable();
    assert_eq!(own, by_slug);
    assert!(own.contains(&"daemon.config"), "{own:?}");
}

#[test]
fn what_is_written_is_what_is_checked() {
    for entry in Catalog::built_in().entries() {
        let edits = &entry.remediation.edits;
        let fits = |edit: &Edit| match (&entry.check, edit) {
            (Check::AuditWatch { object, also, perm }, Edit::AuditWatch { object: watched, perm: p }) => {
                p == perm && (watched == object || also.contains(watched))
            }
            (
                Check::FileAccess { object, owner, group, mode },
                Edit::FileAccess { object: o, owner: u, group: g, mode: m },
            ) => (object, owner, group, mode) == (o, u, g, m),
            (Check::Environment { name, value }, Edit::Environment { name: n, value: v }) => (name, value) == (n, v),
            (Check::DaemonSetting { key, expect }, Edit::DaemonSetting { key: k, value: Some(value) }) if key == k => {
                match expect {
                    Expect::Equals(wanted) => value == wanted,
                    Expect::OneOf(wanted) => wanted.contains(value),
                    _ => false,
                }
            }
            (Check::Container(rule), Edit::Container(setting)) => matches!(
                (rule, setting),
                (ContainerRule::Memory, ContainerSetting::Memory)
                    | (ContainerRule::Cpu, ContainerSetting::Cpus)
                    | (ContainerRule::PidsLimit, ContainerSetting::PidsLimit)
                    | (ContainerRule::RestartPolicy, ContainerSetting::RestartPolicy)
                    | (ContainerRule::DefaultBridge, ContainerSetting::Network)
            ),
            (Check::Swarm(rule), Edit::Swarm(setting)) => matches!(
                (rule, setting),
                (SwarmRule::Autolock, SwarmSetting::Autolock) | (SwarmRule::CertExpiry, SwarmSetting::CertExpiry)
            ),
            (Check::Container(rule), Edit::Compose(edit)) => {
                // Both are written by the same words, but for these.
                let word = |text: String| match text.as_str() {
                    "\"cpu\"" => "\"cpus\"".to_owned(),
                    "\"read-only\"" => "\"read-only-root\"".to_owned(),
                    "\"host-mounts\"" => "\"read-only-mounts\"".to_owned(),
                    "\"shared-propagation\"" => "\"private-mounts\"".to_owned(),
                    "\"wildcard-ports\"" => "\"ports\"".to_owned(),
                    _ => text,
                };
                word(serde_json::to_string(rule).unwrap()) == serde_json::to_string(edit).unwrap()
            }
            (Check::DaemonSetting { .. } | Check::Builtin(_), _) => true,
            _ => false,
        };
        assert!(edits.iter().all(fits), "{}: an edit does not fit its check", entry.id);
        if let Check::AuditWatch { also, .. } = &entry.check {
            assert_eq!(edits.len(), also.len() + 1, "{}: not every object is watched", entry.id);
        }
    }
}

#[test]
fn the_lab_is_the_exercise() {
    let catalog = Catalog::built_in();
    let lab = select(&catalog, &Selection { profile: "lab".to_owned(), ..Selection::default() }).unwrap();
    let watches = catalog.entries().filter(|entry| matches!(entry.check, Check::AuditWatch { .. })).count();
    assert_eq!(watches, 17);
    for slug in ["icc", "userns-remap", "live-restore", "userland-proxy", "no-new-privileges"] {
        assert!(lab.has(&format!("daemon.{slug}")), "{slug}");
    }
    assert!(lab.has("image.content-trust") && lab.has("audit.auditd") && lab.has("audit.docker-client"));
    assert_eq!(lab.entries.len(), watches + 5 + 2);
}

/// How many checks have a slug that begins so.
fn named(catalog: &Catalog, prefix: &str) -> usize {
    catalog.entries().filter(|entry| entry.id.starts_with(prefix)).count()
}

#[test]
fn patterns_name_checks() {
    assert_eq!(chosen(&["daemon.icc"], "1.8.0").unwrap().0, ["daemon.icc"]);
    assert_eq!(chosen(&["content-trust"], "1.8.0").unwrap().0, ["image.content-trust"]);
    let ambiguous = chosen(&["no-new-privileges"], "1.8.0").unwrap_err();
    assert_eq!(ambiguous.hint.as_deref(), Some("write its first part too, such as `daemon.no-new-privileges`"));
    assert_eq!(chosen(&["cis-1.6.0:2.8"], "1.8.0").unwrap(), (vec!["daemon.default-ulimits".to_owned()], Vec::new()));
    assert_eq!(chosen(&["audit.*"], "1.8.0").unwrap().0.len(), named(&Catalog::built_in(), "audit."));
    assert_eq!(chosen(&["2"], "1.8.0").unwrap().0.len(), 19);
    assert_eq!(chosen(&["2.*"], "1.6.0").unwrap().0.len(), 18);
    assert_eq!(chosen(&["1.1"], "1.8.0").unwrap().0.len(), 18);
    assert_eq!(chosen(&["1.1.1"], "1.8.0").unwrap().0, ["host.data-root-mount"]);
    let twice = chosen(&["3.1", "file.docker-service-*"], "1.8.0").unwrap().0;
    assert_eq!(twice, ["file.docker-service-owner", "file.docker-service-mode"]);
}

#[test]
fn a_number_that_moved_is_read_in_the_benchmark_and_noted() {
    let (new, notes) = chosen(&["2.8"], "1.8.0").unwrap();
    assert_eq!(new, ["daemon.tls"]);
    assert_eq!(notes, ["2.8 is read as daemon.tls of CIS 1.8.0; it is daemon.default-ulimits in 1.6.0 and 1.7.0"]);
    let (old, notes) = chosen(&["2.8"], "1.6.0").unwrap();
    assert_eq!(old, ["daemon.default-ulimits"]);
    assert_eq!(notes, ["2.8 is read as daemon.default-ulimits of CIS 1.6.0; it is daemon.tls in 1.8.0"]);
    assert!(chosen(&["2.2"], "1.8.0").unwrap().1.is_empty());
}

#[test]
fn what_names_nothing_is_a_usage_error_with_a_way_out() {
    let typo = chosen(&["daemon.iccc"], "1.8.0").unwrap_err();
    assert_eq!(typo.kind, Kind::Usage);
    assert!(typo.causes[0].starts_with("nearest: daemon.icc"), "{typo:?}");
    let moved = chosen(&["2.19"], "1.6.0").unwrap_err();
    assert_eq!(moved.causes, ["in CIS 1.8.0 it is daemon.experimental"]);
    for pattern in ["9.9", "nothing.*", "cis-1.5.0:2.1", "cis-1.6.0:x", ""] {
        assert_eq!(chosen(&[pattern], "1.8.0").unwrap_err().kind, Kind::Usage, "{pattern}");
    }
    assert!(chosen(&[], "2.0").is_err());
    let profile = Selection { profile: "level-3".to_owned(), ..Selection::default() };
    assert!(select(&Catalog::built_in(), &profile).unwrap_err().message.contains("level-3"));
}

#[test]
fn skip_and_profile_take_away() {
    let catalog = Catalog::built_in();
    let level = Selection { profile: "level-1".to_owned(), skip: vec!["audit.*".to_owned()], ..Selection::default() };
    let selected = select(&catalog, &level).unwrap();
    assert!(selected.has("daemon.icc") && !selected.has("daemon.userns-remap") && !selected.has("audit.dockerd"));
    let outside = Selection {
        check: vec!["userns-remap".to_owned(), "icc".to_owned()],
        profile: "level-1".to_owned(),
        ..Selection::default()
    };
    let selected = select(&catalog, &outside).unwrap();
    assert_eq!(slugs(&selected), ["daemon.icc"]);
    assert_eq!(selected.notes, ["daemon.userns-remap is not in profile level-1: left out"]);
    let nothing = Selection { check: vec!["icc".to_owned()], skip: vec!["2.2".to_owned()], ..Selection::default() };
    assert_eq!(select(&catalog, &nothing).unwrap_err().kind, Kind::Usage);
}

#[test]
fn find_takes_one_check() {
    let catalog = Catalog::built_in();
    assert_eq!(find(&catalog, "icc", Benchmark::DEFAULT).unwrap().0.id, "daemon.icc");
    let (entry, note) = find(&catalog, "2.10", Benchmark::DEFAULT).unwrap();
    assert_eq!((entry.id.as_str(), note.is_some()), ("daemon.userns-remap", true));
    let several = find(&catalog, "audit.*", Benchmark::DEFAULT).unwrap_err().message;
    assert!(several.contains(&format!("{} checks", named(&catalog, "audit."))), "{several}");
}

const GOOD: &str = r#"id = "file.motd"
title = "the message of the day is open to all"
severity = "low"
level = 1
rationale = "Why."
impact = "What."

[check.file-access]
object = "/etc/motd"
mode = "0644"

[remediation]
title = "Close it"
edits = [
    { file-access = { object = "/etc/motd", mode = "0644" } },
]
"#;

/// What is wrong with the entry once a part of it is replaced.
fn faults(origin: Origin, from: &str, to: &str) -> Vec<String> {
    assert!(GOOD.contains(from), "{from}");
    let text = GOOD.replacen(from, to, 1);
    let problems = read(origin, "site/motd.toml", &text).err().unwrap_or_default();
    problems.iter().map(ToString::to_string).collect()
}

#[test]
fn a_malformed_entry_is_named_with_file_and_line() {
    assert_eq!(faults(Origin::Site, "motd", "motd"), Vec::<String>::new());
    let cases = [
        ("severity = \"low\"", "severity = \"awful\"", "site/motd.toml:3:12: unknown variant `awful`"),
        ("level = 1", "level = 3", "site/motd.toml:4:9: a level is 1 or 2"),
        ("level = 1", "level = 1\nlevl = 2", "site/motd.toml:5:1: unknown field `levl`"),
        ("level = 1", "level = 1\nlevel = 2", "site/motd.toml:5:1: duplicate key"),
        ("file.motd", "files.motd", "site/motd.toml:1:6: `files` is not a section"),
        ("file.motd", "file.Motd", "site/motd.toml:1:6: `Motd` is not lower case"),
        ("mode = \"0644\"\n\n", "mode = \"644\"\n\n", "site/motd.toml:10:8: `644` is not an octal mode"),
        ("mode = \"0644\" }", "mode = \"0688\" }", "site/motd.toml:15:52: `0688` is not an octal mode"),
        ("\"/etc/motd\"\n", "\"etc/motd\"\n", "site/motd.toml:9:10: `etc/motd` is neither"),
        ("\"Close it\"", "\"Close it.\"", "site/motd.toml:13:9: a title is one line without a full stop"),
        ("impact = \"What.\"", "impact = \" \"", "site/motd.toml:6:10: says nothing"),
        (
            "[check.file",
            "[references]\n\"cis-2.0\" = \"1\"\n[check.file",
            "site/motd.toml:9:13: `cis-2.0` is not a benchmark",
        ),
        ("[check.file", "[references]\n\"cis-1.8.0\" = \"x\"\n[check.file", "site/motd.toml:9:15: `x` is not a number"),
        (
            "{ file-access = { object = \"/etc/motd\", mode = \"0644\" } },",
            "",
            "site/motd.toml:12:1: writes nothing and advises",
        ),
        (
            "{ file-access = { object = \"/etc/motd\", mode = \"0644\" } },",
            "\"audit\",",
            "site/motd.toml:15:5: unknown variant",
        ),
    ];
    for (from, to, wanted) in cases {
        let found = faults(Origin::Site, from, to);
        assert!(found.len() == 1 && found[0].starts_with(wanted), "wanted {wanted}, got {found:?}");
    }
}

#[test]
fn all_faults_of_all_entries_are_told_at_once() {
    let bad = GOOD.replace("level = 1", "level = 7").replace("\"Why.\"", "\"\"");
    let watch = GOOD.replace("file.motd", "file.issue").replace(
        "[check.file-access]\nobject = \"/etc/motd\"\nmode = \"0644\"",
        "[check.audit-watch]\nobject = \"/etc/motd\"\nperm = \"rwxa\"",
    );
    let files = [("a.toml", bad), ("b.toml", watch)].map(|(file, text)| (file.to_owned(), text));
    let found: Vec<String> = read_all(Origin::Site, files).1.iter().map(ToString::to_string).collect();
    let wanted =
        ["a.toml:4:9: a level is 1 or 2", "a.toml:5:13: says nothing", "b.toml:10:8: `rwxa` is not `wa` or `wax`"];
    assert_eq!(found, wanted);
}

#[test]
fn ours_are_held_to_their_file_names() {
    let named = faults(Origin::Shipped, "motd", "motd");
    assert_eq!(named, ["site/motd.toml:1:6: its file has to be named `file-motd.toml`"]);
    let profile = faults(Origin::Shipped, "level = 1", "level = 1\nprofiles = [\"lba\"]");
    assert!(
        profile.iter().any(|fault| fault.starts_with("site/motd.toml:5:13: `lba` is not a profile")),
        "{profile:?}"
    );
    assert!(faults(Origin::Site, "level = 1", "level = 1\nprofiles = [\"ours\"]").is_empty());
}

#[test]
fn a_slug_or_a_number_is_claimed_once() {
    let site = |text: String| Catalog::built_in().with_site([("site.toml".to_owned(), text)]);
    let added = site(GOOD.to_owned()).unwrap();
    assert_eq!(added.get("file.motd").unwrap().level, 1);
    let taken = site(GOOD.replace("file.motd", "daemon.icc")).unwrap_err();
    assert_eq!(taken.causes, ["site.toml:1:6: id `daemon.icc` is taken by remediations/2.2-icc.toml"]);
    let number = GOOD.replace("[check.file", "[references]\n\"cis-1.8.0\" = \"2.2\"\n\n[check.file");
    let causes = site(number).unwrap_err().causes;
    assert_eq!(causes, ["site.toml:9:15: number 2.2 of cis-1.8.0 is taken by remediations/2.2-icc.toml"]);
}

#[test]
fn prose_loses_the_line_breaks_of_its_file_and_keeps_paragraphs() {
    let text = GOOD.replace("\"Why.\"", "\"\"\"\nOne\ntwo.\n\nThree.\n\"\"\"");
    assert_eq!(read(Origin::Site, "x.toml", &text).unwrap().rationale, "One two.\n\nThree.");
}

#[test]
fn a_page_says_what_is_decided_written_and_broken() {
    let catalog = Catalog::built_in();
    let page = explain(catalog.get("daemon.userns-remap").unwrap());
    let parts = [
        "daemon.userns-remap: root in containers is root on the host\n",
        "2.10 in 1.8.0; 2.9 in 1.7.0, 1.6.0",
        "level-2, lab",
        "\nWHY\n",
        "\nHOW IT IS DECIDED\n",
        "`\"userns-remap\": \"default\"`",
        "- hides-images: ",
        "seaworthy rollback --check daemon.userns-remap",
        "The account dockremap",
    ];
    let mut rest = page.as_str();
    for part in parts {
        let at = rest.find(part).unwrap_or_else(|| panic!("`{part}` is missing or out of order in:\n{page}"));
        rest = &rest[at + part.len()..];
    }
    assert!(
        explain(catalog.get("daemon.icc").unwrap()).contains("`docker network create NAME`"),
        "a command is broken"
    );
    for entry in catalog.entries() {
        let page = explain(entry);
        let fixes = !entry.remediation.edits.is_empty();
        for (heading, there) in [
            ("WHAT TO DO", !fixes),
            ("WHAT THE FIX WRITES", fixes),
            ("WHAT IT CAN BREAK", true),
            ("HOW TO UNDO IT", fixes),
        ] {
            assert_eq!(page.contains(&format!("\n{heading}\n")), there, "{}: {heading}", entry.id);
        }
        for hazard in &entry.remediation.hazards {
            let item = format!("\n  - {}: ", hazard_name(*hazard));
            assert!(page.contains(&item), "{}:{item}", entry.id);
        }
        assert!(page.contains(&entry.title) && page.lines().all(|line| line == line.trim_end()), "{}", entry.id);
    }
}

#[test]
fn the_table_has_a_line_a_check_with_its_number() {
    let catalog = Catalog::built_in();
    let entries: Vec<&Entry> = catalog.entries().collect();
    let table = table(&entries, Benchmark::V1_6_0);
    assert_eq!(table.lines().count(), entries.len() + 1);
    let line = table.lines().find(|line| line.contains("daemon.userns-remap")).unwrap();
    assert!(line.starts_with("2.9 ") && line.ends_with("root in containers is root on the host"), "{line}");
    let json = as_json(&entries);
    let first = json.as_array().unwrap().iter().find(|check| check["check"] == "daemon.icc").unwrap();
    assert_eq!(first["probe"]["daemon-setting"]["expect"]["equals"], false);
    assert_eq!(first["references"]["cis-1.8.0"], "2.2");
    assert_eq!(first["remediation"]["hazards"][0], "cuts-traffic");
}

#[test]
fn every_named_object_has_words_of_its_own() {
    for name in OBJECTS {
        assert_ne!(words::place(&Object::Named((*name).to_owned())), *name);
    }
}
