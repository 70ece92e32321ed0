"""Images on regular grids: MIL's `resize_*`, `upsample_*` and `crop`.

Owns: their kernels, and where the samples of an axis lie.
Must not: round results.
Flow: `kernels` imports this file, so that its kernels are declared; `sampling` shares the grids.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch.nn import functional

from coreml_driver.proof.kernels.registry import Unproved, flag, integer, integers, kernel, number

MODES = frozenset(
    {"DEFAULT", "STRICT_ALIGN_CORNERS", "ALIGN_CORNERS", "OFFSET_CORNERS", "UNALIGN_CORNERS"}
)


def places(mode: str | None, count: int, span: torch.Tensor) -> torch.Tensor:
    """Return where `count` samples lie on an axis, from the centre of its first pixel.

    Parameters: `span` — the distance from the first pixel's centre to the last one's; several
    spans give as many rows.
    """
    mode = mode or "DEFAULT"
    if mode not in MODES:
        raise Unproved(f"the sampling_mode `{mode}`")
    steps = torch.arange(count, dtype=torch.float64)
    span = span.to(torch.float64)[..., None]
    if mode == "ALIGN_CORNERS" and count == 1:
        return span / 2
    if mode in ("ALIGN_CORNERS", "STRICT_ALIGN_CORNERS"):
        return steps * span / max(count - 1, 1)
    if mode == "OFFSET_CORNERS":
        return (steps + 0.5) * span.clamp(min=1) / count
    half = 0.5 if mode == "UNALIGN_CORNERS" else 0.0
    found = (steps + half) * (span + 1) / count - half
    return torch.minimum(found.clamp(min=0), span)


def interpolated(x: torch.Tensor, axis: int, where: torch.Tensor) -> torch.Tensor:
    """Return linear interpolations at places of one dimension."""
    last = x.shape[axis] - 1
    where = where.clamp(0, last)
    low = where.floor()
    share = (where - low).to(torch.float32).reshape(-1, *([1] * (x.dim() - axis - 1)))
    below = low.to(torch.int64)
    above = (below + 1).clamp(max=last)
    first, second = x.index_select(axis, below), x.index_select(axis, above)
    return first * (1 - share) + second * share


def _resized(x: torch.Tensor, axes: list[int], sizes: list[int], mode: str | None) -> torch.Tensor:
    """Return `x` interpolated along some dimensions."""
    plain = x.dim() >= 3 and axes == [x.dim() - 2, x.dim() - 1] and min(sizes) > 1
    if plain and mode in ("UNALIGN_CORNERS", "ALIGN_CORNERS", "STRICT_ALIGN_CORNERS"):
        flat = x.reshape(1, -1, *x.shape[-2:])
        aligned = mode != "UNALIGN_CORNERS"
        grown = functional.interpolate(flat, sizes, mode="bilinear", align_corners=aligned)
        return grown.reshape(*x.shape[:-2], *sizes)
    for axis, size in zip(axes, sizes, strict=True):
        span = torch.tensor(float(x.shape[axis] - 1))
        x = interpolated(x, axis, places(mode, size, span).reshape(-1))
    return x


def _nearest(x: torch.Tensor, axes: list[int], sizes: list[int]) -> torch.Tensor:
    """Return the pixels that PyTorch takes for these sizes."""
    for axis, size in zip(axes, sizes, strict=True):
        count = torch.tensor(x.shape[axis], dtype=torch.float32)
        x = _stepped(x, axis, size, count / max(size, 1))
    return x


def _stepped(x: torch.Tensor, axis: int, size: int, step: torch.Tensor) -> torch.Tensor:
    """Return the pixel at or before each multiple of a step, which PyTorch rounds to single
    precision: a whole factor too can give the pixel before.
    """
    where = (torch.arange(size, dtype=torch.float32) * step).floor().to(torch.int64)
    return x.index_select(axis, where.clamp(max=x.shape[axis] - 1))


def _last_two(x: torch.Tensor) -> list[int]:
    """Return the dimensions of an image."""
    return [x.dim() - 2, x.dim() - 1]


@kernel("crop")
def _crop(x: torch.Tensor, crop_height: torch.Tensor, crop_width: torch.Tensor) -> torch.Tensor:
    """Without rows and columns at the edges."""
    (top, bottom), (left, right) = integers(crop_height), integers(crop_width)
    return x[..., top : x.shape[-2] - bottom, left : x.shape[-1] - right]


@kernel("resize_bilinear")
def _resize_bilinear(
    x: torch.Tensor,
    target_size_height: Any = None,
    target_size_width: Any = None,
    sampling_mode: str | None = None,
) -> torch.Tensor:
    """Interpolated to a size."""
    sizes = [integer(target_size_height, 1), integer(target_size_width, 1)]
    return _resized(x, _last_two(x), sizes, sampling_mode)


@kernel("resize_nearest_neighbor")
def _resize_nearest_neighbor(
    x: torch.Tensor, target_size_height: Any, target_size_width: Any
) -> torch.Tensor:
    """The nearest pixels, at a size."""
    return _nearest(x, _last_two(x), [integer(target_size_height), integer(target_size_width)])


@kernel("upsample_bilinear")
def _upsample_bilinear(
    x: torch.Tensor,
    scale_factor_height: Any = None,
    scale_factor_width: Any = None,
    align_corners: Any = None,
    half_pixel_centers: Any = None,
) -> torch.Tensor:
    """Interpolated by factors; the grid follows from the sizes that they give."""
    aligned = flag(align_corners, True)
    half = flag(half_pixel_centers, not aligned)
    if aligned and half:
        raise Unproved("`align_corners` together with `half_pixel_centers`, which MIL leaves open")
    mode = "STRICT_ALIGN_CORNERS" if aligned else "UNALIGN_CORNERS" if half else "DEFAULT"
    factors = (number(scale_factor_height, 1), number(scale_factor_width, 1))
    return _resized(x, _last_two(x), _scaled(x, factors), mode)


@kernel("upsample_nearest_neighbor")
def _upsample_nearest_neighbor(
    x: torch.Tensor, scale_factor_height: Any = None, scale_factor_width: Any = None
) -> torch.Tensor:
    """The pixels that PyTorch takes for these factors."""
    factors = (number(scale_factor_height, 1), number(scale_factor_width, 1))
    for axis, size, factor in zip(_last_two(x), _scaled(x, factors), factors, strict=True):
        x = _stepped(x, axis, size, torch.tensor(1 / factor, dtype=torch.float32))
    return x


def _scaled(x: torch.Tensor, factors: tuple[float, float]) -> list[int]:
    """Return the sizes of an image times factors."""
    return [math.floor(size * factor) for size, factor in zip(x.shape[-2:], factors, strict=True)]


@kernel("resize")
def _resize(
    x: torch.Tensor,
    shape: torch.Tensor,
    resized_dims: Any,
    interpolation_mode: str | None = None,
    sampling_mode: str | None = None,
) -> torch.Tensor:
    """The last dimensions at sizes that may be computed; 0 keeps a size."""
    count = integer(resized_dims)
    axes = list(range(x.dim() - count, x.dim()))
    wanted = integers(shape)[len(integers(shape)) - count :]
    sizes = [size or x.shape[axis] for axis, size in zip(axes, wanted, strict=True)]
    if interpolation_mode in (None, "LINEAR"):
        return _resized(x.to(torch.float32), axes, sizes, sampling_mode)
    if interpolation_mode != "NEAREST_NEIGHBOR":
        raise Unproved(f"the interpolation_mode `{interpolation_mode}`")
    if sampling_mode not in (None, "DEFAULT"):
        raise Unproved(f"nearest pixels on the grid `{sampling_mode}`, which MIL leaves open")
    return _nearest(x, axes, sizes)
