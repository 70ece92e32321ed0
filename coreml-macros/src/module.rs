//! The attribute and the module below it.
//!
//! Owns: what the user may write, and adding the generated items to the user's module.
//! Flow: `lib.rs` → here → `load.rs` → `expand.rs`; on an error → `error.rs`.

use crate::error::Error;
use crate::expand::expand;
use crate::load::{Environment, load};
use proc_macro2::{Span, TokenStream};
use quote::quote;
use syn::spanned::Spanned;
use syn::{ItemMod, LitStr};

/// How the attribute is written, for messages.
const USAGE: &str = "#[coreml_rt::coreml_model(\"model.toml\")]\npub mod model {}";

/// Expands the attribute, also after an error.
pub(crate) fn expand_attribute(
    arguments: TokenStream,
    item: TokenStream,
    environment: &Environment,
) -> TokenStream {
    let Ok(module) = syn::parse2::<ItemMod>(item.clone()) else {
        let message =
            format!("#[coreml_model] stands on an empty module that it fills:\n\n{USAGE}");
        let error = Error::new(item.span(), message).to_compile_error();
        return quote!(#error #item);
    };
    let items = generate(arguments, &module, environment).unwrap_or_else(|error| error.to_stub());
    fill(&module, items)
}

/// Makes the items of the module.
fn generate(
    arguments: TokenStream,
    module: &ItemMod,
    environment: &Environment,
) -> Result<TokenStream, Error> {
    check_module(module)?;
    let manifest = parse_manifest(arguments)?;
    let manifest_name = manifest.value();
    let built = load(&manifest_name, environment).map_err(|missing| {
        Error::new(manifest.span(), missing.message).of_models(missing.models)
    })?;
    let names = || built.models.models.iter().map(|model| model.name.clone()).collect();
    expand(&manifest_name, &built)
        .map_err(|message| Error::new(manifest.span(), message).of_models(names()))
}

/// Checks that the module is inline and empty.
fn check_module(module: &ItemMod) -> Result<(), Error> {
    let name = &module.ident;
    let Some((_, items)) = &module.content else {
        let message = format!(
            "the module `{name}` under #[coreml_model] must be inline: write `mod {name} {{}}`"
        );
        return Err(Error::new(module.ident.span(), message));
    };
    match items.first() {
        None => Ok(()),
        Some(item) => {
            let message = format!(
                "the module `{name}` under #[coreml_model] must be empty, because the macro fills \
                 it: move its items beside it; an `impl {name}::Model {{ … }}` may stand anywhere \
                 in the crate"
            );
            Err(Error::new(item.span(), message))
        }
    }
}

/// Parses the arguments of the attribute: the manifest.
fn parse_manifest(arguments: TokenStream) -> Result<LitStr, Error> {
    let is_empty = arguments.is_empty();
    let span = if is_empty { Span::call_site() } else { arguments.span() };
    let manifest: LitStr = syn::parse2(arguments).map_err(|_| {
        let problem = if is_empty {
            "names no manifest"
        } else {
            "takes one string, the manifest as build.rs names it"
        };
        Error::new(span, format!("#[coreml_model] {problem}:\n\n{USAGE}"))
    })?;
    if manifest.value().is_empty() {
        return Err(Error::new(
            manifest.span(),
            format!("#[coreml_model] names no manifest:\n\n{USAGE}"),
        ));
    }
    Ok(manifest)
}

/// Adds `items` to the user's module.
///
/// It allows what the user cannot change: unused items, numbered labels (`Cat_2`), and public types
/// in a private module.
fn fill(module: &ItemMod, items: TokenStream) -> TokenStream {
    let ItemMod { attrs, vis, unsafety, mod_token, ident, .. } = module;
    let own_items = module.content.iter().flat_map(|(_, items)| items);
    let inner =
        attrs.iter().filter(|attribute| matches!(attribute.style, syn::AttrStyle::Inner(_)));
    let outer = attrs.iter().filter(|attribute| matches!(attribute.style, syn::AttrStyle::Outer));
    quote! {
        #(#outer)*
        #[allow(dead_code, non_camel_case_types, unreachable_pub)]
        #vis #unsafety #mod_token #ident {
            #(#inner)*
            #(#own_items)*
            #items
        }
    }
}
