//! The `State` of a generated module.
//!
//! Owns: the struct, and the typed access to each state. Must not: hold tensors;
//! `coreml_rt::private::State` does.
//! Flow: `expand.rs` → here, for each model.

use super::names::NamedModel;
use super::{docs, feature_type};
use coreml_spec::FeatureKind;
use proc_macro2::{Literal, TokenStream};
use quote::{format_ident, quote};

/// Generates the struct, or nothing when the model has no states.
pub(super) fn items(model: &NamedModel<'_>) -> TokenStream {
    if model.function.states.is_empty() {
        return TokenStream::new();
    }
    let about = format!(
        "The states of `{}` in one sequence of predictions; zero at first.\n\
         \n\
         Made by [`Model::new_state`].",
        docs::code(model.name)
    );
    let accesses = model.function.states.iter().zip(&model.states).enumerate().map(
        |(at, (feature, getter))| {
            // `support.rs` has refused everything that is not a tensor.
            let FeatureKind::MultiArray { data_type, shape } = &feature.kind else {
                return TokenStream::new();
            };
            let (setter, index) = (format_ident!("set_{getter}"), Literal::usize_unsuffixed(at));
            let (element, dims, tensor) = (
                feature_type::element(*data_type),
                feature_type::dims(shape),
                feature_type::tensor(*data_type, shape),
            );
            let what = docs::feature(model, "states", feature);
            let (about_get, about_set) =
                (format!("Copies the state {what}"), format!("Replaces the state {what}"));
            quote! {
                #[doc = #about_get]
                pub fn #getter(&self) -> ::core::result::Result<#tensor, ::coreml_rt::Error> {
                    self.0.get(#index)
                }

                #[doc = #about_set]
                pub fn #setter(
                    &mut self,
                    value: ::coreml_rt::TensorView<'_, #element, #dims>,
                ) -> ::core::result::Result<(), ::coreml_rt::Error> {
                    self.0.set(#index, value)
                }
            }
        },
    );
    quote! {
        #[doc = #about]
        #[derive(Debug)]
        pub struct State(::coreml_rt::private::State);

        impl State { #(#accesses)* }
    }
}
