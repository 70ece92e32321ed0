//! `buckets`: what is read, what becomes of it by target, and what is refused where.

use crate::error::Error;
use crate::manifest::Manifest;
use serde_json::json;
use std::path::Path;

/// A model of a text and its mask; line 4 is the first one after it.
const MODEL: &str = "[model]\nsource = { file = \"a.py\", entry = \"net\" }\n\
                     inputs.ids = { shape = [1, { min = 1, max = 16, symbol = \"T\" }], dtype = \
                     \"int32\" }\n";
/// The mask, and buckets that use it.
const MASKED: &str = "inputs.mask = { shape = [1, { min = 1, max = 16, symbol = \"T\" }], dtype = \
    \"int32\" }\n\
                      buckets = { input = \"ids\", axis = 1, sizes = [8, 16], pad = 3, mask = \
                      \"mask\" }\n";

/// Parses a manifest called `m.toml`.
fn parse(content: &str) -> Result<Manifest, Vec<String>> {
    let parsed = Manifest::parse(Path::new("/crate/m.toml"), "m.toml", content.to_owned());
    parsed.map_err(|rejected| rejected.errors.iter().map(Error::to_string).collect())
}

/// Returns name, table and group of each package of [`MODEL`] with `lines`.
#[track_caller]
fn packages(lines: &str) -> Vec<(String, serde_json::Value, Option<String>)> {
    let manifest = parse(&format!("{MODEL}{lines}\n")).unwrap();
    let package = |model: crate::manifest::Model| {
        (
            model.name,
            serde_json::to_value(&model.conversion).unwrap()["buckets"].take(),
            model.bucket_of,
        )
    };
    manifest.models.into_iter().map(package).collect()
}

#[test]
fn sizes_share_one_package_where_core_ml_can() {
    let all = packages(MASKED);
    let expected =
        json!({ "axis": 1, "input": "ids", "mask": "mask", "pad": { "ids": 3 }, "sizes": [8, 16] });
    assert_eq!(all, [("m".to_owned(), expected.clone(), None)]);
    for older in
        ["minimum-deployment-target = \"iOS17\"\n", "minimum-deployment-target = \"macOS12\"\n"]
    {
        let all = packages(&format!("{MASKED}{older}"));
        let own = |size: usize| {
            let mut table = expected.clone();
            table["sizes"] = json!([size]);
            (format!("m_{size}"), table, Some("m".to_owned()))
        };
        assert_eq!(all, [own(8), own(16)]);
    }
    let apart = MASKED.replace("pad = 3", "pad = 3, share-weights = false");
    assert_eq!(packages(&apart).len(), 2);
    // Where each is a package, each may be a classifier.
    assert_eq!(packages(&format!("{apart}classifier = {{ labels = [\"a\", \"b\"] }}\n")).len(), 2);
}

#[test]
fn every_padded_input_has_a_value() {
    let types =
        "inputs.types = { shape = [{ min = 1, max = 16, symbol = \"T\" }], dtype = \"float16\" }\n";
    let pad = |lines: &str| packages(&format!("{types}{lines}"))[0].1["pad"].clone();
    assert_eq!(
        pad("buckets = { input = \"ids\", axis = 1, sizes = [8, 16] }"),
        json!({ "ids": 0, "types": 0 })
    );
    assert_eq!(
        pad("buckets = { input = \"ids\", axis = 1, sizes = [16], pad = 2 }"),
        json!({ "ids": 2, "types": 0 })
    );
    assert_eq!(
        pad("buckets = { input = \"ids\", axis = 1, sizes = [16], pad = { types = -0.5 } }"),
        json!({ "ids": 0, "types": -0.5 })
    );
}

#[test]
fn modules_are_called_after_the_model() {
    let several = MODEL.replace("[model]", "[models.text]")
        + MASKED
        + "minimum-deployment-target = \"iOS17\"\n";
    let manifest = parse(&several).unwrap();
    assert_eq!(manifest.module_names(), ["text"]);
    let other = "[models.text_8]\nsource = { file = \"a.py\", entry = \"net\" }\ninputs.x = { \
        shape = [1] }\n";
    assert_eq!(
        parse(&format!("{several}{other}")).unwrap_err(),
        ["m.toml:7:2: model `text_8`: the package of a bucket of `text` is called like this: \
            rename one of them"]
    );
}

#[test]
fn what_does_not_fit_stands_at_its_line() {
    let plain = "buckets = { input = \"ids\", axis = 1, sizes = [8, 16] }";
    let cases = [
        (
            "buckets = { input = \"ids\", axis = 1 }",
            "m.toml:4:1: `sizes` is missing in `model.buckets`: write for example",
        ),
        (
            "buckets = { input = \"ids\", axis = 5, sizes = [8] }",
            "m.toml:4:28: `axis` is 5, but must lie between 0 and 4",
        ),
        (&plain.replace("[8, 16]", "[]"), "m.toml:4:38: `sizes` has 1 to 32 sizes, found 0"),
        (
            &plain.replace("[8, 16]", "[16, 8]"),
            "m.toml:4:51: `sizes` ascend, each once: 8 stands behind 16",
        ),
        (
            &plain.replace("[8, 16]", "[8, 8, 16]"),
            "m.toml:4:50: `sizes` ascend, each once: 8 stands behind 8",
        ),
        (
            &plain.replace("[8, 16]", "[0, 16]"),
            "m.toml:4:47: `sizes` is 0, but must lie between 1 and",
        ),
        (
            &plain.replace("[8, 16]", "[8]"),
            "m.toml:4:38: model `m`: `max` of `ids` is 16, the largest of `sizes` 8",
        ),
        (
            &plain.replace("\"ids\"", "\"x\""),
            "m.toml:4:13: model `m`: there is no input `x`; the inputs are `ids`",
        ),
        (
            &plain.replace("axis = 1", "axis = 0"),
            "m.toml:4:28: model `m`: dimension 0 of `ids` is not a range of lengths",
        ),
        (
            &plain.replace("axis = 1", "axis = 2"),
            "m.toml:4:28: model `m`: dimension 2 of `ids` is not a range of lengths",
        ),
        (
            &plain.replace("16]", "16], pad = 0.5"),
            "m.toml:4:55: model `m`: `ids` is int32, and cannot be padded with 0.5",
        ),
        (
            &plain.replace("16]", "16], pad = { x = 1 }"),
            "m.toml:4:55: model `m`: `x` is not an input that is padded",
        ),
        (
            &plain.replace("16]", "16], mask = \"m\""),
            "m.toml:4:55: model `m`: the mask `m` must be an input with the length",
        ),
        (
            &plain.replace("16]", "16], mask = \"ids\""),
            "m.toml:4:55: model `m`: `ids` is the input itself",
        ),
        (
            &plain.replace("16]", "16], stride = 2"),
            "m.toml:4:55: unknown key `stride` in `model.buckets`",
        ),
        (
            &format!("inputs.x = {{ shape = [{{ min = 1, max = 9 }}] }}\n{plain}"),
            "m.toml:4:1: model `m`: buckets fix all sizes: a range beside them is the length of \
            `ids` too",
        ),
        (
            &format!("inputs.x = {{ shapes = [[1], [2]] }}\n{plain}"),
            "m.toml:4:1: model `m`: `shapes` have no place beside `buckets`",
        ),
        (
            &format!(
                "inputs.x = {{ image = {{ width = {{ min = 1, max = 8 }}, height = 8, color = \
                \"rgb\" }} }}\n{plain}"
            ),
            "m.toml:4:1: model `m`: buckets fix all sizes",
        ),
        (
            &format!(
                "inputs.mask = {{ shape = [{{ min = 1, max = 16, symbol = \"T\" }}, {{ min = 1, \
                max = 16, symbol = \"T\" \
                 }}], dtype = \"int32\" }}\n{}",
                plain.replace("16]", "16], mask = \"mask\"")
            ),
            "m.toml:5:55: model `m`: the mask `mask` must have the length in one dimension, it has \
            2",
        ),
        (
            &MASKED
                .replace("dtype = \"int32\" }", "dtype = \"int32\", sample = { range = [0, 1] } }"),
            "m.toml:4:1: model `m`: a mask has no `sample`",
        ),
        (
            &format!(
                "inputs.x = {{ shape = [{{ min = 1, max = 16, symbol = \"T\" }}], default = 1 \
                }}\n{plain}"
            ),
            "m.toml:4:1: model `m`: an input of any length cannot be left out: remove `default`",
        ),
        (
            &format!(
                "minimum-deployment-target = \"iOS17\"\n{}",
                plain.replace("16]", "16], share-weights = true")
            ),
            "m.toml:5:55: model `m`: buckets that share weights are functions of one package, \
            which need \
             `minimum-deployment-target = \"iOS18\"`",
        ),
        (
            &format!("classifier = {{ labels = [\"a\"] }}\n{plain}"),
            "m.toml:4:1: model `m`: the functions of one package have no classifier: write \
            `share-weights = false`",
        ),
        (
            &format!("states.s = {{ shape = [1], dtype = \"float16\" }}\n{plain}"),
            "m.toml:4:1: model `m`: `states` have no place beside `buckets`",
        ),
    ];
    for (lines, expected) in cases {
        let errors = parse(&format!("{MODEL}{lines}\n")).unwrap_err();
        assert!(
            errors.len() == 1 && errors[0].starts_with(expected),
            "{lines}\n{errors:#?}\n{expected}"
        );
    }
    let with_default = MODEL.replace("max = 16", "max = 16, default = 8");
    let errors = parse(&format!("{with_default}{plain}\n")).unwrap_err();
    assert!(
        errors[0].starts_with("m.toml:3:1: model `m`: a length has no `default` beside `buckets`"),
        "{errors:?}"
    );
    let shorter = MODEL.replace("min = 1,", "min = 9,");
    let errors = parse(&format!("{shorter}{plain}\n")).unwrap_err();
    assert!(
        errors[0]
            .starts_with("m.toml:4:38: model `m`: the size 8 is smaller than `min` of `ids`, 9"),
        "{errors:?}"
    );
}

#[test]
fn buckets_belong_to_one_model_of_one_function() {
    let plain = "buckets = { input = \"ids\", axis = 1, sizes = [8, 16] }\n";
    let errors = parse(&format!("[defaults]\n{plain}{MODEL}")).unwrap_err();
    assert!(errors[0].starts_with("m.toml:2:1: `buckets` belongs to one model"), "{errors:?}");
    let functions = "[model]\ndefault-function = \"a\"\nfunctions.a = { source = { file = \
        \"a.py\", entry = \"net\" }, inputs.ids = \
                     { shape = [1] } }\n";
    let errors = parse(&format!("{functions}{plain}")).unwrap_err();
    assert_eq!(
        errors,
        ["m.toml:4:1: model `m`: `buckets` has no place beside `functions`: nothing says which \
            of them has the lengths. \
             Make that function a model of its own, `[models.NAME]`, in the same manifest"]
    );
    let package = format!("[model]\nsource = {{ package = \"A.mlpackage\" }}\n{plain}");
    let errors = parse(&package).unwrap_err();
    assert!(
        errors[0]
            .starts_with("m.toml:3:1: model `m`: `buckets` has no place beside `source.package`"),
        "{errors:?}"
    );
}
