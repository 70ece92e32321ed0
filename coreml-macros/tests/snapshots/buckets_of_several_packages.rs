//! Generated code as a snapshot: see `src/expand/tests.rs`.

pub mod net {
    /*!

Generated from `net.toml`:

- `text`, made from `python/net.py:text`.
- `other`, made from `python/net.py:other`.*/
    const _: () = ::coreml_rt::private::assert_same_version("0.1.0");
    const _: &[u8] = ::core::include_bytes!("/out/coreml/net.toml/index.json");
    ///All models of `net.toml`, loaded together.
    #[derive(Debug)]
    pub struct Models {
        ///`text`, made from `python/net.py:text`.
        pub text: text::Model,
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
                text: text::Model::load_with(options)?,
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
    /**`text`, made from `python/net.py:text`.

Manifest key: `models.text`.*/
    pub mod text {
        /**The model `text`, made from `python/net.py:text`.

It exists in several sizes ([`Bucket`]): a prediction pads its input to the smallest size that it fits into, and trims the output to the true length. Each size is loaded on first use.

Threads can share it; each prediction runs on its own.*/
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
                let model = ::coreml_rt::private::BucketedModel::load(
                    &BUCKETS,
                    options,
                )?;
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
                self.0
                    .predict(
                        [&input.ids, &input.temperature],
                        &mut [&mut output.hidden, &mut output.pooled],
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
            /// Returns the files that belong to the model.
            pub fn files(&self) -> Files {
                Files(self.0.files())
            }
        }
        /**A size of `text`: the length of dimension 1 of `ids`.

Manifest key: `models.text.buckets`.*/
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Bucket {
            ///Up to 8.
            Size8,
            ///Up to 16.
            Size16,
        }
        impl Bucket {
            /// Every bucket, the smallest first.
            pub const ALL: [Self; 2] = [Self::Size8, Self::Size16];
            /// Returns the largest length that the bucket takes.
            pub const fn size(self) -> ::core::primitive::usize {
                match self {
                    Self::Size8 => 8,
                    Self::Size16 => 16,
                }
            }
            /// Returns the smallest bucket that takes `length`: the one that a prediction runs.
            /// Errors: no bucket takes it.
            pub fn smallest(
                length: ::core::primitive::usize,
            ) -> ::core::result::Result<Self, ::coreml_rt::ShapeError> {
                match length {
                    2..=8 => ::core::result::Result::Ok(Self::Size8),
                    9..=16 => ::core::result::Result::Ok(Self::Size16),
                    _ => {
                        ::core::result::Result::Err(::coreml_rt::ShapeError::NoBucket {
                            length,
                            min: 2,
                            sizes: Self::ALL.iter().map(|bucket| bucket.size()).collect(),
                        })
                    }
                }
            }
        }
        /// How the runtime finds, checks and loads each bucket.
        static BUCKETS: [(
            ::core::primitive::usize,
            ::coreml_rt::private::Description,
        ); 2] = [
            (
                8,
                ::coreml_rt::private::Description {
                    name: "text_8",
                    manifest: "net.toml",
                    interface: "{\"specification_version\":7,\"default_function\":\"main\",\"functions\":[{\"name\":\"main\",\"inputs\":[{\"name\":\"ids\",\"description\":\"\",\"kind\":{\"kind\":\"multi-array\",\"data_type\":\"int32\",\"shape\":{\"default\":[1,8],\"flexibility\":\"fixed\"}},\"default\":null},{\"name\":\"mask\",\"description\":\"\",\"kind\":{\"kind\":\"multi-array\",\"data_type\":\"float16\",\"shape\":{\"default\":[1,8],\"flexibility\":\"fixed\"}},\"default\":null},{\"name\":\"temperature\",\"description\":\"\",\"kind\":{\"kind\":\"multi-array\",\"data_type\":\"float32\",\"shape\":{\"default\":[1],\"flexibility\":\"fixed\"}},\"default\":null}],\"outputs\":[{\"name\":\"hidden\",\"description\":\"\",\"kind\":{\"kind\":\"multi-array\",\"data_type\":\"float16\",\"shape\":{\"default\":[1,8,4],\"flexibility\":\"fixed\"}},\"default\":null},{\"name\":\"pooled\",\"description\":\"\",\"kind\":{\"kind\":\"multi-array\",\"data_type\":\"float32\",\"shape\":{\"default\":[1,4],\"flexibility\":\"fixed\"}},\"default\":null}],\"states\":[],\"classifier\":null}],\"buckets\":{\"input\":\"ids\",\"axis\":1,\"min\":2,\"sizes\":[8],\"padded\":[{\"input\":\"ids\",\"axes\":[1],\"value\":3.0}],\"mask\":{\"input\":\"mask\",\"axis\":1},\"trimmed\":[{\"output\":\"hidden\",\"axes\":[1]}]}}",
                    function: ::core::option::Option::None,
                    package: "text_8.mlpackage",
                    built: "/out/coreml/net.toml/text_8.mlpackage",
                    content_digest: ::core::option::Option::None,
                    compute_units: ::coreml_rt::private::ComputeUnits::All,
                    embedded: ::core::option::Option::Some(embedded_8),
                },
            ),
            (
                16,
                ::coreml_rt::private::Description {
                    name: "text_16",
                    manifest: "net.toml",
                    interface: "{\"specification_version\":7,\"default_function\":\"main\",\"functions\":[{\"name\":\"main\",\"inputs\":[{\"name\":\"ids\",\"description\":\"\",\"kind\":{\"kind\":\"multi-array\",\"data_type\":\"int32\",\"shape\":{\"default\":[1,16],\"flexibility\":\"fixed\"}},\"default\":null},{\"name\":\"mask\",\"description\":\"\",\"kind\":{\"kind\":\"multi-array\",\"data_type\":\"float16\",\"shape\":{\"default\":[1,16],\"flexibility\":\"fixed\"}},\"default\":null},{\"name\":\"temperature\",\"description\":\"\",\"kind\":{\"kind\":\"multi-array\",\"data_type\":\"float32\",\"shape\":{\"default\":[1],\"flexibility\":\"fixed\"}},\"default\":null}],\"outputs\":[{\"name\":\"hidden\",\"description\":\"\",\"kind\":{\"kind\":\"multi-array\",\"data_type\":\"float16\",\"shape\":{\"default\":[1,16,4],\"flexibility\":\"fixed\"}},\"default\":null},{\"name\":\"pooled\",\"description\":\"\",\"kind\":{\"kind\":\"multi-array\",\"data_type\":\"float32\",\"shape\":{\"default\":[1,4],\"flexibility\":\"fixed\"}},\"default\":null}],\"states\":[],\"classifier\":null}],\"buckets\":{\"input\":\"ids\",\"axis\":1,\"min\":2,\"sizes\":[16],\"padded\":[{\"input\":\"ids\",\"axes\":[1],\"value\":3.0}],\"mask\":{\"input\":\"mask\",\"axis\":1},\"trimmed\":[{\"output\":\"hidden\",\"axes\":[1]}]}}",
                    function: ::core::option::Option::None,
                    package: "text_16.mlpackage",
                    built: "/out/coreml/net.toml/text_16.mlpackage",
                    content_digest: ::core::option::Option::None,
                    compute_units: ::coreml_rt::private::ComputeUnits::All,
                    embedded: ::core::option::Option::Some(embedded_16),
                },
            ),
        ];
        /// Returns the files of the package, which the linker put into the program.
        #[allow(unsafe_code, non_upper_case_globals)]
        fn embedded_8() -> ::coreml_rt::private::EmbeddedFiles {
            unsafe extern "C" {
                static coreml_8_0: u8;
                static coreml_8_0_end: u8;
            }
            unsafe {
                ::std::vec![
                    ("Manifest.json", ::coreml_rt::private::embedded_bytes(& raw const
                    coreml_8_0, & raw const coreml_8_0_end))
                ]
            }
        }
        /// Returns the files of the package, which the linker put into the program.
        #[allow(unsafe_code, non_upper_case_globals)]
        fn embedded_16() -> ::coreml_rt::private::EmbeddedFiles {
            unsafe extern "C" {
                static coreml_16_0: u8;
                static coreml_16_0_end: u8;
            }
            unsafe {
                ::std::vec![
                    ("Manifest.json", ::coreml_rt::private::embedded_bytes(& raw const
                    coreml_16_0, & raw const coreml_16_0_end))
                ]
            }
        }
        impl Model {
            /// Finds and loads the model on a thread of its own.
            pub fn load_async(
                options: ::coreml_rt::LoadOptions,
            ) -> ::coreml_rt::Completion<Self> {
                ::coreml_rt::private::BucketedModel::load_async(&BUCKETS, options, Self)
            }
            ///Starts the smallest bucket that the input fits into and returns at once; any number of predictions may run at the same time. Before it returns, the input is copied, and the bucket is loaded on first use: see [`load_bucket`](Self::load_bucket). On Apple's systems this needs macOS 14 or iOS 17.
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
                self.0.predict_async([&input.ids, &input.temperature], output)
            }
            ///Runs each input in its bucket, the inputs of one bucket as one request, and returns the outputs in the order of the inputs.
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
                                    &input.ids,
                                    &input.temperature,
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
                with(&mut [&mut self.hidden, &mut self.pooled]);
            }
        }
        ///The inputs of `text`.
        #[derive(Clone, Copy, Debug)]
        pub struct Input<'a> {
            /**`ids`: int32 `[1, 2..=16]`.

Manifest key: `models.text.inputs.ids`.*/
            pub ids: ::coreml_rt::TensorView<
                'a,
                i32,
                (::coreml_rt::Fixed<1>, ::coreml_rt::Range<2, 16>),
            >,
            /**`temperature`: float32 `[1]`.

Manifest key: `models.text.inputs.temperature`.*/
            pub temperature: ::coreml_rt::TensorView<'a, f32, (::coreml_rt::Fixed<1>,)>,
        }
        ///The outputs of `text`.
        #[derive(Clone, Debug, PartialEq)]
        pub struct Output {
            /**`hidden`: float16 `[1, 2..=16, 4]`.

Manifest key: `models.text.outputs.hidden`.*/
            pub hidden: ::coreml_rt::Tensor<
                ::coreml_rt::f16,
                (::coreml_rt::Fixed<1>, ::coreml_rt::Range<2, 16>, ::coreml_rt::Fixed<4>),
            >,
            /**`pooled`: float32 `[1, 4]`.

Manifest key: `models.text.outputs.pooled`.*/
            pub pooled: ::coreml_rt::Tensor<
                f32,
                (::coreml_rt::Fixed<1>, ::coreml_rt::Fixed<4>),
            >,
        }
        impl Output {
            ///Returns an output of zeros, to predict into. Flexible dimensions have their smallest sizes until a prediction changes them.
            pub fn zeros() -> Self {
                Self {
                    hidden: ::coreml_rt::Tensor::smallest(),
                    pooled: ::coreml_rt::Tensor::zeros(),
                }
            }
        }
        impl ::core::default::Default for Output {
            fn default() -> Self {
                Self::zeros()
            }
        }
        /**The files that belong to the model. They lie where it was found.

Manifest key: `models.text.files`.*/
        #[derive(Clone, Debug)]
        pub struct Files(::coreml_rt::private::Files);
        impl Files {
            /**Reads `words.txt`.

Errors: it is not there, or is not the one of the build.*/
            pub fn words_txt(
                &self,
            ) -> ::core::result::Result<::coreml_rt::ModelFile, ::coreml_rt::Error> {
                self.0.open(&FILES[0])
            }
            /**Reads `type`.

Errors: it is not there, or is not the one of the build.*/
            pub fn type_(
                &self,
            ) -> ::core::result::Result<::coreml_rt::ModelFile, ::coreml_rt::Error> {
                self.0.open(&FILES[1])
            }
        }
        /// How the runtime finds and checks each file.
        static FILES: [::coreml_rt::private::FileDescription; 2] = [
            ::coreml_rt::private::FileDescription {
                name: "words.txt",
                folder: "text.files",
                manifest: "net.toml",
                digest: ::core::option::Option::None,
                embedded: ::core::option::Option::None,
            },
            ::coreml_rt::private::FileDescription {
                name: "type",
                folder: "text.files",
                manifest: "net.toml",
                digest: ::core::option::Option::None,
                embedded: ::core::option::Option::None,
            },
        ];
        /// Compares the model with PyTorch, on the samples that the conversion kept.
        #[cfg(test)]
        mod parity {
            /// Prints the figures of every sample, and fails when one does not meet the manifest's
            /// `parity`.
            #[test]
            fn matches_pytorch() {
                let passed = ::coreml_rt::private::parity_test_of_buckets(
                    "text",
                    &super::BUCKETS,
                    &[
                        "/out/coreml/net.toml/text_8.samples.0.safetensors",
                        "/out/coreml/net.toml/text_16.samples.0.safetensors",
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
