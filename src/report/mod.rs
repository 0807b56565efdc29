//! What was found and done, as one value each, and their renderings. Nothing here decides or writes.

pub mod hazards;
pub mod json;
pub mod mask;
mod model;
pub mod plan_text;
pub mod text;

pub use model::{
    AuditReport, Count, DiffPart, Envelope, HistoryRun, HostLine, Rest, RunReport, SCHEMA, Summary, audit_exit, number,
    plan_exit, plural,
};

#[cfg(test)]
pub(crate) mod samples;
