//! Several functions in one package.

use super::*;

/// Two functions; the lines of the model follow.
const FUNCTIONS: &str = "[model.functions.prefill]\nsource = { file = \"a.py\", entry = \"b\" \
    }\ninputs.x = { shape = [8] }\n\
                         [model.functions.step]\nsource = { file = \"a.py\", entry = \"c\" \
                         }\nweights = \"a.pt\"\n\
                         states.k = { shape = [1] }\n\
                         [defaults]\ncapture = \"trace\"\ninputs.y = { shape = [2] }\n\
                         [model]\n";

#[test]
fn functions_are_read_in_order_with_the_defaults() {
    let manifest =
        parse(&format!("{FUNCTIONS}default-function = \"step\"\nparity = {{ steps = 2 }}\n"))
            .unwrap();
    let model = &manifest.models[0];
    let text = serde_json::to_string(&model.conversion).unwrap();
    assert!(
        text.contains(
            "\"default-function\":\"step\",\"functions\":{\"prefill\":{\"capture\":\"trace\""
        ),
        "{text}"
    );
    let table: serde_json::Value = serde_json::from_str(&text).unwrap();
    let x = serde_json::json!({ "dtype": "float32", "shape": [8] });
    let y = serde_json::json!({ "dtype": "float32", "shape": [2] });
    assert_eq!(table["functions"]["prefill"]["inputs"], serde_json::json!({ "y": y, "x": x }));
    assert_eq!(table["functions"]["step"]["inputs"], serde_json::json!({ "y": y }));
    assert_eq!(table["functions"]["step"]["states"]["k"]["shape"], serde_json::json!([1]));
    assert_eq!(table["parity"], serde_json::json!({ "samples": 3, "steps": 2 }));
    assert!(table.get("source").is_none() && table.get("inputs").is_none(), "{text}");
    assert_eq!(model.place(Some("functions.step.weights")).to_string(), "m.toml:6:1");
    assert_eq!(model.place(Some("functions.step.inputs.z")).to_string(), "m.toml:4:2");
    let files = model.declared_files();
    assert_eq!(files[2], ("functions.step.weights".to_owned(), "a.pt"));
    assert_eq!(model.conversion.functions.sources(), "a.py:b, a.py:c");
}

#[test]
fn functions_are_refused_where_they_make_no_sense() {
    let errors = |lines: &str| parse(&format!("{FUNCTIONS}{lines}\n")).unwrap_err();
    let missing = "m.toml:1:2: model `m`: `default-function` is missing: write for example \
        `default-function = \"prefill\"`";
    assert_eq!(errors(""), [missing]);
    assert_eq!(
        errors("default-function = \"stop\""),
        ["m.toml:12:1: `default-function` cannot be \"stop\": the functions are `prefill`, `step`"]
    );
    let with = |lines: &str| errors(&format!("default-function = \"step\"\n{lines}")).join("\n");
    assert!(
        with("inputs.z = { shape = [1] }")
            .contains("13:1: model `m`: `inputs` belongs to each of `functions`")
    );
    assert!(
        with("minimum-deployment-target = \"iOS17\"")
            .contains("need `minimum-deployment-target = \"iOS18\"`")
    );
    assert!(
        with("classifier = { labels = [\"a\"] }")
            .contains("`classifier` has no place beside `functions`")
    );
    assert!(
        with("functions.Upper = { source = { file = \"a.py\", entry = \"b\" } }")
            .contains("cannot name a function")
    );
    assert!(with("functions.bare = {}").contains("`source` is missing"));
    let mil = "functions.mil = { source = { mil = \"a.py\", entry = \"b\" }, inputs.x = { shape = \
        [1] } }";
    assert!(with(mil).contains("a function of several is made of"), "{}", with(mil));
    let strange =
        with("functions.more = { source = { file = \"a.py\", entry = \"b\" }, quantize = {} }");
    assert!(strange.contains("unknown key `quantize` in `model.functions.more`"), "{strange}");
    refused(
        "default-function = \"a\"",
        "m.toml:4:1: `default-function` names one of `functions`, and there are none",
    );
    let shared = parse(&format!("[defaults]\nfunctions.a = {{}}\n{MODEL}")).unwrap_err();
    assert_eq!(shared, ["m.toml:2:1: `functions` belongs to one model"]);
    let empty = parse("[model]\nfunctions = {}\ndefault-function = \"a\"\n").unwrap_err();
    assert!(empty[0].starts_with("m.toml:2:1: `functions` is empty"), "{empty:?}");
}
