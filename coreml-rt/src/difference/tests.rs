//! Tests of the wording of interface differences.

use super::*;
use coreml_spec::{DataType, SizeRange};

/// A fixed multi-array feature.
fn tensor(name: &str, data_type: DataType, dims: &[usize]) -> Feature {
    let kind = FeatureKind::MultiArray { data_type, shape: Shape::fixed(dims) };
    Feature { name: name.to_owned(), description: String::new(), kind, default: None }
}

/// A function with the given features.
fn function(inputs: Vec<Feature>, outputs: Vec<Feature>) -> Function {
    Function {
        name: "main".to_owned(),
        inputs,
        outputs,
        states: Vec::new(),
        state_outputs: Vec::new(),
        symbols: Vec::new(),
        classifier: None,
    }
}

/// A classifier of the given classes.
fn classifier(labels: &[&str]) -> Option<Classifier> {
    let labels = Labels::Strings(labels.iter().map(|&label| label.to_owned()).collect());
    Some(Classifier {
        label: "classLabel".to_owned(),
        probabilities: "classLabel_probs".to_owned(),
        labels,
    })
}

#[test]
fn every_difference_is_named() {
    let types = function(
        vec![
            tensor("mel", DataType::Float16, &[1, 80, 3000]),
            tensor("gone", DataType::Int32, &[1]),
        ],
        vec![tensor("audio", DataType::Float32, &[1, 1500])],
    );
    let mut ranged = tensor("mel", DataType::Float16, &[1, 80, 3000]);
    let range = |min, max| SizeRange { min, max };
    ranged.kind = FeatureKind::MultiArray {
        data_type: DataType::Float16,
        shape: Shape {
            default: vec![1, 80, 3000],
            flexibility: Flexibility::Ranges(vec![
                range(1, Some(1)),
                range(80, Some(80)),
                range(1, None),
            ]),
        },
    };
    let package = function(vec![ranged], vec![tensor("audio", DataType::Float16, &[1, 1500])]);
    assert_eq!(
        differences(&types, &package),
        [
            "input `mel`: the types say float16 [1, 80, 3000], the package says float16 [1, 80, \
             1..]",
            "input `gone` is missing in the package",
            "output `audio`: the types say float32 [1, 1500], the package says float16 [1, 1500]",
        ]
    );
    assert_eq!(
        differences(&package, &types)[1],
        "input `gone` (int32 [1]) is missing in the types",
    );
}

#[test]
fn order_and_optional_inputs_count() {
    let a = tensor("a", DataType::Int32, &[1]);
    let mut b = tensor("b", DataType::Int32, &[1]);
    let swapped = function(vec![b.clone(), a.clone()], Vec::new());
    let types = function(vec![a.clone(), b.clone()], Vec::new());
    assert_eq!(
        differences(&types, &swapped),
        ["the inputs have a different order: the types say a, b, the package says b, a"]
    );
    b.default = Some(0.5);
    assert_eq!(
        differences(&types, &function(vec![a, b], Vec::new())),
        ["input `b`: the types say int32 [1], the package says int32 [1], optional, default 0.5"]
    );
}

#[test]
fn what_no_type_depends_on_is_no_difference() {
    let types = function(vec![tensor("a", DataType::Int32, &[1])], Vec::new());
    let mut package = types.clone();
    package.inputs[0].description = "another text".to_owned();
    assert!(differences(&types, &package).is_empty());
}

#[test]
fn labels_are_compared_in_order() {
    let with = |labels: &[&str]| Function {
        classifier: classifier(labels),
        ..function(Vec::new(), Vec::new())
    };
    assert_eq!(
        differences(&with(&["cat", "dog"]), &with(&["dog", "cat"])),
        ["label 0: the types say `cat`, the package says `dog`; there may be more"]
    );
    assert_eq!(
        differences(&with(&["cat"]), &with(&[])),
        ["the types have 1 labels, the package has 0"]
    );
    assert_eq!(
        differences(&with(&["cat"]), &function(Vec::new(), Vec::new())),
        ["the package is not a classifier"]
    );
}
