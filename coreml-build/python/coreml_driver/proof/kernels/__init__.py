"""What each operation of MIL computes, on torch's tensors.

Owns: the list of families. Importing this package fills `registry.KERNELS`.
Must not: be imported by a kernel.

A kernel computes in single precision; `values.Declared.settle` rounds its result. Where coremltools
can fold an operation, the tests compare a kernel with that; where its folding is wrong or missing,
with numpy and torch.
"""

from coreml_driver.proof.kernels import (
    activation,
    attention,
    classification,
    constexpr,
    control_flow,
    convolution,
    detection,
    elementwise,
    linear,
    lists,
    normalization,
    ordering,
    pooling,
    quantization,
    random,
    rearranging,
    recurrent,
    reduction,
    resizing,
    sampling,
    scatter_gather,
    slicing,
    states,
    tensors,
)
from coreml_driver.proof.kernels.registry import KERNELS, REASONS, SEVERAL, Context, Unproved

__all__ = [
    "KERNELS",
    "REASONS",
    "SEVERAL",
    "Context",
    "Unproved",
    "activation",
    "attention",
    "classification",
    "constexpr",
    "control_flow",
    "convolution",
    "detection",
    "elementwise",
    "linear",
    "lists",
    "normalization",
    "ordering",
    "pooling",
    "quantization",
    "random",
    "rearranging",
    "recurrent",
    "reduction",
    "resizing",
    "sampling",
    "scatter_gather",
    "slicing",
    "states",
    "tensors",
]
