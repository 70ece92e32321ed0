#!/usr/bin/env bash
# coremltools 9.0, torch 2.7.0, numpy 2.3.5, Linux x86-64.
#
# Guess: the optimising passes of coremltools only replace a pattern by an equal one.
# Found: three of them replace it by something else, without a warning.
#   - `torch.sqrt(x ** 2)` becomes x: the sign is kept, where |x| is right.
#   - `torch.tensor(5.0) / conv(x)` becomes a convolution whose weights are divided by 5.
#   - `x.sum(-1) / 4097` over 4096 elements becomes a mean over 4096 elements.
# Who meets it: norms written as the root of a square, reciprocals of features, and averages that
# are not over the number of elements, such as an unbiased one.
#
# Output seen:
#   sqrt(x ** 2): identity
#   tensor(5.0) / conv(x): conv, weight 2.0 -> 0.4
#   x.sum(-1) / 4097: reduce_mean
set -euo pipefail
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
    torch==2.7.0 coremltools==9.0 numpy==2.3.5
"$folder/venv/bin/python" - 2>/dev/null <<'PYTHON'
import coremltools as ct
import torch

torch.manual_seed(0)


class Root(torch.nn.Module):
    def forward(self, x):
        return torch.sqrt(x**2)


class Quotient(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = torch.nn.Conv1d(1, 1, 1, bias=False)
        torch.nn.init.constant_(self.conv.weight, 2.0)

    def forward(self, x):
        return torch.tensor(5.0) / self.conv(x)


class Average(torch.nn.Module):
    def forward(self, x):
        return x.sum(-1) / 4097


def operations(module, shape):
    traced = torch.jit.trace(module.eval(), torch.ones(shape))
    model = ct.convert(
        traced,
        inputs=[ct.TensorType(name="x", shape=shape)],
        convert_to="mlprogram",
        compute_precision=ct.precision.FLOAT32,
        minimum_deployment_target=ct.target.iOS17,
        skip_model_load=True,
    )
    program = model._mil_program
    found = [one for one in program.functions["main"].operations if one.op_type != "const"]
    return [one.op_type for one in found], found


names, _ = operations(Root(), (1, 3))
print("sqrt(x ** 2):", ", ".join(names) or "nothing")
assert not {"sqrt", "abs", "pow", "square"} & set(names), "the root is there now"
names, found = operations(Quotient(), (1, 1, 4))
weight = float(found[0].weight.val.reshape(-1)[0])
print(f"tensor(5.0) / conv(x): {', '.join(names)}, weight 2.0 -> {weight:.1f}")
assert names == ["conv"] and abs(weight - 0.4) < 1e-6, "the quotient is there now"
names, _ = operations(Average(), (1, 4096))
print("x.sum(-1) / 4097:", ", ".join(names))
assert names == ["reduce_mean"], "the sum is there now"
PYTHON
