//! Real hosts: fresh Debian machines with systemd, a real dockerd and, in the virtual one, a kernel's own audit.
//!
//! `tests/run` starts these; they need root and the images that `tests/lab/build` makes.
#![allow(clippy::disallowed_methods, reason = "tests start the lab's scripts and read local files")]

mod boots;
mod hosts;
mod hosts_advised;
mod hosts_compose;
mod hosts_config;
mod hosts_containers;
mod hosts_daemon;
mod hosts_faults;
mod hosts_flags;
mod hosts_fresh;
mod hosts_guided;
mod hosts_hazards;
mod hosts_hazards_files;
mod hosts_hazards_late;
mod hosts_hazards_start;
mod hosts_hazards_traffic;
mod hosts_hostile;
mod hosts_killed;
mod hosts_live;
mod hosts_misbehaves;
mod hosts_moves;
mod hosts_plans;
mod hosts_root;
mod hosts_rootless;
mod hosts_running;
mod hosts_signals;
mod hosts_stock;
mod hosts_swarm;
mod hosts_wild;
mod machine;
mod terminal;
mod vm_audit;
mod vm_auditd;
mod vm_exercise;
mod vm_look;
mod vm_power;
mod vm_power_table;
