//! `Input` and `Output` of a generated module.
//!
//! Owns: the field of each feature. Flow: called by `expand.rs` per model; `enumerated.rs` has the
//! types of inputs with several shapes.

use super::names::Model;
use super::{docs, enumerated};
use coreml_spec::{
    ColorSpace, DataType, Feature, FeatureKind, Flexibility, ImageSize, Shape, SizeRange,
};
use proc_macro2::{Literal, TokenStream};
use quote::quote;

/// Generates both structs.
pub(super) fn items(model: &Model<'_>) -> TokenStream {
    let name = docs::code(model.name);
    let (about_input, about_output) =
        (format!("What `{name}` takes."), format!("What `{name}` gives."));
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
        "Returns an output of zeros, to predict into. What is flexible has its smallest sizes, and \
        takes those of the \
         prediction."
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
    matches!(&feature.kind, FeatureKind::MultiArray { shape, .. } if shape.flexibility != Flexibility::Fixed)
}

/// Returns `::coreml_rt::TensorView<'a, f32, (::coreml_rt::Fixed<1>,)>`.
pub(super) fn tensor_view(data_type: DataType, shape: &Shape) -> TokenStream {
    let (element, dims) = (element(data_type), dims(shape));
    quote!(::coreml_rt::TensorView<'a, #element, #dims>)
}

/// Returns `::coreml_rt::Tensor<f32, (::coreml_rt::Fixed<1>,)>`.
pub(super) fn tensor(data_type: DataType, shape: &Shape) -> TokenStream {
    let (element, dims) = (element(data_type), dims(shape));
    quote!(::coreml_rt::Tensor<#element, #dims>)
}

/// Returns the Rust type of an element.
pub(super) fn element(data_type: DataType) -> TokenStream {
    match data_type {
        DataType::Float16 => quote!(::coreml_rt::f16),
        DataType::Float64 => quote!(f64),
        DataType::Int32 => quote!(i32),
        DataType::Int8 => quote!(i8),
        // Whatever is not one of these was refused before: support.rs.
        _ => quote!(f32),
    }
}

/// Returns a shape as a tuple of dimensions. Of an enumerated one, the span of each dimension.
pub(super) fn dims(shape: &Shape) -> TokenStream {
    let range = |min: usize, max: Option<usize>| dim(SizeRange { min, max });
    let dims: Vec<TokenStream> = match &shape.flexibility {
        Flexibility::Fixed => shape.default.iter().map(|&size| range(size, Some(size))).collect(),
        Flexibility::Ranges(ranges) => ranges.iter().map(|&range| dim(range)).collect(),
        Flexibility::Enumerated(shapes) => (0..shape.default.len())
            .map(|axis| {
                let sizes = || shapes.iter().filter_map(|shape| shape.get(axis).copied());
                range(sizes().min().unwrap_or(0), sizes().max())
            })
            .collect(),
    };
    quote!((#(#dims,)*))
}

/// Returns one dimension: `::coreml_rt::Fixed<1>` or `::coreml_rt::Range<1, 512>`.
fn dim(SizeRange { min, max }: SizeRange) -> TokenStream {
    let literal = Literal::usize_unsuffixed;
    let smallest = literal(min);
    match max {
        Some(max) if max == min => quote!(::coreml_rt::Fixed<#smallest>),
        Some(max) => {
            let largest = literal(max);
            quote!(::coreml_rt::Range<#smallest, #largest>)
        }
        // Another number on each system.
        None => quote!(::coreml_rt::Range<#smallest, { ::core::primitive::usize::MAX }>),
    }
}

/// Returns what stands between the angle brackets of an image: color, width, height.
fn image_arguments(size: &ImageSize, color_space: ColorSpace) -> TokenStream {
    let color = match color_space {
        ColorSpace::Grayscale => quote!(Grayscale),
        ColorSpace::GrayscaleFloat16 => quote!(GrayscaleFloat16),
        ColorSpace::Rgb | ColorSpace::Bgr => quote!(Rgb),
    };
    let span = |sides: Vec<usize>, default: usize| {
        let (min, max) = (sides.iter().min().copied(), sides.iter().max().copied());
        SizeRange { min: min.unwrap_or(default), max: Some(max.unwrap_or(default)) }
    };
    let (width, height) = size.ranges.unwrap_or_else(|| {
        let (widths, heights) = size.enumerated.iter().copied().unzip();
        (span(widths, size.width), span(heights, size.height))
    });
    let (width, height) = (dim(width), dim(height));
    quote!(::coreml_rt::#color, #width, #height)
}
