#!/usr/bin/env bash
# coremltools 9.0, torch 2.7.0, numpy 2.3.5, Linux x86-64.
#
# Guess: a conversion reads a module's weights and leaves the module as it is.
# Found: where a convolution is followed by a subtraction of a constant, which a BatchNorm without
#   weights becomes, the pass that fuses both negates the constant in place, and its memory is that
#   of the module's own tensor. From then on the PyTorch module computes something else. A constant
#   that two convolutions share is negated twice: the program adds it in both, without a warning.
# Who meets it: whoever converts and then compares with PyTorch (the right program looks wrong),
#   converts the same module a second time, or goes on training it; descriptors such as HardNet,
#   whose normalisations have no weights.
#
# Output seen:
#   running_mean before 0.5, after -0.5
#   module(zeros) before -0.5, after 0.5
#   shared constant 0.25: biases of the program [0.25, 0.25]
set -euo pipefail
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
    torch==2.7.0 coremltools==9.0 numpy==2.3.5
"$folder/venv/bin/python" - 2>/dev/null <<'PYTHON'
import coremltools as ct
import torch


class Normalised(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = torch.nn.Conv2d(1, 2, 1, bias=False)
        self.norm = torch.nn.BatchNorm2d(2, affine=False, eps=0.0)
        self.norm.running_mean.fill_(0.5)

    def forward(self, x):
        return self.norm(self.conv(x))


class Shared(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.one = torch.nn.Conv2d(1, 2, 1, bias=False)
        self.two = torch.nn.Conv2d(1, 2, 1, bias=False)
        self.register_buffer("shift", torch.full((1, 2, 1, 1), 0.25))

    def forward(self, x):
        return torch.relu(self.one(x) - self.shift) * torch.relu(self.two(x) - self.shift)


def convert(net, x):
    return ct.convert(
        torch.jit.trace(net, x),
        inputs=[ct.TensorType("x", x.shape)],
        minimum_deployment_target=ct.target.iOS18,
        compute_precision=ct.precision.FLOAT32,
        convert_to="milinternal",
    ).functions["main"].operations


x = torch.zeros(1, 1, 4, 4)
with torch.no_grad():
    net = Normalised().eval()
    before = float(net.norm.running_mean[0]), float(net(x)[0, 0, 0, 0])
    convert(net, x)
    after = float(net.norm.running_mean[0]), float(net(x)[0, 0, 0, 0])
    print(f"running_mean before {before[0]}, after {after[0]}")
    print(f"module(zeros) before {before[1]}, after {after[1]}")
    operations = convert(Shared().eval(), x)
biases = [float(one.bias.val[0]) for one in operations if one.op_type == "conv"]
print(f"shared constant 0.25: biases of the program {biases}")
assert (before, after) == ((0.5, -0.5), (-0.5, 0.5)), "the module's tensor is left alone now"
assert biases == [0.25, 0.25], "a shared constant is right now"
PYTHON
