//! The proof, as a user of cargo sees it: what coremltools alone gets wrong is right, and a wrong
//! translation ends `cargo build`.
//!
//! Owns: the proof that a package which does not compute what PyTorch computes is not published,
//! and that a backend which computes something else is told where.

use coreml_tests::{UserCrate, run, workspace};
use std::path::Path;

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
        "`proof = false` publishes the package as it is.",
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

#[test]
fn a_backend_that_differs_is_told_at_which_operation() {
    let user = UserCrate::new("proof-departs", &["net.toml"]);
    user.write(
        "net.toml",
        "[model]\nsource = { file = \"python/net.py\", entry = \"layers\" }\n\
         inputs.x = { shape = [2, 8] }\n",
    );
    user.write("python/net.py", include_str!("../fixtures/proof_layers.py"));
    user.write(
        "src/main.rs",
        "#[coreml_rt::coreml_model(\"net.toml\")]\npub mod net {}\nfn main() {}\n",
    );
    user.cargo(&["build"]).succeeds();

    // No backend at hand computes wrongly: weights are changed behind its back.
    let file = |name: &str| user.build_file("debug", "proof-departs", "net.toml", name);
    let copy = user.path("copy");
    copy_folder(&file("net.mlpackage"), &copy.join("net.mlpackage")).expect("it is copied");
    std::fs::copy(file("net.report.json"), copy.join("net.report.json")).expect("it is copied");
    let weights = copy.join("net.mlpackage/Data/com.apple.CoreML/weights/weight.bin");
    let mut bytes = std::fs::read(&weights).expect("it is read");
    // A header, then records of 64 bytes, each followed by numbers that end at a multiple of 64:
    // 16 × 8 of the first layer, its 16, and 12 × 16 of the second, float16 each.
    bytes[576..960].fill(0x3c);
    // What a build leaves cannot be written to, and its copy neither.
    std::fs::remove_file(&weights).expect("it is removed");
    std::fs::write(&weights, bytes).expect("it is written");

    let verify = |package: &Path| {
        let mut command = user.command(&["run", "--quiet", "--manifest-path"]);
        command.arg(workspace().join("cargo-coreml/Cargo.toml"));
        command.args(["--", "coreml", "verify"]).arg(package);
        for number in 0..3 {
            command.arg("--samples").arg(file(&format!("net.samples.{number}.safetensors")));
        }
        run(&mut command)
    };
    let right = verify(&file("net.mlpackage")).succeeds().stdout;
    assert!(!right.contains("first operation"), "{right}");
    let wrong = verify(&copy.join("net.mlpackage"));
    assert!(!wrong.success, "{}", wrong.stdout);
    let line = wrong.stdout.lines().find(|line| line.contains("first operation that differs"));
    let line = line.unwrap_or_else(|| panic!("{}{}", wrong.stdout, wrong.stderr));
    assert!(
        line.contains("`linear` (`")
            && line.contains("from second (")
            && line.contains("net.py:16"),
        "{line}"
    );

    // A generated test says it as well; so much no half precision reaches.
    user.write(
        "net.toml",
        "[model]\nsource = { file = \"python/net.py\", entry = \"layers\" }\n\
         inputs.x = { shape = [2, 8] }\nparity = { psnr = 150 }\n",
    );
    let tests = user.cargo(&["test"]);
    assert!(!tests.success, "{}", tests.stdout);
    assert!(tests.stdout.contains("first operation that differs: `"), "{}", tests.stdout);
    assert!(tests.stdout.contains("`cargo coreml precision`"), "{}", tests.stdout);
}

/// Copies a folder; no test may write to what a build has left.
fn copy_folder(from: &Path, to: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        if from.is_dir() {
            copy_folder(&from, &to)?;
        } else {
            std::fs::copy(from, to)?;
        }
    }
    Ok(())
}
