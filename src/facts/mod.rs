//! Facts about a host: read through `&dyn Host`, judged elsewhere.

mod model;
#[cfg(test)]
pub(crate) mod testing;
pub mod workload;

pub use model::{
    Argument, Audit, AuditRule, Config, Daemon, Facts, FiledRule, Install, Known, Located, Names, Place, Running,
    Scope, Unit, Unknown, Version,
};
