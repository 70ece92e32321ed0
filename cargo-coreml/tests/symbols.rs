//! A package that declares dimensions of equal size, in each subcommand.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
// The figures are those of the portable backend.
#![cfg(not(target_vendor = "apple"))]

mod command;

use command::{command, run};
use safetensors::Dtype;
use safetensors::tensor::TensorView;
use std::path::{Path, PathBuf};

/// Returns a file of the test data of `coreml-rt`.
fn data(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../coreml-rt/tests/data/packages").join(file)
}

/// The equal sizes as the package declares them.
const SIZES: &str =
    "T: dimension 1 of `ids`, dimension 0 of `mask`; outputs: dimension 1 of `kept`";

#[test]
fn inspect_and_diff_say_which_sizes_are_equal() {
    let (code, output, _) = run(command().arg("inspect").arg(data("masked.mlpackage")));
    assert_eq!(code, 0);
    assert!(output.contains(&format!("  equal sizes: {SIZES}\n")), "{output}");
    assert!(output.contains("  output  kept  float32 [1, 1..=8], default [1, 4]"), "{output}");
    assert!(!output.contains("coreml-build.symbols"), "{output}");
    let (_, output, _) =
        run(command().arg("diff").arg(data("text.mlpackage")).arg(data("masked.mlpackage")));
    assert!(
        output.contains(&format!("main/sizes equal to dimension 1 of `ids`: {SIZES}")),
        "{output}"
    );
}

#[test]
fn verify_refuses_a_sample_whose_sizes_differ() {
    let verify = |sample: &Path| {
        run(command().arg("verify").arg(data("masked.mlpackage")).arg("--samples").arg(sample))
    };
    let (code, output, error) = verify(&data("masked.safetensors"));
    assert_eq!((code, error.as_str()), (0, ""), "{output}");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("0.safetensors");
    let ones: Vec<u8> = [1.0f32; 5].map(f32::to_le_bytes).concat();
    let view = |shape: &[usize]| {
        let bytes = 4 * shape.iter().product::<usize>();
        TensorView::new(Dtype::F32, shape.to_vec(), &ones[..bytes]).unwrap()
    };
    let tensors = [
        ("in/ids", view(&[1, 5])),
        ("in/mask", view(&[1, 1])),
        ("out/kept", view(&[1, 5])),
        ("out/sum", view(&[1])),
    ];
    std::fs::write(&file, safetensors::serialize(tensors, None).unwrap()).unwrap();
    let (code, _, error) = verify(&file);
    let said = "dimension 1 of `ids` and dimension 0 of `mask` must have the same size, but have 5 \
        and 1";
    assert!(code == 1 && error.contains(said), "{error}");
}
