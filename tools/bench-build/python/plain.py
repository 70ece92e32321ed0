"""One conversion as one would write it by hand: import, trace, convert, save.

Owns: what the build is measured against.   Must not: know this project.
Flow: `python plain.py ENTRY OUTPUT.mlpackage DIMENSION...`, once per model.
"""

import sys

import coremltools as ct
import networks
import torch

entry, output, *shape = sys.argv[1:]
shape = [int(size) for size in shape]
model = getattr(networks, entry)().eval()
traced = torch.jit.trace(model, torch.rand(shape))
converted = ct.convert(
    traced, inputs=[ct.TensorType(name="x", shape=shape)], convert_to="mlprogram"
)
converted.save(output)
