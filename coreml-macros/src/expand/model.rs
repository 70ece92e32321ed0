//! The `Model` of a generated module, and the description of its package.
//!
//! Owns: `Model`, `MODEL`, `embedded`. Must not: hold logic; `coreml_rt::private::Model` does.
//! Flow: `expand.rs` → here, for each model; `buckets.rs` uses parts of it.

use super::docs;
use super::files;
use super::fittings;
use super::names::{NamedModel, Paths, identifier};
use coreml_spec::{ComputeUnits, EmbeddedFile, IndexedModel};
use proc_macro2::{Ident, TokenStream};
use quote::{format_ident, quote};

/// Generates loading and predicting.
pub(super) fn items(model: &NamedModel<'_>, paths: &Paths) -> TokenStream {
    let summary = docs::model_summary(model);
    let about =
        format!("The model {summary}\n\nThreads can share it; each prediction runs on its own.");
    let function = model.is_one_of_several.then_some(model.function.name.as_str());
    let name = format_ident!("embedded");
    let embedding = match model.indexed.embedded.as_slice() {
        [] => None,
        files => Some(embedded(&name, files)),
    };
    let description =
        description(model.indexed, function, embedding.as_ref().map(|_| &name), paths);
    let common = common(model);
    let fitted = fittings::fitted(model);
    let predicting =
        if model.function.states.is_empty() { stateless(model) } else { stateful(model) };
    quote! {
        #[doc = #about]
        #[derive(Debug)]
        pub struct Model(::coreml_rt::private::Model);

        impl Model {
            /// Finds and loads the model, with the options of the manifest.
            pub fn load() -> ::core::result::Result<Self, ::coreml_rt::Error> {
                Self::load_with(&::coreml_rt::LoadOptions::new())
            }

            /// Finds and loads the model.
            pub fn load_with(
                options: &::coreml_rt::LoadOptions,
            ) -> ::core::result::Result<Self, ::coreml_rt::Error> {
                let model = ::coreml_rt::private::Model::load(&MODEL, options)?#fitted;
                ::core::result::Result::Ok(Self(model))
            }

            /// Runs the model once on zeros, so that the first prediction takes no longer than the
            /// others.
            pub fn prewarm(&self) -> ::core::result::Result<(), ::coreml_rt::Error> {
                self.0.prewarm()
            }

            #predicting

            #common

            /// Returns on which device Core ML would run each operation. Needs macOS 14.4 or iOS
            /// 17.4.
            pub fn compute_plan(
                &self,
            ) -> ::core::result::Result<::coreml_rt::ComputePlan, ::coreml_rt::Error> {
                self.0.compute_plan()
            }
        }

        /// How the runtime finds, checks and loads the model.
        static MODEL: ::coreml_rt::private::Description = #description;

        #embedding
    }
}

/// Generates the getters that every `Model` has.
pub(super) fn common(model: &NamedModel<'_>) -> TokenStream {
    let files = files::getter(model);
    quote! {
        /// Returns what runs the model: `portable (rten 0.27)`.
        pub fn backend(&self) -> &str {
            self.0.backend()
        }

        /// Returns the folder of the package or of the compiled model, or `None` when the model is
        /// embedded in the program.
        pub fn path(&self) -> ::core::option::Option<&::std::path::Path> {
            self.0.path()
        }

        #files
    }
}

/// Generates the predictions of a model without states.
fn stateless(model: &NamedModel<'_>) -> TokenStream {
    let (inputs, outputs) = (&model.inputs, &model.outputs);
    quote! {
        /// Runs the model once.
        pub fn predict(
            &self,
            input: &Input<'_>,
        ) -> ::core::result::Result<Output, ::coreml_rt::Error> {
            let mut output = Output::zeros();
            self.predict_into(input, &mut output)?;
            ::core::result::Result::Ok(output)
        }

        /// Runs the model once, into an existing output: only the backend allocates memory.
        pub fn predict_into(
            &self,
            input: &Input<'_>,
            output: &mut Output,
        ) -> ::core::result::Result<(), ::coreml_rt::Error> {
            self.0.predict([#(&input.#inputs),*], &mut [#(&mut output.#outputs),*])
        }
    }
}

/// Generates the predictions of a model with states.
fn stateful(model: &NamedModel<'_>) -> TokenStream {
    let (inputs, outputs) = (&model.inputs, &model.outputs);
    quote! {
        /// Returns states of zeros: the beginning of a sequence of predictions.
        pub fn new_state(&self) -> ::core::result::Result<State, ::coreml_rt::Error> {
            self.0.new_state().map(State)
        }

        /// Runs the model once, and updates `state`.
        pub fn predict(
            &self,
            state: &mut State,
            input: &Input<'_>,
        ) -> ::core::result::Result<Output, ::coreml_rt::Error> {
            let mut output = Output::zeros();
            self.predict_into(state, input, &mut output)?;
            ::core::result::Result::Ok(output)
        }

        /// Runs the model once, into an existing output: only the backend allocates memory.
        pub fn predict_into(
            &self,
            state: &mut State,
            input: &Input<'_>,
            output: &mut Output,
        ) -> ::core::result::Result<(), ::coreml_rt::Error> {
            self.0.predict_with_state(
                &mut state.0,
                [#(&input.#inputs),*],
                &mut [#(&mut output.#outputs),*],
            )
        }
    }
}

/// Generates the `Description` that the runtime loads a model by.
///
/// Parameters: `function` — of a package of several; `embedded` — the function that returns the
/// files of the package.
pub(super) fn description(
    indexed: &IndexedModel,
    function: Option<&str>,
    embedded: Option<&Ident>,
    paths: &Paths,
) -> TokenStream {
    let (name, package, manifest) = (&indexed.name, &indexed.package, &paths.manifest);
    let built = paths.beside(package);
    // The runtime compares it with the package; a string costs the compiler nothing, a tree of
    // structs would.
    let interface = serde_json::to_string(&indexed.interface).unwrap_or_default();
    let units = match indexed.compute_units {
        ComputeUnits::All => quote!(All),
        ComputeUnits::CpuOnly => quote!(CpuOnly),
        ComputeUnits::CpuAndGpu => quote!(CpuAndGpu),
        ComputeUnits::CpuAndNeuralEngine => quote!(CpuAndNeuralEngine),
    };
    let function = match function {
        Some(function) => quote!(::core::option::Option::Some(#function)),
        None => quote!(::core::option::Option::None),
    };
    let embedded = match embedded {
        Some(embedded) => quote!(::core::option::Option::Some(#embedded)),
        None => quote!(::core::option::Option::None),
    };
    let content_digest = match &indexed.content_digest {
        Some(digest) => quote!(::core::option::Option::Some(#digest)),
        None => quote!(::core::option::Option::None),
    };
    quote! {
        ::coreml_rt::private::Description {
            name: #name,
            manifest: #manifest,
            interface: #interface,
            function: #function,
            package: #package,
            built: #built,
            content_digest: #content_digest,
            compute_units: ::coreml_rt::private::ComputeUnits::#units,
            embedded: #embedded,
        }
    }
}

/// Generates the function that returns the files of an embedded package.
///
/// Parameters: `name` — of the function.
pub(super) fn embedded(name: &Ident, files: &[EmbeddedFile]) -> TokenStream {
    let paths = files.iter().map(|file| &file.path);
    let names: Vec<String> = files.iter().map(|file| file.symbol.clone()).collect();
    let (declared, bytes) = symbols(&names);
    quote! {
        /// Returns the files of the package, which the linker put into the program.
        #[allow(unsafe_code, non_upper_case_globals)]
        fn #name() -> ::coreml_rt::private::EmbeddedFiles {
            #declared
            // SAFETY: the build script assembled each file between its two symbols, in read-only
            // data.
            unsafe {
                ::std::vec![#((#paths, #bytes)),*]
            }
        }
    }
}

/// Generates the declarations of symbols that the linker knows, and for each the bytes behind it.
pub(super) fn symbols(names: &[String]) -> (TokenStream, Vec<TokenStream>) {
    let starts: Vec<_> = names.iter().map(|name| identifier(name)).collect();
    let ends: Vec<_> = starts.iter().map(|start| format_ident!("{start}_end")).collect();
    let declared = quote! {
        unsafe extern "C" {
            #(
                static #starts: u8;
                static #ends: u8;
            )*
        }
    };
    let bytes = starts.iter().zip(&ends).map(|(start, end)| {
        quote!(::coreml_rt::private::embedded_bytes(&raw const #start, &raw const #end))
    });
    (declared, bytes.collect())
}
