#!/usr/bin/env bash
# torch 2.7.0, numpy 2.3.5, Linux x86-64.
#
# Guess: while `torch.jit.trace` runs, a size such as `x.shape[1]` can be used wherever it can be
#   used otherwise: it is a tensor then, and counts as an integer.
# Found: where an argument is a list of integers and takes one integer for it, the size becomes an
#   empty list. For reductions an empty list means all axes, so that `x.sum(x.shape[1] - 1)` sums
#   everything up, in the trace and in the run that makes it, without an error. Convolutions and
#   pooling raise an error about `padding=[]` or `kernel_size`. `flip`, `softmax`, `cumsum` and
#   `all` take the axis, and a size in brackets, `x.sum([x.shape[1] - 1])`, is right everywhere.
# Who meets it: code that computes an axis or a padding from shapes, as causal convolutions do
#   (`padding=weight.shape[-1] - 1`, the layers of Mamba 2); whoever traces it for Core ML or ONNX.
#
# Output seen:
#   sum            eager (1, 3), traced ()
#   mean           eager (1, 3), traced ()
#   amax           eager (1, 3), traced ()
#   std            eager (1, 3), traced ()
#   sum, a list    eager (1, 3), traced (1, 3)
#   cumsum         eager (1, 2, 3), traced (1, 2, 3)
#   conv1d         eager (1, 2, 4), traced: an error that says `padding=[]`
set -euo pipefail
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check torch==2.7.0 numpy==2.3.5
"$folder/venv/bin/python" -W ignore - <<'PYTHON'
import torch

x = torch.arange(6.0).reshape(1, 2, 3)
weight = torch.ones(2, 1, 2)
# The size of axis 1 is 2: each of these means axis 1.
CALLS = {
    "sum": lambda x: x.sum(x.shape[1] - 1),
    "mean": lambda x: x.mean(x.shape[1] - 1),
    "amax": lambda x: x.amax(x.shape[1] - 1),
    "std": lambda x: x.std(x.shape[1] - 1),
    "sum, a list": lambda x: x.sum([x.shape[1] - 1]),
    "cumsum": lambda x: x.cumsum(x.shape[1] - 1),
    "conv1d": lambda x: torch.conv1d(x, weight, padding=x.shape[1] - 1, groups=2),
}
found = {}
for name, call in CALLS.items():
    eager = tuple(call(x).shape)
    try:
        found[name] = tuple(torch.jit.trace(call, x)(x).shape)
        print(f"{name:14} eager {eager}, traced {found[name]}")
    except RuntimeError as error:
        found[name] = "padding=[]" in str(error)
        print(f"{name:14} eager {eager}, traced: an error that says `padding=[]`")
assert found == {
    "sum": (),
    "mean": (),
    "amax": (),
    "std": (),
    "sum, a list": (1, 3),
    "cumsum": (1, 2, 3),
    "conv1d": True,
}, "sizes as integers have changed"
PYTHON
