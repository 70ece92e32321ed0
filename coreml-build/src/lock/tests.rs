//! The text of locks.

use super::*;
use coreml_spec::{
    Buckets, Classifier, ColorSpace, DataType, Dimension, Feature, FeatureKind, Flexibility,
    Function, ImageSize, Labels, Mask, Padded, Shape, SizeRange, Symbol, Trimmed,
};

/// Returns a feature.
fn feature(name: &str, kind: FeatureKind) -> Feature {
    Feature { name: name.to_owned(), description: String::new(), kind, default: None }
}

/// Returns a tensor.
fn tensor(default: &[usize], flexibility: Flexibility) -> FeatureKind {
    FeatureKind::MultiArray {
        data_type: DataType::Float16,
        shape: Shape { default: default.into(), flexibility },
    }
}

/// Returns a lock that has everything that an interface can have.
fn everything() -> Lock {
    let range = |min, max| SizeRange { min, max };
    let size = ImageSize { width: 6, height: 8, ranges: None, enumerated: vec![(6, 8), (4, 4)] };
    let ranged =
        ImageSize { ranges: Some((range(1, Some(6)), range(2, None))), enumerated: vec![], ..size };
    let inputs = vec![
        Feature {
            default: Some(0.1),
            description: "says \"this\"\nand that".into(),
            ..feature("x", tensor(&[1, 3], Flexibility::Fixed))
        },
        feature("y", tensor(&[4, 3], Flexibility::Ranges(vec![range(1, Some(9)), range(3, None)]))),
        feature("z", tensor(&[1, 8], Flexibility::Enumerated(vec![vec![1, 8], vec![2, 8]]))),
        feature("scalar", tensor(&[], Flexibility::Fixed)),
        feature("picture", FeatureKind::Image { size, color_space: ColorSpace::GrayscaleFloat16 }),
        feature("größe", FeatureKind::Image { size: ranged, color_space: ColorSpace::Bgr }),
    ];
    let outputs = vec![
        feature("classLabel", FeatureKind::StringLabel),
        feature("number", FeatureKind::Int64Label),
        feature("probabilities", FeatureKind::Probabilities),
    ];
    let classifier =
        |labels| Some(Classifier { label: "classLabel".into(), probabilities: "p".into(), labels });
    let function = |name: &str, labels| Function {
        name: name.to_owned(),
        inputs: inputs.clone(),
        outputs: outputs.clone(),
        states: vec![feature("cache", tensor(&[2, 2], Flexibility::Fixed))],
        state_outputs: Vec::new(),
        symbols: vec![Symbol {
            name: Some("T".into()),
            inputs: vec![
                Dimension { feature: "y".into(), axis: 0 },
                Dimension { feature: "größe".into(), axis: 2 },
            ],
            outputs: Vec::new(),
        }],
        classifier: classifier(labels),
    };
    let interface = Interface {
        specification_version: 9,
        default_function: "main".into(),
        functions: vec![
            function("main", Labels::Strings(vec!["a".into(), "b \u{1b} c".into()])),
            function("other", Labels::Int64s(vec![-1, 7])),
        ],
        buckets: Some(Buckets {
            input: "x".into(),
            axis: 1,
            min: 1,
            sizes: vec![8, 16],
            padded: vec![Padded { input: "x".into(), axes: vec![1], value: -0.5 }],
            mask: Some(Mask { input: "mask".into(), axis: 0 }),
            trimmed: vec![Trimmed { output: "y".into(), axes: vec![1, 2] }],
        }),
    };
    let model = LockedModel {
        fingerprint: "f".into(),
        digest: "d".into(),
        inputs: vec!["a b.py".into()],
        interface,
        files: BTreeMap::from([("models/tokenizer.json".into(), "5".into())]),
    };
    Lock {
        python: LockedPackages {
            requirements: vec!["torch".into()],
            packages: vec!["torch==1 ; sys_platform == 'x' --hash=sha256:0".into()],
            lock: None,
        },
        models: BTreeMap::from([("encoder".into(), model.clone()), ("mit punkt.v2".into(), model)]),
    }
}

#[test]
fn what_is_written_is_read_again() {
    let lock = everything();
    let text = lock.text().unwrap();
    assert_eq!(Lock::parse(&text).unwrap(), lock, "{text}");
    assert_eq!(Lock::parse(&text).unwrap().text().unwrap(), text);
}

#[test]
fn each_feature_has_a_line() {
    let text = everything().text().unwrap();
    let line = "    { name = \"y\", kind = \"multi-array\", data_type = \"float16\", shape = { \
        default = [4, 3], flexibility = \
                { ranges = [{ min = 1, max = 9 }, { min = 3 }] } } },\n";
    assert!(text.contains(line), "{text}");
    let line = "    { name = \"T\", inputs = [{ feature = \"y\", axis = 0 }, { feature = \
        \"größe\", axis = 2 }], outputs = [] },\n";
    assert!(text.contains(line), "{text}");
}

#[test]
fn damaged_locks_are_refused_with_the_command_that_cures() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("m.lock");
    let text = everything().text().unwrap();
    for (content, said) in [
        (text.replace("version = 1\n", "version = 2\n"), "it has version 2"),
        (text.replace("[python]", "<<<<<<< HEAD\n[python]"), "TOML parse error at line 4"),
        (text.replace("fingerprint", "fingerprints"), "unknown field `fingerprints`"),
        (text[..text.len() / 2].to_owned(), "TOML parse error"),
    ] {
        std::fs::write(&path, content).unwrap();
        let error = Lock::read(&path, "m.toml").unwrap_err().to_string();
        assert!(error.contains("cargo coreml lock m.toml"), "{error}");
        assert!(
            error.contains(said)
                || Lock::parse(&std::fs::read_to_string(&path).unwrap())
                    .unwrap_err()
                    .to_string()
                    .contains(said),
            "{error}"
        );
    }
    std::fs::remove_file(&path).unwrap();
    assert_eq!(Lock::read(&path, "m.toml"), Ok(None));
}
