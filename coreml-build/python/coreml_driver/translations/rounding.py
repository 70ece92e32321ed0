"""What takes a number apart: its whole part, its sign, its exponent, its remainder.

Owns: `trunc`, `frac`, `fmod`, `copysign`, `signbit`, `frexp`, `ldexp`, `nextafter`, tests for
infinity, and functions of two numbers that mind them.
Must not: know integers bit by bit (that is `integers`).
"""

from __future__ import annotations

import math
from typing import Any

import torch

from coreml_driver.translations.approximation import INFINITY, NOT_A_NUMBER, floats
from coreml_driver.translations.composition import composite, untraced

#: Exponents of the smallest and of the largest number of single precision.
LEAST_EXPONENT, LARGEST_EXPONENT = -149, 127
#: Binary digits of a number of single precision.
DIGITS = 24
#: The exponent of the smallest number that has all of them.
LEAST_NORMAL = -126


def _tensor(x: Any) -> torch.Tensor:
    """Return a number as a tensor."""
    return x if isinstance(x, torch.Tensor) else torch.tensor(x)


@composite("trunc", "fix")
def truncate(self: torch.Tensor) -> torch.Tensor:
    """The whole part, towards zero."""
    if not self.is_floating_point():
        return self
    return torch.where(self < 0, torch.ceil(self), torch.floor(self))


@composite("frac", replaces=True, why="infinities")
def _frac(self: torch.Tensor) -> torch.Tensor:
    """What is left of the whole part."""
    return self - truncate(self)


@composite("fmod")
def _fmod(self: torch.Tensor, other: Any) -> torch.Tensor:
    """The remainder that has the sign of `self`."""
    other = _tensor(other)
    rest = torch.remainder(self.abs(), other.abs())
    return torch.where(self < 0, -rest, rest)


def is_negative(x: torch.Tensor) -> torch.Tensor:
    """Return whether the sign is negative, of zeros too."""
    if not x.is_floating_point():
        return x < 0
    zero = x == 0
    return torch.logical_or(x < 0, torch.logical_and(zero, 1 / x < 0))


@composite("signbit")
def _signbit(self: torch.Tensor) -> torch.Tensor:
    """Whether the sign is negative, of zeros too."""
    return is_negative(self)


@composite("copysign")
def _copysign(self: torch.Tensor, other: Any) -> torch.Tensor:
    """The size of one number with the sign of another."""
    size = floats(self).abs()
    return torch.where(is_negative(floats(_tensor(other))), -size, size)


@composite("sgn")
def _sgn(self: torch.Tensor) -> torch.Tensor:
    """The sign; a complex tensor has a rule of its own."""
    return torch.sign(self)


@composite("heaviside")
def _heaviside(self: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
    """0 below zero, 1 above, `values` at zero."""
    step = (self > 0).to(values.dtype)
    found = torch.where(self == 0, values, step)
    if self.is_floating_point():
        found = torch.where(torch.isnan(self), 0.0, found)
    return found


@composite("isinf")
def _isinf(self: torch.Tensor) -> torch.Tensor:
    """Whether a number is infinite."""
    return floats(self).abs() == INFINITY


@composite("isfinite")
def _isfinite(self: torch.Tensor) -> torch.Tensor:
    """Whether a number is finite."""
    return floats(self).abs() < INFINITY


@composite("isposinf")
def _isposinf(self: torch.Tensor) -> torch.Tensor:
    """Whether a number is plus infinity."""
    return floats(self) == INFINITY


@composite("isneginf")
def _isneginf(self: torch.Tensor) -> torch.Tensor:
    """Whether a number is minus infinity."""
    return floats(self) == -INFINITY


@composite("isreal")
def _isreal(self: torch.Tensor) -> torch.Tensor:
    """Whether a number is real: each one here."""
    return torch.ones_like(self, dtype=torch.bool)


@composite("isclose")
def _isclose(
    self: torch.Tensor,
    other: torch.Tensor,
    rtol: float = 1e-5,
    atol: float = 1e-8,
    equal_nan: bool = False,
) -> torch.Tensor:
    """Whether two numbers are nearly equal."""
    one, two = floats(self), floats(other)
    close = (one - two).abs() <= atol + rtol * two.abs()
    found = torch.logical_or(one == two, torch.logical_and(close, two.abs() < INFINITY))
    if equal_nan:
        found = torch.logical_or(found, torch.logical_and(torch.isnan(one), torch.isnan(two)))
    return found


@composite("fmax")
def _fmax(self: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
    """The larger number; what is no number does not count."""
    if not (self.is_floating_point() or other.is_floating_point()):
        return torch.maximum(self, other)
    one, two = torch.broadcast_tensors(floats(self), floats(other))
    larger = torch.where(one > two, one, two)
    return torch.where(torch.isnan(one), two, torch.where(torch.isnan(two), one, larger))


@composite("fmin")
def _fmin(self: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
    """The smaller number; what is no number does not count."""
    if not (self.is_floating_point() or other.is_floating_point()):
        return torch.minimum(self, other)
    return -_fmax(-floats(self), -floats(other))


@composite("hypot")
def _hypot(self: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
    """`sqrt(x² + y²)`, without an overflow of the squares."""
    one, two = torch.broadcast_tensors(self.abs(), other.abs())
    largest, least = torch.maximum(one, two), torch.minimum(one, two)
    ratio = least / torch.where(largest == 0, 1.0, largest)
    found = largest * torch.sqrt(1 + ratio * ratio)
    return torch.where(torch.logical_or(one == INFINITY, two == INFINITY), INFINITY, found)


@composite("logaddexp")
def _logaddexp(self: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
    """`log(exp(x) + exp(y))`."""
    one, two = torch.broadcast_tensors(floats(self), floats(other))
    larger = torch.maximum(one, two)
    found = larger + torch.log1p(torch.exp(-(one - two).abs()))
    return torch.where(torch.logical_and(one == two, one.abs() == INFINITY), one, found)


@composite("logaddexp2")
def _logaddexp2(self: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
    """`log2(2 ** x + 2 ** y)`."""
    one, two = torch.broadcast_tensors(floats(self), floats(other))
    larger = torch.maximum(one, two)
    ratio = torch.exp(-(one - two).abs() * math.log(2))
    found = larger + torch.log1p(ratio) * (1 / math.log(2))
    return torch.where(torch.logical_and(one == two, one.abs() == INFINITY), one, found)


def _powers_of_two() -> torch.Tensor:
    """Return all powers of two that single precision has."""
    with untraced():
        exponents = torch.arange(LEAST_EXPONENT, LARGEST_EXPONENT + 1, dtype=torch.float64)
        return torch.exp2(exponents).float()


def _power_of_two(exponent: torch.Tensor) -> torch.Tensor:
    """Return a power of two exactly, from a table."""
    index = exponent.clamp(LEAST_EXPONENT, LARGEST_EXPONENT) - LEAST_EXPONENT
    flat = torch.index_select(_powers_of_two(), 0, index.reshape(-1).to(torch.int32))
    return flat.reshape(exponent.shape)


def _exponent(size: torch.Tensor) -> torch.Tensor:
    """Return the whole part of the binary logarithm of a positive number, exactly."""
    guess = torch.floor(torch.log2(size.clamp(min=2.0**LEAST_NORMAL)))
    guess = guess.clamp(LEAST_NORMAL, LARGEST_EXPONENT)
    # The logarithm may be rounded to the next whole number.
    power = _power_of_two(guess)
    guess = torch.where(power > size, guess - 1, guess)
    return torch.where(size / power >= 2, guess + 1, guess)


@composite("frexp")
def _frexp(self: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """A number from 0.5 to 1, and the power of two that it is multiplied with."""
    size = self.abs()
    special = torch.logical_or(size == 0, torch.logical_not(size < INFINITY))
    exponent = _exponent(torch.where(special, 1.0, size))
    mantissa = self / _power_of_two(exponent) / 2
    return (
        torch.where(special, self, mantissa),
        torch.where(special, 0.0, exponent + 1).to(torch.int32),
    )


@composite("ldexp")
def _ldexp(self: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
    """`x · 2 ** y`, exactly for whole y that keep it in the normal range."""
    exponent = floats(other)
    whole = torch.floor(exponent)
    factor = _power_of_two(whole) * torch.exp2(exponent - whole)
    # Beyond the table the factor is what it is in PyTorch: infinite, or zero.
    factor = torch.where(whole > LARGEST_EXPONENT, INFINITY, factor)
    factor = torch.where(whole < LEAST_EXPONENT, 0.0, factor)
    return self * factor


@composite("nextafter")
def _nextafter(self: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
    """The next number of single precision, on the way to another one; numbers below 1.2e-38 count
    as zero there.
    """
    one, two = torch.broadcast_tensors(self, other)
    size = one.abs()
    exponent = _exponent(torch.where(size < INFINITY, size, 1.0).clamp(min=2.0**LEAST_NORMAL))
    step = _power_of_two((exponent - (DIGITS - 1)).clamp(min=LEAST_EXPONENT))
    power = _power_of_two(exponent)
    away = torch.logical_or(size == 0, (two > one) == (one > 0))
    # Below a power of two the numbers lie twice as close.
    smaller = torch.where(torch.logical_and(size == power, exponent > LEAST_NORMAL), step / 2, step)
    grown = size + torch.where(away, step, -smaller)
    sign = torch.where(torch.logical_or(one > 0, torch.logical_and(one == 0, two > one)), 1.0, -1.0)
    found = sign * grown
    largest = torch.tensor(torch.finfo(torch.float32).max)
    found = torch.where(size == INFINITY, sign * largest, found)
    found = torch.where(one == two, two, found)
    return torch.where(torch.logical_or(torch.isnan(one), torch.isnan(two)), NOT_A_NUMBER, found)


@composite("deg2rad")
def _deg2rad(self: torch.Tensor) -> torch.Tensor:
    """Degrees as radians."""
    return floats(self) * (math.pi / 180)


@composite("rad2deg")
def _rad2deg(self: torch.Tensor) -> torch.Tensor:
    """Radians as degrees."""
    return floats(self) * (180 / math.pi)


@composite("angle")
def _angle(self: torch.Tensor) -> torch.Tensor:
    """π for negative numbers, 0 for others; a complex tensor has a rule of its own."""
    x = floats(self)
    return torch.where(x < 0, math.pi, torch.where(torch.isnan(x), x, 0.0))


@composite("float_power")
def _float_power(self: Any, exponent: Any) -> torch.Tensor:
    """A power, in floating-point numbers."""
    return torch.pow(floats(_tensor(self)), floats(_tensor(exponent)))
