"""What values are computed from, and what becomes of them: walks through a MIL program.

Owns: the sets of operations that a walk passes.
Must not: change a program.
Flow: asked by `division`, `half`, `masks` and `small`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from coremltools.converters.mil.mil import types

from coreml_driver.passes.reasons import ACCUMULATION, INTEGERS, NEAR_ACCUMULATION, Reason

#: Operations that move elements and compute nothing.
MOVES = frozenset(
    "concat crop expand_dims flatten2d gather gather_along_axis gather_nd identity pad reshape "
    "reverse slice_by_index slice_by_size sliding_windows split squeeze stack tile "
    "transpose".split()
)
#: Arithmetic with each element of its operands.
ARITHMETIC = frozenset(
    "abs add clip exp exp2 floor_div inverse log maximum minimum mod mul pow real_div rsqrt select "
    "sqrt square sub ceil floor round sign threshold".split()
)
#: Operations that add up elements.
SUMS = frozenset("cumsum reduce_max reduce_mean reduce_min reduce_prod reduce_sum".split())
#: Operations whose result jumps where their operand passes a whole number or another operand.
ROUNDINGS = frozenset(
    "floor ceil round sign floor_div mod equal not_equal less less_equal greater greater_equal "
    "logical_not".split()
)
#: Operations that are computed from positions and must not lose them; their results are bounded.
PERIODIC = frozenset("sin cos tan".split())
#: Longest sum of products that is still looked through: positions times frequencies.
SHORT_PRODUCT = 4
#: How many operations a walk looks at.
NEARBY = 64


def operations(program: Any) -> Iterator[Any]:
    """Yield all operations of a program, those of nested blocks included, in order."""

    def visit(block: Any) -> Iterator[Any]:
        for operation in block.operations:
            yield operation
            for nested in operation.blocks:
                yield from visit(nested)

    for function in program.functions.values():
        yield from visit(function)


def operands(operation: Any) -> list[Any]:
    """Return the values that an operation reads, those of lists one by one."""
    found: list[Any] = []
    for value in operation.inputs.values():
        found += value if isinstance(value, (list, tuple)) else [value]
    return [value for value in found if value is not None]


def data(operation: Any) -> list[Any]:
    """Return the floating-point operands of an operation that are computed at run time."""
    return [
        value
        for value in operands(operation)
        if value.val is None and types.is_tensor(value.sym_type) | types.is_scalar(value.sym_type)
        if types.is_float(value.dtype)
    ]


def is_integer_cast(operation: Any) -> bool:
    """Return whether an operation makes floating-point numbers of integers."""
    return (
        operation.op_type == "cast"
        and types.is_int(operation.x.dtype)
        and types.is_float(operation.outputs[0].dtype)
    )


def is_short_product(operation: Any) -> bool:
    """Return whether an operation is a product of matrices along a short axis."""
    if operation.op_type == "linear":
        size = operation.weight.shape[-1]
    elif operation.op_type == "matmul":
        size = operation.x.shape[-2 if operation.transpose_x.val else -1]
    else:
        return False
    return isinstance(size, int) and size <= SHORT_PRODUCT


def passes_through(operation: Any) -> bool:
    """Return whether an operation computes each result from few elements of its operands."""
    kind = operation.op_type
    if kind == "cast":
        return types.is_float(operation.x.dtype) and types.is_float(operation.outputs[0].dtype)
    return kind in MOVES or kind in ARITHMETIC or kind in SUMS or is_short_product(operation)


def comes_from_integers(operation: Any) -> bool:
    """Return whether an operand of an operation is computed from integers nearby."""
    waiting, seen = [operation], set()
    while waiting and len(seen) < NEARBY:
        one = waiting.pop()
        if one in seen:
            continue
        seen.add(one)
        for value in data(one):
            if value.op is None:
                continue
            if is_integer_cast(value.op) or value.op.op_type in ("floor", "ceil", "round"):
                return True
            if passes_through(value.op):
                waiting.append(value.op)
    return False


def is_rounded(operation: Any) -> bool:
    """Return whether the result of an operation is rounded or compared nearby."""
    waiting, seen = [operation], set()
    while waiting and len(seen) < NEARBY:
        one = waiting.pop()
        if one in seen:
            continue
        seen.add(one)
        for result in one.outputs:
            for child in result.child_ops:
                to_integer = child.op_type == "cast" and not types.is_float(child.outputs[0].dtype)
                if child.op_type in ROUNDINGS or to_integer:
                    return True
                if passes_through(child):
                    waiting.append(child)
    return False


def computed_from_integers(program: Any) -> dict[Any, Reason]:
    """Return the floating-point operations that compute from integers alone."""
    derived: set[Any] = set()
    filled: set[Any] = set()
    found: dict[Any, Reason] = {}
    for operation in operations(program):
        if operation.op_type in ("fill", "fill_like") and operation.value.val is not None:
            filled.update(operation.outputs)
        if is_integer_cast(operation):
            derived.update(operation.outputs)
            continue
        inputs = [value for value in data(operation) if value not in filled]
        if not inputs or not all(value in derived for value in inputs):
            continue
        if passes_through(operation):
            derived.update(operation.outputs)
            found[operation] = INTEGERS
        elif operation.op_type in PERIODIC or operation.op_type in ROUNDINGS:
            found[operation] = INTEGERS
    return found


def accumulations(program: Any) -> dict[Any, Reason]:
    """Return the running sums, with the arithmetic before and after them that would lose what
    they add up: a phase and its sine.
    """
    found: dict[Any, Reason] = {}
    for operation in operations(program):
        if operation.op_type == "cumsum" and types.is_float(operation.x.dtype):
            found[operation] = ACCUMULATION
            for other in (*_before(operation), *_after(operation)):
                found.setdefault(other, NEAR_ACCUMULATION)
    return found


def _before(operation: Any) -> list[Any]:
    """Return the arithmetic that an operand is computed by, nearby."""
    found: list[Any] = []
    waiting = [operation]
    while waiting and len(found) < NEARBY:
        for value in data(waiting.pop()):
            one = value.op
            if one is not None and one not in found and one.op_type in ARITHMETIC | MOVES:
                found.append(one)
                waiting.append(one)
    return found


def _after(operation: Any) -> list[Any]:
    """Return the arithmetic from a result to the sines and roundings that follow it; nothing when
    there are none.
    """
    found: list[Any] = []
    ends = False
    waiting = [operation]
    while waiting and len(found) < NEARBY:
        for result in waiting.pop().outputs:
            for child in result.child_ops:
                if child in found:
                    continue
                if child.op_type in PERIODIC | ROUNDINGS:
                    found.append(child)
                    ends = True
                elif child.op_type in ARITHMETIC | MOVES:
                    found.append(child)
                    waiting.append(child)
    return found if ends else []
