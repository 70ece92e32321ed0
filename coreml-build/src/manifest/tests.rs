//! Every key of a manifest: what is read, what is refused, and where the error stands.

use super::*;
use coreml_spec::{ComputeUnits, Tolerance};

/// Parses a manifest called `m.toml`.
fn parse(content: &str) -> Result<Manifest, Vec<String>> {
    let parsed = Manifest::parse(Path::new("/crate/m.toml"), "m.toml", content.to_owned());
    parsed.map_err(|rejected| rejected.errors.iter().map(Error::to_string).collect())
}

/// A model with what every model needs.
const MODEL: &str = "[model]\nsource = { file = \"a.py\", entry = \"net\" }\ninputs.x = { shape = [1, 3] }\n";

/// Returns the canonical table of [`MODEL`] with `lines` added.
#[track_caller]
fn table(lines: &str) -> serde_json::Value {
    let manifest = parse(&format!("{MODEL}{lines}\n")).unwrap();
    serde_json::to_value(&manifest.models[0].conversion).unwrap()
}

/// Asserts that [`MODEL`] with `line` as its fourth line has exactly this error.
#[track_caller]
fn refused(line: &str, expected: &str) {
    assert_eq!(parse(&format!("{MODEL}{line}\n")).unwrap_err(), [expected], "{line}");
}

#[test]
fn a_small_manifest_gets_every_default() {
    let manifest = parse(MODEL).unwrap();
    assert!(manifest.single);
    assert_eq!(manifest.requirements, Requirements::default());
    let model = &manifest.models[0];
    assert_eq!((model.name.as_str(), model.embed, model.compute_units), ("m", false, ComputeUnits::All));
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
    assert_eq!(model.allow, ["ANE030", "ANE070"]);
    let plain = parse(MODEL).unwrap().models.remove(0);
    assert!(plain.allow.is_empty() && plain.conversion == model.conversion);
    let errors = allow("allow = [\"ane030\"]").unwrap_err();
    assert!(errors[0].contains("`ane030` is no rule: `cargo coreml lint --rules`"), "{errors:?}");
    assert!(allow("allow = \"ANE030\"").is_err());
    let shared = parse(&format!("[defaults]\nallow = [\"ANE030\"]\n{MODEL}")).unwrap().models.remove(0);
    assert_eq!(shared.allow, ["ANE030"]);
}

#[test]
fn every_key_is_read() {
    let table = table(
        "weights = \"w/a.safetensors\"\ncapture = \"export\"\nminimum-deployment-target = \"macOS14\"\nformat = \
         \"mlprogram\"\n\
         compute-precision = { float32-ops = [\"softmax\"], float32-outputs = [\"y\"] }\ncompute-units = \
              \"cpu-and-ne\"\n\
         inputs.b = { shape = [1], dtype = \"int32\", sample = { range = [0, 0x1_0] }, default = 2 }\n\
         inputs.a = { shape = [1_0], dtype = \"float16\", sample = { range = [-1.5, 2] } }\n\
         outputs.z = { dtype = \"float32\" }\noutputs.y = {}\n\
         metadata = { author = \"A\", license = \"L\", description = \"D\", version = \"V\" }\n\
         classifier = { labels = [1, 2], predicted-feature-name = \"l\", predicted-probabilities-output = \"p\" }\n\
         parity = { psnr = 40.0, samples = 1 }\nembed = true",
    );
    assert_eq!(
        table,
        serde_json::json!({
            "capture": "export",
            "classifier": { "labels": [1, 2], "predicted-feature-name": "l", "predicted-probabilities-output": "p" },
            "compute-precision": { "float32-ops": ["softmax"], "float32-outputs": ["y"] },
            "format": "mlprogram",
            "inputs": {
                "x": { "dtype": "float32", "shape": [1, 3] },
                "b": { "default": 2, "dtype": "int32", "sample": { "range": [0, 16] }, "shape": [1] },
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
fn inputs_and_outputs_keep_the_order_of_the_manifest() {
    let lines = "inputs.b = { shape = [1] }\noutputs.z = {}\ninputs.a = { shape = [1] }\noutputs.y = {}\n";
    let text = serde_json::to_string(&parse(&format!("{MODEL}{lines}")).unwrap().models[0].conversion).unwrap();
    let at = |what: &str| text.find(what).unwrap();
    assert!(at("\"x\"") < at("\"b\"") && at("\"b\"") < at("\"a\"") && at("\"z\"") < at("\"y\""), "{text}");
}

#[test]
fn arguments_are_json_in_sorted_order() {
    let manifest = MODEL.replace("\"net\" }", "\"net\", args = { z = 1.5, a = [true, { b = \"c\" }], m = -3 } }");
    let text = serde_json::to_string(&parse(&manifest).unwrap().models[0].conversion).unwrap();
    let source = r#""source":{"args":{"a":[true,{"b":"c"}],"m":-3,"z":1.5},"entry":"net","file":"a.py"}"#;
    assert!(text.contains(source), "{text}");
    for value in ["inf", "nan", "2024-01-01", "[1, nan]"] {
        let manifest = MODEL.replace("\"net\" }", &format!("\"net\", args = {{ a = {value} }} }}"));
        assert!(parse(&manifest).unwrap_err()[0].starts_with("m.toml:2:42: `args` must be made of"), "{value}");
    }
}

#[test]
fn tolerances_follow_the_precision() {
    let tolerance = |lines: &str| parse(&format!("{MODEL}{lines}\n")).unwrap().models[0].tolerance;
    assert_eq!(tolerance("compute-precision = \"float32\""), Tolerance::Absolute { atol: 1e-3, rtol: 1e-5 });
    assert_eq!(tolerance("compute-precision = { float32-ops = [\"a\"] }"), Tolerance::Psnr(35.0));
    let half_output = "compute-precision = \"float32\"\noutputs.y = { dtype = \"float16\" }";
    assert_eq!(tolerance(half_output), Tolerance::Psnr(35.0));
    assert_eq!(tolerance("parity = { rtol = 0.5 }"), Tolerance::Absolute { atol: 0.0, rtol: 0.5 });
    assert_eq!(tolerance("parity = { samples = 5 }"), Tolerance::Psnr(35.0));
}

#[test]
fn defaults_fill_what_a_model_lacks() {
    let manifest = parse(
        "[defaults]\ncapture = \"trace\"\nmetadata = { author = \"A\", license = \"L\" }\ninputs.x = { shape = \
         [1] }\n\
         source = { file = \"a.py\", entry = \"a\" }\n\n\
         [models.b]\nmetadata.license = \"M\"\ninputs.y = { shape = [2] }\n\n\
         [models.a]\nsource = { file = \"a.py\", entry = \"b\" }\ncapture = \"export\"\ninputs.x = { shape = [3] }\n",
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
    assert_eq!((&json(b)["source"]["entry"], &json(a)["source"]["entry"]), (&"a".into(), &"b".into()));
    assert_eq!(b.place(Some("inputs.y.shape")).to_string(), "m.toml:9:14");
    assert_eq!(b.place(Some("inputs.x")).to_string(), "m.toml:4:1", "from the defaults");
    assert_eq!(b.place(Some("inputs.z")).to_string(), "m.toml:9:1", "the nearest that is there");
    assert_eq!(b.place(Some("quantize.mode")).to_string(), "m.toml:7:2", "the model itself");
    assert_eq!(a.place(None).to_string(), "m.toml:11:2");
}

#[test]
fn unknown_keys_are_errors_with_a_guess() {
    refused("wieghts = 1", "m.toml:4:1: unknown key `wieghts` in `model`; did you mean `weights`?");
    refused("compute_units = 1", "m.toml:4:1: unknown key `compute_units` in `model`; did you mean `compute-units`?");
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
    assert_eq!(in_defaults[0], "m.toml:2:1: unknown key `embd` in `defaults`; did you mean `embed`?");
}

#[test]
fn wrong_types_and_values_say_what_is_accepted() {
    refused("weights = 3", "m.toml:4:1: `weights` must be a string, found the integer 3");
    refused("weights = \"\"", "m.toml:4:1: `weights` is empty");
    refused(
        "weights = \"w.bin\"",
        "m.toml:4:1: `weights` cannot be \"w.bin\": it is a state dict that ends in .safetensors or .pt",
    );
    refused("embed = \"yes\"", "m.toml:4:1: `embed` must be true or false, found the string \"yes\"");
    refused(
        "capture = \"tarce\"",
        "m.toml:4:1: `capture` cannot be \"tarce\": it must be one of \"auto\", \"trace\", \"export\"; did you \
         mean `trace`?",
    );
    refused(
        "capture = 1.5",
        "m.toml:4:1: `capture` must be one of \"auto\", \"trace\", \"export\", found the number 1.5",
    );
    refused(
        "format = \"neuralnetwork\"",
        "m.toml:4:1: `format` cannot be \"neuralnetwork\": it must be one of \"mlprogram\"",
    );
    refused(
        "minimum-deployment-target = \"iOS14\"",
        "m.toml:4:1: `minimum-deployment-target` cannot be \"iOS14\": ML Programs need one of \"iOS15\", \
         \"iOS16\", \"iOS17\", \
         \"iOS18\", \"iOS26\", or the macOS, watchOS or tvOS of the same year; did you mean `iOS18`?",
    );
    refused("outputs = 1", "m.toml:4:1: `outputs` must be a table, found the integer 1");
    refused("metadata = []", "m.toml:4:1: `metadata` must be a table, found an array");
    refused("metadata.author = 2024-01-01", "m.toml:4:1: `author` must be a string, found a date");
    refused("classifier = { labels = [] }", "m.toml:4:16: `labels` is empty");
    refused("classifier = { labels = [\"a\", 1] }", "m.toml:4:31: `labels` must be a string, found the integer 1");
    refused(
        "classifier = {}",
        "m.toml:4:1: model `m`: `labels` is missing in `classifier`: write for example `labels = \"labels.txt\"`",
    );
    refused("parity = { psnr = 1, atol = 1 }", "m.toml:4:1: `parity` has `psnr`, or `atol` and `rtol`, not both");
    refused("parity = { atol = -1 }", "m.toml:4:12: a tolerance is not negative");
    refused("parity = { samples = 65 }", "m.toml:4:12: `samples` is 65, but must lie between 0 and 64");
    refused(
        "compute-precision = {}",
        "m.toml:4:1: `compute-precision` keeps nothing in single precision: name operations in `float32-ops` or \
         `float32-outputs`",
    );
}

#[test]
fn wrong_inputs_and_outputs_stand_at_their_place() {
    refused("inputs.y = {}", "m.toml:4:1: an input needs a shape: write for example `shape = [1, 3, 224, 224]`");
    refused("inputs.y = { shape = [] }", "m.toml:4:14: a shape has 1 to 5 dimensions, found 0");
    refused("inputs.y = { shape = [1, 1, 1, 1, 1, 1] }", "m.toml:4:14: a shape has 1 to 5 dimensions, found 6");
    refused("inputs.y = { shape = [1, 0] }", "m.toml:4:26: `shape` is 0, but must lie between 1 and 2147483647");
    refused(
        "inputs.y = { shape = [\"n\"] }",
        "m.toml:4:23: `shape` must be an integer of at most 64 bits, found the string \"n\"",
    );
    refused(
        "inputs.y = { shape = [99999999999999999999] }",
        "m.toml:4:23: `shape` must be an integer of at most 64 bits, found the integer 99999999999999999999",
    );
    refused(
        "inputs.y = { shape = [1], shapes = [[1]] }",
        "m.toml:4:1: an input has one of `shape`, `shapes` and `image`, not several",
    );
    refused(
        "inputs.\"a b\" = { shape = [1] }",
        "m.toml:4:1: `a b` cannot name a feature: coremltools would rename it. Use letters, digits and `_`, not \
         starting with a digit",
    );
    refused(
        "outputs.y = { dtype = \"int64\" }",
        "m.toml:4:15: `dtype` cannot be \"int64\": Core ML has no such inputs and outputs, and coremltools \
         would change it silently. Use \"int32\"",
    );
    refused(
        "outputs.y = { dtype = \"half\" }",
        "m.toml:4:15: `dtype` cannot be \"half\": it must be one of \"float16\", \"float32\", \"int32\", \"int8\"",
    );
    refused(
        "inputs.y = { shape = [1], sample = { range = [2, 1] } }",
        "m.toml:4:38: `range` has the smallest value first",
    );
    refused(
        "inputs.y = { shape = [1], sample = { range = [1] } }",
        "m.toml:4:38: `range` has two numbers, the smallest and the largest value",
    );
    refused(
        "inputs.y = { shape = [1], dtype = \"int32\", sample = { range = [0.5, 1] } }",
        "m.toml:4:55: the `range` of an integer input has integers",
    );
    refused(
        "outputs.y = { dtype = \"int8\" }",
        "m.toml:4:1: model `m`: `int8` inputs and outputs need `minimum-deployment-target = \"iOS26\"`, here it is \
         \"iOS18\"",
    );
    let int8 = "inputs.y = { shape = [1], dtype = \"int8\"";
    refused(
        &format!("{int8} }}"),
        "m.toml:4:1: model `m`: `int8` inputs and outputs need `minimum-deployment-target = \"iOS26\"`, here it is \"iOS18\"",
    );
    refused(
        &format!("{int8}, sample = {{ range = [0, 128] }} }}"),
        "m.toml:4:54: the `range` of an int8 input lies within -128 and 127",
    );
    refused(
        &format!("{int8}, default = 1 }}"),
        "m.toml:4:43: an int8 input has no `default`: Core ML has none of that type",
    );
    let float16 = "minimum-deployment-target = \"iOS15\"\noutputs.y = { dtype = \"float16\" }";
    refused(
        float16,
        "m.toml:5:1: model `m`: `float16` inputs and outputs need `minimum-deployment-target = \"iOS16\"`, here \
         it is \"iOS15\"",
    );
}

#[test]
fn sources_are_checked() {
    let with =
        |source: &str| parse(&format!("[model]\nsource = {source}\ninputs.x = {{ shape = [1] }}\n")).unwrap_err();
    assert!(with("{ file = \"a.py\" }")[0].starts_with("m.toml:2:1: `source` needs `file` and `entry`"));
    assert_eq!(
        with("{ file = \"a.py\", entry = \"a-b\" }"),
        ["m.toml:2:27: `entry` cannot be \"a-b\": it is the name of a function in the file"]
    );
    assert_eq!(
        with("{ file = \"a.py\", entry = \"a\", args = [1] }"),
        ["m.toml:2:40: `args` must be a table of keyword arguments, found an array"]
    );
    assert_eq!(with("\"a.py\""), ["m.toml:2:1: `source` must be a table, found the string \"a.py\""]);
}

#[test]
fn a_repository_is_named_with_its_task_and_its_commit() {
    let python = "[python]\ndependencies = [\"transformers\"]\n";
    let with = |source: &str, more: &str| {
        parse(&format!(
            "{python}[model]\nsource = {source}\ninputs.input_ids = {{ shape = [1, 8], dtype = \"int32\" }}\n{more}"
        ))
    };
    let commit = "a".repeat(40);
    let source = format!("{{ transformers = \"o/n\", task = \"fill-mask\", revision = \"{commit}\" }}");
    let model = with(&source, "classifier = {}\n").unwrap().models.remove(0);
    let table = serde_json::to_value(&model.conversion).unwrap();
    let expected = serde_json::json!({ "revision": commit, "task": "fill-mask", "transformers": "o/n" });
    assert_eq!(table["source"], expected);
    assert!(table["classifier"].get("labels").is_none(), "{table}");
    assert_eq!(model.conversion.functions.sources(), "o/n@aaaaaaaaaaaa");
    assert!(model.declared_files().is_empty() && model.declared_folders().is_empty());

    let folder = with("{ transformers = \"models/n\", task = \"fill-mask\" }", "").unwrap().models.remove(0);
    assert_eq!(folder.declared_folders(), [("source.transformers".to_owned(), "models/n")]);
    assert!(folder.declared_files().is_empty());

    let refused = |source: &str, more: &str, words: &str| {
        let errors = with(source, more).unwrap_err();
        assert!(errors.len() == 1 && errors[0].contains(words), "{errors:?}");
    };
    refused("{ transformers = \"o/n\" }", "", "`transformers` needs a `task`");
    refused("{ transformers = \"o/n\", task = \"fill-masks\" }", "", "did you mean `fill-mask`");
    refused(
        "{ transformers = \"o/n\", task = \"fill-mask\", entry = \"a\" }",
        "",
        "`entry` goes with `file` and `mil`",
    );
    refused(&source, "weights = \"w.pt\"\n", "a repository has its weights already");
    let error = parse(&format!("[model]\nsource = {source}\ninputs.x = {{ shape = [1] }}\n")).unwrap_err();
    assert!(error[0].contains("m.toml:2:12") && error[0].contains("dependencies = [\"transformers>=5\"]"), "{error:?}");
    let source = "{ file = \"a.py\", entry = \"n\", task = \"fill-mask\" }";
    refused(source, "", "`task` goes with `transformers`, not with `file`");
}

#[test]
fn states_may_be_inputs_and_outputs() {
    let mode = |lines: &str| table(lines).get("states-mode").cloned();
    assert_eq!(mode("states.k = { shape = [1] }\nstates.mode = \"io\""), Some("io".into()));
    assert_eq!(table("states.k = { shape = [1] }\nstates.mode = \"io\"")["states"].as_object().unwrap().len(), 1);
    assert_eq!(mode("states.k = { shape = [1] }\nstates.mode = \"coreml\""), None);
    assert_eq!(mode("states.mode = \"io\""), None, "there is no state");
    refused("states.mode = \"out\"", "m.toml:4:1: `mode` cannot be \"out\": it must be one of \"coreml\", \"io\"");
    refused(
        "states.mode = { shape = [1] }",
        "m.toml:4:1: a state cannot be called `mode`: name its buffer, `states.other = { buffer = \"mode\", … }`",
    );
    let defaults = "[defaults]\nstates.mode = \"io\"\n";
    let table = serde_json::to_value(
        &parse(&format!("{defaults}{MODEL}states.k = {{ shape = [1] }}\n")).unwrap().models[0].conversion,
    );
    assert_eq!(table.unwrap()["states-mode"], "io");
}

#[test]
fn the_tasks_are_those_of_the_driver() {
    let python = include_str!("../../python/coreml_driver/pretrained.py");
    let known = python.lines().filter(|line| line.starts_with("    \"") && line.contains("\": \"AutoModel"));
    let known: Vec<_> = known.map(|line| line.split('"').nth(1).unwrap()).collect();
    assert_eq!(known, source::TASKS);
}

#[test]
fn rewrites_are_asked_for() {
    assert_eq!(table("rewrite = [\"ane\"]")["rewrite"], serde_json::json!(["ane"]));
    assert!(table("rewrite = []").get("rewrite").is_none());
    refused("rewrite = [\"gpu\"]", "m.toml:4:12: `rewrite` cannot be \"gpu\": it must be one of \"ane\"");
    let saved = MODEL.replace("file = \"a.py\", entry = \"net\"", "torchscript = \"a.pt\"");
    let errors = parse(&format!("{saved}rewrite = [\"ane\"]\n")).unwrap_err();
    assert!(errors[0].contains("`rewrite` has no place beside `source.torchscript`"), "{errors:?}");
}

/// Two functions; the lines of the model follow.
const FUNCTIONS: &str = "[model.functions.prefill]\nsource = { file = \"a.py\", entry = \"b\" }\ninputs.x = { shape = [8] }\n\
                         [model.functions.step]\nsource = { file = \"a.py\", entry = \"c\" }\nweights = \"a.pt\"\n\
                         states.k = { shape = [1] }\n\
                         [defaults]\ncapture = \"trace\"\ninputs.y = { shape = [2] }\n\
                         [model]\n";

#[test]
fn functions_are_read_in_order_with_the_defaults() {
    let manifest = parse(&format!("{FUNCTIONS}default-function = \"step\"\nparity = {{ steps = 2 }}\n")).unwrap();
    let model = &manifest.models[0];
    let text = serde_json::to_string(&model.conversion).unwrap();
    assert!(text.contains("\"default-function\":\"step\",\"functions\":{\"prefill\":{\"capture\":\"trace\""), "{text}");
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
    let missing =
        "m.toml:1:2: model `m`: `default-function` is missing: write for example `default-function = \"prefill\"`";
    assert_eq!(errors(""), [missing]);
    assert_eq!(
        errors("default-function = \"stop\""),
        ["m.toml:12:1: `default-function` cannot be \"stop\": the functions are `prefill`, `step`"]
    );
    let with = |lines: &str| errors(&format!("default-function = \"step\"\n{lines}")).join("\n");
    assert!(with("inputs.z = { shape = [1] }").contains("13:1: model `m`: `inputs` belongs to each of `functions`"));
    assert!(with("minimum-deployment-target = \"iOS17\"").contains("need `minimum-deployment-target = \"iOS18\"`"));
    assert!(with("classifier = { labels = [\"a\"] }").contains("`classifier` has no place beside `functions`"));
    assert!(
        with("functions.Upper = { source = { file = \"a.py\", entry = \"b\" } }").contains("cannot name a function")
    );
    assert!(with("functions.bare = {}").contains("`source` is missing"));
    let mil = "functions.mil = { source = { mil = \"a.py\", entry = \"b\" }, inputs.x = { shape = [1] } }";
    assert!(with(mil).contains("a function of several is made of"), "{}", with(mil));
    let strange = with("functions.more = { source = { file = \"a.py\", entry = \"b\" }, quantize = {} }");
    assert!(strange.contains("unknown key `quantize` in `model.functions.more`"), "{strange}");
    refused("default-function = \"a\"", "m.toml:4:1: `default-function` names one of `functions`, and there are none");
    let shared = parse(&format!("[defaults]\nfunctions.a = {{}}\n{MODEL}")).unwrap_err();
    assert_eq!(shared, ["m.toml:2:1: `functions` belongs to one model"]);
    let empty = parse("[model]\nfunctions = {}\ndefault-function = \"a\"\n").unwrap_err();
    assert!(empty[0].starts_with("m.toml:2:1: `functions` is empty"), "{empty:?}");
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
        assert!(text[0].starts_with(&format!("m.toml:1:2: `{name}` cannot name a model")), "{text:?}");
    }
    let empty = parse("[models.a]\n").unwrap_err();
    assert_eq!(empty.len(), 2, "{empty:?}");
    assert!(
        empty[0].starts_with("m.toml:1:2: model `a`: `source` is missing") && empty[1].contains("`inputs` is missing")
    );
}

#[test]
fn toml_errors_have_their_place_and_known_models_are_still_named() {
    assert_eq!(parse("[model\nx = 1\n").unwrap_err(), ["m.toml:1:7: not valid TOML: unclosed table, expected `]`"]);
    assert!(parse("[model]\nx = 1\nx = 2\n").unwrap_err()[0].starts_with(
        "m.toml:3:1: not valid TOML: duplicate \
         key"
    ));
    let content = "[models.a]\nx = \n\n[models.b]\ny = 1\n".to_owned();
    let rejected = Manifest::parse(Path::new("/m.toml"), "m.toml", content).unwrap_err();
    assert_eq!(rejected.models, ["a", "b"]);
    assert!(rejected.errors.iter().all(|error| error.message().starts_with(NOT_TOML)), "{:?}", rejected.errors);
}

#[test]
fn all_errors_are_found_at_once_and_stand_in_order() {
    let errors = parse("[models.a]\nembed = 1\nsourc = 2\n\n[models.b]\ncapture = \"x\"\n").unwrap_err();
    let lines: Vec<_> = errors.iter().map(|error| error.split(':').nth(1).unwrap()).collect();
    assert_eq!(lines, ["1", "1", "2", "3", "5", "5", "6"], "{errors:#?}");
}

#[test]
fn python_requirements() {
    let manifest =
        parse(&format!("[python]\nrequires-python = \">=3.11\"\ndependencies = [\"torch==2.8\", \"x\"]\n{MODEL}"))
            .unwrap();
    assert_eq!(manifest.requirements.packages[0], "torch==2.8");
    assert_eq!(manifest.requirements.packages.last().unwrap(), "x");
    assert!(!manifest.requirements.range.contains([3, 10, 0]));
    let wrong = parse(&format!("[python]\nrequires-python = \"three\"\ndependencies = \"x\"\n{MODEL}")).unwrap_err();
    assert_eq!(
        wrong,
        [
            "m.toml:2:1: `requires-python` is a list of version bounds, such as \">=3.10,<3.14\"",
            "m.toml:3:1: `dependencies` must be an array, found the string \"x\""
        ]
    );
}

#[test]
fn files_that_do_not_exist_are_named_with_their_key() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, content: &str| std::fs::write(folder.path().join(name), content).unwrap();
    let read = |name: &str| {
        let manifest = Manifest::read(folder.path(), name)?;
        manifest.check_files(folder.path()).map(|()| manifest)
    };
    let text = |name: &str| read(name).unwrap_err().errors.iter().map(Error::to_string).collect::<Vec<_>>().join("\n");
    assert!(text("m.toml").contains("there is no manifest `m.toml`: looked for "), "{}", text("m.toml"));
    assert!(text("m.toml").contains("relative to the package"));
    write("whisper.toml", &format!("{MODEL}weights = \"w.pt\"\nclassifier = {{ labels = \"l.txt\" }}\n"));
    assert!(text("wisper.toml").contains("there is a `whisper.toml` in that folder: did you mean it?"));
    std::fs::create_dir(folder.path().join("l.txt")).unwrap();
    let missing = text("whisper.toml");
    assert!(missing.contains("whisper.toml:2:12: model `whisper`: `source.file`: "), "{missing}");
    assert!(
        missing.contains("whisper.toml:4:1: model `whisper`: `weights`: ") && missing.contains("w.pt does not exist")
    );
    assert!(missing.contains("whisper.toml:5:16: ") && missing.contains("l.txt is not a file"), "{missing}");
    write("a.py", "");
    write("m.toml", MODEL);
    assert!(read("./m.toml").unwrap().warnings.is_empty());
    std::fs::create_dir(folder.path().join("inner")).unwrap();
    let inner = folder.path().join("inner");
    let missing = Manifest::read(&inner, "../m.toml").unwrap().check_files(&inner).unwrap_err();
    assert!(missing.errors[0].to_string().contains("`source.file`"), "paths stay relative to the package");
    write("inner/a.py", "");
    let outside = Manifest::read(&folder.path().join("inner"), "../m.toml").unwrap();
    assert!(outside.warnings[0].contains("outside the package"), "{:?}", outside.warnings);
}

#[test]
fn states_are_read_with_their_steps() {
    let table = table(
        "states.v = { shape = [1, 8], buffer = \"layers.0.v\" }\nstates.k = { shape = [2], dtype = \"float16\" }",
    );
    assert_eq!(
        table["states"],
        serde_json::json!({
            "v": { "buffer": "layers.0.v", "dtype": "float16", "shape": [1, 8] },
            "k": { "dtype": "float16", "shape": [2] },
        })
    );
    assert_eq!(table["parity"], serde_json::json!({ "samples": 3, "steps": 3 }));
    let steps = self::table("states.k = { shape = [2] }\nparity = { samples = 1, steps = 5 }");
    assert_eq!(steps["parity"], serde_json::json!({ "samples": 1, "steps": 5 }));
    let start = self::table("inputs.p = { shape = [1], dtype = \"int32\", sample = { start = 0 } }");
    assert_eq!(start["inputs"]["p"]["sample"], serde_json::json!({ "start": 0 }));
    let single = parse(&format!("{MODEL}compute-precision = \"float32\"\nstates.k = {{ shape = [2] }}\n")).unwrap();
    assert_eq!(single.models[0].tolerance, Tolerance::Psnr(35.0), "states are in half precision");
}

#[test]
fn wrong_states_stand_at_their_place() {
    refused(
        "states.k = { shape = [1], dtype = \"float32\" }",
        "m.toml:4:27: Core ML's states are `float16`; the module's buffer may be float32",
    );
    refused(
        "states.k = {}",
        "m.toml:4:1: `shape` is missing in `model.states.k`: write for example `shape = [1, 8, 64, 64]`",
    );
    refused(
        "states.x = { shape = [1] }",
        "m.toml:4:1: model `m`: `x` names a state and an input or output: rename one",
    );
    refused(
        "parity.steps = 2",
        "m.toml:4:1: model `m`: `steps` counts predictions of a model with `states`, and this has none",
    );
    refused(
        "minimum-deployment-target = \"iOS17\"\nstates.k = { shape = [1] }",
        "m.toml:5:1: model `m`: states need `minimum-deployment-target = \"iOS18\"`, here it is \"iOS17\"",
    );
    refused(
        "inputs.y = { shape = [1], sample = { range = [0, 1], start = 0 } }",
        "m.toml:4:54: `sample` has `range` or `start`, not both",
    );
    refused(
        "inputs.y = { shape = [1], sample = {} }",
        "m.toml:4:27: `sample` needs `range` or `start`: write for example `sample = { range = [0, 1] }`",
    );
    refused(
        "inputs.y = { shape = [1], dtype = \"int32\", sample = { start = 0.5 } }",
        "m.toml:4:55: the `start` of an integer input is an integer",
    );
}

#[test]
fn flexible_shapes_are_read() {
    let table = table(
        "inputs.a = { shape = [1, { min = 1, max = 512, default = 128 }, { symbol = \"T\", min = 2, max = 4 }] }\n\
         inputs.b = { shapes = [[1, 64], [1, 128]] }",
    );
    assert_eq!(
        table["inputs"]["a"]["shape"],
        serde_json::json!([
            1,
            { "default": 128, "max": 512, "min": 1 },
            { "default": 4, "max": 4, "min": 2, "symbol": "T" },
        ])
    );
    assert_eq!(table["inputs"]["b"], serde_json::json!({ "dtype": "float32", "shapes": [[1, 64], [1, 128]] }));
}

#[test]
fn wrong_flexible_shapes_stand_at_their_place() {
    let bounds = "a flexible dimension needs `min` ≤ `default` ≤ `max`";
    refused("inputs.y = { shape = [{ min = 3, max = 2 }] }", &format!("m.toml:4:23: {bounds}"));
    refused("inputs.y = { shape = [{ min = 1, max = 2, default = 3 }] }", &format!("m.toml:4:23: {bounds}"));
    refused(
        "inputs.y = { shape = [1, { min = 2, max = 2 }] }",
        "m.toml:4:26: `min` and `max` are both 2: write 2 for a fixed size",
    );
    refused(
        "inputs.y = { shape = [{ min = 1 }] }",
        "m.toml:4:23: `max` is missing in `model.inputs.y.shape`: write for example `max = 512`",
    );
    refused(
        "inputs.y = { shape = [{ min = 1, max = 2, symbol = \"a b\" }] }",
        "m.toml:4:43: `symbol` cannot be \"a b\": it is made of letters, digits and `_`",
    );
    refused("inputs.y = { shapes = [] }", "m.toml:4:14: `shapes` is empty");
    refused(
        "inputs.y = { shapes = [[1], [2]], default = 0 }",
        "m.toml:4:14: an input with `shapes` has no `default`: coremltools takes none",
    );
    refused(
        "inputs.y = { shapes = [[1], [1, 2]] }",
        "m.toml:4:29: all `shapes` of an input have the same number of dimensions",
    );
    refused("inputs.y = { shapes = [[1], [1]] }", "m.toml:4:29: the shape [1] stands in `shapes` twice");
    refused(
        "inputs.y = { shape = [{ symbol = \"T\", min = 1, max = 2 }] }\n\
         inputs.z = { shape = [{ symbol = \"T\", min = 1, max = 3 }] }",
        "m.toml:5:1: model `m`: the symbol `T` has other bounds in `y`: equal sizes have equal bounds",
    );
    refused(
        "inputs.y = { shape = [{ symbol = \"T\", min = 1, max = 2 }] }\n\
         inputs.z = { image = { color = \"rgb\", width = 4, height = { symbol = \"T\", min = 1, max = 3 } } }",
        "m.toml:5:1: model `m`: the symbol `T` has other bounds in `y`: equal sizes have equal bounds",
    );
    let two = "inputs.y = { shapes = [[1], [2]] }\ninputs.z = { shapes = [[1], [2]] }";
    assert!(parse(&format!("{MODEL}{two}\n")).is_ok());
    refused(
        &format!("minimum-deployment-target = \"iOS17\"\n{two}"),
        "m.toml:6:1: model `m`: several inputs with `shapes` need `minimum-deployment-target = \"iOS18\"`, here it is \"iOS17\"",
    );
    refused(
        "inputs.y = { shapes = [[1], [2]] }\ninputs.z = { shapes = [[1], [2], [3]] }",
        "m.toml:5:1: model `m`: `y` has 2 `shapes`, `z` has 3: enumerated shapes of several inputs pair by position",
    );
}

/// What k-means needs in a manifest.
const CLUSTERS: &str = "[python]\ndependencies = [\"scikit-learn\"]\n";

#[test]
fn compression_is_read_with_its_defaults() {
    let lines = "quantize = { weights = \"int4\", per = \"block\" }\nprune = { target-sparsity = 0.5 }";
    let quantized = table(lines);
    assert_eq!(
        quantized["quantize"],
        serde_json::json!({
            "block-size": 32, "mode": "linear-symmetric", "per": "block", "weight-threshold": 2048, "weights": "int4",
        })
    );
    assert_eq!(
        quantized["prune"],
        serde_json::json!({ "mode": "magnitude", "target-sparsity": 0.5, "weight-threshold": 2048 })
    );
    let text = format!("{CLUSTERS}{MODEL}palettize = {{ bits = 6, per = \"grouped-channel\" }}\n");
    let palettized = serde_json::to_value(&parse(&text).unwrap().models[0].conversion).unwrap();
    assert_eq!(
        palettized["palettize"],
        serde_json::json!({
            "bits": 6, "group-size": 32, "mode": "kmeans", "per": "grouped-channel", "weight-threshold": 2048,
        })
    );
    let pruned = table("prune = { mode = \"threshold\", threshold = 0.01, weight-threshold = 0 }");
    assert_eq!(
        pruned["prune"],
        serde_json::json!({
            "minimum-sparsity-percentile": 0.5, "mode": "threshold", "threshold": 0.01, "weight-threshold": 0,
        })
    );
}

#[test]
fn wrong_compression_stands_at_its_place() {
    refused(
        "quantize = { weights = \"int9\" }",
        "m.toml:4:14: `weights` cannot be \"int9\": it must be one of \"int8\", \"uint8\", \"int4\", \"uint4\"; did you \
         mean `int4`?",
    );
    refused(
        "quantize = {}",
        "m.toml:4:1: `weights` is missing in `model.quantize`: write for example `weights = \"int8\"`",
    );
    refused(
        "quantize = { weights = \"int8\", block-size = 8 }",
        "m.toml:4:32: `block-size` goes with `per = \"block\"`",
    );
    refused("palettize = { bits = 5 }", "m.toml:4:15: `bits` is 5, but must be one of 1, 2, 3, 4, 6, 8");
    refused(
        "palettize = { bits = 4 }",
        "m.toml:4:1: model `m`: k-means needs scikit-learn: add `dependencies = [\"scikit-learn\"]` to `[python]`, or \
         write `mode = \"uniform\"`",
    );
    refused("prune = {}", "m.toml:4:1: `prune` with `mode = \"magnitude\"` needs for example `target-sparsity = 0.5`");
    refused("prune = { target-sparsity = 50 }", "m.toml:4:11: this is a share, between 0 and 1");
    refused(
        "prune = { mode = \"threshold\", threshold = 0.1, target-sparsity = 0.5 }",
        "m.toml:4:48: this is no key of `mode = \"threshold\"`",
    );
    refused(
        "quantize = { weights = \"int8\" }\npalettize = { bits = 4, mode = \"uniform\" }",
        "m.toml:4:1: model `m`: with `palettize` it is the look-up tables that are quantized: write `per = \"tensor\"`",
    );
    for (line, what, needed) in [
        ("quantize = { weights = \"int8\" }", "quantized weights", "iOS16"),
        ("prune = { target-sparsity = 0.5 }", "pruned weights", "iOS16"),
        ("palettize = { bits = 4, mode = \"uniform\" }", "palettized weights", "iOS16"),
    ] {
        refused(
            &format!("minimum-deployment-target = \"iOS15\"\n{line}"),
            &format!(
                "m.toml:5:1: model `m`: {what} need `minimum-deployment-target = \"{needed}\"`, here it is \"iOS15\""
            ),
        );
    }
    refused(
        "minimum-deployment-target = \"macOS14\"\nquantize = { weights = \"int4\" }",
        "m.toml:5:14: model `m`: weights of 4 bits need `minimum-deployment-target = \"macOS15\"`, here it is \"macOS14\"",
    );
    refused(
        "minimum-deployment-target = \"iOS17\"\nquantize = { weights = \"int8\" }\nprune = { target-sparsity = 0.5 }",
        "m.toml:5:1: model `m`: weights that are compressed in several ways need `minimum-deployment-target = \"iOS18\"`, \
         here it is \"iOS17\"",
    );
}

#[test]
fn images_are_read() {
    let table = table(
        "inputs.a = { image = { width = 28, height = { min = 8, max = 32 }, color = \"rgb\", mean = [0.485, 0.456, 0.406], std = 0.5 } }\n\
         inputs.b = { image = { width = 2, height = 3, color = \"grayscale\", scale = 0.5, bias = [-1] }, sample = { range = [0, 9] } }\n\
         outputs.y = { image = { color = \"bgr\" } }",
    );
    assert_eq!(
        table["inputs"]["a"],
        serde_json::json!({ "image": {
            "color": "rgb",
            "height": { "default": 32, "max": 32, "min": 8 },
            "mean": [0.485, 0.456, 0.406],
            "std": [0.5, 0.5, 0.5],
            "width": 28,
        } })
    );
    assert_eq!(
        table["inputs"]["b"],
        serde_json::json!({
            "image": { "bias": [-1], "color": "grayscale", "height": 3, "scale": [0.5], "width": 2 },
            "sample": { "range": [0, 9] },
        })
    );
    assert_eq!(table["outputs"]["y"], serde_json::json!({ "image": { "color": "bgr" } }));
}

#[test]
fn wrong_images_stand_at_their_place() {
    let image = |keys: &str| format!("inputs.y = {{ image = {{ width = 2, height = 2, {keys} }} }}");
    refused(
        &image("scale = 1"),
        "m.toml:4:14: `color` is missing in `model.inputs.y.image`: write for example `color = \"rgb\"`",
    );
    refused(
        &image("color = \"RGB\""),
        "m.toml:4:47: `color` cannot be \"RGB\": it must be one of \"rgb\", \"bgr\", \"grayscale\", \
         \"grayscale-float16\"; did you mean `rgb`?",
    );
    refused(&image("color = \"rgb\", bias = [1, 2]"), "m.toml:4:62: the image has 3 channels, found 2 numbers");
    refused(
        &image("color = \"rgb\", scale = 2, std = 1"),
        "m.toml:4:73: an image has `scale` and `bias`, or `mean` and `std`, not both",
    );
    refused(&image("color = \"rgb\", std = [1, 0, 1]"), "m.toml:4:62: `std` is zero: every pixel would be the same");
    refused(
        "inputs.y = { image = { width = 2, height = 2, color = \"rgb\" }, dtype = \"float32\" }",
        "m.toml:4:64: an image has no `dtype` and no `default`: its `color` says what it holds",
    );
    refused(
        "outputs.y = { image = { color = \"rgb\" }, dtype = \"float32\" }",
        "m.toml:4:15: an output has `dtype` or `image`, not both",
    );
    refused(
        "minimum-deployment-target = \"iOS15\"\noutputs.y = { image = { color = \"grayscale-float16\" } }",
        "m.toml:5:1: model `m`: `grayscale-float16` images need `minimum-deployment-target = \"iOS16\"`, here it is \"iOS15\"",
    );
}

/// Parses a model with this source and these lines, and no inputs.
fn with_source(source: &str, lines: &str) -> Result<serde_json::Value, Vec<String>> {
    let manifest = parse(&format!("[model]\nsource = {{ {source} }}\n{lines}\n"))?;
    Ok(serde_json::to_value(&manifest.models[0].conversion).unwrap())
}

#[test]
fn every_kind_of_source_is_read() {
    let inputs = "inputs.x = { shape = [1] }\nops = \"my_ops.py\"";
    for (source, json, lines) in [
        ("torchscript = \"a.pt\"", serde_json::json!({ "torchscript": "a.pt" }), inputs),
        ("exported = \"a.pt2\"", serde_json::json!({ "exported": "a.pt2" }), inputs),
        ("package = \"A.mlpackage\"", serde_json::json!({ "package": "A.mlpackage" }), ""),
        (
            "mil = \"a.py\", entry = \"b\"",
            serde_json::json!({ "args": {}, "entry": "b", "mil": "a.py" }),
            "ops = \"my_ops.py\"",
        ),
    ] {
        let table = with_source(source, lines).unwrap();
        assert_eq!(table["source"], json);
        assert_eq!(table["ops"], if lines.is_empty() { serde_json::Value::Null } else { "my_ops.py".into() });
    }
}

#[test]
fn keys_that_a_source_leaves_no_choice_are_refused() {
    let first = |source: &str, lines: &str| with_source(source, lines).unwrap_err()[0].clone();
    let package = "package = \"A.mlpackage\"";
    assert_eq!(
        first(package, "quantize = { weights = \"int8\" }"),
        "m.toml:3:1: model `m`: `quantize` has no place beside `source.package`: a ready package is taken as it is"
    );
    assert!(first(package, "inputs.x = { shape = [1] }").contains("m.toml:3:1: model `m`: `inputs` has no place"));
    assert!(with_source(package, "embed = true\ncompute-units = \"all\"").is_ok());
    assert!(
        parse(
            "[defaults]\ncapture = \"trace\"\nweights = \"w.pt\"\n[models.a]\nsource = { package = \"A.mlpackage\" }\n"
        )
        .unwrap()
        .models[0]
            .conversion
            .functions
            .iter()
            .next()
            .unwrap()
            .1
            .weights
            .clone()
            .is_none()
    );
    assert!(first("mil = \"a.py\", entry = \"b\"", "parity = { samples = 1 }").contains("nothing to compare with"));
    assert!(
        first("torchscript = \"a.pt\"", "capture = \"export\"\ninputs.x = { shape = [1] }")
            .contains("its graph already")
    );
    assert!(first("exported = \"a.pt2\"", "").contains("`inputs` is missing"));
    assert_eq!(
        first("package = \"A.mlmodel\"", "inputs.x = { shape = [1] }"),
        "m.toml:2:12: `package` cannot be \"A.mlmodel\": it is a folder that ends in .mlpackage"
    );
    assert_eq!(
        first("file = \"a.py\", entry = \"b\", exported = \"c\"", "inputs.x = { shape = [1] }"),
        "m.toml:2:40: `source` has one of `file`, `mil`, `torchscript`, `exported`, `transformers`, `package`, not several"
    );
    assert!(
        with_source("mil = \"a.py\"", "").unwrap_err()[1].starts_with("m.toml:2:1: `source` needs `file` and `entry`")
    );
}
