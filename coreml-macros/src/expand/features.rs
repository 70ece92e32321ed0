//! `Input` and `Output` of a generated module.
//!
//! Owns: the field of each feature. Flow: called by `expand.rs` per model.

use super::docs;
use super::names::Model;
use coreml_spec::{DataType, Feature, FeatureKind};
use proc_macro2::{Literal, TokenStream};
use quote::quote;

/// Generates both structs.
pub(super) fn items(model: &Model<'_>) -> TokenStream {
    let name = docs::code(&model.indexed.name);
    let (about_input, about_output) = (format!("What `{name}` takes."), format!("What `{name}` gives."));
    let inputs = model.function.inputs.iter().zip(&model.inputs).map(|(feature, field)| {
        let about = docs::feature(model, "inputs", feature);
        let view = tensor(feature, &quote!(TensorView), &quote!('a,));
        let field_type = match feature.default {
            Some(_) => quote!(::core::option::Option<#view>),
            None => view,
        };
        quote!(#[doc = #about] pub #field: #field_type)
    });
    let outputs = model.function.outputs.iter().zip(&model.outputs).map(|(feature, field)| {
        let about = docs::feature(model, "outputs", feature);
        let (field_type, _) = output(feature);
        quote!(#[doc = #about] pub #field: #field_type)
    });
    let zeros = model.function.outputs.iter().zip(&model.outputs).map(|(feature, field)| {
        let (_, zero) = output(feature);
        quote!(#field: #zero)
    });
    quote! {
        #[doc = #about_input]
        #[derive(Clone, Copy, Debug)]
        pub struct Input<'a> { #(#inputs,)* }

        #[doc = #about_output]
        #[derive(Clone, Debug, PartialEq)]
        pub struct Output { #(#outputs,)* }

        impl Output {
            /// Returns an output of zeros, to predict into.
            pub fn zeros() -> Self {
                Self { #(#zeros,)* }
            }
        }

        impl ::core::default::Default for Output {
            fn default() -> Self {
                Self::zeros()
            }
        }
    }
}

/// Returns the type and the zero of an output.
fn output(feature: &Feature) -> (TokenStream, TokenStream) {
    match feature.kind {
        FeatureKind::StringLabel | FeatureKind::Int64Label => (quote!(Label), quote!(Label::ALL[0])),
        FeatureKind::Probabilities => {
            (quote!(::coreml_rt::Probabilities<Label>), quote!(::coreml_rt::Probabilities::zeros()))
        }
        FeatureKind::MultiArray { .. } | FeatureKind::Image { .. } => {
            (tensor(feature, &quote!(Tensor), &TokenStream::new()), quote!(::coreml_rt::Tensor::zeros()))
        }
    }
}

/// Returns the type of a tensor: `::coreml_rt::Tensor<f32, (::coreml_rt::Fixed<1usize>,)>`.
fn tensor(feature: &Feature, name: &TokenStream, lifetime: &TokenStream) -> TokenStream {
    // Whatever is not one of these was refused before: support.rs.
    let FeatureKind::MultiArray { data_type, shape } = &feature.kind else { return TokenStream::new() };
    let element = match data_type {
        DataType::Float16 => quote!(::coreml_rt::f16),
        DataType::Float64 => quote!(f64),
        DataType::Int32 => quote!(i32),
        DataType::Int8 => quote!(i8),
        _ => quote!(f32),
    };
    let dims = shape.default.iter().map(|&dim| Literal::usize_unsuffixed(dim));
    quote!(::coreml_rt::#name<#lifetime #element, (#(::coreml_rt::Fixed<#dims>,)*)>)
}
