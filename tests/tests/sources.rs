//! Sources other than a Python function, compressed weights, generic fixes of coremltools and
//! rewrites, from the manifest to the results: `cargo`, parity with PyTorch on the platform's
//! backend.
//!
//! Owns: the proof that the driver's results for them also compute the right thing.

use coreml_tests::{UserCrate, python, run, workspace};
use std::path::Path;
use std::process::Command;

/// Models of each kind. Few bits need a tolerance of their own.
const MANIFEST: &str = r#"[models.script]
source = { torchscript = "saved/net.pt" }
inputs.x = { shape = [2, 64] }

[models.exported]
source = { exported = "saved/net.pt2" }
inputs.x = { shape = [{ min = 2, max = 8, default = 4 }, 64] }

[models.fixes]
source = { file = "python/nets.py", entry = "fixes" }
inputs.x = { shape = [2, 3, 4] }

[models.blocks]
source = { file = "python/nets.py", entry = "encoder" }
inputs.x = { shape = [1, 6, 32] }
rewrite = ["ane"]

[models.int8]
source = { file = "python/nets.py", entry = "wide" }
inputs.x = { shape = [2, 64] }
quantize = { weights = "int8" }

[models.int4]
source = { file = "python/nets.py", entry = "wide" }
inputs.x = { shape = [2, 64] }
quantize = { weights = "int4", per = "block", block-size = 16 }
parity = { psnr = 18.0 }

[models.palette]
source = { file = "python/nets.py", entry = "wide" }
inputs.x = { shape = [2, 64] }
palettize = { bits = 6, mode = "uniform" }
parity = { psnr = 18.0 }

[models.sparse]
source = { file = "python/nets.py", entry = "wide" }
inputs.x = { shape = [2, 64] }
prune = { mode = "threshold", threshold = 0.01, minimum-sparsity-percentile = 0.05 }

[models.joint]
source = { file = "python/nets.py", entry = "wide" }
inputs.x = { shape = [2, 64] }
prune = { target-sparsity = 0.05 }
quantize = { weights = "int8" }

[models.program]
source = { mil = "python/prog.py", entry = "prog" }

[models.ready]
source = { package = "models/Ready.mlpackage" }
"#;

/// The Python side of most; `save` writes the graphs.
const NETS: &str = include_str!("../fixtures/sources_nets.py");

/// A MIL program.
const PROGRAM: &str = include_str!("../fixtures/sources_program.py");

/// The program.
const MAIN: &str = r#"#[coreml_rt::coreml_model("all.toml")]
pub mod all {}

fn main() -> Result<(), coreml_rt::Error> {
    let models = all::Models::load()?;
    let output = models.program.predict(&all::program::Input { x: (&[1.5, -2.0]).into() })?;
    println!("{:?}", output.y.as_slice());
    Ok(())
}
"#;

/// Copies a folder.
fn copy(from: &Path, to: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let to = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &to)?;
        } else {
            std::fs::copy(entry.path(), to)?;
        }
    }
    Ok(())
}

#[test]
fn every_source_and_every_compression_computes_what_pytorch_does() {
    let user = UserCrate::new("sources", &["all.toml"]);
    user.write("all.toml", MANIFEST);
    user.write("python/nets.py", NETS);
    user.write("python/prog.py", PROGRAM);
    user.write("src/main.rs", MAIN);
    copy(
        &workspace().join("coreml-spec/tests/data/packages/fixed.mlpackage"),
        &user.path("models/Ready.mlpackage"),
    )
    .expect("files can be copied");
    std::fs::create_dir_all(user.path("saved")).expect("a folder can be made");
    let save = "import sys; sys.dont_write_bytecode = True; sys.path.insert(0, 'python'); import \
        nets; nets.save('saved')";
    run(Command::new(python()).args(["-c", save]).current_dir(user.path(""))).succeeds();
    assert_eq!(user.cargo(&["run"]).succeeds().stdout.trim(), "[3.0, -4.0]");
    user.cargo(&["test"]).succeeds().has_parity(
        "all",
        &["script", "exported", "fixes", "blocks", "int8", "int4", "palette", "sparse", "joint"],
    );
}
