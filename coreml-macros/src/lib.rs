//! The `#[coreml_model]` attribute: typed Rust for the models of a manifest.
//!
//! Owns: the attribute's entry point. Must not: run anything, parse packages, or read more than the
//! index; for a message also `build.rs`.
//! Flow: `load.rs` reads the index that this run of the build script left, `expand.rs` turns it
//! into code (pure), `error.rs` prevents one failure from causing others. Use it as
//! `coreml_rt::coreml_model`.

mod error;
mod expand;
mod load;
mod module;

use proc_macro::TokenStream;

/// Fills an empty module with the types of the models of a manifest.
///
/// ```ignore
/// #[coreml_rt::coreml_model("digits.toml")]
/// pub mod digits {}
/// ```
///
/// Name the manifest as in `build.rs`, where `coreml_build::compile("digits.toml")` converts its
/// models.
///
/// - A manifest with a single `[model]` generates `Model`, `Input`, `Output` and, for a classifier,
///   `Label`.
/// - A manifest with `[models.NAME]` generates a module with these for each model, and `Models`,
///   which holds and loads all of them.
/// - If the conversion kept samples, `cargo test` compares each model with PyTorch.
///
/// The module keeps its visibility, attributes and documentation. It must be empty: put your own
/// items, `impl` blocks included, beside the module.
///
/// If the models could not be built, the compiler shows the message of the build at the attribute.
/// The module then holds stand-ins for `Model`, `Models`, `Input`, `Output` and `Label` that allow
/// every use, so that one mistake is one error. Two things still are errors of their own: an `impl`
/// block for a generated type, and the module of one of several models while the manifest is too
/// damaged to know its name.
#[proc_macro_attribute]
pub fn coreml_model(arguments: TokenStream, item: TokenStream) -> TokenStream {
    let environment = load::Environment::of_process();
    module::expand_attribute(arguments.into(), item.into(), &environment).into()
}
