//! `cargo coreml profile` where there is no Core ML.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![cfg(not(target_vendor = "apple"))]

#[allow(dead_code, reason = "not every test needs a package")]
mod command;

use command::{command, run};

#[test]
fn it_says_what_it_needs_and_what_works_here() {
    let (code, output, error) = run(command().args(["profile", "Net.mlpackage"]));
    assert_eq!((code, output.as_str()), (1, ""));
    assert!(error.contains("needs a Mac with macOS 14.4"), "{error}");
    assert!(error.contains("cargo coreml lint Net.mlpackage"), "{error}");
}
