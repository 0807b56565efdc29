//! Validates the catalogue and embeds it: a malformed entry fails the build with file and line.
#![allow(clippy::print_stdout, reason = "cargo reads a build script's directives from its stdout")]
#![allow(clippy::disallowed_methods, reason = "a build script has no host: it reads the sources and writes OUT_DIR")]
#![allow(unreachable_pub, dead_code, reason = "the types are shared with the library, which uses the rest of them")]

#[path = "catalog/benchmark.rs"]
mod benchmark;
#[path = "catalog/entry.rs"]
mod entry;
#[path = "catalog/rule.rs"]
mod rule;
#[path = "catalog/validate.rs"]
mod validate;

use std::error::Error;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs};

use validate::{Origin, read_all};

fn main() -> Result<(), Box<dyn Error>> {
    let root = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?);
    println!("cargo::rerun-if-changed=remediations");
    for source in ["build.rs", "catalog/benchmark.rs", "catalog/entry.rs", "catalog/rule.rs", "catalog/validate.rs"] {
        println!("cargo::rerun-if-changed=src/{source}");
    }
    let files = entries(&root.join("remediations"))?;
    let (sources, problems) = read_all(Origin::Shipped, files);
    for problem in problems {
        // cargo prints every one of these and then fails the build.
        println!("cargo::error={problem}");
    }
    let mut list = String::from("&[\n");
    for source in sources {
        let file = source.file;
        let entry = serde_json::to_string(&source.entry)?;
        let entry = entry.escape_default();
        writeln!(
            list,
            "    (\"{file}\", include_str!(concat!(env!(\"CARGO_MANIFEST_DIR\"), \"/{file}\")), \"{entry}\"),"
        )?;
    }
    list.push_str("]\n");
    fs::write(Path::new(&env::var("OUT_DIR")?).join("catalog.rs"), list)?;
    Ok(())
}

/// Every entry's path from the top of the crate, with its text, in the order of the names.
fn entries(folder: &Path) -> Result<Vec<(String, String)>, Box<dyn Error>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        println!("cargo::rerun-if-changed={}", path.display());
        if path.extension().is_some_and(|extension| extension == "toml") {
            let name = path.file_name().ok_or("a file without a name")?.to_string_lossy().into_owned();
            files.push((format!("remediations/{name}"), fs::read_to_string(&path)?));
        }
    }
    files.sort();
    Ok(files)
}
