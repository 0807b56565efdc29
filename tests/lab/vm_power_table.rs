//! How many power cuts there are to be, at which moments, and what came of each.

use std::fs;
use std::io::Write as _;
use std::path::PathBuf;
use std::time::SystemTime;

use crate::machine::Machine;

/// Numbers that a seed decides (`SplitMix64`).
pub(crate) struct Random(u64);

impl Random {
    /// Those of one round.
    pub(crate) fn new(seed: u64, round: u64) -> Self {
        Self(seed.wrapping_add(round << 32))
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// From 0 to 1.
    pub(crate) fn fraction(&mut self) -> f64 {
        f64::from(u32::try_from(self.next() >> 32).expect("32 bits")) / f64::from(u32::MAX)
    }

    /// Puts them in any order.
    pub(crate) fn shuffle<T>(&mut self, all: &mut [T]) {
        for end in (1..all.len()).rev() {
            let place = self.below(end + 1);
            all.swap(place, end);
        }
    }

    /// Less than `limit`.
    pub(crate) fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() % limit as u64).expect("less than a usize")
    }
}

/// The cuts made so far, one line each; in a file when they are many.
pub(crate) struct Table {
    pub(crate) seed: u64,
    count: u64,
    lines: Vec<String>,
    file: Option<PathBuf>,
}

impl Table {
    /// Two cuts; with `SEAWORTHY_POWER_CUTS` that many, in a table that is read again to go on where it stops.
    pub(crate) fn open() -> Self {
        let number = |name: &str| std::env::var(name).ok().map(|text| text.parse().expect("a number"));
        let count = number("SEAWORTHY_POWER_CUTS");
        let file = count.map(|_| folder().join("power-cuts.tsv"));
        let text = file.as_ref().and_then(|file| fs::read_to_string(file).ok()).unwrap_or_default();
        let seed = text.lines().next().and_then(|head| head.strip_prefix("# seed ")?.parse().ok());
        let clock = || SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("it is later").as_secs();
        let seed = seed.or(number("SEAWORTHY_SEED")).unwrap_or_else(clock) % (1 << 32);
        let lines = text.lines().filter(|line| !line.starts_with('#')).map(str::to_owned).collect();
        let table = Self { seed, count: count.unwrap_or(2), lines, file };
        let head = format!("# seed {seed}\n# number\tcut\tseconds\tlast record\tfound\tmended\twhere\tresult");
        if text.is_empty() {
            table.write(&head);
        }
        say(&head);
        table
    }

    /// The numbers of the next cuts, all of one round; those that are booted come last, as they take longest.
    pub(crate) fn next(&self, round: u64) -> Option<Vec<u64>> {
        let done = |number: &u64| self.lines.iter().any(|line| line.starts_with(&format!("{number}\t")));
        let first = (0..self.count).find(|number| !done(number))?;
        let end = self.count.min((first / round + 1) * round);
        let mut next: Vec<u64> = (first..end).filter(|number| !done(number)).collect();
        next.sort_by_key(|number| self.boots(*number).is_some());
        Some(next)
    }

    /// The command that mends a cut on the machine that boots from it, where it is one of those: one of ten, in turn of
    /// an apply and of a rollback.
    pub(crate) fn boots(&self, number: u64) -> Option<&'static str> {
        let ten = number / 10;
        let booted = (self.seed + ten) % self.count.min(10) == number % 10;
        booted.then_some(if (ten / 2).is_multiple_of(2) { "rollback" } else { "apply" })
    }

    /// Adds a cut and its result.
    pub(crate) fn add(&mut self, cut: &[String], result: &str) {
        let line = format!("{}\t{result}", cut.join("\t"));
        self.write(&line);
        say(&line);
        self.lines.push(line);
    }

    /// The cuts that were not well.
    pub(crate) fn failed(&self) -> Vec<String> {
        self.lines.iter().filter(|line| !line.ends_with("\twell")).cloned().collect()
    }

    /// Keeps the disk of a cut that was not well, and says where.
    pub(crate) fn keep(&self, number: u64, disk: &Machine) -> String {
        if self.file.is_none() {
            return "FAILED".into();
        }
        let kept = folder().join(format!("power-cut-{number}.qcow2"));
        disk.keep_disk(&kept);
        format!("FAILED, its disk is {}", kept.display())
    }

    fn write(&self, line: &str) {
        if let Some(file) = &self.file {
            let mut file = fs::File::options().create(true).append(true).open(file).expect("the table opens");
            writeln!(file, "{line}").expect("the table is written");
        }
    }
}

/// To whoever watches, also while a test's own output is held back.
fn say(line: &str) {
    writeln!(std::io::stderr(), "{line}").expect("stderr is there");
}

/// Outside the checkout, beside the images that the disks are layers of.
fn folder() -> PathBuf {
    std::env::var_os("SEAWORTHY_LAB").expect("set by tests/run").into()
}
