"""How operations along axes are done with fewer axes: for one axis after the other, between what
is before it and what is behind it.

Owns: rules for slices, gathering and scattering, concatenations, padding, sorting.
Must not: replace anything in a program (that is `ranks`).
Flow: `ranks` imports this file -> `carriers.RULES`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from coremltools.converters.mil.mil import Builder as mb
from coremltools.converters.mil.mil.types.symbolic import is_symbolic

from coreml_driver.passes.carriers import (
    MOST,
    CannotLower,
    Carriers,
    again,
    around,
    constant,
    product,
    rule,
)


@rule("slice_by_index")
def _slice_by_index(operation: Any, carriers: Carriers) -> list[Any]:
    """Each axis is cut by itself."""
    shape = list(operation.x.shape)
    begin, end = constant(operation.begin), constant(operation.end)
    masks = [
        np.zeros(len(shape), bool) if one is None else constant(one)
        for one in (operation.begin_mask, operation.end_mask, operation.squeeze_mask)
    ]
    stride = (
        np.ones(len(shape), np.int32) if operation.stride is None else constant(operation.stride)
    )
    value = operation.x
    for axis in range(len(shape)):
        from_start, to_end, single = (bool(mask[axis]) for mask in masks)
        if from_start and to_end and stride[axis] == 1 and not single:
            continue
        value = carriers.shaped(value, around(shape, axis))
        if single:
            # One element: where it ends does not count.
            first = int(begin[axis])
            last, to_end, from_start = first + 1, first == -1, False
        else:
            first, last = int(begin[axis]), int(end[axis])
        value = mb.slice_by_index(
            x=value,
            begin=[0, first, 0],
            end=[0, last, 0],
            stride=[1, 1 if single else int(stride[axis]), 1],
            begin_mask=[True, from_start, True],
            end_mask=[True, to_end, True],
        )
        shape[axis] = value.shape[1]
    return [value if value is not operation.x else carriers.shaped(value, [product(shape)])]


@rule("slice_update")
def _slice_update(operation: Any, carriers: Carriers) -> list[Any]:
    """Neighbouring axes that are written whole are merged."""
    shape = list(operation.x.shape)
    given = {
        name: np.broadcast_to(default, len(shape)) if value is None else constant(value)
        for name, value, default in (
            ("begin", operation.begin, 0),
            ("end", operation.end, 0),
            ("stride", operation.stride, 1),
            ("begin_mask", operation.begin_mask, False),
            ("end_mask", operation.end_mask, False),
            ("squeeze_mask", operation.squeeze_mask, False),
        )
    }
    single = given["squeeze_mask"]
    whole = [
        bool(given["begin_mask"][axis] and given["end_mask"][axis])
        and given["stride"][axis] == 1
        and not single[axis]
        for axis in range(len(shape))
    ]
    groups: list[list[int]] = []
    for axis in range(len(shape)):
        if groups and whole[groups[-1][-1]] and whole[axis]:
            groups[-1].append(axis)
        else:
            groups.append([axis])
    if len(groups) > MOST:
        raise CannotLower
    update = list(operation.update.shape)
    for axis in np.flatnonzero(single):
        update.insert(int(axis), 1)
    # An axis of one element that is taken away is cut to it instead.
    first = [group[0] for group in groups]
    begin = given["begin"][first]
    ends = np.where(single[first], begin + 1, given["end"][first])
    to_end = np.where(single[first], begin == -1, given["end_mask"][first])
    return [
        again(
            operation,
            "squeeze_mask",
            x=carriers.shaped(operation.x, [product([shape[axis] for axis in g]) for g in groups]),
            update=carriers.shaped(
                operation.update, [product([update[axis] for axis in g]) for g in groups]
            ),
            begin=begin,
            end=ends,
            stride=given["stride"][first],
            begin_mask=given["begin_mask"][first] & ~single[first],
            end_mask=to_end,
        )
    ]


@rule("slice_by_size")
def _slice_by_size(operation: Any, carriers: Carriers) -> list[Any]:
    """Each axis is cut by itself."""
    shape, sizes = list(operation.x.shape), list(operation.outputs[0].shape)
    begin = constant(operation.begin)
    value = carriers.shaped(operation.x, [product(shape)])
    for axis, size in enumerate(sizes):
        if size == shape[axis]:
            continue
        if is_symbolic(size) or is_symbolic(shape[axis]):
            raise CannotLower
        value = carriers.shaped(value, around(shape, axis))
        first = int(begin[axis])
        value = mb.slice_by_index(
            x=value,
            begin=[0, first, 0],
            end=[0, first + int(size), 0],
            begin_mask=[True, False, True],
            end_mask=[True, False, True],
        )
        shape[axis] = size
    return [value]


@rule("gather")
def _gather(operation: Any, carriers: Carriers) -> list[Any]:
    """The places are in a row, and the axis stands between the others."""
    if "batch_dims" in operation.inputs and int(constant(operation.batch_dims)):
        raise CannotLower
    axis = int(constant(operation.axis)) % operation.x.rank
    places = operation.indices
    if places.rank:
        places = carriers.shaped(places, [product(places.shape)])
    value = carriers.shaped(operation.x, around(operation.x.shape, axis))
    return [again(operation, x=value, indices=places, axis=1)]


@rule("gather_along_axis")
def _gather_along_axis(operation: Any, carriers: Carriers) -> list[Any]:
    """The axis stands between the others."""
    axis = int(constant(operation.axis)) % operation.x.rank
    value = carriers.shaped(operation.x, around(operation.x.shape, axis))
    places = carriers.shaped(operation.indices, around(operation.indices.shape, axis))
    return [again(operation, x=value, indices=places, axis=1)]


@rule("scatter")
def _scatter(operation: Any, carriers: Carriers) -> list[Any]:
    """The places are in a row, and the axis stands between the others."""
    shape = operation.data.shape
    axis = int(constant(operation.axis)) % len(shape)
    count = product(operation.indices.shape)
    before, _, behind = around(shape, axis)
    return [
        again(
            operation,
            data=carriers.shaped(operation.data, around(shape, axis)),
            indices=carriers.shaped(operation.indices, [count]),
            updates=carriers.shaped(operation.updates, [before, count, behind]),
            axis=1,
        )
    ]


@rule("scatter_along_axis")
def _scatter_along_axis(operation: Any, carriers: Carriers) -> list[Any]:
    """The axis stands between the others."""
    axis = int(constant(operation.axis)) % operation.data.rank
    names = ("data", "indices", "updates")
    values = [operation.inputs[name] for name in names]
    shaped = [carriers.shaped(one, around(one.shape, axis)) for one in values]
    return [again(operation, **dict(zip(names, shaped, strict=True)), axis=1)]


@rule("gather_nd", "scatter_nd")
def _with_places(operation: Any, carriers: Carriers) -> list[Any]:
    """The axes that a place names stay, and the others are one behind them."""
    if "batch_dims" in operation.inputs and int(constant(operation.batch_dims)):
        raise CannotLower
    name = "x" if operation.op_type == "gather_nd" else "data"
    whole, places = operation.inputs[name], operation.indices
    named = places.shape[-1]
    if is_symbolic(named) or named >= MOST:
        raise CannotLower
    count, rest = product(places.shape[:-1]), product(whole.shape[named:])
    changed = {
        name: carriers.shaped(whole, [*whole.shape[:named], rest]),
        "indices": carriers.shaped(places, [count, named]),
    }
    if name == "data":
        changed["updates"] = carriers.shaped(operation.updates, [count, rest])
    return [again(operation, **changed)]


@rule("concat")
def _concat(operation: Any, carriers: Carriers) -> list[Any]:
    """The axis stands between the others."""
    if "interleave" in operation.inputs and constant(operation.interleave):
        raise CannotLower
    axis = int(constant(operation.axis)) % operation.outputs[0].rank
    parts = [carriers.shaped(one, around(one.shape, axis)) for one in operation.values]
    return [mb.concat(values=parts, axis=1)]


@rule("stack")
def _stack(operation: Any, carriers: Carriers) -> list[Any]:
    """The new axis stands between the others."""
    axis = int(constant(operation.axis)) % operation.outputs[0].rank
    parts = [
        carriers.shaped(one, [product(one.shape[:axis]), 1, product(one.shape[axis:])])
        for one in operation.values
    ]
    return [mb.concat(values=parts, axis=1)]


@rule("split")
def _split(operation: Any, carriers: Carriers) -> list[Any]:
    """The axis stands between the others."""
    axis = int(constant(operation.axis)) % operation.x.rank
    value = carriers.shaped(operation.x, around(operation.x.shape, axis))
    results = again(operation, x=value, axis=1)
    return list(results) if isinstance(results, (list, tuple)) else [results]


@rule("tile")
def _tile(operation: Any, carriers: Carriers) -> list[Any]:
    """Each axis is repeated by itself."""
    shape = list(operation.x.shape)
    value = carriers.shaped(operation.x, [product(shape)])
    for axis, times in enumerate(int(times) for times in constant(operation.reps)):
        if times == 1:
            continue
        value = mb.tile(x=carriers.shaped(value, around(shape, axis)), reps=[1, times, 1])
        shape[axis] = value.shape[1]
    return [value]


@rule("pad")
def _pad(operation: Any, carriers: Carriers) -> list[Any]:
    """Each axis is padded by itself: what is mirrored along one is mirrored along the next."""
    shape = list(operation.x.shape)
    widths = np.reshape(constant(operation.pad), (-1, 2))
    value = carriers.shaped(operation.x, [product(shape)])
    for axis, (before, after) in enumerate(widths, start=len(shape) - len(widths)):
        if not before and not after:
            continue
        value = again(
            operation,
            x=carriers.shaped(value, around(shape, axis)),
            pad=np.array([before, after, 0, 0], np.int32),
        )
        shape[axis] = value.shape[1]
    return [value]


@rule("reverse")
def _reverse(operation: Any, carriers: Carriers) -> list[Any]:
    """Each axis is turned round by itself."""
    shape = operation.x.shape
    axes = constant(operation.axes) if "axes" in operation.inputs else None
    value = carriers.shaped(operation.x, [product(shape)])
    for axis in range(len(shape)) if axes is None else [int(one) % len(shape) for one in axes]:
        value = mb.reverse(x=carriers.shaped(value, around(shape, axis)), axes=[1])
    return [value]


@rule("softmax", "cumsum", "argsort", "reduce_argmax", "reduce_argmin")
def _along(operation: Any, carriers: Carriers) -> list[Any]:
    """The axis stands between the others."""
    axis = int(constant(operation.axis)) % operation.x.rank
    return [
        again(operation, x=carriers.shaped(operation.x, around(operation.x.shape, axis)), axis=1)
    ]


@rule("topk")
def _topk(operation: Any, carriers: Carriers) -> list[Any]:
    """The axis stands between the others."""
    axis = int(constant(operation.axis)) % operation.x.rank
    value = carriers.shaped(operation.x, around(operation.x.shape, axis))
    return list(again(operation, x=value, axis=1))
