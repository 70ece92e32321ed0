//! Builds of whole packages through [`coreml_build::Context`], without cargo.
//!
//! Owns: what must keep working from manifest to output folder. What concerns processes, the cache
//! and files runs with a stand-in for Python, a shell script; what concerns Python's behaviour runs
//! with the real one (`real.rs`).
//! Flow: `package.rs` makes packages, `stand_in.rs` interpreters; each other file is about one
//! thing that can happen.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking, its \
     tools too"
)]
#![cfg(unix)]

#[cfg(feature = "http")]
mod bazel;
mod companions;
mod damage;
mod embedding;
mod environment;
mod hits;
#[cfg(feature = "http")]
mod hostile;
mod kills;
mod lock;
#[cfg(target_os = "linux")]
mod lockless;
#[cfg(feature = "http")]
mod nginx;
mod package;
mod places;
mod process;
mod publishing;
mod ready;
mod real;
mod remote;
#[cfg(feature = "s3")]
mod s3;
#[cfg(feature = "http")]
mod server;
mod stand_in;
mod storage;
mod upkeep;
