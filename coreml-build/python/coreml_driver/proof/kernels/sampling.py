"""Images at computed places: MIL's `affine`, `resample` and `crop_resize`.

Owns: their kernels.
Must not: round results.
Flow: `kernels` imports this file, so that its kernels are declared.
"""

from __future__ import annotations

from typing import Any

import torch

from coreml_driver.proof.kernels.registry import Unproved, flag, integer, kernel, number
from coreml_driver.proof.kernels.resizing import places


def _sampled(x: torch.Tensor, where: torch.Tensor, outside: float) -> torch.Tensor:
    """Return bilinear interpolations.

    Parameters: `where` — [N, height, width, 2], (x, y) in pixels; `outside` — what lies around the
    image.
    """
    low = where.floor()
    share = where - low
    height, width = x.shape[-2:]
    batch = torch.arange(x.shape[0]).reshape(-1, 1, 1)
    total = torch.zeros(x.shape[0], *where.shape[1:3], x.shape[1])
    for right in (0, 1):
        for down in (0, 1):
            column, row = low[..., 0] + right, low[..., 1] + down
            inside = (column >= 0) & (column < width) & (row >= 0) & (row < height)
            # A place that is no number is outside.
            column = torch.where(inside, column, 0).to(torch.int64)
            row = torch.where(inside, row, 0).to(torch.int64)
            values = x[batch, :, row, column]
            values = torch.where(inside[..., None], values, torch.tensor(outside))
            across = share[..., 0] if right else 1 - share[..., 0]
            along = share[..., 1] if down else 1 - share[..., 1]
            total += values * (across * along)[..., None]
    return total.permute(0, 3, 1, 2)


def _size(x: torch.Tensor) -> torch.Tensor:
    """Return width and height of an image."""
    return torch.tensor([x.shape[-1], x.shape[-2]], dtype=torch.float32)


def _in_pixels(unit: torch.Tensor, size: torch.Tensor, align: bool) -> torch.Tensor:
    """Return places for coordinates from 0 to 1: between the outer centres, or the outer edges."""
    return unit * (size - 1) if align else unit * size - 0.5


def _folded(where: torch.Tensor, span: torch.Tensor) -> torch.Tensor:
    """Return places folded back and forth between 0 and `span`."""
    # An image of one pixel has nothing to fold into.
    span = span.clamp(min=torch.finfo(torch.float32).tiny)
    return span - (torch.remainder(where, 2 * span) - span).abs()


@kernel("resample")
def _resample(
    x: torch.Tensor,
    coordinates: torch.Tensor,
    sampling_mode: str,
    padding_mode: str,
    padding_value: Any,
    coordinates_mode: str,
    align_corners: Any,
) -> torch.Tensor:
    """Pixels at places that a tensor gives."""
    where, size = coordinates.to(torch.float32), _size(x)
    align = flag(align_corners, False)
    if coordinates_mode == "normalized_minus_one_to_one":
        where = _in_pixels((where + 1) / 2, size, align)
    elif coordinates_mode == "normalized_zero_to_one":
        where = _in_pixels(where, size, align)
    elif coordinates_mode != "unnormalized":
        raise Unproved(f"the coordinates_mode `{coordinates_mode}`")
    if padding_mode == "border":
        where = torch.minimum(where.clamp(min=0), size - 1)
    elif padding_mode == "reflection":
        where = _folded(where, size - 1)
    elif padding_mode == "symmetric":
        where = torch.minimum((_folded(where + 0.5, size) - 0.5).clamp(min=0), size - 1)
    elif padding_mode != "constant":
        raise Unproved(f"the padding_mode `{padding_mode}`")
    if sampling_mode == "nearest":
        # At the centre of a pixel the interpolation is the pixel.
        where = where.round()
    elif sampling_mode != "bilinear":
        raise Unproved(f"the sampling_mode `{sampling_mode}`")
    return _sampled(x, where, number(padding_value) if padding_mode == "constant" else 0.0)


@kernel("affine")
def _affine(
    x: torch.Tensor,
    transform_matrix: torch.Tensor,
    output_height: Any,
    output_width: Any,
    sampling_mode: str,
    padding_mode: str,
    padding_value: Any,
    coordinates_mode: str,
    align_corners: Any,
) -> torch.Tensor:
    """The image seen through an affine map of its plane."""
    asked = (sampling_mode, padding_mode, coordinates_mode)
    if [word.lower() for word in asked] != ["bilinear", "constant", "normalized_minus_one_to_one"]:
        raise Unproved(f"the modes {', '.join(asked)}, which MIL leaves open")
    if not flag(align_corners, True):
        raise Unproved("`align_corners = false`, which MIL leaves open")
    height, width = integer(output_height), integer(output_width)

    def axis(count: int) -> torch.Tensor:
        return torch.linspace(-1, 1, count) if count > 1 else torch.zeros(1)

    rows, columns = torch.meshgrid(axis(height), axis(width), indexing="ij")
    base = torch.stack([columns, rows, torch.ones_like(rows)], -1)
    mapped = torch.einsum("hwk,nck->nhwc", base, transform_matrix.reshape(-1, 2, 3))
    mapped = mapped.expand(x.shape[0], height, width, 2)
    return _sampled(x, _in_pixels((mapped + 1) / 2, _size(x), True), number(padding_value))


@kernel("crop_resize")
def _crop_resize(
    x: torch.Tensor,
    roi: torch.Tensor | None = None,
    boxes: torch.Tensor | None = None,
    box_indices: torch.Tensor | None = None,
    target_height: Any = None,
    target_width: Any = None,
    normalized_coordinates: Any = None,
    spatial_scale: Any = None,
    box_coordinate_mode: str | None = None,
    sampling_mode: str | None = None,
    pad_value: Any = None,
) -> torch.Tensor:
    """Parts of images, each resized to the same size: boxes since iOS 17, regions before."""
    height, width = integer(target_height, 1), integer(target_width, 1)
    rows = boxes if roi is None else roi.reshape(-1, roi.shape[2])
    assert rows is not None
    pairs = rows[:, -4:].to(torch.float32) * number(spatial_scale, 1.0)
    starts, spans = _edges(pairs, box_coordinate_mode)
    if flag(normalized_coordinates, False):
        starts, spans = starts * (_size(x) - 1), spans * (_size(x) - 1)
    columns = starts[:, :1] + places(sampling_mode, width, spans[:, 0])
    lines = starts[:, 1:] + places(sampling_mode, height, spans[:, 1])
    where = torch.stack(
        [
            columns[:, None, :].expand(-1, height, -1),
            lines[:, :, None].expand(-1, -1, width),
        ],
        -1,
    ).to(torch.float32)
    outside = number(pad_value, 0.0)
    if roi is None:
        chosen = torch.arange(len(rows)) if box_indices is None else box_indices
        return _sampled(x[chosen.to(torch.int64)], where, outside)
    if roi.shape[2] == 5:
        return _sampled(x[rows[:, 0].to(torch.int64)], where, outside)[:, None]
    # Every region of every image: images become channels.
    joined = x.reshape(1, -1, *x.shape[2:]).expand(len(rows), -1, -1, -1)
    return _sampled(joined, where, outside).reshape(len(rows), *x.shape[:2], height, width)


def _edges(pairs: torch.Tensor, mode: str | None) -> tuple[torch.Tensor, torch.Tensor]:
    """Return where boxes begin and how far they go, each (x, y)."""
    mode = mode or "CORNERS_HEIGHT_FIRST"
    kind, _, order = mode.partition("_HEIGHT" if "HEIGHT" in mode else "_WIDTH")
    if kind not in ("CORNERS", "CENTER_SIZE") or order != "_FIRST":
        raise Unproved(f"the box_coordinate_mode `{mode}`")
    first, second = pairs[:, :2], pairs[:, 2:]
    if "HEIGHT" in mode:
        first, second = first.flip(1), second.flip(1)
    return (first, second - first) if kind == "CORNERS" else (first - second / 2, second)
