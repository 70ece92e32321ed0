"""When a result counts as PyTorch's.

Owns: the tolerances, and what a difference is.
Must not: run anything; the noise that it is given was measured by `noise`.
Flow: `prove` compares each output of an execution with PyTorch's -> a `Difference` or `None`.

An execution in single precision has to agree with PyTorch to the last bits, give or take what
another order of summation does. What is further away is compared with the noise of the network
itself: how far PyTorch's own result moves when every operation rounds a little differently. Where a
difference is beyond that too, the program computes something else.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

#: How far a value may be from PyTorch's without a question, relative to itself and to the largest
#: value of the output: float32 has 7 digits, and long sums lose one or two of them.
RELATIVE = 2e-5
ABSOLUTE = 4e-6
#: How often the network's own noise a difference may be. The noise is taken from a few runs, and
#: the program rounds in other places than PyTorch.
NOISE_FACTOR = 16.0
#: How far the values of an output move that are not known at all, relative to the largest one.
UNCERTAIN = 0.1


@dataclass(frozen=True)
class Difference:
    """Where an execution leaves PyTorch's values, and by how much."""

    #: The element that is furthest away; empty for a difference of shapes.
    at: tuple[int, ...]
    expected: Any
    got: Any
    #: How many elements differ, and of how many.
    count: int = 1
    elements: int = 1

    def __str__(self) -> str:
        """Return it as messages spell it."""
        if not self.at:
            return f"{self.got} instead of {self.expected}"
        more = f" ({self.count} of {self.elements} elements differ)" if self.elements > 1 else ""
        return f"{shown(self.got)} at {list(self.at)} instead of {shown(self.expected)}{more}"


def shown(value: Any) -> str:
    """Return a number with as many digits as tell it from its neighbours."""
    return f"{value:.7g}" if isinstance(value, float) else str(value)


@dataclass(frozen=True)
class Noise:
    """How far PyTorch's own values move, element by element."""

    #: The largest distance of each element.
    spread: torch.Tensor
    #: Smallest and largest value of each element.
    low: torch.Tensor
    high: torch.Tensor


def difference(
    expected: torch.Tensor,
    got: torch.Tensor,
    noise: Noise | None = None,
    *,
    where_finite: bool = False,
    relative: float = RELATIVE,
    absolute: float = ABSOLUTE,
) -> Difference | None:
    """Compare one output.

    Parameters: `noise` — of this output, where it was measured; `where_finite` — leave out elements
    that are not finite in PyTorch.
    Returns: the element that is furthest away, or `None`.
    """
    if expected.shape != got.shape:
        return Difference((), f"shape {list(expected.shape)}", f"shape {list(got.shape)}")
    if expected.numel() == 0:
        return None
    integers = not expected.is_floating_point()
    one, other = expected.to(torch.float64), got.to(torch.float64)
    same = (one == other) | (one.isnan() & other.isnan())
    finite = one.isfinite()
    if where_finite:
        same |= ~finite
    if bool(same.all()):
        return None
    apart = torch.where(same, torch.zeros_like(one), (one - other).abs())
    apart = apart.nan_to_num(nan=float("inf"), posinf=float("inf"))
    allowed = torch.zeros_like(one)
    if not integers:
        scale = float(one[finite].abs().max()) if bool(finite.any()) else 0.0
        allowed = torch.where(finite, relative * one.abs(), 0.0) + absolute * scale
    if noise is not None:
        moved = noise.spread.to(torch.float64)
        typical = float(moved[finite].square().mean().sqrt()) if bool(finite.any()) else 0.0
        if integers:
            # Another value that PyTorch itself gives for one of nearly equal numbers.
            inside = (other >= noise.low) & (other <= noise.high)
            allowed = torch.where(inside & (moved > 0), float("inf"), allowed)
        else:
            allowed = allowed + NOISE_FACTOR * (moved + typical)
            allowed = allowed.nan_to_num(nan=float("inf"))
            if where_finite and typical >= UNCERTAIN * scale > 0:
                return None  # no digit is certain: an edge at which a matrix has no inverse
    wrong = apart > allowed
    if not bool(wrong.any()):
        return None
    worst = int((torch.where(wrong, apart - allowed, -1.0)).argmax())
    at = tuple(int(place) for place in torch.unravel_index(torch.tensor(worst), one.shape))
    kind = int if integers else float
    return Difference(
        at,
        kind(one.reshape(-1)[worst]),
        kind(other.reshape(-1)[worst])
        if bool(other.reshape(-1)[worst].isfinite())
        else float(other.reshape(-1)[worst]),
        int(wrong.sum()),
        one.numel(),
    )


def relative_distance(expected: torch.Tensor, got: torch.Tensor) -> float:
    """Return the largest difference of what is finite on both sides, relative to the largest
    value.
    """
    both = expected.isfinite() & got.isfinite()
    if not bool(both.any()):
        return 0.0
    one, other = expected[both].to(torch.float64), got[both].to(torch.float64)
    scale = float(one.abs().max())
    return float((one - other).abs().max()) / scale if scale else 0.0


def decibels(expected: torch.Tensor, got: torch.Tensor) -> float:
    """Return the peak signal-to-noise ratio as parity tests compute it, over what is finite on both
    sides.
    """
    one, other = expected.to(torch.float64), got.to(torch.float64)
    both = one.isfinite() & other.isfinite()
    squares = float((one[both] - other[both]).square().sum())
    if squares == 0:
        return float("inf")
    peak = max(float(one[both].abs().max()), SMALLEST_PEAK)
    return float(10 * torch.log10(torch.tensor(peak**2 * int(both.sum()) / squares)))


#: The smallest normal number of half precision: `SMALLEST_PEAK` of
#: `coreml-rt/src/parity/figures.rs`.
SMALLEST_PEAK = 2.0**-14
