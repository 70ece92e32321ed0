"""Sampling of pictures: grids of affine maps, regions of interest, deformable convolutions.

Owns: `affine_grid_generator`, torchvision's `roi_align` and `deform_conv2d`.
Must not: import torchvision: its operations are known by their names alone.

A sample between four pixels is a sum of the four, gathered from the flat picture.
"""

from __future__ import annotations

from typing import Any

import torch

from coreml_driver.translations.composition import composite, untraced
from coreml_driver.translations.refusals import CannotExpress


def _steps(count: int, align_corners: bool) -> torch.Tensor:
    """Return the positions of pixels from -1 to 1."""
    if align_corners and count > 1:
        return torch.linspace(-1, 1, count)
    if align_corners:
        return torch.zeros(1)
    return (2 * torch.arange(float(count)) + 1) / count - 1


@composite(
    "affine_grid_generator",
    replaces=True,
    why="together with `grid_sample` it becomes MIL's `affine`, which does not load with "
    "`align_corners=False`; the grid itself cannot be used",
)
def _affine_grid(theta: torch.Tensor, size: list[int], align_corners: bool) -> torch.Tensor:
    """The positions that pixels of a picture come from."""
    axes = len(size) - 2
    with untraced():
        lines = [_steps(count, align_corners) for count in size[2:]]
        grids = torch.meshgrid(*lines, indexing="ij")
        # The last axis of the picture is the first coordinate.
        places = torch.stack([*reversed(grids), torch.ones(grids[0].shape)], -1)
        places = places.reshape(-1, axes + 1)
    found = places @ theta.transpose(1, 2)
    return found.reshape([size[0], *size[2:], axes])


def _corners(y: torch.Tensor, size: int) -> tuple[tuple[torch.Tensor, torch.Tensor], ...]:
    """Return the two lines beside each position, each with its share; a line outside has none."""
    low = torch.floor(y)
    high = low + 1
    found = []
    for line, share in ((low, high - y), (high, y - low)):
        inside = torch.logical_and(line >= 0, line <= size - 1)
        share = torch.where(inside, share, 0.0)
        found.append((line.clamp(0.0, size - 1.0), share))
    return tuple(found)


@composite("torchvision::roi_align")
def _roi_align(
    input: torch.Tensor,
    rois: torch.Tensor,
    spatial_scale: float,
    pooled_height: int,
    pooled_width: int,
    sampling_ratio: int,
    aligned: bool = False,
) -> torch.Tensor:
    """Means of samples in the cells of regions."""
    if sampling_ratio <= 0:
        raise CannotExpress(
            "without `sampling_ratio` the number of samples depends on the size of each region",
            "Pass `sampling_ratio=2`.",
        )
    batch, channels, height, width = input.shape
    regions = rois.shape[0]
    offset = 0.5 if aligned else 0.0
    corners = rois[:, 1:] * spatial_scale - offset
    start_x, start_y, end_x, end_y = (corners[:, k : k + 1] for k in range(4))
    sizes = [end_y - start_y, end_x - start_x]
    if not aligned:
        sizes = [size.clamp(min=1.0) for size in sizes]
    positions = []
    for start, size, cells, limit in (
        (start_y, sizes[0], pooled_height, height),
        (start_x, sizes[1], pooled_width, width),
    ):
        with untraced():
            steps = (torch.arange(float(cells * sampling_ratio)) + 0.5) / sampling_ratio
        place = start + steps * (size / cells)
        there = torch.logical_and(place >= -1.0, place <= float(limit))
        # On the border, and up to a pixel beyond it, the border's value holds.
        positions.append((place.clamp(0.0, limit - 1.0), there))
    (y, inside_y), (x, inside_x) = positions
    inside = torch.logical_and(inside_y.unsqueeze(2), inside_x.unsqueeze(1)).to(input.dtype)
    flat = input.permute(1, 0, 2, 3).reshape(channels, batch * height * width)
    first = (rois[:, 0] * (height * width)).reshape(-1, 1, 1)
    total: Any = None
    for line, share in _corners(y, height):
        for column, part in _corners(x, width):
            places = first + line.unsqueeze(2) * width + column.unsqueeze(1)
            values = torch.index_select(flat, 1, places.reshape(-1).to(torch.int32))
            weights = share.unsqueeze(2) * part.unsqueeze(1) * inside
            one = values * weights.reshape(-1)
            total = one if total is None else total + one
    cells = total.reshape(
        channels * regions, pooled_height, sampling_ratio, pooled_width, sampling_ratio
    )
    means = cells.mean([2, 4]).reshape(channels, regions, pooled_height, pooled_width)
    return means.transpose(0, 1)


@composite("torchvision::deform_conv2d")
def _deform_conv2d(
    input: torch.Tensor,
    weight: torch.Tensor,
    offset: torch.Tensor,
    mask: torch.Tensor,
    bias: torch.Tensor,
    stride_h: int,
    stride_w: int,
    pad_h: int,
    pad_w: int,
    dilation_h: int,
    dilation_w: int,
    groups: int,
    offset_groups: int,
    use_mask: bool,
) -> torch.Tensor:
    """A convolution whose taps are moved by offsets."""
    batch, channels, height, width = input.shape
    outputs, _, rows, columns = weight.shape
    taps = rows * columns
    out_height, out_width = offset.shape[2:]
    pixels = out_height * out_width
    moved = offset.reshape(batch * offset_groups, taps, 2, pixels)
    with untraced():
        tap_y = torch.arange(rows).repeat_interleave(columns) * dilation_h - pad_h
        tap_x = torch.arange(columns).repeat(rows) * dilation_w - pad_w
        pixel_y = torch.arange(out_height).repeat_interleave(out_width) * stride_h
        pixel_x = torch.arange(out_width).repeat(out_height) * stride_w
        base_y = (tap_y.unsqueeze(1) + pixel_y).float()
        base_x = (tap_x.unsqueeze(1) + pixel_x).float()
    y, x = moved[:, :, 0] + base_y, moved[:, :, 1] + base_x
    each = channels // offset_groups
    flat = input.reshape(batch * offset_groups, each, height * width)
    total: Any = None
    for line, share in _corners(y, height):
        for column, part in _corners(x, width):
            places = (line * width + column).reshape(batch * offset_groups, 1, taps * pixels)
            places = places.to(torch.int64).expand(batch * offset_groups, each, taps * pixels)
            weights = (share * part).reshape(batch * offset_groups, 1, taps * pixels)
            one = torch.gather(flat, 2, places) * weights
            total = one if total is None else total + one
    if use_mask:
        total = total * mask.reshape(batch * offset_groups, 1, taps * pixels)
    taken = total.reshape(batch, groups, channels // groups * taps, pixels)
    filters = weight.reshape(1, groups, outputs // groups, channels // groups * taps)
    found = (filters @ taken).reshape(batch, outputs, out_height, out_width)
    return found + bias.reshape(1, -1, 1, 1)
