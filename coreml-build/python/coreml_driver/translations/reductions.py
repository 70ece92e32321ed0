"""Reductions that coremltools gets wrong: types of results, corrections, norms.

Owns: the rows of this family.
Must not: know a capture; `Arguments` hides it.
Flow: `translations` imports this file, so that its rows are registered.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from coremltools.converters.mil import Builder as mb
from coremltools.converters.mil.mil import Var, types
from coremltools.converters.mil.mil.types.symbolic import is_symbolic

from coreml_driver.translations.arguments import Arguments
from coreml_driver.translations.promotion import cast, is_float, number, to_float, whole
from coreml_driver.translations.registry import ORIGINAL, translation


@translation(
    "sum",
    "mean",
    why="`dtype` is ignored; booleans are added up as floating-point numbers, inexact above 2048 "
    "in half precision",
    replaces=True,
)
def _sum(context: Any, node: Any) -> None:
    """The sum or the mean, in the type that PyTorch gives it."""
    arguments = Arguments(context, node)
    x = arguments["self"]
    if not isinstance(x, Var) or types.is_complex(x.dtype):
        ORIGINAL["mean"](context, node)
        return
    mean = node.kind.startswith("mean")
    kind = arguments.element_type("dtype") if "dtype" in arguments else None
    x = to_float(x) if mean else whole(cast(x, kind))
    reduce = mb.reduce_mean if mean else mb.reduce_sum
    context.add(_reduced(reduce, x, arguments, node.name), node.name)


@translation(
    "all",
    "any",
    why="numbers are rounded to integers first, so that 0.5 counts as false",
    replaces=True,
)
def _all(context: Any, node: Any) -> None:
    """Whether all, or any, elements are not zero."""
    arguments = Arguments(context, node)
    x = arguments["self"]
    x = x if types.is_bool(x.dtype) else mb.not_equal(x=x, y=number(x, 0))
    reduce = mb.reduce_min if node.kind.startswith("all") else mb.reduce_max
    found = _reduced(reduce, cast(x, "int32"), arguments)
    context.add(cast(found, "bool", node.name), node.name)


@translation(
    "var",
    "std",
    why="a `correction` counts as 1, or as none, unless it is 0 or 1",
    replaces=True,
)
def _var(context: Any, node: Any) -> None:
    """The variance, or its root, with the correction of the number of elements."""
    arguments = Arguments(context, node)
    x = to_float(arguments["self"])
    axes = _axes(arguments, x)
    correction = 1.0
    if "correction" in arguments and arguments.constant("correction") is not None:
        correction = float(arguments.constant("correction"))
    elif "unbiased" in arguments:
        correction = float(arguments.constant("unbiased"))
    keep = bool(arguments.constant("keepdim")) if "keepdim" in arguments else False
    centred = mb.sub(x=x, y=mb.reduce_mean(x=x, axes=axes, keep_dims=True)) if axes else x
    square = mb.mul(x=centred, y=centred)
    variance = mb.reduce_mean(x=square, axes=axes, keep_dims=keep) if axes else square
    if correction:
        variance = mb.mul(x=variance, y=_corrected(x, axes, correction))
    result = mb.sqrt(x=variance) if node.kind.startswith("std") else variance
    context.add(mb.identity(x=result, name=node.name), node.name)


def _corrected(x: Any, axes: list[int], correction: float) -> Any:
    """Return n / (n - correction) for the number n of elements that are averaged; of too few
    elements the result is infinite, and the variance no number, as in PyTorch.
    """
    sizes = [x.shape[axis] for axis in axes]
    if not any(is_symbolic(size) for size in sizes):
        count = math.prod(sizes)
        rest = max(count - correction, 0)
        return number(x, count / rest if rest else np.inf)
    shape = mb.shape(x=x)
    chosen = mb.gather(x=shape, indices=np.array(axes, np.int32), axis=0)
    count = mb.cast(x=mb.reduce_prod(x=chosen, axes=[0]), dtype="fp32")
    rest = mb.maximum(x=mb.sub(x=count, y=np.float32(correction)), y=np.float32(0))
    return cast(mb.real_div(x=count, y=rest), None if is_float(x) else "fp32")


@translation("argmax", "argmin", why="without a dimension it is refused", replaces=True)
def _argmax(context: Any, node: Any) -> None:
    """The position of the largest or smallest element; without a dimension that in all of them."""
    arguments = Arguments(context, node)
    x = whole(arguments["self"])
    keep, dim = bool(arguments.constant("keepdim")), arguments.constant("dim")
    reduce = mb.reduce_argmax if node.kind == "argmax" else mb.reduce_argmin
    if dim is not None and x.rank:
        result = reduce(x=x, axis=int(dim) % x.rank, keep_dims=keep, name=node.name)
    else:
        flat = reduce(x=mb.reshape(x=x, shape=[-1]), axis=0, keep_dims=False)
        shape = [1] * x.rank
        result = mb.reshape(x=flat, shape=shape, name=node.name) if keep and shape else flat
    context.add(result, node.name)


@translation(
    "norm",
    "frobenius_norm",
    "linalg_vector_norm",
    why="without an order or a dimension it is refused; `dtype` is ignored",
    replaces=True,
)
def _norm(context: Any, node: Any) -> None:
    """A norm of vectors."""
    arguments = Arguments(context, node)
    x = cast(arguments["self"], arguments.element_type("dtype") if "dtype" in arguments else None)
    order = 2.0
    for name in ("p", "ord"):
        if name in arguments and arguments.constant(name) is not None:
            order = float(arguments.constant(name))
    axes = _axes(arguments, x)
    keep = bool(arguments.constant("keepdim")) if "keepdim" in arguments else False
    context.add(vector_norm(to_float(x), order, axes, keep, node.name), node.name)


def vector_norm(x: Any, order: float, axes: list[int], keep: bool, name: str | None = None) -> Any:
    """Return the norm of `x` of any order along `axes`."""
    named = {} if name is None else {"name": name}
    if not axes:
        return mb.abs(x=x, **named)
    along: dict[str, Any] = {"axes": axes, "keep_dims": keep}
    if order == 2:
        return mb.reduce_l2_norm(x=x, **along, **named)
    size = mb.abs(x=x)
    if order == 0:
        counted = cast(mb.not_equal(x=x, y=number(x, 0)), "fp32")
        return mb.reduce_sum(x=counted, **along, **named)
    if order == 1:
        return mb.reduce_sum(x=size, **along, **named)
    if math.isinf(order):
        reduce = mb.reduce_max if order > 0 else mb.reduce_min
        return reduce(x=size, **along, **named)
    total = mb.reduce_sum(x=mb.pow(x=size, y=number(x, order)), **along)
    return mb.pow(x=total, y=number(x, 1 / order), **named)


@translation(
    "cosine_similarity",
    why="`eps` bounds the product of the norms instead of each, and is refused when exported",
    replaces=True,
)
def _cosine_similarity(context: Any, node: Any) -> None:
    """The sum of products of two vectors, each divided by its norm, which is at least `eps`."""
    arguments = Arguments(context, node)
    x, y = to_float(arguments["x1"]), to_float(arguments["x2"])
    epsilon, dim = arguments.constant("eps"), int(arguments.constant("dim"))
    axis = dim % max(x.rank, y.rank) - max(x.rank, y.rank)
    units = []
    for one in (x, y):
        norm = mb.reduce_l2_norm(x=one, axes=[axis], keep_dims=True)
        units.append(mb.real_div(x=one, y=mb.maximum(x=norm, y=number(one, epsilon))))
    product = mb.mul(x=units[0], y=units[1])
    context.add(mb.reduce_sum(x=product, axes=[axis], keep_dims=False, name=node.name), node.name)


def _axes(arguments: Arguments, x: Any) -> list[int]:
    """Return the axes to reduce: all of them where the overload has no dimension, or none is
    named.
    """
    if "dim" in arguments and arguments.constant("dim") is not None:
        return arguments.axes("dim", x.rank) if x.rank else []
    return list(range(x.rank))


def _reduced(reduce: Any, x: Any, arguments: Arguments, name: str | None = None) -> Any:
    """Return `x` reduced along the axes that the arguments name."""
    keep = bool(arguments.constant("keepdim")) if "keepdim" in arguments else False
    axes = _axes(arguments, x)
    named = {} if name is None else {"name": name}
    return reduce(x=x, axes=axes, keep_dims=keep, **named) if axes else mb.identity(x=x, **named)
