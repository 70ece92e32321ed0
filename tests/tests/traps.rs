//! Modules that write into their tensors, from the manifest to the results: what is converted
//! computes PyTorch's results.
//!
//! Owns: the proof that the driver's checks of such writes leave nothing silently wrong. The
//! driver's own tests check what they refuse.

use coreml_tests::UserCrate;
use std::fmt::Write;

/// What `forward` does with `y = x * 2`, `x` and an index; `return y + idx.sum()` follows.
const BODIES: [(&str, &str); 27] = [
    ("slice", "y[:, 1:3] = 0"),
    ("column", "y[:, 1] = x[:, 0]"),
    ("augmented", "y[:, 1:3] *= 5"),
    ("position", "p = idx[0]; y[:, p : p + 1] = x[:, :1]"),
    ("index_put", "y.index_put_((torch.zeros(1, dtype=torch.long), idx), x[0, :1])"),
    ("mask", "y[x > 0] = 7"),
    ("masked_fill", "y.masked_fill_(x > 0, 7.0)"),
    ("whole", "y.add_(1); y = F.relu(y, inplace=True)"),
    ("row_and_column", "y[0] = 5; y[:, 2] = 6"),
    ("input", "x[:, 0] = 0; y = x * 2"),
    ("input_whole", "x.add_(1); y = x * 2"),
    ("filled", "y = torch.zeros(2, 4); y[:, 0] = x[:, 1]; y[:, 3] = x[:, 2] * 3"),
    ("index_column", "y[:, idx] = 0"),
    ("view_add", "y[0].add_(1)"),
    ("view_masked_fill", "y[0].masked_fill_(x[0] > 0, 7.0)"),
    ("view_scatter", "y[0].scatter_(0, idx.long(), x[0, :1])"),
    ("transposed", "y.t()[0] = 5"),
    ("reshaped", "y.view(-1)[3] = 5"),
    ("unbound", "a, b = y.unbind(0); a += 3"),
    ("chunk", "a, b = y.chunk(2, 1); a.mul_(3)"),
    ("old_view", "v = y[:, 0]; y[:, 0] = 9; y = v[:, None] * y"),
    ("other_row", "r = y[0]; r.add_(1); y = r * y[1]"),
    ("other_half", "a, b = y.chunk(2, 1); a.mul_(3); y = torch.cat([a, b], 1)"),
    ("every_second", "a, b = y[:, ::2], y[:, 1::2]; a.add_(1); y = torch.cat([a, b], 1)"),
    ("other_half_reshaped", "a, b = y.view(-1).split(4); a.clamp_(0); y = torch.stack([a, b])"),
    ("other_column", "v = y[:, 1]; y[:, 0] = 9; y = v[:, None] * y"),
    ("row_used", "r = y[0]; r[1] = 5; y = r[None] * 2"),
];

/// The Python side: a class for each body.
const NETS: &str = r#""""Modules that write into their tensors."""

import torch
import torch.nn.functional as F
from torch import nn

"#;

#[test]
fn writes_into_tensors_give_what_pytorch_gives() {
    let user = UserCrate::new("traps", &["nets.toml"]);
    let mut manifest = String::from(
        "[defaults]\ncompute-precision = \"float32\"\ninputs.x = { shape = [2, 4] }\n\
         inputs.idx = { shape = [1], dtype = \"int32\", sample = { range = [0, 3] } }\noutputs.y = \
         { dtype = \"float32\" }\n",
    );
    let mut nets = NETS.to_owned();
    for (name, body) in BODIES {
        let lines = body.replace("; ", "\n        ");
        write!(
            nets,
            "\nclass Net_{name}(nn.Module):\n    def forward(self, x, idx):\n        y = x * \
            2\n        {lines}\n        \
             return y + idx.sum()\n\n\ndef {name}():\n    return Net_{name}()\n\n"
        )
        .expect("a string takes everything");
        write!(
            manifest,
            "[models.{name}]\nsource = {{ file = \"nets.py\", entry = \"{name}\" }}\n"
        )
        .expect("a string takes everything");
    }
    user.write("nets.py", nets);
    user.write("nets.toml", manifest);
    user.write(
        "src/main.rs",
        "#[coreml_rt::coreml_model(\"nets.toml\")]\npub mod nets {}\n\nfn main() {}\n",
    );
    let names: Vec<&str> = BODIES.iter().map(|(name, _)| *name).collect();
    user.cargo(&["test"]).succeeds().has_parity("nets", &names);
}
