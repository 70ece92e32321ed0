"""Truth values, and integers bit by bit.

Owns: `logical_*`, `bitwise_*`, shifts, `gcd` and `lcm`.
Must not: compute with bits that int32 has not: PyTorch's integers of 64 bits are narrowed.

MIL has no operations on bits. An integer is taken apart into 32 zeros and ones by divisions that
are exact, and put together again; where one operand is a constant that ends in ones, a remainder
does the same.
"""

from __future__ import annotations

from typing import Any

import torch
from coremltools.converters.mil import Builder as mb
from coremltools.converters.mil.mil import types

from coreml_driver.translations.arguments import Arguments
from coreml_driver.translations.composition import composite, is_known, untraced
from coreml_driver.translations.promotion import number
from coreml_driver.translations.registry import translation

#: Bits of an integer, the last of which is its sign.
BITS = 32
#: Steps of Euclid's algorithm for the largest integers of 32 bits.
EUCLID = 46
#: Bits of narrower integers, which wrap around, and whether they have a sign.
NARROW = {torch.uint8: (8, False), torch.int8: (8, True), torch.int16: (16, True)}
WHY = "integers are refused, and numbers below 0.5 count as false"


#: What MIL has for truth values, by PyTorch's names.
OF_TRUTHS = {
    "logical_and": mb.logical_and,
    "logical_or": mb.logical_or,
    "logical_xor": mb.logical_xor,
    "logical_not": mb.logical_not,
}


@translation(*OF_TRUTHS, why="numbers are rounded, so that 0.5 counts as false", replaces=True)
def _logical(context: Any, node: Any) -> None:
    """A combination of truth values; a number is true unless it is zero."""
    arguments = Arguments(context, node)
    operands = {"x": "self", "y": "other"}
    given = {
        name: _truth(arguments[argument])
        for name, argument in operands.items()
        if argument in arguments
    }
    combine = OF_TRUTHS[node.kind.partition(".")[0].removesuffix("_")]
    context.add(combine(**given, name=node.name), node.name)


def _truth(x: Any) -> Any:
    """Return whether a number is not zero."""
    return x if types.is_bool(x.dtype) else mb.not_equal(x=x, y=number(x, 0))


def _powers() -> torch.Tensor:
    """Return the value of each bit of an integer."""
    with untraced():
        powers = [2**bit for bit in range(BITS - 1)] + [-(2 ** (BITS - 1))]
        return torch.tensor(powers, dtype=torch.int32)


def _taken_apart(x: torch.Tensor) -> torch.Tensor:
    """Return the bits of integers along a last axis, of a flat tensor."""
    with untraced():
        divisors = torch.tensor([2**bit for bit in range(BITS - 1)], dtype=torch.int32)
    flat = x.to(torch.int32).reshape(-1, 1)
    low = torch.remainder(torch.div(flat, divisors, rounding_mode="floor"), 2)
    return torch.cat((low, (flat < 0).to(torch.int32)), 1)


def _put_together(bits: torch.Tensor) -> torch.Tensor:
    """Return the integers that have these bits."""
    return (bits * _powers()).sum(1)


def _tensors(*operands: Any) -> list[torch.Tensor]:
    """Return numbers as tensors."""
    return [x if isinstance(x, torch.Tensor) else torch.tensor(x) for x in operands]


def _bitwise(one: Any, other: Any, combine: Any) -> torch.Tensor:
    """Combine the bits of two integers, of which one may be a number."""
    tensors = _tensors(one, other)
    shape = torch.broadcast_shapes(*(x.shape for x in tensors))
    expanded = [x.expand(shape) for x in tensors]
    bits = combine(*map(_taken_apart, expanded))
    return _put_together(bits).reshape(shape)


def _are_truths(one: Any, other: Any) -> bool:
    """Return whether two operands are booleans."""
    return all(
        x.dtype is torch.bool if isinstance(x, torch.Tensor) else isinstance(x, bool)
        for x in (one, other)
    )


def _low_bits(x: Any) -> int | None:
    """Return how many bits a constant keeps that ends in ones; `None` for others."""
    if isinstance(x, torch.Tensor):
        if not is_known(x) or x.numel() != 1:
            return None
        with untraced():
            x = int(x)
    return x.bit_length() if isinstance(x, int) and 0 < x < 2**31 - 1 and x & (x + 1) == 0 else None


@composite("bitwise_and", "and", "__and__", "iand", "__iand__", why=WHY, replaces=True)
def _bitwise_and(self: Any, other: Any) -> torch.Tensor:
    """The bits that both have."""
    if _are_truths(self, other):
        return torch.logical_and(*_tensors(self, other))
    for one, two in ((self, other), (other, self)):
        kept = _low_bits(two)
        if kept is not None and isinstance(one, torch.Tensor):
            return torch.remainder(one.to(torch.int32), 2**kept)
    return _bitwise(self, other, lambda a, b: a * b)


@composite("bitwise_or", "or", "__or__", "ior", "__ior__", why=WHY, replaces=True)
def _bitwise_or(self: Any, other: Any) -> torch.Tensor:
    """The bits that one of both has."""
    if _are_truths(self, other):
        return torch.logical_or(*_tensors(self, other))
    return _bitwise(self, other, torch.maximum)


@composite("bitwise_xor", "xor", "__xor__", "ixor", "__ixor__", why=WHY, replaces=True)
def _bitwise_xor(self: Any, other: Any) -> torch.Tensor:
    """The bits that just one of both has."""
    if _are_truths(self, other):
        return torch.logical_xor(*_tensors(self, other))
    return _bitwise(self, other, lambda a, b: (a != b).to(torch.int32))


def _wrapped(x: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """Return integers as a narrow type has them."""
    if dtype not in NARROW:
        return x
    bits, signed = NARROW[dtype]
    low = -(2 ** (bits - 1)) if signed else 0
    return torch.remainder(x - low, 2**bits) + low


@composite("bitwise_not", why=WHY, replaces=True)
def _bitwise_not(self: torch.Tensor) -> torch.Tensor:
    """All bits turned."""
    if self.dtype is torch.bool:
        return torch.logical_not(self)
    return _wrapped(-1 - self.to(torch.int32), self.dtype)


def _powers_of(steps: Any, largest: int) -> torch.Tensor:
    """Return powers of two from a table."""
    steps = steps if isinstance(steps, torch.Tensor) else torch.tensor(steps)
    with untraced():
        table = torch.tensor([2**bit for bit in range(largest + 1)], dtype=torch.int32)
    places = steps.clamp(0, largest).to(torch.int32)
    return torch.index_select(table, 0, places.reshape(-1)).reshape(steps.shape)


@composite("bitwise_left_shift", "lshift", "__lshift__", "ilshift", "__ilshift__")
def _left_shift(self: Any, other: Any) -> torch.Tensor:
    """Bits moved up: products with powers of two."""
    x = self if isinstance(self, torch.Tensor) else torch.tensor(self)
    if x.is_floating_point():
        return x * torch.exp2(other)
    return _wrapped(x.to(torch.int32) * _powers_of(other, BITS - 2), x.dtype)


@composite("bitwise_right_shift", "rshift", "__rshift__", "irshift", "__irshift__")
def _right_shift(self: Any, other: Any) -> torch.Tensor:
    """Bits moved down: quotients by powers of two."""
    x = self if isinstance(self, torch.Tensor) else torch.tensor(self)
    if x.is_floating_point():
        return x / torch.exp2(other)
    quotient = torch.div(x.to(torch.int32), _powers_of(other, BITS - 2), rounding_mode="floor")
    steps = other if isinstance(other, torch.Tensor) else torch.tensor(other)
    return torch.where(steps < BITS - 1, quotient, torch.where(x < 0, -1, 0).to(torch.int32))


@composite("gcd")
def _gcd(self: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
    """The greatest common divisor, by as many steps as the largest integers need."""
    one, two = torch.broadcast_tensors(self.abs(), other.abs())
    for _ in range(EUCLID):
        ended = two == 0
        rest = torch.remainder(one, torch.where(ended, 1, two))
        one, two = torch.where(ended, one, two), torch.where(ended, two, rest)
    return one


@composite("lcm")
def _lcm(self: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
    """The least common multiple."""
    divisor = _gcd(self, other)
    whole = torch.where(divisor == 0, 1, divisor)
    return (torch.div(self, whole, rounding_mode="floor") * other).abs()
