//! Snapshots of generated code, and the refusals.
//!
//! The snapshots are in `tests/snapshots`; `BLESS=1 cargo test -p coreml-macros` writes them again.

use super::*;
use coreml_spec::{
    Bound, Buckets, Classifier, ColorSpace, ComputeUnits, DataType, Dimension, EmbeddedFile,
    Feature, FeatureKind, Fitting, Flexibility, Function, ImageSize, IndexedFile, IndexedModel,
    InputFitting, Interface, Kept, Labels, Mask, Metric, Models, Padded, Resize, Shape, SizeRange,
    Symbol, Tolerance, Trimmed,
};
use std::path::{Path, PathBuf};

/// A fixed multi-array.
fn tensor(name: &str, data_type: DataType, dims: &[usize]) -> Feature {
    feature(name, FeatureKind::MultiArray { data_type, shape: Shape::fixed(dims) })
}

/// A required feature without a description.
fn feature(name: &str, kind: FeatureKind) -> Feature {
    Feature { name: name.to_owned(), description: String::new(), kind, default: None }
}

/// A model with samples, not embedded.
fn model(name: &str, inputs: Vec<Feature>, outputs: Vec<Feature>) -> IndexedModel {
    let main = Function {
        name: "main".to_owned(),
        inputs,
        outputs,
        states: Vec::new(),
        state_outputs: Vec::new(),
        symbols: Vec::new(),
        classifier: None,
    };
    let interface = Interface {
        specification_version: 7,
        default_function: "main".to_owned(),
        functions: vec![main],
        buckets: None,
    };
    IndexedModel {
        source: format!("python/net.py:{name}"),
        digest: "0".repeat(64),
        samples: vec![format!("{name}.samples.0.safetensors")],
        tolerance: Tolerance::Psnr(40.0),
        ..IndexedModel::new(name, interface)
    }
}

/// Makes a classifier of `model`.
fn classify(model: &mut IndexedModel, labels: Labels) {
    let function = &mut model.interface.functions[0];
    let label = match labels {
        Labels::Strings(_) => FeatureKind::StringLabel,
        Labels::Int64s(_) => FeatureKind::Int64Label,
    };
    function.outputs =
        vec![feature("classLabel", label), feature("classLabel_probs", FeatureKind::Probabilities)];
    let (label, probabilities) = ("classLabel".to_owned(), "classLabel_probs".to_owned());
    function.classifier = Some(Classifier { label, probabilities, labels });
}

/// Expands the models of `net.toml`, as if built below `/out`.
fn expanded(single: bool, models: Vec<IndexedModel>) -> Result<String, String> {
    let folder = PathBuf::from("/out/coreml/net.toml");
    let index_file = folder.join("index.json");
    let items =
        expand("net.toml", &Built { models: Models { single, models }, folder, index_file })?;
    let file: syn::File =
        syn::parse2(quote!(pub mod net { #items })).expect("generated code parses");
    Ok(prettyplease::unparse(&file))
}

/// Compares generated code with the snapshot `name`.
fn assert_snapshot(name: &str, code: &str) {
    let code = format!("//! Generated code as a snapshot: see `src/expand/tests.rs`.\n\n{code}");
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/snapshots").join(name);
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&path, &code).expect("the snapshot is written");
    }
    let snapshot = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        code == snapshot,
        "{} differs; look at the new one with BLESS=1 and `git diff`:\n{code}",
        path.display()
    );
}

#[test]
fn single_classifier() {
    let mut image = tensor("image", DataType::Float32, &[1, 1, 8, 8]);
    image.description = "A grey picture, 0 (black) to 1 (white)".to_owned();
    let mut digits = model("digits", vec![image], Vec::new());
    digits.description = "Handwritten digits".to_owned();
    digits.content_digest = Some("0123456789abcdef".repeat(2));
    classify(
        &mut digits,
        Labels::Strings(["zero", "one", "golden retriever"].map(str::to_owned).to_vec()),
    );
    assert_snapshot("single_classifier.rs", &expanded(true, vec![digits]).unwrap());
}

#[test]
fn several_models() {
    let mut encoder = model(
        "encoder",
        vec![tensor("mel", DataType::Float16, &[1, 80, 3000])],
        vec![tensor("audio.features", DataType::Float16, &[1, 1500, 384])],
    );
    encoder.tolerance = Tolerance::Absolute { atol: 1e-3, rtol: 0.0 };
    encoder.metric = Some(Metric {
        command: "python wer.py \"$COREML_COMPARISON\"".to_owned(),
        folder: "/work".into(),
        bound: Bound::AtMost(3.0),
    });
    encoder.compute_units = ComputeUnits::CpuAndNeuralEngine;
    let mut step = tensor("type", DataType::Int32, &[]);
    step.default = Some(2.0);
    let mut decoder = model(
        "text decoder",
        vec![
            tensor("token-1", DataType::Int32, &[1, 1]),
            tensor("token_1", DataType::Int8, &[4]),
            step,
        ],
        vec![
            tensor("logits", DataType::Float32, &[1, 10]),
            tensor("Logits", DataType::Float64, &[1]),
        ],
    );
    decoder.samples.clear();
    assert_snapshot("several_models.rs", &expanded(false, vec![encoder, decoder]).unwrap());
}

#[test]
fn embedded_number_classifier() {
    let mut net = model("net", vec![tensor("x", DataType::Float32, &[2])], Vec::new());
    classify(&mut net, Labels::Int64s(vec![-1, 1]));
    let file = |path: &str, at| EmbeddedFile {
        path: path.to_owned(),
        symbol: format!("coreml_00ff_{at}"),
    };
    net.embedded = vec![file("Manifest.json", 0), file("Data/com.apple.CoreML/model.mlmodel", 1)];
    net.files = vec![IndexedFile {
        name: "tokenizer.json".to_owned(),
        digest: Some("0123456789abcdef".repeat(2)),
        symbol: Some("coreml_89abcdef01234567_0".to_owned()),
    }];
    net.samples.clear();
    assert_snapshot("embedded_number_classifier.rs", &expanded(true, vec![net]).unwrap());
}

/// A required multi-array with flexible sizes.
fn flexible(name: &str, default: &[usize], flexibility: Flexibility) -> Feature {
    let shape = Shape { default: default.to_vec(), flexibility };
    feature(name, FeatureKind::MultiArray { data_type: DataType::Int32, shape })
}

/// A required image.
fn image(name: &str, color_space: ColorSpace, ranges: Option<(SizeRange, SizeRange)>) -> Feature {
    let size = ImageSize { width: 28, height: 20, ranges, enumerated: Vec::new() };
    feature(name, FeatureKind::Image { size, color_space })
}

#[test]
fn flexible_shapes_states_and_images() {
    let range = |min, max| SizeRange { min, max };
    let ids =
        flexible("ids", &[1, 8], Flexibility::Ranges(vec![range(1, Some(1)), range(1, Some(512))]));
    let mut mask =
        flexible("mask", &[1, 8], Flexibility::Enumerated(vec![vec![1, 8], vec![1, 16]]));
    mask.default = Some(0.0);
    let photo = image("photo", ColorSpace::Bgr, Some((range(1, Some(64)), range(20, Some(20)))));
    let open =
        flexible("logits", &[1, 0], Flexibility::Ranges(vec![range(1, Some(1)), range(0, None)]));
    let mut net = model(
        "net",
        vec![ids, mask, photo],
        vec![open, image("drawn", ColorSpace::Grayscale, None)],
    );
    net.interface.functions[0].states = vec![
        tensor("key.cache", DataType::Float16, &[1, 8, 32]),
        tensor("position", DataType::Float16, &[1]),
    ];
    let place = |feature: &str, axis| Dimension { feature: feature.to_owned(), axis };
    net.interface.functions[0].symbols = vec![Symbol {
        name: Some("T".to_owned()),
        inputs: vec![place("ids", 1), place("photo", 3)],
        outputs: vec![place("logits", 1)],
    }];
    assert_snapshot("flexible_shapes_states_and_images.rs", &expanded(true, vec![net]).unwrap());
}

#[test]
fn several_functions_of_one_package() {
    let ids = tensor("ids", DataType::Int32, &[1, 8]);
    let mut decoder =
        model("decoder", vec![ids], vec![tensor("logits", DataType::Float16, &[1, 10])]);
    let mut step = decoder.interface.functions[0].clone();
    step.name = "single step".to_owned();
    step.inputs = vec![tensor("id", DataType::Int32, &[1, 1])];
    step.states = vec![tensor("cache", DataType::Float16, &[1, 32])];
    decoder.interface.functions.push(step);
    decoder.samples = vec!["decoder.samples.single step.0.safetensors".to_owned()];
    let other = model("other", vec![tensor("x", DataType::Float32, &[1])], Vec::new());
    assert_snapshot(
        "several_functions_of_one_package.rs",
        &expanded(false, vec![decoder.clone(), other]).unwrap(),
    );
    decoder.interface.functions[0].name = "single_step".to_owned();
    decoder.interface.default_function = "single_step".to_owned();
    assert_eq!(
        expanded(false, vec![decoder]).unwrap_err(),
        "the functions `single_step` and `single step` would both be `single_step`: rename one of \
         them"
    );
}

/// A model in buckets of these sizes, in one package.
fn text(sizes: &[usize]) -> IndexedModel {
    let function = |size: usize| Function {
        name: if sizes.len() > 1 { format!("bucket_{size}") } else { "main".to_owned() },
        inputs: vec![
            tensor("ids", DataType::Int32, &[1, size]),
            tensor("mask", DataType::Float16, &[1, size]),
            tensor("temperature", DataType::Float32, &[1]),
        ],
        outputs: vec![
            tensor("hidden", DataType::Float16, &[1, size, 4]),
            tensor("pooled", DataType::Float32, &[1, 4]),
        ],
        states: Vec::new(),
        state_outputs: Vec::new(),
        symbols: Vec::new(),
        classifier: None,
    };
    let mut text = model("text", Vec::new(), Vec::new());
    text.interface.functions = sizes.iter().copied().map(function).collect();
    text.interface.default_function = text.interface.functions[0].name.clone();
    text.interface.buckets = Some(Buckets {
        input: "ids".to_owned(),
        axis: 1,
        min: 2,
        sizes: sizes.to_vec(),
        padded: vec![Padded { input: "ids".to_owned(), axes: vec![1], value: 3.0 }],
        mask: Some(Mask { input: "mask".to_owned(), axis: 1 }),
        trimmed: vec![Trimmed { output: "hidden".to_owned(), axes: vec![1] }],
    });
    text
}

#[test]
fn buckets_of_one_package() {
    let mut text = text(&[8, 16]);
    text.samples = vec![
        "text.samples.bucket_8.0.safetensors".into(),
        "text.samples.bucket_16.0.safetensors".into(),
    ];
    assert_snapshot("buckets_of_one_package.rs", &expanded(true, vec![text]).unwrap());
}

/// The same in a package for each size, embedded.
fn text_apart() -> Vec<IndexedModel> {
    let package = |size: usize| {
        let mut text = text(&[size]);
        text.name = format!("text_{size}");
        text.bucket_of = Some("text".to_owned());
        text.package = format!("text_{size}.mlpackage");
        text.samples = vec![format!("text_{size}.samples.0.safetensors")];
        text.embedded = vec![EmbeddedFile {
            path: "Manifest.json".to_owned(),
            symbol: format!("coreml_{size}_0"),
        }];
        text
    };
    vec![package(8), package(16)]
}

#[test]
fn buckets_of_several_packages() {
    let other = model("other", vec![tensor("x", DataType::Float32, &[1])], Vec::new());
    let mut models: Vec<_> = text_apart().into_iter().chain([other]).collect();
    for package in models.iter_mut().filter(|package| package.bucket_of.is_some()) {
        let file = |name: &str| IndexedFile { name: name.to_owned(), digest: None, symbol: None };
        package.files = vec![file("words.txt"), file("type")];
    }
    assert_snapshot("buckets_of_several_packages.rs", &expanded(false, models).unwrap());
}

#[test]
fn buckets_that_contradict_themselves_are_refused() {
    let message = |change: fn(&mut Vec<IndexedModel>)| {
        let mut models = text_apart();
        change(&mut models);
        expanded(true, models).unwrap_err()
    };
    let ending = ": convert the model again";
    assert_eq!(
        message(|models| models.reverse()),
        format!("the buckets of `text` do not ascend{ending}")
    );
    assert_eq!(
        message(|models| models[1].interface.buckets = None),
        format!("the buckets of `text` are not described{ending}")
    );
    let other_padding = message(|models| {
        let buckets = models[1].interface.buckets.as_mut().unwrap();
        buckets.padded[0].value = 0.0;
    });
    assert_eq!(
        other_padding,
        format!("the buckets of `text` differ in more than their sizes{ending}")
    );
    let odd = message(|models| models[0].interface.buckets.as_mut().unwrap().sizes = vec![9]);
    assert!(odd.contains("contradict themselves (no function takes 9)"), "{odd}");
}

#[test]
fn what_has_no_types_yet_is_refused_all_at_once() {
    let mut first = model(
        "text",
        vec![tensor("x", DataType::Float32, &[1])],
        vec![tensor("deep", DataType::Float32, &[1; 7]), tensor("odd", DataType::UInt8, &[1])],
    );
    first.interface.functions[0].states.push(image("seen", ColorSpace::Rgb, None));
    let second = model("none", Vec::new(), vec![feature("label", FeatureKind::StringLabel)]);
    assert_eq!(
        expanded(false, vec![first, second]).unwrap_err(),
        "#[coreml_model] cannot make types for `net.toml`:\n  \
         models.text: output `deep`: 7 dimensions are not supported: use at most 6\n  \
         models.text: output `odd`: type uint8 is not supported: use float16, float32 or int32\n  \
         models.text: state `seen`: a state is a tensor: convert again\n  \
         models.none: a model without inputs is not supported: give it at least one\n  \
         models.none: output `label`: only the output of a classifier can be a label or \
         probabilities: convert again"
    );
}

#[test]
fn labels_must_be_distinct() {
    let mut net = model("net", vec![tensor("x", DataType::Float32, &[2])], Vec::new());
    classify(&mut net, Labels::Strings(["crane", "cat", "crane"].map(str::to_owned).to_vec()));
    let message = expanded(true, vec![net.clone()]).unwrap_err();
    assert!(message.contains("model: the label `crane` occurs twice"), "{message}");
    classify(&mut net, Labels::Int64s(Vec::new()));
    assert!(expanded(true, vec![net]).unwrap_err().contains("the classifier has no labels"));
}

#[test]
fn names_must_be_distinct() {
    let net = |name| model(name, vec![tensor("x", DataType::Float32, &[2])], Vec::new());
    assert_eq!(
        expanded(false, vec![net("a-b"), net("a_b")]).unwrap_err(),
        "the models `a-b` and `a_b` would both be `a_b`: rename one of them"
    );
    assert!(expanded(false, Vec::new()).unwrap_err().contains("no model"));
}

#[test]
#[cfg(unix)]
fn paths_must_be_unicode() {
    use std::os::unix::ffi::OsStrExt;
    let folder = PathBuf::from(std::ffi::OsStr::from_bytes(b"/out/\xff"));
    let models = Models {
        single: true,
        models: vec![model("net", vec![tensor("x", DataType::Float32, &[2])], vec![])],
    };
    let built = Built { models, index_file: folder.join("index.json"), folder };
    assert!(expand("net.toml", &built).unwrap_err().contains("is not Unicode"));
}

#[test]
fn inputs_that_are_made_to_fit_are_open() {
    let image = |name: &str, color_space| {
        let size = ImageSize { width: 4, height: 2, ranges: None, enumerated: Vec::new() };
        feature(name, FeatureKind::Image { size, color_space })
    };
    let range = |min, max| SizeRange { min, max: Some(max) };
    let mut ids = tensor("ids", DataType::Int32, &[1, 8]);
    if let FeatureKind::MultiArray { shape, .. } = &mut ids.kind {
        shape.flexibility = Flexibility::Ranges(vec![range(1, 1), range(1, 8)]);
    }
    let inputs = vec![ids, image("photo", ColorSpace::Rgb), image("depth", ColorSpace::Grayscale)];
    let mut net = model("net", inputs, vec![tensor("y", DataType::Float32, &[1])]);
    let fitting = |input: &str, fitting| {
        let input = input.to_owned();
        InputFitting { function: None, input, fitting }
    };
    let resize = |how| Fitting::Resize { how, width: 4, height: 2, padding: [114.0, 0.0, 0.5] };
    net.fittings = vec![
        fitting("ids", Fitting::Cut { axis: 1, max: 8, keep: Kept::End }),
        fitting("photo", resize(Resize::Fit)),
        fitting("depth", resize(Resize::Crop)),
    ];
    let code = expanded(true, vec![net.clone()]).unwrap();
    for part in [
        "Range<1, { ::core::primitive::usize::MAX }>",
        "Dimension 1 is cut at its start to at most 8.",
        "A picture of another size is scaled into 4 × 2 pixels.",
        "::coreml_rt::private::assert_resizes();",
        "Range<4, { ::core::primitive::usize::MAX }>",
        "(0, ::coreml_rt::private::Fitting::Cut {",
        "padding: [114.0, 0.0, 0.5],",
        "Model::load(&MODEL, options)?.fitted(&FITTINGS);",
        "|model| Self(model.fitted(&FITTINGS)),",
    ] {
        let plain = |text: &str| text.split_whitespace().collect::<String>();
        assert!(plain(&code).contains(&plain(part)), "{part}:\n{code}");
    }
    // What the package itself takes has not changed.
    let mut strict = net;
    strict.fittings.clear();
    let strict = expanded(true, vec![strict]).unwrap();
    let interface =
        |code: &str| code.lines().find(|line| line.contains("interface: ")).map(str::to_owned);
    assert!(interface(&code).is_some() && interface(&code) == interface(&strict));
    assert!(!strict.contains("FITTINGS"), "{strict}");
}
