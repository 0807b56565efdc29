//! Power cuts at random moments of an apply and of a rollback.
//!
//! One run gives many of them: `tests/lab/vm` copies the disk as a cut at that instant would leave it, and the run goes
//! on. Every disk is looked at and mended offline; every tenth is booted too, and mended as its owner would.
//! `tests/lab/power-cuts` makes a hundred and keeps a table of them, by the same code.

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::machine::{Machine, Out};
use crate::vm_look::{OWN_RULES, assert_same, files, kernel_rules, listing, own_rules, seaworthy};
use crate::vm_power_table::{Random, Table};

/// Cuts of one apply and its rollback. The even numbers are the apply's.
const ROUND: u64 = 50;

#[test]
fn power_cuts_leave_a_host_that_boots_and_a_way_back() {
    let mut table = Table::open();
    while let Some(numbers) = table.next(ROUND) {
        round(&mut table, &numbers);
    }
    assert_eq!(table.failed(), Vec::<String>::new());
}

/// A host as it is before the run, or after it.
struct Then {
    /// On the disk alone.
    disk: BTreeSet<String>,
    /// On the running machine.
    files: BTreeSet<String>,
    rules: Vec<String>,
}

impl Then {
    fn of(vm: &Machine) -> Self {
        vm.ok("sync");
        Self { disk: tree(&vm.fork()), files: files(vm), rules: kernel_rules(vm) }
    }
}

/// A disk, and the seconds into the run at which the power was cut.
struct Cut {
    disk: Machine,
    moment: f32,
}

/// An apply and its rollback on a machine of their own, with these cuts.
fn round(table: &mut Table, numbers: &[u64]) {
    let mut random = Random::new(table.seed, numbers[0]);
    let vm = Machine::steady_vm("bookworm");
    vm.ok("lab-image && docker run -d --restart always --name web --network none busybox:1 sleep 1000000");
    let before = Then::of(&vm);
    let odd = numbers.iter().filter(|number| *number % 2 == 1).count();
    let mut applies = cuts(&vm, "apply", numbers.len() - odd, &mut random);
    let after = Then::of(&vm);
    let mut rollbacks = cuts(&vm, "rollback", odd, &mut random);
    vm.ok("sync");
    assert_same(&before.disk, &tree(&vm.fork()));
    vm.off();
    for number in numbers {
        let (what, cut) = if number % 2 == 0 { ("apply", applies.pop()) } else { ("rollback", rollbacks.pop()) };
        let cut = cut.expect("as many cuts as asked for");
        let mut line = vec![number.to_string(), what.into(), format!("{:.2}", cut.moment)];
        let boot = table.boots(*number);
        let checked = catch_unwind(AssertUnwindSafe(|| check(&cut.disk, [&before, &after], boot, &mut line)));
        let verdict = if checked.is_ok() { "well".to_owned() } else { table.keep(*number, &cut.disk) };
        table.add(&line, &verdict);
    }
}

/// Runs `seaworthy WHAT --yes`; gives `wanted` of its moments, each as likely as any other however long it takes.
fn cuts(vm: &Machine, what: &str, wanted: usize, random: &mut Random) -> Vec<Cut> {
    let began = Instant::now();
    let mut kept: Vec<Cut> = Vec::new();
    let out = std::thread::scope(|scope| {
        let run = scope.spawn(|| vm.sh(&format!("seaworthy {what} --yes")));
        for seen in 1.. {
            std::thread::sleep(Duration::from_secs_f64(random.fraction() * 4.0));
            if run.is_finished() {
                break;
            }
            let cut = Cut { moment: began.elapsed().as_secs_f32(), disk: vm.fork() };
            if kept.len() < wanted {
                kept.push(cut);
            } else if let Some(place) = kept.get_mut(random.below(seen)) {
                *place = cut;
            }
        }
        run.join().expect("the command was sent")
    });
    assert_eq!(out.status, 0, "{what}: {out:?}");
    assert_eq!(kept.len(), wanted, "{what} was over too soon");
    random.shuffle(&mut kept); // which of them is booted must not depend on when it was
    kept
}

/// Checks what a cut left, and mends it: offline, and with `boot`, a command, on the machine that boots from it. Adds to
/// the line of the table: the last record of the journal, the state of the run, how it was mended, where.
fn check(disk: &Machine, [before, after]: [&Then; 2], boot: Option<&str>, line: &mut Vec<String>) {
    let (record, state) = found(disk, before, after);
    line.extend([record, state.clone()]);
    let stands = matches!(state.as_str(), "unfinished" | "committed");
    let undo = if stands { "$seaworthy rollback --root . --yes -q >/dev/null" } else { "true" };
    let mended = disk.offline(&format!("{undo} && {}", etc()));
    well(&mended);
    assert_same(&before.disk, &lines(&mended.stdout));
    let Some(command) = boot else {
        line.extend([if stands { "rollback" } else { "-" }.into(), "offline".into()]);
        return;
    };
    let command = if state == "unfinished" { command } else { "-" };
    line.extend([command.to_owned(), "booted".into()]);
    disk.boot();
    works(disk);
    if command != "-" {
        seaworthy(disk, &format!("{command} --yes"));
        works(disk);
    }
    let expect = if command == "apply" || state == "committed" { after } else { before };
    assert_same(&expect.files, &files(disk));
    assert_eq!(kernel_rules(disk), expect.rules);
    let history = disk.ok("seaworthy history --format json");
    assert!(!history.contains("\"unfinished\""), "{history}");
}

/// The last record of the journal and the state of the run, from a disk where each file is as before or as after.
fn found(disk: &Machine, before: &Then, after: &Then) -> (String, String) {
    let looks = [
        "$seaworthy history --root . --format json",
        "$seaworthy audit --root . -q 2>&1 >/dev/null || [[ $? == 2 ]]",
        "cat var/lib/seaworthy/runs/*/journal 2>/dev/null || true",
        "if [[ -e etc/docker/daemon.json ]]; then cat etc/docker/daemon.json; else echo {}; fi",
        &etc(),
    ];
    let out = disk.offline(&format!("set -e; {}", looks.join("; echo =====; ")));
    well(&out);
    let parts: Vec<&str> = out.stdout.split("=====\n").collect();
    let [history, audit, journal, config, now] = parts[..] else { panic!("{out:?}") };
    let history: Value = serde_json::from_str(history).expect("history is JSON");
    let state = history["runs"][0]["state"].as_str().unwrap_or("no run").to_owned();
    let named = audit.contains("did not finish: `seaworthy rollback ");
    assert_eq!(named, state == "unfinished", "{state}: {audit}");
    let config: Value = serde_json::from_str(config).expect("daemon.json is JSON");
    assert!(config.is_object(), "{config}");

    let now = lines(now);
    match state.as_str() {
        "committed" => assert_same(&after.disk, &now),
        "unfinished" => {
            // daemon.json also has contents on its way, and candidates lie beside their targets
            let on_the_way = |entry: &str| entry.contains("etc/docker/daemon.json") || entry.contains(".seaworthy-");
            let known = |entry: &String| before.disk.contains(entry) || after.disk.contains(entry);
            let strange: Vec<_> = now.iter().filter(|entry| !known(entry) && !on_the_way(entry)).collect();
            assert!(strange.is_empty(), "neither as before nor as after: {strange:#?}");
        }
        _ => assert_same(&before.disk, &now),
    }
    (last_record(journal), state)
}

/// The last record that is whole, and what it is about.
fn last_record(journal: &str) -> String {
    let whole = journal.rsplit_once('\n').map_or("", |(whole, _)| whole);
    let Some(last) = whole.lines().last() else { return "none".into() };
    let last: Value = serde_json::from_str(last).expect("a record is JSON");
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let op = &last["op"];
    let about = match op.as_object().and_then(|op| op.iter().next()) {
        Some((name, detail)) => format!("{name} {}", text(&detail["path"])),
        None => text(op),
    };
    format!("{} {about}", text(&last["record"])).trim().to_owned()
}

/// Docker, its container and its networks are there, and the kernel has the rules that lie on the disk.
fn works(vm: &Machine) {
    assert_eq!(vm.ok("systemctl is-active docker"), "active");
    assert_eq!(vm.ok("docker inspect -f '{{.State.Running}}' web"), "true");
    assert_eq!(vm.ok("docker network ls --format '{{.Name}}' | sort | xargs"), "bridge host none");
    let rules = if vm.sh(&format!("test -e {OWN_RULES}")).status == 0 { own_rules(vm) } else { Vec::new() };
    assert_eq!(kernel_rules(vm), rules);
}

/// Everything in the /etc of a disk.
fn tree(disk: &Machine) -> BTreeSet<String> {
    let out = disk.offline(&etc());
    well(&out);
    lines(&out.stdout)
}

/// Without what augenrules makes of the rules' files, and makes anew at each boot.
fn etc() -> String {
    format!("{} | grep -v ' etc/audit/audit.rules$'", listing("etc", ""))
}

fn lines(text: &str) -> BTreeSet<String> {
    text.lines().map(str::to_owned).collect()
}

#[track_caller]
fn well(out: &Out) {
    assert_eq!(out.status, 0, "{out:?}");
}
