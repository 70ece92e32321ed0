#!/usr/bin/env bash
# torch 2.7.0, numpy 2.3.5, Linux x86-64, CPU.
#
# Guess: enlarging by a whole factor with `mode="nearest"` repeats each pixel that often.
# Found: the place of a pixel is computed in single precision, rounded down, so at some factors the
#   pixel before is taken: two pixels made 82 are 42 of the first and 40 of the second.
#   `mode="nearest-exact"` repeats each pixel.
# Who meets it: who replaces `interpolate` by `repeat_interleave`, or compares with an engine that
#   computes places with integers.
#
# Output seen:
#   2 pixels to 82: 42 of the first, 40 of the second; nearest-exact: 41, 41
#   3 pixels, sizes up to 400 that differ from i * 3 // size: 135, the first is 82
set -euo pipefail
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check torch==2.7.0 numpy==2.3.5
"$folder/venv/bin/python" - <<'PYTHON'
import torch
from torch.nn.functional import interpolate


def enlarged(pixels, size, mode="nearest"):
    return interpolate(torch.arange(float(pixels))[None, None], size=size, mode=mode)[0, 0].int()


counts = [torch.bincount(enlarged(2, 82, mode)).tolist() for mode in ("nearest", "nearest-exact")]
print(
    f"2 pixels to 82: {counts[0][0]} of the first, {counts[0][1]} of the second; "
    f"nearest-exact: {counts[1][0]}, {counts[1][1]}"
)
differing = [
    size
    for size in range(2, 400)
    if not torch.equal(enlarged(3, size), (torch.arange(size) * 3 // size).int())
]
print(
    f"3 pixels, sizes up to 400 that differ from i * 3 // size: {len(differing)}, "
    f"the first is {differing[0]}"
)
assert counts == [[42, 40], [41, 41]], "the pixels of a whole factor have changed"
assert (len(differing), differing[0]) == (135, 82), "the sizes have changed"
PYTHON
