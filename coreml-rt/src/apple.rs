//! Core ML itself: the backend on Apple's systems.
//!
//! Owns: everything in the workspace that talks to Objective-C; nothing outside this folder may.
//! Must not: know typed tensors; it fills the slots of `slot.rs`.
//! Flow: `native.rs` → `backend.rs` → `loading.rs` → `compiled.rs` (compiles a package once) or
//! `asset.rs` (loads from memory), `configuration.rs`; `plan.rs` reads where operations would run.
//! At each prediction `features.rs` (inputs), `backing.rs` (outputs in place), `gate.rs` (one model
//! at a time), `asynchronous.rs` (handlers), `results.rs` (outputs) → `multi_array.rs` →
//! `strides.rs`, `pixel_buffer.rs`, `state.rs`. `frame.rs` holds frames of cameras and videos.
//! `failure.rs` turns everything that Core ML raises into a [`CoreMlError`].
//!
//! `compiled.rs`, `gate.rs`, `strides.rs` and the wording of the errors do not depend on Apple;
//! their tests run everywhere. The rest runs on Linux against a double of Core ML;
//! `docs/apple-verification.md` says what that proves.

#[cfg(target_vendor = "apple")]
mod asset;
#[cfg(target_vendor = "apple")]
mod asynchronous;
#[cfg(target_vendor = "apple")]
mod backend;
#[cfg(target_vendor = "apple")]
mod backing;
mod compiled;
#[cfg(target_vendor = "apple")]
mod configuration;
#[cfg_attr(
    not(target_vendor = "apple"),
    allow(dead_code, unreachable_pub, reason = "elsewhere only its wording is tested")
)]
mod failure;
#[cfg(target_vendor = "apple")]
mod features;
#[cfg(target_vendor = "apple")]
mod frame;
#[cfg_attr(not(target_vendor = "apple"), allow(dead_code, reason = "elsewhere only tested"))]
mod gate;
#[cfg(target_vendor = "apple")]
mod image_value;
#[cfg(target_vendor = "apple")]
mod loading;
#[cfg(target_vendor = "apple")]
mod multi_array;
#[cfg(target_vendor = "apple")]
mod pixel_buffer;
#[cfg(target_vendor = "apple")]
mod plan;
#[cfg(target_vendor = "apple")]
mod results;
#[cfg(target_vendor = "apple")]
mod state;
mod strides;

#[cfg(target_vendor = "apple")]
pub(crate) use backend::CoreMlBackend;
#[cfg(target_vendor = "apple")]
pub use failure::CoreMlError;
#[cfg(target_vendor = "apple")]
pub use frame::CVPixelBuffer;
#[cfg(target_vendor = "apple")]
pub(crate) use frame::Frame;
