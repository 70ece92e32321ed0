//! Errors in the user's code.
//!
//! Owns: [`Error`], its location, and the stub that replaces the types.
//! Flow: `module.rs` makes one; the compiler shows it.

use coreml_spec::rust_identifiers;
use proc_macro2::{Span, TokenStream};
use quote::{quote, quote_spanned};

/// An error at a place in the user's code.
#[derive(Debug)]
pub(crate) struct Error {
    /// What the compiler underlines.
    span: Span,
    /// What, where and what to do.
    message: String,
    /// The manifest's names of several models, as far as they are known.
    models: Vec<String>,
}

impl Error {
    /// Makes an error.
    pub(crate) fn new(span: Span, message: impl Into<String>) -> Self {
        Self { span, message: message.into(), models: Vec::new() }
    }

    /// Adds the names of the models that are missing because of the error.
    pub(crate) fn of_models(self, models: Vec<String>) -> Self {
        Self { models, ..self }
    }

    /// Returns the tokens that make the compiler show the error: an item or an expression.
    pub(crate) fn to_compile_error(&self) -> TokenStream {
        let message = &self.message;
        quote_spanned!(self.span=> ::core::compile_error! { #message })
    }

    /// Returns the error together with stand-ins for the types that are missing because of it.
    ///
    /// The real types are unknown here, and every use of them would be another error. An array
    /// whose length is an error has no type that the compiler could complain about, and the same
    /// holds for what it dereferences to: calls, fields, variants and struct literals of the
    /// stand-ins all pass. Only `impl` blocks for them, and modules of models with unknown names,
    /// still are errors.
    pub(crate) fn to_stub(&self) -> TokenStream {
        let error = self.to_compile_error();
        let types = quote! {
            pub type Input<'a> = <&'a Model as ::core::ops::Deref>::Target;
            pub type Output = Model;
            pub type Label = Model;
        };
        let modules = rust_identifiers(self.models.iter().map(String::as_str));
        let modules = modules.iter().map(|name| {
            let name = syn::Ident::new(name, Span::call_site());
            quote!(pub mod #name { pub type Model = super::Model; #types })
        });
        quote! {
            pub type Model = <[(); #error] as ::core::ops::Deref>::Target;
            pub type Models = Model;
            #types
            #(#modules)*
        }
    }
}
