//! The catalogue: what is checked and what is done about it.

mod entry;

pub use entry::{Builtin, Check, Edit, Entry, Expect, Hazard, OBJECTS, Object, Remediation, Severity};
