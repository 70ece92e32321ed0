//! Generated code as a snapshot: see `src/expand/tests.rs`.

pub mod net {
    /*!

Generated from `net.toml`:

- `text`, made from `python/net.py:text`.*/
    const _: () = ::coreml_rt::private::assert_same_version("0.1.0");
    const _: &[u8] = ::core::include_bytes!("/out/coreml/net.toml/index.json");
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
            let model = ::coreml_rt::private::BucketedModel::load(&BUCKETS, options)?;
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
    }
    /**A size of `text`: the length of dimension 1 of `ids`.

Manifest key: `model.buckets`.*/
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
    static BUCKETS: [(::core::primitive::usize, ::coreml_rt::private::Description); 2] = [
        (
            8,
            ::coreml_rt::private::Description {
                name: "text",
                manifest: "net.toml",
                interface: "{\"specification_version\":7,\"default_function\":\"bucket_8\",\"functions\":[{\"name\":\"bucket_8\",\"inputs\":[{\"name\":\"ids\",\"description\":\"\",\"kind\":{\"kind\":\"multi-array\",\"data_type\":\"int32\",\"shape\":{\"default\":[1,8],\"flexibility\":\"fixed\"}},\"default\":null},{\"name\":\"mask\",\"description\":\"\",\"kind\":{\"kind\":\"multi-array\",\"data_type\":\"float16\",\"shape\":{\"default\":[1,8],\"flexibility\":\"fixed\"}},\"default\":null},{\"name\":\"temperature\",\"description\":\"\",\"kind\":{\"kind\":\"multi-array\",\"data_type\":\"float32\",\"shape\":{\"default\":[1],\"flexibility\":\"fixed\"}},\"default\":null}],\"outputs\":[{\"name\":\"hidden\",\"description\":\"\",\"kind\":{\"kind\":\"multi-array\",\"data_type\":\"float16\",\"shape\":{\"default\":[1,8,4],\"flexibility\":\"fixed\"}},\"default\":null},{\"name\":\"pooled\",\"description\":\"\",\"kind\":{\"kind\":\"multi-array\",\"data_type\":\"float32\",\"shape\":{\"default\":[1,4],\"flexibility\":\"fixed\"}},\"default\":null}],\"states\":[],\"classifier\":null},{\"name\":\"bucket_16\",\"inputs\":[{\"name\":\"ids\",\"description\":\"\",\"kind\":{\"kind\":\"multi-array\",\"data_type\":\"int32\",\"shape\":{\"default\":[1,16],\"flexibility\":\"fixed\"}},\"default\":null},{\"name\":\"mask\",\"description\":\"\",\"kind\":{\"kind\":\"multi-array\",\"data_type\":\"float16\",\"shape\":{\"default\":[1,16],\"flexibility\":\"fixed\"}},\"default\":null},{\"name\":\"temperature\",\"description\":\"\",\"kind\":{\"kind\":\"multi-array\",\"data_type\":\"float32\",\"shape\":{\"default\":[1],\"flexibility\":\"fixed\"}},\"default\":null}],\"outputs\":[{\"name\":\"hidden\",\"description\":\"\",\"kind\":{\"kind\":\"multi-array\",\"data_type\":\"float16\",\"shape\":{\"default\":[1,16,4],\"flexibility\":\"fixed\"}},\"default\":null},{\"name\":\"pooled\",\"description\":\"\",\"kind\":{\"kind\":\"multi-array\",\"data_type\":\"float32\",\"shape\":{\"default\":[1,4],\"flexibility\":\"fixed\"}},\"default\":null}],\"states\":[],\"classifier\":null}],\"buckets\":{\"input\":\"ids\",\"axis\":1,\"min\":2,\"sizes\":[8,16],\"padded\":[{\"input\":\"ids\",\"axes\":[1],\"value\":3.0}],\"mask\":{\"input\":\"mask\",\"axis\":1},\"trimmed\":[{\"output\":\"hidden\",\"axes\":[1]}]}}",
                function: ::core::option::Option::Some("bucket_8"),
                package: "text.mlpackage",
                built: "/out/coreml/net.toml/text.mlpackage",
                content_digest: ::core::option::Option::None,
                compute_units: ::coreml_rt::private::ComputeUnits::All,
                embedded: ::core::option::Option::None,
            },
        ),
        (
            16,
            ::coreml_rt::private::Description {
                name: "text",
                manifest: "net.toml",
                interface: "{\"specification_version\":7,\"default_function\":\"bucket_8\",\"functions\":[{\"name\":\"bucket_8\",\"inputs\":[{\"name\":\"ids\",\"description\":\"\",\"kind\":{\"kind\":\"multi-array\",\"data_type\":\"int32\",\"shape\":{\"default\":[1,8],\"flexibility\":\"fixed\"}},\"default\":null},{\"name\":\"mask\",\"description\":\"\",\"kind\":{\"kind\":\"multi-array\",\"data_type\":\"float16\",\"shape\":{\"default\":[1,8],\"flexibility\":\"fixed\"}},\"default\":null},{\"name\":\"temperature\",\"description\":\"\",\"kind\":{\"kind\":\"multi-array\",\"data_type\":\"float32\",\"shape\":{\"default\":[1],\"flexibility\":\"fixed\"}},\"default\":null}],\"outputs\":[{\"name\":\"hidden\",\"description\":\"\",\"kind\":{\"kind\":\"multi-array\",\"data_type\":\"float16\",\"shape\":{\"default\":[1,8,4],\"flexibility\":\"fixed\"}},\"default\":null},{\"name\":\"pooled\",\"description\":\"\",\"kind\":{\"kind\":\"multi-array\",\"data_type\":\"float32\",\"shape\":{\"default\":[1,4],\"flexibility\":\"fixed\"}},\"default\":null}],\"states\":[],\"classifier\":null},{\"name\":\"bucket_16\",\"inputs\":[{\"name\":\"ids\",\"description\":\"\",\"kind\":{\"kind\":\"multi-array\",\"data_type\":\"int32\",\"shape\":{\"default\":[1,16],\"flexibility\":\"fixed\"}},\"default\":null},{\"name\":\"mask\",\"description\":\"\",\"kind\":{\"kind\":\"multi-array\",\"data_type\":\"float16\",\"shape\":{\"default\":[1,16],\"flexibility\":\"fixed\"}},\"default\":null},{\"name\":\"temperature\",\"description\":\"\",\"kind\":{\"kind\":\"multi-array\",\"data_type\":\"float32\",\"shape\":{\"default\":[1],\"flexibility\":\"fixed\"}},\"default\":null}],\"outputs\":[{\"name\":\"hidden\",\"description\":\"\",\"kind\":{\"kind\":\"multi-array\",\"data_type\":\"float16\",\"shape\":{\"default\":[1,16,4],\"flexibility\":\"fixed\"}},\"default\":null},{\"name\":\"pooled\",\"description\":\"\",\"kind\":{\"kind\":\"multi-array\",\"data_type\":\"float32\",\"shape\":{\"default\":[1,4],\"flexibility\":\"fixed\"}},\"default\":null}],\"states\":[],\"classifier\":null}],\"buckets\":{\"input\":\"ids\",\"axis\":1,\"min\":2,\"sizes\":[8,16],\"padded\":[{\"input\":\"ids\",\"axes\":[1],\"value\":3.0}],\"mask\":{\"input\":\"mask\",\"axis\":1},\"trimmed\":[{\"output\":\"hidden\",\"axes\":[1]}]}}",
                function: ::core::option::Option::Some("bucket_16"),
                package: "text.mlpackage",
                built: "/out/coreml/net.toml/text.mlpackage",
                content_digest: ::core::option::Option::None,
                compute_units: ::coreml_rt::private::ComputeUnits::All,
                embedded: ::core::option::Option::None,
            },
        ),
    ];
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

Manifest key: `model.inputs.ids`.*/
        pub ids: ::coreml_rt::TensorView<
            'a,
            i32,
            (::coreml_rt::Fixed<1>, ::coreml_rt::Range<2, 16>),
        >,
        /**`temperature`: float32 `[1]`.

Manifest key: `model.inputs.temperature`.*/
        pub temperature: ::coreml_rt::TensorView<'a, f32, (::coreml_rt::Fixed<1>,)>,
    }
    ///The outputs of `text`.
    #[derive(Clone, Debug, PartialEq)]
    pub struct Output {
        /**`hidden`: float16 `[1, 2..=16, 4]`.

Manifest key: `model.outputs.hidden`.*/
        pub hidden: ::coreml_rt::Tensor<
            ::coreml_rt::f16,
            (::coreml_rt::Fixed<1>, ::coreml_rt::Range<2, 16>, ::coreml_rt::Fixed<4>),
        >,
        /**`pooled`: float32 `[1, 4]`.

Manifest key: `model.outputs.pooled`.*/
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
                    "/out/coreml/net.toml/text.samples.bucket_8.0.safetensors",
                    "/out/coreml/net.toml/text.samples.bucket_16.0.safetensors",
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
