//! The asynchronous functions of a generated `Model`, and batches.
//!
//! Owns: `load_async`, `predict_async`, `predict_into_async`, `predict_batch`, and what they need
//! of an `Output`.
//! Must not: hold logic; `coreml_rt::private::Model` does.
//! Flow: `expand.rs` → here, for each model, beside `model.rs`.

use super::names::NamedModel;
use proc_macro2::TokenStream;
use quote::quote;

/// Generates the functions and the implementation.
pub(super) fn items(model: &NamedModel<'_>) -> TokenStream {
    let outputs = &model.outputs;
    let wrap = if model.fittings.is_empty() {
        quote!(Self)
    } else {
        quote!(|model| Self(model.fitted(&FITTINGS)))
    };
    let loading = if model.buckets.is_empty() {
        quote!(::coreml_rt::private::Model::load_async(&MODEL, options, #wrap))
    } else {
        quote!(::coreml_rt::private::BucketedModel::load_async(&BUCKETS, options, #wrap))
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
            fn slots(
                &mut self,
                with: &mut dyn FnMut(&mut [&mut dyn ::coreml_rt::private::OutputSlot]),
            ) {
                with(&mut [#(&mut self.#outputs),*]);
            }
        }
    }
}

/// Generates the predictions of a model without states.
fn stateless(model: &NamedModel<'_>) -> TokenStream {
    let inputs = &model.inputs;
    let (once, batch) = if model.buckets.is_empty() {
        let once = "Starts one prediction and returns at once; any number may run at the same \
            time. The input is copied before. On Apple's systems this needs macOS 14 or iOS 17.";
        (
            once,
            "Runs the model once per input, as one request, and returns the outputs in the same \
             order.",
        )
    } else {
        let once = "Starts the smallest bucket that the input fits into and returns at once; any \
            number of predictions may run at the same time. Before it returns, the input is \
            copied, and the bucket is loaded on first use: see [`load_bucket`](Self::load_bucket). \
            On Apple's systems this needs macOS 14 or iOS 17.";
        let batch = "Runs each input in its bucket, the inputs of one bucket as one request, and \
            returns the outputs in the order of the inputs.";
        (once, batch)
    };
    quote! {
        #[doc = #once]
        pub fn predict_async(&self, input: &Input<'_>) -> ::coreml_rt::Completion<Output> {
            self.predict_into_async(input, Output::zeros())
        }

        /// Does the same into an existing output, and returns it unless the prediction fails: large
        /// outputs are written in place.
        pub fn predict_into_async(
            &self,
            input: &Input<'_>,
            output: Output,
        ) -> ::coreml_rt::Completion<Output> {
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
fn stateful(model: &NamedModel<'_>) -> TokenStream {
    let inputs = &model.inputs;
    quote! {
        /// Starts one prediction and returns at once. The input is copied before; the states come
        /// back with the output, and are lost when the prediction fails.
        pub fn predict_async(
            &self,
            state: State,
            input: &Input<'_>,
        ) -> ::coreml_rt::Completion<(State, Output)> {
            self.predict_into_async(state, input, Output::zeros())
        }

        /// Does the same into an existing output, and returns it unless the prediction fails: large
        /// outputs are written in place.
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
