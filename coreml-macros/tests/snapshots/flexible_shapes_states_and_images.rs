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
            self.0
                .predict_with_state(
                    &mut state.0,
                    [&input.ids, &input.mask, &input.photo],
                    &mut [&mut output.logits, &mut output.drawn],
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
        name: "net",
        manifest: "net.toml",
        interface: "{\"specification_version\":7,\"default_function\":\"main\",\"functions\":[{\"name\":\"main\",\"inputs\":[{\"name\":\"ids\",\"description\":\"\",\"kind\":{\"kind\":\"multi-array\",\"data_type\":\"int32\",\"shape\":{\"default\":[1,8],\"flexibility\":{\"ranges\":[{\"min\":1,\"max\":1},{\"min\":1,\"max\":512}]}}},\"default\":null},{\"name\":\"mask\",\"description\":\"\",\"kind\":{\"kind\":\"multi-array\",\"data_type\":\"int32\",\"shape\":{\"default\":[1,8],\"flexibility\":{\"enumerated\":[[1,8],[1,16]]}}},\"default\":0.0},{\"name\":\"photo\",\"description\":\"\",\"kind\":{\"kind\":\"image\",\"size\":{\"width\":28,\"height\":20,\"ranges\":[{\"min\":1,\"max\":64},{\"min\":20,\"max\":20}],\"enumerated\":[]},\"color_space\":\"bgr\"},\"default\":null}],\"outputs\":[{\"name\":\"logits\",\"description\":\"\",\"kind\":{\"kind\":\"multi-array\",\"data_type\":\"int32\",\"shape\":{\"default\":[1,0],\"flexibility\":{\"ranges\":[{\"min\":1,\"max\":1},{\"min\":0,\"max\":null}]}}},\"default\":null},{\"name\":\"drawn\",\"description\":\"\",\"kind\":{\"kind\":\"image\",\"size\":{\"width\":28,\"height\":20,\"ranges\":null,\"enumerated\":[]},\"color_space\":\"grayscale\"},\"default\":null}],\"states\":[{\"name\":\"key.cache\",\"description\":\"\",\"kind\":{\"kind\":\"multi-array\",\"data_type\":\"float16\",\"shape\":{\"default\":[1,8,32],\"flexibility\":\"fixed\"}},\"default\":null},{\"name\":\"position\",\"description\":\"\",\"kind\":{\"kind\":\"multi-array\",\"data_type\":\"float16\",\"shape\":{\"default\":[1],\"flexibility\":\"fixed\"}},\"default\":null}],\"symbols\":[{\"name\":\"T\",\"inputs\":[{\"feature\":\"ids\",\"axis\":1},{\"feature\":\"photo\",\"axis\":3}],\"outputs\":[{\"feature\":\"logits\",\"axis\":1}]}],\"classifier\":null}]}",
        function: ::core::option::Option::None,
        package: "net.mlpackage",
        built: "/out/coreml/net.toml/net.mlpackage",
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
            self.0
                .predict_with_state_async(
                    state.0,
                    [&input.ids, &input.mask, &input.photo],
                    output,
                    State,
                )
        }
    }
    impl ::coreml_rt::private::Outputs for Output {
        fn slots(
            &mut self,
            with: &mut dyn FnMut(&mut [&mut dyn ::coreml_rt::private::OutputSlot]),
        ) {
            with(&mut [&mut self.logits, &mut self.drawn]);
        }
    }
    ///The inputs of `net`.
    #[derive(Clone, Copy, Debug)]
    pub struct Input<'a> {
        /**`ids`: int32 `[1, 1..=512]`.

Manifest key: `model.inputs.ids`.*/
        pub ids: ::coreml_rt::TensorView<
            'a,
            i32,
            (::coreml_rt::Fixed<1>, ::coreml_rt::Range<1, 512>),
        >,
        /**`mask`: int32 `[1, 8]` or `[1, 16]`. Optional; `None` stands for 0 in every element.

Manifest key: `model.inputs.mask`.*/
        pub mask: ::core::option::Option<MaskInput<'a>>,
        /**`photo`: color image, 1..=64 × 20 pixels. Dimension 3 has the size of dimension 1 of `ids`.

Manifest key: `model.inputs.photo`.*/
        pub photo: ::coreml_rt::ImageView<
            'a,
            ::coreml_rt::Rgb,
            ::coreml_rt::Range<1, 64>,
            ::coreml_rt::Fixed<20>,
        >,
    }
    ///The outputs of `net`.
    #[derive(Clone, Debug, PartialEq)]
    pub struct Output {
        /**`logits`: int32 `[1, 0..]`. Dimension 1 has the size of dimension 1 of `ids`.

Manifest key: `model.outputs.logits`.*/
        pub logits: ::coreml_rt::Tensor<
            i32,
            (
                ::coreml_rt::Fixed<1>,
                ::coreml_rt::Range<0, { ::core::primitive::usize::MAX }>,
            ),
        >,
        /**`drawn`: grayscale image, 28 × 20 pixels.

Manifest key: `model.outputs.drawn`.*/
        pub drawn: ::coreml_rt::Image<
            ::coreml_rt::Grayscale,
            ::coreml_rt::Fixed<28>,
            ::coreml_rt::Fixed<20>,
        >,
    }
    impl Output {
        ///Returns an output of zeros, to predict into. Flexible dimensions have their smallest sizes until a prediction changes them.
        pub fn zeros() -> Self {
            Self {
                logits: ::coreml_rt::Tensor::smallest(),
                drawn: ::coreml_rt::Image::black(),
            }
        }
    }
    impl ::core::default::Default for Output {
        fn default() -> Self {
            Self::zeros()
        }
    }
    /**The shapes of the input `mask`: int32 `[1, 8]` or `[1, 16]`. Optional; `None` stands for 0 in every element.

Manifest key: `model.inputs.mask`.*/
    #[derive(Clone, Copy, Debug, PartialEq)]
    pub enum MaskInput<'a> {
        ///int32 `[1, 8]`.
        Shape1x8(
            ::coreml_rt::TensorView<
                'a,
                i32,
                (::coreml_rt::Fixed<1>, ::coreml_rt::Fixed<8>),
            >,
        ),
        ///int32 `[1, 16]`.
        Shape1x16(
            ::coreml_rt::TensorView<
                'a,
                i32,
                (::coreml_rt::Fixed<1>, ::coreml_rt::Fixed<16>),
            >,
        ),
    }
    impl<'a> MaskInput<'a> {
        /// Every shape, the default first.
        pub const SHAPES: [[usize; 2]; 2] = [[1, 8], [1, 16]];
        /// Borrows `elements`, given in row-major order, in the shape that `dims` names.
        ///
        /// Errors: `dims` is none of [`Self::SHAPES`], or has another number of elements.
        pub fn from_slice_with_dims(
            elements: &'a [i32],
            dims: [usize; 2],
        ) -> ::core::result::Result<Self, ::coreml_rt::ShapeError> {
            match dims {
                [1, 8] => {
                    ::coreml_rt::TensorView::from_slice(elements).map(Self::Shape1x8)
                }
                [1, 16] => {
                    ::coreml_rt::TensorView::from_slice(elements).map(Self::Shape1x16)
                }
                _ => {
                    ::core::result::Result::Err(::coreml_rt::ShapeError::NotEnumerated {
                        dims: ::std::vec::Vec::from(dims),
                        shapes: Self::SHAPES.iter().map(|shape| shape.to_vec()).collect(),
                    })
                }
            }
        }
    }
    impl<
        'a,
    > ::core::convert::From<
        ::coreml_rt::TensorView<'a, i32, (::coreml_rt::Fixed<1>, ::coreml_rt::Fixed<8>)>,
    > for MaskInput<'a> {
        fn from(
            view: ::coreml_rt::TensorView<
                'a,
                i32,
                (::coreml_rt::Fixed<1>, ::coreml_rt::Fixed<8>),
            >,
        ) -> Self {
            Self::Shape1x8(view)
        }
    }
    impl<
        'a,
    > ::core::convert::From<
        ::coreml_rt::TensorView<'a, i32, (::coreml_rt::Fixed<1>, ::coreml_rt::Fixed<16>)>,
    > for MaskInput<'a> {
        fn from(
            view: ::coreml_rt::TensorView<
                'a,
                i32,
                (::coreml_rt::Fixed<1>, ::coreml_rt::Fixed<16>),
            >,
        ) -> Self {
            Self::Shape1x16(view)
        }
    }
    impl ::coreml_rt::private::InputSlot for MaskInput<'_> {
        fn feature<'s>(
            &'s self,
            default: ::coreml_rt::private::InputRef<'s>,
        ) -> ::coreml_rt::private::InputRef<'s> {
            match self {
                Self::Shape1x8(view) => {
                    ::coreml_rt::private::InputSlot::feature(view, default)
                }
                Self::Shape1x16(view) => {
                    ::coreml_rt::private::InputSlot::feature(view, default)
                }
            }
        }
    }
    /**The states of `net` in one sequence of predictions; zero at first.

Made by [`Model::new_state`].*/
    #[derive(Debug)]
    pub struct State(::coreml_rt::private::State);
    impl State {
        /**Copies the state `key.cache`: float16 `[1, 8, 32]`.

Manifest key: `model.states."key.cache"`.*/
        pub fn key_cache(
            &self,
        ) -> ::core::result::Result<
            ::coreml_rt::Tensor<
                ::coreml_rt::f16,
                (::coreml_rt::Fixed<1>, ::coreml_rt::Fixed<8>, ::coreml_rt::Fixed<32>),
            >,
            ::coreml_rt::Error,
        > {
            self.0.get(0)
        }
        /**Replaces the state `key.cache`: float16 `[1, 8, 32]`.

Manifest key: `model.states."key.cache"`.*/
        pub fn set_key_cache(
            &mut self,
            value: ::coreml_rt::TensorView<
                '_,
                ::coreml_rt::f16,
                (::coreml_rt::Fixed<1>, ::coreml_rt::Fixed<8>, ::coreml_rt::Fixed<32>),
            >,
        ) -> ::core::result::Result<(), ::coreml_rt::Error> {
            self.0.set(0, value)
        }
        /**Copies the state `position`: float16 `[1]`.

Manifest key: `model.states.position`.*/
        pub fn position(
            &self,
        ) -> ::core::result::Result<
            ::coreml_rt::Tensor<::coreml_rt::f16, (::coreml_rt::Fixed<1>,)>,
            ::coreml_rt::Error,
        > {
            self.0.get(1)
        }
        /**Replaces the state `position`: float16 `[1]`.

Manifest key: `model.states.position`.*/
        pub fn set_position(
            &mut self,
            value: ::coreml_rt::TensorView<
                '_,
                ::coreml_rt::f16,
                (::coreml_rt::Fixed<1>,),
            >,
        ) -> ::core::result::Result<(), ::coreml_rt::Error> {
            self.0.set(1, value)
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
                &["/out/coreml/net.toml/net.samples.0.safetensors"],
                ::coreml_rt::Tolerance::Psnr(40f64),
                ::core::option::Option::None,
            );
            ::core::assert!(
                passed, "the model does not match PyTorch; see the figures above"
            );
        }
    }
}
