//! The seeds of the fuzz targets, each through its property: what the fuzzer found once is looked at in every run.
#![allow(clippy::disallowed_methods, reason = "seeds are files beside the test")]

#[allow(unreachable_pub, reason = "the fuzz targets use them as a library")]
#[path = "fuzz/properties/mod.rs"]
mod properties;

use std::path::{Path, PathBuf};

fn seeds(target: &str) -> Vec<PathBuf> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/seeds").join(target);
    let entries = std::fs::read_dir(&dir).unwrap_or_else(|error| panic!("{}: {error}", dir.display()));
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    files.sort();
    files
}

#[test]
fn every_seed_has_its_property() {
    let mut broken = Vec::new();
    for (target, property) in properties::ALL {
        let seeds = seeds(target);
        assert!(seeds.len() >= 3, "{target}: only {} seeds", seeds.len());
        for seed in seeds {
            let data = std::fs::read(&seed).unwrap_or_else(|error| panic!("{}: {error}", seed.display()));
            if std::panic::catch_unwind(|| property(&data)).is_err() {
                broken.push(seed);
            }
        }
    }
    assert!(broken.is_empty(), "these break their property, see above: {broken:?}");
}

#[test]
fn every_property_is_a_target_and_every_target_a_property() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz");
    let manifest = std::fs::read_to_string(dir.join("Cargo.toml")).expect("the fuzz crate");
    let listed = manifest.lines().filter_map(|line| line.strip_prefix("path = \"targets/")?.strip_suffix(".rs\""));
    let names: Vec<&str> = properties::ALL.iter().map(|(name, _)| *name).collect();
    assert!(listed.eq(names.iter().copied()), "{names:?}");
    for name in names {
        let target = std::fs::read_to_string(dir.join("targets").join(name).with_extension("rs")).expect("a target");
        assert!(target.contains(&format!("properties::{name}::check(data)")), "{name}: {target}");
    }
}
