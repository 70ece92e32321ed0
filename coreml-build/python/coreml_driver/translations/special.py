"""Functions of probability and of the gamma family.

Owns: `erfc`, `erfcx`, `erfinv`, `ndtri`, `log_ndtr`, `lgamma`, `digamma`, `polygamma`, and
what is made of them.
Must not: know Bessel functions (that is `bessel`).

The errors are relative to the value, in single precision, measured by `test_translations_special`:
2e-6 for all of them but near the zeros of `lgamma` and `digamma` of negative numbers, where they
are 2e-6 of the neighbouring extrema, and for `polygamma`, 1e-5.
"""

from __future__ import annotations

import math
from typing import Any

import torch

from coreml_driver.translations.approximation import (
    INFINITY,
    NOT_A_NUMBER,
    evaluate,
    floats,
    horner,
)
from coreml_driver.translations.composition import composite
from coreml_driver.translations.refusals import CannotExpress

#: Where `erfc` begins to be computed from `erfcx`.
ERFC_SPLIT = 0.5
#: Numbers of Bernoulli B2, B4, … for the series of Stirling, Euler and Maclaurin.
BERNOULLI = (1 / 6, -1 / 30, 1 / 42, -1 / 30, 5 / 66, -691 / 2730, 7 / 6)
#: How many steps the argument of a gamma function is moved up before its series.
SHIFT = 8
#: The largest order of `polygamma`: beyond it factorials leave single precision.
LARGEST_ORDER = 12


def _erfcx_of(u: torch.Tensor) -> torch.Tensor:
    """`erfcx(x) / u` for `u = 4 / (x + 4)`."""
    return torch.special.erfcx(4 / u - 4) / u


@composite("special_erfcx")
def _erfcx(self: torch.Tensor) -> torch.Tensor:
    """`exp(x²) erfc(x)`."""
    x = floats(self)
    u = 4 / (x.abs() + 4)
    positive = u * evaluate(u, _erfcx_of, 1e-30, 1.0, 18)
    return torch.where(x < 0, 2 * torch.exp(x * x) - positive, positive)


@composite("erfc", "special_erfc")
def _erfc(self: torch.Tensor) -> torch.Tensor:
    """`1 - erf(x)`, with its digits for large x."""
    x = floats(self)
    size = x.abs()
    tail = _erfcx(size) * torch.exp(-size * size)
    return torch.where(size < ERFC_SPLIT, 1 - torch.erf(x), torch.where(x < 0, 2 - tail, tail))


def _quantile_of_logarithm(w: torch.Tensor) -> torch.Tensor:
    """`erfinv(x) / x` for `w = -log(1 - x²)`."""
    rest = torch.exp(-w)
    x = torch.sqrt(-torch.expm1(-w))
    return -torch.special.ndtri(rest / (2 * (1 + x))) / math.sqrt(2) / x


def _quantile_of_root(s: torch.Tensor) -> torch.Tensor:
    """`erfinv(x) / x` for `s = sqrt(-log(1 - x²))`."""
    return _quantile_of_logarithm(s * s)


def _quantile(x: torch.Tensor, rest: torch.Tensor) -> torch.Tensor:
    """`erfinv(x)`. Parameters: `rest` — `1 - x²`, which has more digits than `x` where that is
    nearly one.
    """
    w = -torch.log(rest)
    s = torch.sqrt(w.clamp(min=0.0))
    near = evaluate(w, _quantile_of_logarithm, 1e-6, 6.25, 12)
    middle = evaluate(s, _quantile_of_root, 2.5, 4.5, 9)
    far = evaluate(s, _quantile_of_root, 4.5, 9.5, 9)
    found = x * torch.where(w < 6.25, near, torch.where(s < 4.5, middle, far))
    at_end = torch.where(x > 0, INFINITY, -INFINITY)
    return torch.where(rest > 0, found, torch.where(rest == 0, at_end, NOT_A_NUMBER))


@composite("erfinv", "special_erfinv")
def _erfinv(self: torch.Tensor) -> torch.Tensor:
    """The inverse of `erf`."""
    x = floats(self)
    return _quantile(x, (1 - x) * (1 + x))


@composite("special_ndtri")
def _ndtri(self: torch.Tensor) -> torch.Tensor:
    """The quantile of the normal distribution."""
    p = floats(self)
    return math.sqrt(2) * _quantile(2 * p - 1, 4 * p * (1 - p))


@composite("special_ndtr")
def _ndtr(self: torch.Tensor) -> torch.Tensor:
    """The normal distribution."""
    return 0.5 * _erfc(floats(self) * -math.sqrt(0.5))


@composite("special_log_ndtr")
def _log_ndtr(self: torch.Tensor) -> torch.Tensor:
    """The logarithm of the normal distribution."""
    x = floats(self)
    scaled = x * math.sqrt(0.5)
    low = torch.log(_erfcx(-torch.minimum(scaled, torch.zeros_like(scaled))) / 2) - scaled * scaled
    return torch.where(x < -1, low, torch.log1p(-_erfc(scaled) / 2))


def _lgamma_near_one(x: torch.Tensor) -> torch.Tensor:
    """`lgamma(x) / ((x - 1) (x - 2))`."""
    return torch.lgamma(x) / ((x - 1) * (x - 2))


def _sine_of_turns(x: torch.Tensor) -> torch.Tensor:
    """`|sin(π x)|`, with its digits near whole numbers."""
    return torch.sin(math.pi * (x - torch.round(x))).abs()


@composite("lgamma", "special_gammaln")
def _lgamma(self: torch.Tensor) -> torch.Tensor:
    """The logarithm of the absolute value of the gamma function."""
    x = floats(self)
    small = x < 0.5
    y = torch.where(small, 1 - x, x)
    near = (y - 1) * (y - 2) * evaluate(y, _lgamma_near_one, 0.5, 3.5, 15)
    inverse = 1 / y
    square = inverse * inverse
    rest = inverse * horner(square, (1 / 1260, -1 / 360, 1 / 12))
    far = (y - 0.5) * torch.log(y) - y + (0.5 * math.log(2 * math.pi) + rest)
    found = torch.where(y < 3.5, near, far)
    reflected = torch.log(math.pi / _sine_of_turns(x)) - found
    result = torch.where(small, reflected, found)
    return torch.where(torch.isinf(x), INFINITY, result)


@composite("mvlgamma", "special_multigammaln")
def _mvlgamma(self: torch.Tensor, p: int) -> torch.Tensor:
    """The logarithm of the gamma function of several dimensions."""
    x = floats(self)
    result = torch.full_like(x, p * (p - 1) / 4 * math.log(math.pi))
    for step in range(p):
        result = result + _lgamma(x - step / 2)
    return result


def _powers(x: torch.Tensor, first: int) -> list[torch.Tensor]:
    """Return `(x + k) ** -first` for the steps that an argument is moved up."""
    return [(x + step) ** -first for step in range(SHIFT)]


@composite("digamma", "special_digamma", "special_psi")
def _digamma(self: torch.Tensor) -> torch.Tensor:
    """The derivative of `lgamma`."""
    x = floats(self)
    small = x <= 0
    y = torch.where(small, 1 - x, x)
    moved = y + SHIFT
    inverse = 1 / moved
    square = inverse * inverse
    series = torch.log(moved) - inverse / 2 - square * horner(square, (1 / 252, -1 / 120, 1 / 12))
    found = series - sum(_powers(y, 1))
    angle = math.pi * (x - torch.round(x))
    reflected = found - math.pi * torch.cos(angle) / torch.sin(angle)
    whole = torch.logical_and(small, x == torch.round(x))
    at_pole = torch.where(x == 0, -INFINITY, NOT_A_NUMBER)
    return torch.where(whole, at_pole, torch.where(small, reflected, found))


@composite("polygamma", "special_polygamma")
def _polygamma(n: int, self: torch.Tensor) -> torch.Tensor:
    """The derivative of order `n` of `digamma`."""
    if n == 0:
        return _digamma(self)
    if n > LARGEST_ORDER:
        raise CannotExpress(
            f"`polygamma` of order {n} leaves single precision",
            f"Orders up to {LARGEST_ORDER} are translated.",
        )
    x = floats(self)
    small = x < 0.5
    found = _polygamma_of_positive(n, torch.where(small, 1 - x, x))
    # ψn(x) = (-1)^n ψn(1 - x) - π dⁿ cot(π x) / dxⁿ, the derivative as a polynomial in cot.
    coefficients = [0.0, math.pi]
    for _ in range(n):
        derivative = [power * one for power, one in enumerate(coefficients)][1:]
        coefficients = [
            -math.pi * ((derivative + [0.0] * 2)[k] + ([0.0] * 2 + derivative)[k])
            for k in range(len(derivative) + 2)
        ]
    angle = math.pi * (x - torch.round(x))
    cotangent = torch.cos(angle) / torch.sin(angle)
    sign = -1.0 if n % 2 else 1.0
    reflected = sign * found - horner(cotangent, coefficients[::-1])
    pole = torch.logical_and(small, x == torch.round(x))
    return torch.where(pole, INFINITY, torch.where(small, reflected, found))


def _polygamma_of_positive(n: int, x: torch.Tensor) -> torch.Tensor:
    """The series of Euler and Maclaurin, after moving the argument up."""
    moved = x + SHIFT
    inverse = 1 / moved
    terms = [
        number * math.factorial(2 * k + n - 1) / math.factorial(2 * k)
        for k, number in enumerate(BERNOULLI, start=1)
    ]
    square = inverse * inverse
    series = (
        math.factorial(n - 1)
        + math.factorial(n) / 2 * inverse
        + square * horner(square, terms[::-1])
    ) * inverse**n
    total = series + math.factorial(n) * sum(_powers(x, n + 1))
    return total if n % 2 else -total


@composite("special_entr")
def _entr(self: torch.Tensor) -> torch.Tensor:
    """`-x log x`, 0 at 0, and minus infinity below."""
    x = floats(self)
    found = -x * torch.log(torch.where(x > 0, x, torch.ones_like(x)))
    return torch.where(x >= 0, found, torch.where(x < 0, -INFINITY, x))


@composite("xlogy", "special_xlogy")
def _xlogy(self: Any, other: Any) -> torch.Tensor:
    """`x log y`, 0 where x is 0."""
    x, y = _two_floats(self, other)
    product = x * torch.log(torch.where(x == 0, 1.0, y))
    return torch.where(torch.isnan(y), NOT_A_NUMBER, torch.where(x == 0, 0.0, product))


@composite("special_xlog1py")
def _xlog1py(self: Any, other: Any) -> torch.Tensor:
    """`x log(1 + y)`, 0 where x is 0."""
    x, y = _two_floats(self, other)
    product = x * torch.log1p(torch.where(x == 0, 0.0, y))
    return torch.where(torch.isnan(y), NOT_A_NUMBER, torch.where(x == 0, 0.0, product))


def _two_floats(one: Any, other: Any) -> tuple[torch.Tensor, torch.Tensor]:
    """Return two operands as floats; one of them may be a number."""
    return tuple(  # type: ignore[return-value]
        floats(x) if isinstance(x, torch.Tensor) else torch.tensor(float(x)) for x in (one, other)
    )


@composite("sinc", "special_sinc")
def _sinc(self: torch.Tensor) -> torch.Tensor:
    """`sin(π x) / (π x)`, 1 at 0."""
    x = floats(self) * math.pi
    return torch.where(x == 0, 1.0, torch.sin(x) / torch.where(x == 0, 1.0, x))


@composite("logit", "special_logit")
def _logit(self: torch.Tensor, eps: float | None = None) -> torch.Tensor:
    """`log(x / (1 - x))`, with x kept `eps` away from 0 and 1."""
    x = floats(self)
    if eps is not None:
        x = x.clamp(eps, 1 - eps)
    inside = torch.log(x / (1 - x))
    outside = torch.logical_or(x < 0, x > 1)
    return torch.where(outside, NOT_A_NUMBER, inside)
