#!/usr/bin/env bash
# coremltools 9.0, torch 2.7.0, numpy 2.3.5, Linux x86-64.
#
# Guess: a write through a view, `y[..., 0] = 5`, is written where PyTorch writes it, or is refused.
# Found: of a traced graph, coremltools takes the position of a `select` or `slice` in the chain of
#   views for its axis and does not read its argument `dim`. The first one writes to axis 0, so
#   `y[..., 0] = 5` becomes `y[0] = 5`, without a warning wherever the shapes allow it.
# Who meets it: post-processing that fills one coordinate of boxes, decoders that set one channel,
#   everything that writes to the last axis by `...`. `y[:, :, 0] = 5` has a slice for each axis
#   before and is right.
#
# Output seen:
#   y[..., 0] = 5: torch writes 6 of 24 numbers, the program 12
#   y[:, :, 0] = 5: torch writes 6 of 24 numbers, the program 6
set -euo pipefail
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
    torch==2.7.0 coremltools==9.0 numpy==2.3.5
"$folder/venv/bin/python" - 2>/dev/null <<'PYTHON'
import coremltools as ct
import torch


class Dots(torch.nn.Module):
    def forward(self, x):
        y = x + 1
        y[..., 0] = 5
        return y


class Colons(torch.nn.Module):
    def forward(self, x):
        y = x + 1
        y[:, :, 0] = 5
        return y


found = []
x = torch.zeros(2, 3, 4)
for text, net in (("y[..., 0] = 5", Dots()), ("y[:, :, 0] = 5", Colons())):
    program = ct.convert(
        torch.jit.trace(net.eval(), x),
        inputs=[ct.TensorType("x", x.shape)],
        minimum_deployment_target=ct.target.iOS18,
        compute_precision=ct.precision.FLOAT32,
        convert_to="milinternal",
    )
    operations = program.functions["main"].operations
    (write,) = (one for one in operations if one.op_type == "slice_update")
    numbers = 1
    for size in write.update.shape:
        numbers *= int(size)
    found.append((int((net(x) == 5).sum()), numbers))
    print(f"{text}: torch writes {found[-1][0]} of 24 numbers, the program {numbers}")
assert found == [(6, 12), (6, 6)], "writes through views have changed"
PYTHON
