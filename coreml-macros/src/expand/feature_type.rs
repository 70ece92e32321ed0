//! The Rust types of tensors and images.
//!
//! Owns: how a shape, an element type and an image are written as types of `coreml-rt`.
//! Flow: `features.rs`, `enumerated.rs` and `state.rs` → here.

use coreml_spec::{ColorSpace, DataType, Flexibility, ImageSize, Shape, SizeRange};
use proc_macro2::{Literal, TokenStream};
use quote::quote;

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

/// Returns the type arguments of an image: color, width, height.
pub(super) fn image_arguments(size: &ImageSize, color_space: ColorSpace) -> TokenStream {
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
