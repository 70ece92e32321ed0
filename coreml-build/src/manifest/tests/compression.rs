//! Smaller weights.

use super::*;

/// What k-means needs in a manifest.
const CLUSTERS: &str = "[python]\ndependencies = [\"scikit-learn\"]\n";

#[test]
fn compression_is_read_with_its_defaults() {
    let lines =
        "quantize = { weights = \"int4\", per = \"block\" }\nprune = { target-sparsity = 0.5 }";
    let quantized = table(lines);
    assert_eq!(
        quantized["quantize"],
        serde_json::json!({
            "block-size": 32,
            "mode": "linear-symmetric",
            "per": "block",
            "weight-threshold": 2048,
            "weights": "int4",
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
            "bits": 6,
            "group-size": 32,
            "mode": "kmeans",
            "per": "grouped-channel",
            "weight-threshold": 2048,
        })
    );
    let pruned = table("prune = { mode = \"threshold\", threshold = 0.01, weight-threshold = 0 }");
    assert_eq!(
        pruned["prune"],
        serde_json::json!({
            "minimum-sparsity-percentile": 0.5,
            "mode": "threshold",
            "threshold": 0.01,
            "weight-threshold": 0,
        })
    );
}

#[test]
fn wrong_compression_stands_at_its_place() {
    refused(
        "quantize = { weights = \"int9\" }",
        "m.toml:4:14: `weights` cannot be \"int9\": it must be one of \"int8\", \"uint8\", \
        \"int4\", \"uint4\"; did you \
         mean `int4`?",
    );
    refused(
        "quantize = {}",
        "m.toml:4:1: `weights` is missing in `model.quantize`: write for example `weights = \
        \"int8\"`",
    );
    refused(
        "quantize = { weights = \"int8\", block-size = 8 }",
        "m.toml:4:32: `block-size` goes with `per = \"block\"`",
    );
    refused(
        "palettize = { bits = 5 }",
        "m.toml:4:15: `bits` is 5, but must be one of 1, 2, 3, 4, 6, 8",
    );
    refused(
        "palettize = { bits = 4 }",
        "m.toml:4:1: model `m`: k-means needs scikit-learn: add `dependencies = \
        [\"scikit-learn\"]` to `[python]`, or \
         write `mode = \"uniform\"`",
    );
    refused(
        "prune = {}",
        "m.toml:4:1: `prune` with `mode = \"magnitude\"` needs for example `target-sparsity = 0.5`",
    );
    refused("prune = { target-sparsity = 50 }", "m.toml:4:11: this is a share, between 0 and 1");
    refused(
        "prune = { mode = \"threshold\", threshold = 0.1, target-sparsity = 0.5 }",
        "m.toml:4:48: this is no key of `mode = \"threshold\"`",
    );
    refused(
        "quantize = { weights = \"int8\" }\npalettize = { bits = 4, mode = \"uniform\" }",
        "m.toml:4:1: model `m`: with `palettize` it is the look-up tables that are quantized: \
        write `per = \"tensor\"`",
    );
    for (line, what, needed) in [
        ("quantize = { weights = \"int8\" }", "quantized weights", "iOS16"),
        ("prune = { target-sparsity = 0.5 }", "pruned weights", "iOS16"),
        ("palettize = { bits = 4, mode = \"uniform\" }", "palettized weights", "iOS16"),
    ] {
        refused(
            &format!("minimum-deployment-target = \"iOS15\"\n{line}"),
            &format!(
                "m.toml:5:1: model `m`: {what} need `minimum-deployment-target = \"{needed}\"`, \
                here it is \"iOS15\""
            ),
        );
    }
    refused(
        "minimum-deployment-target = \"macOS14\"\nquantize = { weights = \"int4\" }",
        "m.toml:5:14: model `m`: weights of 4 bits need `minimum-deployment-target = \"macOS15\"`, \
        here it is \"macOS14\"",
    );
    refused(
        "minimum-deployment-target = \"iOS17\"\nquantize = { weights = \"int8\" }\nprune = { \
        target-sparsity = 0.5 }",
        "m.toml:5:1: model `m`: weights that are compressed in several ways need \
        `minimum-deployment-target = \"iOS18\"`, \
         here it is \"iOS17\"",
    );
}
