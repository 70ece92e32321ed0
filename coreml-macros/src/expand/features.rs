//! `Input` and `Output` of a generated module.
//!
//! Owns: the field of each feature.
//! Flow: `expand.rs` → here, for each model; `enumerated.rs` generates the types of inputs with
//! several shapes, `feature_type.rs` all others.

use super::feature_type::{image_arguments, tensor, tensor_view};
use super::names::NamedModel;
use super::{docs, enumerated};
use coreml_spec::{Feature, FeatureKind, Flexibility};
use proc_macro2::TokenStream;
use quote::quote;

/// Generates both structs.
pub(super) fn items(model: &NamedModel<'_>) -> TokenStream {
    let name = docs::code(model.name);
    let (about_input, about_output) =
        (format!("The inputs of `{name}`."), format!("The outputs of `{name}`."));
    let inputs = model.function.inputs.iter().zip(&model.inputs).map(|(feature, field)| {
        let about = docs::feature(model, "inputs", feature);
        let view = match enumerated::type_name(model, feature) {
            Some(name) => quote!(#name<'a>),
            None => input(feature),
        };
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
    let about_zeros = if model.function.outputs.iter().any(is_flexible) {
        "Returns an output of zeros, to predict into. Flexible dimensions have their smallest \
         sizes until a prediction changes them."
    } else {
        "Returns an output of zeros, to predict into."
    };
    let enumerated = enumerated::items(model);
    quote! {
        #[doc = #about_input]
        #[derive(Clone, Copy, Debug)]
        pub struct Input<'a> { #(#inputs,)* }

        #[doc = #about_output]
        #[derive(Clone, Debug, PartialEq)]
        pub struct Output { #(#outputs,)* }

        impl Output {
            #[doc = #about_zeros]
            pub fn zeros() -> Self {
                Self { #(#zeros,)* }
            }
        }

        impl ::core::default::Default for Output {
            fn default() -> Self {
                Self::zeros()
            }
        }

        #enumerated
    }
}

/// Returns the type of an input of one shape.
fn input(feature: &Feature) -> TokenStream {
    match &feature.kind {
        FeatureKind::MultiArray { data_type, shape } => tensor_view(*data_type, shape),
        FeatureKind::Image { size, color_space } => {
            let image = image_arguments(size, *color_space);
            quote!(::coreml_rt::ImageView<'a, #image>)
        }
        // Refused before: support.rs.
        FeatureKind::StringLabel | FeatureKind::Int64Label | FeatureKind::Probabilities => {
            TokenStream::new()
        }
    }
}

/// Returns the type and the zero of an output.
fn output(feature: &Feature) -> (TokenStream, TokenStream) {
    match &feature.kind {
        FeatureKind::StringLabel | FeatureKind::Int64Label => {
            (quote!(Label), quote!(Label::ALL[0]))
        }
        FeatureKind::Probabilities => {
            (quote!(::coreml_rt::Probabilities<Label>), quote!(::coreml_rt::Probabilities::zeros()))
        }
        FeatureKind::MultiArray { data_type, shape } => {
            let zero = if is_flexible(feature) { quote!(smallest) } else { quote!(zeros) };
            (tensor(*data_type, shape), quote!(::coreml_rt::Tensor::#zero()))
        }
        FeatureKind::Image { size, color_space } => {
            let image = image_arguments(size, *color_space);
            (quote!(::coreml_rt::Image<#image>), quote!(::coreml_rt::Image::black()))
        }
    }
}

/// Returns whether the sizes of a tensor vary.
fn is_flexible(feature: &Feature) -> bool {
    match &feature.kind {
        FeatureKind::MultiArray { shape, .. } => shape.flexibility != Flexibility::Fixed,
        _ => false,
    }
}
