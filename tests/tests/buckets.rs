//! Buckets, from the manifest to the results: conversion by `cargo`, typed calls with inputs of any
//! length, parity of each size with PyTorch on inputs without padding.
//!
//! Owns: the proof that manifest keys, driver, macro and runtime agree about buckets, in one
//! package and in several.

use coreml_tests::UserCrate;

/// The same network in one package with a function for each size, in packages of their own for an
/// older system, and embedded in the program.
const MANIFEST: &str = r#"[defaults]
source = { file = "python/encoder.py", entry = "encoder" }
inputs.ids.shape = [1, { min = 1, max = 16, symbol = "T" }]
inputs.ids.dtype = "int32"
inputs.ids.sample = { range = [0, 99] }
inputs.mask = { shape = [1, { min = 1, max = 16, symbol = "T" }], dtype = "int32" }

[models.text]
buckets = { input = "ids", axis = 1, sizes = [4, 8, 16], pad = 7, mask = "mask" }

[models.older]
minimum-deployment-target = "iOS16"
buckets = { input = "ids", axis = 1, sizes = [4, 8, 16], pad = 7, mask = "mask" }

[models.inside]
minimum-deployment-target = "iOS16"
buckets = { input = "ids", axis = 1, sizes = [8, 16], pad = 7, mask = "mask" }
embed = true

[models.topic]
source = { file = "python/encoder.py", entry = "topic" }
classifier = { labels = ["sport", "news", "weather"] }
buckets.input = "ids"
buckets.axis = 1
buckets.sizes = [8, 16]
buckets.pad = 7
buckets.mask = "mask"
buckets.share-weights = false
"#;

/// Attention over the real positions, and their mean.
const ENCODER: &str = include_str!("../fixtures/buckets_encoder.py");

/// The program: every length through all three models, whose code differs only in the module.
const MAIN: &str = r#"#[coreml_rt::coreml_model("all.toml")]
pub mod all {}

use coreml_rt::{Error, TensorView};

/// Predicts with the ids 0, 3, 6, …
macro_rules! run {
    ($module:ident, $model:expr, $length:expr) => {{
        let ids: Vec<i32> = (0..$length).map(|id| 3 * id as i32).collect();
        let ids = TensorView::from_slice_with_dims(&ids, [1, $length])?;
        let output = $model.predict(&all::$module::Input { ids })?;
        assert_eq!(output.hidden.dims(), [1, $length, 64]);
        (output.hidden.into_vec(), output.pooled.into_vec())
    }};
}

fn main() -> Result<(), Error> {
    let models = all::Models::load()?;
    let mut apart = 0.0f32;
    for length in 1..=16 {
        let one = run!(text, models.text, length);
        let others = [run!(older, models.older, length), run!(inside, models.inside, length)];
        for (hidden, pooled) in others {
            let pairs = one.0.iter().zip(&hidden).chain(one.1.iter().zip(&pooled));
            apart = pairs.map(|(a, b)| (a - b).abs()).fold(apart, f32::max);
        }
    }
    println!("same {}", apart < 0.01);
    let name = |path: Option<&std::path::Path>| Some(path?.file_name()?.to_str()?.to_owned());
    let (text, older) = (name(models.text.path()), name(models.older.path()));
    println!("{text:?} {older:?} {:?}", models.inside.path());
    println!("{:?}", all::text::Bucket::smallest(5));
    for length in [3, 12] {
        let ids = vec![length as i32; length];
        let ids = TensorView::from_slice_with_dims(&ids, [1, length])?;
        let output = models.topic.predict(&all::topic::Input { ids })?;
        let best = output.class_label_probs.top(1);
        println!("{length}: {}", best[0].0 == output.class_label && best[0].1 > 1.0 / 3.0);
    }
    type Ids<'a> = TensorView<'a, i32, (coreml_rt::Fixed<1>, coreml_rt::Range<1, 16>)>;
    println!("{}", Ids::from_slice_with_dims(&[0; 17], [1, 17]).unwrap_err());
    Ok(())
}
"#;

#[test]
fn every_length_runs_in_one_package_in_several_and_embedded() {
    let user = UserCrate::new("buckets-user", &["all.toml"]);
    user.write("all.toml", MANIFEST);
    user.write("python/encoder.py", ENCODER);
    user.write("src/main.rs", MAIN);
    let said = user.cargo(&["run"]).succeeds().stdout;
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(
        lines,
        [
            "same true",
            "Some(\"text.mlpackage\") Some(\"older_4.mlpackage\") None",
            "Ok(Size8)",
            "3: true",
            "12: true",
            "dimension 1 of shape [1, 17] is 17, but it must be 1 to 16",
        ],
        "{said}"
    );
    // 1 + 3 + 2 + 2 packages, of which the embedded ones were converted with those of the same
    // sizes.
    assert_eq!(user.cached("buckets-user", "all.toml").len(), 8);

    user.cargo(&["test"]).succeeds().has_parity("all", &["text", "older", "inside", "topic"]);
    // By itself: what tests print meets their results on one line.
    let tests = user.cargo(&["test", "--", "--nocapture"]).succeeds().stdout;
    for sample in [
        "text.samples.bucket_4.0",
        "text.samples.bucket_16.2",
        "older_8.samples.1",
        "inside_16.samples.0",
    ] {
        assert!(tests.contains(&format!("{sample}.safetensors")), "{sample}: {tests}");
    }

    // From a lock alone: types without models.
    lock(&user);
    let user = user.with("COREML_BUILD", "skip");
    user.cargo(&["run"]).fails_with(&["built without the model `text`"]);
}

/// Writes the lock as `cargo coreml lock` does, and checks what it says about buckets.
fn lock(user: &UserCrate) {
    let root = coreml_tests::workspace();
    let mut command = user.command(&["run", "--quiet", "--manifest-path"]);
    command.arg(root.join("cargo-coreml/Cargo.toml")).args(["--", "coreml", "lock"]);
    coreml_tests::run(&mut command).succeeds();
    let lock = std::fs::read_to_string(user.path("all.lock")).unwrap_or_default();
    assert!(lock.contains("[models.older_8]") && lock.contains("[models.text]"), "{lock}");
    assert!(
        lock.contains("buckets = { input = \"ids\", axis = 1, min = 1, sizes = [4, 8, 16],"),
        "{lock}"
    );
}

#[test]
fn padding_that_leaks_stands_at_the_line_of_the_buckets() {
    let user = UserCrate::new("buckets-leak", &["all.toml"]);
    user.write("all.toml", MANIFEST.replace("\"encoder\"", "\"careless\""));
    user.write("python/encoder.py", ENCODER);
    user.write(
        "src/main.rs",
        "#[coreml_rt::coreml_model(\"all.toml\")]\npub mod all {}\nfn main() {}\n",
    );
    user.cargo(&["check"]).fails_with(&[
        "all.toml:9:1",
        "Padding leaks: with `ids` padded from 2 to 4, output `hidden` differs by up to",
        "The mask `mask` is 1 where values are real and 0 behind them",
    ]);
}

#[test]
fn a_new_size_converts_nothing_else_where_each_is_a_package() {
    let user = UserCrate::new("buckets-more", &["all.toml"]);
    let (defaults, older) =
        (MANIFEST.split("[models.text]").next(), MANIFEST.split("[models.older]").nth(1));
    let older = older.and_then(|rest| rest.split("[models.inside]").next());
    let manifest = format!("{}[model]{}", defaults.unwrap_or_default(), older.unwrap_or_default());
    user.write("python/encoder.py", ENCODER);
    user.write(
        "src/main.rs",
        "#[coreml_rt::coreml_model(\"all.toml\")]\npub mod all {}\nfn main() {}\n",
    );
    let user = user.with_empty_cache();
    user.write("all.toml", manifest.replace("[4, 8, 16]", "[4, 16]"));
    user.cargo(&["check"]).succeeds();
    assert_eq!(user.cached("buckets-more", "all.toml"), [false, false]);
    user.write("all.toml", &manifest);
    user.cargo(&["check"]).succeeds();
    assert_eq!(user.cached("buckets-more", "all.toml"), [true, false, true]);
}
