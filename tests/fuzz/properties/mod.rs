//! What has to hold for any input: one file a target, used by the fuzzer and, on the seeds, by `cargo test`.
//!
//! Inputs are text wherever text reaches deep, so that a seed can be read and written by hand: parts are separated by
//! a line `%%`. Everything goes through the library's public interface.

#![allow(clippy::missing_panics_doc, reason = "a property that does not hold panics: that is what they are for")]

pub mod compose;
pub mod config;
pub mod daemon_edits;
pub mod daemon_json;
pub mod diff;
pub mod drop_in;
pub mod environment;
pub mod facts;
pub mod flags;
pub mod journal;
pub mod plan;
pub mod rules;
pub mod steps;
pub mod units;
pub mod waivers;

mod json;
mod patch;
#[allow(dead_code, reason = "the tests of apply use more of it")]
#[path = "../../support/mod.rs"]
mod support;

/// A property, given an input of the fuzzer.
pub type Property = fn(&[u8]);

/// Every target by its name.
pub const ALL: &[(&str, Property)] = &[
    ("compose", compose::check),
    ("config", config::check),
    ("daemon_edits", daemon_edits::check),
    ("daemon_json", daemon_json::check),
    ("diff", diff::check),
    ("drop_in", drop_in::check),
    ("environment", environment::check),
    ("facts", facts::check),
    ("flags", flags::check),
    ("journal", journal::check),
    ("plan", plan::check),
    ("rules", rules::check),
    ("steps", steps::check),
    ("units", units::check),
    ("waivers", waivers::check),
];

/// The parts of an input: at most `N`, missing ones are empty. `None`: it is not text.
fn parts<const N: usize>(data: &[u8]) -> Option<[&str; N]> {
    let mut parts = [""; N];
    for (part, text) in parts.iter_mut().zip(std::str::from_utf8(data).ok()?.splitn(N, "\n%%\n")) {
        *part = text;
    }
    Some(parts)
}

/// Bytes that two texts share at their start and, apart from those, at their end.
fn shared(a: &str, b: &str) -> (usize, usize) {
    let (a, b) = (a.as_bytes(), b.as_bytes());
    let head = a.iter().zip(b).take_while(|(x, y)| x == y).count();
    let tail = a[head..].iter().rev().zip(b[head..].iter().rev()).take_while(|(x, y)| x == y).count();
    (head, tail)
}

/// Whether a text's line ends are all `\r\n`, all `\n`, or mixed (`None`).
fn line_ends(text: &str) -> Option<&'static str> {
    let (all, windows) = (text.matches('\n').count(), text.matches("\r\n").count());
    let bare = text.matches('\r').count() - windows;
    match (all, windows) {
        _ if bare > 0 => None,
        (all, 0) if all > 0 => Some("\n"),
        (all, windows) if all == windows && all > 0 => Some("\r\n"),
        _ => None,
    }
}

/// Line ends that were all alike stay alike.
fn keeps_line_ends(old: &str, new: &str) {
    if let Some(end) = line_ends(old).filter(|_| new.contains(['\r', '\n'])) {
        assert_eq!(line_ends(new), Some(end), "line ends of {old:?} became those of {new:?}");
    }
}
