//! The catalogue: what is checked and what is done about it.

pub mod benchmark;
mod entry;
pub mod explain;
mod load;
mod rule;
mod rule_words;
mod select;
mod stock_words;
pub mod validate;
pub mod words;

#[cfg(test)]
mod tests;

pub use benchmark::Benchmark;
pub use entry::{
    Branch, Builtin, Check, Edit, Entry, Expect, Hazard, OBJECTS, Object, Releases, Remediation, Severity, Support,
};
pub use load::Catalog;
pub use rule::{
    Capability, ComposeEdit, ContainerRule, ContainerSetting, ImageRule, Namespace, Stopped, SwarmRule, SwarmSetting,
};
pub use select::{Selected, Selection, find, resolve, select};
