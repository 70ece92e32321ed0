"""Pooling: MIL's `pool`.

Owns: their kernels.
Must not: round results.
Flow: `kernels` imports this file, so that its kernels are declared.
"""

from __future__ import annotations

from typing import Any

import torch
from torch.nn import functional

from coreml_driver.proof.kernels.convolution import padded, padding
from coreml_driver.proof.kernels.registry import flag, integers, kernel

MAXIMA = (functional.max_pool1d, functional.max_pool2d, functional.max_pool3d)
MEANS = (functional.avg_pool1d, functional.avg_pool2d, functional.avg_pool3d)


@kernel("max_pool")
def _max_pool(
    x: torch.Tensor,
    kernel_sizes: Any,
    pad_type: str,
    strides: Any = None,
    pad: Any = None,
    ceil_mode: Any = None,
) -> torch.Tensor:
    """The largest number of each window."""
    sizes, steps, pairs, more = _window(x, kernel_sizes, strides, pad_type, pad, ceil_mode)
    everything = [
        (before, after + extra) for (before, after), extra in zip(pairs, more, strict=True)
    ]
    return MAXIMA[len(sizes) - 1](padded(x, everything, float("-inf")), sizes, steps)


@kernel("avg_pool")
def _avg_pool(
    x: torch.Tensor,
    kernel_sizes: Any,
    pad_type: str,
    strides: Any = None,
    pad: Any = None,
    ceil_mode: Any = None,
    exclude_padding_from_average: Any = None,
) -> torch.Tensor:
    """The mean of each window; what a window has beyond the padding never counts."""
    sizes, steps, pairs, more = _window(x, kernel_sizes, strides, pad_type, pad, ceil_mode)
    behind = [(0, extra) for extra in more]
    mean = MEANS[len(sizes) - 1]
    sums = mean(padded(padded(x, pairs), behind), sizes, steps)
    ones = torch.ones(1, 1, *x.shape[2:])
    counted = (
        padded(ones, pairs)
        if flag(exclude_padding_from_average, False)
        else padded(ones, pairs, 1.0)
    )
    shares = mean(padded(counted, behind), sizes, steps)
    return sums / shares


@kernel("l2_pool")
def _l2_pool(
    x: torch.Tensor,
    kernel_sizes: Any,
    pad_type: str,
    strides: Any = None,
    pad: Any = None,
    ceil_mode: Any = None,
) -> torch.Tensor:
    """The square root of the sum of each window's squares."""
    sizes, steps, pairs, more = _window(x, kernel_sizes, strides, pad_type, pad, ceil_mode)
    everything = [
        (before, after + extra) for (before, after), extra in zip(pairs, more, strict=True)
    ]
    count = torch.tensor(sizes).prod().item()
    return torch.sqrt(MEANS[len(sizes) - 1](padded(x * x, everything), sizes, steps) * count)


def _window(
    x: torch.Tensor,
    kernel_sizes: Any,
    strides: Any,
    pad_type: str,
    pad: Any,
    ceil_mode: Any,
) -> tuple[list[int], list[int], list[tuple[int, int]], list[int]]:
    """Return sizes and steps of a window, the padding, and what the last window reaches beyond
    it.
    """
    sizes = integers(kernel_sizes)
    steps = integers(strides, [1] * len(sizes))
    pairs = padding(pad_type, pad, x.shape[2:], sizes, steps)
    more = [0] * len(sizes)
    if flag(ceil_mode, False):
        for axis, (size, step, (before, after)) in enumerate(zip(sizes, steps, pairs, strict=True)):
            length = x.shape[axis + 2] + before + after
            count = -(-(length - size) // step) + 1
            # A window that begins behind the input is none.
            if (count - 1) * step >= x.shape[axis + 2] + before:
                count -= 1
            more[axis] = max(0, (count - 1) * step + size - length)
    return sizes, steps, pairs, more
