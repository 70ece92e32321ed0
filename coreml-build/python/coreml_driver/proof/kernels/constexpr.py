"""Compressed weights: MIL's `constexpr_*` operations.

Owns: their kernels.
Must not: know how a weight was compressed (`compression`).
Flow: `kernels` imports this file, so that its kernels are declared.
"""

from __future__ import annotations

import math
from typing import Any

import torch

from coreml_driver.proof.kernels.registry import integer, integers, kernel
from coreml_driver.proof.values import unpacked


@kernel("constexpr_affine_dequantize")
def _affine_dequantize(
    quantized_data: torch.Tensor, zero_point: torch.Tensor, scale: torch.Tensor, axis: Any
) -> torch.Tensor:
    """`scale (data - zero_point)`, each for all or along one dimension."""
    rank = quantized_data.dim()
    rest = [1] * (rank - integer(axis) % rank - 1)
    spread = [one.reshape(-1, *rest) if one.dim() else one for one in (zero_point, scale)]
    shifted = quantized_data.to(torch.float32) - spread[0].to(torch.float32)
    return shifted * spread[1]


@kernel("constexpr_blockwise_shift_scale")
def _blockwise_shift_scale(
    data: torch.Tensor, scale: torch.Tensor, offset: torch.Tensor | None = None
) -> torch.Tensor:
    """`scale (data - offset)`, each for a block of the data."""
    shifted = data.to(torch.float32)
    if offset is not None:
        shifted = shifted - blocks(offset.to(torch.float32), data)
    return shifted * blocks(scale, data)


@kernel("constexpr_cast")
def _cast(source_val: torch.Tensor, output_dtype: str) -> torch.Tensor:
    """The same numbers in single precision."""
    return source_val


@kernel("constexpr_lut_to_dense")
def _lut_to_dense(
    indices: torch.Tensor,
    lut: torch.Tensor,
    shape: torch.Tensor | None = None,
    vector_axis: Any = None,
) -> torch.Tensor:
    """Numbers from a table: one table and packed indices before iOS 18, a table for each block
    since then.
    """
    if shape is not None:
        sizes = integers(shape)
        bits = (lut.numel() - 1).bit_length()
        flat = unpacked(indices.numpy(), bits, math.prod(sizes), False)
        return lut[torch.from_numpy(flat).to(torch.int64)].reshape(sizes)
    # [blocks of each dimension…, entries, numbers of an entry]
    *counts, entries, width = lut.shape
    tables = lut.reshape(-1, entries, width)
    number = torch.arange(tables.shape[0]).reshape(counts)
    found = tables[blocks(number, indices), indices.to(torch.int64)]
    if width == 1:
        return found.squeeze(-1)
    along = integer(vector_axis) % indices.dim()
    return found.movedim(-1, along + 1).flatten(along, along + 1)


@kernel("constexpr_sparse_to_dense")
def _sparse_to_dense(
    nonzero_data: torch.Tensor, mask: torch.Tensor, shape: torch.Tensor | None = None
) -> torch.Tensor:
    """Numbers where the mask is set, zeros elsewhere; the mask is packed before iOS 18."""
    if shape is not None:
        sizes = integers(shape)
        flat = unpacked(mask.numpy(), 1, math.prod(sizes), False)
        mask = torch.from_numpy(flat).reshape(sizes)
    return _dense(nonzero_data, mask)


@kernel("constexpr_lut_to_sparse")
def _lut_to_sparse(
    indices_mask: torch.Tensor,
    indices_nonzero_data: torch.Tensor,
    lut: torch.Tensor,
    vector_axis: Any = None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """The mask, and numbers from a table for where it is set."""
    dense = _lut_to_dense(_dense(indices_nonzero_data, indices_mask), lut, None, vector_axis)
    mask = indices_mask
    if lut.shape[-1] > 1:
        mask = mask.repeat_interleave(lut.shape[-1], integer(vector_axis))
    return mask, dense[mask != 0]


@kernel("constexpr_sparse_blockwise_shift_scale")
def _sparse_blockwise_shift_scale(
    data_mask: torch.Tensor,
    nonzero_data: torch.Tensor,
    scale: torch.Tensor,
    offset: torch.Tensor | None = None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """The mask, and `scale (data - offset)` for where it is set."""
    dense = _blockwise_shift_scale(_dense(nonzero_data, data_mask), scale, offset)
    return data_mask, dense[data_mask != 0]


def _dense(nonzero_data: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Return numbers where a mask is set, zeros elsewhere."""
    found = torch.zeros(mask.shape, dtype=nonzero_data.dtype)
    found[mask != 0] = nonzero_data
    return found


def blocks(numbers: torch.Tensor, data: torch.Tensor) -> torch.Tensor:
    """Return one number for each element, from one for each block."""
    for axis, (count, size) in enumerate(zip(numbers.shape, data.shape, strict=True)):
        if count not in (1, size):
            numbers = numbers.repeat_interleave(size // count, axis)
    return numbers.expand(data.shape)
