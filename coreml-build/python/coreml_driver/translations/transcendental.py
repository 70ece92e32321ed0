"""Logarithms, exponentials and angles that coremltools gets wrong at the edges.

Owns: the rows of this family.
Must not: know a capture; `Arguments` hides it.
Flow: `translations` imports this file, so that its rows are registered.
"""

from __future__ import annotations

import math
from typing import Any

from coremltools.converters.mil import Builder as mb
from coremltools.converters.mil.mil.types.symbolic import is_symbolic

from coreml_driver.failures import Failure
from coreml_driver.translations.arguments import Arguments
from coreml_driver.translations.promotion import cast, number, promoted, to_float, type_of
from coreml_driver.translations.registry import translation

#: Below this, `log1p` and `expm1` lose digits when they are computed by `log` and `exp` alone.
SMALL = 0.25
#: `softplus` is its argument, to float32's last digit, from here on.
LINEAR = 20.0


@translation(
    "atan2",
    "arctan2",
    why="0 instead of π for `y = 0`, `x < 0` (#2769); wrong where `x` is below 1e-8",
    replaces=True,
)
def _atan2(context: Any, node: Any) -> None:
    """The angle of the point (other, self), by the arc tangent of a quotient between 0 and 1."""
    arguments = Arguments(context, node)
    y, x = promoted(to_float(arguments["self"]), to_float(arguments["other"]))
    zero, one = number(x, 0), number(x, 1)
    wide, high = mb.abs(x=x), mb.abs(x=y)
    largest, smallest = mb.maximum(x=wide, y=high), mb.minimum(x=wide, y=high)
    origin = mb.equal(x=largest, y=zero)
    quotient = mb.real_div(x=smallest, y=mb.select(cond=origin, a=one, b=largest))
    # The quotient of two infinities is taken for 1, of two zeros for 0.
    diagonal = mb.logical_and(x=mb.equal(x=wide, y=high), y=mb.logical_not(x=origin))
    angle = mb.atan(x=mb.select(cond=diagonal, a=one, b=quotient))
    steep = mb.sub(x=number(x, math.pi / 2), y=angle)
    angle = mb.select(cond=mb.greater(x=high, y=wide), a=steep, b=angle)
    angle = mb.select(cond=_negative(x), a=mb.sub(x=number(x, math.pi), y=angle), b=angle)
    below = mb.mul(x=angle, y=number(x, -1))
    context.add(mb.select(cond=_negative(y), a=below, b=angle, name=node.name), node.name)


@translation(
    "log",
    "log2",
    "log10",
    why="MIL's `log` adds 1e-45 to its operand, so that log(0) is -103; integers are refused",
    replaces=True,
)
def _log(context: Any, node: Any) -> None:
    """A logarithm; of 0 it is minus infinity."""
    x = to_float(Arguments(context, node)["self"])
    base = {"log2": 2.0, "log10": 10.0}.get(node.kind)
    if base is None:
        context.add(_ln(x, node.name), node.name)
    else:
        factor = number(x, 1 / math.log(base))
        context.add(mb.mul(x=_ln(x), y=factor, name=node.name), node.name)


@translation("log1p", why="all digits are lost for small operands", replaces=True)
def _log1p(context: Any, node: Any) -> None:
    """`log(1 + self)`."""
    x = to_float(Arguments(context, node)["self"])
    context.add(mb.identity(x=_ln_of_one_and(x), name=node.name), node.name)


@translation("expm1", why="all digits are lost for small operands", replaces=True)
def _expm1(context: Any, node: Any) -> None:
    """`exp(self) - 1`; near 0 by `2 t / (1 - t)` with `t = tanh(x / 2)`."""
    x = to_float(Arguments(context, node)["self"])
    t = mb.tanh(x=mb.mul(x=x, y=number(x, 0.5)))
    near = mb.real_div(x=mb.mul(x=t, y=number(x, 2)), y=mb.sub(x=number(x, 1), y=t))
    far = mb.sub(x=mb.exp(x=x), y=number(x, 1))
    small = mb.less(x=mb.abs(x=x), y=number(x, SMALL))
    context.add(mb.select(cond=small, a=near, b=far, name=node.name), node.name)


@translation("rsqrt", why="MIL's `rsqrt` adds 1e-12 to its operand", replaces=True)
def _rsqrt(context: Any, node: Any) -> None:
    """`1 / sqrt(self)`; of 0 it is infinite."""
    x = to_float(Arguments(context, node)["self"])
    context.add(mb.rsqrt(x=x, epsilon=number(x, 0), name=node.name), node.name)


@translation(
    "acosh",
    "arccosh",
    "asinh",
    "arcsinh",
    why="coremltools' translation names operations that MIL does not have",
    replaces=True,
)
def _area(context: Any, node: Any) -> None:
    """The area sine and cosine, by their logarithms; the sine of a positive operand, which does
    not cancel, with the sign put back.
    """
    x = to_float(Arguments(context, node)["self"])
    one = number(x, 1)
    if "cosh" in node.kind:
        # sqrt(x - 1) sqrt(x + 1) does not overflow where x² would.
        root = mb.mul(x=mb.sqrt(x=mb.sub(x=x, y=one)), y=mb.sqrt(x=mb.add(x=x, y=one)))
        context.add(_ln(mb.add(x=x, y=root), node.name), node.name)
        return
    size = mb.abs(x=x)
    low, high = mb.minimum(x=size, y=one), mb.maximum(x=size, y=one)
    # Up to 1: log1p(x + x² / (1 + sqrt(x² + 1))); above: log(x) + log(1 + sqrt(1 + 1 / x²)).
    square = mb.mul(x=low, y=low)
    root = mb.sqrt(x=mb.add(x=square, y=one))
    near = _ln_of_one_and(mb.add(x=low, y=mb.real_div(x=square, y=mb.add(x=root, y=one))))
    inverse = mb.real_div(x=one, y=high)
    root = mb.sqrt(x=mb.add(x=mb.mul(x=inverse, y=inverse), y=one))
    far = mb.add(x=_ln(high), y=_ln(mb.add(x=root, y=one)))
    area = mb.select(cond=mb.less(x=size, y=one), a=near, b=far)
    context.add(mb.mul(x=area, y=mb.sign(x=x), name=node.name), node.name)


@translation("gelu", why="`approximate` is ignored when exported", replaces=True)
def _gelu(context: Any, node: Any) -> None:
    """The Gaussian error linear unit, exact or by a hyperbolic tangent."""
    arguments = Arguments(context, node)
    mode = {"none": "EXACT", "tanh": "TANH_APPROXIMATION"}[arguments.constant("approximate")]
    context.add(mb.gelu(x=arguments["self"], mode=mode, name=node.name), node.name)


@translation("elu", why="`scale` and `input_scale` are ignored", replaces=True)
def _elu(context: Any, node: Any) -> None:
    """`scale * x` above 0, `scale * alpha * (exp(input_scale * x) - 1)` below."""
    arguments = Arguments(context, node)
    x = arguments["self"]
    alpha, scale, inner = (
        float(arguments.constant(name)) for name in ("alpha", "scale", "input_scale")
    )
    if inner == 1:
        result = mb.elu(x=x, alpha=number(x, alpha))
    else:
        below = mb.elu(x=mb.mul(x=x, y=number(x, inner)), alpha=number(x, alpha))
        result = mb.select(cond=mb.greater(x=x, y=number(x, 0)), a=x, b=below)
    result = result if scale == 1 else mb.mul(x=result, y=number(x, scale))
    context.add(mb.identity(x=result, name=node.name), node.name)


@translation("softmax", "_softmax", why="`dtype` is ignored", replaces=True)
def _softmax(context: Any, node: Any) -> None:
    """`exp(x) / sum(exp(x))` along one dimension."""
    arguments = Arguments(context, node)
    x = arguments["self"]
    if "half_to_float" in arguments:
        arguments.constant("half_to_float")
    x = to_float(cast(x, arguments.element_type("dtype") if "dtype" in arguments else None))
    axis = arguments.axis("dim", x.rank)
    result = mb.softmax(x=x, axis=axis, name=node.name) if x.rank else mb.mul(x=x, y=number(x, 0))
    context.add(result, node.name)


@translation("softplus", why="`threshold` is ignored", replaces=True)
def _softplus(context: Any, node: Any) -> None:
    """`log(1 + exp(beta * self)) / beta`, and `self` above `threshold / beta`."""
    arguments = Arguments(context, node)
    x = arguments["self"]
    beta, threshold = float(arguments.constant("beta")), float(arguments.constant("threshold"))
    scaled = x if beta == 1 else mb.mul(x=x, y=number(x, beta))
    soft = mb.softplus(x=scaled)
    soft = soft if beta == 1 else mb.real_div(x=soft, y=number(x, beta))
    if threshold < LINEAR:
        soft = mb.select(cond=mb.greater(x=scaled, y=number(x, threshold)), a=x, b=soft)
    context.add(mb.identity(x=soft, name=node.name), node.name)


@translation(
    "log_softmax",
    "_log_softmax",
    why="the logarithm of a softmax that has become 0; `dtype` is ignored",
    replaces=True,
)
def _log_softmax(context: Any, node: Any) -> None:
    """`x - max - log(sum(exp(x - max)))`."""
    arguments = Arguments(context, node)
    x = cast(arguments["self"], arguments.element_type("dtype") or None)
    x = to_float(x)
    axis = [arguments.axis("dim", x.rank)]
    shifted = mb.sub(x=x, y=mb.reduce_max(x=x, axes=axis, keep_dims=True)) if x.rank else x
    total = mb.reduce_sum(x=mb.exp(x=shifted), axes=axis, keep_dims=True)
    context.add(mb.sub(x=shifted, y=_ln(total), name=node.name), node.name)


@translation(
    "logcumsumexp",
    "_logcumsumexp",
    why="the exponentials overflow, or become 0",
    replaces=True,
)
def _logcumsumexp(context: Any, node: Any) -> None:
    """The logarithms of the running sums of exponentials, by doubling: after the k-th step each
    element holds the sum of the 2**k that end with it.
    """
    arguments = Arguments(context, node)
    x = arguments["self"]
    axis = arguments.axis("dim", x.rank)
    size = x.shape[axis]
    if is_symbolic(size):
        message = f"`{node.kind}` needs a fixed size of the dimension that it runs along."
        cure = "Declare a fixed size for that dimension, or one model for each of several sizes."
        raise Failure("not-constant", message, key="inputs", advice=(cure,))
    reach = 1
    while reach < size:
        head = _part(x, axis, 0, reach)
        tail, before = _part(x, axis, reach, size), _part(x, axis, 0, size - reach)
        x = mb.concat(values=[head, _logaddexp(tail, before)], axis=axis)
        reach *= 2
    context.add(mb.identity(x=x, name=node.name), node.name)


@translation(
    "threshold",
    why="adds what is missing to what was cut off, which loses digits",
    replaces=True,
)
def _threshold(context: Any, node: Any) -> None:
    """`self` where it is above `threshold`, `value` elsewhere."""
    arguments = Arguments(context, node)
    x = arguments["self"]
    limit, value = arguments.constant("threshold"), arguments.constant("value")
    below = mb.less_equal(x=x, y=number(x, limit))
    context.add(mb.select(cond=below, a=number(x, value), b=x, name=node.name), node.name)


@translation("round", why="`decimals` is refused", replaces=True)
def _round(context: Any, node: Any) -> None:
    """`self` rounded to a number of decimals, a half to the even neighbour."""
    arguments = Arguments(context, node)
    x = arguments["self"]
    decimals = int(arguments.constant("decimals")) if "decimals" in arguments else 0
    if not type_of(x).startswith("fp"):
        context.add(mb.identity(x=x, name=node.name), node.name)
    elif decimals == 0:
        context.add(mb.round(x=x, name=node.name), node.name)
    else:
        # As PyTorch does it: multiply before and divide after, or the other way round.
        scale = number(x, 10.0 ** abs(decimals))
        before, after = (mb.mul, mb.real_div) if decimals > 0 else (mb.real_div, mb.mul)
        rounded = mb.round(x=before(x=x, y=scale))
        context.add(after(x=rounded, y=scale, name=node.name), node.name)


def _ln(x: Any, name: str | None = None) -> Any:
    """Return the natural logarithm of `x` alone: MIL's default adds 1e-45."""
    named = {} if name is None else {"name": name}
    return mb.log(x=x, epsilon=number(x, 0), **named)


def _ln_of_one_and(x: Any) -> Any:
    """Return `log(1 + x)`; near 0 by the series of twice the area tangent of `x / (x + 2)`."""
    t = mb.real_div(x=x, y=mb.add(x=x, y=number(x, 2)))
    square = mb.mul(x=t, y=t)
    series = number(x, 0)
    for odd in (11, 9, 7, 5, 3, 1):
        series = mb.add(x=mb.mul(x=square, y=series), y=number(x, 2 / odd))
    near = mb.mul(x=t, y=series)
    far = _ln(mb.add(x=x, y=number(x, 1)))
    small = mb.less(x=mb.abs(x=x), y=number(x, SMALL))
    return mb.select(cond=small, a=near, b=far)


def _negative(x: Any) -> Any:
    """Return where `x` is negative; so is -0."""
    below = mb.less(x=x, y=number(x, 0))
    zero_below = mb.less(x=mb.real_div(x=number(x, 1), y=x), y=number(x, 0))
    return mb.logical_or(x=below, y=zero_below)


def _part(x: Any, axis: int, begin: int, end: int) -> Any:
    """Return the elements of `x` from `begin` to `end` along an axis."""
    others = [number != axis for number in range(x.rank)]
    return mb.slice_by_index(
        x=x,
        begin=[0 if other else begin for other in others],
        end=[0 if other else end for other in others],
        begin_mask=others,
        end_mask=others,
    )


def _logaddexp(a: Any, b: Any) -> Any:
    """Return `log(exp(a) + exp(b))`, also where both are minus infinity."""
    larger, smaller = mb.maximum(x=a, y=b), mb.minimum(x=a, y=b)
    gap = mb.select(cond=mb.equal(x=a, y=b), a=number(a, 0), b=mb.sub(x=smaller, y=larger))
    return mb.add(x=larger, y=_ln(mb.add(x=mb.exp(x=gap), y=number(a, 1))))
