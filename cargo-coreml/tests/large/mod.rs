//! A package of ten thousand operations and two gigabytes of weights, in sparse files that take a
//! few kilobytes on disk.

use coreml_spec::proto::*;
use prost::Message;
use std::collections::BTreeMap;
use std::io::{Seek, SeekFrom, Write};
use std::path::Path;

/// Number of layers; each has five operations.
const LAYERS: usize = 2000;

/// Channels in and out: a weight of 512 x 1024 half-precision numbers is a MiB.
const CHANNELS: usize = 512;

/// Kernel width.
const KERNEL: usize = 2;

/// Returns a type of half-precision tensors.
fn tensor(dims: &[usize]) -> ValueType {
    let dimension = |size: &usize| Dimension {
        kind: Some(DimensionKind::Constant(ConstantDimension {
            size: u64::try_from(*size).unwrap(),
        })),
    };
    let dimensions: Vec<Dimension> = dims.iter().map(dimension).collect();
    let rank = i64::try_from(dims.len()).unwrap();
    let tensor = TensorType { data_type: 10, rank, dimensions, attributes: BTreeMap::new() };
    ValueType { kind: Some(ValueTypeKind::Tensor(tensor)) }
}

/// Returns an operation with one output.
fn operation(kind: &str, output: &str, r#type: &ValueType, inputs: &[(&str, &str)]) -> Operation {
    let argument = |name: &str| Argument {
        arguments: vec![Binding { kind: Some(BindingKind::Name(name.to_owned())) }],
    };
    Operation {
        r#type: kind.to_owned(),
        inputs: inputs
            .iter()
            .map(|(parameter, name)| ((*parameter).to_owned(), argument(name)))
            .collect(),
        outputs: vec![NamedValueType { name: output.to_owned(), r#type: Some(r#type.clone()) }],
        ..Operation::default()
    }
}

/// Returns a feature of the description.
fn feature(name: &str, dims: &[usize]) -> FeatureDescription {
    let array = ArrayFeatureType {
        data_type: 65552,
        shape: dims.iter().map(|dim| i64::try_from(*dim).unwrap()).collect(),
        ..ArrayFeatureType::default()
    };
    FeatureDescription {
        name: name.to_owned(),
        r#type: Some(FeatureType {
            kind: Some(FeatureTypeKind::MultiArray(array)),
            ..FeatureType::default()
        }),
        ..FeatureDescription::default()
    }
}

/// Writes the package into a folder.
pub(crate) fn make(folder: &Path) {
    let data = folder.join("Data/com.apple.CoreML");
    std::fs::create_dir_all(data.join("weights")).unwrap();
    let manifest = r#"{"fileFormatVersion":"1.0.0","rootModelIdentifier":"A",
        "itemInfoEntries":{"A":{"path":"com.apple.CoreML/model.mlmodel"}}}"#;
    std::fs::write(folder.join("Manifest.json"), manifest).unwrap();
    let dims = [1, CHANNELS, 1, 64];
    let (activation, weight) = (tensor(&dims), tensor(&[CHANNELS, CHANNELS, 1, KERNEL]));
    let mut file = std::fs::File::create(data.join("weights/weight.bin")).unwrap();
    file.write_all(
        &[u32::try_from(2 * LAYERS).unwrap().to_le_bytes(), 2_u32.to_le_bytes()].concat(),
    )
    .unwrap();
    let mut offset = 64_u64;
    let mut constant = |name: String, r#type: &ValueType, elements: usize| {
        let size = u64::try_from(elements * 2).unwrap();
        file.seek(SeekFrom::Start(offset)).unwrap();
        file.write_all(&[0xDEAD_BEEF_u32.to_le_bytes(), 1_u32.to_le_bytes()].concat()).unwrap();
        file.write_all(&[size.to_le_bytes(), (offset + 64).to_le_bytes()].concat()).unwrap();
        let blob = BlobFileValue { file_name: "@model_path/weights/weight.bin".to_owned(), offset };
        offset += 64 + size.next_multiple_of(64);
        file.set_len(offset).unwrap();
        let value = Value {
            r#type: Some(r#type.clone()),
            kind: Some(ValueKind::BlobFile(blob)),
            ..Value::default()
        };
        let mut operation = operation("const", &name, r#type, &[]);
        operation.attributes.insert("val".to_owned(), value);
        operation
    };
    let (mut operations, mut last) = (Vec::new(), "x".to_owned());
    let bias = tensor(&[CHANNELS]);
    for layer in 0..LAYERS {
        let name = |part: &str| format!("layers_{layer}_{part}");
        operations.push(constant(name("weight"), &weight, CHANNELS * CHANNELS * KERNEL));
        operations.push(constant(name("bias"), &bias, CHANNELS));
        let (conv, relu) = (name("conv"), name("relu"));
        let inputs = [("x", last.as_str()), ("weight", &name("weight")), ("bias", &name("bias"))];
        operations.push(operation("conv", &conv, &activation, &inputs));
        operations.push(operation("relu", &relu, &activation, &[("x", &conv)]));
        operations.push(operation("add", &name("sum"), &activation, &[("x", &relu), ("y", &last)]));
        last = name("sum");
    }
    let block = Block { outputs: vec![last.clone()], operations, ..Block::default() };
    let function = Function {
        inputs: vec![NamedValueType { name: "x".to_owned(), r#type: Some(activation.clone()) }],
        opset: "CoreML7".to_owned(),
        block_specializations: [("CoreML7".to_owned(), block)].into(),
        attributes: BTreeMap::new(),
    };
    let program = Program {
        version: 1,
        functions: [("main".to_owned(), function)].into(),
        ..Program::default()
    };
    let description = ModelDescription {
        input: vec![feature("x", &dims)],
        output: vec![feature(&last, &dims)],
        ..ModelDescription::default()
    };
    let model = Model {
        specification_version: 8,
        description: Some(description),
        ml_program: Some(program),
    };
    std::fs::write(data.join("model.mlmodel"), model.encode_to_vec()).unwrap();
}
