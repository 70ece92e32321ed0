"""Other shapes of the same elements: MIL's `tensor_transformation` without slices.

Owns: their kernels.
Must not: round results.
Flow: `kernels` imports this file, so that its kernels are declared.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch.nn import functional

from coreml_driver.proof.kernels.registry import flags, integer, integers, kernel


@kernel("reshape")
def _reshape(x: torch.Tensor, shape: torch.Tensor) -> torch.Tensor:
    """Other sizes; 0 keeps a size and -1 is what is left."""
    sizes = integers(shape)
    if x.numel():
        sizes = [x.shape[axis] if size == 0 else size for axis, size in enumerate(sizes)]
    return x.reshape(sizes)


@kernel("reshape_like")
def _reshape_like(
    x: torch.Tensor,
    ref_tensors: list[torch.Tensor],
    begins: torch.Tensor,
    ends: torch.Tensor,
    end_masks: torch.Tensor,
) -> torch.Tensor:
    """Sizes that other tensors have."""
    sizes: list[int] = []
    parts = zip(
        ref_tensors,
        integers(begins),
        integers(ends),
        flags(end_masks, len(ref_tensors)),
        strict=True,
    )
    for other, begin, end, is_open in parts:
        sizes += other.shape[begin : None if is_open else end]
    return x.reshape(sizes)


@kernel("expand_dims")
def _expand_dims(x: torch.Tensor, axes: torch.Tensor) -> torch.Tensor:
    """New dimensions of size one."""
    chosen = integers(axes)
    rank = x.dim() + len(chosen)
    for axis in sorted(axis % rank for axis in chosen):
        x = x.unsqueeze(axis)
    return x


@kernel("squeeze")
def _squeeze(x: torch.Tensor, axes: Any = None) -> torch.Tensor:
    """Without dimensions of size one."""
    if axes is None:
        return x.squeeze()
    for axis in sorted((axis % x.dim() for axis in integers(axes)), reverse=True):
        if x.shape[axis] != 1:
            raise ValueError(f"dimension {axis} of size {x.shape[axis]} is not 1")
        x = x.squeeze(axis)
    return x


@kernel("flatten2d")
def _flatten2d(x: torch.Tensor, axis: Any = None) -> torch.Tensor:
    """Two dimensions: those before an axis, and the rest."""
    along = integer(axis, 1)
    along = along + x.dim() if along < 0 else along
    return x.reshape(math.prod(x.shape[:along]), math.prod(x.shape[along:]))


@kernel("transpose")
def _transpose(x: torch.Tensor, perm: torch.Tensor) -> torch.Tensor:
    """Dimensions in another order."""
    return x.permute(integers(perm))


@kernel("reverse")
def _reverse(x: torch.Tensor, axes: Any = None) -> torch.Tensor:
    """Dimensions backwards."""
    return x.flip(integers(axes, range(x.dim())))


@kernel("reverse_sequence")
def _reverse_sequence(
    x: torch.Tensor, lengths: torch.Tensor, seq_axis: Any = None, batch_axis: Any = None
) -> torch.Tensor:
    """The first elements of each sequence backwards."""
    rows = x.movedim((integer(batch_axis, 0), integer(seq_axis, 0)), (0, 1))
    places = torch.arange(rows.shape[1])
    turned = [
        row[torch.where(places < length, length - 1 - places, places)]
        for row, length in zip(rows, integers(lengths), strict=True)
    ]
    return torch.stack(turned).movedim((0, 1), (integer(batch_axis, 0), integer(seq_axis, 0)))


@kernel("depth_to_space")
def _depth_to_space(x: torch.Tensor, block_size: Any) -> torch.Tensor:
    """Channels become pixels; the places in a block are the outer part of the channels."""
    size = integer(block_size)
    n, c, h, w = x.shape
    parts = x.reshape(n, size, size, c // size**2, h, w)
    return parts.permute(0, 3, 4, 1, 5, 2).reshape(n, c // size**2, h * size, w * size)


@kernel("space_to_depth")
def _space_to_depth(x: torch.Tensor, block_size: Any) -> torch.Tensor:
    """Pixels become channels; the places in a block are the outer part of the channels."""
    size = integer(block_size)
    n, c, h, w = x.shape
    parts = x.reshape(n, c, h // size, size, w // size, size)
    return parts.permute(0, 3, 5, 1, 2, 4).reshape(n, c * size**2, h // size, w // size)


@kernel("pixel_shuffle")
def _pixel_shuffle(x: torch.Tensor, upscale_factor: Any) -> torch.Tensor:
    """Channels become pixels, as PyTorch orders them."""
    return functional.pixel_shuffle(x, integer(upscale_factor))


@kernel("pixel_unshuffle")
def _pixel_unshuffle(x: torch.Tensor, downscale_factor: Any) -> torch.Tensor:
    """Pixels become channels, as PyTorch orders them."""
    return functional.pixel_unshuffle(x, integer(downscale_factor))


@kernel("space_to_batch")
def _space_to_batch(
    x: torch.Tensor, block_shape: torch.Tensor, paddings: torch.Tensor
) -> torch.Tensor:
    """Pixels become batch elements, after padding."""
    sizes, flat = integers(block_shape), integers(paddings)
    pairs = list(zip(flat[::2], flat[1::2], strict=True))
    x = functional.pad(x, [size for pair in reversed(pairs) for size in pair])
    n, c = x.shape[:2]
    split = [
        part
        for size, block in zip(x.shape[2:], sizes, strict=True)
        for part in (size // block, block)
    ]
    count = len(sizes)
    inner = [3 + 2 * axis for axis in range(count)]
    outer = [2 + 2 * axis for axis in range(count)]
    parts = x.reshape(n, c, *split).permute(*inner, 0, 1, *outer)
    rest = [size // block for size, block in zip(x.shape[2:], sizes, strict=True)]
    return parts.reshape(n * math.prod(sizes), c, *rest)


@kernel("batch_to_space")
def _batch_to_space(
    x: torch.Tensor, block_shape: torch.Tensor, crops: torch.Tensor
) -> torch.Tensor:
    """Batch elements become pixels, then the edges are cut off."""
    sizes, flat = integers(block_shape), integers(crops)
    count = len(sizes)
    n, c = x.shape[0] // math.prod(sizes), x.shape[1]
    parts = x.reshape(*sizes, n, c, *x.shape[2:])
    order = [count, count + 1]
    for axis in range(count):
        order += [count + 2 + axis, axis]
    grown = [size * block for size, block in zip(x.shape[2:], sizes, strict=True)]
    x = parts.permute(order).reshape(n, c, *grown)
    for axis, (before, after) in enumerate(zip(flat[::2], flat[1::2], strict=True), start=2):
        x = x.narrow(axis, before, x.shape[axis] - before - after)
    return x
