#!/usr/bin/env bash
# torch 2.7.0, numpy 2.3.5, Linux x86-64, CPU.
#
# Guess: fake quantization shows during training what quantization does afterwards, NaN included.
# Found: `quantize_per_tensor` makes the largest integer of NaN, `fake_quantize_per_tensor_affine`
#   the smallest. `sign` of NaN is 0, where NumPy has NaN.
# Who meets it: who compares a quantized network with the fake-quantized one that it came from, on
#   inputs with missing values.
#
# Output seen:
#   quantize_per_tensor, int8: 127 (12.7), uint8: 255
#   fake_quantize_per_tensor_affine, -128 to 127: -12.8
#   torch.sign: 0.0, numpy.sign: nan
set -euo pipefail
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check torch==2.7.0 numpy==2.3.5
"$folder/venv/bin/python" - <<'PYTHON'
import math

import numpy as np
import torch

x = torch.tensor([math.nan])
signed = torch.quantize_per_tensor(x, 0.1, 0, torch.qint8)
integer, number = signed.int_repr().item(), round(signed.dequantize().item(), 4)
unsigned = torch.quantize_per_tensor(x, 0.1, 0, torch.quint8).int_repr().item()
print(f"quantize_per_tensor, int8: {integer} ({number}), uint8: {unsigned}")
fake = round(torch.fake_quantize_per_tensor_affine(x, 0.1, 0, -128, 127).item(), 4)
print(f"fake_quantize_per_tensor_affine, -128 to 127: {fake}")
signs = torch.sign(x).item(), float(np.sign(np.float32(math.nan)))
print(f"torch.sign: {signs[0]}, numpy.sign: {signs[1]}")
assert (integer, number, unsigned) == (127, 12.7, 255), "quantize_per_tensor has changed"
assert fake == -12.8, "fake_quantize_per_tensor_affine has changed"
assert signs[0] == 0 and math.isnan(signs[1]), "sign has changed"
PYTHON
