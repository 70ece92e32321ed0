"""Choosing, ordering and repeating elements: what coremltools refuses or gets wrong.

Owns: the rows of this family.
Must not: know a capture; `Arguments` hides it.
Flow: `translations` imports this file, so that its rows are registered.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from coremltools.converters.mil import Builder as mb
from coremltools.converters.mil.mil import Var, types
from coremltools.converters.mil.mil.types.symbolic import any_symbolic, is_symbolic

from coreml_driver.failures import Failure
from coreml_driver.translations.arguments import Arguments
from coreml_driver.translations.creation import filled
from coreml_driver.translations.promotion import cast, number, promoted, type_of, whole
from coreml_driver.translations.registry import ORIGINAL, translation


@translation(
    "triu",
    "tril",
    why="what is cut off is multiplied by 0 or subtracted, which is no number where it is "
    "infinite (#2771)",
    replaces=True,
)
def _triu(context: Any, node: Any) -> None:
    """`self` above or below a diagonal, zero elsewhere."""
    arguments = Arguments(context, node)
    x, diagonal = arguments["self"], int(arguments.constant("diagonal"))
    upper = node.kind == "triu"
    if is_symbolic(x.shape[-1]) or is_symbolic(x.shape[-2]):
        shape = mb.shape(x=x)
        rows, columns = (
            mb.range_1d(start=0, end=mb.gather(x=shape, indices=x.rank + axis, axis=0), step=1)
            for axis in (-2, -1)
        )
        steps = mb.sub(x=mb.expand_dims(x=columns, axes=[0]), y=mb.expand_dims(x=rows, axes=[1]))
        compare = mb.greater_equal if upper else mb.less_equal
        kept = compare(x=steps, y=diagonal)
    else:
        ones = np.ones(x.shape[-2:], bool)
        kept = np.triu(ones, diagonal) if upper else np.tril(ones, diagonal)
    if types.is_bool(x.dtype):
        result = mb.logical_and(x=x, y=kept, name=node.name)
    else:
        result = mb.select(cond=kept, a=x, b=number(x, 0), name=node.name)
    context.add(result, node.name)


@translation(
    "diagonal",
    "diagonal_copy",
    why="the matrix itself comes out, with zeros beside its diagonal; other diagonals are refused",
    replaces=True,
)
def _diagonal(context: Any, node: Any) -> None:
    """A diagonal of two dimensions as the last one."""
    arguments = Arguments(context, node)
    x, offset = arguments["self"], int(arguments.constant("offset"))
    first, second = arguments.axis("dim1", x.rank), arguments.axis("dim2", x.rank)
    rows, columns = x.shape[first], x.shape[second]
    if is_symbolic(rows) or is_symbolic(columns):
        raise _flexible(node.kind)
    rest = [axis for axis in range(x.rank) if axis not in (first, second)]
    x = mb.transpose(x=x, perm=[*rest, first, second])
    shape = mb.shape(x=x) if any_symbolic(x.shape) else None
    leading = list(x.shape[:-2]) if shape is None else None
    count = max(min(rows + min(offset, 0), columns - max(offset, 0)), 0)
    places = np.arange(count) * (columns + 1) + max(offset, 0) - min(offset, 0) * columns
    if leading is not None:
        flat = mb.reshape(x=x, shape=[*leading, rows * columns])
    else:
        before = mb.slice_by_index(x=shape, begin=[0], end=[x.rank - 2])
        flat = mb.reshape(x=x, shape=mb.concat(values=[before, [rows * columns]], axis=0))
    found = mb.gather(x=flat, indices=places.astype(np.int32), axis=-1, name=node.name)
    context.add(found, node.name)


@translation(
    "sort",
    "argsort",
    "msort",
    why="with `stable` it is refused",
    replaces=True,
)
def _sort(context: Any, node: Any) -> None:
    """The elements in order, with their places."""
    arguments = Arguments(context, node)
    if "self" not in arguments or not isinstance(arguments["self"], Var):
        ORIGINAL["sort"](context, node)
        return
    x = whole(arguments["self"])
    axis = arguments.axis("dim", x.rank) if "dim" in arguments else 0
    ascending = not (arguments.constant("descending") if "descending" in arguments else False)
    if "stable" in arguments:
        arguments.constant("stable")  # every engine keeps the order of equal elements
    places = mb.argsort(x=x, axis=axis, ascending=ascending)
    if node.kind.startswith("argsort"):
        context.add(mb.identity(x=places, name=node.name), node.name)
        return
    values = mb.gather_along_axis(x=x, indices=places, axis=axis)
    values = cast(values, "bool") if types.is_bool(arguments["self"].dtype) else values
    if node.kind.startswith("msort"):
        context.add(values, node.name)
    elif len(node.outputs) == 2:
        context.add(values, node.outputs[0])
        context.add(places, node.outputs[1])
    else:
        context.add((values, places), node.name)


@translation(
    "gather",
    why="an index that is smaller than the tensor in another dimension is refused",
    replaces=True,
)
def _gather(context: Any, node: Any) -> None:
    """The elements at the places that `index` has along one dimension."""
    arguments = Arguments(context, node)
    x, index = arguments["self"], cast(arguments["index"], "int32")
    if not x.rank:
        context.add(mb.identity(x=x, name=node.name), node.name)
        return
    axis = arguments.axis("dim", x.rank)
    begin, size = [0] * x.rank, list(x.shape)
    for other in range(x.rank):
        known = not is_symbolic(x.shape[other]) and not is_symbolic(index.shape[other])
        if other != axis and known and index.shape[other] < x.shape[other]:
            size[other] = index.shape[other]
    if size != list(x.shape):
        masks = [one == two for one, two in zip(size, x.shape, strict=True)]
        end = [0 if mask else one for one, mask in zip(size, masks, strict=True)]
        x = mb.slice_by_index(x=x, begin=begin, end=end, begin_mask=masks, end_mask=masks)
    boolean = types.is_bool(x.dtype)
    found = mb.gather_along_axis(x=whole(x), indices=index, axis=axis)
    found = cast(found, "bool") if boolean else found
    context.add(mb.identity(x=found, name=node.name), node.name)


@translation(
    "where",
    "where.self",
    "where.scalarother",
    "where.scalar",
    "where.scalarself",
    why="a condition of more dimensions than the operands is lost where sizes vary; plain numbers "
    "are refused when exported",
    replaces=True,
)
def _where(context: Any, node: Any) -> None:
    """`self` where the condition holds, `other` elsewhere."""
    arguments = Arguments(context, node)
    if "other" not in arguments:
        ORIGINAL["where"](context, node)
        return
    condition = arguments["condition"]
    condition = cast(condition, "bool")
    a, b = promoted(arguments["self"], arguments["other"])
    if types.is_complex(a.dtype):
        ORIGINAL["where"](context, node)
        return
    a, b = (cast(one, arguments.result_type) for one in (a, b))
    shapes = [list(one.shape) for one in (condition, a, b)]
    if not any(map(any_symbolic, shapes)):
        wide = np.broadcast_shapes(*map(tuple, shapes))
        if np.broadcast_shapes(tuple(a.shape), tuple(b.shape)) != wide:
            a = _spread(a, filled(list(wide), 0, "int32"))
    elif _may_widen(condition, a, b):
        a = _spread(a, cast(condition, "int32"))
    context.add(mb.select(cond=condition, a=a, b=b, name=node.name), node.name)


def _may_widen(condition: Any, a: Any, b: Any) -> bool:
    """Return whether a condition may give the result more elements than the operands have: MIL
    takes the shape of the operands.
    """
    wide = max(a.shape, b.shape, key=len)
    if len(condition.shape) > len(wide):
        return True
    pairs = zip(condition.shape[::-1], wide[::-1], strict=False)
    return any(size not in (1, other) for size, other in pairs)


def _spread(x: Any, like: Any) -> Any:
    """Return `x` broadcast with integers, whose values do not count."""
    boolean = types.is_bool(x.dtype)
    x = whole(x)
    zeros = cast(mb.mul(x=like, y=0), type_of(x))
    spread = mb.add(x=zeros, y=x)
    return cast(spread, "bool") if boolean else spread


@translation("tile", "repeat", why="more repeats than dimensions are refused", replaces=True)
def _tile(context: Any, node: Any) -> None:
    """`self` repeated along each dimension; the last ones where there are fewer repeats."""
    arguments = Arguments(context, node)
    x, repeats = arguments["self"], arguments.sizes("dims" if "dims" in arguments else "repeats")
    count = len(repeats) if isinstance(repeats, list) else repeats.shape[0]
    boolean = types.is_bool(x.dtype)
    x = whole(x)
    if count > x.rank:
        x = mb.expand_dims(x=x, axes=list(range(count - x.rank)))
    if isinstance(repeats, list):
        repeats = [1] * (x.rank - count) + repeats
        if not repeats:
            context.add(mb.identity(x=x, name=node.name), node.name)
            return
    elif count < x.rank:
        ones = np.ones(x.rank - count, np.int32)
        repeats = mb.concat(values=[ones, repeats], axis=0)
    result = mb.tile(x=x, reps=repeats)
    context.add(cast(result, "bool" if boolean else None, node.name), node.name)


@translation("cross", "linalg_cross", why="without a dimension it is refused", replaces=True)
def _cross(context: Any, node: Any) -> None:
    """The cross product of vectors of three elements."""
    arguments = Arguments(context, node)
    x, y = promoted(arguments["self"], arguments["other"])
    dim, rank = arguments.constant("dim"), max(x.rank, y.rank)
    if dim is None:
        dim = list(x.shape).index(3)
    axis = int(dim) % rank - rank
    turned = [np.array(order, np.int32) for order in ([1, 2, 0], [2, 0, 1])]
    (x1, x2), (y1, y2) = (
        [mb.gather(x=one, indices=order, axis=axis) for order in turned] for one in (x, y)
    )
    left, right = mb.mul(x=x1, y=y2), mb.mul(x=x2, y=y1)
    context.add(mb.sub(x=left, y=right, name=node.name), node.name)


def _flexible(kind: str) -> Failure:
    """Return the failure about a dimension whose size is not fixed."""
    message = f"`{kind}` needs fixed sizes of the dimensions that it works on."
    cure = "Declare fixed sizes for them, or one model for each of several sizes."
    return Failure("not-constant", message, key="inputs", advice=(cure,))
