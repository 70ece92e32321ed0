//! Speech to text: Whisper's models, converted by `cargo build`, with everything around them in
//! Rust.
//!
//! Owns: the generated types. Must not: print.
//! Flow: `build.rs` converts the manifests → the attributes below generate their types →
//! `network.rs` puts one interface in front of them → `transcribe.rs` runs windows of sound through
//! them.

pub mod decode;
pub mod error;
pub mod log_mel;
pub mod network;
pub mod noise;
pub mod output;
pub mod recordings;
pub mod sound;
mod stitch;
pub mod transcribe;
pub mod vocabulary;

#[coreml_rt::coreml_model("whisper.toml")]
pub mod digits {}

#[coreml_rt::coreml_model("quantized.toml")]
pub mod quantized {}

#[cfg(feature = "tiny")]
#[coreml_rt::coreml_model("sizes/tiny.toml")]
pub mod tiny {}

#[cfg(feature = "base")]
#[coreml_rt::coreml_model("sizes/base.toml")]
pub mod base {}

#[cfg(feature = "small")]
#[coreml_rt::coreml_model("sizes/small.toml")]
pub mod small {}

#[cfg(feature = "medium")]
#[coreml_rt::coreml_model("sizes/medium.toml")]
pub mod medium {}

#[cfg(feature = "large")]
#[coreml_rt::coreml_model("sizes/large.toml")]
pub mod large {}

#[cfg(feature = "large-v3")]
#[coreml_rt::coreml_model("sizes/large-v3.toml")]
pub mod large_v3 {}
