"""Sampling of pictures: grids of affine maps, volumes, regions of interest, deformable
convolutions; patches put together.

Owns: `affine_grid_generator`, `grid_sampler_3d`, `col2im`, torchvision's `roi_align` and
`deform_conv2d`.
Must not: import torchvision: its operations are known by their names alone.

A sample between four pixels is a sum of the four, gathered from the flat picture.
"""

from __future__ import annotations

import itertools
from typing import Any

import torch

from coreml_driver.translations.composition import composite, untraced
from coreml_driver.translations.refusals import CannotExpress

#: Ways of `grid_sample`, by PyTorch's numbers.
ZEROS, REFLECTION, NEAREST = 0, 2, 1


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


def _reflected(place: torch.Tensor, low: float, high: float) -> torch.Tensor:
    """Return positions mirrored into an interval."""
    span = high - low
    if span == 0:
        return torch.zeros_like(place)
    rest = torch.remainder((place - low).abs(), 2 * span)
    return torch.where(rest > span, 2 * span - rest, rest) + low


@composite("grid_sampler_3d")
def _grid_sampler_3d(
    input: torch.Tensor,
    grid: torch.Tensor,
    interpolation_mode: int,
    padding_mode: int,
    align_corners: bool,
) -> torch.Tensor:
    """Samples of a volume at positions from -1 to 1."""
    batch, channels, *sizes = input.shape
    count = grid.shape[1] * grid.shape[2] * grid.shape[3]
    axes = []
    for axis, size in enumerate(sizes):
        place = grid[..., 2 - axis].reshape(batch, count)
        if align_corners:
            place, low, high = (place + 1) / 2 * (size - 1), 0.0, size - 1.0
        else:
            place, low, high = ((place + 1) * size - 1) / 2, -0.5, size - 0.5
        if padding_mode == REFLECTION:
            place = _reflected(place, low, high)
        if padding_mode != ZEROS:
            place = place.clamp(0.0, size - 1.0)
        if interpolation_mode == NEAREST:
            line = torch.round(place)
            inside = torch.logical_and(line >= 0, line <= size - 1).to(input.dtype)
            axes.append(((line.clamp(0.0, size - 1.0), inside),))
        else:
            axes.append(_corners(place, size))
    flat = input.reshape(batch, channels, -1)
    total: Any = None
    for (z, front), (y, middle), (x, last) in itertools.product(*axes):
        places = (z * sizes[1] + y) * sizes[2] + x
        places = places.to(torch.int64).unsqueeze(1).expand(batch, channels, count)
        one = torch.gather(flat, 2, places) * (front * middle * last).unsqueeze(1)
        total = one if total is None else total + one
    return total.reshape(batch, channels, *grid.shape[1:4])


@composite(
    "col2im",
    why="patches that overlap, and other channels and paddings, are refused",
    replaces=True,
)
def _col2im(
    self: torch.Tensor,
    output_size: list[int],
    kernel_size: list[int],
    dilation: list[int],
    padding: list[int],
    stride: list[int],
) -> torch.Tensor:
    """Patches added up to the picture that they were taken of (`fold`)."""
    columns = self if self.ndim == 3 else self.unsqueeze(0)
    taps = kernel_size[0] * kernel_size[1]
    channels = columns.shape[1] // taps
    padded = [size + 2 * pad for size, pad in zip(output_size, padding, strict=True)]
    counts = [
        (size - tap * (kernel - 1) - 1) // step + 1
        for size, tap, kernel, step in zip(padded, dilation, kernel_size, stride, strict=True)
    ]
    with untraced():
        taken = torch.eye(taps).reshape(taps, 1, *kernel_size)
    found = torch.nn.functional.conv_transpose2d(
        columns.reshape(columns.shape[0] * channels, taps, *counts),
        taken,
        stride=stride,
        dilation=dilation,
    )
    # What no patch reaches is zero.
    missing = [size - there for size, there in zip(padded, found.shape[2:], strict=True)]
    if any(missing):
        found = torch.nn.functional.pad(found, [0, missing[1], 0, missing[0]])
    for axis, (pad, size) in enumerate(zip(padding, output_size, strict=True)):
        found = found.narrow(2 + axis, pad, size)
    shape = [channels, *output_size]
    return found.reshape(shape if self.ndim == 2 else [self.shape[0], *shape])


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
    # The number of a region's image, where there are several.
    several = not (isinstance(batch, int) and batch == 1)
    first = (rois[:, 0] * (height * width)).reshape(-1, 1, 1) if several else 0
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
