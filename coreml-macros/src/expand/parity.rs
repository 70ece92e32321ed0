//! The generated test that compares a model with PyTorch.
//!
//! Owns: `mod parity`. Must not: judge; `coreml_rt::parity` does.
//! Flow: `expand.rs` → here, for each model.

use super::names::{NamedModel, Paths};
use coreml_spec::Tolerance;
use proc_macro2::TokenStream;
use quote::quote;

/// Generates the test, or nothing when the conversion kept no samples.
pub(super) fn items(model: &NamedModel<'_>, paths: &Paths) -> TokenStream {
    let samples: Vec<String> = model.samples().map(|sample| paths.beside(sample)).collect();
    if samples.is_empty() {
        return TokenStream::new();
    }
    let tolerance = match model.indexed.tolerance {
        Tolerance::Psnr(decibels) => quote!(Psnr(#decibels)),
        Tolerance::Absolute { atol, rtol } => quote!(Absolute { atol: #atol, rtol: #rtol }),
    };
    let metric = match &model.indexed.metric {
        None => quote!(::core::option::Option::None),
        Some(metric) => {
            // A command, a path and a number: nothing that JSON has no form for.
            let metric = serde_json::to_string(metric).unwrap_or_default();
            quote!(::core::option::Option::Some(#metric))
        }
    };
    let (test, what) = if model.buckets.is_empty() {
        (quote!(parity_test), quote!(&super::MODEL))
    } else {
        let name = model.name;
        (quote!(parity_test_of_buckets), quote!(#name, &super::BUCKETS))
    };
    quote! {
        /// Compares the model with PyTorch, on the samples that the conversion kept.
        #[cfg(test)]
        mod parity {
            /// Prints the figures of every sample, and fails when one does not meet the manifest's
            /// `parity`.
            #[test]
            fn matches_pytorch() {
                let passed = ::coreml_rt::private::#test(
                    #what,
                    &[#(#samples),*],
                    ::coreml_rt::Tolerance::#tolerance,
                    #metric,
                );
                ::core::assert!(passed, "the model does not match PyTorch; see the figures above");
            }
        }
    }
}
