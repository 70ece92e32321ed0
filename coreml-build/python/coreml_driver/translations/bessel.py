"""Bessel functions, and Airy's.

Owns: the functions of the first and second kind of orders 0 and 1, the modified ones, `i0`, `i1`
and their scaled forms, the spherical one of order 0, and `airy_ai`.

Up to `SPLIT` a function is a polynomial, beside a logarithm where it has one; beyond it an
oscillation, or an exponential, times a polynomial in 1 / x. The errors are 1e-6 of the largest
value around the argument, measured by `test_translations_special`; a large argument of an
oscillating function loses the digits that its own rounding loses in PyTorch, too.
"""

from __future__ import annotations

import math

import torch

from coreml_driver.translations.approximation import (
    INFINITY,
    NOT_A_NUMBER,
    Function,
    evaluate,
    floats,
    horner,
)
from coreml_driver.translations.composition import composite

#: Where the polynomial ends and the form for large arguments begins.
SPLIT = 8.0
#: The same for the modified functions of the second kind.
SPLIT_K = 2.0
#: The same for Airy's function: below 0, and above.
SPLIT_AIRY = (-5.0, 2.0)
#: Terms of its series for large negative arguments.
AIRY_TERMS = 6
J = (torch.special.bessel_j0, torch.special.bessel_j1)
Y = (torch.special.bessel_y0, torch.special.bessel_y1)


def _oscillation(order: int) -> tuple[Function, Function]:
    """Return the factors of cosine and sine in `sqrt(π x / 2) J(x)` as functions of `8 / x`."""

    def factors(u: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        x = SPLIT / u
        angle = x - math.pi * (2 * order + 1) / 4
        scale = torch.sqrt(x * (math.pi / 2))
        j, y = J[order](x) * scale, Y[order](x) * scale
        cosine, sine = torch.cos(angle), torch.sin(angle)
        return j * cosine + y * sine, (y * cosine - j * sine) / u

    return lambda u: factors(u)[0], lambda u: factors(u)[1]


OSCILLATIONS = [_oscillation(0), _oscillation(1)]


def _far(x: torch.Tensor, order: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return J and Y for arguments above `SPLIT`."""
    x = x.clamp(min=SPLIT)
    u = SPLIT / x
    p = evaluate(u, OSCILLATIONS[order][0], 0.01, 1.0, 8)
    q = u * evaluate(u, OSCILLATIONS[order][1], 0.01, 1.0, 8)
    angle = x - math.pi * (2 * order + 1) / 4
    cosine, sine = torch.cos(angle), torch.sin(angle)
    scale = torch.sqrt(2 / (math.pi * x))
    return scale * (p * cosine - q * sine), scale * (p * sine + q * cosine)


def _j0_of_square(square: torch.Tensor) -> torch.Tensor:
    """J0 as a function of the square of its argument."""
    return J[0](torch.sqrt(square))


def _j1_of_square(square: torch.Tensor) -> torch.Tensor:
    """`J1(x) / x` as a function of the square of x."""
    x = torch.sqrt(square)
    return J[1](x) / x


def _near(x: torch.Tensor, order: int) -> torch.Tensor:
    """Return J for arguments up to `SPLIT`."""
    square = x * x
    if order == 0:
        return evaluate(square, _j0_of_square, 0.0, SPLIT**2, 16)
    return x * evaluate(square, _j1_of_square, 1e-12, SPLIT**2, 16)


@composite("special_bessel_j0")
def _j0(self: torch.Tensor) -> torch.Tensor:
    """J0."""
    x = floats(self).abs()
    return torch.where(x <= SPLIT, _near(x, 0), _far(x, 0)[0])


@composite("special_bessel_j1")
def _j1(self: torch.Tensor) -> torch.Tensor:
    """J1."""
    x = floats(self)
    size = x.abs()
    return torch.where(size <= SPLIT, _near(x, 1), torch.sign(x) * _far(size, 1)[0])


def _y0_of_square(square: torch.Tensor) -> torch.Tensor:
    """Y0 without its logarithm."""
    x = torch.sqrt(square)
    return Y[0](x) - 2 / math.pi * torch.log(x / 2) * J[0](x)


def _y1_of_square(square: torch.Tensor) -> torch.Tensor:
    """Y1 without its logarithm and its pole, over x."""
    x = torch.sqrt(square)
    return (Y[1](x) - 2 / math.pi * (torch.log(x / 2) * J[1](x) - 1 / x)) / x


def _with_ends(x: torch.Tensor, found: torch.Tensor, at_zero: torch.Tensor) -> torch.Tensor:
    """Return a function that has a pole at 0 and is no number below."""
    return torch.where(x > 0, found, torch.where(x == 0, at_zero, NOT_A_NUMBER))


@composite("special_bessel_y0")
def _y0(self: torch.Tensor) -> torch.Tensor:
    """Y0."""
    x = floats(self)
    rest = evaluate(x * x, _y0_of_square, 1e-4, SPLIT**2, 16)
    near = 2 / math.pi * torch.log(x / 2) * _near(x, 0) + rest
    return _with_ends(x, torch.where(x <= SPLIT, near, _far(x, 0)[1]), -INFINITY)


@composite("special_bessel_y1")
def _y1(self: torch.Tensor) -> torch.Tensor:
    """Y1."""
    x = floats(self)
    rest = x * evaluate(x * x, _y1_of_square, 1e-4, SPLIT**2, 16)
    near = 2 / math.pi * (torch.log(x / 2) * _near(x, 1) - 1 / x) + rest
    return _with_ends(x, torch.where(x <= SPLIT, near, _far(x, 1)[1]), -INFINITY)


def _i1e_over_x(x: torch.Tensor) -> torch.Tensor:
    """The scaled I1 over its argument."""
    return torch.special.i1e(x) / x


def _i0e_far(u: torch.Tensor) -> torch.Tensor:
    """`sqrt(x)` times the scaled I0, as a function of `8 / x`."""
    x = SPLIT / u
    return torch.special.i0e(x) * torch.sqrt(x)


def _i1e_far(u: torch.Tensor) -> torch.Tensor:
    """`sqrt(x)` times the scaled I1, as a function of `8 / x`."""
    x = SPLIT / u
    return torch.special.i1e(x) * torch.sqrt(x)


def _beyond(size: torch.Tensor, function: Function) -> torch.Tensor:
    """Return a scaled modified function for arguments above `SPLIT`."""
    x = size.clamp(min=SPLIT)
    return evaluate(SPLIT / x, function, 1e-6, 1.0, 9) / torch.sqrt(x)


@composite("special_i0e")
def _i0e(self: torch.Tensor) -> torch.Tensor:
    """`exp(-|x|) I0(x)`."""
    x = floats(self).abs()
    near = evaluate(x, torch.special.i0e, 0.0, SPLIT, 20)
    return torch.where(x <= SPLIT, near, _beyond(x, _i0e_far))


@composite("special_i1e")
def _i1e(self: torch.Tensor) -> torch.Tensor:
    """`exp(-|x|) I1(x)`."""
    x = floats(self)
    size = x.abs()
    near = x * evaluate(size, _i1e_over_x, 1e-9, SPLIT, 20)
    return torch.where(size <= SPLIT, near, torch.sign(x) * _beyond(size, _i1e_far))


@composite("i0", "special_i0", "special_modified_bessel_i0")
def _i0(self: torch.Tensor) -> torch.Tensor:
    """I0."""
    x = floats(self)
    return _i0e(x) * torch.exp(x.abs())


@composite("special_i1", "special_modified_bessel_i1")
def _i1(self: torch.Tensor) -> torch.Tensor:
    """I1."""
    x = floats(self)
    return _i1e(x) * torch.exp(x.abs())


def _k0_of_square(square: torch.Tensor) -> torch.Tensor:
    """K0 without its logarithm."""
    x = torch.sqrt(square)
    return torch.special.modified_bessel_k0(x) + torch.log(x / 2) * torch.special.i0(x)


def _k1_of_square(square: torch.Tensor) -> torch.Tensor:
    """K1 without its logarithm and its pole, over x."""
    x = torch.sqrt(square)
    singular = torch.log(x / 2) * torch.special.i1(x) + 1 / x
    return (torch.special.modified_bessel_k1(x) - singular) / x


def _k0e_far(u: torch.Tensor) -> torch.Tensor:
    """`sqrt(x)` times the scaled K0, as a function of `2 / x`."""
    x = SPLIT_K / u
    return torch.special.scaled_modified_bessel_k0(x) * torch.sqrt(x)


def _k1e_far(u: torch.Tensor) -> torch.Tensor:
    """`sqrt(x)` times the scaled K1, as a function of `2 / x`."""
    x = SPLIT_K / u
    return torch.special.scaled_modified_bessel_k1(x) * torch.sqrt(x)


def _k(x: torch.Tensor, near: torch.Tensor, far: Function, scaled: bool) -> torch.Tensor:
    """Return a modified function of the second kind from its two forms."""
    y = x.clamp(min=SPLIT_K)
    beyond = evaluate(SPLIT_K / y, far, 1e-4, 1.0, 14) / torch.sqrt(y)
    if scaled:
        return _with_ends(x, torch.where(x <= SPLIT_K, near * torch.exp(x), beyond), INFINITY)
    return _with_ends(x, torch.where(x <= SPLIT_K, near, beyond * torch.exp(-y)), INFINITY)


def _k0_near(x: torch.Tensor) -> torch.Tensor:
    """K0 for small arguments."""
    return evaluate(x * x, _k0_of_square, 1e-8, SPLIT_K**2, 8) - torch.log(x / 2) * _i0(x)


def _k1_near(x: torch.Tensor) -> torch.Tensor:
    """K1 for small arguments."""
    rest = evaluate(x * x, _k1_of_square, 1e-4, SPLIT_K**2, 8)
    return 1 / x + torch.log(x / 2) * _i1(x) + x * rest


@composite("special_modified_bessel_k0")
def _k0(self: torch.Tensor) -> torch.Tensor:
    """K0."""
    x = floats(self)
    return _k(x, _k0_near(x), _k0e_far, scaled=False)


@composite("special_modified_bessel_k1")
def _k1(self: torch.Tensor) -> torch.Tensor:
    """K1."""
    x = floats(self)
    return _k(x, _k1_near(x), _k1e_far, scaled=False)


@composite("special_scaled_modified_bessel_k0")
def _k0e(x: torch.Tensor) -> torch.Tensor:
    """`exp(x) K0(x)`."""
    x = floats(x)
    return _k(x, _k0_near(x), _k0e_far, scaled=True)


@composite("special_scaled_modified_bessel_k1")
def _k1e(x: torch.Tensor) -> torch.Tensor:
    """`exp(x) K1(x)`."""
    x = floats(x)
    return _k(x, _k1_near(x), _k1e_far, scaled=True)


@composite("special_spherical_bessel_j0")
def _spherical_j0(x: torch.Tensor) -> torch.Tensor:
    """`sin(x) / x`, 1 at 0."""
    x = floats(x)
    return torch.where(x == 0, 1.0, torch.sin(x) / torch.where(x == 0, 1.0, x))


def _airy_far(u: torch.Tensor) -> torch.Tensor:
    """Ai without its exponential and its power, as a function of `1 / ζ`, `ζ = 2/3 x^(3/2)`."""
    zeta = 1 / u
    x = (1.5 * zeta) ** (2 / 3)
    return torch.special.airy_ai(x) * torch.exp(zeta) * x**0.25


def _airy_coefficients() -> list[float]:
    """Return the numbers of the series of Ai for large arguments."""
    gamma = math.gamma
    return [
        gamma(3 * k + 0.5) / (54**k * math.factorial(k) * gamma(k + 0.5))
        for k in range(2 * AIRY_TERMS)
    ]


@composite("special_airy_ai")
def _airy_ai(x: torch.Tensor) -> torch.Tensor:
    """Ai."""
    x = floats(x)
    low, high = SPLIT_AIRY
    near = evaluate(x, torch.special.airy_ai, low, high, 22)
    above = x.clamp(min=high)
    zeta = 2 / 3 * above * torch.sqrt(above)
    smallest = 1e-3
    far = evaluate(1 / zeta, _airy_far, smallest, 1.5 / high**1.5, 10)
    far = far * torch.exp(-zeta) / torch.sqrt(torch.sqrt(above))
    below = (-x).clamp(min=-low)
    zeta = 2 / 3 * below * torch.sqrt(below)
    u = 1 / zeta
    numbers = [one * (-1) ** (k // 2) for k, one in enumerate(_airy_coefficients())]
    angle = zeta - math.pi / 4
    square = u * u
    even, odd = horner(square, numbers[::2][::-1]), u * horner(square, numbers[1::2][::-1])
    oscillation = torch.cos(angle) * even + torch.sin(angle) * odd
    oscillation = oscillation / (math.sqrt(math.pi) * torch.sqrt(torch.sqrt(below)))
    return torch.where(x < low, oscillation, torch.where(x > high, far, near))
