"""Orthogonal polynomials, by their recurrences.

Owns: the polynomials of Chebyshev, Hermite, Laguerre and Legendre in `torch.special`.
Must not: take a degree that only a run knows: the number of steps is part of the program.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from coreml_driver.translations.approximation import floats
from coreml_driver.translations.composition import composite, is_known, untraced
from coreml_driver.translations.refusals import CannotExpress

#: The largest degree: each one is a step of the program.
LARGEST_DEGREE = 100
#: The polynomial of degree k + 1 from those of degrees k and k - 1.
Step = Callable[[int, torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]
#: The polynomial of degree 1.
First = Callable[[torch.Tensor], torch.Tensor]


def _double(k: int, x: torch.Tensor, p: torch.Tensor, q: torch.Tensor) -> torch.Tensor:
    """The recurrence of all polynomials of Chebyshev."""
    return (x + x) * p - q


def _hermite(k: int, x: torch.Tensor, p: torch.Tensor, q: torch.Tensor) -> torch.Tensor:
    """The recurrence of the physicists' polynomials of Hermite."""
    return (x + x) * p - 2 * k * q


def _hermite_e(k: int, x: torch.Tensor, p: torch.Tensor, q: torch.Tensor) -> torch.Tensor:
    """The recurrence of the statisticians' polynomials of Hermite."""
    return x * p - k * q


def _laguerre(k: int, x: torch.Tensor, p: torch.Tensor, q: torch.Tensor) -> torch.Tensor:
    """The recurrence of the polynomials of Laguerre."""
    return ((2 * k + 1 - x) * p - k * q) / (k + 1)


def _legendre(k: int, x: torch.Tensor, p: torch.Tensor, q: torch.Tensor) -> torch.Tensor:
    """The recurrence of the polynomials of Legendre."""
    return ((2 * k + 1) * x * p - k * q) / (k + 1)


#: name -> degree 1, recurrence.
POLYNOMIALS: dict[str, tuple[First, Step]] = {
    "chebyshev_polynomial_t": (lambda x: x, _double),
    "chebyshev_polynomial_u": (lambda x: x + x, _double),
    "chebyshev_polynomial_v": (lambda x: x + x - 1, _double),
    "chebyshev_polynomial_w": (lambda x: x + x + 1, _double),
    "hermite_polynomial_h": (lambda x: x + x, _hermite),
    "hermite_polynomial_he": (lambda x: x, _hermite_e),
    "laguerre_polynomial_l": (lambda x: 1 - x, _laguerre),
    "legendre_polynomial_p": (lambda x: x, _legendre),
}


def _value(name: str, x: Any, n: Any, shifted: bool) -> torch.Tensor:
    """Return the polynomial of each degree in `n`, 0 where that is negative."""
    if not is_known(n) and not isinstance(n, (int, float)):
        raise CannotExpress(
            f"the degree of `{name}` is an input, and the number of steps depends on it",
            "Make the degree a constant.",
        )
    x = floats(x) if isinstance(x, torch.Tensor) else torch.tensor(float(x))
    if shifted:
        x = x + x - 1
    with untraced():
        degrees = torch.as_tensor(n).trunc().to(torch.int32)
        wanted = sorted({int(one) for one in degrees.flatten()})
    if wanted and wanted[-1] > LARGEST_DEGREE:
        raise CannotExpress(
            f"`{name}` of degree {wanted[-1]} would be a program of as many steps",
            f"Degrees up to {LARGEST_DEGREE} are translated.",
        )
    first, step = POLYNOMIALS[name]
    one = torch.ones_like(x)
    result = torch.zeros_like(x) + torch.zeros(degrees.shape)
    previous, current = one, first(x)
    for degree in range(wanted[-1] + 1 if wanted else 0):
        if degree in wanted:
            with untraced():
                mask = degrees == degree
            result = torch.where(mask, previous, result)
        previous, current = current, step(degree + 1, x, current, previous)
    return result


def _declare(name: str, shifted: bool) -> None:
    """Declare the translation of one family."""

    def polynomial(x: Any, n: Any) -> torch.Tensor:
        """Stand for the polynomial."""
        return _value(name, x, n, shifted)

    composite(f"special_{'shifted_' if shifted else ''}{name}")(polynomial)


for _name in POLYNOMIALS:
    _declare(_name, shifted=False)
    if _name.startswith("chebyshev"):
        _declare(_name, shifted=True)
