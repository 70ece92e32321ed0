//! The `#[coreml_model]` attribute: typed Rust for the models of a manifest.
//!
//! Owns: the door. Must not: run anything, parse packages, or read more than one file.
//! Flow: `load.rs` reads the index that the build script left, `expand.rs` turns it into code
//! (pure), `error.rs` keeps a failure from causing others. Re-exported as
//! `coreml_rt::coreml_model`, which is how to use it.

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
/// The manifest is named as in `build.rs`, where `coreml_build::compile("digits.toml")` converts
/// its models.
///
/// - A manifest with a single `[model]` gives `Model`, `Input`, `Output` and, for a classifier,
///   `Label`.
/// - A manifest with `[models.NAME]` gives a module with these for each, and `Models`, which holds
///   and loads them all.
/// - Where the conversion kept samples, `cargo test` compares each model with PyTorch.
///
/// The module keeps its visibility, attributes and documentation. It must be empty: what belongs to
/// the models can stand beside the module, `impl` blocks included.
///
/// When the models could not be built, the message of the build stands at the attribute. The module
/// then holds stand-ins that let every use of `Model`, `Models`, `Input`, `Output` and `Label`
/// pass, so that one mistake is one error. What they cannot stand in for, and what then is an error
/// of its own: an `impl` block for a generated type, and the module of one of several models while
/// the manifest cannot be read far enough to know its name.
#[proc_macro_attribute]
pub fn coreml_model(arguments: TokenStream, item: TokenStream) -> TokenStream {
    let environment = load::Environment::of_process();
    module::expand_attribute(arguments.into(), item.into(), &environment).into()
}
