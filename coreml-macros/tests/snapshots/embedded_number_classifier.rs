//! Generated code as a snapshot: see `src/expand/tests.rs`.

pub mod net {
    /*!

Generated from `net.toml`:

- `net`, made from `python/net.py:net`.*/
    const _: () = ::coreml_rt::private::assert_same_version("0.1.0");
    const _: &[u8] = ::core::include_bytes!("/out/coreml/net.toml/index.json");
    /**The model `net`, made from `python/net.py:net`.

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
                    [&input.x],
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
        /// Returns the files that belong to the model.
        pub fn files(&self) -> Files {
            Files(self.0.files())
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
        name: "net",
        manifest: "net.toml",
        interface: "{\"specification_version\":7,\"default_function\":\"main\",\"functions\":[{\"name\":\"main\",\"inputs\":[{\"name\":\"x\",\"description\":\"\",\"kind\":{\"kind\":\"multi-array\",\"data_type\":\"float32\",\"shape\":{\"default\":[2],\"flexibility\":\"fixed\"}},\"default\":null}],\"outputs\":[{\"name\":\"classLabel\",\"description\":\"\",\"kind\":{\"kind\":\"int64-label\"},\"default\":null},{\"name\":\"classLabel_probs\",\"description\":\"\",\"kind\":{\"kind\":\"probabilities\"},\"default\":null}],\"states\":[],\"classifier\":{\"label\":\"classLabel\",\"probabilities\":\"classLabel_probs\",\"labels\":{\"int64s\":[-1,1]}}}]}",
        function: ::core::option::Option::None,
        package: "net.mlpackage",
        built: "/out/coreml/net.toml/net.mlpackage",
        content_digest: ::core::option::Option::None,
        compute_units: ::coreml_rt::private::ComputeUnits::All,
        embedded: ::core::option::Option::Some(embedded),
    };
    /// Returns the files of the package, which the linker put into the program.
    #[allow(unsafe_code, non_upper_case_globals)]
    fn embedded() -> ::coreml_rt::private::EmbeddedFiles {
        unsafe extern "C" {
            static coreml_00ff_0: u8;
            static coreml_00ff_0_end: u8;
            static coreml_00ff_1: u8;
            static coreml_00ff_1_end: u8;
        }
        unsafe {
            ::std::vec![
                ("Manifest.json", ::coreml_rt::private::embedded_bytes(& raw const
                coreml_00ff_0, & raw const coreml_00ff_0_end)),
                ("Data/com.apple.CoreML/model.mlmodel",
                ::coreml_rt::private::embedded_bytes(& raw const coreml_00ff_1, & raw
                const coreml_00ff_1_end))
            ]
        }
    }
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
            with(&mut [&mut self.class_label, &mut self.class_label_probs]);
        }
    }
    ///The inputs of `net`.
    #[derive(Clone, Copy, Debug)]
    pub struct Input<'a> {
        /**`x`: float32 `[2]`.

Manifest key: `model.inputs.x`.*/
        pub x: ::coreml_rt::TensorView<'a, f32, (::coreml_rt::Fixed<2>,)>,
    }
    ///The outputs of `net`.
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
    /**A class of `net`, in the order of the network's output.

Manifest key: `model.classifier`.*/
    #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
    pub enum Label {
        ///`-1`
        Minus1,
        ///`1`
        _1,
    }
    impl Label {
        /// Every class.
        pub const ALL: [Self; 2] = [Self::Minus1, Self::_1];
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
        /// Returns the number of the class.
        pub const fn value(self) -> i64 {
            [-1, 1][self as usize]
        }
    }
    impl ::core::fmt::Display for Label {
        fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
            ::core::fmt::Display::fmt(&self.value(), f)
        }
    }
    /**The files that belong to the model. They lie where it was found.

Manifest key: `model.files`.*/
    #[derive(Clone, Debug)]
    pub struct Files(::coreml_rt::private::Files);
    impl Files {
        /**Reads `tokenizer.json`.

Errors: it is not there, or is not the one of the build.*/
        pub fn tokenizer_json(
            &self,
        ) -> ::core::result::Result<::coreml_rt::ModelFile, ::coreml_rt::Error> {
            self.0.open(&FILES[0])
        }
    }
    /// How the runtime finds and checks each file.
    static FILES: [::coreml_rt::private::FileDescription; 1] = [
        ::coreml_rt::private::FileDescription {
            name: "tokenizer.json",
            folder: "net.files",
            manifest: "net.toml",
            digest: ::core::option::Option::Some("0123456789abcdef0123456789abcdef"),
            embedded: ::core::option::Option::Some(embedded_file_0),
        },
    ];
    /// Returns the file, which the linker put into the program.
    #[allow(unsafe_code, non_upper_case_globals)]
    fn embedded_file_0() -> &'static [::core::primitive::u8] {
        unsafe extern "C" {
            static coreml_89abcdef01234567_0: u8;
            static coreml_89abcdef01234567_0_end: u8;
        }
        unsafe {
            ::coreml_rt::private::embedded_bytes(
                &raw const coreml_89abcdef01234567_0,
                &raw const coreml_89abcdef01234567_0_end,
            )
        }
    }
}
