//! What goes in and out: order, types, shapes, images, states, tolerances.

use super::*;

#[test]
fn inputs_and_outputs_keep_the_order_of_the_manifest() {
    let lines =
        "inputs.b = { shape = [1] }\noutputs.z = {}\ninputs.a = { shape = [1] }\noutputs.y = {}\n";
    let text =
        serde_json::to_string(&parse(&format!("{MODEL}{lines}")).unwrap().models[0].conversion)
            .unwrap();
    let at = |what: &str| text.find(what).unwrap();
    assert!(
        at("\"x\"") < at("\"b\"") && at("\"b\"") < at("\"a\"") && at("\"z\"") < at("\"y\""),
        "{text}"
    );
}

#[test]
fn tolerances_follow_the_precision() {
    let tolerance = |lines: &str| parse(&format!("{MODEL}{lines}\n")).unwrap().models[0].tolerance;
    assert_eq!(tolerance("compute-precision = \"float32\""), Tolerance::Psnr(80.0));
    assert_eq!(tolerance("compute-precision = { float32-ops = [\"a\"] }"), Tolerance::Psnr(35.0));
    let half_output = "compute-precision = \"float32\"\noutputs.y = { dtype = \"float16\" }";
    assert_eq!(tolerance(half_output), Tolerance::Psnr(35.0));
    assert_eq!(tolerance("parity = { rtol = 0.5 }"), Tolerance::Absolute { atol: 0.0, rtol: 0.5 });
    assert_eq!(tolerance("parity = { samples = 5 }"), Tolerance::Psnr(35.0));
}

#[test]
fn wrong_inputs_and_outputs_stand_at_their_place() {
    refused(
        "inputs.y = {}",
        "m.toml:4:1: an input needs a shape: write for example `shape = [1, 3, 224, 224]`",
    );
    refused("inputs.y = { shape = [] }", "m.toml:4:14: a shape has 1 to 5 dimensions, found 0");
    refused(
        "inputs.y = { shape = [1, 1, 1, 1, 1, 1] }",
        "m.toml:4:14: a shape has 1 to 5 dimensions, found 6",
    );
    refused(
        "inputs.y = { shape = [1, 0] }",
        "m.toml:4:26: `shape` is 0, but must lie between 1 and 2147483647",
    );
    refused(
        "inputs.y = { shape = [\"n\"] }",
        "m.toml:4:23: `shape` must be an integer of at most 64 bits, found the string \"n\"",
    );
    refused(
        "inputs.y = { shape = [99999999999999999999] }",
        "m.toml:4:23: `shape` must be an integer of at most 64 bits, found the integer \
        99999999999999999999",
    );
    refused(
        "inputs.y = { shape = [1], shapes = [[1]] }",
        "m.toml:4:1: an input has one of `shape`, `shapes` and `image`, not several",
    );
    refused(
        "inputs.\"a b\" = { shape = [1] }",
        "m.toml:4:1: `a b` cannot name a feature: coremltools would rename it. Use letters, digits \
        and `_`, not \
         starting with a digit",
    );
    refused(
        "outputs.y = { dtype = \"int64\" }",
        "m.toml:4:15: `dtype` cannot be \"int64\": Core ML has no such inputs and outputs, and \
        coremltools \
         would change it silently. Use \"int32\"",
    );
    refused(
        "outputs.y = { dtype = \"half\" }",
        "m.toml:4:15: `dtype` cannot be \"half\": it must be one of \"float16\", \"float32\", \
        \"int32\", \"int8\"",
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
        "m.toml:4:1: model `m`: `int8` inputs and outputs need `minimum-deployment-target = \
        \"iOS26\"`, here it is \
         \"iOS18\"",
    );
    let int8 = "inputs.y = { shape = [1], dtype = \"int8\"";
    refused(
        &format!("{int8} }}"),
        "m.toml:4:1: model `m`: `int8` inputs and outputs need `minimum-deployment-target = \
        \"iOS26\"`, here it is \"iOS18\"",
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
        "m.toml:5:1: model `m`: `float16` inputs and outputs need `minimum-deployment-target = \
        \"iOS16\"`, here \
         it is \"iOS15\"",
    );
}

#[test]
fn states_may_be_inputs_and_outputs() {
    let mode = |lines: &str| table(lines).get("states-mode").cloned();
    assert_eq!(mode("states.k = { shape = [1] }\nstates.mode = \"io\""), Some("io".into()));
    assert_eq!(
        table("states.k = { shape = [1] }\nstates.mode = \"io\"")["states"]
            .as_object()
            .unwrap()
            .len(),
        1
    );
    assert_eq!(mode("states.k = { shape = [1] }\nstates.mode = \"coreml\""), None);
    assert_eq!(mode("states.mode = \"io\""), None, "there is no state");
    refused(
        "states.mode = \"out\"",
        "m.toml:4:1: `mode` cannot be \"out\": it must be one of \"coreml\", \"io\"",
    );
    refused(
        "states.mode = { shape = [1] }",
        "m.toml:4:1: a state cannot be called `mode`: name its buffer, `states.other = { buffer = \
        \"mode\", … }`",
    );
    let defaults = "[defaults]\nstates.mode = \"io\"\n";
    let table = serde_json::to_value(
        &parse(&format!("{defaults}{MODEL}states.k = {{ shape = [1] }}\n")).unwrap().models[0]
            .conversion,
    );
    assert_eq!(table.unwrap()["states-mode"], "io");
}

#[test]
fn states_are_read_with_their_steps() {
    let table = table(
        "states.v = { shape = [1, 8], buffer = \"layers.0.v\" }\nstates.k = { shape = [2], dtype = \
        \"float16\" }",
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
    let start =
        self::table("inputs.p = { shape = [1], dtype = \"int32\", sample = { start = 0 } }");
    assert_eq!(start["inputs"]["p"]["sample"], serde_json::json!({ "start": 0 }));
    let single =
        parse(&format!("{MODEL}compute-precision = \"float32\"\nstates.k = {{ shape = [2] }}\n"))
            .unwrap();
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
        "m.toml:4:1: `shape` is missing in `model.states.k`: write for example `shape = [1, 8, 64, \
        64]`",
    );
    refused(
        "states.x = { shape = [1] }",
        "m.toml:4:1: model `m`: `x` names a state and an input or output: rename one",
    );
    refused(
        "parity.steps = 2",
        "m.toml:4:1: model `m`: `steps` counts predictions of a model with `states`, and this has \
        none",
    );
    refused(
        "minimum-deployment-target = \"iOS17\"\nstates.k = { shape = [1] }",
        "m.toml:5:1: model `m`: states need `minimum-deployment-target = \"iOS18\"`, here it is \
        \"iOS17\"",
    );
    refused(
        "inputs.y = { shape = [1], sample = { range = [0, 1], start = 0 } }",
        "m.toml:4:54: `sample` has `range` or `start`, not both",
    );
    refused(
        "inputs.y = { shape = [1], sample = {} }",
        "m.toml:4:27: `sample` needs `range`, `start`, `files`, `safetensors` or `texts`: write \
        for example `sample = { range = [0, 1] }`",
    );
    refused(
        "inputs.y = { shape = [1], dtype = \"int32\", sample = { start = 0.5 } }",
        "m.toml:4:55: the `start` of an integer input is an integer",
    );
}

#[test]
fn flexible_shapes_are_read() {
    let table = table(
        "inputs.a = { shape = [1, { min = 1, max = 512, default = 128 }, { symbol = \"T\", min = \
        2, max = 4 }] }\n\
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
    assert_eq!(
        table["inputs"]["b"],
        serde_json::json!({ "dtype": "float32", "shapes": [[1, 64], [1, 128]] })
    );
}

#[test]
fn wrong_flexible_shapes_stand_at_their_place() {
    let bounds = "a flexible dimension needs `min` ≤ `default` ≤ `max`";
    refused("inputs.y = { shape = [{ min = 3, max = 2 }] }", &format!("m.toml:4:23: {bounds}"));
    refused(
        "inputs.y = { shape = [{ min = 1, max = 2, default = 3 }] }",
        &format!("m.toml:4:23: {bounds}"),
    );
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
    refused(
        "inputs.y = { shapes = [[1], [1]] }",
        "m.toml:4:29: the shape [1] stands in `shapes` twice",
    );
    refused(
        "inputs.y = { shape = [{ symbol = \"T\", min = 1, max = 2 }] }\n\
         inputs.z = { shape = [{ symbol = \"T\", min = 1, max = 3 }] }",
        "m.toml:5:1: model `m`: the symbol `T` has other bounds in `y`: equal sizes have equal \
        bounds",
    );
    refused(
        "inputs.y = { shape = [{ symbol = \"T\", min = 1, max = 2 }] }\n\
         inputs.z = { image = { color = \"rgb\", width = 4, height = { symbol = \"T\", min = 1, \
         max = 3 } } }",
        "m.toml:5:1: model `m`: the symbol `T` has other bounds in `y`: equal sizes have equal \
        bounds",
    );
    let two = "inputs.y = { shapes = [[1], [2]] }\ninputs.z = { shapes = [[1], [2]] }";
    assert!(parse(&format!("{MODEL}{two}\n")).is_ok());
    refused(
        &format!("minimum-deployment-target = \"iOS17\"\n{two}"),
        "m.toml:6:1: model `m`: several inputs with `shapes` need `minimum-deployment-target = \
        \"iOS18\"`, here it is \"iOS17\"",
    );
    refused(
        "inputs.y = { shapes = [[1], [2]] }\ninputs.z = { shapes = [[1], [2], [3]] }",
        "m.toml:5:1: model `m`: `y` has 2 `shapes`, `z` has 3: enumerated shapes of several inputs \
        pair by position",
    );
}

#[test]
fn images_are_read() {
    let table = table(
        "inputs.a = { image = { width = 28, height = { min = 8, max = 32 }, color = \"rgb\", mean \
        = [0.485, 0.456, 0.406], std = 0.5 } }\n\
         inputs.b = { image = { width = 2, height = 3, color = \"grayscale\", scale = 0.5, bias = \
         [-1] }, sample = { range = [0, 9] } }\n\
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
            "image": {
                "bias": [-1],
                "color": "grayscale",
                "height": 3,
                "scale": [0.5],
                "width": 2,
            },
            "sample": { "range": [0, 9] },
        })
    );
    assert_eq!(table["outputs"]["y"], serde_json::json!({ "image": { "color": "bgr" } }));
}

#[test]
fn means_for_other_pixels_are_questioned() {
    let folder = tempfile::tempdir().unwrap();
    let warnings = |pixels: &str| {
        let image = format!("inputs.y = {{ image = {{ width = 2, height = 2, {pixels} }} }}");
        std::fs::write(folder.path().join("m.toml"), format!("{MODEL}{image}\n")).unwrap();
        crate::manifest::Manifest::read(folder.path(), "m.toml").unwrap().warnings
    };
    assert_eq!(
        warnings(
            "color = \"rgb\", mean = [123.675, 116.28, 103.53], std = [58.395, 57.12, 57.375]"
        ),
        ["m.toml:4:62: is a `mean` above 1 meant? Pixels are divided by 255 before `mean` and \
          `std` are used, as by torchvision's `ToTensor`; numbers for pixels from 0 to 255 are \
          here `mean = [0.485, 0.456, 0.406]` and `std = [0.229, 0.224, 0.225]`"]
    );
    for right in [
        "color = \"rgb\", mean = [0.485, 0.456, 0.406], std = [0.229, 0.224, 0.225]",
        "color = \"grayscale\", mean = 0.5",
        "color = \"grayscale-float16\", mean = 100",
        "color = \"rgb\", bias = -127.5",
    ] {
        assert_eq!(warnings(right), [""; 0], "{right}");
    }
}

#[test]
fn wrong_images_stand_at_their_place() {
    let image =
        |keys: &str| format!("inputs.y = {{ image = {{ width = 2, height = 2, {keys} }} }}");
    refused(
        &image("scale = 1"),
        "m.toml:4:14: `color` is missing in `model.inputs.y.image`: write for example `color = \
        \"rgb\"`",
    );
    refused(
        &image("color = \"RGB\""),
        "m.toml:4:47: `color` cannot be \"RGB\": it must be one of \"rgb\", \"bgr\", \
        \"grayscale\", \
         \"grayscale-float16\"; did you mean `rgb`?",
    );
    refused(
        &image("color = \"rgb\", mean = \"imagenet\""),
        "m.toml:4:62: this is a number for all channels, or one for each; those of ImageNet are \
         `mean = [0.485, 0.456, 0.406]` and `std = [0.229, 0.224, 0.225]`",
    );
    refused(
        "inputs.y = { image = { size = 224, color = \"rgb\" } }",
        "m.toml:4:24: an image has no `size`, but `width` and `height`: write `width = 224, height \
         = 224`",
    );
    refused(
        &image("color = \"rgb\", bias = [1, 2]"),
        "m.toml:4:62: the image has 3 channels, found 2 numbers",
    );
    refused(
        &image("color = \"rgb\", scale = 2, std = 1"),
        "m.toml:4:73: an image has `scale` and `bias`, or `mean` and `std`, not both",
    );
    refused(
        &image("color = \"rgb\", std = [1, 0, 1]"),
        "m.toml:4:62: `std` is zero: every pixel would be the same",
    );
    refused(
        "inputs.y = { image = { width = 2, height = 2, color = \"rgb\" }, dtype = \"float32\" }",
        "m.toml:4:64: an image has no `dtype` and no `default`: its `color` says what it holds",
    );
    refused(
        "outputs.y = { image = { color = \"rgb\" }, dtype = \"float32\" }",
        "m.toml:4:15: an output has `dtype` or `image`, not both",
    );
    refused(
        "minimum-deployment-target = \"iOS15\"\noutputs.y = { image = { color = \
        \"grayscale-float16\" } }",
        "m.toml:5:1: model `m`: `grayscale-float16` images need `minimum-deployment-target = \
        \"iOS16\"`, here it is \"iOS15\"",
    );
}

#[test]
fn what_does_not_fit_is_cut_or_scaled_and_converts_nothing() {
    use coreml_spec::{Fitting, Kept, Resize};
    let manifest = |inputs: &str| {
        parse(&format!("[model]\nsource = {{ file = \"a.py\", entry = \"net\" }}\n{inputs}\n"))
    };
    let fittings = |inputs: &str| {
        let model = manifest(inputs).unwrap().models.remove(0);
        let fittings = model.conversion.functions.fittings();
        assert!(fittings.iter().all(|fitting| fitting.function.is_none()));
        let table = serde_json::to_string(&model.conversion).unwrap();
        let fittings = fittings.into_iter().map(|one| (one.input, one.fitting));
        (fittings.collect::<Vec<_>>(), table)
    };
    let ids = |longer: &str| {
        format!("inputs.ids = {{ shape = [1, {{ min = 1, max = 8, symbol = \"T\"{longer} }}] }}")
    };
    let (plain, table) = fittings(&ids(""));
    assert!(plain.is_empty());
    assert_eq!(fittings(&ids(", longer = \"reject\"")), (plain, table.clone()));
    for (word, keep) in [("truncate", Kept::Start), ("truncate-start", Kept::End)] {
        let (found, same) = fittings(&ids(&format!(", longer = \"{word}\"")));
        assert_eq!(found, [("ids".to_owned(), Fitting::Cut { axis: 1, max: 8, keep })]);
        assert_eq!(same, table);
    }
    let photo = |color: &str, keys: &str| {
        format!(
            "inputs.photo = {{ image = {{ width = 4, height = 2, color = \"{color}\"{keys} }} }}"
        )
    };
    let (plain, table) = fittings(&photo("bgr", ""));
    assert!(plain.is_empty());
    let resize = |how, padding| Fitting::Resize { how, width: 4, height: 2, padding };
    for (keys, expected) in [
        ("resize = \"fit\"", resize(Resize::Fit, [0.0; 3])),
        ("resize = \"fit\", padding = 114", resize(Resize::Fit, [114.0; 3])),
        // In the manifest it is a pixel, blue first.
        ("resize = \"fit\", padding = [3, 2, 1]", resize(Resize::Fit, [1.0, 2.0, 3.0])),
        ("resize = \"fill\"", resize(Resize::Fill, [0.0; 3])),
        ("resize = \"crop\"", resize(Resize::Crop, [0.0; 3])),
    ] {
        let (found, same) = fittings(&photo("bgr", &format!(", {keys}")));
        assert_eq!((found, same), (vec![("photo".to_owned(), expected)], table.clone()), "{keys}");
    }
    let refused = |inputs: &str| manifest(inputs).unwrap_err().join("\n");
    for (inputs, expected) in [
        (
            ids(", longer = \"cut\""),
            "3:62: `longer` cannot be \"cut\": it must be one of \"reject\", \"truncate\", \
            \"truncate-start\"",
        ),
        (
            ids(", longer = \"truncate\"")
                + "\ninputs.mask = { shape = [1, { min = 1, max = 8, symbol = \"T\" }] }",
            "4:1: model `m`: the symbol `T` has another `longer` in `ids`: equal sizes are cut \
            alike",
        ),
        (
            photo("rgb", ", resize = \"fill\", padding = 3"),
            "3:83: `padding` is the colour of what `resize = \"fit\"` adds",
        ),
        (
            photo("rgb", ", resize = \"fit\", padding = 256"),
            "3:82: `padding` is a pixel: its numbers lie between 0 and 255",
        ),
        (
            photo("rgb", ", resize = \"fit\", padding = [1, 2]"),
            "3:82: the image has 3 channels, found 2 numbers",
        ),
        (
            photo("rgb", ", resize = \"fit\"").replace("width = 4", "width = { min = 2, max = 4 }"),
            "3:85: `resize` needs one `width` and one `height`: a picture that takes several \
            sizes has none to be made to fit",
        ),
        (
            photo("rgb", "")
                .replace("width = 4", "width = { min = 2, max = 4, longer = \"truncate\" }"),
            "3:28: a picture has no `longer`: `resize` says what becomes of other sizes",
        ),
    ] {
        assert_eq!(refused(&inputs), format!("m.toml:{expected}"));
    }
}

/// A model that may read pictures and texts.
const SAMPLED: &str = "[python]\ndependencies = [\"pillow\", \"tokenizers\"]\n\n[model]\n\
    source = { file = \"a.py\", entry = \"net\" }\n";

#[test]
fn samples_come_from_files() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, content: &str| {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    };
    for name in ["a.py", "samples/b.png", "samples/a.png", "t.txt", "t.json", "s.safetensors"] {
        write(name, "");
    }
    let inputs = "inputs.photo = { image = { width = 4, height = 2, color = \"rgb\" }, sample = { \
        files = \"samples/*.png\" } }\n\
        inputs.ids = { shape = [1, 4], dtype = \"int32\", sample = { texts = \"t.txt\", tokenizer \
        = \"t.json\" } }\n\
        inputs.mask = { shape = [1, 4], dtype = \"int32\", sample = { texts = \"t.txt\", tokenizer \
        = \"t.json\", output = \"attention_mask\" } }\n\
        inputs.rest = { shape = [3], sample = { safetensors = \"s.safetensors\" } }\n";
    write("m.toml", &format!("{SAMPLED}{inputs}"));
    let read = || Manifest::read(folder.path(), "m.toml").unwrap();
    let manifest = read();
    assert!(manifest.check_files(folder.path()).is_ok());
    let model = &manifest.models[0];
    let table = serde_json::to_value(&model.conversion).unwrap();
    let sample = |name: &str| table["inputs"][name]["sample"].to_string();
    assert_eq!(sample("photo"), "{\"files\":[\"samples/a.png\",\"samples/b.png\"]}");
    assert_eq!(
        sample("mask"),
        "{\"texts\":{\"file\":\"t.txt\",\"output\":\"attention_mask\",\"tokenizer\":\"t.json\"}}"
    );
    assert!(sample("ids").contains("\"output\":\"input_ids\""), "{}", sample("ids"));
    assert_eq!(sample("rest"), "{\"safetensors\":\"s.safetensors\"}");
    let files: Vec<_> = model.declared_files().into_iter().map(|(_, file)| file).collect();
    assert_eq!(
        files,
        [
            "a.py",
            "samples/a.png",
            "samples/b.png",
            "t.txt",
            "t.json",
            "t.txt",
            "t.json",
            "s.safetensors"
        ]
    );
    // Another picture is another conversion.
    write("samples/c.png", "");
    assert_ne!(read().models[0].conversion, model.conversion);
    std::fs::remove_dir_all(folder.path().join("samples")).unwrap();
    std::fs::remove_file(folder.path().join("t.json")).unwrap();
    let missing = read().check_files(folder.path()).unwrap_err();
    let texts: Vec<_> = missing.errors.iter().map(Error::to_string).collect();
    assert!(
        texts[0].starts_with(&format!(
            "m.toml:6:79: model `m`: `inputs.photo.sample.files`: no file is called like {}",
            folder.path().join("samples/*.png").display()
        )),
        "{texts:?}"
    );
    assert!(
        texts[1].starts_with("m.toml:7:77: model `m`: `inputs.ids.sample.tokenizer`: ")
            && texts[1].contains("t.json does not exist"),
        "{texts:?}"
    );
}

#[test]
fn samples_of_files_fit_their_inputs() {
    let refused = |inputs: &str| {
        let content = format!("{SAMPLED}{inputs}\n");
        parse(&content).unwrap_err().join("\n")
    };
    let tensor = |sample: &str| {
        format!("inputs.x = {{ shape = [1, 4], dtype = \"int32\", sample = {{ {sample} }} }}")
    };
    for (inputs, expected) in [
        (
            tensor("files = \"a.png\""),
            "6:58: `files` are pictures, and this input is none: give its values as \
            `safetensors`, or make it an `image`",
        ),
        (
            tensor("files = \"*/a.png\""),
            "6:58: only the last part of `files` may have `*`: it means the files of one folder",
        ),
        (
            tensor("texts = \"t.txt\""),
            "6:58: `texts` need a `tokenizer`: write for example `tokenizer = \"tokenizer.json\"`",
        ),
        (
            tensor("range = [0, 1], texts = \"t.txt\""),
            "6:74: `sample` has `range` or `texts`, not both",
        ),
        (
            tensor("range = [0, 1], tokenizer = \"t.json\""),
            "6:74: `tokenizer` is for `texts`, and there are none",
        ),
        (
            tensor("texts = \"t.txt\", tokenizer = \"t.json\", output = \"mask\""),
            "6:97: `output` cannot be \"mask\": it must be one of \"input_ids\", \
            \"attention_mask\", \"token_type_ids\"",
        ),
        (
            tensor("safetensors = \"s.safetensors\"") + "\nstates.s = { shape = [1] }",
            "6:47: model `m`: samples from files have one prediction each, and those of a model \
            with `states` several in a row: write `range` or `start`",
        ),
    ] {
        let found = refused(&inputs);
        assert_eq!(found, format!("m.toml:{expected}"), "{inputs}");
    }
    let bare = |inputs: &str| parse(&format!("{MODEL}{inputs}\n")).unwrap_err().join("\n");
    let photo = "inputs.p = { image = { width = 4, height = 2, color = \"rgb\" }, sample = { \
        files = \"a.png\" } }";
    assert_eq!(
        bare(photo),
        "m.toml:4:75: model `m`: `files` are read by the library pillow: add `dependencies = \
        [\"pillow\"]` to `[python]`"
    );
    let texts = tensor("texts = \"t.txt\", tokenizer = \"t.json\"").replace("inputs.x", "inputs.y");
    assert!(
        bare(&texts).contains("add `dependencies = [\"tokenizers\"]` to `[python]`"),
        "{}",
        bare(&texts)
    );
    // transformers brings it.
    let with = format!("[python]\ndependencies = [\"transformers>=5\"]\n\n{MODEL}{texts}\n");
    assert!(parse(&with).is_ok());
}
