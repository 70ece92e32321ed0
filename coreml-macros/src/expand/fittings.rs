//! Inputs that are made to fit before a prediction.
//!
//! Owns: which types take them, and what the runtime is told. Must not: cut or scale; `coreml_rt`'s
//! `fitting.rs` does.
//! Flow: `names.rs` → [`open`]; `model.rs`, `buckets.rs` and `asynchronous.rs` → [`fitted`].

use super::names::NamedModel;
use coreml_spec::{
    FeatureKind, Fitting, Flexibility, Function, ImageSize, IndexedModel, Kept, Resize, SizeRange,
};
use proc_macro2::{Literal, TokenStream};
use quote::quote;

/// Opens the inputs that are made to fit: they take more than the model does.
///
/// Returns: position among the inputs and what is done, of each.
pub(super) fn open(indexed: &IndexedModel, function: &mut Function) -> Vec<(usize, Fitting)> {
    let mut fittings = Vec::new();
    for one in &indexed.fittings {
        if one.function.as_ref().is_some_and(|name| *name != function.name) {
            continue;
        }
        // Callers do not see the mask of buckets.
        let Some(at) = function.inputs.iter().position(|input| input.name == one.input) else {
            continue;
        };
        if open_feature(&mut function.inputs[at].kind, one.fitting).is_some() {
            fittings.push((at, one.fitting));
        }
    }
    fittings
}

/// Opens one input; `None` when the package is not what the manifest says.
fn open_feature(kind: &mut FeatureKind, fitting: Fitting) -> Option<()> {
    match (kind, fitting) {
        (FeatureKind::MultiArray { shape, .. }, Fitting::Cut { axis, .. }) => {
            let Flexibility::Ranges(ranges) = &mut shape.flexibility else { return None };
            ranges.get_mut(axis)?.max = None;
        }
        (FeatureKind::Image { size, .. }, Fitting::Resize { how, width, height, .. }) => {
            let least = |side: usize| if how == Resize::Crop { side } else { 1 };
            let open = |side: usize| SizeRange { min: least(side), max: None };
            *size = ImageSize { ranges: Some((open(width), open(height))), ..size.clone() };
        }
        _ => return None,
    }
    Some(())
}

/// Generates the call that gives a loaded model what is done to its inputs; nothing for a model
/// that refuses what does not fit.
pub(super) fn fitted(model: &NamedModel<'_>) -> TokenStream {
    if model.fittings.is_empty() { TokenStream::new() } else { quote!(.fitted(&FITTINGS)) }
}

/// Generates the constant behind [`fitted`].
pub(super) fn items(model: &NamedModel<'_>) -> TokenStream {
    if model.fittings.is_empty() {
        return TokenStream::new();
    }
    let count = Literal::usize_unsuffixed(model.fittings.len());
    let rows = model.fittings.iter().map(|(at, fitting)| {
        let (at, fitting) = (Literal::usize_unsuffixed(*at), tokens(*fitting));
        quote!((#at, ::coreml_rt::private::Fitting::#fitting))
    });
    let resizes = model.fittings.iter().any(|(_, one)| matches!(one, Fitting::Resize { .. }));
    let check = resizes.then(|| {
        quote!(
            const _: () = ::coreml_rt::private::assert_resizes();
        )
    });
    quote! {
        /// What is done to inputs that do not fit, by their positions.
        static FITTINGS: [(::core::primitive::usize, ::coreml_rt::private::Fitting); #count] =
            [#(#rows),*];
        #check
    }
}

/// Returns what is done to one input, as code.
fn tokens(fitting: Fitting) -> TokenStream {
    let literal = Literal::usize_unsuffixed;
    match fitting {
        Fitting::Cut { axis, max, keep } => {
            let (axis, max) = (literal(axis), literal(max));
            let keep = match keep {
                Kept::Start => quote!(Start),
                Kept::End => quote!(End),
            };
            quote!(Cut { axis: #axis, max: #max, keep: ::coreml_rt::private::Kept::#keep })
        }
        Fitting::Resize { how, width, height, padding } => {
            let (width, height) = (literal(width), literal(height));
            let how = match how {
                Resize::Fit => quote!(Fit),
                Resize::Fill => quote!(Fill),
                Resize::Crop => quote!(Crop),
            };
            let padding = padding.map(Literal::f32_unsuffixed);
            quote!(Resize {
                how: ::coreml_rt::private::Resize::#how,
                width: #width,
                height: #height,
                padding: [#(#padding),*],
            })
        }
    }
}

/// Describes what is done to an input, for its documentation.
pub(super) fn text(model: &NamedModel<'_>, input: &str) -> String {
    let of = model.fittings.iter().filter(|(at, _)| {
        model.function.inputs.get(*at).is_some_and(|feature| feature.name == input)
    });
    let texts = of.map(|(_, fitting)| match fitting {
        Fitting::Cut { axis, max, keep } => {
            let end = match keep {
                Kept::Start => "end",
                Kept::End => "start",
            };
            format!("Dimension {axis} is cut at its {end} to at most {max}")
        }
        Fitting::Resize { how, width, height, .. } => {
            let how = match how {
                Resize::Fit => "scaled into",
                Resize::Fill => "scaled over, and cut to,",
                Resize::Crop => "cut at its centre to",
            };
            format!("A picture of another size is {how} {width} × {height} pixels")
        }
    });
    texts.collect::<Vec<_>>().join(". ")
}
