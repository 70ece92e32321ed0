"""Parts of numbers, comparisons with infinities, integers bit by bit, truth values."""

from __future__ import annotations

import pytest
import torch

from tests.translated import Case, Family

NEVER, NAN = float("inf"), float("nan")
#: Halves, ties, both zeros, infinities, no number.
EDGES = torch.tensor(
    [-2.5, -1.5, -1.0, -0.5, -0.0, 0.0, 0.5, 1.0, 1.5, 2.5, 1e9, NEVER, -NEVER, NAN]
)
FINITE = torch.tensor([-3.5, -2.0, -1.0, -0.7, 0.0, 0.3, 1.0, 1.7, 2.0, 5.5, 1e6, 1e-6])
OTHER = torch.tensor([1.0, -1.0, 2.0, -0.3, 0.7, -2.0, 1.0, 0.5, 3.0, -1.5, 7.0, 1e-7])
#: All pairs of two's complement's corners.
CORNERS = torch.tensor(
    [0, 1, -1, 5, -7, 255, 256, 2**31 - 1, -(2**31), 123456789, -987654321, 2**30]
)
ONE, TWO = CORNERS.repeat_interleave(len(CORNERS)), CORNERS.repeat(len(CORNERS))
SMALL = torch.tensor([0, 1, -1, 6, -8, 100, -1000, 12345])


def one(name, function, *inputs):
    return Case(name, function, list(inputs) or [EDGES])


CASES = {
    "trunc": one("trunc", torch.trunc),
    "trunc of integers": one("trunc", torch.trunc, SMALL),
    "frac": one("frac", torch.frac, FINITE),
    "fmod": one("fmod", torch.fmod, FINITE, OTHER),
    "fmod by a number": one("fmod", lambda x: torch.fmod(x, -0.75), FINITE),
    "fmod of integers": one("fmod", lambda i: torch.fmod(i, 7), SMALL),
    "signbit": one("signbit", torch.signbit, EDGES[:-1]),
    "copysign": one("copysign", torch.copysign, EDGES[:-1], EDGES[:-1].flip(0)),
    "sgn": one("sgn", torch.sgn, EDGES[:-1]),
    "heaviside": one("heaviside", torch.heaviside, FINITE, OTHER),
    "isinf": one("isinf", torch.isinf),
    "isfinite": one("isfinite", torch.isfinite),
    "isposinf": one("isposinf", torch.isposinf),
    "isneginf": one("isneginf", torch.isneginf),
    "isnan": one("isnan", torch.isnan),
    "isreal": one("isreal", torch.isreal),
    "isclose": one("isclose", lambda x: torch.isclose(x, x.flip(0) * (1 + 1e-6), equal_nan=True)),
    "fmax": one("fmax", torch.fmax, EDGES, EDGES.roll(1)),
    "fmin": one("fmin", torch.fmin, EDGES, EDGES.roll(1)),
    "maximum": one("maximum", torch.maximum, FINITE, OTHER),
    "maximum of types": one("maximum", lambda i: torch.maximum(i, torch.tensor(2.5)), SMALL),
    "maximum of booleans": one("maximum", lambda x: torch.maximum(x > 0, x > 1), FINITE),
    "minimum": one("minimum", torch.minimum, FINITE, OTHER),
    "abs": one("abs", torch.abs),
    "hypot": one("hypot", torch.hypot, FINITE * 1e25, OTHER * 1e25),
    "hypot of infinities": one(
        "hypot", torch.hypot, torch.tensor([NEVER, 0.0]), torch.tensor([NEVER, 0.0])
    ),
    "logaddexp": one("logaddexp", torch.logaddexp, FINITE * 100, OTHER),
    "logaddexp2": one("logaddexp2", torch.logaddexp2, FINITE, OTHER * 100),
    "frexp": one("frexp", torch.frexp, torch.tensor([0.0, 1, -1, 0.5, 3, 1e-30, 1e30, 65535.999])),
    "ldexp": one("ldexp", torch.ldexp, FINITE, torch.arange(12) - 6),
    "nextafter": one(
        "nextafter", torch.nextafter, torch.tensor([1.0, -1, 2, 3, 0.1, 1e20]), OTHER[:6] * 100
    ),
    "deg2rad": one("deg2rad", torch.deg2rad, FINITE),
    "rad2deg": one("rad2deg", torch.rad2deg, FINITE),
    "angle": one("angle", torch.angle, FINITE),
    "float_power": one("float_power", lambda i: torch.float_power(i, 0.5).float(), SMALL.abs()),
    "functions of integers": one(
        "sqrt",
        lambda i: (
            torch.sqrt(i),
            torch.rsqrt(i + 1),
            torch.exp(-i),
            torch.sin(i),
            torch.sigmoid(-i),
        ),
        SMALL.abs(),
    ),
    "bitwise_and": one("bitwise_and", lambda a, b: a & b, ONE, TWO),
    "and with low bits": one("bitwise_and", lambda a: (a & 255, a & 1, a & 1023), ONE),
    "and with a constant": one("bitwise_and", lambda a: a & -6, ONE),
    "bitwise_or": one("bitwise_or", lambda a, b: a | b, ONE, TWO),
    "bitwise_xor": one("bitwise_xor", lambda a, b: a ^ b, ONE, TWO),
    "bitwise_not": one("bitwise_not", lambda a: ~a, ONE),
    "not of a byte": one("bitwise_not", lambda a: (~a.to(torch.uint8)).to(torch.int32), SMALL[:2]),
    "left shift": one("bitwise_left_shift", lambda a: (a << 3, a << torch.arange(8)), SMALL),
    "right shift": one("bitwise_right_shift", lambda a: (a >> 3, a >> torch.tensor(31)), ONE),
    "gcd": one("gcd", torch.gcd, SMALL, SMALL.flip(0)),
    "lcm": one("lcm", torch.lcm, SMALL % 100, SMALL.flip(0) % 77),
    "logical": one(
        "logical_and",
        lambda x: (
            torch.logical_and(x, x + 0.5),
            torch.logical_or(x, x - 1),
            torch.logical_xor(x, x > 0),
            torch.logical_not(x),
        ),
        FINITE * 0.4,
    ),
}
FAMILY = Family(CASES, 24)


@pytest.mark.parametrize("name", CASES)
def test_is_pytorchs(name):
    assert not FAMILY.wrong(name)
