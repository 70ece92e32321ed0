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
const NETS: &str = r#""""Networks with weights large enough to be compressed."""

import torch
from torch import nn


class Wide(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.first, self.second = nn.Linear(64, 128), nn.Linear(128, 64)

    def forward(self, x):
        return self.second(self.first(x).relu())


class Fixes(nn.Module):
    """What coremltools lacks and the driver adds."""

    def forward(self, x):
        y = torch.addcmul(x, x, x + 1, value=3) + torch.addcdiv(x, x, x.abs() + 2)
        y = y + torch.lerp(x, x * 2, 0.25)
        y = y * x.new_ones(2, 3, 4) + torch.lerp(x, -x, x)
        return y, x.swapaxes(0, -1) * 2, x.movedim((0, 1), (2, 0)) * 2, x.moveaxis(-1, 0) * 3


class Encoder(nn.Module):
    """Attends to what came before."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.layer = nn.TransformerEncoderLayer(32, 4, 64, batch_first=True, norm_first=True)

    def forward(self, x):
        return self.layer(x, src_mask=torch.full((x.shape[1], x.shape[1]), float("-inf")).triu(1))


def encoder():
    return Encoder()


def wide():
    return Wide()


def fixes():
    return Fixes()


def save(folder):
    module, x = Wide().eval(), torch.ones(4, 64)
    torch.jit.script(module).save(f"{folder}/net.pt")
    size = torch.export.Dim("n", min=2, max=8)
    exported = torch.export.export(module, (x,), dynamic_shapes=({0: size},))
    torch.export.save(exported, f"{folder}/net.pt2")
"#;

/// A MIL program.
const PROGRAM: &str = r#""""Written with coremltools' builder."""

import coremltools as ct
from coremltools.converters.mil import Builder as mb


def prog():
    @mb.program(input_specs=[mb.TensorSpec(shape=(2,))], opset_version=ct.target.iOS17)
    def double(x):
        return mb.mul(x=x, y=2.0, name="y")

    return double
"#;

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
