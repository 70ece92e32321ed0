"""Results that stay different from PyTorch's on an engine, each named by a limit of the table.

Owns: a program for each such limit, called `OPERATION-NUMBER`, with the inputs that show it and
PyTorch's result. Must not: hold what every engine computes; the other families do.
Flow: `python generate.py differences` writes `differences.safetensors`; `cases.rs` runs each on
every engine: one with the limit must differ, any other must not.
"""

import math

import numpy as np
import torch
import torch.nn.functional as F
from archive import Operations
from coremltools.converters.mil.mil import Builder as mb

f32, i32 = np.float32, np.int32
NAN, INF = math.nan, math.inf


def generate(archive):
    """Adds all programs."""
    ops = Operations(archive)
    nans(ops)
    orders(ops)
    integers(ops)


def torched(function):
    """Returns a reference that calls a PyTorch function on NumPy arrays."""
    return lambda *arrays: function(*map(torch.from_numpy, arrays)).numpy()


def nans(ops):
    """Adds what loses NaN."""
    x = {"x": np.array([1, NAN, 3], f32)}
    ops.add(
        "clip-1",
        x,
        lambda x: mb.clip(x=x, alpha=0.0, beta=2.0),
        torched(lambda x: x.clip(0, 2)),
        ("iOS15", "iOS17"),
    )
    ops.add("relu-1", x, mb.relu, torched(F.relu))
    ops.add("relu6-1", x, mb.relu6, torched(F.relu6))
    ops.add(
        "max_pool-1",
        {"x": np.array([3, NAN, 1, 2], f32).reshape(1, 1, 1, 4)},
        lambda x: mb.max_pool(x=x, kernel_sizes=[1, 2], strides=[1, 1], pad_type="valid"),
        torched(lambda x: F.max_pool2d(x, (1, 2), 1)),
    )
    data = {"x": np.array([1, NAN, 3], f32)}
    places, updates = torch.tensor([0, 1, 2]), torch.tensor([NAN, 2, 4])
    for number, (mode, reduce) in enumerate((("max", "amax"), ("min", "amin")), 1):
        options = {"updates": updates.numpy(), "mode": mode}
        expected = torched(lambda x, r=reduce: x.scatter_reduce(0, places, updates, r))
        indices = places.numpy().astype(i32)
        ops.add(
            f"scatter-{number}",
            data,
            lambda x, i=indices, o=options: mb.scatter(data=x, indices=i, axis=0, **o),
            expected,
        )
        ops.add(
            f"scatter_along_axis-{number}",
            data,
            lambda x, i=indices, o=options: mb.scatter_along_axis(data=x, indices=i, axis=0, **o),
            expected,
        )
        ops.add(
            f"scatter_nd-{number}",
            data,
            lambda x, i=indices, o=options: mb.scatter_nd(data=x, indices=i[:, None], **o),
            expected,
        )


def orders(ops):
    """Adds what sorts the largest number of single precision and infinity."""
    largest = np.finfo(f32).max
    x = {"x": np.array([1, largest, INF], f32)}
    ops.add("topk-1", x, lambda x: mb.topk(x=x, k=1), torched(lambda x: x.topk(1)[0]))
    ops.add(
        "argsort-1", x, lambda x: mb.argsort(x=x), torched(lambda x: x.argsort(descending=True))
    )
    for name, sign in (("reduce_argmax", 1), ("reduce_argmin", -1)):
        function = torch.argmax if sign == 1 else torch.argmin
        ops.add(
            f"{name}-1",
            {"x": x["x"] * f32(sign)},
            lambda x, name=name: getattr(mb, name)(x=x, axis=0, keep_dims=True),
            torched(lambda x, f=function: f(x, 0, keepdim=True)),
        )


def integers(ops):
    """Adds integers whose sums and products floats or 32 bits do not hold."""
    x = np.array([[2**24 + 1, 2], [2**24 + 3, -2]], i32)
    same = np.eye(2, dtype=i32)
    ops.add("linear-1", {"x": x}, lambda x: mb.linear(x=x, weight=same), x)
    ops.add("matmul-1", {"x": x, "y": same}, lambda x, y: mb.matmul(x=x, y=y), x)
    ops.add(
        "einsum-1",
        {"x": x.reshape(1, 1, 2, 2), "y": same.reshape(1, 2, 1, 2).repeat(2, 2)},
        lambda x, y: mb.einsum(values=(x, y), equation="nchw,nwhu->nchu"),
        x.reshape(1, 1, 2, 2),
    )
    odd = {"x": np.array([2**24 + 1], i32)}
    for name in ("reduce_l2_norm", "reduce_log_sum_exp"):
        ops.add(
            f"{name}-1",
            odd,
            lambda x, name=name: getattr(mb, name)(x=x, axes=[0], keep_dims=True),
            odd["x"],
        )
    ops.add(
        "resize-2",
        {"x": odd["x"].reshape(1, 1, 1, 1)},
        lambda x: mb.resize(
            x=x,
            shape=[1, 2],
            resized_dims=np.uint32(2),
            interpolation_mode="NEAREST_NEIGHBOR",
            sampling_mode="DEFAULT",
        ),
        np.full((1, 1, 1, 2), 2**24 + 1, i32),
        ("iOS17",),
    )
    large = {"x": np.array([2**31 - 1, 2**31 - 3], i32)}
    ops.add(
        "reduce_mean-1",
        large,
        lambda x: mb.reduce_mean(x=x, axes=[0], keep_dims=True),
        np.array([2**31 - 2], i32),
    )
    odd = np.array([3] * 50, i32)
    ops.add(
        "reduce_prod-1",
        {"x": odd},
        lambda x: mb.reduce_prod(x=x, axes=[0], keep_dims=True),
        torched(lambda x: x.prod(0, keepdim=True, dtype=torch.int32)),
    )
