//! The asynchronous twins of a generated `Model`, and batches.
//!
//! Owns: `load_async`, `predict_async`, `predict_into_async`, `predict_batch`, and what the runtime
//! needs of an `Output` for them.
//! Must not: hold logic; `coreml_rt::private::Model` does.
//! Flow: called by `expand.rs` per model, beside `model.rs`.

use super::names::Model;
use proc_macro2::TokenStream;
use quote::quote;

/// Generates the functions and the implementation.
pub(super) fn items(model: &Model<'_>) -> TokenStream {
    let outputs = &model.outputs;
    let loading = if model.buckets.is_empty() {
        quote!(::coreml_rt::private::Model::load_async(&MODEL, options, Self))
    } else {
        quote!(::coreml_rt::private::BucketedModel::load_async(&BUCKETS, options, Self))
    };
    let predicting =
        if model.function.states.is_empty() { stateless(model) } else { stateful(model) };
    quote! {
        impl Model {
            /// Finds and loads the model on a thread of its own.
            pub fn load_async(options: ::coreml_rt::LoadOptions) -> ::coreml_rt::Completion<Self> {
                #loading
            }

            #predicting
        }

        impl ::coreml_rt::private::Outputs for Output {
            fn slots(&mut self, with: &mut dyn FnMut(&mut [&mut dyn ::coreml_rt::private::OutputSlot])) {
                with(&mut [#(&mut self.#outputs),*]);
            }
        }
    }
}

/// Generates the predictions of a model without states.
fn stateless(model: &Model<'_>) -> TokenStream {
    let inputs = &model.inputs;
    let (once, batch) = if model.buckets.is_empty() {
        let once = "Runs the model once, without waiting for it; any number of predictions may be \
            under way. The input is copied \
                    before this returns. Core ML can do so since macOS 14 and iOS 17.";
        (
            once,
            "Runs the model once per input, as one request, and returns the outputs in the same \
            order.",
        )
    } else {
        let once = "Runs the smallest bucket that the input fits into, without waiting for it; any \
            number of predictions may be \
                    under way. The input is copied before this returns, and a bucket that is not \
                    loaded yet is loaded: see \
                    [`load_bucket`](Self::load_bucket). Core ML can do so since macOS 14 and iOS \
                    17.";
        let batch = "Runs each input in its bucket, those of a bucket as one request, and returns \
            the outputs in the order of \
                     the inputs.";
        (once, batch)
    };
    quote! {
        #[doc = #once]
        pub fn predict_async(&self, input: &Input<'_>) -> ::coreml_rt::Completion<Output> {
            self.predict_into_async(input, Output::zeros())
        }

        /// Does the same into an output that exists already, and gives it back unless it fails:
        /// large outputs are written where they are.
        pub fn predict_into_async(&self, input: &Input<'_>, output: Output) -> ::coreml_rt::Completion<Output> {
            self.0.predict_async([#(&input.#inputs),*], output)
        }

        #[doc = #batch]
        pub fn predict_batch(
            &self,
            inputs: &[Input<'_>],
        ) -> ::core::result::Result<::std::vec::Vec<Output>, ::coreml_rt::Error> {
            self.0.predict_batch(inputs.iter().map(|input| {
                let slots: [&dyn ::coreml_rt::private::InputSlot; _] = [#(&input.#inputs),*];
                slots
            }))
        }
    }
}

/// Generates the prediction of a model with states.
fn stateful(model: &Model<'_>) -> TokenStream {
    let inputs = &model.inputs;
    quote! {
        /// Runs the model once, without waiting for it. The input is copied before this returns;
        /// the states come back with the output, and are lost when the prediction fails.
        pub fn predict_async(&self, state: State, input: &Input<'_>) -> ::coreml_rt::Completion<(State, Output)> {
            self.predict_into_async(state, input, Output::zeros())
        }

        /// Does the same into an output that exists already, and gives it back unless it fails:
        /// large outputs are written where they are.
        pub fn predict_into_async(
            &self,
            state: State,
            input: &Input<'_>,
            output: Output,
        ) -> ::coreml_rt::Completion<(State, Output)> {
            self.0.predict_with_state_async(state.0, [#(&input.#inputs),*], output, State)
        }
    }
}
