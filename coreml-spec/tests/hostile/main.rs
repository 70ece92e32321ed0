//! Damaged and hostile packages: every one is an error or a sound package, never a panic.
//!
//! Owns: one module per kind of harm. Flow: each takes packages from `files.rs`, harms them, and
//! reads them in `reading.rs`.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod fields;
mod files;
mod folders;
mod nesting;
mod random;
mod reading;
