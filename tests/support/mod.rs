//! What the tests share.

pub(crate) mod fake_answers;
pub(crate) mod fake_changes;
pub(crate) mod fake_compose;
pub(crate) mod fake_disk;
pub(crate) mod fake_docker;
pub(crate) mod fake_faults;
pub(crate) mod fake_host;
pub(crate) mod fake_systemd;
pub(crate) mod fake_updates;
pub(crate) mod world;
