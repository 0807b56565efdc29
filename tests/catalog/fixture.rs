//! The form of a fixture: scenarios of one check, each a recorded host with something laid over it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use seaworthy::audit::{Applicability, PendingOn, Verdict};
use seaworthy::catalog::Severity;
use serde::Deserialize;
use serde_json::Value;
use toml_edit::DocumentMut;

use crate::Checked;

/// One file of `fixtures/`.
pub(crate) struct Fixture {
    /// As the remediation's file, without ending.
    pub(crate) name: String,
    path: PathBuf,
    pub(crate) scenarios: Vec<Scenario>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    scenario: Vec<Scenario>,
}

/// One host, and what becomes of the check on it.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct Scenario {
    pub(crate) name: String,
    /// A file of `fixtures/hosts`.
    #[serde(default = "debian_12")]
    pub(crate) host: String,
    /// The verdict on the worst subject.
    pub(crate) expect: Verdict,
    /// What it waits for, when pending.
    pub(crate) pending_on: Option<PendingOn>,
    #[serde(default, flatten)]
    pub(crate) over: Over,
    /// How much it matters on the worst subject.
    pub(crate) severity: Option<Severity>,
    /// Whether it would be fixed without a question.
    pub(crate) applicability: Option<Applicability>,
    /// Hazards that are found, in the catalogue's words.
    pub(crate) hazards: Option<Vec<String>>,
    /// The check is named with `--accept`.
    #[serde(default)]
    pub(crate) accept: bool,
    /// What the finding waits for once it is fixed; absent: it passes.
    pub(crate) after: Option<PendingOn>,
    /// The way back hurts as well and has to be forced.
    #[serde(default)]
    pub(crate) rollback_force: bool,
    /// The host cannot be brought back: what it was would not start.
    #[serde(default)]
    pub(crate) rollback_fails: bool,
    /// The plan with this check alone.
    #[serde(default)]
    pub(crate) diff: String,
}

/// What is laid over the recorded host.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub(crate) struct Over {
    pub(crate) files: BTreeMap<String, File>,
    /// Properties of `systemctl show`, by unit.
    pub(crate) units: BTreeMap<String, BTreeMap<String, String>>,
    /// Put over the Engine's answers, by path.
    pub(crate) engine: BTreeMap<String, Value>,
    /// What programs print; `false`: not installed.
    pub(crate) answers: BTreeMap<String, Value>,
    /// `auditctl -l`.
    pub(crate) kernel_rules: Option<Vec<String>>,
    /// `enabled` of `auditctl -s`.
    pub(crate) audit_enabled: Option<u32>,
    pub(crate) euid: Option<u32>,
    /// Only these of the recorded containers.
    pub(crate) containers: Option<Vec<String>>,
    /// `stopped`: docker.service does not run.
    pub(crate) daemon: Option<String>,
    /// The files came after the daemon had started.
    pub(crate) written_later: bool,
    /// Listed members of the group docker.
    pub(crate) docker_group: Option<Vec<String>>,
    /// Text of the site's config.
    pub(crate) config: Option<String>,
}

/// One path of an overlay. What is not said stays as recorded.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub(crate) struct File {
    pub(crate) text: Option<String>,
    /// Octal text.
    pub(crate) mode: Option<String>,
    /// User and group id.
    pub(crate) owner: Option<(u32, u32)>,
    pub(crate) dir: bool,
    pub(crate) symlink: Option<String>,
    /// Hard links.
    pub(crate) links: Option<u64>,
    /// `major:minor` of the device.
    pub(crate) dev: Option<String>,
    pub(crate) absent: bool,
}

fn debian_12() -> String {
    "debian-12".into()
}

pub(crate) fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures")
}

/// Reads every fixture.
pub(crate) fn read_all() -> Checked<Vec<Fixture>> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(folder()).map_err(|e| e.to_string())?.flatten() {
        let path = entry.path();
        if path.extension().is_none_or(|ending| ending != "toml") {
            continue;
        }
        let text = std::fs::read_to_string(&path).map_err(|e| e.to_string())?;
        let document: Document =
            toml_edit::de::from_str(&text).map_err(|error| format!("{}: {error}", path.display()))?;
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        all.push(Fixture { name, path, scenarios: document.scenario });
    }
    all.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(all)
}

/// Writes a computed plan into its scenario; everything else in the file stays.
pub(crate) fn write_diff(fixture: &Fixture, at: usize, document: &str) {
    let text = std::fs::read_to_string(&fixture.path).expect("it was read before");
    let mut parsed: DocumentMut = text.parse().expect("it was parsed before");
    let table = parsed["scenario"].as_array_of_tables_mut().and_then(|all| all.get_mut(at)).expect("it was there");
    if document.is_empty() {
        table.remove("diff");
    } else {
        table["diff"] = toml_edit::value(document);
    }
    std::fs::write(&fixture.path, parsed.to_string()).expect("the fixture can be written");
}
