"""Operations on elements: MIL's `elementwise_unary`, `elementwise_binary` and `select`.

Owns: their kernels.
Must not: round results.
Flow: `kernels` imports this file, so that its kernels are declared.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from coremltools.proto import MIL_pb2

from coreml_driver.proof.kernels.registry import Context, Unproved, kernel, number, whole
from coreml_driver.proof.values import Declared

#: Operations that torch has under another name or the same, of one tensor.
UNARY: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "abs": torch.abs,
    "acos": torch.acos,
    "asin": torch.asin,
    "atan": torch.atan,
    "atanh": torch.atanh,
    "ceil": torch.ceil,
    "cos": torch.cos,
    "cosh": torch.cosh,
    "erf": torch.erf,
    "exp": torch.exp,
    "exp2": torch.exp2,
    "floor": torch.floor,
    "identity": lambda x: x,
    "logical_not": torch.logical_not,
    "round": torch.round,
    "sign": lambda x: torch.where(x != x, x, torch.sign(x)),
    "sin": torch.sin,
    "sinh": torch.sinh,
    "sqrt": torch.sqrt,
    "square": torch.square,
    "tan": torch.tan,
    "tanh": torch.tanh,
}
#: The same, of two.
BINARY: dict[str, Callable[[torch.Tensor, torch.Tensor], torch.Tensor]] = {
    "add": torch.add,
    "equal": torch.eq,
    "greater": torch.gt,
    "greater_equal": torch.ge,
    "less": torch.lt,
    "less_equal": torch.le,
    "logical_and": torch.logical_and,
    "logical_or": torch.logical_or,
    "logical_xor": torch.logical_xor,
    "maximum": torch.maximum,
    "minimum": torch.minimum,
    "mul": torch.mul,
    "not_equal": torch.ne,
    "sub": torch.sub,
}
#: MIL's words for element types in `cast`.
CAST_TYPES = {
    "bool": MIL_pb2.BOOL,
    "fp16": MIL_pb2.FLOAT16,
    "fp32": MIL_pb2.FLOAT32,
    "int8": MIL_pb2.INT8,
    "int16": MIL_pb2.INT16,
    "int32": MIL_pb2.INT32,
    "uint8": MIL_pb2.UINT8,
    "uint16": MIL_pb2.UINT16,
    "uint32": MIL_pb2.UINT32,
}


def _declare() -> None:
    """Declare what torch has."""
    for name, compute in UNARY.items():

        @kernel(name)
        def _unary(
            x: torch.Tensor, *, of: Callable[[torch.Tensor], torch.Tensor] = compute
        ) -> torch.Tensor:
            return of(x)

    for name, combine in BINARY.items():

        @kernel(name)
        def _binary(
            x: torch.Tensor,
            y: torch.Tensor,
            *,
            of: Callable[[torch.Tensor, torch.Tensor], torch.Tensor] = combine,
        ) -> torch.Tensor:
            return of(x, y)


_declare()


@kernel("cast", situated=True)
def _cast(context: Context, x: torch.Tensor, dtype: str) -> torch.Tensor:
    """A conversion; numbers wrap around where the new type has fewer bits."""
    kind = CAST_TYPES.get(dtype)
    if kind is None:
        raise Unproved(f"a conversion to `{dtype}`")
    if kind == MIL_pb2.BOOL:
        return x != 0
    return Declared(kind, None).settle(x, context.execution.precision)


@kernel("clip")
def _clip(x: torch.Tensor, alpha: torch.Tensor, beta: torch.Tensor) -> torch.Tensor:
    """`min(max(x, alpha), beta)`."""
    return torch.minimum(torch.maximum(x, alpha.to(x.dtype)), beta.to(x.dtype))


@kernel("threshold")
def _threshold(x: torch.Tensor, alpha: torch.Tensor) -> torch.Tensor:
    """`max(x, alpha)`."""
    return torch.maximum(x, alpha.to(x.dtype))


@kernel("inverse")
def _inverse(x: torch.Tensor, epsilon: Any = None) -> torch.Tensor:
    """`1 / (x + epsilon)`."""
    return torch.reciprocal(x + number(epsilon, 1e-4))


@kernel("log")
def _log(x: torch.Tensor, epsilon: Any = None) -> torch.Tensor:
    """`log(x + epsilon)`."""
    return torch.log(x + number(epsilon, 1e-45))


@kernel("rsqrt")
def _rsqrt(x: torch.Tensor, epsilon: Any = None) -> torch.Tensor:
    """`1 / sqrt(x + epsilon)`."""
    return torch.rsqrt(x + number(epsilon, 1e-12))


@kernel("real_div")
def _real_div(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """The quotient; of integers cut off towards zero."""
    if whole(x) and whole(y):
        return _quotient(x, y, "trunc")
    return torch.div(x, y)


@kernel("floor_div")
def _floor_div(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """The quotient, rounded down."""
    if whole(x) and whole(y):
        return _quotient(x, y, "floor")
    return torch.div(x, y, rounding_mode="floor")


@kernel("mod")
def _mod(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """The remainder, with the sign of the divisor."""
    if whole(x) and whole(y):
        return torch.where(y == 0, 0, torch.remainder(x, torch.where(y == 0, 1, y)))
    return torch.remainder(x, y)


def _quotient(x: torch.Tensor, y: torch.Tensor, mode: str) -> torch.Tensor:
    """Return a quotient of integers; 0 for a division by zero, which torch refuses."""
    quotient = torch.div(x, torch.where(y == 0, 1, y), rounding_mode=mode)
    return torch.where(y == 0, 0, quotient)


@kernel("pow")
def _pow(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """A power; of integers cut off towards zero."""
    if whole(x) and whole(y):
        power = torch.pow(x.to(torch.float64), y.to(torch.float64))
        return power.nan_to_num(posinf=2.0**31 - 1, neginf=-(2.0**31)).to(torch.int64)
    return torch.pow(x, y)


@kernel("select")
def _select(cond: torch.Tensor, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """`a` where the condition holds, else `b`."""
    return torch.where(cond, a, b)
