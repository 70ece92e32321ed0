"""Convolutions: MIL's `conv`.

Owns: their kernels, and the padding that a window has.
Must not: round results.
Flow: `kernels` imports this file, so that its kernels are declared; `pooling` shares the padding.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch.nn import functional

from coreml_driver.proof.kernels.registry import Unproved, integer, integers, kernel

CONVOLUTIONS = (functional.conv1d, functional.conv2d, functional.conv3d)
TRANSPOSED = (
    functional.conv_transpose1d,
    functional.conv_transpose2d,
    functional.conv_transpose3d,
)
#: Bits of a quantized weight that every writer stores one to a byte.
WHOLE_BYTE = 8


def padding(
    pad_type: str | None,
    pad: Any,
    sizes: Sequence[int],
    extents: Sequence[int],
    strides: Sequence[int],
) -> list[tuple[int, int]]:
    """Return how much is put before and behind each spatial dimension.

    Parameters: `sizes` — of the input; `extents` — of the window, gaps included.
    """
    if pad_type in (None, "valid"):
        return [(0, 0)] * len(sizes)
    if pad_type == "custom":
        flat = integers(pad, [0] * (2 * len(sizes)))
        return list(zip(flat[::2], flat[1::2], strict=True))
    if pad_type not in ("same", "same_lower"):
        raise Unproved(f"the pad_type `{pad_type}`")
    found = []
    for size, extent, stride in zip(sizes, extents, strides, strict=True):
        total = max(0, -(-size // stride) * stride - size + extent - stride)
        before = total - total // 2 if pad_type == "same_lower" else total // 2
        found.append((before, total - before))
    return found


def padded(x: torch.Tensor, pairs: Sequence[tuple[int, int]], value: float = 0.0) -> torch.Tensor:
    """Return `x` with its last dimensions padded."""
    if not any(size for pair in pairs for size in pair):
        return x
    flat = [size for pair in reversed(pairs) for size in pair]
    return functional.pad(x, flat, value=value)


def extents(sizes: Sequence[int], dilations: Sequence[int]) -> list[int]:
    """Return how much of an input a window spans."""
    return [(size - 1) * gap + 1 for size, gap in zip(sizes, dilations, strict=True)]


@kernel("conv")
def _conv(
    x: torch.Tensor,
    weight: torch.Tensor,
    bias: torch.Tensor | None = None,
    strides: Any = None,
    pad_type: str | None = None,
    pad: Any = None,
    dilations: Any = None,
    groups: Any = None,
) -> torch.Tensor:
    """A convolution over one to three dimensions."""
    spatial = weight.dim() - 2
    steps, gaps = integers(strides, [1] * spatial), integers(dilations, [1] * spatial)
    pairs = padding(pad_type, pad, x.shape[2:], extents(weight.shape[2:], gaps), steps)
    count = integer(groups, 1)
    compute = CONVOLUTIONS[spatial - 1]
    if all(before == after for before, after in pairs):
        even = [before for before, _ in pairs]
        return compute(x, weight, bias, steps, even, gaps, count)
    return compute(padded(x, pairs), weight, bias, steps, 0, gaps, count)


@kernel("conv_quantized")
def _conv_quantized(
    x: torch.Tensor,
    weight: torch.Tensor,
    quantization_type: str,
    quant_scale: torch.Tensor,
    quant_bias: torch.Tensor,
    nbits: Any = None,
    bias: torch.Tensor | None = None,
    **window: Any,
) -> torch.Tensor:
    """A convolution by `weight quant_scale + quant_bias`, each for all or for each output
    channel.
    """
    if quantization_type != "linear":
        raise Unproved(f"a quantization of the type `{quantization_type}`, which MIL leaves open")
    if integer(nbits, WHOLE_BYTE) != WHOLE_BYTE:
        raise Unproved(f"weights of {integer(nbits)} bits, whose layout MIL leaves open")
    rest = [1] * (weight.dim() - 1)
    scale = quant_scale.reshape(-1, *rest) if quant_scale.dim() == 1 else quant_scale
    shift = quant_bias.reshape(-1, *rest) if quant_bias.dim() == 1 else quant_bias
    own = None if bias is None else bias.to(torch.float32)
    return _conv(x, weight.to(torch.float32) * scale + shift, own, **window)


@kernel("conv_transpose")
def _conv_transpose(
    x: torch.Tensor,
    weight: torch.Tensor,
    bias: torch.Tensor | None = None,
    pad: Any = None,
    output_shape: Any = None,
    pad_type: str | None = None,
    strides: Any = None,
    dilations: Any = None,
    groups: Any = None,
) -> torch.Tensor:
    """A transposed convolution: everything is computed, then cut to the asked size."""
    spatial = weight.dim() - 2
    steps, gaps = integers(strides, [1] * spatial), integers(dilations, [1] * spatial)
    spans = extents(weight.shape[2:], gaps)
    cuts = [(0, 0)] * spatial
    if pad_type == "custom":
        flat = integers(pad, [0] * (2 * spatial))
        cuts = list(zip(flat[::2], flat[1::2], strict=True))
    elif pad_type == "same":
        excess = [max(0, span - step) for span, step in zip(spans, steps, strict=True)]
        cuts = [(one // 2, one - one // 2) for one in excess]
    elif pad_type not in (None, "valid"):
        raise Unproved(f"the pad_type `{pad_type}`")
    natural = [
        (size - 1) * step + span - before - after
        for size, step, span, (before, after) in zip(x.shape[2:], steps, spans, cuts, strict=True)
    ]
    wanted = natural
    if output_shape is not None:
        wanted = integers(output_shape)[2:]
    elif pad_type == "same":
        wanted = [size * step for size, step in zip(x.shape[2:], steps, strict=True)]
    full = TRANSPOSED[spatial - 1](x, weight, None, steps, 0, 0, integer(groups, 1), gaps)
    for axis, (size, (before, _)) in enumerate(zip(wanted, cuts, strict=True), start=2):
        missing = before + size - full.shape[axis]
        if missing > 0:
            pairs = [(0, missing if other == axis else 0) for other in range(2, full.dim())]
            full = padded(full, pairs)
        full = full.narrow(axis, before, size)
    return full if bias is None else full + bias.reshape(-1, *([1] * spatial))
