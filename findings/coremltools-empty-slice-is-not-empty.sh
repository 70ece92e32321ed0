#!/usr/bin/env bash
# coremltools 9.0, torch 2.7.0, numpy 2.3.5, Linux x86-64.
#
# Guess: a slice that holds nothing converts to nothing, or is refused.
# Found: `x[..., 1:]` of an axis of size 1 becomes x itself, without a warning, so what is joined or
#   added up has its elements twice.
# Who meets it: code that walks along an axis (`x[..., k:]`) and reaches its end, as decompositions
#   of matrices and recurrences do, and models whose time axis is 1 in streaming.
#
# Output seen:
#   torch: [2, 1], converted: [2, 2]
set -euo pipefail
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
    torch==2.7.0 coremltools==9.0 numpy==2.3.5
"$folder/venv/bin/python" - 2>/dev/null <<'PYTHON'
import coremltools as ct
import torch


class Joined(torch.nn.Module):
    def forward(self, x):
        return torch.cat([x, x[..., 1:]], -1)


x = torch.tensor([[3.0], [4.0]])
net = Joined().eval()
converted = ct.convert(
    torch.jit.trace(net, x),
    inputs=[ct.TensorType("x", x.shape)],
    minimum_deployment_target=ct.target.iOS18,
    compute_precision=ct.precision.FLOAT32,
    skip_model_load=True,
)
(output,) = converted.get_spec().description.output
shapes = list(net(x).shape), list(output.type.multiArrayType.shape)
print(f"torch: {shapes[0]}, converted: {shapes[1]}")
assert shapes == ([2, 1], [2, 2]), "an empty slice has changed"
PYTHON
