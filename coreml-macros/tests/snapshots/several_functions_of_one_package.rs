//! Generated code as a snapshot: see `src/expand/tests.rs`.

pub mod net {
    /*!

Generated from `net.toml`:

- `main` of `decoder`, made from `python/net.py:decoder`.
- `single step` of `decoder`, made from `python/net.py:decoder`.
- `other`, made from `python/net.py:other`.*/
    const _: () = ::coreml_rt::private::assert_same_version("0.1.0");
    const _: &[u8] = ::core::include_bytes!("/out/coreml/net.toml/index.json");
    ///All models of `net.toml`, loaded together.
    #[derive(Debug)]
    pub struct Models {
        /**Several functions of one package, which share weights:

- `main` of `decoder`, made from `python/net.py:decoder`.
- `single step` of `decoder`, made from `python/net.py:decoder`.*/
        pub decoder: decoder::Models,
        ///`other`, made from `python/net.py:other`.
        pub other: other::Model,
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
                decoder: decoder::Models::load_with(options)?,
                other: other::Model::load_with(options)?,
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
    /**Several functions of one package, which share weights:

- `main` of `decoder`, made from `python/net.py:decoder`.
- `single step` of `decoder`, made from `python/net.py:decoder`.*/
    pub mod decoder {
        ///All functions of the package, loaded together.
        #[derive(Debug)]
        pub struct Models {
            ///`main` of `decoder`, made from `python/net.py:decoder`.
            pub main: main::Model,
            ///`single step` of `decoder`, made from `python/net.py:decoder`.
            pub single_step: single_step::Model,
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
                    main: main::Model::load_with(options)?,
                    single_step: single_step::Model::load_with(options)?,
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
        /**`main` of `decoder`, made from `python/net.py:decoder`.

Manifest key: `models.decoder.functions.main`.*/
        pub mod main {
            /**The model `main` of `decoder`, made from `python/net.py:decoder`.

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
                    self.0.predict([&input.ids], &mut [&mut output.logits])
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
                ) -> ::core::result::Result<
                    ::coreml_rt::ComputePlan,
                    ::coreml_rt::Error,
                > {
                    self.0.compute_plan()
                }
            }
            /// How the runtime finds, checks and loads the model.
            static MODEL: ::coreml_rt::private::Description = ::coreml_rt::private::Description {
                name: "decoder",
                manifest: "net.toml",
                interface: "{\"specification_version\":7,\"default_function\":\"main\",\"functions\":[{\"name\":\"main\",\"inputs\":[{\"name\":\"ids\",\"description\":\"\",\"kind\":{\"kind\":\"multi-array\",\"data_type\":\"int32\",\"shape\":{\"default\":[1,8],\"flexibility\":\"fixed\"}},\"default\":null}],\"outputs\":[{\"name\":\"logits\",\"description\":\"\",\"kind\":{\"kind\":\"multi-array\",\"data_type\":\"float16\",\"shape\":{\"default\":[1,10],\"flexibility\":\"fixed\"}},\"default\":null}],\"states\":[],\"classifier\":null},{\"name\":\"single step\",\"inputs\":[{\"name\":\"id\",\"description\":\"\",\"kind\":{\"kind\":\"multi-array\",\"data_type\":\"int32\",\"shape\":{\"default\":[1,1],\"flexibility\":\"fixed\"}},\"default\":null}],\"outputs\":[{\"name\":\"logits\",\"description\":\"\",\"kind\":{\"kind\":\"multi-array\",\"data_type\":\"float16\",\"shape\":{\"default\":[1,10],\"flexibility\":\"fixed\"}},\"default\":null}],\"states\":[{\"name\":\"cache\",\"description\":\"\",\"kind\":{\"kind\":\"multi-array\",\"data_type\":\"float16\",\"shape\":{\"default\":[1,32],\"flexibility\":\"fixed\"}},\"default\":null}],\"classifier\":null}]}",
                function: ::core::option::Option::Some("main"),
                package: "decoder.mlpackage",
                built: "/out/coreml/net.toml/decoder.mlpackage",
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
                    self.0.predict_async([&input.ids], output)
                }
                ///Runs the model once per input, as one request, and returns the outputs in the same order.
                pub fn predict_batch(
                    &self,
                    inputs: &[Input<'_>],
                ) -> ::core::result::Result<
                    ::std::vec::Vec<Output>,
                    ::coreml_rt::Error,
                > {
                    self.0
                        .predict_batch(
                            inputs
                                .iter()
                                .map(|input| {
                                    let slots: [&dyn ::coreml_rt::private::InputSlot; _] = [
                                        &input.ids,
                                    ];
                                    slots
                                }),
                        )
                }
            }
            impl ::coreml_rt::private::Outputs for Output {
                fn slots(
                    &mut self,
                    with: &mut dyn FnMut(
                        &mut [&mut dyn ::coreml_rt::private::OutputSlot],
                    ),
                ) {
                    with(&mut [&mut self.logits]);
                }
            }
            ///The inputs of `decoder`.
            #[derive(Clone, Copy, Debug)]
            pub struct Input<'a> {
                /**`ids`: int32 `[1, 8]`.

Manifest key: `models.decoder.functions.main.inputs.ids`.*/
                pub ids: ::coreml_rt::TensorView<
                    'a,
                    i32,
                    (::coreml_rt::Fixed<1>, ::coreml_rt::Fixed<8>),
                >,
            }
            ///The outputs of `decoder`.
            #[derive(Clone, Debug, PartialEq)]
            pub struct Output {
                /**`logits`: float16 `[1, 10]`.

Manifest key: `models.decoder.functions.main.outputs.logits`.*/
                pub logits: ::coreml_rt::Tensor<
                    ::coreml_rt::f16,
                    (::coreml_rt::Fixed<1>, ::coreml_rt::Fixed<10>),
                >,
            }
            impl Output {
                ///Returns an output of zeros, to predict into.
                pub fn zeros() -> Self {
                    Self {
                        logits: ::coreml_rt::Tensor::zeros(),
                    }
                }
            }
            impl ::core::default::Default for Output {
                fn default() -> Self {
                    Self::zeros()
                }
            }
        }
        /**`single step` of `decoder`, made from `python/net.py:decoder`.

Manifest key: `models.decoder.functions."single step"`.*/
        pub mod single_step {
            /**The model `single step` of `decoder`, made from `python/net.py:decoder`.

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
                /// Returns states of zeros: the beginning of a sequence of predictions.
                pub fn new_state(
                    &self,
                ) -> ::core::result::Result<State, ::coreml_rt::Error> {
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
                    self.0
                        .predict_with_state(
                            &mut state.0,
                            [&input.id],
                            &mut [&mut output.logits],
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
                ) -> ::core::result::Result<
                    ::coreml_rt::ComputePlan,
                    ::coreml_rt::Error,
                > {
                    self.0.compute_plan()
                }
            }
            /// How the runtime finds, checks and loads the model.
            static MODEL: ::coreml_rt::private::Description = ::coreml_rt::private::Description {
                name: "decoder",
                manifest: "net.toml",
                interface: "{\"specification_version\":7,\"default_function\":\"main\",\"functions\":[{\"name\":\"main\",\"inputs\":[{\"name\":\"ids\",\"description\":\"\",\"kind\":{\"kind\":\"multi-array\",\"data_type\":\"int32\",\"shape\":{\"default\":[1,8],\"flexibility\":\"fixed\"}},\"default\":null}],\"outputs\":[{\"name\":\"logits\",\"description\":\"\",\"kind\":{\"kind\":\"multi-array\",\"data_type\":\"float16\",\"shape\":{\"default\":[1,10],\"flexibility\":\"fixed\"}},\"default\":null}],\"states\":[],\"classifier\":null},{\"name\":\"single step\",\"inputs\":[{\"name\":\"id\",\"description\":\"\",\"kind\":{\"kind\":\"multi-array\",\"data_type\":\"int32\",\"shape\":{\"default\":[1,1],\"flexibility\":\"fixed\"}},\"default\":null}],\"outputs\":[{\"name\":\"logits\",\"description\":\"\",\"kind\":{\"kind\":\"multi-array\",\"data_type\":\"float16\",\"shape\":{\"default\":[1,10],\"flexibility\":\"fixed\"}},\"default\":null}],\"states\":[{\"name\":\"cache\",\"description\":\"\",\"kind\":{\"kind\":\"multi-array\",\"data_type\":\"float16\",\"shape\":{\"default\":[1,32],\"flexibility\":\"fixed\"}},\"default\":null}],\"classifier\":null}]}",
                function: ::core::option::Option::Some("single step"),
                package: "decoder.mlpackage",
                built: "/out/coreml/net.toml/decoder.mlpackage",
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
                    self.0.predict_with_state_async(state.0, [&input.id], output, State)
                }
            }
            impl ::coreml_rt::private::Outputs for Output {
                fn slots(
                    &mut self,
                    with: &mut dyn FnMut(
                        &mut [&mut dyn ::coreml_rt::private::OutputSlot],
                    ),
                ) {
                    with(&mut [&mut self.logits]);
                }
            }
            ///The inputs of `decoder`.
            #[derive(Clone, Copy, Debug)]
            pub struct Input<'a> {
                /**`id`: int32 `[1, 1]`.

Manifest key: `models.decoder.functions."single step".inputs.id`.*/
                pub id: ::coreml_rt::TensorView<
                    'a,
                    i32,
                    (::coreml_rt::Fixed<1>, ::coreml_rt::Fixed<1>),
                >,
            }
            ///The outputs of `decoder`.
            #[derive(Clone, Debug, PartialEq)]
            pub struct Output {
                /**`logits`: float16 `[1, 10]`.

Manifest key: `models.decoder.functions."single step".outputs.logits`.*/
                pub logits: ::coreml_rt::Tensor<
                    ::coreml_rt::f16,
                    (::coreml_rt::Fixed<1>, ::coreml_rt::Fixed<10>),
                >,
            }
            impl Output {
                ///Returns an output of zeros, to predict into.
                pub fn zeros() -> Self {
                    Self {
                        logits: ::coreml_rt::Tensor::zeros(),
                    }
                }
            }
            impl ::core::default::Default for Output {
                fn default() -> Self {
                    Self::zeros()
                }
            }
            /**The states of `decoder` in one sequence of predictions; zero at first.

Made by [`Model::new_state`].*/
            #[derive(Debug)]
            pub struct State(::coreml_rt::private::State);
            impl State {
                /**Copies the state `cache`: float16 `[1, 32]`.

Manifest key: `models.decoder.functions."single step".states.cache`.*/
                pub fn cache(
                    &self,
                ) -> ::core::result::Result<
                    ::coreml_rt::Tensor<
                        ::coreml_rt::f16,
                        (::coreml_rt::Fixed<1>, ::coreml_rt::Fixed<32>),
                    >,
                    ::coreml_rt::Error,
                > {
                    self.0.get(0)
                }
                /**Replaces the state `cache`: float16 `[1, 32]`.

Manifest key: `models.decoder.functions."single step".states.cache`.*/
                pub fn set_cache(
                    &mut self,
                    value: ::coreml_rt::TensorView<
                        '_,
                        ::coreml_rt::f16,
                        (::coreml_rt::Fixed<1>, ::coreml_rt::Fixed<32>),
                    >,
                ) -> ::core::result::Result<(), ::coreml_rt::Error> {
                    self.0.set(0, value)
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
                        &[
                            "/out/coreml/net.toml/decoder.samples.single step.0.safetensors",
                        ],
                        ::coreml_rt::Tolerance::Psnr(40f64),
                        ::core::option::Option::None,
                    );
                    ::core::assert!(
                        passed, "the model does not match PyTorch; see the figures above"
                    );
                }
            }
        }
    }
    /**`other`, made from `python/net.py:other`.

Manifest key: `models.other`.*/
    pub mod other {
        /**The model `other`, made from `python/net.py:other`.

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
                self.0.predict([&input.x], &mut [])
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
            name: "other",
            manifest: "net.toml",
            interface: "{\"specification_version\":7,\"default_function\":\"main\",\"functions\":[{\"name\":\"main\",\"inputs\":[{\"name\":\"x\",\"description\":\"\",\"kind\":{\"kind\":\"multi-array\",\"data_type\":\"float32\",\"shape\":{\"default\":[1],\"flexibility\":\"fixed\"}},\"default\":null}],\"outputs\":[],\"states\":[],\"classifier\":null}]}",
            function: ::core::option::Option::None,
            package: "other.mlpackage",
            built: "/out/coreml/net.toml/other.mlpackage",
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
                self.0.predict_async([&input.x], output)
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
                                    &input.x,
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
                with(&mut []);
            }
        }
        ///The inputs of `other`.
        #[derive(Clone, Copy, Debug)]
        pub struct Input<'a> {
            /**`x`: float32 `[1]`.

Manifest key: `models.other.inputs.x`.*/
            pub x: ::coreml_rt::TensorView<'a, f32, (::coreml_rt::Fixed<1>,)>,
        }
        ///The outputs of `other`.
        #[derive(Clone, Debug, PartialEq)]
        pub struct Output {}
        impl Output {
            ///Returns an output of zeros, to predict into.
            pub fn zeros() -> Self {
                Self {}
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
                    &["/out/coreml/net.toml/other.samples.0.safetensors"],
                    ::coreml_rt::Tolerance::Psnr(40f64),
                    ::core::option::Option::None,
                );
                ::core::assert!(
                    passed, "the model does not match PyTorch; see the figures above"
                );
            }
        }
    }
}
