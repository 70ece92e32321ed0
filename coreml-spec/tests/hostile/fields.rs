//! Wrong numbers and names in otherwise sound files: each error says which.

use crate::files::{MODEL, WEIGHTS, package};
use crate::reading::read_everything;
use coreml_spec::{Buckets, proto};
use prost::Message;

/// Returns the error of a package whose specification was changed.
fn error_of(name: &str, change: impl FnOnce(&mut proto::Model)) -> String {
    let mut files = package(name);
    let mut model = proto::Model::decode(&files[MODEL][..]).unwrap();
    change(&mut model);
    files.insert(MODEL.into(), model.encode_to_vec());
    read_everything(&files).unwrap_err().to_string()
}

/// Returns the first block of the function `main`.
fn block(model: &mut proto::Model) -> &mut proto::Block {
    let function = model.ml_program.as_mut().unwrap().functions.get_mut("main").unwrap();
    function.block_specializations.values_mut().next().unwrap()
}

/// Returns the value of a `const` operation.
fn constant<'a>(model: &'a mut proto::Model, name: &str) -> &'a mut proto::Value {
    let operation = block(model)
        .operations
        .iter_mut()
        .find(|operation| operation.outputs[0].name == name)
        .unwrap();
    operation.attributes.get_mut("val").unwrap()
}

/// Returns the tensor type of the first described input or output.
fn array(features: &mut [proto::FeatureDescription]) -> &mut proto::ArrayFeatureType {
    match features[0].r#type.as_mut().unwrap().kind.as_mut().unwrap() {
        proto::FeatureTypeKind::MultiArray(array) => array,
        kind => panic!("{kind:?}"),
    }
}

#[test]
fn an_output_is_neither_an_input_nor_another_output() {
    let renamed = |described: bool| {
        error_of("fixed", |model| {
            block(model).outputs = vec!["x".into()];
            if described {
                model.description.as_mut().unwrap().output[0].name = "x".into();
            }
        })
    };
    for described in [true, false] {
        let error = renamed(described);
        assert!(
            error.ends_with(
                "output `x` is input `x` unchanged; Core ML has no such outputs; remove the \
                 output, since the caller has that tensor already, or return the input + 0"
            ),
            "{error}"
        );
    }
    let twice = |described: bool, given: bool| {
        error_of("fixed", |model| {
            if given {
                block(model).outputs.push("y".into());
            }
            let outputs = &mut model.description.as_mut().unwrap().output;
            if described {
                outputs.push(outputs[0].clone());
            }
        })
    };
    for (described, given) in [(true, true), (true, false), (false, true)] {
        let error = twice(described, given);
        assert!(error.ends_with("two outputs `y` are the same tensor; return it once"), "{error}");
    }
}

#[test]
fn weight_references_stay_inside() {
    let set = |name: &str, offset: u64| {
        let reference = proto::BlobFileValue { file_name: name.into(), offset };
        error_of("fixed", |model| {
            constant(model, "linear_weight_to_fp16").kind =
                Some(proto::ValueKind::BlobFile(reference));
        })
    };
    for offset in [1, 64 * 3 + 1, 1 << 20, u64::MAX - 63, u64::MAX] {
        let error = set("@model_path/weights/weight.bin", offset);
        assert!(error.contains("weight.bin: no tensor at offset"), "{error}");
    }
    for name in [
        "",
        "weights/weight.bin",
        "@model_path/",
        "@model_path/model.mlmodel",
        "@model_path/../../Manifest.json",
        "@model_path/weights/../weights/weight.bin",
        "@model_path//etc/passwd",
        "/etc/passwd",
        "@model_path/weights/none.bin",
        "@model_path/weights/weight.bin\0",
    ] {
        let error = set(name, 64);
        assert!(
            error.contains(&format!(
                "refers to the weight file {name:?}, which is not in the package"
            )),
            "{error}"
        );
    }
}

#[test]
fn weight_headers_are_checked() {
    let with = |at: usize, bytes: &[u8]| {
        let mut files = package("fixed");
        files.get_mut(WEIGHTS).unwrap()[at..at + bytes.len()].copy_from_slice(bytes);
        read_everything(&files).unwrap_err().to_string()
    };
    // The matrix is the first blob: its metadata stands at 64.
    for (at, bytes, expected) in [
        (
            4,
            &1_u32.to_le_bytes()[..],
            "the weight file has version 1; convert the model with coremltools 5 or later",
        ),
        (64, &[0, 0, 0, 0], "no tensor at offset 64: the sentinel is 0x0"),
        (68, &99_u32.to_le_bytes(), "the tensor at offset 64 has the unknown type 99"),
        (
            68,
            &2_u32.to_le_bytes(),
            "the tensor at offset 64 is float32, but the program says float16",
        ),
        (72, &u64::MAX.to_le_bytes(), "but the file has"),
        (
            72,
            &1022_u64.to_le_bytes(),
            "a constant of type float16 and shape [32, 16] has 1022 bytes",
        ),
        (80, &u64::MAX.to_le_bytes(), "claims bytes 18446744073709551615 and 1024 on"),
        (80, &(u64::MAX - 1023).to_le_bytes(), "but the file has"),
        (80, &(1_u64 << 40).to_le_bytes(), "but the file has"),
    ] {
        let error = with(at, bytes);
        assert!(error.contains(expected), "{error}");
        assert!(
            error.contains("; the package is damaged: convert or copy the model again") || at == 4,
            "{error}"
        );
    }
}

#[test]
fn constants_must_fit_their_types() {
    let resized = |sizes: &[u64]| {
        let constant_dimension = |size: &u64| proto::Dimension {
            kind: Some(proto::DimensionKind::Constant(proto::ConstantDimension { size: *size })),
        };
        let dimensions = sizes.iter().map(constant_dimension).collect();
        error_of("constants", |model| {
            match &mut constant(model, "uint3").r#type.as_mut().unwrap().kind {
                Some(proto::ValueTypeKind::Tensor(tensor)) => tensor.dimensions = dimensions,
                kind => panic!("{kind:?}"),
            }
        })
    };
    for sizes in
        [&[0][..], &[], &[22], &[1 << 61], &[1 << 63, 2], &[u64::MAX], &[u64::MAX, u64::MAX, 0]]
    {
        let error = resized(sizes);
        assert!(error.contains("shape [") && error.contains("; the package is damaged"), "{error}");
    }
    let retyped = |code: i32| {
        error_of("constants", |model| {
            match &mut constant(model, "int16_here").r#type.as_mut().unwrap().kind {
                Some(proto::ValueTypeKind::Tensor(tensor)) => tensor.data_type = code,
                kind => panic!("{kind:?}"),
            }
        })
    };
    assert!(retyped(0).contains("a constant has the unknown element type 0"));
    // Elements below zero do not fit.
    assert!(retyped(32).contains("the elements of a constant do not fit its type uint16"));
    assert!(retyped(2).contains("the elements of a constant do not fit its type string"));
    let emptied = error_of("constants", |model| constant(model, "int16_here").kind = None);
    assert!(emptied.contains("a constant has no value"), "{emptied}");
}

#[test]
fn descriptions_must_be_possible() {
    use proto::ShapeFlexibilityKind::{Enumerated, Range};
    let input = |change: &dyn Fn(&mut proto::ArrayFeatureType)| {
        error_of("fixed", |model| change(array(&mut model.description.as_mut().unwrap().input)))
    };
    let range = |bounds_of: &[(u64, i64)]| {
        let bounds = |&(lower_bound, upper_bound): &(u64, i64)| proto::SizeBounds {
            lower_bound,
            upper_bound,
        };
        let size_ranges: Vec<_> = bounds_of.iter().map(bounds).collect();
        input(&|array| {
            array.shape_flexibility =
                Some(Range(proto::ShapeRange { size_ranges: size_ranges.clone() }));
        })
    };
    let shapes = |shapes: &[&[i64]]| {
        let shapes: Vec<_> =
            shapes.iter().map(|shape| proto::ArrayShape { shape: shape.to_vec() }).collect();
        input(&|array| {
            array.shape_flexibility =
                Some(Enumerated(proto::EnumeratedShapes { shapes: shapes.clone() }));
        })
    };
    for (error, expected) in [
        (input(&|array| array.shape = vec![1, -16]), "has the impossible shape [1, -16]"),
        (input(&|array| array.shape = vec![i64::MAX, 0, 3]), "has the impossible shape"),
        (input(&|array| array.data_type = 7), "has the unknown element type 7"),
        (range(&[(1, 1)]), "has the default shape [1, 16], which is not within its ranges"),
        (
            range(&[(1, 1), (17, 20)]),
            "has the default shape [1, 16], which is not within its ranges",
        ),
        (range(&[(1, 1), (20, 17)]), "has the impossible range 20 to 17"),
        (shapes(&[]), "has an empty list of shapes"),
        (shapes(&[&[1, 16], &[1]]), "has shapes of different ranks"),
        (shapes(&[&[1, 17]]), "has the default shape [1, 16], which is not among its shapes"),
    ] {
        assert!(error.contains(&format!("the feature \"x\" {expected}")), "{error}");
    }
}

#[test]
fn description_and_program_must_agree() {
    let missing = error_of("fixed", |model| model.description = None);
    assert!(missing.contains("the model has no description"), "{missing}");
    let output = error_of("fixed", |model| block(model).outputs.clear());
    assert!(output.contains("the function \"main\" does not give the output \"y\""), "{output}");
    let opset = error_of("fixed", |model| {
        model.ml_program.as_mut().unwrap().functions.get_mut("main").unwrap().opset =
            "CoreML99".into();
    });
    assert!(
        opset.contains("the function \"main\" has no block for its opset \"CoreML99\""),
        "{opset}"
    );
    let function = error_of("multifunction", |model| {
        model.ml_program.as_mut().unwrap().functions.remove("one").unwrap();
    });
    assert!(
        function.contains("the description names the function \"one\", the program has none"),
        "{function}"
    );
    let default = error_of("multifunction", |model| {
        model.description.as_mut().unwrap().default_function_name = "five".into();
    });
    assert!(default.contains("the default function \"five\" is not described"), "{default}");
    let other = error_of("fixed", |model| model.ml_program = None);
    assert!(other.ends_with(
        "not an ML Program; only ML Programs are read: convert the model with \
                convert_to=\"mlprogram\""
    ));
    let labels = error_of("classifier_strings", |model| {
        block(model).operations.retain(|operation| operation.r#type != "classify");
    });
    assert!(
        labels.contains("the classifier of function \"main\" has no classify operation"),
        "{labels}"
    );
    let infinite = error_of("ranges", |model| {
        let inputs = &mut model.description.as_mut().unwrap().input;
        array(&mut inputs[1..]).default_value =
            Some(proto::DefaultValueKind::Float(f32::NEG_INFINITY));
    });
    assert!(
        infinite.contains("has the default value -inf; give it a finite default value"),
        "{infinite}"
    );
}

#[test]
fn buckets_fit_the_functions_that_they_describe() {
    let with = |text: &str| {
        let mut files = package("multifunction");
        let mut model = proto::Model::decode(&files[MODEL][..]).unwrap();
        let metadata = model.description.as_mut().unwrap().metadata.get_or_insert_default();
        metadata.user_defined.insert(Buckets::METADATA_KEY.to_owned(), text.to_owned());
        files.insert(MODEL.into(), model.encode_to_vec());
        read_everything(&files).map_err(|error| error.to_string())
    };
    let right = r#"{"input":"x","axis":0,"min":1,"sizes":[1,4],
                    "padded":[{"input":"x","axes":[0],"value":0}],
                    "trimmed":[{"output":"y","axes":[0]}]}"#;
    with(right).unwrap();
    let long = format!("[{}0]", "0,".repeat(100_000));
    for (from, to, problem) in [
        (right, "{", "EOF while parsing"),
        ("\"axis\":0", "\"axis\":-1", "invalid value"),
        ("\"min\":1", "\"min\":1,\"more\":2", "unknown field `more`"),
        ("\"sizes\":[1,4]", "\"sizes\":[4,1]", "do not ascend"),
        ("\"sizes\":[1,4]", "\"sizes\":[1,5]", "no function takes 5"),
        ("\"sizes\":[1,4]", "\"sizes\":[]", "do not ascend"),
        ("\"sizes\":[1,4]", "\"sizes\":[18446744073709551616]", "invalid type"),
        ("\"axes\":[0],\"value\"", "\"axes\":[],\"value\"", "is not among those that are padded"),
        (
            "\"axes\":[0],\"value\"",
            "\"axes\":[0,9],\"value\"",
            "does not have 1 in the dimensions [0, 9]",
        ),
        (
            "\"axes\":[0],\"value\"",
            &format!("\"axes\":{long},\"value\""),
            "does not have 1 in the dimensions",
        ),
        ("{\"output\":\"y\"", "{\"output\":\"z\"", "\"z\" of"),
    ] {
        let error = with(&right.replacen(from, to, 1)).unwrap_err();
        assert!(
            error.contains("the metadata \"coreml-build.buckets\" does not fit the model"),
            "{error:.300}"
        );
        assert!(error.contains(problem), "{problem}: {error:.300}");
    }
}
