//! x
/// d
#[coreml_rt::coreml_model("whisper.toml")]
pub mod digits {}
/// t
#[cfg(feature = "tiny")]
#[coreml_rt::coreml_model("sizes/tiny.toml")]
pub mod tiny {}
