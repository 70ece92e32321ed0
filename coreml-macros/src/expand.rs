//! From the index to code: a pure function.
//!
//! Owns: the order of the generated items. Must not: read anything except its argument [`Built`].
//! Flow: `module.rs` → here → one file for each kind of item. Generated code names only public
//! items of `coreml-rt` and its `private` module; logic belongs there, not into generated code.

mod asynchronous;
mod buckets;
mod classes;
mod docs;
mod enumerated;
mod feature_type;
mod features;
mod files;
mod fittings;
mod model;
mod names;
mod parity;
mod state;
mod support;

use crate::load::Built;
use names::{NamedModel, NamedPackage, Paths};
use proc_macro2::{Ident, TokenStream};
use quote::{format_ident, quote};

/// Generates the items of the module for `manifest`.
///
/// Errors: one message with everything in the models that has no Rust type yet.
pub(crate) fn expand(manifest: &str, built: &Built) -> Result<TokenStream, String> {
    let packages = names::packages(&built.models)?;
    support::check(manifest, &packages)?;
    let paths = Paths::new(manifest, built)?;

    let version = env!("CARGO_PKG_VERSION");
    let index_file = &paths.index_file;
    let about = docs::module(manifest, &packages);
    let items = if built.models.single {
        packages.iter().map(|package| package_items(package, &paths)).collect::<TokenStream>()
    } else {
        let modules = packages.iter().map(|package| {
            let about = match &package.functions[..] {
                [model] => docs::model_module(model),
                _ => docs::package_module(package),
            };
            let (name, items) = (&package.module, package_items(package, &paths));
            quote!(#[doc = #about] pub mod #name { #items })
        });
        let about = format!("All models of `{}`, loaded together.", docs::code(manifest));
        let fields = packages.iter().map(|package| match &package.functions[..] {
            [model] => (&package.module, format_ident!("Model"), docs::model_summary(model)),
            _ => (&package.module, format_ident!("Models"), docs::package_module(package)),
        });
        let all = loaded_together(manifest, &about, fields);
        quote!(#all #(#modules)*)
    };
    // The compiler looks at the index for changes because of `include_bytes!`; the bytes do not
    // reach the program.
    Ok(quote! {
        #![doc = #about]
        const _: () = ::coreml_rt::private::assert_same_version(#version);
        const _: &[u8] = ::core::include_bytes!(#index_file);
        #items
    })
}

/// Generates what one package has: a model, or a module for each of its functions.
fn package_items(package: &NamedPackage<'_>, paths: &Paths) -> TokenStream {
    if let [model] = &package.functions[..] {
        return model_items(model, paths);
    }
    let modules = package.functions.iter().map(|model| {
        let (name, about) = (&model.module, docs::model_module(model));
        let items = model_items(model, paths);
        quote!(#[doc = #about] pub mod #name { #items })
    });
    let about = "All functions of the package, loaded together.";
    let fields = package
        .functions
        .iter()
        .map(|model| (&model.module, format_ident!("Model"), docs::model_summary(model)));
    let all = loaded_together(&paths.manifest, about, fields);
    quote!(#all #(#modules)*)
}

/// Generates what one model has.
fn model_items(model: &NamedModel<'_>, paths: &Paths) -> TokenStream {
    let loading = if model.buckets.is_empty() {
        model::items(model, paths)
    } else {
        buckets::items(model, paths)
    };
    let asynchronous = asynchronous::items(model);
    let structs = features::items(model);
    let state = state::items(model);
    let label = classes::items(model);
    let files = files::items(model, paths);
    let fittings = fittings::items(model);
    let tests = parity::items(model, paths);
    quote!(#loading #asynchronous #structs #state #label #files #fittings #tests)
}

/// Generates the struct that holds and loads several models or functions.
///
/// Parameters: `name` — of the manifest, for errors; `fields` — the module of each, the type in it,
/// and its documentation.
fn loaded_together<'a>(
    name: &str,
    about: &str,
    fields: impl Iterator<Item = (&'a Ident, Ident, String)>,
) -> TokenStream {
    let (mut declared, mut loaded) = (TokenStream::new(), TokenStream::new());
    for (name, type_name, about) in fields {
        declared.extend(quote!(#[doc = #about] pub #name: #name::#type_name,));
        loaded.extend(quote!(#name: #name::#type_name::load_with(options)?,));
    }
    quote! {
        #[doc = #about]
        #[derive(Debug)]
        pub struct Models { #declared }

        impl Models {
            /// Finds and loads each model, with the options of the manifest.
            pub fn load() -> ::core::result::Result<Self, ::coreml_rt::Error> {
                Self::load_with(&::coreml_rt::LoadOptions::new())
            }

            /// Finds and loads each model. A path in `options` is the folder that holds all
            /// packages.
            pub fn load_with(
                options: &::coreml_rt::LoadOptions,
            ) -> ::core::result::Result<Self, ::coreml_rt::Error> {
                ::core::result::Result::Ok(Self { #loaded })
            }

            /// Finds and loads each model, one after the other, on a thread of their own.
            pub fn load_async(options: ::coreml_rt::LoadOptions) -> ::coreml_rt::Completion<Self> {
                ::coreml_rt::private::load_async(#name, move || Self::load_with(&options))
            }
        }
    }
}

#[cfg(test)]
#[path = "expand/tests.rs"]
mod tests;
