//! Validates the catalogue and embeds it.

fn main() {}
