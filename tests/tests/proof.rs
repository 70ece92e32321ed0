//! The proof, as a user of cargo sees it: what coremltools alone gets wrong is right, and a wrong
//! translation ends `cargo build`.
//!
//! Owns: the proof that a package which does not compute what PyTorch computes is not published.

use coreml_tests::UserCrate;

/// Four models that coremltools 9.0 alone converts to something else, in half precision.
const MANIFEST: &str = r#"[defaults]
parity = { samples = 2, atol = 0.001, rtol = 0.001 }

[models.scaled]
source = { file = "python/nets.py", entry = "scaled" }
inputs = { x = { shape = [4] }, y = { shape = [4] } }
outputs.output = { dtype = "float32" }

[models.reciprocal]
source = { file = "python/nets.py", entry = "reciprocal" }
inputs.x = { shape = [4], sample = { range = [0.01, 1.0] } }
outputs.output = { dtype = "float32" }
compute-precision = "float32"

[models.ids]
source = { file = "python/nets.py", entry = "ids" }
inputs.ids = { shape = [1, 4], dtype = "int32", sample = { range = [0, 100000] } }

[models.angle]
source = { file = "python/nets.py", entry = "angle" }
inputs = { y = { shape = [4] }, x = { shape = [4] } }
outputs.output = { dtype = "float32" }
"#;

/// The program feeds numbers that show each fault.
const MAIN: &str = r#"#[coreml_rt::coreml_model("nets.toml")]
pub mod nets {}

use coreml_rt::{Error, Tensor};

fn main() -> Result<(), Error> {
    let models = nets::Models::load()?;
    let (x, y) = (Tensor::from([1.0, 2.0, 3.0, 4.0]), Tensor::from([1.0, 1.0, 2.0, 2.0]));
    let scaled =
        models.scaled.predict(&nets::scaled::Input { x: x.view(), y: y.view() })?.output;
    println!("{:?}", scaled.as_slice());
    let small = Tensor::from([0.001, 0.01, 0.125, -0.5]);
    let reciprocal = models.reciprocal.predict(&nets::reciprocal::Input { x: small.view() })?;
    let rounded = reciprocal.output.as_slice().iter().map(|one| one.round());
    println!("{:?}", rounded.collect::<Vec<_>>());
    let ids = Tensor::from([[32767, 32768, 65535, 99999]]);
    let ids = models.ids.predict(&nets::ids::Input { ids: ids.view() })?.output;
    println!("{:?}", ids.as_slice());
    let (y, x) = (Tensor::from([0.0, 1.0, -1.0, 0.0]), Tensor::from([-1.0, 0.0, -1.0, 1.0]));
    let angle = models.angle.predict(&nets::angle::Input { y: y.view(), x: x.view() })?.output;
    let degrees = angle.as_slice().iter().map(|one| one.to_degrees().round());
    println!("{:?}", degrees.collect::<Vec<_>>());
    Ok(())
}
"#;

#[test]
fn what_coremltools_alone_gets_wrong_is_right() {
    let user = UserCrate::new("proof-right", &["nets.toml"]);
    user.write("nets.toml", MANIFEST);
    user.write("python/nets.py", include_str!("../fixtures/proof_nets.py"));
    user.write("src/main.rs", MAIN);
    let said = user.cargo(&["run"]).succeeds().stdout;
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(
        lines,
        [
            "[-4.0, -3.0, -7.0, -6.0]",
            "[1000.0, 100.0, 8.0, -2.0]",
            "[32768, 32769, 65536, 100000]",
            "[180.0, 90.0, -135.0, 0.0]",
        ]
    );
    let models = ["scaled", "reciprocal", "ids", "angle"];
    user.cargo(&["test"]).succeeds().has_parity("nets", &models);
}

#[test]
fn a_wrong_translation_ends_the_build_at_its_line() {
    let user = UserCrate::new("proof-wrong", &["net.toml"]);
    user.write(
        "net.toml",
        "[model]\nsource = { file = \"python/net.py\", entry = \"turned\" }\n\
         inputs.x = { shape = [2, 4] }\nops = \"python/my_ops.py\"\n",
    );
    user.write("python/net.py", include_str!("../fixtures/proof_turned.py"));
    user.write("python/my_ops.py", include_str!("../fixtures/proof_wrong_cos.py"));
    user.write(
        "src/main.rs",
        "#[coreml_rt::coreml_model(\"net.toml\")]\npub mod net {}\nfn main() {}\n",
    );
    user.cargo(&["build"]).fails_with(&[
        "net.toml:2:",
        "does not compute what PyTorch computes",
        "`sin`",
        "net.py:10: return y * torch.cos(x)",
        "`proof = false` lets the package through as it is.",
    ]);

    // The user may insist.
    user.write(
        "net.toml",
        "[model]\nsource = { file = \"python/net.py\", entry = \"turned\" }\n\
         inputs.x = { shape = [2, 4] }\nops = \"python/my_ops.py\"\nproof = false\n",
    );
    let said = user.cargo(&["build"]).succeeds().stderr;
    assert!(said.contains("proof"), "a build without the proof says so each time: {said}");
}
