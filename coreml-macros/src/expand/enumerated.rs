//! The enum of an input with several shapes: each variant has a tensor with one shape in its type.
//!
//! Owns: its name, its variants and its conversions.
//! Flow: `features.rs` → here, for each such input.

use super::names::NamedModel;
use super::{docs, feature_type};
use coreml_spec::{Feature, FeatureKind, Flexibility, Shape, rust_type_names};
use proc_macro2::{Ident, Literal, TokenStream};
use quote::{format_ident, quote};

/// Returns the name of an input's enum, or `None` when the input has no enumerated shapes.
///
/// No other generated type ends in `Input`, so that the names cannot meet.
pub(super) fn type_name(model: &NamedModel<'_>, feature: &Feature) -> Option<Ident> {
    shapes(feature)?;
    let inputs = &model.function.inputs;
    let names = rust_type_names(inputs.iter().map(|input| input.name.as_str()));
    let at = inputs.iter().position(|input| input.name == feature.name)?;
    names.get(at).map(|name| format_ident!("{}Input", name.trim_end_matches('_')))
}

/// Generates the enums of all inputs that have enumerated shapes.
pub(super) fn items(model: &NamedModel<'_>) -> TokenStream {
    let inputs = model.function.inputs.iter();
    inputs
        .filter_map(|feature| {
            Some(item(model, feature, &type_name(model, feature)?, shapes(feature)?))
        })
        .collect()
}

/// Returns the shapes of an input that enumerates them.
fn shapes(feature: &Feature) -> Option<&[Vec<usize>]> {
    match &feature.kind {
        FeatureKind::MultiArray {
            shape: Shape { flexibility: Flexibility::Enumerated(shapes), .. },
            ..
        } => Some(shapes),
        _ => None,
    }
}

/// Generates one enum.
fn item(
    model: &NamedModel<'_>,
    feature: &Feature,
    name: &Ident,
    shapes: &[Vec<usize>],
) -> TokenStream {
    let FeatureKind::MultiArray { data_type, .. } = &feature.kind else {
        return TokenStream::new();
    };
    let about = format!("The shapes of the input {}", docs::feature(model, "inputs", feature));
    let element = feature_type::element(*data_type);
    let variants: Vec<Ident> = shapes
        .iter()
        .map(|shape| {
            format_ident!(
                "Shape{}",
                shape.iter().map(usize::to_string).collect::<Vec<_>>().join("x")
            )
        })
        .collect();
    let views: Vec<TokenStream> = shapes
        .iter()
        .map(|shape| feature_type::tensor_view(*data_type, &Shape::fixed(shape.clone())))
        .collect();
    let abouts = shapes.iter().map(|shape| format!("{data_type} `{shape:?}`."));
    let sizes: Vec<TokenStream> = shapes
        .iter()
        .map(|shape| {
            let sizes = shape.iter().map(|&size| Literal::usize_unsuffixed(size));
            quote!([#(#sizes),*])
        })
        .collect();
    let rank = Literal::usize_unsuffixed(shapes.first().map_or(0, Vec::len));
    let count = Literal::usize_unsuffixed(shapes.len());
    quote! {
        #[doc = #about]
        #[derive(Clone, Copy, Debug, PartialEq)]
        pub enum #name<'a> { #(#[doc = #abouts] #variants(#views),)* }

        impl<'a> #name<'a> {
            /// Every shape, the default first.
            pub const SHAPES: [[usize; #rank]; #count] = [#(#sizes),*];

            /// Borrows `elements`, given in row-major order, in the shape that `dims` names.
            ///
            /// Errors: `dims` is none of [`Self::SHAPES`], or has another number of elements.
            pub fn from_slice_with_dims(
                elements: &'a [#element],
                dims: [usize; #rank],
            ) -> ::core::result::Result<Self, ::coreml_rt::ShapeError> {
                match dims {
                    #(
                        #sizes => {
                            ::coreml_rt::TensorView::from_slice(elements).map(Self::#variants)
                        }
                    )*
                    _ => ::core::result::Result::Err(::coreml_rt::ShapeError::NotEnumerated {
                        dims: ::std::vec::Vec::from(dims),
                        shapes: Self::SHAPES.iter().map(|shape| shape.to_vec()).collect(),
                    }),
                }
            }
        }

        #(impl<'a> ::core::convert::From<#views> for #name<'a> {
            fn from(view: #views) -> Self {
                Self::#variants(view)
            }
        })*

        impl ::coreml_rt::private::InputSlot for #name<'_> {
            fn feature<'s>(
                &'s self,
                default: ::coreml_rt::private::InputRef<'s>,
            ) -> ::coreml_rt::private::InputRef<'s> {
                match self {
                    #(
                        Self::#variants(view) => {
                            ::coreml_rt::private::InputSlot::feature(view, default)
                        }
                    )*
                }
            }
        }
    }
}
