//! Generated code as a snapshot: see `src/expand/tests.rs`.

pub mod net {
    /*!

Generated from `net.toml`:

- `encoder`, made from `python/net.py:encoder`.
- `text decoder`, made from `python/net.py:text decoder`.*/
    const _: () = ::coreml_rt::private::assert_same_version("0.1.0");
    const _: &[u8] = ::core::include_bytes!("/out/coreml/net.toml/index.json");
    ///All models of `net.toml`, loaded together.
    #[derive(Debug)]
    pub struct Models {
        ///`encoder`, made from `python/net.py:encoder`.
        pub encoder: encoder::Model,
        ///`text decoder`, made from `python/net.py:text decoder`.
        pub text_decoder: text_decoder::Model,
    }
    impl Models {
        /// Finds and loads each model, with the options of the manifest.
        pub fn load() -> ::core::result::Result<Self, ::coreml_rt::Error> {
            Self::load_with(&::coreml_rt::LoadOptions::new())
        }
        /// Finds and loads each model. A path in `options` is the folder that holds all
        /// packages.
        pub fn load_with(
            options: &::coreml_rt::LoadOptions,
        ) -> ::core::result::Result<Self, ::coreml_rt::Error> {
            ::core::result::Result::Ok(Self {
                encoder: encoder::Model::load_with(options)?,
                text_decoder: text_decoder::Model::load_with(options)?,
            })
        }
        /// Finds and loads each model, one after the other, on a thread of their own.
        pub fn load_async(
            options: ::coreml_rt::LoadOptions,
        ) -> ::coreml_rt::Completion<Self> {
            ::coreml_rt::private::load_async(
                "net.toml",
                move || Self::load_with(&options),
            )
        }
    }
    /**`encoder`, made from `python/net.py:encoder`.

Manifest key: `models.encoder`.*/
    pub mod encoder {
        /**The model `encoder`, made from `python/net.py:encoder`.

Threads can share it; each prediction runs on its own.*/
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
                let model = ::coreml_rt::private::Model::load(&MODEL, options)?;
                ::core::result::Result::Ok(Self(model))
            }
            /// Runs the model once on zeros, so that the first prediction takes no longer than the
            /// others.
            pub fn prewarm(&self) -> ::core::result::Result<(), ::coreml_rt::Error> {
                self.0.prewarm()
            }
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
                self.0.predict([&input.mel], &mut [&mut output.audio_features])
            }
            /// Returns what runs the model: `portable (rten 0.27)`.
            pub fn backend(&self) -> &str {
                self.0.backend()
            }
            /// Returns the folder of the package or of the compiled model, or `None` when the model is
            /// embedded in the program.
            pub fn path(&self) -> ::core::option::Option<&::std::path::Path> {
                self.0.path()
            }
            /// Returns on which device Core ML would run each operation. Needs macOS 14.4 or iOS
            /// 17.4.
            pub fn compute_plan(
                &self,
            ) -> ::core::result::Result<::coreml_rt::ComputePlan, ::coreml_rt::Error> {
                self.0.compute_plan()
            }
        }
        /// How the runtime finds, checks and loads the model.
        static MODEL: ::coreml_rt::private::Description = ::coreml_rt::private::Description {
            name: "encoder",
            manifest: "net.toml",
            interface: "{\"specification_version\":7,\"default_function\":\"main\",\"functions\":[{\"name\":\"main\",\"inputs\":[{\"name\":\"mel\",\"description\":\"\",\"kind\":{\"kind\":\"multi-array\",\"data_type\":\"float16\",\"shape\":{\"default\":[1,80,3000],\"flexibility\":\"fixed\"}},\"default\":null}],\"outputs\":[{\"name\":\"audio.features\",\"description\":\"\",\"kind\":{\"kind\":\"multi-array\",\"data_type\":\"float16\",\"shape\":{\"default\":[1,1500,384],\"flexibility\":\"fixed\"}},\"default\":null}],\"states\":[],\"classifier\":null}]}",
            function: ::core::option::Option::None,
            package: "encoder.mlpackage",
            built: "/out/coreml/net.toml/encoder.mlpackage",
            content_digest: ::core::option::Option::None,
            compute_units: ::coreml_rt::private::ComputeUnits::CpuAndNeuralEngine,
            embedded: ::core::option::Option::None,
        };
        impl Model {
            /// Finds and loads the model on a thread of its own.
            pub fn load_async(
                options: ::coreml_rt::LoadOptions,
            ) -> ::coreml_rt::Completion<Self> {
                ::coreml_rt::private::Model::load_async(&MODEL, options, Self)
            }
            ///Starts one prediction and returns at once; any number may run at the same time. The input is copied before. On Apple's systems this needs macOS 14 or iOS 17.
            pub fn predict_async(
                &self,
                input: &Input<'_>,
            ) -> ::coreml_rt::Completion<Output> {
                self.predict_into_async(input, Output::zeros())
            }
            /// Does the same into an existing output, and returns it unless the prediction fails: large
            /// outputs are written in place.
            pub fn predict_into_async(
                &self,
                input: &Input<'_>,
                output: Output,
            ) -> ::coreml_rt::Completion<Output> {
                self.0.predict_async([&input.mel], output)
            }
            ///Runs the model once per input, as one request, and returns the outputs in the same order.
            pub fn predict_batch(
                &self,
                inputs: &[Input<'_>],
            ) -> ::core::result::Result<::std::vec::Vec<Output>, ::coreml_rt::Error> {
                self.0
                    .predict_batch(
                        inputs
                            .iter()
                            .map(|input| {
                                let slots: [&dyn ::coreml_rt::private::InputSlot; _] = [
                                    &input.mel,
                                ];
                                slots
                            }),
                    )
            }
        }
        impl ::coreml_rt::private::Outputs for Output {
            fn slots(
                &mut self,
                with: &mut dyn FnMut(&mut [&mut dyn ::coreml_rt::private::OutputSlot]),
            ) {
                with(&mut [&mut self.audio_features]);
            }
        }
        ///The inputs of `encoder`.
        #[derive(Clone, Copy, Debug)]
        pub struct Input<'a> {
            /**`mel`: float16 `[1, 80, 3000]`.

Manifest key: `models.encoder.inputs.mel`.*/
            pub mel: ::coreml_rt::TensorView<
                'a,
                ::coreml_rt::f16,
                (::coreml_rt::Fixed<1>, ::coreml_rt::Fixed<80>, ::coreml_rt::Fixed<3000>),
            >,
        }
        ///The outputs of `encoder`.
        #[derive(Clone, Debug, PartialEq)]
        pub struct Output {
            /**`audio.features`: float16 `[1, 1500, 384]`.

Manifest key: `models.encoder.outputs."audio.features"`.*/
            pub audio_features: ::coreml_rt::Tensor<
                ::coreml_rt::f16,
                (
                    ::coreml_rt::Fixed<1>,
                    ::coreml_rt::Fixed<1500>,
                    ::coreml_rt::Fixed<384>,
                ),
            >,
        }
        impl Output {
            ///Returns an output of zeros, to predict into.
            pub fn zeros() -> Self {
                Self {
                    audio_features: ::coreml_rt::Tensor::zeros(),
                }
            }
        }
        impl ::core::default::Default for Output {
            fn default() -> Self {
                Self::zeros()
            }
        }
        /// Compares the model with PyTorch, on the samples that the conversion kept.
        #[cfg(test)]
        mod parity {
            /// Prints the figures of every sample, and fails when one does not meet the manifest's
            /// `parity`.
            #[test]
            fn matches_pytorch() {
                let passed = ::coreml_rt::private::parity_test(
                    &super::MODEL,
                    &["/out/coreml/net.toml/encoder.samples.0.safetensors"],
                    ::coreml_rt::Tolerance::Absolute {
                        atol: 0.001f64,
                        rtol: 0f64,
                    },
                    ::core::option::Option::Some(
                        "{\"command\":\"python wer.py \\\"$COREML_COMPARISON\\\"\",\"folder\":\"/work\",\"bound\":{\"at-most\":3.0}}",
                    ),
                );
                ::core::assert!(
                    passed, "the model does not match PyTorch; see the figures above"
                );
            }
        }
    }
    /**`text decoder`, made from `python/net.py:text decoder`.

Manifest key: `models."text decoder"`.*/
    pub mod text_decoder {
        /**The model `text decoder`, made from `python/net.py:text decoder`.

Threads can share it; each prediction runs on its own.*/
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
                let model = ::coreml_rt::private::Model::load(&MODEL, options)?;
                ::core::result::Result::Ok(Self(model))
            }
            /// Runs the model once on zeros, so that the first prediction takes no longer than the
            /// others.
            pub fn prewarm(&self) -> ::core::result::Result<(), ::coreml_rt::Error> {
                self.0.prewarm()
            }
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
                self.0
                    .predict(
                        [&input.token_1, &input.token_1_2, &input.type_],
                        &mut [&mut output.logits, &mut output.logits_2],
                    )
            }
            /// Returns what runs the model: `portable (rten 0.27)`.
            pub fn backend(&self) -> &str {
                self.0.backend()
            }
            /// Returns the folder of the package or of the compiled model, or `None` when the model is
            /// embedded in the program.
            pub fn path(&self) -> ::core::option::Option<&::std::path::Path> {
                self.0.path()
            }
            /// Returns on which device Core ML would run each operation. Needs macOS 14.4 or iOS
            /// 17.4.
            pub fn compute_plan(
                &self,
            ) -> ::core::result::Result<::coreml_rt::ComputePlan, ::coreml_rt::Error> {
                self.0.compute_plan()
            }
        }
        /// How the runtime finds, checks and loads the model.
        static MODEL: ::coreml_rt::private::Description = ::coreml_rt::private::Description {
            name: "text decoder",
            manifest: "net.toml",
            interface: "{\"specification_version\":7,\"default_function\":\"main\",\"functions\":[{\"name\":\"main\",\"inputs\":[{\"name\":\"token-1\",\"description\":\"\",\"kind\":{\"kind\":\"multi-array\",\"data_type\":\"int32\",\"shape\":{\"default\":[1,1],\"flexibility\":\"fixed\"}},\"default\":null},{\"name\":\"token_1\",\"description\":\"\",\"kind\":{\"kind\":\"multi-array\",\"data_type\":\"int8\",\"shape\":{\"default\":[4],\"flexibility\":\"fixed\"}},\"default\":null},{\"name\":\"type\",\"description\":\"\",\"kind\":{\"kind\":\"multi-array\",\"data_type\":\"int32\",\"shape\":{\"default\":[],\"flexibility\":\"fixed\"}},\"default\":2.0}],\"outputs\":[{\"name\":\"logits\",\"description\":\"\",\"kind\":{\"kind\":\"multi-array\",\"data_type\":\"float32\",\"shape\":{\"default\":[1,10],\"flexibility\":\"fixed\"}},\"default\":null},{\"name\":\"Logits\",\"description\":\"\",\"kind\":{\"kind\":\"multi-array\",\"data_type\":\"float64\",\"shape\":{\"default\":[1],\"flexibility\":\"fixed\"}},\"default\":null}],\"states\":[],\"classifier\":null}]}",
            function: ::core::option::Option::None,
            package: "text decoder.mlpackage",
            built: "/out/coreml/net.toml/text decoder.mlpackage",
            content_digest: ::core::option::Option::None,
            compute_units: ::coreml_rt::private::ComputeUnits::All,
            embedded: ::core::option::Option::None,
        };
        impl Model {
            /// Finds and loads the model on a thread of its own.
            pub fn load_async(
                options: ::coreml_rt::LoadOptions,
            ) -> ::coreml_rt::Completion<Self> {
                ::coreml_rt::private::Model::load_async(&MODEL, options, Self)
            }
            ///Starts one prediction and returns at once; any number may run at the same time. The input is copied before. On Apple's systems this needs macOS 14 or iOS 17.
            pub fn predict_async(
                &self,
                input: &Input<'_>,
            ) -> ::coreml_rt::Completion<Output> {
                self.predict_into_async(input, Output::zeros())
            }
            /// Does the same into an existing output, and returns it unless the prediction fails: large
            /// outputs are written in place.
            pub fn predict_into_async(
                &self,
                input: &Input<'_>,
                output: Output,
            ) -> ::coreml_rt::Completion<Output> {
                self.0
                    .predict_async(
                        [&input.token_1, &input.token_1_2, &input.type_],
                        output,
                    )
            }
            ///Runs the model once per input, as one request, and returns the outputs in the same order.
            pub fn predict_batch(
                &self,
                inputs: &[Input<'_>],
            ) -> ::core::result::Result<::std::vec::Vec<Output>, ::coreml_rt::Error> {
                self.0
                    .predict_batch(
                        inputs
                            .iter()
                            .map(|input| {
                                let slots: [&dyn ::coreml_rt::private::InputSlot; _] = [
                                    &input.token_1,
                                    &input.token_1_2,
                                    &input.type_,
                                ];
                                slots
                            }),
                    )
            }
        }
        impl ::coreml_rt::private::Outputs for Output {
            fn slots(
                &mut self,
                with: &mut dyn FnMut(&mut [&mut dyn ::coreml_rt::private::OutputSlot]),
            ) {
                with(&mut [&mut self.logits, &mut self.logits_2]);
            }
        }
        ///The inputs of `text decoder`.
        #[derive(Clone, Copy, Debug)]
        pub struct Input<'a> {
            /**`token-1`: int32 `[1, 1]`.

Manifest key: `models."text decoder".inputs.token-1`.*/
            pub token_1: ::coreml_rt::TensorView<
                'a,
                i32,
                (::coreml_rt::Fixed<1>, ::coreml_rt::Fixed<1>),
            >,
            /**`token_1`: int8 `[4]`.

Manifest key: `models."text decoder".inputs.token_1`.*/
            pub token_1_2: ::coreml_rt::TensorView<'a, i8, (::coreml_rt::Fixed<4>,)>,
            /**`type`: int32 `[]`. Optional; `None` stands for 2 in every element.

Manifest key: `models."text decoder".inputs.type`.*/
            pub type_: ::core::option::Option<::coreml_rt::TensorView<'a, i32, ()>>,
        }
        ///The outputs of `text decoder`.
        #[derive(Clone, Debug, PartialEq)]
        pub struct Output {
            /**`logits`: float32 `[1, 10]`.

Manifest key: `models."text decoder".outputs.logits`.*/
            pub logits: ::coreml_rt::Tensor<
                f32,
                (::coreml_rt::Fixed<1>, ::coreml_rt::Fixed<10>),
            >,
            /**`Logits`: float64 `[1]`.

Manifest key: `models."text decoder".outputs.Logits`.*/
            pub logits_2: ::coreml_rt::Tensor<f64, (::coreml_rt::Fixed<1>,)>,
        }
        impl Output {
            ///Returns an output of zeros, to predict into.
            pub fn zeros() -> Self {
                Self {
                    logits: ::coreml_rt::Tensor::zeros(),
                    logits_2: ::coreml_rt::Tensor::zeros(),
                }
            }
        }
        impl ::core::default::Default for Output {
            fn default() -> Self {
                Self::zeros()
            }
        }
    }
}
