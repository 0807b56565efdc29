//! The catalogue: what is checked and what is done about it.

mod entry;

pub use entry::{
    Branch, Builtin, Check, Edit, Entry, Expect, Hazard, OBJECTS, Object, Releases, Remediation, Severity, Support,
};
