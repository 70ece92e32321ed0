"""How operations are done with fewer axes: neighbouring axes that they treat alike are merged.

Owns: rules for operations on single elements, shapes, reductions and matrices.
Must not: replace anything in a program (that is `ranks`).
Flow: `ranks` imports this file -> `carriers.RULES`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from coremltools.converters.mil.mil import Builder as mb

from coreml_driver.passes.carriers import (
    MOST,
    CannotLower,
    Carriers,
    again,
    constant,
    product,
    repeated,
    rule,
)

#: Reductions that leave an axis of one element as it is.
UNCHANGED_BY_ONE = frozenset("reduce_max reduce_mean reduce_min reduce_prod reduce_sum".split())


# --- Element by element ---


@rule(
    *"identity cast clip leaky_relu elu gelu relu relu6 scaled_tanh sigmoid sigmoid_hard silu "
    "softplus softsign thresholded_relu linear_activation clamped_relu abs acos asin atan atanh "
    "ceil cos cosh erf exp exp2 floor inverse log logical_not round rsqrt sign sin sinh sqrt "
    "square tan tanh threshold quantize dequantize".split()
)
def _elementwise(operation: Any, carriers: Carriers) -> list[Any]:
    """What looks at single elements is done with the elements in a row."""
    if operation.op_type in ("quantize", "dequantize") and operation.scale.rank:
        raise CannotLower
    flat = carriers.shaped(operation.x, [product(operation.x.shape)])
    return [again(operation, x=flat)]


@rule(
    *"add sub mul real_div floor_div mod pow maximum minimum equal not_equal less less_equal "
    "greater greater_equal logical_and logical_or logical_xor select".split()
)
def _broadcast(operation: Any, carriers: Carriers) -> list[Any]:
    """Axes are merged where each operand has both of them, or is repeated along both."""
    names = [name for name in ("cond", "a", "b", "x", "y") if name in operation.inputs]
    operands = [operation.inputs[name] for name in names]
    shaped = _aligned(operands, operation.outputs[0].shape, carriers)
    return [again(operation, **dict(zip(names, shaped, strict=True)))]


def _aligned(
    operands: Sequence[Any], shape: Sequence[Any], carriers: Carriers, behind: int = 0
) -> list[Any]:
    """Return operands with few axes that broadcast to the elements of `shape`.

    Parameters: `behind` — how many last axes of each operand stay as they are, and are not part
    of `shape`.
    """
    stay = [list(one.shape[one.rank - behind :]) if behind else [] for one in operands]
    sizes = [_padded(one.shape[: one.rank - behind], len(shape)) for one in operands]
    operands = list(operands)
    groups = _groups(sizes, shape)
    for number in sorted(range(len(operands)), key=lambda one: sizes[one].count(1)):
        if len(groups) <= MOST - behind:
            break
        if sizes[number] != list(shape):
            whole = [*sizes[number], *stay[number]]
            operands[number] = repeated(operands[number], whole, [*shape, *stay[number]], carriers)
            sizes[number] = list(shape)
            groups = _groups(sizes, shape)
    if len(groups) > MOST - behind:
        raise CannotLower
    return [
        carriers.shaped(
            one, [*(product([size[axis] for axis in group]) for group in groups), *rest] or [1]
        )
        if one.rank
        else one
        for one, size, rest in zip(operands, sizes, stay, strict=True)
    ]


def _padded(shape: Sequence[Any] | None, rank: int) -> list[Any]:
    """Return sizes with axes of one before them."""
    shape = list(shape or ())
    return [1] * (rank - len(shape)) + shape


def _groups(sizes: Sequence[Sequence[Any]], shape: Sequence[Any]) -> list[list[int]]:
    """Return which neighbouring axes all operands have, or are repeated along, together."""
    full = [[one[axis] == shape[axis] for one in sizes] for axis in range(len(shape))]
    groups: list[list[int]] = []
    for axis in (axis for axis in range(len(shape)) if shape[axis] != 1):
        if groups and full[groups[-1][-1]] == full[axis]:
            groups[-1].append(axis)
        else:
            groups.append([axis])
    return groups


# --- Shapes ---


@rule("reshape", "reshape_like", "expand_dims", "squeeze", "flatten2d")
def _reshape(operation: Any, carriers: Carriers) -> list[Any]:
    """What only names axes anew has the same elements."""
    return [carriers.shaped(operation.x, [product(operation.x.shape)])]


@rule("transpose")
def _transpose(operation: Any, carriers: Carriers) -> list[Any]:
    """Axes that stay together are one; what is left goes to its place axis by axis."""
    shape, order = list(operation.x.shape), [int(axis) for axis in constant(operation.perm)]
    order = [axis % len(shape) for axis in order]
    runs: list[list[int]] = []
    for axis in (axis for axis in order if shape[axis] != 1):
        between = range(runs[-1][-1] + 1, axis) if runs else ()
        if runs and runs[-1][-1] < axis and all(shape[one] == 1 for one in between):
            runs[-1].append(axis)
        else:
            runs.append([axis])
    present = sorted(runs)
    sizes = [product([shape[axis] for axis in run]) for run in present]
    wanted = [present.index(run) for run in runs]
    if len(runs) <= MOST:
        value = carriers.shaped(operation.x, sizes or [1])
        return [mb.transpose(x=value, perm=wanted) if len(runs) > 1 else value]
    value = carriers.shaped(operation.x, [product(shape)])
    now = list(range(len(sizes)))
    for place, axis in enumerate(wanted):
        at = now.index(axis)
        if at == place:
            continue
        here = [sizes[one] for one in now]
        value = carriers.shaped(
            value,
            [product(here[:place]), product(here[place:at]), here[at], product(here[at + 1 :])],
        )
        value = mb.transpose(x=value, perm=[0, 2, 1, 3])
        now.insert(place, now.pop(at))
    return [value]


@rule(
    *"reduce_l1_norm reduce_l2_norm reduce_log_sum reduce_log_sum_exp reduce_max reduce_mean "
    "reduce_min reduce_prod reduce_sum reduce_sum_square".split()
)
def _reduce(operation: Any, carriers: Carriers) -> list[Any]:
    """Axes are merged where both are reduced, or both stay."""
    shape = operation.x.shape
    axes = constant(operation.axes) if "axes" in operation.inputs else None
    reduced = set(range(len(shape)) if axes is None else (int(one) % len(shape) for one in axes))
    groups: list[list[int]] = []
    for axis in range(len(shape)):
        if shape[axis] == 1:
            continue
        if groups and (groups[-1][-1] in reduced) == (axis in reduced):
            groups[-1].append(axis)
        else:
            groups.append([axis])
    gone = [place for place, group in enumerate(groups) if group[0] in reduced]
    if not gone and operation.op_type in UNCHANGED_BY_ONE:
        return [carriers.shaped(operation.x, [product(shape)])]
    if len(groups) > MOST or not gone:
        raise CannotLower
    value = carriers.shaped(
        operation.x, [product([shape[axis] for axis in group]) for group in groups]
    )
    return [again(operation, x=value, axes=gone, keep_dims=True)]


# --- Matrices ---


@rule("matmul")
def _matmul(operation: Any, carriers: Carriers) -> list[Any]:
    """The axes before the matrices broadcast as those of other operations do."""
    x, y, shape = operation.x, operation.y, operation.outputs[0].shape
    if min(x.rank, y.rank) < 2:
        raise CannotLower
    x, y = _aligned((x, y), shape[:-2], carriers, behind=2)
    return [again(operation, x=x, y=y)]


@rule("scaled_dot_product_attention")
def _attention(operation: Any, carriers: Carriers) -> list[Any]:
    """The axes before the sequences are one."""
    batch = list(operation.outputs[0].shape[:-2])
    names = [name for name in ("query", "key", "value", "attn_mask") if operation.inputs.get(name)]
    changed = {}
    for name in names:
        one = operation.inputs[name]
        own = _padded(one.shape[:-2], len(batch))
        if own != batch:
            one = repeated(one, [*own, *one.shape[-2:]], [*batch, *one.shape[-2:]], carriers)
        shape = [product(batch), *operation.inputs[name].shape[-2:]]
        changed[name] = carriers.shaped(one, shape)
    return [again(operation, **changed)]


@rule("band_part")
def _band_part(operation: Any, carriers: Carriers) -> list[Any]:
    """All axes but those of the matrices are one."""
    shape = operation.x.shape
    return [again(operation, x=carriers.shaped(operation.x, [product(shape[:-2]), *shape[-2:]]))]


@rule("linear")
def _linear(operation: Any, carriers: Carriers) -> list[Any]:
    """All axes but the last are one."""
    shape = operation.x.shape
    return [again(operation, x=carriers.shaped(operation.x, [product(shape[:-1]), shape[-1]]))]


@rule("layer_norm")
def _layer_norm(operation: Any, carriers: Carriers) -> list[Any]:
    """All axes but those that are normalised are one."""
    shape = operation.x.shape
    axes = sorted(int(axis) % len(shape) for axis in constant(operation.axes))
    if axes != list(range(len(shape) - len(axes), len(shape))) or len(axes) >= MOST:
        raise CannotLower
    value = carriers.shaped(
        operation.x, [product(shape[: axes[0]]), *(shape[axis] for axis in axes)]
    )
    return [again(operation, x=value, axes=list(range(1, 1 + len(axes))))]


@rule("fill")
def _fill(operation: Any, carriers: Carriers) -> list[Any]:
    """Equal elements in a row."""
    count = int(np.prod(constant(operation.shape)))
    return [mb.fill(shape=[count], value=operation.value)]


@rule("one_hot")
def _one_hot(operation: Any, carriers: Carriers) -> list[Any]:
    """The places are in a row, where the new axis is the last."""
    if int(constant(operation.axis)) % operation.outputs[0].rank != operation.outputs[0].rank - 1:
        raise CannotLower
    places = carriers.shaped(operation.indices, [product(operation.indices.shape)])
    return [again(operation, indices=places, axis=-1)]
