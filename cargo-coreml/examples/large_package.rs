//! Writes the package of ten thousand operations and two gigabytes of weights that the tests use,
//! to measure commands on it: `cargo run -p cargo-coreml --example large_package -- FOLDER`. The
//! disk holds a few megabytes of it.

#![expect(clippy::unwrap_used, reason = "a tool for whoever changes this repository")]

#[path = "../tests/large/mod.rs"]
mod large;

/// Writes the package into the folder that the argument names.
fn main() {
    match std::env::args_os().nth(1) {
        Some(folder) => large::make(folder.as_ref()),
        None => eprintln!("usage: large_package FOLDER"),
    }
}
