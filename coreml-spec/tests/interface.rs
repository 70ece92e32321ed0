//! The interface of real packages, one of every kind that coremltools writes (`data/make.py`).

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use coreml_spec::{
    Classifier, ColorSpace, DataType, Feature, FeatureKind, Flexibility, Function, ImageSize,
    Interface, Labels, Package, Shape, SizeRange,
};
use std::path::{Path, PathBuf};

/// Returns the path of a package made by `data/make.py`.
fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/data/packages/{name}.mlpackage"))
}

/// Returns the interface of a package, checked to survive its JSON form.
fn interface(name: &str) -> Interface {
    let interface = Package::open(path(name)).unwrap().interface().unwrap();
    let json = serde_json::to_string(&interface).unwrap();
    assert_eq!(serde_json::from_str::<Interface>(&json).unwrap(), interface, "{json}");
    interface
}

/// Returns the only function of a package.
fn function(name: &str) -> Function {
    let mut interface = interface(name);
    assert_eq!((interface.functions.len(), interface.default_function.as_str()), (1, "main"));
    interface.functions.remove(0)
}

/// Describes a required feature without a description.
fn feature(name: &str, kind: FeatureKind) -> Feature {
    Feature { name: name.into(), description: String::new(), kind, default: None }
}

/// Describes a tensor.
fn tensor(data_type: DataType, default: &[usize], flexibility: Flexibility) -> FeatureKind {
    FeatureKind::MultiArray { data_type, shape: Shape { default: default.into(), flexibility } }
}

/// Describes a tensor of fixed shape.
fn fixed(data_type: DataType, dims: &[usize]) -> FeatureKind {
    tensor(data_type, dims, Flexibility::Fixed)
}

/// Describes ranges: a number twice is fixed, 0 above is unbounded.
fn ranges(bounds: &[(usize, usize)]) -> Flexibility {
    let range = |&(min, max): &(usize, usize)| SizeRange { min, max: (max != 0).then_some(max) };
    Flexibility::Ranges(bounds.iter().map(range).collect())
}

/// Describes an image.
fn image(width: usize, height: usize, color_space: ColorSpace) -> FeatureKind {
    FeatureKind::Image {
        size: ImageSize { width, height, ranges: None, enumerated: vec![] },
        color_space,
    }
}

#[test]
fn fixed_shapes() {
    let function = function("fixed");
    let described = |mut feature: Feature, text: &str| {
        feature.description = text.into();
        feature
    };
    let input = feature("x", fixed(DataType::Float16, &[1, 16]));
    let output = feature("y", fixed(DataType::Float16, &[1, 32]));
    assert_eq!(function.inputs, [described(input, "What goes in.")]);
    assert_eq!(function.outputs, [described(output, "What comes out.")]);
    assert_eq!(
        (function.states, function.classifier, function.name.as_str()),
        (vec![], None, "main")
    );
}

#[test]
fn specification_versions() {
    assert_eq!(interface("fixed").specification_version, 7);
    assert_eq!(interface("float16").specification_version, 9);
}

#[test]
fn element_types() {
    let float16 = function("float16");
    assert_eq!(float16.inputs, [feature("x", fixed(DataType::Float16, &[3, 4]))]);
    assert_eq!(float16.outputs, [feature("y", fixed(DataType::Float16, &[3, 2]))]);
    let int32 = function("int32");
    let inputs =
        [feature("x", fixed(DataType::Int32, &[1])), feature("y", fixed(DataType::Int32, &[5]))];
    assert_eq!(int32.inputs, inputs);
    assert_eq!(int32.outputs, [feature("z", fixed(DataType::Int32, &[5]))]);
}

#[test]
fn ranged_shapes_and_an_optional_input() {
    let function = function("ranges");
    let input = tensor(DataType::Float32, &[4, 3], ranges(&[(1, 9), (3, 3)]));
    let optional = Feature { default: Some(2.5), ..feature("y", input.clone()) };
    assert_eq!(function.inputs, [feature("x", input), optional]);
    // Core ML does not record the shape of a flexible output: the program knows what is fixed of
    // it.
    assert_eq!(
        function.outputs,
        [feature("z", tensor(DataType::Float32, &[0, 3], ranges(&[(0, 0), (3, 3)])))]
    );
}

#[test]
fn enumerated_shapes_begin_with_the_default() {
    let function = function("enumerated");
    let shapes = Flexibility::Enumerated(vec![vec![1, 8], vec![1, 4], vec![2, 8]]);
    assert_eq!(function.inputs, [feature("x", tensor(DataType::Float32, &[1, 8], shapes))]);
}

#[test]
fn exported_dimensions_have_their_lower_bound_as_default() {
    let function = function("exported");
    let input = tensor(DataType::Float32, &[2, 3], ranges(&[(2, 64), (3, 3)]));
    assert_eq!(function.inputs, [feature("x", input)]);
}

#[test]
fn an_output_of_unknown_size() {
    let function = function("unknown");
    let output = tensor(DataType::Int32, &[0, 2], ranges(&[(0, 0), (2, 2)]));
    assert_eq!(function.outputs, [feature("places", output)]);
}

#[test]
fn images() {
    let plain = function("image");
    assert_eq!(plain.inputs, [feature("x", image(6, 8, ColorSpace::Rgb))]);
    assert_eq!(plain.outputs, [feature("y", image(6, 8, ColorSpace::Bgr))]);
    let gray = function("image_gray");
    let inputs =
        [ColorSpace::Grayscale, ColorSpace::GrayscaleFloat16].map(|space| image(6, 8, space));
    assert_eq!(gray.inputs, [feature("x", inputs[0].clone()), feature("y", inputs[1].clone())]);
    assert_eq!(gray.outputs, [feature("z", image(6, 8, ColorSpace::GrayscaleFloat16))]);
    let size = |name: &str| match function(name).inputs.remove(0).kind {
        FeatureKind::Image { size, color_space: ColorSpace::Rgb } => size,
        kind => panic!("{kind:?}"),
    };
    let range = |min, max| SizeRange { min, max: Some(max) };
    let ranges = Some((range(2, 64), range(4, 32)));
    assert_eq!(size("image_ranges"), ImageSize { width: 6, height: 8, ranges, enumerated: vec![] });
    let enumerated = vec![(4, 4), (6, 8)];
    assert_eq!(
        size("image_enumerated"),
        ImageSize { width: 6, height: 8, ranges: None, enumerated }
    );
}

#[test]
fn classifiers() {
    let animals = function("classifier_strings");
    let labels = Labels::Strings(vec!["cat".into(), "a dog".into(), "größe".into()]);
    let outputs = [
        feature("animal", FeatureKind::StringLabel),
        feature("animal_probs", FeatureKind::Probabilities),
    ];
    assert_eq!(animals.outputs, outputs);
    assert_eq!(
        animals.classifier,
        Some(Classifier { label: "animal".into(), probabilities: "animal_probs".into(), labels })
    );
    let numbers = function("classifier_ints");
    assert_eq!(numbers.outputs[0], feature("classLabel", FeatureKind::Int64Label));
    assert_eq!(numbers.classifier.unwrap().labels, Labels::Int64s(vec![7, -1, 1 << 40]));
}

#[test]
fn states() {
    let function = function("state");
    assert_eq!(function.inputs, [feature("x", fixed(DataType::Float16, &[2, 3]))]);
    assert_eq!(function.states, [feature("total", fixed(DataType::Float16, &[2, 3]))]);
    assert_eq!(function.outputs, [feature("y", fixed(DataType::Float16, &[2, 3]))]);
}

#[test]
fn several_functions() {
    let interface = interface("multifunction");
    assert_eq!(interface.default_function, "four");
    let names: Vec<&str> =
        interface.functions.iter().map(|function| function.name.as_str()).collect();
    assert_eq!(names, ["one", "four"]);
    for (name, batch) in [(None, 4), (Some("one"), 1)] {
        let function = interface.function(name).unwrap();
        assert_eq!(function.inputs, [feature("x", fixed(DataType::Float16, &[batch, 16]))]);
        assert_eq!(function.outputs, [feature("y", fixed(DataType::Float16, &[batch, 32]))]);
    }
}

#[test]
fn compression_does_not_show() {
    let plain = function("fixed");
    for name in ["int4", "palettized", "sparse"] {
        let function = function(name);
        assert_eq!(function.inputs[0].kind, plain.inputs[0].kind, "{name}");
        assert_eq!(function.outputs[0].kind, plain.outputs[0].kind, "{name}");
    }
}

#[test]
fn a_package_in_memory_is_the_same() {
    let mut files = Vec::new();
    for file in [
        "Manifest.json",
        "Data/com.apple.CoreML/model.mlmodel",
        "Data/com.apple.CoreML/weights/weight.bin",
    ] {
        let bytes: &'static [u8] = std::fs::read(path("fixed").join(file)).unwrap().leak();
        files.push((file, bytes));
    }
    let embedded = Package::from_embedded(&files).unwrap();
    let on_disk = Package::open(path("fixed")).unwrap();
    assert_eq!(embedded.interface().unwrap(), on_disk.interface().unwrap());
    assert_eq!(embedded.summary().unwrap(), on_disk.summary().unwrap());
    files.remove(1);
    let error = Package::from_embedded(&files).unwrap_err().to_string();
    assert!(
        error.contains(
            "embedded.mlpackage/Data/com.apple.CoreML/model.mlmodel: the file is missing"
        ),
        "{error}"
    );
}

#[test]
fn metadata_is_read() {
    let package = Package::open(path("fixed")).unwrap();
    let metadata = package.model().description.as_ref().unwrap().metadata.as_ref().unwrap();
    assert_eq!(metadata.short_description, "A matrix.");
    assert_eq!((metadata.author.as_str(), metadata.license.as_str()), ("The tests", "MIT"));
    assert_eq!(metadata.version_string, "3");
    assert_eq!(metadata.user_defined["key"], "value");
    assert_eq!(metadata.user_defined["com.github.apple.coremltools.version"], "9.0");
}
