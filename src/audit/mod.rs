//! Catalogue x facts x policy to findings. Pure.

mod finding;

pub use finding::{Applicability, Disruption, Finding, HazardFound, PendingOn, Verdict};
