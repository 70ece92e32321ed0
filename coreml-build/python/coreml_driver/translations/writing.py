"""Writing elements by index: what coremltools refuses or gets wrong.

Owns: the rows of this family.
Must not: know a capture; `Arguments` hides it.
Flow: `translations` imports this file, so that its rows are registered.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
from coremltools.converters.mil import Builder as mb
from coremltools.converters.mil.mil import Var, types
from coremltools.converters.mil.mil.types.symbolic import any_symbolic

from coreml_driver.translations.arguments import Arguments
from coreml_driver.translations.composition import Composite
from coreml_driver.translations.indexing import scatter
from coreml_driver.translations.promotion import cast, type_of, whole
from coreml_driver.translations.registry import ORIGINAL, translation

#: MIL's words for the reductions of `scatter`.
MODES = {None: "update", "add": "add", "multiply": "mul"}


@translation(
    "index_put",
    why="`x[:, [1, 3]] = 7` writes nothing; negative indices, and values that broadcast beside a "
    "whole slice, are refused",
    replaces=True,
)
def _index_put(context: Any, node: Any) -> None:
    """`self` with values at the places that indices name, or added to what is there."""
    arguments = Arguments(context, node)
    x, values = arguments["self"], arguments["values"]
    indices = list(arguments["indices"])
    add = bool(arguments.constant("accumulate"))
    named = [one for one in indices if one is not None]
    if len(named) == 1 and types.is_bool(named[0].dtype) and not add and _is_single(values):
        result = _masked(x, indices, cast(values, type_of(x)))
        context.add(mb.identity(x=result, name=node.name), node.name)
        return
    shapes = [x.shape, values.shape, *(one.shape for one in named)]
    if any(types.is_bool(one.dtype) for one in named) or any(map(any_symbolic, shapes)):
        ORIGINAL["index_put"](context, node)
        return
    context.add(_put(x, indices, values, add, node.name), node.name)


def _is_single(values: Any) -> bool:
    """Return whether the values are one number."""
    return values.rank == 0 or all(size == 1 for size in values.shape)


def _masked(x: Any, indices: list[Any], value: Any) -> Any:
    """Return `x` with one value where a mask of some of its dimensions is true."""
    place = next(number for number, one in enumerate(indices) if one is not None)
    mask = indices[place]
    before, after = place, x.rank - place - mask.rank
    axes = [*range(before), *range(before + mask.rank, before + mask.rank + after)]
    mask = mb.expand_dims(x=mask, axes=axes) if axes else mask
    value = mb.reshape(x=value, shape=[1] * x.rank) if value.rank else value
    return mb.select(cond=mask, a=value, b=x)


def _put(x: Any, indices: list[Any], values: Any, add: bool, name: str) -> Any:
    """Return `x` with values at the places of integer indices, by MIL's `scatter_nd`, which takes
    indices of the first dimensions.
    """
    indices += [None] * (x.rank - len(indices))
    chosen = [axis for axis, one in enumerate(indices) if one is not None]
    rest = [axis for axis in range(x.rank) if axis not in chosen]
    shape = np.broadcast_shapes(*(tuple(indices[axis].shape) for axis in chosen))
    places = [
        _broadcast(_counted_from_front(cast(indices[axis], "int32"), x.shape[axis]), shape)
        for axis in chosen
    ]
    index = mb.stack(values=places, axis=len(shape))
    # PyTorch's result has the indices' dimensions where they stand together, else in front.
    together = chosen == list(range(chosen[0], chosen[-1] + 1))
    lead = chosen[0] if together else 0
    sizes = [x.shape[axis] for axis in rest]
    target = [*sizes[:lead], *shape, *sizes[lead:]]
    values = _broadcast(cast(values, type_of(x)), target)
    count = len(shape)
    order = [*range(lead, lead + count), *range(lead), *range(lead + count, len(target))]
    if order != list(range(len(order))):
        values = mb.transpose(x=values, perm=order)
    perm = [*chosen, *rest]
    data = x if perm == list(range(x.rank)) else mb.transpose(x=x, perm=perm)
    mode = "add" if add else "update"
    boolean = types.is_bool(x.dtype)
    done = mb.scatter_nd(data=whole(data), indices=index, updates=whole(values), mode=mode)
    done = cast(done, "bool") if boolean else done
    if data is not x:
        done = mb.transpose(x=done, perm=[perm.index(axis) for axis in range(x.rank)])
    return mb.identity(x=done, name=name)


@translation(
    "scatter",
    "scatter_add",
    why="an index that is smaller than the tensor in another dimension is refused; a value takes "
    "its own type",
    replaces=True,
)
def _scatter(context: Any, node: Any) -> None:
    """`self` with elements of `src`, or a value, at the places that `index` has along one
    dimension.
    """
    arguments = Arguments(context, node)
    x, index = arguments["self"], cast(arguments["index"], "int32")
    updates = arguments["src"] if "src" in arguments else arguments["value"]
    reduce = arguments.constant("reduce") if "reduce" in arguments else None
    mode = "add" if node.kind.startswith("scatter_add") else MODES[reduce]
    axis = arguments.axis("dim", x.rank)
    if not x.rank:
        Composite(functools.partial(scatter, reduce="sum") if mode == "add" else scatter)(
            context, node
        )
        return
    kind, boolean = type_of(x), types.is_bool(x.dtype)
    others = [n for n in range(x.rank) if n != axis]
    varying = any_symbolic(x.shape) or any_symbolic(index.shape)
    alike = all(index.shape[n] == x.shape[n] for n in others)
    if varying and (updates.rank == 0 or not alike):
        ORIGINAL["scatter_add" if "add" in node.kind else "scatter"](context, node)
        return
    updates = cast(updates, kind)
    if varying:
        updates = mb.slice_by_size(x=updates, begin=[0] * x.rank, size=mb.shape(x=index))
    elif updates.rank == 0:
        updates = _broadcast(updates, index.shape)
    elif tuple(updates.shape) != tuple(index.shape):
        updates = mb.slice_by_size(x=updates, begin=[0] * x.rank, size=list(index.shape))
    data, updates = whole(x), whole(updates)
    if alike:
        done = mb.scatter_along_axis(
            data=data, indices=index, updates=updates, axis=axis, mode=mode
        )
    else:
        done = mb.scatter_nd(
            data=data, indices=_coordinates(index, axis), updates=updates, mode=mode
        )
    context.add(cast(done, "bool" if boolean else None, node.name), node.name)


def _coordinates(index: Any, axis: int) -> Any:
    """Return the whole coordinates of the places of an index along one dimension."""
    shape = tuple(index.shape)
    grids = np.indices(shape).astype(np.int32)
    parts = [index if n == axis else mb.const(val=grids[n]) for n in range(len(shape))]
    return mb.stack(values=parts, axis=len(shape))


def _counted_from_front(index: Any, size: int) -> Any:
    """Return indices without negative ones, which MIL's scatter does not define."""
    if index.val is not None:
        values = np.asarray(index.val)
        return mb.const(val=np.where(values < 0, values + size, values).astype(np.int32))
    negative = cast(mb.less(x=index, y=0), "int32")
    return mb.add(x=index, y=mb.mul(x=negative, y=size))


def _broadcast(x: Any, shape: Any) -> Any:
    """Return `x` broadcast to a shape of known sizes."""
    shape = [int(size) for size in shape]
    if isinstance(x, Var) and x.val is not None:
        return mb.const(val=np.broadcast_to(np.asarray(x.val), shape).copy())
    boolean = types.is_bool(x.dtype)
    x = whole(x)
    if x.rank < len(shape):
        x = mb.expand_dims(x=x, axes=list(range(len(shape) - x.rank)))
    repeats = [new // old for new, old in zip(shape, x.shape, strict=True)]
    x = x if all(one == 1 for one in repeats) else mb.tile(x=x, reps=repeats)
    return cast(x, "bool") if boolean else x
