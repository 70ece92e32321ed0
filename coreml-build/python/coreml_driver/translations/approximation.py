"""Polynomials that stand for functions which MIL lacks.

The polynomials are fitted when a model is converted, to PyTorch's own function in double precision:
so no table of coefficients can be wrong, and the error is that of the fit, which the tests measure.

Owns: the fit, and its evaluation.
Must not: know a function.
Flow: `special` and `bessel` fit at their first use -> evaluate in a trace.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence

import torch

from coreml_driver.translations.composition import untraced

#: A function of double precision.
Function = Callable[[torch.Tensor], torch.Tensor]
INFINITY = torch.tensor(math.inf)
NOT_A_NUMBER = torch.tensor(math.nan)


@functools.cache
def fit(function: Function, low: float, high: float, degree: int) -> tuple[float, ...]:
    """Return the coefficients, the highest first, of a polynomial in `(2 x - low - high) / (high -
    low)` that interpolates `function` in the nodes of Chebyshev, where the error is nearly the
    least possible.
    """
    with untraced():
        count = degree + 1
        angle = (torch.arange(count, dtype=torch.float64) + 0.5) * (math.pi / count)
        nodes = torch.cos(angle)
        values = function((nodes * (high - low) + (high + low)) / 2)
        powers = torch.linalg.solve(torch.linalg.vander(nodes), values)
        return tuple(powers.flip(0).tolist())


def horner(t: torch.Tensor, coefficients: Sequence[float]) -> torch.Tensor:
    """Return the value of a polynomial. Parameters: `coefficients` — the highest first."""
    first, *others = coefficients
    result: torch.Tensor | float = first
    for coefficient in others:
        result = result * t + coefficient
    return result if isinstance(result, torch.Tensor) else torch.full_like(t, result)


def evaluate(
    x: torch.Tensor, function: Function, low: float, high: float, degree: int
) -> torch.Tensor:
    """Return an approximation of `function(x)` for `x` between `low` and `high`; outside it is the
    value at the nearer end.
    """
    t = (x.clamp(low, high) - (high + low) / 2) * (2 / (high - low))
    return horner(t, fit(function, low, high, degree))


def floats(x: torch.Tensor) -> torch.Tensor:
    """Return integers and booleans as floats, as PyTorch promotes them for a function of reals."""
    return x if x.is_floating_point() else x.float()
