"""The faults: each is a change of one operation that a translation asks coremltools' builder for.

Owns: the list, and the smallest network that each shows in.
Must not: convert.
Flow: read by `mutants.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

#: Takes the builder, its own function, the arguments, and those that only name the result.
Change = Callable[[Any, Any, dict[str, Any], dict[str, Any]], Any]

X = {"x": {"shape": [4, 4]}}
IMAGE = {"x": {"shape": [1, 2, 6, 6]}}
IDS = {"x": {"shape": [1, 8], "dtype": "int32", "sample": {"range": [0, 40000]}}}
SENTENCE = {"x": {"shape": [1, 5, 4]}}
INTEGER = {"y": {"dtype": "int32"}}


@dataclass(frozen=True)
class Fault:
    """One planted fault."""

    kind: str
    name: str
    #: The builder's function that is changed.
    operation: str
    change: Change
    #: What `forward` returns.
    result: str
    inputs: dict[str, Any] = field(default_factory=lambda: X)
    outputs: dict[str, Any] = field(default_factory=dict)
    #: A line of `__init__`.
    init: str = "pass"
    precision: str = "float16"
    capture: str = "trace"
    #: Further keys of the table.
    more: dict[str, Any] = field(default_factory=dict)


def constant(value: Any) -> np.ndarray[Any, Any]:
    """Return a constant argument as numbers."""
    return np.asarray(getattr(value, "val", value))


def with_(**changes: Any) -> Change:
    """Change arguments to other values."""
    return lambda mb, original, given, kept: original(**(given | changes), **kept)


def times(name: str, factor: float) -> Change:
    """Multiply a constant argument."""

    def change(mb: Any, original: Any, given: dict[str, Any], kept: dict[str, Any]) -> Any:
        value = constant(given[name])
        return original(**(given | {name: (value * factor).astype(value.dtype)}), **kept)

    return change


def plus(name: str, summand: Any) -> Change:
    """Add to a constant argument."""

    def change(mb: Any, original: Any, given: dict[str, Any], kept: dict[str, Any]) -> Any:
        value = constant(given[name])
        return original(
            **(given | {name: (value + np.asarray(summand)).astype(value.dtype)}), **kept
        )

    return change


def mapped(name: str, function: Callable[[Any], Any]) -> Change:
    """Change a constant argument by a function."""

    def change(mb: Any, original: Any, given: dict[str, Any], kept: dict[str, Any]) -> Any:
        return original(**(given | {name: function(constant(given[name]))}), **kept)

    return change


def without(*names: str) -> Change:
    """Drop arguments."""

    def change(mb: Any, original: Any, given: dict[str, Any], kept: dict[str, Any]) -> Any:
        return original(**{key: one for key, one in given.items() if key not in names}, **kept)

    return change


def swapped(first: str = "x", second: str = "y") -> Change:
    """Exchange two arguments."""

    def change(mb: Any, original: Any, given: dict[str, Any], kept: dict[str, Any]) -> Any:
        return original(**(given | {first: given[second], second: given[first]}), **kept)

    return change


def instead(other: str, **more: Any) -> Change:
    """Ask for another operation."""
    return lambda mb, original, given, kept: getattr(mb, other)(**(given | more), **kept)


def through(dtype: str, name: str = "x", back: str = "int32") -> Change:
    """Narrow an argument, and widen it again."""

    def change(mb: Any, original: Any, given: dict[str, Any], kept: dict[str, Any]) -> Any:
        narrow = mb.cast(x=mb.cast(x=given[name], dtype=dtype), dtype=back)
        return original(**(given | {name: narrow}), **kept)

    return change


def turned(name: str = "x") -> Change:
    """Exchange the last two dimensions of an argument."""

    def change(mb: Any, original: Any, given: dict[str, Any], kept: dict[str, Any]) -> Any:
        value = given[name]
        order = [*range(value.rank - 2), value.rank - 1, value.rank - 2]
        return original(**(given | {name: mb.transpose(x=value, perm=order)}), **kept)

    return change


def result_times(factor: float) -> Change:
    """Multiply the result."""

    def change(mb: Any, original: Any, given: dict[str, Any], kept: dict[str, Any]) -> Any:
        return mb.mul(x=original(**given), y=np.float32(factor), **kept)

    return change


def halves(value: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Return numbers rounded to half precision."""
    return value.astype(np.float16).astype(np.float32)


NORM = "self.n = nn.LayerNorm(4)"
LINEAR = "self.l = nn.Linear(4, 4)"
CONV = "self.c = nn.Conv2d(2, 2, 3, padding=1)"
CACHE = "self.register_buffer('k', torch.zeros(1, 8, 4))"

FAULTS = [
    # An epsilon.
    Fault(
        "epsilon", "layer norm 1e-6", "layer_norm", times("epsilon", 0.1), "self.n(x)", init=NORM
    ),
    Fault(
        "epsilon", "layer norm 1e-3", "layer_norm", times("epsilon", 100), "self.n(x)", init=NORM
    ),
    Fault(
        "epsilon",
        "batch norm 1e-3",
        "batch_norm",
        times("epsilon", 100),
        "self.n(x.exp())",
        IMAGE,
        init="self.n = nn.BatchNorm2d(2)",
    ),
    Fault(
        "epsilon",
        "instance norm 1e-3",
        "instance_norm",
        times("epsilon", 100),
        "F.instance_norm(x)",
        IMAGE,
    ),
    Fault("epsilon", "log(x + 1e-6)", "log", with_(epsilon=1e-6), "torch.log(x.abs() + 1e-5)"),
    Fault("epsilon", "rsqrt(x + 1e-5)", "rsqrt", with_(epsilon=1e-5), "torch.rsqrt(x * x + 1e-3)"),
    # A dropped argument.
    Fault("dropped", "bias of linear", "linear", without("bias"), "self.l(x)", init=LINEAR),
    Fault("dropped", "bias of conv", "conv", without("bias"), "self.c(x)", IMAGE, init=CONV),
    Fault(
        "dropped",
        "factors of layer norm",
        "layer_norm",
        with_(gamma=np.ones(4, np.float32)),
        "F.layer_norm(x, (4,), self.w, self.w)",
        init="self.w = nn.Parameter(torch.randn(4))",
    ),
    Fault(
        "dropped",
        "summands of layer norm",
        "layer_norm",
        without("beta"),
        "F.layer_norm(x, (4,), self.w, self.w)",
        init="self.w = nn.Parameter(torch.randn(4))",
    ),
    Fault(
        "dropped",
        "bias of lstm",
        "lstm",
        without("bias"),
        "self.r(x)[0]",
        SENTENCE,
        init="self.r = nn.LSTM(4, 4, batch_first=True)",
    ),
    Fault(
        "dropped",
        "upper bound of clamp",
        "clip",
        with_(beta=np.float32(3e38)),
        "x.clamp(-0.5, 0.5)",
    ),
    Fault(
        "dropped",
        "mask of attention",
        "scaled_dot_product_attention",
        without("attn_mask"),
        "F.scaled_dot_product_attention(x, x, x, torch.triu(torch.full((5, 5), -9.0), 1))",
        SENTENCE,
    ),
    # A swapped axis.
    Fault("axis", "softmax", "softmax", plus("axis", -1), "x.softmax(-1)"),
    Fault(
        "axis",
        "concat",
        "concat",
        lambda mb, original, given, kept: original(
            **(given | {"axis": 1 - int(constant(given["axis"]))}), **kept
        ),
        "torch.cat([x[:2], x[2:] * 2], 0).reshape(4, 4)",
    ),
    Fault(
        "axis",
        "transpose left out",
        "transpose",
        mapped("perm", lambda perm: sorted(perm)),
        "x.t() + 0.5",
    ),
    Fault(
        "axis",
        "weight of linear transposed",
        "linear",
        mapped("weight", lambda weight: weight.T.copy()),
        "self.l(x)",
        init=LINEAR,
    ),
    Fault("axis", "matmul transposed", "matmul", turned("y"), "x @ (x * 2)"),
    Fault("axis", "sum", "reduce_sum", mapped("axes", lambda axes: (axes + 1) % 2), "x.sum(0)"),
    Fault("axis", "mean", "reduce_mean", mapped("axes", lambda axes: (axes + 1) % 2), "x.mean(1)"),
    Fault("axis", "cumsum", "cumsum", plus("axis", -1), "x.cumsum(1)"),
    Fault("axis", "flip", "reverse", mapped("axes", lambda axes: (axes + 1) % 2), "x.flip(0)"),
    Fault(
        "axis",
        "gather",
        "gather",
        plus("axis", -1),
        "x.index_select(1, torch.tensor([0, 2, 3, 1]))",
    ),
    # Off by one.
    Fault(
        "off by one",
        "slice",
        "slice_by_index",
        lambda mb, original, given, kept: original(
            **(
                given
                | {
                    "begin": constant(given["begin"]) - (constant(given["begin"]) > 0),
                    "end": constant(given["end"]) - (constant(given["begin"]) > 0),
                }
            ),
            **kept,
        ),
        "x[:, 1:3] * 1.5",
    ),
    Fault(
        "off by one",
        "indices",
        "gather",
        plus("indices", -1),
        "x.index_select(1, torch.tensor([1, 2, 3, 1]))",
    ),
    Fault(
        "off by one",
        "padding of conv",
        "conv",
        mapped("pad", lambda pad: np.array([2, 0, 1, 1], np.int32)),
        "self.c(x)",
        IMAGE,
        init=CONV,
    ),
    Fault(
        "off by one",
        "padding of pooling",
        "max_pool",
        mapped("pad", lambda pad: np.array([1, 1, 0, 2], np.int32)),
        "F.max_pool2d(x, 3, 1, 1)",
        IMAGE,
    ),
    Fault("off by one", "exclusive cumsum", "cumsum", with_(exclusive=True), "x.cumsum(1)"),
    Fault(
        "off by one",
        "triangle",
        "select",
        lambda mb, original, given, kept: original(
            **(given | {"cond": np.roll(given["cond"], 1, axis=1)}), **kept
        ),
        "x.tril()",
    ),
    Fault(
        "off by one",
        "at a tie",
        "greater",
        instead("greater_equal"),
        "torch.where(x > 0, x + 1, x - 1)",
    ),
    Fault(
        "off by one",
        "write to a state",
        "slice_update",
        lambda mb, original, given, kept: original(
            **(
                given
                | {name: mb.add(x=given[name], y=np.int32([0, 1, 0])) for name in ("begin", "end")}
            ),
            **kept,
        ),
        "[self.k.__setitem__((slice(None), slice(2, 4)), x), self.k * 2][1]",
        {"x": {"shape": [1, 2, 4]}},
        init=CACHE,
        more={
            "states": {"k": {"shape": [1, 8, 4], "dtype": "float16"}},
            "parity": {"samples": 1, "steps": 2},
        },
    ),
    # A sign, or operands in the wrong order.
    Fault("sign", "sub", "sub", swapped(), "x - 2 * x.flip(0)"),
    Fault("sign", "add", "add", instead("sub"), "x + x.flip(0)"),
    Fault("sign", "quotient", "real_div", swapped(), "x / (x.flip(0).exp() + 1)"),
    Fault("sign", "where", "select", swapped("a", "b"), "torch.where(x > 0, x, 2 * x)"),
    Fault("sign", "slope of elu", "elu", times("alpha", -1), "F.elu(x)"),
    Fault("sign", "order of topk", "topk", with_(ascending=True), "x.topk(2)[0]"),
    Fault("sign", "floor for ceiling", "ceil", instead("floor"), "x.ceil()"),
    Fault("sign", "smallest for largest", "reduce_max", instead("reduce_min"), "x.amax(1)"),
    Fault(
        "sign",
        "argmin for argmax",
        "reduce_argmax",
        instead("reduce_argmin"),
        "x.argmax(1).to(torch.int32)",
    ),
    Fault(
        "sign", "minimum for maximum", "maximum", instead("minimum"), "torch.maximum(x, x.flip(0))"
    ),
    # A wrong number, or a wrong mode.
    Fault(
        "number", "slope of leaky relu", "leaky_relu", times("alpha", 1.02), "F.leaky_relu(x, 0.1)"
    ),
    Fault("number", "a factor, by a thousandth", "mul", result_times(1.001), "x * 3"),
    Fault(
        "number",
        "a factor of attention",
        "scaled_dot_product_attention",
        lambda mb, original, given, kept: original(
            **(given | {"query": mb.mul(x=given["query"], y=np.float32(1.01))}), **kept
        ),
        "F.scaled_dot_product_attention(x, x.flip(1), x)",
        SENTENCE,
    ),
    Fault("number", "exponent", "pow", plus("y", 0.01), "x.abs() ** 1.5"),
    Fault("mode", "gelu by tanh", "gelu", with_(mode="TANH_APPROXIMATION"), "F.gelu(x)"),
    Fault(
        "mode",
        "reflection",
        "pad",
        with_(mode="replicate"),
        "F.pad(x, (1, 1, 1, 1), mode='reflect')",
        IMAGE,
    ),
    Fault(
        "mode",
        "corners",
        "upsample_bilinear",
        with_(align_corners=True),
        "F.interpolate(x, scale_factor=2.0, mode='bilinear', align_corners=False)",
        IMAGE,
    ),
    Fault(
        "mode",
        "padding counts",
        "avg_pool",
        with_(exclude_padding_from_average=True),
        "F.avg_pool2d(x, 3, 1, 1)",
        IMAGE,
    ),
    Fault("mode", "rounding", "floor", instead("round"), "x.floor()"),
    Fault(
        "mode",
        "kernel backwards",
        "conv",
        mapped("weight", lambda one: one[..., ::-1].copy()),
        "self.c(x)",
        IMAGE,
        init=CONV,
    ),
    Fault(
        "mode",
        "gates of lstm",
        "lstm",
        mapped("weight_ih", lambda one: np.roll(one, 4, 0)),
        "self.r(x)[0]",
        SENTENCE,
        init="self.r = nn.LSTM(4, 4, batch_first=True)",
    ),
    # A narrowed type.
    Fault(
        "type",
        "indices of 8 bits",
        "gather",
        through("uint8", "indices"),
        "F.embedding(x, self.w)",
        IDS,
        init="self.w = nn.Parameter(torch.randn(40001, 2))",
        precision="float32",
    ),
    Fault(
        "type",
        "integers of 16 bits",
        "add",
        through("int16"),
        "x + 1",
        IDS,
        INTEGER,
        precision="float32",
    ),
    Fault(
        "type",
        "a weight of half precision",
        "linear",
        mapped("weight", halves),
        "self.l(x)",
        init=LINEAR,
        precision="float32",
    ),
    Fault(
        "type",
        "a product of integers in half precision",
        "mul",
        through("fp16"),
        "x * 3",
        IDS,
        INTEGER,
        precision="float32",
    ),
]
