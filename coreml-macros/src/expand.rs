//! From the index to code: a pure function.
//!
//! Owns: the order of the generated items. Must not: read anything; what it needs stands in [`Built`].
//! Flow: `module.rs` → here → one file per kind of item. Generated code names only public items of `coreml-rt` and its
//! `private` module; what can be library code there is not generated here.

mod classes;
mod docs;
mod enumerated;
mod features;
mod model;
mod names;
mod parity;
mod state;
mod support;

use crate::load::Built;
use names::{Model, Place};
use proc_macro2::TokenStream;
use quote::{format_ident, quote};

/// Generates the items of the module for `manifest`.
///
/// Called by: [`crate::module`].
/// Errors: what in the models has no types yet, all of it in one message.
pub(crate) fn expand(manifest: &str, built: &Built) -> Result<TokenStream, String> {
    let models = names::models(&built.models)?;
    support::check(manifest, &models)?;
    let place = Place::new(manifest, built)?;

    let version = env!("CARGO_PKG_VERSION");
    let index_file = &place.index_file;
    let about = docs::module(manifest, &models);
    let items = if built.models.single {
        models.iter().map(|model| model_items(model, &place)).collect::<TokenStream>()
    } else {
        let modules = models.iter().map(|model| {
            let (name, about) = (&model.module, docs::model_module(model));
            let items = model_items(model, &place);
            quote!(#[doc = #about] pub mod #name { #items })
        });
        let all = all_models(manifest, &models);
        quote!(#all #(#modules)*)
    };
    // The compiler looks at the index for changes because of `include_bytes!`; the bytes do not reach the program.
    Ok(quote! {
        #![doc = #about]
        const _: () = ::coreml_rt::private::assert_same_version(#version);
        const _: &[u8] = ::core::include_bytes!(#index_file);
        #items
    })
}

/// Generates what one model has.
fn model_items(model: &Model<'_>, place: &Place) -> TokenStream {
    let loading = model::items(model, place);
    let structs = features::items(model);
    let state = state::items(model);
    let label = classes::items(model);
    let tests = parity::items(model, place);
    quote!(#loading #structs #state #label #tests)
}

/// Generates the struct that holds and loads all models of a manifest with several.
fn all_models(manifest: &str, models: &[Model<'_>]) -> TokenStream {
    let about = format!("All models of `{}`, loaded together.", docs::code(manifest));
    let fields = models.iter().map(|model| {
        let (name, about) = (&model.module, docs::model_summary(model));
        quote!(#[doc = #about] pub #name: #name::Model)
    });
    let names: Vec<_> = models.iter().map(|model| &model.module).collect();
    let models = format_ident!("Models");
    quote! {
        #[doc = #about]
        #[derive(Debug)]
        pub struct #models { #(#fields,)* }

        impl #models {
            /// Finds and loads each model, with the options of the manifest.
            pub fn load() -> ::core::result::Result<Self, ::coreml_rt::Error> {
                Self::load_with(&::coreml_rt::LoadOptions::new())
            }

            /// Finds and loads each model. A path in `options` is the folder that holds all packages.
            pub fn load_with(options: &::coreml_rt::LoadOptions) -> ::core::result::Result<Self, ::coreml_rt::Error> {
                ::core::result::Result::Ok(Self { #(#names: #names::Model::load_with(options)?,)* })
            }
        }
    }
}

#[cfg(test)]
#[path = "expand/tests.rs"]
mod tests;
