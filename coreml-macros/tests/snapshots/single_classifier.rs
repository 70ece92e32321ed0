//! Generated code as a snapshot: see `src/expand/tests.rs`.

pub mod net {
    /*!

Generated from `net.toml`:

- `digits`, made from `python/net.py:digits`. Handwritten digits.*/
    const _: () = ::coreml_rt::private::assert_same_version("0.1.0");
    const _: &[u8] = ::core::include_bytes!("/out/coreml/net.toml/index.json");
    /**The model `digits`, made from `python/net.py:digits`. Handwritten digits.

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
                    [&input.image],
                    &mut [&mut output.class_label, &mut output.class_label_probs],
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
        name: "digits",
        manifest: "net.toml",
        interface: "{\"specification_version\":7,\"default_function\":\"main\",\"functions\":[{\"name\":\"main\",\"inputs\":[{\"name\":\"image\",\"description\":\"A grey picture, 0 (black) to 1 (white)\",\"kind\":{\"kind\":\"multi-array\",\"data_type\":\"float32\",\"shape\":{\"default\":[1,1,8,8],\"flexibility\":\"fixed\"}},\"default\":null}],\"outputs\":[{\"name\":\"classLabel\",\"description\":\"\",\"kind\":{\"kind\":\"string-label\"},\"default\":null},{\"name\":\"classLabel_probs\",\"description\":\"\",\"kind\":{\"kind\":\"probabilities\"},\"default\":null}],\"states\":[],\"classifier\":{\"label\":\"classLabel\",\"probabilities\":\"classLabel_probs\",\"labels\":{\"strings\":[\"zero\",\"one\",\"golden retriever\"]}}}]}",
        function: ::core::option::Option::None,
        package: "digits.mlpackage",
        built: "/out/coreml/net.toml/digits.mlpackage",
        content_digest: ::core::option::Option::Some("0123456789abcdef0123456789abcdef"),
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
            self.0.predict_async([&input.image], output)
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
                                &input.image,
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
            with(&mut [&mut self.class_label, &mut self.class_label_probs]);
        }
    }
    ///The inputs of `digits`.
    #[derive(Clone, Copy, Debug)]
    pub struct Input<'a> {
        /**`image`: float32 `[1, 1, 8, 8]`. A grey picture, 0 (black) to 1 (white).

Manifest key: `model.inputs.image`.*/
        pub image: ::coreml_rt::TensorView<
            'a,
            f32,
            (
                ::coreml_rt::Fixed<1>,
                ::coreml_rt::Fixed<1>,
                ::coreml_rt::Fixed<8>,
                ::coreml_rt::Fixed<8>,
            ),
        >,
    }
    ///The outputs of `digits`.
    #[derive(Clone, Debug, PartialEq)]
    pub struct Output {
        /**`classLabel`: the most probable class.

Manifest key: `model.classifier`.*/
        pub class_label: Label,
        /**`classLabel_probs`: one probability per class.

Manifest key: `model.classifier`.*/
        pub class_label_probs: ::coreml_rt::Probabilities<Label>,
    }
    impl Output {
        ///Returns an output of zeros, to predict into.
        pub fn zeros() -> Self {
            Self {
                class_label: Label::ALL[0],
                class_label_probs: ::coreml_rt::Probabilities::zeros(),
            }
        }
    }
    impl ::core::default::Default for Output {
        fn default() -> Self {
            Self::zeros()
        }
    }
    /**A class of `digits`, in the order of the network's output.

Manifest key: `model.classifier`.*/
    #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
    pub enum Label {
        ///`zero`
        Zero,
        ///`one`
        One,
        ///`golden retriever`
        GoldenRetriever,
    }
    impl Label {
        /// Every class.
        pub const ALL: [Self; 3] = [Self::Zero, Self::One, Self::GoldenRetriever];
        /// Returns the position in [`Self::ALL`].
        pub const fn index(self) -> usize {
            self as usize
        }
    }
    impl ::coreml_rt::ClassLabel for Label {
        const ALL: &'static [Self] = &Self::ALL;
        fn index(self) -> usize {
            self as usize
        }
    }
    impl ::core::str::FromStr for Label {
        type Err = ::coreml_rt::UnknownLabel;
        fn from_str(text: &str) -> ::core::result::Result<Self, Self::Err> {
            ::coreml_rt::private::parse_label(text)
        }
    }
    impl Label {
        /// Returns the text of the class.
        pub const fn as_str(self) -> &'static str {
            ["zero", "one", "golden retriever"][self as usize]
        }
    }
    impl ::core::fmt::Display for Label {
        fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
            f.pad(self.as_str())
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
                &["/out/coreml/net.toml/digits.samples.0.safetensors"],
                ::coreml_rt::Tolerance::Psnr(40f64),
                ::core::option::Option::None,
            );
            ::core::assert!(
                passed, "the model does not match PyTorch; see the figures above"
            );
        }
    }
}
