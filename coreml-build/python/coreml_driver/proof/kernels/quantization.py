"""Quantized activations: MIL's `quantize` and `dequantize`.

Owns: their kernels.
Must not: round results.
Flow: `kernels` imports this file, so that its kernels are declared.
"""

from __future__ import annotations

from typing import Any

import torch

from coreml_driver.proof.kernels.registry import Unproved, integer, kernel

#: Smallest and largest number of each type.
BOUNDS = {"int8": (-128, 127), "uint8": (0, 255), "int4": (-8, 7), "uint4": (0, 15)}


@kernel("quantize")
def _quantize(
    input: torch.Tensor,
    scale: torch.Tensor,
    output_dtype: str,
    zero_point: torch.Tensor | None = None,
    axis: Any = None,
) -> torch.Tensor:
    """`clip(round(input / scale) + zero_point)`."""
    bounds = BOUNDS.get(output_dtype)
    if bounds is None:
        raise Unproved(f"a quantization to `{output_dtype}`")
    steps = torch.round(input / _along(scale, input, axis))
    if zero_point is not None:
        steps = steps + _along(zero_point, input, axis).to(torch.float32)
    return steps.clamp(*bounds)


@kernel("dequantize")
def _dequantize(
    input: torch.Tensor,
    scale: torch.Tensor,
    zero_point: torch.Tensor | None = None,
    axis: Any = None,
) -> torch.Tensor:
    """`scale (input - zero_point)`."""
    steps = input.to(torch.float32)
    if zero_point is not None:
        steps = steps - _along(zero_point, input, axis).to(torch.float32)
    return steps * _along(scale, input, axis)


def _along(vector: torch.Tensor, x: torch.Tensor, axis: Any) -> torch.Tensor:
    """Return numbers so that they apply along a dimension of `x`."""
    if vector.dim() == 0:
        return vector
    along = integer(axis, 0) % x.dim()
    return vector.reshape(-1, *([1] * (x.dim() - along - 1)))
