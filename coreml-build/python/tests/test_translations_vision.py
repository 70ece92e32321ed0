"""Pools that MIL has not, resizing by decomposition, sampling of pictures."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from coreml_driver.translations import vision
from coreml_driver.translations.refusals import CannotExpress
from tests.translated import Case, Family

IMAGE = (torch.arange(2 * 2 * 7 * 9.0).reshape(2, 2, 7, 9) * 37 % 101) / 16 - 3
SIGNAL, VOLUME = IMAGE[0, :, 0], IMAGE.reshape(1, 2, 7, 2, 9)[:, :, :6]
PLACES = torch.linspace(-1.3, 1.4, 90).reshape(1, 2, 3, 5, 3)
THETA = torch.tensor([[[0.8, -0.3, 0.1], [0.2, 1.1, -0.2]], [[1.0, 0, 0], [0, 1, 0.5]]])


def one(name, function, *inputs):
    return Case(name, function, list(inputs) or [IMAGE])


def unpooled(x):
    found, places = F.max_pool2d(x, 2, return_indices=True)
    return F.max_unpool2d(found, places, 2, output_size=x.shape[-2:])


CASES = {
    "adaptive averages": one(
        "adaptive_avg_pool2d",
        lambda x: (F.adaptive_avg_pool2d(x, (3, 4)), F.adaptive_avg_pool2d(x, 1)),
    ),
    "adaptive averages of a signal": one(
        "adaptive_avg_pool1d", lambda x: F.adaptive_avg_pool1d(x, 4), SIGNAL
    ),
    "adaptive averages of a volume": one(
        "adaptive_avg_pool3d", lambda x: F.adaptive_avg_pool3d(x, (4, None, 5)), VOLUME
    ),
    "adaptive maxima": one(
        "adaptive_max_pool2d", lambda x: F.adaptive_max_pool2d(x, (3, 4), return_indices=True)
    ),
    "adaptive maxima of a signal": one(
        "adaptive_max_pool1d", lambda x: F.adaptive_max_pool1d(x, 4), SIGNAL
    ),
    "adaptive maxima of a volume": one(
        "adaptive_max_pool3d", lambda x: F.adaptive_max_pool3d(x, (4, 1, 5)), VOLUME
    ),
    "maxima and their places": one(
        "max_pool2d_with_indices",
        lambda x: F.max_pool2d(x, 3, 2, 1, return_indices=True, ceil_mode=True),
    ),
    "maxima of a signal and their places": one(
        "max_pool1d_with_indices", lambda x: F.max_pool1d(x, 3, 2, return_indices=True), SIGNAL
    ),
    "maxima of a volume and their places": one(
        "max_pool3d_with_indices", lambda x: F.max_pool3d(x, 2, return_indices=True), VOLUME
    ),
    "maxima of taps apart": one("max_pool2d", lambda x: F.max_pool2d(x, 3, 1, 1, dilation=2)),
    "maxima without a batch": one("max_pool1d", lambda x: F.max_pool1d(x, 2), SIGNAL),
    "maxima of a volume": one("max_pool3d", lambda x: F.max_pool3d(x, 2), VOLUME),
    "averages with a divisor": one("avg_pool2d", lambda x: F.avg_pool2d(x, 2, divisor_override=3)),
    "averages without padding, rounded up": one(
        "avg_pool2d",
        lambda x: F.avg_pool2d(x, 3, 2, 1, ceil_mode=True, count_include_pad=False),
    ),
    "averages with padding, rounded up": one(
        "avg_pool2d", lambda x: F.avg_pool2d(x, (3, 2), (2, 3), 1, ceil_mode=True)
    ),
    "averages of a signal": one(
        "avg_pool1d", lambda x: F.avg_pool1d(x, 3, 2, 1, count_include_pad=False), SIGNAL
    ),
    "averages of a volume": one("avg_pool3d", lambda x: F.avg_pool3d(x, 2, ceil_mode=True), VOLUME),
    "a pool undone": one("max_unpool2d", unpooled),
    "a pool of a volume undone": one(
        "max_unpool3d",
        lambda x: F.max_unpool3d(
            *F.max_pool3d(x, 2, return_indices=True), 2, output_size=x.shape[2:]
        ),
        VOLUME,
    ),
    "fractions": one(
        "fractional_max_pool2d",
        lambda x: F.fractional_max_pool2d(
            x, 2, (4, 5), _random_samples=torch.tensor([[[0.1, 0.7], [0.9, 0.3]]] * 2)
        ),
    ),
    "powers": one("avg_pool2d", lambda x: F.lp_pool2d(x.abs(), 3, 2)),
    "an affine grid": one(
        "affine_grid_generator",
        lambda t: (
            F.affine_grid(t, (2, 1, 3, 4), align_corners=False),
            F.affine_grid(t, (2, 1, 3, 4), align_corners=True),
        ),
        THETA,
    ),
    "an affine grid, sampled": one(
        "affine_grid_generator",
        lambda x, t: F.grid_sample(
            x, F.affine_grid(t, x.shape, align_corners=False), align_corners=False
        ),
        IMAGE,
        THETA,
    ),
    "sampled by cubes": one(
        "grid_sampler",
        lambda x, t: F.grid_sample(
            x,
            F.affine_grid(t, (2, 2, 4, 5), align_corners=False),
            mode="bicubic",
            align_corners=False,
        ),
        IMAGE,
        THETA,
    ),
    **{
        f"resized, {mode}": one(
            f"upsample_{mode}",
            (lambda m: lambda x: F.interpolate(x, scale_factor=1.6, mode=m))(mode),
        )
        for mode in ("bicubic", "nearest-exact", "area")
    },
    "resized, trilinear": one(
        "upsample_trilinear3d", lambda x: F.interpolate(x, size=(9, 3, 5), mode="trilinear"), VOLUME
    ),
    **{
        f"a volume sampled, {mode}, {padding}, {corners}": one(
            "grid_sampler_3d",
            (
                lambda m, p, c: (
                    lambda v: F.grid_sample(v, PLACES, mode=m, padding_mode=p, align_corners=c)
                )
            )(mode, padding, corners),
            VOLUME,
        )
        for mode, padding, corners in (
            ("bilinear", "zeros", False),
            ("bilinear", "reflection", True),
            ("nearest", "border", False),
            ("bilinear", "reflection", False),
        )
    },
    "patches put together": one(
        "col2im",
        lambda x: F.fold(F.unfold(x, (3, 2), 1, 1, 2), x.shape[-2:], (3, 2), 1, 1, 2),
    ),
    "turned": one("rot90", lambda x: (torch.rot90(x, 1, (2, 3)), torch.rot90(x, 2, (2, 3)))),
    "round": one("pad", lambda x: F.pad(x, (2, 1, 0, 3), mode="circular")),
}
FAMILY = Family(CASES, 12)


@pytest.mark.parametrize("name", CASES)
def test_is_pytorchs(name):
    assert not FAMILY.wrong(name)


def bilinear(picture, y, x):
    """Return a sample of a picture, as torchvision's kernels take it between pixels."""
    height, width = picture.shape[-2:]
    total = torch.zeros(picture.shape[0])
    for line in (int(y // 1), int(y // 1) + 1):
        for column in (int(x // 1), int(x // 1) + 1):
            if 0 <= line < height and 0 <= column < width:
                share = (1 - abs(y - line)) * (1 - abs(x - column))
                total += picture[:, line, column] * share
    return total


@pytest.mark.parametrize("aligned", (True, False))
def test_regions_of_interest(aligned):
    """Against the definition, sample by sample; a region hangs over the border."""
    rois = torch.tensor([[0.0, 1, 1, 6, 5], [1, -2, -2, 3, 9], [1, 4, 2, 4.5, 2.5]])
    found = vision._roi_align(IMAGE, rois, 0.8, 2, 3, 2, aligned)
    for number, (batch, *corners) in enumerate(rois.tolist()):
        x1, y1, x2, y2 = (one * 0.8 - 0.5 * aligned for one in corners)
        height, width = y2 - y1, x2 - x1
        if not aligned:
            height, width = max(height, 1.0), max(width, 1.0)
        for row in range(2):
            for column in range(3):
                total = torch.zeros(2)
                for i in range(2):
                    for j in range(2):
                        y = y1 + (row + (i + 0.5) / 2) * height / 2
                        x = x1 + (column + (j + 0.5) / 2) * width / 3
                        if -1 <= y <= 7 and -1 <= x <= 9:
                            y, x = min(max(y, 0.0), 6.0), min(max(x, 0.0), 8.0)
                            total += bilinear(IMAGE[int(batch)], y, x)
                assert torch.allclose(found[number, :, row, column], total / 4, atol=1e-5)


def test_a_deformable_convolution():
    """Without offsets it is a convolution; with them each tap is a sample."""
    generator = torch.Generator().manual_seed(0)
    weight = torch.randn(4, 1, 3, 3, generator=generator)
    bias, mask = torch.randn(4, generator=generator), torch.ones(2, 18, 4, 5)
    zeros = torch.zeros(2, 36, 4, 5)
    how = (2, 2, 1, 1, 1, 1, 2, 2, True)
    plain = F.conv2d(IMAGE, weight, bias, 2, 1, groups=2)
    assert torch.allclose(
        vision._deform_conv2d(IMAGE, weight, zeros, mask, bias, *how), plain, atol=1e-4
    )
    offset = torch.randn(2, 36, 4, 5, generator=generator)
    mask = torch.rand(2, 18, 4, 5, generator=generator)
    found = vision._deform_conv2d(IMAGE, weight, offset, mask, bias, *how)
    for batch, channel, row, column in ((0, 0, 0, 0), (1, 3, 2, 4), (0, 2, 3, 1)):
        group, total = channel // 2, bias[channel].clone()
        for tap in range(9):
            dy, dx = offset[batch, group * 18 + 2 * tap : group * 18 + 2 * tap + 2, row, column]
            y = row * 2 - 1 + tap // 3 + float(dy)
            x = column * 2 - 1 + tap % 3 + float(dx)
            value = bilinear(IMAGE[batch, group : group + 1], y, x)[0]
            total += (
                weight[channel, 0, tap // 3, tap % 3]
                * value
                * mask[batch, group * 9 + tap, row, column]
            )
        assert torch.allclose(found[batch, channel, row, column], total, atol=1e-4)


def test_regions_without_a_number_of_samples_are_refused():
    with pytest.raises(CannotExpress, match="sampling_ratio"):
        vision._roi_align(IMAGE, torch.zeros(1, 5), 1.0, 2, 2, -1)
