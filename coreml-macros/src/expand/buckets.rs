//! The `Model` of a model with buckets, and its `Bucket`.
//!
//! Owns: the enum, and what replaces `model.rs` for such a model. Must not: pad;
//! `coreml_rt::private::BucketedModel` does.
//! Flow: `expand.rs` → here, for each model; `features.rs` generates `Input` and `Output` of any
//! length.

use super::names::{Bucket, NamedModel, Paths};
use super::{docs, fittings, model as one_model};
use proc_macro2::{Ident, Literal, TokenStream};
use quote::{format_ident, quote};

/// Generates loading and predicting, and the enum of the sizes.
pub(super) fn items(model: &NamedModel<'_>, paths: &Paths) -> TokenStream {
    let summary = docs::model_summary(model);
    let about = format!(
        "The model {summary}\n\
         \n\
         It exists in several sizes ([`Bucket`]): a prediction pads its input to the smallest size \
         that it fits into, and trims the output to the true length. Each size is loaded on first \
         use.\n\
         \n\
         Threads can share it; each prediction runs on its own."
    );
    let (inputs, outputs) = (&model.inputs, &model.outputs);
    let (descriptions, embedding) = descriptions(model, paths);
    let bucket = enumeration(model);
    let common = one_model::common(model);
    let fitted = fittings::fitted(model);
    quote! {
        #[doc = #about]
        #[derive(Debug)]
        pub struct Model(::coreml_rt::private::BucketedModel);

        impl Model {
            /// Finds all buckets and loads the smallest, with the options of the manifest.
            pub fn load() -> ::core::result::Result<Self, ::coreml_rt::Error> {
                Self::load_with(&::coreml_rt::LoadOptions::new())
            }

            /// Finds all buckets and loads the smallest; the others are loaded on first use.
            pub fn load_with(
                options: &::coreml_rt::LoadOptions,
            ) -> ::core::result::Result<Self, ::coreml_rt::Error> {
                let model = ::coreml_rt::private::BucketedModel::load(&BUCKETS, options)?#fitted;
                ::core::result::Result::Ok(Self(model))
            }

            /// Loads a bucket now, unless it is loaded already, so that no prediction waits for it.
            pub fn load_bucket(
                &self,
                bucket: Bucket,
            ) -> ::core::result::Result<(), ::coreml_rt::Error> {
                self.0.load_bucket(bucket as usize)
            }

            /// Returns whether a bucket is loaded.
            pub fn is_loaded(&self, bucket: Bucket) -> bool {
                self.0.is_loaded(bucket as usize)
            }

            /// Runs the smallest bucket that the input fits into.
            pub fn predict(
                &self,
                input: &Input<'_>,
            ) -> ::core::result::Result<Output, ::coreml_rt::Error> {
                let mut output = Output::zeros();
                self.predict_into(input, &mut output)?;
                ::core::result::Result::Ok(output)
            }

            /// Runs the smallest bucket that the input fits into, into an existing output: its
            /// memory, and that of padding, is reused.
            pub fn predict_into(
                &self,
                input: &Input<'_>,
                output: &mut Output,
            ) -> ::core::result::Result<(), ::coreml_rt::Error> {
                self.0.predict([#(&input.#inputs),*], &mut [#(&mut output.#outputs),*])
            }

            #common
        }

        #bucket

        #descriptions
        #embedding
    }
}

/// Generates the constant of all buckets that the runtime loads by, and the functions of embedded
/// packages.
fn descriptions(model: &NamedModel<'_>, paths: &Paths) -> (TokenStream, TokenStream) {
    let count = Literal::usize_unsuffixed(model.buckets.len());
    let (mut rows, mut functions) = (TokenStream::new(), TokenStream::new());
    for (at, Bucket { size, indexed, function }) in model.buckets.iter().enumerate() {
        let embedded = (!indexed.embedded.is_empty()).then(|| {
            // Functions of one package have its files in common.
            let first = model
                .buckets
                .iter()
                .position(|other| other.indexed.package == indexed.package)
                .unwrap_or(at);
            let name = format_ident!("embedded_{}", model.buckets[first].size);
            if first == at {
                functions.extend(one_model::embedded(&name, &indexed.embedded));
            }
            name
        });
        let size = Literal::usize_unsuffixed(*size);
        let description = one_model::description(indexed, *function, embedded.as_ref(), paths);
        rows.extend(quote!((#size, #description),));
    }
    let constant = quote! {
        /// How the runtime finds, checks and loads each bucket.
        static BUCKETS: [
            (::core::primitive::usize, ::coreml_rt::private::Description);
            #count
        ] = [#rows];
    };
    (constant, functions)
}

/// Generates the enum.
fn enumeration(model: &NamedModel<'_>) -> TokenStream {
    let Some(buckets) = &model.indexed.interface.buckets else { return TokenStream::new() };
    let sizes: Vec<usize> = model.buckets.iter().map(|bucket| bucket.size).collect();
    let variants: Vec<Ident> = sizes.iter().map(|size| format_ident!("Size{size}")).collect();
    let (input, axis) = (docs::code(&buckets.input), buckets.axis);
    let about = format!(
        "A size of `{}`: the length of dimension {axis} of `{input}`.\n\
         \n\
         Manifest key: `{}.buckets`.",
        docs::code(model.name),
        docs::code(&model.key)
    );
    let literal = Literal::usize_unsuffixed;
    let literals: Vec<Literal> = sizes.iter().copied().map(literal).collect();
    let starts = std::iter::once(buckets.min).chain(sizes.iter().map(|size| size + 1));
    let ranges = starts.zip(&sizes).map(|(start, &size)| {
        let (start, size) = (literal(start), literal(size));
        quote!(#start..=#size)
    });
    let abouts = sizes.iter().map(|size| format!("Up to {size}."));
    let (min, count) = (literal(buckets.min), literal(sizes.len()));
    quote! {
        #[doc = #about]
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Bucket { #(#[doc = #abouts] #variants,)* }

        impl Bucket {
            /// Every bucket, the smallest first.
            pub const ALL: [Self; #count] = [#(Self::#variants),*];

            /// Returns the largest length that the bucket takes.
            pub const fn size(self) -> ::core::primitive::usize {
                match self { #(Self::#variants => #literals,)* }
            }

            /// Returns the smallest bucket that takes `length`: the one that a prediction runs.
            /// Errors: no bucket takes it.
            pub fn smallest(
                length: ::core::primitive::usize,
            ) -> ::core::result::Result<Self, ::coreml_rt::ShapeError> {
                match length {
                    #(#ranges => ::core::result::Result::Ok(Self::#variants),)*
                    _ => ::core::result::Result::Err(::coreml_rt::ShapeError::NoBucket {
                        length,
                        min: #min,
                        sizes: Self::ALL.iter().map(|bucket| bucket.size()).collect(),
                    }),
                }
            }
        }
    }
}
