//! Parses the command line, dispatches, and maps the outcome to an exit code.

fn main() {}
