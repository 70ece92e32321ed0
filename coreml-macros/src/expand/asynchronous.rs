//! The asynchronous twins of a generated `Model`, and batches.
//!
//! Owns: `load_async`, `predict_async`, `predict_batch`, and what the runtime needs of an `Output` for them.
//! Must not: hold logic; `coreml_rt::private::Model` does.
//! Flow: called by `expand.rs` per model, beside `model.rs`.

use super::names::Model;
use proc_macro2::TokenStream;
use quote::quote;

/// Generates the functions and the implementation.
pub(super) fn items(model: &Model<'_>) -> TokenStream {
    let outputs = &model.outputs;
    let predicting = if model.function.states.is_empty() { stateless(model) } else { stateful(model) };
    quote! {
        impl Model {
            /// Finds and loads the model on a thread of its own.
            pub fn load_async(options: ::coreml_rt::LoadOptions) -> ::coreml_rt::Completion<Self> {
                ::coreml_rt::private::Model::load_async(&MODEL, options, Self)
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
    quote! {
        /// Runs the model once, without waiting for it; any number of predictions may be under way. The input is copied
        /// before this returns. Core ML can do so since macOS 14 and iOS 17.
        pub fn predict_async(&self, input: &Input<'_>) -> ::coreml_rt::Completion<Output> {
            self.0.predict_async([#(&input.#inputs),*])
        }

        /// Runs the model once per input, as one request, and returns the outputs in the same order.
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
        /// Runs the model once, without waiting for it. The input is copied before this returns; the states come back with
        /// the output, and are lost when the prediction fails.
        pub fn predict_async(
            &self,
            state: State,
            input: &Input<'_>,
        ) -> ::coreml_rt::Completion<(State, Output)> {
            self.0.predict_with_state_async(state.0, [#(&input.#inputs),*], State)
        }
    }
}
