"""Constants too small for half precision, and the operations that need them.

Owns: what is too small, and how far the need reaches.
Must not: change a program.
Flow: `half` -> here.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from coremltools.converters.mil.mil import types

from coreml_driver.passes import flow
from coreml_driver.passes.reasons import Reason, near_too_small, too_small

#: Largest part of a constant that rounding to float16 may take: above, `x + 1e-7` is `x + 1.2e-7`.
#: 1e-6, which many models normalise with, is 1.3 % off and stays below.
TOLERATED = 1 / 64
#: Operations that combine their operand with a constant.
COMBINES = frozenset(
    "add sub maximum minimum clip mul real_div pow equal not_equal less less_equal greater "
    "greater_equal select threshold".split()
)
#: Normalisations: the constant is a parameter.
NORMALISES = frozenset("layer_norm instance_norm batch_norm l2_norm local_response_norm".split())
#: A variance that is larger than this does not notice a constant that is too small.
UNNOTICED = 1e-3
#: What a small result is passed on by.
CARRIES = (
    frozenset("add sub mul maximum minimum clip sqrt square pow abs select".split()) | flow.MOVES
)
#: What makes a small operand large again, or compares it.
ENDS = frozenset(
    "log rsqrt inverse real_div exp equal not_equal less less_equal greater greater_equal".split()
)
#: What a small operand is made by: squares and their sums.
MAKES = (
    frozenset(
        "add sub mul square pow abs sqrt maximum clip reduce_sum reduce_mean reduce_l2_norm "
        "reduce_sum_square real_div matmul".split()
    )
    | flow.MOVES
)


def around_constants(program: Any) -> dict[Any, Reason]:
    """Return the operations that a constant too small for float16 takes part in, with what makes
    the other operand and what uses the result.
    """
    found: dict[Any, Reason] = {}
    for operation in flow.operations(program):
        value = _small_constant(operation)
        if value is None:
            continue
        found.setdefault(operation, too_small(value))
        if operation.op_type in NORMALISES or operation.op_type in ENDS:
            continue
        near = [*_made_by(operation), *_used_by(operation)]
        for end in [one for one in near if one.op_type == "real_div"]:
            near += _made_by(end)
        for one in near:
            found.setdefault(one, near_too_small(value))
    return found


def is_too_small(value: float) -> bool:
    """Return whether float16 loses a number that is not zero."""
    size = abs(float(value))
    if size == 0 or not np.isfinite(size):
        return False
    return abs(float(np.float16(size)) - size) > TOLERATED * size and size < 1


def _small_constant(operation: Any) -> float | None:
    """Return the constant of an operation that is too small, if there is one."""
    kind = operation.op_type
    if kind in NORMALISES:
        epsilon = getattr(operation, "epsilon", None)
        value = None if epsilon is None else epsilon.val
        variance = getattr(operation, "variance", None) if kind == "batch_norm" else None
        learned = variance is not None and variance.val is not None
        unnoticed = learned and float(np.min(variance.val)) > UNNOTICED
        return float(value) if value is not None and is_too_small(value) and not unnoticed else None
    if kind not in COMBINES or not flow.data(operation):
        return None
    for operand in flow.operands(operation):
        value = operand.val
        if value is not None and types.is_float(operand.dtype) and np.size(value) == 1:
            number = float(np.ravel(value)[0])
            if is_too_small(number):
                return number
    return None


def _made_by(operation: Any) -> list[Any]:
    """Return the arithmetic that makes the operands of an operation."""
    found: list[Any] = []
    waiting = [operation]
    while waiting and len(found) < flow.NEARBY:
        for value in flow.data(waiting.pop()):
            one = value.op
            if one is not None and one not in found and one.op_type in MAKES:
                found.append(one)
                waiting.append(one)
    return found


def _used_by(operation: Any) -> list[Any]:
    """Return what a result passes through until it is large again; nothing when it never is."""
    found: list[Any] = []
    ends = False
    waiting = [operation]
    while waiting and len(found) < flow.NEARBY:
        for result in waiting.pop().outputs:
            for child in result.child_ops:
                if child in found:
                    continue
                if child.op_type in ENDS:
                    found.append(child)
                    ends = True
                elif child.op_type in CARRIES:
                    found.append(child)
                    waiting.append(child)
    return found if ends else []
