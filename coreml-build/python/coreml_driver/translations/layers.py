"""Products of matrices, transposed convolutions and padding: what coremltools refuses or distorts.

Owns: the rows of this family.
Must not: know a capture; `Arguments` hides it.
Flow: `translations` imports this file, so that its rows are registered.
"""

from __future__ import annotations

import string
from typing import Any

import numpy as np
from coremltools.converters.mil import Builder as mb
from coremltools.converters.mil.frontend import _utils
from coremltools.converters.mil.mil import Var, types
from coremltools.converters.mil.mil.types.symbolic import is_symbolic

from coreml_driver.translations.arguments import Arguments
from coreml_driver.translations.promotion import (
    cast,
    is_float,
    number,
    promoted,
    whole,
)
from coreml_driver.translations.registry import ORIGINAL, translation

#: What the product of matrices is called, by kind.
FACTORS = {
    "addmm": ("mat1", "mat2"),
    "baddbmm": ("batch1", "batch2"),
    "addbmm": ("batch1", "batch2"),
    "addmv": ("mat", "vec"),
}


@translation(*FACTORS, why="`beta` and `alpha` that are integers are refused", replaces=True)
def _addmm(context: Any, node: Any) -> None:
    """`beta * self + alpha * (first @ second)`; with a `beta` of 0 `self` does not count."""
    arguments = Arguments(context, node)
    beta, alpha = float(arguments.constant("beta")), float(arguments.constant("alpha"))
    first, second = FACTORS[node.kind]
    x, a, b = promoted(arguments["self"], arguments[first], arguments[second])
    if node.kind == "addmv":
        product = mb.squeeze(x=mb.matmul(x=a, y=mb.expand_dims(x=b, axes=[-1])), axes=[-1])
    else:
        product = mb.matmul(x=a, y=b)
    if node.kind == "addbmm":
        product = mb.reduce_sum(x=product, axes=[0], keep_dims=False)
    if alpha != 1:
        product = mb.mul(x=product, y=number(product, alpha))
    if beta == 0:
        context.add(mb.identity(x=product, name=node.name), node.name)
        return
    x = x if beta == 1 else mb.mul(x=x, y=number(x, beta))
    context.add(mb.add(x=x, y=product, name=node.name), node.name)


@translation("einsum", why="an equation with `...` is refused", replaces=True)
def _einsum(context: Any, node: Any) -> None:
    """A sum of products by an equation; letters take the place of `...`."""
    arguments = Arguments(context, node)
    operands = promoted(*arguments["tensors"])
    equation = str(arguments.constant("equation")).replace(" ", "")
    if "path" in arguments:
        arguments["path"]  # an order of the products
    equation = explicit(equation, [one.rank for one in operands])
    context.add(_utils.build_einsum_mil(operands, equation, node.name), node.name)


def explicit(equation: str, ranks: list[int]) -> str:
    """Return an equation with letters for `...` and with its result.

    Parameters: `ranks` — of the operands.
    """
    left, arrow, right = equation.partition("->")
    terms = left.split(",")
    free = [letter for letter in string.ascii_letters if letter not in equation]
    widths = [rank - len(term.replace("...", "")) for term, rank in zip(terms, ranks, strict=True)]
    widest = max((w for term, w in zip(terms, widths, strict=True) if "..." in term), default=0)
    letters = "".join(free[:widest])
    for number_, (term, width) in enumerate(zip(terms, widths, strict=True)):
        terms[number_] = term.replace("...", letters[widest - width :] if width else "")
    if arrow:
        right = right.replace("...", letters)
    else:
        named = sorted(set(left.replace("...", "").replace(",", "")))
        right = letters + "".join(one for one in named if left.count(one) == 1)
    return f"{','.join(terms)}->{right}"


@translation(
    "_convolution",
    "convolution",
    "conv_transpose1d",
    "conv_transpose2d",
    "conv_transpose3d",
    why="a transposed convolution with `output_padding` is refused without `padding`, and in "
    "three dimensions; one that reaches beyond its result loses its bias there",
    replaces=True,
)
def _convolution(context: Any, node: Any) -> None:
    """A convolution; a transposed one with `output_padding` by its whole result."""
    arguments = Arguments(context, node)
    transposed = "transposed" not in arguments or bool(arguments.constant("transposed"))
    extra = arguments.integers("output_padding")
    if not transposed or not any(extra):
        ORIGINAL[node.kind if node.kind in ORIGINAL else "_convolution"](context, node)
        return
    x, weight = promoted(arguments["input"], arguments["weight"])
    spatial = weight.rank - 2
    stride, padding, dilation, extra = (
        _for_each_axis(arguments.integers(name), spatial)
        for name in ("stride", "padding", "dilation", "output_padding")
    )
    full = mb.conv_transpose(
        x=x,
        weight=weight,
        strides=stride,
        dilations=dilation,
        groups=int(arguments.constant("groups")),
        pad_type="valid",
    )
    missing = [max(more - edge, 0) for more, edge in zip(extra, padding, strict=True)]
    if any(missing):
        full = mb.pad(x=full, pad=[0, 0, 0, 0, *(n for more in missing for n in (0, more))])
    begin = [0, 0, *padding]
    cut = [max(edge - more, 0) for more, edge in zip(extra, padding, strict=True)]
    result = mb.slice_by_index(
        x=full,
        begin=begin,
        end=[0, 0, *(-one for one in cut)],
        begin_mask=[True, True] + [False] * spatial,
        end_mask=[True, True, *(one == 0 for one in cut)],
    )
    bias = arguments["bias"]
    if bias is not None:
        result = mb.add(x=result, y=mb.reshape(x=bias, shape=[1, -1, *([1] * spatial)]))
    context.add(mb.identity(x=result, name=node.name), node.name)


def _for_each_axis(values: list[int], count: int) -> list[int]:
    """Return one value for each axis: PyTorch takes a single one for all."""
    return values * count if len(values) == 1 else values


@translation(
    "pad",
    "constant_pad_nd",
    why="integers become floating-point numbers; circular padding, negative padding and padding "
    "computed from a size are refused",
    replaces=True,
)
def _pad(context: Any, node: Any) -> None:
    """`self` with elements added before and after, along the last dimensions first."""
    arguments = Arguments(context, node)
    x = arguments["self"]
    mode = arguments.constant("mode") if "mode" in arguments else "constant"
    value = arguments.constant("value") or 0
    amounts = arguments["pad"]
    known = arguments.known("pad")
    simple = known and all(amount >= 0 for amount in arguments.integers("pad"))
    if types.is_complex(x.dtype) or (simple and is_float(x) and mode != "circular"):
        ORIGINAL[node.kind](context, node)
        return
    boolean = types.is_bool(x.dtype)
    result = whole(x)
    parts = arguments.integers("pad") if known else _parts(amounts)
    for number_ in range(len(parts) // 2):
        before, after = parts[2 * number_], parts[2 * number_ + 1]
        result = _padded(result, x.rank - 1 - number_, before, after, mode, value)
    context.add(cast(result, "bool" if boolean else None, node.name), node.name)


def _parts(amounts: Any) -> list[Any]:
    """Return the amounts of a padding that is computed, one by one."""
    if isinstance(amounts, Var):
        return [mb.gather(x=amounts, indices=place, axis=0) for place in range(amounts.shape[0])]
    found = [one.val if isinstance(one, Var) and one.val is not None else one for one in amounts]
    return [one if isinstance(one, Var) else int(one) for one in found]


def _padded(x: Any, axis: int, before: Any, after: Any, mode: str, value: Any) -> Any:
    """Return `x` padded along one axis: each place of the result takes an element of `x`, or the
    value.
    """
    if isinstance(before, int) and isinstance(after, int) and before == after == 0:
        return x
    size = x.shape[axis]
    computed = any(isinstance(one, Var) for one in (before, after)) or is_symbolic(size)
    if not computed:
        places = np.arange(-before, size + after)
        chosen = _places(places, size, mode).astype(np.int32)
        inside = (places >= 0) & (places < size)
        taken = mb.gather(x=x, indices=chosen, axis=axis)
        if mode != "constant" or inside.all():
            return taken
        kept = inside.reshape([-1 if other == axis else 1 for other in range(x.rank)])
        return mb.select(cond=kept, a=taken, b=number(x, value))
    before = before if isinstance(before, Var) else np.int32(before)
    length = mb.gather(x=mb.shape(x=x), indices=axis, axis=0)
    start = mb.sub(x=0, y=before)
    places = mb.range_1d(start=start, end=mb.add(x=length, y=after), step=1)
    last = mb.sub(x=length, y=1)
    if mode == "circular":
        return mb.gather(x=x, indices=mb.mod(x=places, y=length), axis=axis)
    if mode == "reflect":
        high = mb.sub(x=mb.mul(x=last, y=2), y=mb.abs(x=places))
        chosen = mb.minimum(x=mb.abs(x=places), y=high)
        return mb.gather(x=x, indices=chosen, axis=axis)
    chosen = mb.maximum(x=mb.minimum(x=places, y=last), y=0)
    taken = mb.gather(x=x, indices=chosen, axis=axis)
    if mode == "replicate":
        return taken
    inside = mb.equal(x=places, y=chosen)
    others = [other for other in range(x.rank) if other != axis]
    kept = mb.expand_dims(x=inside, axes=others) if others else inside
    return mb.select(cond=kept, a=taken, b=number(x, value))


def _places(places: np.ndarray, size: int, mode: str) -> np.ndarray:
    """Return which element of an axis of `size` elements each place takes."""
    if mode == "circular":
        return places % size
    if mode == "reflect":
        return np.minimum(np.abs(places), 2 * (size - 1) - np.abs(places))
    return np.clip(places, 0, size - 1)
