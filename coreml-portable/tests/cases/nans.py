"""NaN through every operation that could lose it, and what has no value: conversions of numbers
that the type cannot hold, reductions of nothing, rows of a mask that hide everything.

Owns: those cases. Must not: hold what stays different; `differences.py` does.
Flow: `generate.py` → here → `archive.py`.
"""

import math

import numpy as np
import torch
import torch.nn.functional as F
from archive import Operations
from coremltools.converters.mil.mil import Builder as mb

f32, i32 = np.float32, np.int32
NAN, INF = math.nan, math.inf
SMALLEST, LARGEST = -(2**31), 2**31 - 1


def generate(archive):
    """Adds all cases."""
    ops = Operations(archive)
    activations(ops)
    unary(ops)
    binary(ops)
    reductions(ops)
    orders(ops)
    windows(ops)
    conversions(ops)
    nothing(ops)
    masks(ops)


def torched(function):
    """Returns a reference that calls a PyTorch function on NumPy arrays."""
    return lambda *arrays: function(*map(torch.from_numpy, arrays)).numpy()


def special():
    """Returns NaN between other numbers, for engines that compute several at once."""
    return np.array([[1, NAN, 3, -2, 0.5], [NAN, -0.25, 0, 7, NAN]], f32)


def activations(ops):
    """Adds activations."""
    x = {"x": special()}
    table = {
        "clamped_relu": (
            {"alpha": 0.25, "beta": 2.0},
            lambda x: torch.where(x < 0, 0.25 * x, x).clamp(max=2),
        ),
        "elu": ({"alpha": 0.5}, lambda x: F.elu(x, 0.5)),
        "gelu": ({"mode": "EXACT"}, F.gelu),
        "leaky_relu": ({"alpha": 0.1}, lambda x: F.leaky_relu(x, 0.1)),
        "linear_activation": ({"alpha": 2.0, "beta": -1.0}, lambda x: 2 * x - 1),
        "scaled_tanh": ({"alpha": 2.0, "beta": 0.5}, lambda x: 2 * torch.tanh(0.5 * x)),
        "sigmoid": ({}, torch.sigmoid),
        "sigmoid_hard": ({"alpha": 0.3, "beta": 0.4}, lambda x: (0.3 * x + 0.4).clamp(0, 1)),
        "silu": ({}, F.silu),
        "softmax": ({"axis": 1}, lambda x: x.softmax(1)),
        "softplus": ({}, F.softplus),
        "softsign": ({}, F.softsign),
        "thresholded_relu": ({"alpha": 1.0}, lambda x: F.threshold(x, 1 - 1e-7, 0)),
    }
    for name, (options, function) in table.items():
        ops.add(
            name,
            x,
            lambda x, name=name, options=options: getattr(mb, name)(x=x, **options),
            torched(function),
        )
    for mode, function in (
        ("TANH_APPROXIMATION", lambda x: F.gelu(x, approximate="tanh")),
        ("SIGMOID_APPROXIMATION", lambda x: x * torch.sigmoid(1.702 * x)),
    ):
        ops.add(f"gelu_{mode}", x, lambda x, m=mode: mb.gelu(x=x, mode=m), torched(function))
    channels = {"x": special().reshape(1, 2, 1, 5)}
    alpha, beta = np.array([0.1, 0.2], f32), np.array([1.5, 0.5], f32)
    ops.add(
        "prelu",
        channels,
        lambda x: mb.prelu(x=x, alpha=alpha),
        torched(lambda x: F.prelu(x, torch.from_numpy(alpha))),
    )
    ops.add(
        "softplus_parametric",
        channels,
        lambda x: mb.softplus_parametric(x=x, alpha=alpha, beta=beta),
        lambda x: alpha[:, None, None] * np.log1p(np.exp(x * beta[:, None, None])),
    )


def unary(ops):
    """Adds functions of one number."""
    x = {"x": special()}
    ratio = {"x": np.array([[0.5, NAN, 0, -0.25, 0.125]], f32)}
    positive = {"x": np.array([[0.5, NAN, 3, 1, NAN]], f32)}
    for name in ("acos", "asin", "atanh"):
        ops.add(name, ratio, getattr(mb, name), torched(getattr(torch, name)))
    for name in ("log", "rsqrt"):
        ops.add(
            name,
            positive,
            lambda x, name=name: getattr(mb, name)(x=x, epsilon=0.0),
            torched(getattr(torch, name)),
        )
    for name in (
        "abs atan ceil cos cosh erf exp exp2 floor round sin sinh sqrt square tan tanh"
    ).split():
        ops.add(
            name,
            positive if name == "sqrt" else x,
            getattr(mb, name),
            torched(getattr(torch, name)),
        )
    ops.add("inverse", positive, lambda x: mb.inverse(x=x, epsilon=0.0), torched(torch.reciprocal))
    # As MIL defines it; that of PyTorch is 0.
    ops.add("sign", x, mb.sign, np.sign)
    ops.add("threshold", x, lambda x: mb.threshold(x=x, alpha=0.5), torched(lambda x: x.clamp(0.5)))
    ops.add("cumsum", x, lambda x: mb.cumsum(x=x, axis=1), torched(lambda x: x.cumsum(1)))
    ops.add("non_zero", x, lambda x: mb.non_zero(x=x), np.argwhere)


def binary(ops):
    """Adds functions of two numbers, with NaN on either side."""
    pairs = {"x": special(), "y": special()[::-1, ::-1].copy()}
    for name in ("add", "sub", "mul", "maximum", "minimum"):
        ops.add(name, pairs, getattr(mb, name), torched(getattr(torch, name)))
        for label, build in (
            ("left", lambda x, name=name: getattr(mb, name)(x=f32(2), y=x)),
            ("right", lambda x, name=name: getattr(mb, name)(x=x, y=f32(2))),
        ):
            two = torch.tensor(2.0)
            function = getattr(torch, name)
            ops.add(
                f"{name}_{label}",
                {"x": special()},
                build,
                torched(
                    lambda x, f=function, left=label == "left": f(two, x) if left else f(x, two)
                ),
            )
    # 1 to any power and any number to the power 0 are 1.
    bases = {
        "x": np.array([[1, 2, NAN, 0.5]], f32),
        "y": np.array([[0], [NAN], [1], [2]], f32),
    }
    ops.add("pow", bases, mb.pow, torched(torch.pow))
    truths = {"c": np.array([[1, 1, 0, 0, 1]], i32), **pairs}
    ops.add(
        "select",
        truths,
        lambda c, x, y: mb.select(cond=mb.cast(x=c, dtype="bool"), a=x, b=y),
        lambda c, x, y: np.where(c, x, y),
    )


def reductions(ops):
    """Adds reductions of numbers among which NaN is, first, last, between, alone and not."""
    rows = [[1, NAN, 3], [NAN, 1, 3], [1, 3, NAN], [NAN] * 3, [2, 1, 3], [INF, -INF, 1]]
    small = np.array(rows, f32)
    # As many as engines reduce at once and more, with NaN at another place in each row.
    large = np.tile(np.arange(50, dtype=f32) % 7, (6, 1))
    for row, place in enumerate((0, 9, 18, 27, 49)):
        large[row, place] = NAN
    functions = {
        "reduce_l1_norm": lambda x, axes: x.abs().sum(axes),
        "reduce_l2_norm": lambda x, axes: x.square().sum(axes).sqrt(),
        "reduce_log_sum": lambda x, axes: x.sum(axes).log(),
        "reduce_log_sum_exp": lambda x, axes: x.logsumexp(axes),
        "reduce_max": lambda x, axes: x.amax(axes),
        "reduce_mean": lambda x, axes: x.mean(axes),
        "reduce_min": lambda x, axes: x.amin(axes),
        "reduce_prod": lambda x, axes: x.prod(axes[0]) if len(axes) == 1 else x.prod(),
        "reduce_sum": lambda x, axes: x.sum(axes),
        "reduce_sum_square": lambda x, axes: x.square().sum(axes),
    }
    for name, function in functions.items():
        for label, x in (("small", small), ("large", large)):
            for axes in ((0,), (1,), (0, 1)):
                ops.add(
                    f"{name}_{label}_{len(axes)}{axes[0]}",
                    {"x": x},
                    lambda x, n=name, axes=axes: getattr(mb, n)(
                        x=x, axes=axes, keep_dims=len(axes) == 2
                    ),
                    torched(
                        lambda x, f=function, axes=axes: f(x, axes).reshape(
                            (1, 1) if len(axes) == 2 else (-1,)
                        )
                    ),
                )


def orders(ops):
    """Adds what sorts and finds: NaN is the largest number of all."""
    rng = np.random.default_rng(0)
    many = rng.integers(0, 9, (4, 60)).astype(f32)
    many[rng.random((4, 60)) < 0.1] = NAN
    many[3] = np.nan_to_num(many[3])
    for label, x in (("few", special()), ("many", many)):
        for axis in (0, 1):
            for name, function in (
                ("reduce_argmax", torch.argmax),
                ("reduce_argmin", torch.argmin),
            ):
                ops.add(
                    f"{name}_{label}_{axis}",
                    {"x": x},
                    lambda x, name=name, axis=axis: getattr(mb, name)(
                        x=x, axis=axis, keep_dims=False
                    ),
                    torched(lambda x, f=function, axis=axis: f(x, axis)),
                )
            for ascending in (True, False):

                def sort(x, count, axis=axis, ascending=ascending):
                    values, places = torch.sort(
                        torch.from_numpy(x), dim=axis, descending=not ascending, stable=True
                    )
                    taken = [slice(None), slice(None)]
                    taken[axis] = slice(count)
                    return values[tuple(taken)].numpy(), places[tuple(taken)].numpy()

                ops.add(
                    f"topk_{label}_{axis}_{ascending}",
                    {"x": x},
                    lambda x, axis=axis, a=ascending: mb.topk(x=x, k=2, axis=axis, ascending=a),
                    lambda x, sort=sort: sort(x, 2),
                    ("iOS16",),
                )
                ops.add(
                    f"argsort_{label}_{axis}_{ascending}",
                    {"x": x},
                    lambda x, axis=axis, a=ascending: mb.argsort(x=x, axis=axis, ascending=a),
                    lambda x, sort=sort: sort(x, None)[1],
                )


def windows(ops):
    """Adds pools, norms and scattering."""
    image = special().reshape(1, 1, 2, 5)
    ops.add(
        "avg_pool",
        {"x": image},
        lambda x: mb.avg_pool(x=x, kernel_sizes=[2, 2], strides=[1, 1], pad_type="valid"),
        torched(lambda x: F.avg_pool2d(x, 2, 1)),
    )
    ops.add(
        "l2_pool",
        {"x": image},
        lambda x: mb.l2_pool(x=x, kernel_sizes=[1, 2], strides=[1, 1], pad_type="valid"),
        torched(lambda x: F.lp_pool2d(x, 2, (1, 2), 1)),
    )
    plain = np.random.default_rng(1).normal(size=(2, 3, 4)).astype(f32)
    plain[0, 1, 2] = NAN
    ops.add(
        "layer_norm",
        {"x": plain},
        lambda x: mb.layer_norm(x=x, axes=[-1], epsilon=1e-5),
        torched(lambda x: F.layer_norm(x, (4,))),
    )
    ops.add(
        "instance_norm",
        {"x": plain},
        lambda x: mb.instance_norm(x=x, epsilon=1e-5),
        torched(lambda x: F.instance_norm(x)),
    )
    rows, updates = torch.tensor([0, 1, 0, 2, 2]), torch.tensor([NAN, 1, 2, 0, NAN])
    ops.add(
        "scatter_add",
        {"x": np.array([1, NAN, 3, NAN], f32)},
        lambda x: mb.scatter(
            data=x, indices=rows.numpy().astype(i32), updates=updates.numpy(), axis=0, mode="add"
        ),
        torched(lambda x: x.scatter_reduce(0, rows, updates, "sum")),
    )


def conversions(ops):
    """Adds conversions of numbers that the type does not hold."""
    numbers = [NAN, 1e20, -1e20, INF, -INF, 2147483648, 2147483520, -2147483648, 1.9, -1.9, 0]
    x = {"x": np.array(numbers * 3, f32)}

    def saturated(x):
        """Returns the nearest integers of 32 bits to the numbers cut off, and 0 for NaN."""
        cut = np.trunc(np.nan_to_num(x.astype(np.float64), posinf=INF, neginf=-INF))
        return np.clip(cut, SMALLEST, LARGEST).astype(np.int64).astype(i32)

    ops.add("cast_int32", x, lambda x: mb.cast(x=x, dtype="int32"), saturated, ("iOS15", "iOS17"))
    for name in ("int8", "uint8", "int16", "uint16"):
        ops.add(
            f"cast_{name}",
            x,
            lambda x, name=name: mb.cast(x=x, dtype=name),
            lambda x, name=name: saturated(x).astype(name),
            ("iOS17",),
        )
    ops.add("cast_bool", x, lambda x: mb.cast(x=x, dtype="bool"), torched(torch.Tensor.bool))
    half = {"x": np.array([NAN, 60000, -60000, INF, -INF, 1.5], np.float16)}
    ops.add("cast_half", half, lambda x: mb.cast(x=x, dtype="int32"), saturated, ("iOS16",))
    ops.add(
        "resize_int",
        {"x": np.array([LARGEST, SMALLEST, -7, 5], i32).reshape(1, 1, 1, 4)},
        lambda x: mb.resize(
            x=x,
            shape=[1, 8],
            resized_dims=np.uint32(2),
            interpolation_mode="NEAREST_NEIGHBOR",
            sampling_mode="DEFAULT",
        ),
        lambda x: saturated(x.astype(f32)).repeat(2, 3),
        ("iOS17",),
    )
    scale, zero = f32(0.1), {"int8": -3, "uint8": 3}
    for name, dtype in (("int8", torch.qint8), ("uint8", torch.quint8)):

        def quantized(x, name=name, dtype=dtype):
            """Returns what PyTorch gives: the largest for NaN."""
            y = torch.quantize_per_tensor(torch.from_numpy(x), float(scale), zero[name], dtype)
            return y.int_repr().numpy()

        # What is beyond 32 bits overflows inside of PyTorch.
        held = {"x": np.array([NAN, 1e6, -1e6, 0.26, -0.26, 0] * 3, f32)}
        ops.add(
            f"quantize_{name}",
            held,
            lambda x, name=name: mb.cast(
                x=mb.quantize(
                    input=x,
                    scale=scale,
                    zero_point=getattr(np, name)(zero[name]),
                    output_dtype=name,
                ),
                dtype="int32",
            ),
            quantized,
            ("iOS17",),
        )
        ends = np.iinfo(name)
        ops.add(
            f"quantize_{name}_far",
            {"x": np.array([1e20, -1e20, INF, -INF, NAN], f32)},
            lambda x, name=name: mb.cast(
                x=mb.quantize(input=x, scale=scale, output_dtype=name), dtype="int32"
            ),
            np.array([ends.max, ends.min, ends.max, ends.min, ends.max], i32),
            ("iOS17",),
        )


def nothing(ops):
    """Adds reductions of tensors without an element along the axis."""
    functions = {
        "reduce_l1_norm": 0.0,
        "reduce_l2_norm": 0.0,
        "reduce_log_sum": -INF,
        "reduce_log_sum_exp": -INF,
        "reduce_mean": NAN,
        "reduce_prod": 1.0,
        "reduce_sum": 0.0,
        "reduce_sum_square": 0.0,
    }
    inputs = {"x": np.ones((2, 3), f32), "n": np.array([0], i32)}

    def emptied(x, n):
        """Returns the first `n` columns."""
        end = mb.concat(values=(np.array([2], i32), n), axis=0)
        return mb.slice_by_index(x=x, begin=[0, 0], end=end, end_mask=[True, False])

    for name, value in functions.items():
        for label, axes in (("axis", [1]), ("all", [0, 1])):
            count = 2 if label == "axis" else 1
            ops.add(
                f"{name}_nothing_{label}",
                inputs,
                lambda x, n, name=name, axes=axes: getattr(mb, name)(
                    x=emptied(x, n), axes=axes, keep_dims=False
                ),
                np.full(count, value, f32),
            )


def masks(ops):
    """Adds attention with rows of the mask that hide everything: their result is 0."""
    rng = np.random.default_rng(2)
    query, key, value = (rng.normal(size=(2, 2, length, 4)).astype(f32) for length in (3, 5, 5))
    arrays = {"q": query, "k": key, "v": value}
    visible = np.ones((3, 5), bool)
    visible[1] = False
    visible[2, 3:] = False
    each = np.stack([np.stack([visible, ~visible]), np.stack([visible, np.ones_like(visible)])])
    for label, mask in (
        ("plane", visible),
        ("each", each),
        ("heads", each[:1]),
    ):
        hidden = np.where(mask, f32(0.5), f32(-INF)).astype(f32)
        ops.add(
            f"mask_{label}",
            {**arrays, "m": mask.astype(i32)},
            lambda q, k, v, m: mb.scaled_dot_product_attention(
                query=q, key=k, value=v, attn_mask=mb.cast(x=m, dtype="bool")
            ),
            torched(lambda q, k, v, m: F.scaled_dot_product_attention(q, k, v, m.bool())),
            ("iOS18",),
        )
        ops.add(
            f"mask_added_{label}",
            {**arrays, "m": hidden},
            lambda q, k, v, m: mb.scaled_dot_product_attention(
                query=q, key=k, value=v, attn_mask=m
            ),
            torched(F.scaled_dot_product_attention),
            ("iOS18",),
        )
    ops.add(
        "mask_constant",
        arrays,
        lambda q, k, v: mb.scaled_dot_product_attention(query=q, key=k, value=v, attn_mask=visible),
        torched(lambda q, k, v: F.scaled_dot_product_attention(q, k, v, torch.from_numpy(visible))),
        ("iOS18",),
    )
    ops.add(
        "mask_varying",
        {**arrays, "m": visible.astype(i32)},
        lambda q, k, v, m: mb.scaled_dot_product_attention(
            query=q, key=k, value=v, attn_mask=mb.cast(x=m, dtype="bool")
        ),
        torched(lambda q, k, v, m: F.scaled_dot_product_attention(q, k, v, m.bool())),
        ("iOS18",),
        varying={"m": (0, 1), "q": (2,), "k": (2,), "v": (2,)},
    )
