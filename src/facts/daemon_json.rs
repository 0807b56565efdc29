//! Reads daemon.json: a gate as strict as dockerd's reader, and stricter where dockerd guesses.
//!
//! Two readers, because neither alone is strict enough: `serde_json` refuses everything that Go's reader refuses,
//! and `jsonc-parser` shows what both let through (duplicate keys) and where each value stands.

use std::fmt;

use jsonc_parser::ast;
use jsonc_parser::common::Ranged;
use jsonc_parser::{CollectOptions, ParseOptions};
use serde_json::{Map, Value};

/// Some editors put it in front; dockerd since 23.0 skips it, and so it stays where it is.
const BOM: &str = "\u{feff}";

/// What JSON takes for blanks.
pub(crate) const BLANKS: [char; 4] = [' ', '\t', '\r', '\n'];

/// The keys that dockerd reads. It compares exact names when it looks for keys that it does not know, and one of
/// those stops it.
pub const KEYS: &[&str] = &[
    "allow-direct-routing",
    "allow-nondistributable-artifacts",
    "api-cors-header",
    "authorization-plugins",
    "bip",
    "bip6",
    "bridge",
    "bridge-accept-fwmark",
    "builder",
    "cgroup-parent",
    "cluster-advertise",
    "cluster-store",
    "cluster-store-opts",
    "containerd",
    "containerd-namespace",
    "containerd-plugins-namespace",
    "cpu-rt-period",
    "cpu-rt-runtime",
    "data-root",
    "debug",
    "default-address-pools",
    "default-cgroupns-mode",
    "default-gateway",
    "default-gateway-v6",
    "default-ipc-mode",
    "default-network-opts",
    "default-runtime",
    "default-shm-size",
    "default-stop-timeout",
    "default-ulimits",
    "dns",
    "dns-opts",
    "dns-search",
    "exec-opts",
    "exec-root",
    "experimental",
    "features",
    "firewall-backend",
    "fixed-cidr",
    "fixed-cidr-v6",
    "graph",
    "group",
    "host-gateway-ip",
    "host-gateway-ips",
    "hosts",
    "http-proxy",
    "https-proxy",
    "icc",
    "init",
    "init-path",
    "insecure-registries",
    "ip",
    "ip-forward",
    "ip-forward-no-drop",
    "ip-masq",
    "ip6tables",
    "iptables",
    "ipv6",
    "labels",
    "live-restore",
    "log-driver",
    "log-format",
    "log-level",
    "log-opts",
    "max-concurrent-downloads",
    "max-concurrent-uploads",
    "max-download-attempts",
    "metrics-addr",
    "mtu",
    "network-control-plane-mtu",
    "network-diagnostic-port",
    "no-new-privileges",
    "no-proxy",
    "node-generic-resources",
    "nri-opts",
    "oom-score-adjust",
    "pidfile",
    "proxies",
    "raw-logs",
    "registry-mirrors",
    "rootless",
    "runtimes",
    "seccomp-profile",
    "selinux-enabled",
    "shutdown-timeout",
    "storage-driver",
    "storage-opts",
    "swarm-default-advertise-addr",
    "tls",
    "tlscacert",
    "tlscert",
    "tlskey",
    "tlsverify",
    "userland-proxy",
    "userland-proxy-path",
    "userns-remap",
];

/// Why a daemon.json is not read, and so not edited.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadError {
    /// Line, from 1; 0 for an edit that did not come out as intended (a bug, not a fault of the file).
    pub line: usize,
    /// Column in characters, from 1, a byte order mark not counted.
    pub column: usize,
    /// What is wrong, without the position.
    pub message: String,
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}: {}", self.line, self.column, self.message)
    }
}

impl std::error::Error for ReadError {}

/// Reads daemon.json as the strictest engine would.
///
/// An empty or blank text is `{}`, a byte order mark is skipped.
///
/// # Errors
/// Anything that dockerd refuses, and what it would read in silence but not as it is written: keys that are there
/// twice (it takes the last), and known keys in the wrong case.
pub fn read(text: &str) -> Result<Map<String, Value>, ReadError> {
    let body = body(text);
    if is_blank(body) {
        return Ok(Map::new());
    }
    let value: Value = serde_json::from_str(body).map_err(|error| from_serde(body, &error))?;
    let Value::Object(map) = value else {
        return Err(at(body, leading_blanks(body), format!("holds {}, not an object", kind(&value))));
    };
    let object = parse(body)?;
    no_duplicates(body, &object)?;
    no_wrong_case(body, &object)?;
    Ok(map)
}

/// The line of a top-level key, from 1. `None`: no such key, or a text that cannot be read.
pub fn line_of(text: &str, key: &str) -> Option<usize> {
    let body = body(text);
    let object = parse(body).ok()?;
    let property = object.properties.iter().find(|property| property.name.as_str() == key)?;
    Some(position(body, property.name.range().start).0)
}

pub(crate) fn body(text: &str) -> &str {
    text.strip_prefix(BOM).unwrap_or(text)
}

pub(crate) fn is_blank(body: &str) -> bool {
    body.trim_start_matches(BLANKS).is_empty()
}

fn leading_blanks(body: &str) -> usize {
    body.len() - body.trim_start_matches(BLANKS).len()
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

/// The root object with the byte range of everything in it. All leniencies of the parser are off.
pub(crate) fn parse(body: &str) -> Result<ast::Object<'_>, ReadError> {
    let options = ParseOptions {
        allow_comments: false,
        allow_loose_object_property_names: false,
        allow_trailing_commas: false,
        allow_missing_commas: false,
        allow_single_quoted_strings: false,
        allow_hexadecimal_numbers: false,
        allow_unary_plus_numbers: false,
        allow_bare_decimal_point_numbers: false,
        allow_non_finite_numbers: false,
        allow_extended_string_escapes: false,
    };
    let parsed = jsonc_parser::parse_to_ast(body, &CollectOptions::default(), &options)
        .map_err(|error| at(body, error.range().start, error.kind().to_string()))?;
    match parsed.value {
        Some(ast::Value::Object(object)) => Ok(object),
        _ => Err(at(body, 0, "holds no object".into())),
    }
}

/// Go compares keys without case and takes the last one, other readers the first: nobody can say what is meant.
fn no_duplicates(body: &str, object: &ast::Object<'_>) -> Result<(), ReadError> {
    for (i, property) in object.properties.iter().enumerate() {
        let name = property.name.as_str();
        let first = object.properties[..i].iter().find(|other| other.name.as_str().eq_ignore_ascii_case(name));
        if let Some(first) = first {
            let line = position(body, first.name.range().start).0;
            let message = format!("key `{name}` is there twice, first in line {line}");
            return Err(at(body, property.name.range().start, message));
        }
        no_duplicates_in(body, &property.value)?;
    }
    Ok(())
}

fn no_duplicates_in(body: &str, value: &ast::Value<'_>) -> Result<(), ReadError> {
    match value {
        ast::Value::Object(object) => no_duplicates(body, object),
        ast::Value::Array(array) => array.elements.iter().try_for_each(|element| no_duplicates_in(body, element)),
        _ => Ok(()),
    }
}

fn no_wrong_case(body: &str, object: &ast::Object<'_>) -> Result<(), ReadError> {
    for property in &object.properties {
        let name = property.name.as_str();
        if let Some(known) = KEYS.iter().find(|key| key.eq_ignore_ascii_case(name) && **key != name) {
            let message = format!("key `{name}` is not known to dockerd, which reads `{known}`");
            return Err(at(body, property.name.range().start, message));
        }
    }
    Ok(())
}

/// Line and column, from 1, of a byte offset. The columns count characters.
fn position(body: &str, offset: usize) -> (usize, usize) {
    let before = &body.as_bytes()[..offset.min(body.len())];
    let line_start = before.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    let line = before.split(|byte| *byte == b'\n').count();
    (line, String::from_utf8_lossy(&before[line_start..]).chars().count() + 1)
}

pub(crate) fn at(body: &str, offset: usize, message: String) -> ReadError {
    let (line, column) = position(body, offset);
    ReadError { line, column, message }
}

/// `serde_json` counts columns in bytes and puts the position behind its message.
fn from_serde(body: &str, error: &serde_json::Error) -> ReadError {
    let line_start: usize = body.split_inclusive('\n').take(error.line().saturating_sub(1)).map(str::len).sum();
    let text = error.to_string();
    let message = text.split(" at line ").next().unwrap_or(&text);
    let message = match message {
        "trailing characters" => "something follows the first value; dockerd reads one object only",
        // Go writes a replacement character instead, silently: what was meant cannot be kept.
        "unexpected end of hex escape" | "lone leading surrogate in hex escape" => "half a surrogate pair in an escape",
        other => other,
    };
    at(body, line_start + error.column().saturating_sub(1), message.to_owned())
}
