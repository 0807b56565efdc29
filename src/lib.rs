//! seaworthy audits a Docker host, shows each fix as a diff, applies what is approved, and can take all of it back.
//!
//! ```text
//! facts -> audit -> plan -> approve -> apply -> report
//! ```
//!
//! Each arrow is one function. Everything before `apply` gets a read-only host and cannot write by type.

pub mod apply;
pub mod approve;
pub mod audit;
pub mod catalog;
pub mod cli;
pub mod command;
pub mod compose;
pub mod error;
pub mod facts;
pub mod host;
pub mod mode;
pub mod plan;
pub mod policy;
pub mod report;
pub mod secret;
pub mod text;
pub mod threads;
pub mod time;
pub mod ui;
