//! Every element type, from a weight file and in place, as coremltools writes it (`data/make.py`).

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use coreml_spec::{Constant, DataType, Package, proto::Operation};
use std::collections::BTreeMap;
use std::path::Path;

/// Elements of each tensor in the package `constants`.
const COUNT: i64 = 21;

/// Opens a package made by `data/make.py`.
fn open(name: &str) -> Package {
    let path = format!("tests/data/packages/{name}.mlpackage");
    Package::open(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

/// Returns the operations of a package's only function.
fn operations(package: &Package) -> &[Operation] {
    &package.program().unwrap().functions["main"].block().unwrap().operations
}

/// Returns every `const` by name.
fn constants(package: &Package) -> BTreeMap<&str, Constant<'_>> {
    let constants = operations(package).iter().filter(|operation| operation.r#type == "const");
    constants
        .map(|operation| {
            (
                operation.outputs[0].name.as_str(),
                package.constant(&operation.attributes["val"]).unwrap(),
            )
        })
        .collect()
}

#[test]
fn integers_of_every_type() {
    let package = open("constants");
    let constants = constants(&package);
    let mut types = 0;
    for name in ["uint1", "uint2", "uint3", "uint4", "uint6", "int4"] {
        for place in ["", "_here"] {
            let constant = &constants[format!("{name}{place}").as_str()];
            let (codes, first) =
                (1 << constant.data_type.bits(), if name == "int4" { -8 } else { 0 });
            let expected: Vec<i64> = (0..COUNT).map(|index| index % codes + first).collect();
            assert_eq!(
                (constant.data_type.name(), constant.to_i64s().unwrap()),
                (name, expected),
                "{place}"
            );
            types += 1;
        }
    }
    for name in ["uint8", "int8", "uint16", "int16", "uint32", "int32", "uint64", "int64"] {
        for place in ["", "_here"] {
            // coremltools writes 64-bit integers in place only.
            let Some(constant) = constants.get(format!("{name}{place}").as_str()) else {
                assert!(name.ends_with("64") && place.is_empty(), "{name}{place}");
                continue;
            };
            let first = if name.starts_with('i') { -10 } else { 0 };
            let expected: Vec<i64> = (first..first + COUNT).collect();
            assert_eq!(constant.to_i64s().unwrap(), expected, "{name}{place}");
            let floats: Vec<f32> = expected.iter().map(|integer| *integer as f32).collect();
            assert_eq!(constant.to_f32s().unwrap(), floats, "{name}{place}");
            types += 1;
        }
    }
    let truth: Vec<i64> = (0..COUNT).map(|index| index % 2).collect();
    assert_eq!(constants["bool_here"].to_i64s().unwrap(), truth);
    assert_eq!(types, 26);
}

#[test]
fn floats_of_every_type() {
    let package = open("constants");
    let constants = constants(&package);
    let exact: Vec<f32> = (0..21_u8).map(f32::from).collect();
    // Three bits of mantissa, and two: ties go to even.
    let mut e4m3 = exact.clone();
    (e4m3[17], e4m3[19]) = (16.0, 20.0);
    let mut e5m2 = exact.clone();
    for (index, value) in
        [(9, 8.0), (11, 12.0), (13, 12.0), (15, 16.0), (17, 16.0), (18, 16.0), (19, 20.0)]
    {
        e5m2[index] = value;
    }
    for name in ["float16", "float16_here", "float32", "float32_here", "float64_here", "bfloat16"] {
        assert_eq!(constants[name].to_f32s().unwrap(), exact, "{name}");
        assert_eq!(constants[name].to_i64s(), None, "{name}");
    }
    assert_eq!(constants["float8e4m3fn"].to_f32s().unwrap(), e4m3);
    assert_eq!(constants["float8e5m2"].to_f32s().unwrap(), e5m2);
}

#[test]
fn text() {
    let package = open("constants");
    let constant = &constants(&package)["string_here"];
    assert_eq!(
        (constant.data_type, constant.len(), constant.bytes.len()),
        (DataType::String, 21, 0)
    );
    assert_eq!((constant.strings[0].as_str(), constant.strings[20].as_str()), ("0", "20"));
    assert_eq!((constant.to_f32s(), constant.to_i64s()), (None, None));
}

#[test]
fn every_value_of_the_8_bit_floats() {
    let package = open("constants");
    let constants = constants(&package);
    let all: Vec<u8> = (0..=255).collect();
    let decode = |name: &str| {
        let constant =
            Constant { dims: vec![256], bytes: all.clone().into(), ..constants[name].clone() };
        constant.to_f32s().unwrap()
    };
    let e4m3 = decode("float8e4m3fn");
    assert_eq!(
        (e4m3[0x01], e4m3[0x08], e4m3[0x7E], e4m3[0xFE]),
        (0.001953125, 0.015625, 448.0, -448.0)
    );
    assert!(e4m3[0x7F].is_nan() && e4m3[0xFF].is_nan() && e4m3[0x80].is_sign_negative());
    assert!(e4m3[..0x7F].is_sorted_by(|a, b| a < b));
    let e5m2 = decode("float8e5m2");
    assert_eq!((e5m2[0x7B], e5m2[0x7C], e5m2[0xFC]), (57344.0, f32::INFINITY, f32::NEG_INFINITY));
    assert!(e5m2[..0x7D].is_sorted_by(|a, b| a < b) && e5m2[0x7D].is_nan());
}

#[test]
fn weights_of_a_matrix() {
    let package = open("fixed");
    let constants = constants(&package);
    let weights = &constants["linear_weight_to_fp16"];
    assert_eq!((weights.data_type, weights.dims.as_slice()), (DataType::Float16, &[32, 16][..]));
    for (index, weight) in weights.to_f32s().unwrap().into_iter().enumerate() {
        assert!((weight - (index as f32).sin()).abs() < 5e-4, "{index}: {weight}");
    }
}

/// Returns the constants that an operation of the package has in place, by parameter, and their
/// count.
fn compressed<'a>(package: &'a Package, operation: &str) -> Vec<(&'a str, DataType, Vec<usize>)> {
    let operation = operations(package).iter().find(|found| found.r#type == operation).unwrap();
    let values: Vec<_> = operation.values().map(|value| package.constant(value).unwrap()).collect();
    let names = operation.attributes.keys().chain(operation.inputs.keys());
    let mut all: Vec<_> = names
        .zip(values)
        .map(|(name, value)| (name.as_str(), value.data_type, value.dims))
        .collect();
    all.retain(|(name, ..)| *name != "name");
    all
}

#[test]
fn compressed_weights_are_values_in_place() {
    let int4 = open("int4");
    assert_eq!(
        compressed(&int4, "constexpr_blockwise_shift_scale"),
        [("data", DataType::Int4, vec![32, 16]), ("scale", DataType::Float16, vec![32, 2])]
    );
    let palettized = open("palettized");
    assert_eq!(
        compressed(&palettized, "constexpr_lut_to_dense"),
        [("indices", DataType::UInt3, vec![32, 16]), ("lut", DataType::Float16, vec![1, 1, 8, 1])]
    );
    let sparse = open("sparse");
    assert_eq!(
        compressed(&sparse, "constexpr_sparse_to_dense"),
        [("mask", DataType::UInt1, vec![32, 16]), ("nonzero_data", DataType::Float16, vec![255])]
    );
    // Before iOS 18 they are attributes.
    let int8 = open("int8");
    let all = compressed(&int8, "constexpr_affine_dequantize");
    let expected = ("quantized_data", DataType::Int8, vec![32, 16]);
    assert!(all.contains(&expected), "{all:?}");
}

#[test]
fn a_list_is_not_a_tensor() {
    let package = open("classifier_strings");
    let classify =
        operations(&package).iter().find(|operation| operation.r#type == "classify").unwrap();
    let results: Vec<_> = classify.values().map(|value| package.constant(value)).collect();
    let error = results.into_iter().find_map(Result::err).unwrap().to_string();
    assert!(error.ends_with("a constant is not a tensor; read its parts instead"), "{error}");
}

#[test]
fn the_summary_counts_each_shared_tensor_once() {
    let summary = open("multifunction").summary().unwrap();
    let weights = summary.weights[&DataType::Float16];
    assert_eq!(
        (weights.tensors, weights.elements, weights.bytes),
        (2, 32 * 16 + 32, 2 * (32 * 16 + 32))
    );
    assert_eq!(summary.of_function("one").unwrap().weights, summary.weights);
    assert_eq!(summary.functions["four"].operations["linear"], 1);
    assert_eq!(summary.functions["four"].opset, "CoreML8");
    assert_eq!(summary.of_function("none"), None);
    let sizes: Vec<&str> = summary.files.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(sizes, ["model.mlmodel", "weights/weight.bin"]);
}
