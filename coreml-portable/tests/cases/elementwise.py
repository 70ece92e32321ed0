"""Elementwise operations and activations, with zeros, signs, infinities, NaN and broadcasting.

Flow: `generate.py` → here → `archive.py`.
"""

import math

import numpy as np
import torch
from archive import Operations
from coremltools.converters.mil.mil import Builder as mb

f32 = np.float32
NAN, INF = math.nan, math.inf


def torched(function):
    """Returns a reference that calls a PyTorch function on NumPy arrays."""
    return lambda *arrays: function(*map(torch.from_numpy, arrays)).numpy()


def generate(archive):
    """Adds all cases."""
    ops = Operations(archive)
    activations(ops)
    unary(ops)
    casts(ops)
    binary(ops)


def values(*shape, low=-3.0, high=3.0, seed=0):
    """Returns uniformly distributed numbers."""
    return np.random.default_rng(seed).uniform(low, high, shape).astype(f32)


def special():
    """Returns numbers at which functions change."""
    return np.array([[-INF, -3.5, -1.0, -0.0, 0.0, 1e-6], [0.5, 1.0, 2.5, 6.0, 7.0, INF]], f32)


def activations(ops):
    """Adds activations."""
    both = ("iOS15", "iOS17")
    x = {"x": special()}
    finite = {"x": values(2, 3, 4)}
    ops.add(
        "clamped_relu",
        x,
        lambda x: mb.clamped_relu(x=x, alpha=0.25, beta=2.0),
        lambda x: np.minimum(np.where(x >= 0, x, 0.25 * x), 2.0),
        both,
    )
    ops.add(
        "elu",
        x,
        lambda x: mb.elu(x=x, alpha=0.7),
        torched(lambda x: torch.nn.functional.elu(x, 0.7)),
        both,
    )
    gelu = torch.nn.functional.gelu
    ops.add("gelu_exact", finite, lambda x: mb.gelu(x=x, mode="EXACT"), torched(gelu))
    ops.add(
        "gelu_tanh",
        finite,
        lambda x: mb.gelu(x=x, mode="TANH_APPROXIMATION"),
        torched(lambda x: gelu(x, approximate="tanh")),
    )
    ops.add(
        "gelu_sigmoid",
        finite,
        lambda x: mb.gelu(x=x, mode="SIGMOID_APPROXIMATION"),
        torched(lambda x: x * torch.sigmoid(1.702 * x)),
    )
    ops.add(
        "leaky_relu",
        x,
        lambda x: mb.leaky_relu(x=x, alpha=0.1),
        torched(lambda x: torch.nn.functional.leaky_relu(x, 0.1)),
        both,
    )
    ops.add(
        "linear_activation",
        x,
        lambda x: mb.linear_activation(x=x, alpha=2.0, beta=-1.0),
        lambda x: 2 * x - 1,
        both,
    )
    channels = {"x": values(2, 3, 2, 2)}
    alpha, beta = np.array([0.1, 0.2, 0.3], f32), np.array([1.0, 2.0, 0.5], f32)
    ops.add(
        "prelu",
        channels,
        lambda x: mb.prelu(x=x, alpha=alpha),
        torched(lambda x: torch.nn.functional.prelu(x, torch.from_numpy(alpha))),
        both,
    )
    same = np.full(3, 0.2, f32)
    ops.add(
        "prelu_rank3",
        {"x": values(2, 3, 5)},
        lambda x: mb.prelu(x=x, alpha=same),
        torched(lambda x: torch.nn.functional.leaky_relu(x, 0.2)),
    )
    ops.add("relu", x, lambda x: mb.relu(x=x), torched(torch.relu))
    ops.add("relu6", x, lambda x: mb.relu6(x=x), torched(torch.nn.functional.relu6))
    ops.add(
        "scaled_tanh",
        x,
        lambda x: mb.scaled_tanh(x=x, alpha=1.7, beta=0.6),
        lambda x: 1.7 * np.tanh(0.6 * x),
        both,
    )
    ops.add("sigmoid", x, lambda x: mb.sigmoid(x=x), torched(torch.sigmoid))
    ops.add(
        "sigmoid_hard",
        x,
        lambda x: mb.sigmoid_hard(x=x, alpha=0.3, beta=0.4),
        lambda x: np.clip(f32(0.3) * x + f32(0.4), 0, 1),
        both,
    )
    ops.add("silu", finite, lambda x: mb.silu(x=x), torched(torch.nn.functional.silu))
    for axis in (-1, 0, 1):
        ops.add(
            f"softmax_{axis + 1}",
            {"x": values(2, 3, 4)},
            lambda x, axis=axis: mb.softmax(x=x, axis=axis),
            torched(lambda x, axis=axis: torch.softmax(x, axis)),
        )
    ops.add(
        "softplus",
        {"x": values(3, 5, low=-120, high=120)},
        lambda x: mb.softplus(x=x),
        torched(torch.nn.functional.softplus),
    )
    ops.add(
        "softplus_parametric",
        channels,
        lambda x: mb.softplus_parametric(x=x, alpha=alpha, beta=beta),
        lambda x: alpha[:, None, None] * np.log1p(np.exp(beta[:, None, None] * x)),
        both,
    )
    ops.add(
        "softsign",
        {"x": values(2, 6)},
        lambda x: mb.softsign(x=x),
        torched(torch.nn.functional.softsign),
    )
    ops.add(
        "thresholded_relu",
        {"x": special()},
        lambda x: mb.thresholded_relu(x=x, alpha=1.0),
        lambda x: np.where(x >= 1, x, 0),
        both,
    )


def unary(ops):
    """Adds functions of one number."""
    x = {"x": special()}
    finite = {"x": values(3, 5)}
    unit = {"x": np.array([[-1.0, -0.9, -0.3, 0.0], [0.2, 0.7, 0.999, 1.0]], f32)}
    inside = {"x": np.array([-0.95, -0.3, 0.0, 0.2, 0.9], f32)}
    positive = {"x": np.array([[0.0, 1e-6, 0.5], [1.0, 3.0, INF]], f32)}
    plain = {
        "abs": (x, np.abs),
        "acos": (unit, np.arccos),
        "asin": (unit, np.arcsin),
        "atan": (x, np.arctan),
        "atanh": (inside, np.arctanh),
        "ceil": (x, np.ceil),
        "cos": (finite, np.cos),
        "cosh": (finite, np.cosh),
        "exp": (x, np.exp),
        "floor": (x, np.floor),
        "round": ({"x": special() * 1.0}, np.round),
        "sin": (finite, np.sin),
        "sinh": (finite, np.sinh),
        "sqrt": (positive, np.sqrt),
        "square": (x, np.square),
        "tan": (finite, np.tan),
        "tanh": (x, np.tanh),
        "exp2": (finite, np.exp2),
    }
    for name, (inputs, function) in plain.items():
        ops.add(name, inputs, getattr(mb, name), function)
    nan = {"x": np.array([NAN, 1.0], f32)}
    for name in ("abs", "exp", "floor", "sigmoid", "sqrt", "tanh"):
        ops.add(f"nan_{name}", nan, getattr(mb, name), torched(getattr(torch, name)))
    ops.add("nan_sign", nan, mb.sign, np.sign)
    halves = {"x": np.array([-2.5, -1.5, -0.5, 0.5, 1.5, 2.5, 3.5], f32)}
    ops.add("round_halves", halves, lambda x: mb.round(x=x), np.round)
    ops.add("erf", finite, lambda x: mb.erf(x=x), torched(torch.erf))
    ops.add("sign", {"x": special()}, lambda x: mb.sign(x=x), np.sign)
    integers = {"x": np.array([[-7, -1, 0, 1, 9]], np.int32)}
    ops.add("sign_int", integers, lambda x: mb.sign(x=x), np.sign)
    ops.add("square_int", integers, lambda x: mb.square(x=x), np.square)
    ops.add("abs_int", integers, lambda x: mb.abs(x=x), np.abs)
    both = ("iOS15", "iOS17")
    for limits in ((-1.0, 2.0), (0.0, 0.5)):
        ops.add(
            f"clip_{limits[1]}",
            x,
            lambda x, limits=limits: mb.clip(x=x, alpha=limits[0], beta=limits[1]),
            lambda x, limits=limits: np.clip(x, *limits),
            both,
        )
    ops.add(
        "threshold", x, lambda x: mb.threshold(x=x, alpha=0.5), lambda x: np.maximum(x, f32(0.5))
    )
    ops.add(
        "threshold_int", integers, lambda x: mb.threshold(x=x, alpha=2), lambda x: np.maximum(x, 2)
    )
    away = {"x": np.array([[-2.0, -0.5, 0.3], [1.0, 4.0, INF]], f32)}
    ops.add(
        "inverse",
        away,
        lambda x: mb.inverse(x=x, epsilon=1e-4),
        lambda x: 1 / (x + f32(1e-4)),
        both,
    )
    ops.add(
        "log", positive, lambda x: mb.log(x=x, epsilon=1e-3), lambda x: np.log(x + f32(1e-3)), both
    )
    ops.add("log_default", {"x": values(4, low=0.1, high=9.0)}, lambda x: mb.log(x=x), np.log)
    ops.add(
        "rsqrt",
        positive,
        lambda x: mb.rsqrt(x=x, epsilon=1e-3),
        lambda x: 1 / np.sqrt(x + f32(1e-3)),
        both,
    )
    flags = {"x": np.array([[1, 0, 3, -1]], np.int32)}
    ops.add(
        "logical_not", flags, lambda x: mb.logical_not(x=mb.cast(x=x, dtype="bool")), np.logical_not
    )


def casts(ops):
    """Adds conversions between element types."""
    x = {"x": np.array([[-2.7, -0.5, 0.0, 0.9, 1.0, 3.999]], f32)}
    both = ("iOS15", "iOS17")
    ops.add(
        "cast_int32", x, lambda x: mb.cast(x=x, dtype="int32"), lambda x: x.astype(np.int32), both
    )
    ops.add("cast_bool", x, lambda x: mb.cast(x=x, dtype="bool"), lambda x: x != 0, both)
    ops.add(
        "cast_fp16",
        x,
        lambda x: mb.cast(x=mb.cast(x=x, dtype="fp16"), dtype="fp32"),
        lambda x: x,
        both,
        1e-3,
    )
    integers = {"x": np.array([-3, 0, 1, 130], np.int32)}
    ops.add(
        "cast_fp32", integers, lambda x: mb.cast(x=x, dtype="fp32"), lambda x: x.astype(f32), both
    )
    ops.add(
        "cast_bool_fp32",
        integers,
        lambda x: mb.cast(x=mb.cast(x=x, dtype="bool"), dtype="fp32"),
        lambda x: (x != 0).astype(f32),
        both,
    )
    wide = {"x": np.array([-40000, -129, -1, 0, 127, 128, 255, 256, 40000, 70000], np.int32)}
    for name in ("int8", "uint8", "int16", "uint16"):
        ops.add(
            f"cast_{name}",
            wide,
            lambda x, name=name: mb.cast(x=x, dtype=name),
            lambda x, name=name: x.astype(name),
            ("iOS17",),
        )


def binary(ops):
    """Adds functions of two numbers."""
    pairs = {"x": values(2, 3, 4, seed=1), "y": values(3, 1, seed=2)}
    integers = {
        "x": np.array([[-7, -6, -1, 0, 5, 7]], np.int32),
        "y": np.array([[2], [-3]], np.int32),
    }
    equalities = {"x": np.array([[-1, 0, 2, 2]], np.int32), "y": np.array([[2], [0]], np.int32)}
    same = {"x": np.array([1.0, 2.0, NAN, INF], f32), "y": np.array([1.0, 3.0, NAN, INF], f32)}
    arithmetic = {
        "add": np.add,
        "sub": np.subtract,
        "mul": np.multiply,
        "maximum": np.maximum,
        "minimum": np.minimum,
    }
    for name, function in arithmetic.items():
        ops.add(name, pairs, getattr(mb, name), function)
        ops.add(f"{name}_int", integers, getattr(mb, name), function)
    comparisons = {
        "equal": np.equal,
        "not_equal": np.not_equal,
        "less": np.less,
        "less_equal": np.less_equal,
        "greater": np.greater,
        "greater_equal": np.greater_equal,
    }
    for name, function in comparisons.items():
        ops.add(name, same, getattr(mb, name), function)
        ops.add(f"{name}_int", equalities, getattr(mb, name), function)
    truths = {"x": np.array([[0, 1, 1, 0]], np.int32), "y": np.array([[0], [1]], np.int32)}
    for name, function in {
        "and": np.logical_and,
        "or": np.logical_or,
        "xor": np.logical_xor,
    }.items():
        ops.add(
            f"logical_{name}",
            truths,
            lambda x, y, name=name: getattr(mb, f"logical_{name}")(
                x=mb.cast(x=x, dtype="bool"), y=mb.cast(x=y, dtype="bool")
            ),
            function,
        )
    signs = {
        "x": np.array([[-7.5, -6.0, -1.0, 0.0, 5.25, 7.0]], f32),
        "y": np.array([[2.0], [-3.0]], f32),
    }
    ops.add("floor_div", signs, mb.floor_div, np.floor_divide)
    ops.add("floor_div_int", integers, mb.floor_div, np.floor_divide)
    ops.add("mod", signs, mb.mod, np.mod)
    ops.add("mod_int", integers, mb.mod, np.mod)
    ops.add(
        "real_div",
        {"x": values(2, 3), "y": np.array([0.5, -2.0, 3.0], f32)},
        mb.real_div,
        np.divide,
    )
    ops.add(
        "real_div_int",
        {"x": np.array([-7, 7, 9], np.int32), "y": np.array([2, 2, -4], np.int32)},
        mb.real_div,
        lambda x, y: np.trunc(x / y),
    )
    ops.add(
        "real_div_zero",
        {"x": np.array([1.0, -1.0, 0.0], f32), "y": np.zeros(3, f32)},
        mb.real_div,
        np.divide,
    )
    bases = {
        "x": np.array([[0.0, 0.5, 2.0, 3.0]], f32),
        "y": np.array([[0.0], [0.5], [3.0], [-1.0]], f32),
    }
    ops.add("pow", bases, mb.pow, np.power)
    ops.add(
        "pow_int",
        {"x": np.array([-2, 3, 5], np.int32), "y": np.array([3, 2, 0], np.int32)},
        mb.pow,
        np.power,
    )
