//! Generated code triggers no lint: the only error is about the function at the end.
#![deny(
    deprecated_safe,
    elided_lifetimes_in_paths,
    future_incompatible,
    let_underscore,
    missing_copy_implementations,
    missing_debug_implementations,
    missing_docs,
    nonstandard_style,
    rust_2018_idioms,
    single_use_lifetimes,
    trivial_casts,
    trivial_numeric_casts,
    unreachable_pub,
    unsafe_code,
    unused,
    unused_qualifications,
    warnings
)]

#[coreml_rt::coreml_model("pets.toml")]
pub mod pets {}

#[coreml_rt::coreml_model("embedded.toml")]
pub mod embedded {}

#[coreml_rt::coreml_model("everything.toml")]
pub mod everything {}

#[coreml_rt::coreml_model("functions.toml")]
pub mod functions {}

/// Documented by its author.
#[coreml_rt::coreml_model("drawing.toml")]
mod drawing {}

pub fn undocumented() {}

fn main() {
    drop((pets::Model::load(), drawing::Models::load(), embedded::Label::ALL));
}
