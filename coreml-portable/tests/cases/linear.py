"""Matrix products, attention, convolutions, pooling and normalizations; the reference is PyTorch.

Flow: `generate.py` → here → `archive.py`.
"""

import numpy as np
import torch
from archive import Operations
from coremltools.converters.mil.mil import Builder as mb
from torch.nn import functional as F

f32 = np.float32


def generate(archive):
    """Adds all cases."""
    ops = Operations(archive)
    products(ops)
    attention(ops)
    convolutions(ops)
    transposed_convolutions(ops)
    pools(ops)
    norms(ops)


def normal(*shape, seed=0):
    """Returns normally distributed numbers."""
    return np.random.default_rng(seed).normal(size=shape).astype(f32)


def torched(function):
    """Returns a reference that calls a PyTorch function on NumPy arrays."""
    return lambda *arrays: function(*map(torch.from_numpy, arrays)).numpy()


def products(ops):
    """Adds linear, matmul and einsum."""
    both = ("iOS15", "iOS17")
    weight, bias = normal(5, 4, seed=1), normal(5, seed=2)
    for shape in ((4,), (3, 4), (2, 3, 4)):
        ops.add(
            f"linear_rank{len(shape)}",
            {"x": normal(*shape)},
            lambda x: mb.linear(x=x, weight=weight, bias=bias),
            lambda x: x @ weight.T + bias,
            both,
        )
    ops.add(
        "linear_plain",
        {"x": normal(3, 4)},
        lambda x: mb.linear(x=x, weight=weight),
        lambda x: x @ weight.T,
        both,
    )
    pairs = {"x": normal(2, 3, 4), "y": normal(2, 4, 5, seed=1)}
    ops.add("matmul", pairs, lambda x, y: mb.matmul(x=x, y=y), np.matmul, both)
    ops.add(
        "matmul_broadcast",
        {"x": normal(2, 1, 3, 4), "y": normal(5, 4, 2, seed=1)},
        mb.matmul,
        np.matmul,
    )
    ops.add(
        "matmul_transposed",
        {"x": normal(2, 4, 3), "y": normal(2, 5, 4, seed=1)},
        lambda x, y: mb.matmul(x=x, y=y, transpose_x=True, transpose_y=True),
        lambda x, y: np.swapaxes(x, 1, 2) @ np.swapaxes(y, 1, 2),
        both,
    )
    constant = normal(5, 4, seed=3)
    ops.add(
        "matmul_constant",
        {"x": normal(3, 4)},
        lambda x: mb.matmul(x=x, y=constant, transpose_y=True),
        lambda x: x @ constant.T,
    )
    ops.add("matmul_vector", {"x": normal(4), "y": normal(4, 3, seed=1)}, mb.matmul, np.matmul)
    integers = {
        "x": np.arange(6, dtype=np.int32).reshape(2, 3),
        "y": np.arange(6, dtype=np.int32).reshape(3, 2) - 3,
    }
    ops.add("matmul_int", integers, mb.matmul, np.matmul)
    for equation, shapes in {
        "nchw,nwhu->nchu": ((2, 3, 4, 5), (2, 5, 4, 6)),
        "chw,whr->chr": ((3, 4, 5), (5, 4, 6)),
    }.items():
        ops.add(
            f"einsum_{len(shapes[0])}",
            {"x": normal(*shapes[0]), "y": normal(*shapes[1], seed=1)},
            lambda x, y, equation=equation: mb.einsum(values=(x, y), equation=equation),
            lambda x, y, equation=equation: np.einsum(equation, x, y),
        )


def attention(ops):
    """Adds scaled_dot_product_attention without a mask, with one to add, and with one of truth
    values."""
    inputs = {
        "q": normal(2, 3, 4, 8),
        "k": normal(2, 3, 5, 8, seed=1),
        "v": normal(2, 3, 5, 6, seed=2),
    }
    sdpa, target = F.scaled_dot_product_attention, ("iOS18",)
    ops.add(
        "sdpa",
        inputs,
        lambda q, k, v: mb.scaled_dot_product_attention(query=q, key=k, value=v),
        torched(sdpa),
        target,
    )
    added = {**inputs, "m": normal(4, 5, seed=3)}
    ops.add(
        "sdpa_added",
        added,
        lambda q, k, v, m: mb.scaled_dot_product_attention(query=q, key=k, value=v, attn_mask=m),
        torched(lambda q, k, v, m: sdpa(q, k, v, attn_mask=m)),
        target,
    )
    masked = {**inputs, "m": np.array([[1, 1, 0, 1, 0]] * 4, np.int32)}
    ops.add(
        "sdpa_masked",
        masked,
        lambda q, k, v, m: mb.scaled_dot_product_attention(
            query=q, key=k, value=v, attn_mask=mb.cast(x=m, dtype="bool")
        ),
        torched(lambda q, k, v, m: sdpa(q, k, v, attn_mask=m.bool())),
        target,
    )
    ops.add(
        "sdpa_rank3",
        {"q": normal(2, 4, 8), "k": normal(2, 5, 8, seed=1), "v": normal(2, 5, 8, seed=2)},
        lambda q, k, v: mb.scaled_dot_product_attention(query=q, key=k, value=v),
        torched(sdpa),
        target,
    )


def padded(x, kernel, strides, dilations, lower):
    """Pads as `same` and `same_lower` say."""
    pads = []
    for size, k, s, d in zip(x.shape[2:], kernel, strides, dilations, strict=False):
        total = max((-(-size // s) - 1) * s + (k - 1) * d + 1 - size, 0)
        pads.append((total - total // 2, total // 2) if lower else (total // 2, total - total // 2))
    return pads


def flat(pads):
    """Returns pads in the order of `torch.nn.functional.pad`."""
    return [amount for pair in reversed(pads) for amount in pair]


def convolutions(ops):
    """Adds conv of each rank, padding, stride, dilation and grouping, and conv_quantized."""
    both = ("iOS15", "iOS17")
    functions = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}
    sizes = {1: (9,), 2: (7, 8), 3: (5, 6, 4)}

    def add(
        name,
        rank,
        kernel,
        strides=None,
        dilations=None,
        groups=1,
        pad_type="valid",
        pad=None,
        targets=both,
        bias=True,
    ):
        strides, dilations = strides or [1] * rank, dilations or [1] * rank
        x = normal(2, 4, *sizes[rank])
        weight, offset = (
            normal(6, 4 // groups, *kernel, seed=1),
            normal(6, seed=2) if bias else None,
        )
        options = {
            "strides": strides,
            "dilations": dilations,
            "groups": groups,
            "pad_type": pad_type,
        }
        if pad is not None:
            options["pad"] = pad
        if bias:
            options["bias"] = offset

        def reference(x):
            pads = [(0, 0)] * rank
            if pad_type == "custom":
                pads = list(zip(pad[::2], pad[1::2], strict=False))
            if pad_type.startswith("same"):
                pads = padded(x, kernel, strides, dilations, pad_type == "same_lower")
            return functions[rank](
                F.pad(torch.from_numpy(x), flat(pads)),
                torch.from_numpy(weight),
                torch.from_numpy(offset) if bias else None,
                strides,
                0,
                dilations,
                groups,
            ).numpy()

        ops.add(
            f"conv_{name}",
            {"x": x},
            lambda x: mb.conv(x=x, weight=weight, **options),
            reference,
            targets,
        )

    add("1d", 1, (3,))
    add("1d_all", 1, (3,), strides=[2], dilations=[2], groups=2, pad_type="custom", pad=[1, 3])
    add("2d", 2, (3, 3))
    add("2d_plain", 2, (1, 1), bias=False)
    add("2d_strided", 2, (3, 2), strides=[2, 3])
    add("2d_dilated", 2, (2, 3), dilations=[3, 2])
    add("2d_grouped", 2, (3, 3), groups=2)
    add("2d_custom", 2, (3, 3), pad_type="custom", pad=[1, 0, 2, 3])
    add("2d_same", 2, (4, 3), strides=[2, 3], pad_type="same")
    add("2d_same_lower", 2, (4, 3), strides=[2, 3], pad_type="same_lower", targets=("iOS16",))
    add("3d", 3, (2, 3, 2))
    add(
        "3d_all",
        3,
        (2, 3, 2),
        strides=[2, 1, 1],
        dilations=[2, 1, 2],
        groups=2,
        pad_type="custom",
        pad=[1, 0, 1, 1, 0, 1],
    )
    depthwise = normal(4, 1, 3, 3, seed=1)
    ops.add(
        "conv_depthwise",
        {"x": normal(1, 4, 6, 6)},
        lambda x: mb.conv(x=x, weight=depthwise, groups=4, pad_type="custom", pad=[1, 1, 1, 1]),
        torched(lambda x: F.conv2d(x, torch.from_numpy(depthwise), padding=1, groups=4)),
    )
    ops.add(
        "conv_dynamic",
        {"x": normal(1, 4, 6, 6), "w": normal(3, 4, 2, 2, seed=1)},
        lambda x, w: mb.conv(x=x, weight=w),
        torched(F.conv2d),
    )
    codes = np.random.default_rng(3).integers(0, 256, (6, 4, 3, 3)).astype(np.uint8)
    scale, offset = normal(6, seed=4) / 100, normal(6, seed=5)
    real = codes.astype(f32) * scale[:, None, None, None] + offset[:, None, None, None]
    ops.add(
        "conv_quantized",
        {"x": normal(2, 4, 7, 8)},
        lambda x: mb.conv_quantized(
            x=x,
            weight=codes,
            quantization_type="linear",
            nbits=8,
            quant_scale=scale,
            quant_bias=offset,
        ),
        torched(lambda x: F.conv2d(x, torch.from_numpy(real))),
        ("iOS15",),
        1e-4,
    )


def transposed_convolutions(ops):
    """Adds conv_transpose of each rank, padding, stride, dilation, grouping and output shape."""
    both = ("iOS15", "iOS17")
    functions = {1: F.conv_transpose1d, 2: F.conv_transpose2d, 3: F.conv_transpose3d}
    sizes = {1: (5,), 2: (4, 5), 3: (3, 4, 3)}

    def add(
        name,
        rank,
        kernel,
        strides=None,
        dilations=None,
        groups=1,
        pad=None,
        output=None,
        pad_type=None,
        extra=0,
    ):
        strides, dilations = strides or [1] * rank, dilations or [1] * rank
        x, weight, bias = (
            normal(2, 4, *sizes[rank]),
            normal(4, 6 // groups, *kernel, seed=1),
            normal(6, seed=2),
        )
        options = {"strides": strides, "dilations": dilations, "groups": groups, "bias": bias}
        pads = [(0, 0)] * rank
        if pad is not None:
            options |= {"pad": pad, "pad_type": "custom"}
            pads = list(zip(pad[::2], pad[1::2], strict=False))
        if output is not None:
            options["output_shape"] = output
        if pad_type is not None:
            options["pad_type"] = pad_type

        def reference(x):
            y = functions[rank](
                torch.from_numpy(x),
                torch.from_numpy(weight),
                torch.from_numpy(bias),
                strides,
                0,
                extra,
                groups,
                dilations,
            ).numpy()
            cuts = pads
            if pad_type == "same":
                wanted = [size * stride for size, stride in zip(x.shape[2:], strides, strict=False)]
                cuts = [
                    ((have - want) // 2, have - want - (have - want) // 2)
                    for have, want in zip(y.shape[2:], wanted, strict=False)
                ]
            return y[
                (
                    slice(None),
                    slice(None),
                    *(slice(a, y.shape[2 + i] - b) for i, (a, b) in enumerate(cuts)),
                )
            ]

        ops.add(
            f"conv_transpose_{name}",
            {"x": x},
            lambda x: mb.conv_transpose(x=x, weight=weight, **options),
            reference,
            both,
        )

    add("1d", 1, (3,), strides=[2])
    add("1d_pad", 1, (4,), strides=[2], pad=[1, 2])
    add("2d", 2, (3, 3))
    add("2d_strided", 2, (3, 2), strides=[2, 3])
    add("2d_dilated", 2, (2, 3), dilations=[2, 2])
    add("2d_grouped", 2, (3, 3), strides=[2, 2], groups=2)
    add("2d_pad", 2, (3, 4), strides=[2, 2], pad=[1, 1, 0, 2])
    add("2d_same", 2, (4, 3), strides=[2, 2], pad_type="same")
    add("2d_output", 2, (3, 3), strides=[2, 2], pad=[1, 1, 1, 1], output=[2, 6, 8, 10], extra=1)
    add("3d", 3, (2, 2, 3), strides=[2, 1, 2])


def pools(ops):
    """Adds pooling of each rank, padding and ceil_mode."""

    def add(name, shape, kernel, reference, op=mb.max_pool, targets=("iOS15",), **options):
        ops.add(
            name,
            {"x": normal(*shape)},
            lambda x: op(x=x, kernel_sizes=list(kernel), **options),
            torched(reference),
            targets,
        )

    add(
        "max_pool_1d",
        (2, 3, 9),
        (3,),
        lambda x: F.max_pool1d(x, 3, 2),
        strides=[2],
        pad_type="valid",
    )
    add(
        "max_pool_2d",
        (2, 3, 7, 8),
        (3, 2),
        lambda x: F.max_pool2d(x, (3, 2), (2, 1), (1, 1)),
        strides=[2, 1],
        pad_type="custom",
        pad=[1, 1, 1, 1],
    )
    add(
        "max_pool_uneven",
        (1, 2, 6, 6),
        (2, 2),
        lambda x: F.max_pool2d(F.pad(x, (0, 1, 1, 0), value=-torch.inf), 2, 1),
        strides=[1, 1],
        pad_type="custom",
        pad=[1, 0, 0, 1],
    )
    add(
        "max_pool_same",
        (1, 2, 7, 8),
        (3, 3),
        lambda x: F.max_pool2d(F.pad(x, (0, 1, 1, 1), value=-torch.inf), 3, 2),
        strides=[2, 2],
        pad_type="same",
    )
    add(
        "max_pool_same_lower",
        (1, 2, 8, 8),
        (3, 3),
        lambda x: F.max_pool2d(F.pad(x, (1, 0, 1, 0), value=-torch.inf), 3, 2),
        strides=[2, 2],
        pad_type="same_lower",
        targets=("iOS16",),
    )
    add(
        "max_pool_ceil",
        (1, 2, 6, 7),
        (2, 3),
        lambda x: F.max_pool2d(x, (2, 3), 2, ceil_mode=True),
        strides=[2, 2],
        pad_type="valid",
        ceil_mode=True,
    )
    add(
        "max_pool_ceil_pad",
        (1, 2, 6, 6),
        (3, 3),
        lambda x: F.max_pool2d(x, 3, 2, 1, ceil_mode=True),
        strides=[2, 2],
        pad_type="custom",
        pad=[1, 1, 1, 1],
        ceil_mode=True,
    )
    add(
        "max_pool_3d",
        (1, 2, 5, 6, 4),
        (2, 3, 2),
        lambda x: F.max_pool3d(x, (2, 3, 2), (2, 1, 1)),
        strides=[2, 1, 1],
        pad_type="valid",
    )
    average = {"op": mb.avg_pool}
    add(
        "avg_pool_1d",
        (2, 3, 9),
        (3,),
        lambda x: F.avg_pool1d(x, 3, 2),
        strides=[2],
        pad_type="valid",
        **average,
    )
    for exclude in (False, True):
        add(
            f"avg_pool_2d_{exclude}",
            (2, 3, 7, 8),
            (3, 2),
            lambda x, exclude=exclude: F.avg_pool2d(
                x, (3, 2), (2, 1), (1, 1), count_include_pad=not exclude
            ),
            strides=[2, 1],
            pad_type="custom",
            pad=[1, 1, 1, 1],
            exclude_padding_from_average=exclude,
            **average,
        )
        add(
            f"avg_pool_ceil_{exclude}",
            (1, 2, 6, 7),
            (2, 3),
            lambda x, exclude=exclude: F.avg_pool2d(
                x, (2, 3), 2, ceil_mode=True, count_include_pad=not exclude
            ),
            strides=[2, 2],
            pad_type="valid",
            ceil_mode=True,
            exclude_padding_from_average=exclude,
            **average,
        )
        add(
            f"avg_pool_3d_{exclude}",
            (1, 2, 5, 6, 4),
            (2, 3, 2),
            lambda x, exclude=exclude: F.avg_pool3d(
                x, (2, 3, 2), (2, 1, 1), (1, 1, 0), count_include_pad=not exclude
            ),
            strides=[2, 1, 1],
            pad_type="custom",
            pad=[1, 1, 1, 1, 0, 0],
            exclude_padding_from_average=exclude,
            **average,
        )
    add(
        "avg_pool_same",
        (1, 2, 6, 6),
        (3, 3),
        lambda x: F.avg_pool2d(F.pad(x, (0, 1, 0, 1)), 3, 2),
        strides=[2, 2],
        pad_type="same",
        exclude_padding_from_average=False,
        **average,
    )
    add(
        "l2_pool_2d",
        (1, 2, 6, 6),
        (2, 3),
        lambda x: F.lp_pool2d(x, 2.0, (2, 3), 2).abs(),
        strides=[2, 2],
        pad_type="valid",
        op=mb.l2_pool,
    )
    add(
        "l2_pool_1d",
        (1, 2, 6),
        (2,),
        lambda x: F.lp_pool1d(x, 2.0, 2, 1).abs(),
        strides=[1],
        pad_type="valid",
        op=mb.l2_pool,
    )


def norms(ops):
    """Adds normalizations."""
    both = ("iOS15", "iOS17")
    mean, variance = normal(3, seed=1), np.abs(normal(3, seed=2)) + f32(0.1)
    gamma, beta = normal(3, seed=3), normal(3, seed=4)
    tensors = {
        key: torch.from_numpy(value)
        for key, value in {"mean": mean, "variance": variance, "gamma": gamma, "beta": beta}.items()
    }
    for shape in ((2, 3, 5), (2, 3, 4, 5), (2, 3, 2, 4, 2)):
        ops.add(
            f"batch_norm_rank{len(shape)}",
            {"x": normal(*shape)},
            lambda x: mb.batch_norm(
                x=x, mean=mean, variance=variance, gamma=gamma, beta=beta, epsilon=1e-3
            ),
            torched(
                lambda x: F.batch_norm(
                    x,
                    tensors["mean"],
                    tensors["variance"],
                    tensors["gamma"],
                    tensors["beta"],
                    eps=1e-3,
                )
            ),
            both,
        )
    ops.add(
        "batch_norm_plain",
        {"x": normal(2, 3, 4, 5)},
        lambda x: mb.batch_norm(x=x, mean=mean, variance=variance),
        torched(lambda x: F.batch_norm(x, tensors["mean"], tensors["variance"])),
        both,
    )
    for shape in ((2, 3, 5), (2, 3, 4, 5)):
        ops.add(
            f"instance_norm_rank{len(shape)}",
            {"x": normal(*shape)},
            lambda x: mb.instance_norm(x=x, gamma=gamma, beta=beta, epsilon=1e-3),
            torched(
                lambda x: F.instance_norm(
                    x, weight=tensors["gamma"], bias=tensors["beta"], eps=1e-3
                )
            ),
            both,
            1e-4,
        )
    ops.add(
        "instance_norm_plain",
        {"x": normal(2, 3, 4, 5)},
        lambda x: mb.instance_norm(x=x),
        torched(F.instance_norm),
        both,
    )
    for shape in ((3, 4, 5), (2, 3, 4, 5)):
        ops.add(
            f"l2_norm_rank{len(shape)}",
            {"x": normal(*shape)},
            lambda x: mb.l2_norm(x=x, epsilon=1e-3),
            lambda x: x / np.sqrt((x * x).sum((-3, -2, -1), keepdims=True) + 1e-3),
            both,
        )

    def layer_norm(x, axes, gamma, beta, epsilon):
        shape = [x.shape[i] if i in axes else 1 for i in range(x.ndim)]
        y = (x - x.mean(axes, keepdims=True)) / np.sqrt(x.var(axes, keepdims=True) + epsilon)
        return y * gamma.reshape(shape) + beta.reshape(shape)

    for axes in ((2,), (1, 2), (1,), (0, 2), (0, 1, 2)):
        shape = [(2, 3, 4)[axis] for axis in axes]
        scale, offset = normal(*shape, seed=5), normal(*shape, seed=6)
        ops.add(
            f"layer_norm_{''.join(map(str, axes))}",
            {"x": normal(2, 3, 4)},
            lambda x, axes=axes, s=scale, o=offset: mb.layer_norm(
                x=x, axes=list(axes), gamma=s, beta=o, epsilon=1e-3
            ),
            lambda x, axes=axes, s=scale, o=offset: layer_norm(x, axes, s, o, 1e-3),
            both,
        )
    ops.add(
        "layer_norm_negative",
        {"x": normal(2, 3, 4)},
        lambda x: mb.layer_norm(x=x, axes=[-1]),
        torched(lambda x: F.layer_norm(x, (4,))),
        both,
    )
    for shape in ((2, 7, 5), (2, 7, 3, 4)):
        for size in (3, 5):
            ops.add(
                f"local_response_norm_{len(shape)}_{size}",
                {"x": normal(*shape)},
                lambda x, size=size: mb.local_response_norm(
                    x=x, size=size, alpha=0.5, beta=0.6, k=1.5
                ),
                torched(lambda x, size=size: F.local_response_norm(x, size, 0.5, 0.6, 1.5)),
                both,
            )
