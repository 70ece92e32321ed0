//! Every key of a manifest: what is read, what is refused, and where the error stands.

mod compression;
mod features;
mod functions;
mod sources;

use super::*;
use coreml_spec::{ComputeUnits, Tolerance};

/// Parses a manifest called `m.toml`.
fn parse(content: &str) -> Result<Manifest, Vec<String>> {
    let parsed = Manifest::parse(Path::new("/crate/m.toml"), "m.toml", content.to_owned());
    parsed.map_err(|rejected| rejected.errors.iter().map(Error::to_string).collect())
}

/// A model with what every model needs.
const MODEL: &str =
    "[model]\nsource = { file = \"a.py\", entry = \"net\" }\ninputs.x = { shape = [1, 3] }\n";

/// Returns the canonical table of [`MODEL`] with `lines` added.
#[track_caller]
pub(super) fn table(lines: &str) -> serde_json::Value {
    let manifest = parse(&format!("{MODEL}{lines}\n")).unwrap();
    serde_json::to_value(&manifest.models[0].conversion).unwrap()
}

/// Asserts that [`MODEL`] with `line` as its fourth line has exactly this error.
#[track_caller]
pub(super) fn refused(line: &str, expected: &str) {
    assert_eq!(parse(&format!("{MODEL}{line}\n")).unwrap_err(), [expected], "{line}");
}

#[test]
fn a_small_manifest_gets_every_default() {
    let manifest = parse(MODEL).unwrap();
    assert!(manifest.single);
    assert_eq!(manifest.requirements, Requirements::default());
    let model = &manifest.models[0];
    assert_eq!(
        (model.name.as_str(), model.settings.embed, model.settings.compute_units),
        ("m", false, ComputeUnits::All)
    );
    assert_eq!(model.tolerance, Tolerance::Psnr(35.0));
    assert_eq!(
        serde_json::to_string(&model.conversion).unwrap(),
        "{\"compute-precision\":\"float16\",\"format\":\"mlprogram\",\"capture\":\"auto\",\
         \"inputs\":{\"x\":{\"dtype\":\"float32\",\"shape\":[1,3]}},\"outputs\":{},\
         \"source\":{\"args\":{},\"entry\":\"net\",\"file\":\"a.py\"},\"metadata\":{},\
         \"minimum-deployment-target\":\"iOS18\",\"parity\":{\"samples\":3}}"
    );
}

#[test]
fn rules_that_a_model_allows_are_read_and_convert_nothing() {
    let allow = |line: &str| parse(&format!("{MODEL}{line}\n"));
    let model = allow("allow = [\"ANE070\", \"ANE030\", \"ANE070\"]").unwrap().models.remove(0);
    assert_eq!(model.settings.allow, ["ANE030", "ANE070"]);
    let plain = parse(MODEL).unwrap().models.remove(0);
    assert!(plain.settings.allow.is_empty() && plain.conversion == model.conversion);
    let errors = allow("allow = [\"ane030\"]").unwrap_err();
    assert!(errors[0].contains("`ane030` is no rule: `cargo coreml lint --rules`"), "{errors:?}");
    assert!(allow("allow = \"ANE030\"").is_err());
    let shared =
        parse(&format!("[defaults]\nallow = [\"ANE030\"]\n{MODEL}")).unwrap().models.remove(0);
    assert_eq!(shared.settings.allow, ["ANE030"]);
}

#[test]
fn a_proof_is_in_the_table_only_when_it_is_left_out() {
    assert_eq!(table("proof = false")["proof"], false);
    assert_eq!(table("proof = true").get("proof"), None);
    let without = format!("[defaults]\nproof = false\n{MODEL}");
    assert!(!parse(&without).unwrap().models[0].conversion.proof);
    assert!(parse(&format!("{without}proof = true\n")).unwrap().models[0].conversion.proof);
}

#[test]
fn every_key_is_read() {
    let table = table(
        "weights = \"w/a.safetensors\"\ncapture = \"export\"\nminimum-deployment-target = \
        \"macOS14\"\nformat = \
         \"mlprogram\"\n\
         compute-precision = { float32-ops = [\"softmax\"], float32-outputs = [\"y\"] \
         }\ncompute-units = \
              \"cpu-and-ne\"\n\
         inputs.b = { shape = [1], dtype = \"int32\", sample = { range = [0, 0x1_0] }, default = 2 \
         }\n\
         inputs.a = { shape = [1_0], dtype = \"float16\", sample = { range = [-1.5, 2] } }\n\
         outputs.z = { dtype = \"float32\" }\noutputs.y = {}\n\
         metadata = { author = \"A\", license = \"L\", description = \"D\", version = \"V\" }\n\
         classifier = { labels = [1, 2], predicted-feature-name = \"l\", \
         predicted-probabilities-output = \"p\" }\n\
         parity = { psnr = 40.0, samples = 1 }\nembed = true",
    );
    assert_eq!(
        table,
        serde_json::json!({
            "capture": "export",
            "classifier": {
                "labels": [1, 2],
                "predicted-feature-name": "l",
                "predicted-probabilities-output": "p",
            },
            "compute-precision": { "float32-ops": ["softmax"], "float32-outputs": ["y"] },
            "format": "mlprogram",
            "inputs": {
                "x": { "dtype": "float32", "shape": [1, 3] },
                "b": {
                    "default": 2,
                    "dtype": "int32",
                    "sample": { "range": [0, 16] },
                    "shape": [1],
                },
                "a": { "dtype": "float16", "sample": { "range": [-1.5, 2] }, "shape": [10] },
            },
            "metadata": { "author": "A", "license": "L", "description": "D", "version": "V" },
            "minimum-deployment-target": "macOS14",
            "outputs": { "z": { "dtype": "float32" }, "y": {} },
            "parity": { "samples": 1 },
            "source": { "args": {}, "entry": "net", "file": "a.py" },
            "weights": "w/a.safetensors"
        })
    );
}

#[test]
fn arguments_are_json_in_sorted_order() {
    let manifest = MODEL
        .replace("\"net\" }", "\"net\", args = { z = 1.5, a = [true, { b = \"c\" }], m = -3 } }");
    let text = serde_json::to_string(&parse(&manifest).unwrap().models[0].conversion).unwrap();
    let source =
        r#""source":{"args":{"a":[true,{"b":"c"}],"m":-3,"z":1.5},"entry":"net","file":"a.py"}"#;
    assert!(text.contains(source), "{text}");
    for value in ["inf", "nan", "2024-01-01", "[1, nan]"] {
        let manifest = MODEL.replace("\"net\" }", &format!("\"net\", args = {{ a = {value} }} }}"));
        assert!(
            parse(&manifest).unwrap_err()[0].starts_with("m.toml:2:42: `args` must be made of"),
            "{value}"
        );
    }
}

#[test]
fn defaults_fill_what_a_model_lacks() {
    let manifest = parse(
        "[defaults]\ncapture = \"trace\"\nmetadata = { author = \"A\", license = \"L\" }\ninputs.x \
        = { shape = \
         [1] }\n\
         source = { file = \"a.py\", entry = \"a\" }\n\n\
         [models.b]\nmetadata.license = \"M\"\ninputs.y = { shape = [2] }\n\n\
         [models.a]\nsource = { file = \"a.py\", entry = \"b\" }\ncapture = \"export\"\ninputs.x = \
         { shape = [3] }\n",
    )
    .unwrap();
    assert!(!manifest.single);
    let names: Vec<_> = manifest.models.iter().map(|model| model.name.as_str()).collect();
    assert_eq!(names, ["b", "a"], "the manifest's order");
    let [b, a] = &manifest.models[..] else { panic!() };
    let json = |model: &Model| serde_json::to_value(&model.conversion).unwrap();
    assert_eq!(json(b)["metadata"], serde_json::json!({ "author": "A", "license": "M" }));
    assert_eq!((&json(b)["capture"], &json(a)["capture"]), (&"trace".into(), &"export".into()));
    assert_eq!(json(b)["inputs"].as_object().unwrap().len(), 2);
    assert_eq!(json(a)["inputs"], serde_json::json!({ "x": { "dtype": "float32", "shape": [3] } }));
    assert_eq!(
        (&json(b)["source"]["entry"], &json(a)["source"]["entry"]),
        (&"a".into(), &"b".into())
    );
    assert_eq!(b.place(Some("inputs.y.shape")).to_string(), "m.toml:9:14");
    assert_eq!(b.place(Some("inputs.x")).to_string(), "m.toml:4:1", "from the defaults");
    assert_eq!(b.place(Some("inputs.z")).to_string(), "m.toml:9:1", "the nearest that is there");
    assert_eq!(b.place(Some("quantize.mode")).to_string(), "m.toml:7:2", "the model itself");
    assert_eq!(a.place(None).to_string(), "m.toml:11:2");
}

#[test]
fn unknown_keys_are_errors_with_a_guess() {
    refused("wieghts = 1", "m.toml:4:1: unknown key `wieghts` in `model`; did you mean `weights`?");
    refused(
        "compute_units = 1",
        "m.toml:4:1: unknown key `compute_units` in `model`; did you mean `compute-units`?",
    );
    refused("hello = 1", "m.toml:4:1: unknown key `hello` in `model`");
    refused(
        "  inputs.y = { shape = [1], typ = 1 }",
        "m.toml:4:29: unknown key `typ` in `model.inputs.y`; did you mean `dtype`?",
    );
    refused(
        "outputs.y = { dtpye = 1 }",
        "m.toml:4:15: unknown key `dtpye` in `model.outputs.y`; did you mean `dtype`?",
    );
    refused("[modle]", "m.toml:4:2: unknown key `modle`; did you mean `model`?");
    refused(
        "[python]\nrequire-python = 1",
        "m.toml:5:1: unknown key `require-python` in `python`; did you mean `requires-python`?",
    );
    let in_defaults = parse("[defaults]\nembd = true\n[models.a]\n").unwrap_err();
    assert_eq!(
        in_defaults[0],
        "m.toml:2:1: unknown key `embd` in `defaults`; did you mean `embed`?"
    );
}

#[test]
fn wrong_types_and_values_say_what_is_accepted() {
    refused("weights = 3", "m.toml:4:1: `weights` must be a string, found the integer 3");
    refused("weights = \"\"", "m.toml:4:1: `weights` is empty");
    refused(
        "weights = \"w.bin\"",
        "m.toml:4:1: `weights` cannot be \"w.bin\": it is a state dict that ends in .safetensors \
        or .pt",
    );
    refused(
        "embed = \"yes\"",
        "m.toml:4:1: `embed` must be true or false, found the string \"yes\"",
    );
    refused(
        "capture = \"tarce\"",
        "m.toml:4:1: `capture` cannot be \"tarce\": it must be one of \"auto\", \"trace\", \
        \"export\"; did you \
         mean `trace`?",
    );
    refused(
        "capture = 1.5",
        "m.toml:4:1: `capture` must be one of \"auto\", \"trace\", \"export\", found the number \
        1.5",
    );
    refused(
        "format = \"neuralnetwork\"",
        "m.toml:4:1: `format` cannot be \"neuralnetwork\": it must be one of \"mlprogram\"",
    );
    refused(
        "minimum-deployment-target = \"iOS14\"",
        "m.toml:4:1: `minimum-deployment-target` cannot be \"iOS14\": ML Programs need one of \
        \"iOS15\", \
         \"iOS16\", \"iOS17\", \
         \"iOS18\", \"iOS26\", or the macOS, watchOS or tvOS of the same year; did you mean \
         `iOS18`?",
    );
    refused("outputs = 1", "m.toml:4:1: `outputs` must be a table, found the integer 1");
    refused("metadata = []", "m.toml:4:1: `metadata` must be a table, found an array");
    refused("metadata.author = 2024-01-01", "m.toml:4:1: `author` must be a string, found a date");
    refused("classifier = { labels = [] }", "m.toml:4:16: `labels` is empty");
    refused(
        "classifier = { labels = [\"a\", 1] }",
        "m.toml:4:31: `labels` must be a string, found the integer 1",
    );
    refused(
        "classifier = { labels = [\"a\",\n  \"b\", \"a\"] }",
        "m.toml:5:8: the label \"a\" is that of two classes, and predictions could not tell them \
         apart: it stands in line 4, too",
    );
    refused(
        "classifier = { labels = [\"a\",\n  \"\"] }",
        "m.toml:5:3: the label of class 1 is empty",
    );
    refused(
        "classifier = { labels = [1, 2, 1] }",
        "m.toml:4:32: the label 1 is that of two classes, and predictions could not tell them \
         apart: it stands in line 4, too",
    );
    refused(
        "classifier = {}",
        "m.toml:4:1: model `m`: `labels` is missing in `classifier`: write for example `labels = \
        \"labels.txt\"`",
    );
    refused(
        "parity = { psnr = 1, atol = 1 }",
        "m.toml:4:1: `parity` has `psnr`, or `atol` and `rtol`, not both",
    );
    refused("parity = { atol = -1 }", "m.toml:4:12: a tolerance is not negative");
    refused(
        "parity = { metric = \"true\" }",
        "m.toml:4:1: a `metric` has one bound: `at-least` where more is better, or `at-most`",
    );
    refused(
        "parity = { at-least = 0.9 }",
        "m.toml:4:1: `at-least` and `at-most` are bounds of a `metric`: the command that prints \
        the figure",
    );
    refused(
        "parity = { metric = \"true\", at-most = 1, samples = 0 }",
        "m.toml:4:1: a `metric` judges samples, and `samples = 0` keeps none",
    );
    refused(
        "parity = { samples = 65 }",
        "m.toml:4:12: `samples` is 65, but must lie between 0 and 64",
    );
    refused(
        "compute-precision = {}",
        "m.toml:4:1: `compute-precision` keeps nothing in single precision: name operations in \
        `float32-ops` or \
         `float32-outputs`",
    );
}

#[test]
fn a_mistake_in_a_manifest_is_of_that_kind() {
    let parsed = Manifest::parse(Path::new("/m.toml"), "m.toml", format!("{MODEL}oops = 1\n"));
    assert_eq!(parsed.unwrap_err().errors[0].kind(), ErrorKind::Manifest);
}

#[test]
fn there_must_be_models_with_names_that_rust_knows() {
    assert!(parse("").unwrap_err()[0].starts_with("m.toml:1:1: there is no model"));
    assert!(parse("[models]\n").unwrap_err()[0].starts_with("m.toml:1:2: `models` is empty"));
    assert!(parse(&format!("{MODEL}[models.a]\n")).unwrap_err()[0].contains("not both"));
    for name in ["Encoder", "my-model", "type", "1st"] {
        let text = parse(&MODEL.replace("[model]", &format!("[models.{name}]"))).unwrap_err();
        assert!(
            text[0].starts_with(&format!("m.toml:1:2: `{name}` cannot name a model")),
            "{text:?}"
        );
    }
    let empty = parse("[models.a]\n").unwrap_err();
    assert_eq!(empty.len(), 2, "{empty:?}");
    assert!(
        empty[0].starts_with("m.toml:1:2: model `a`: `source` is missing")
            && empty[1].contains("`inputs` is missing")
    );
}

#[test]
fn toml_errors_have_their_place_and_known_models_are_still_named() {
    assert_eq!(
        parse("[model\nx = 1\n").unwrap_err(),
        ["m.toml:1:7: not valid TOML: unclosed table, expected `]`"]
    );
    assert!(parse("[model]\nx = 1\nx = 2\n").unwrap_err()[0].starts_with(
        "m.toml:3:1: not valid TOML: duplicate \
         key"
    ));
    let content = "[models.a]\nx = \n\n[models.b]\ny = 1\n".to_owned();
    let rejected = Manifest::parse(Path::new("/m.toml"), "m.toml", content).unwrap_err();
    assert_eq!(rejected.models, ["a", "b"]);
    assert!(
        rejected.errors.iter().all(|error| error.message().starts_with("not valid TOML: ")),
        "{:?}",
        rejected.errors
    );
}

#[test]
fn all_errors_are_found_at_once_and_stand_in_order() {
    let errors =
        parse("[models.a]\nembed = 1\nsourc = 2\n\n[models.b]\ncapture = \"x\"\n").unwrap_err();
    let lines: Vec<_> = errors.iter().map(|error| error.split(':').nth(1).unwrap()).collect();
    assert_eq!(lines, ["1", "1", "2", "3", "5", "5", "6"], "{errors:#?}");
}
