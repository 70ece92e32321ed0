"""Operations on int32: every one of MIL's that takes such tensors and has no such case elsewhere.

Owns: those cases. Must not: hold operations on floats.
Flow: `generate.py` → here → `archive.py`.

What coremltools computes of integers is of their type: a mean is cut off towards zero, and sums and
products wrap around.
"""

import numpy as np
import torch
from archive import Operations
from coremltools.converters.mil.mil import Builder as mb
from images import bilinear as interpolated
from images import nearest

f32, i32 = np.float32, np.int32
SMALLEST, LARGEST = -(2**31), 2**31 - 1


def bilinear(x, height, width):
    """Resizes an image as `resize` does by default."""
    return interpolated(x, "DEFAULT", height, width)


def generate(archive):
    """Adds all cases."""
    ops = Operations(archive)
    reductions(ops)
    overflows(ops)
    products(ops)
    orders(ops)
    arrangements(ops)
    indexed(ops)
    lists(ops)


def matrix():
    """Returns positive numbers, with equal ones."""
    return np.array([[3, 1, 9, 9], [7, 2, 2, 8], [5, 6, 4, 1]], i32)


def signed():
    """Returns numbers of both signs."""
    return matrix() * np.array([1, -1, 1, -1], i32)


def reductions(ops):
    """Adds reductions along one axis, several and all, of a result of integers."""

    def cut(function):
        """Returns a reference in double precision, cut off towards zero."""
        return lambda x, axes: np.trunc(function(x.astype(np.float64), axes)).astype(i32)

    functions = {
        "reduce_l1_norm": (signed, lambda x, axes: np.abs(x).sum(axes)),
        "reduce_l2_norm": (signed, cut(lambda x, axes: np.sqrt((x**2).sum(axes)))),
        "reduce_log_sum": (matrix, cut(lambda x, axes: np.log(x.sum(axes)))),
        "reduce_log_sum_exp": (signed, cut(lambda x, axes: np.log(np.exp(x).sum(axes)))),
        "reduce_max": (signed, lambda x, axes: x.max(axes)),
        "reduce_mean": (signed, cut(lambda x, axes: x.mean(axes))),
        "reduce_min": (signed, lambda x, axes: x.min(axes)),
        "reduce_prod": (signed, lambda x, axes: x.prod(axes)),
        "reduce_sum": (signed, lambda x, axes: x.sum(axes)),
        "reduce_sum_square": (signed, lambda x, axes: (x**2).sum(axes)),
    }
    for name, (values, function) in functions.items():
        for label, axes in (("last", (1,)), ("first", (0,)), ("all", None)):
            ops.add(
                f"{name}_{label}",
                {"x": values()},
                lambda x, name=name, axes=axes: getattr(mb, name)(
                    x=x, axes=axes, keep_dims=axes is not None
                ),
                lambda x, f=function, axes=axes: np.asarray(f(x, axes)).reshape(
                    {None: (1,), (1,): (3, 1), (0,): (1, 4)}[axes]
                ),
            )
        ops.add(
            f"{name}_varying",
            {"x": values()},
            lambda x, name=name: getattr(mb, name)(x=x, axes=[1], keep_dims=False),
            lambda x, f=function: f(x, (1,)),
            varying={"x": (0, 1)},
        )
    for name, function in (("reduce_argmax", np.argmax), ("reduce_argmin", np.argmin)):
        ops.add(
            name,
            {"x": signed()},
            lambda x, name=name: getattr(mb, name)(x=x, axis=1, keep_dims=False),
            lambda x, f=function: f(x, 1),
            ("iOS15", "iOS17"),
        )
        ops.add(
            f"{name}_ends",
            {"x": np.array([[0, SMALLEST, LARGEST, SMALLEST, LARGEST]], i32)},
            lambda x, name=name: getattr(mb, name)(x=x, axis=1, keep_dims=False),
            lambda x, f=function: f(x, 1),
        )


def overflows(ops):
    """Adds results that 32 bits do not hold; PyTorch wraps around."""
    x = np.array([LARGEST, SMALLEST, 2**20, -(2**20), 65536, 3], i32)
    y = np.array([1, -1, 2**12, 2**12, 65536, 3], i32)
    pairs = {"x": x, "y": y}

    def torched(function):
        """Returns a reference that calls a PyTorch function."""
        return lambda *arrays: function(*map(torch.from_numpy, arrays)).numpy()

    for name in ("add", "sub", "mul"):
        ops.add(f"{name}_overflow", pairs, getattr(mb, name), torched(getattr(torch, name)))
    for name, function in (("abs", torch.abs), ("square", torch.square)):
        ops.add(f"{name}_overflow", {"x": x}, getattr(mb, name), torched(function))
    ops.add(
        "cumsum_overflow",
        {"x": x},
        lambda x: mb.cumsum(x=x, axis=0),
        torched(lambda x: x.cumsum(0, dtype=torch.int32)),
    )

    def wide(function):
        """Returns a reference in 64 bits, wrapped around to 32."""
        return lambda x: function(x.astype(np.int64), 0).astype(i32)

    functions = {
        "reduce_l1_norm": lambda x, axis: np.abs(x).sum(axis),
        "reduce_prod": np.prod,
        "reduce_sum": np.sum,
        "reduce_sum_square": lambda x, axis: (x**2).sum(axis),
    }
    # A product of more than 64 bits is one of the differences.
    many = np.stack((x, x, np.full_like(x, 3)))
    held = np.array([[2**16, -(2**30), LARGEST], [2**16, 5, 3], [3, 2, 1]], i32)
    for name, function in functions.items():
        ops.add(
            f"{name}_overflow",
            {"x": held if name == "reduce_prod" else many},
            lambda x, name=name: getattr(mb, name)(x=x, axes=[0], keep_dims=False),
            wide(function),
        )


def products(ops):
    """Adds sums of products."""
    x, y = {"x": signed()}, matrix().T.copy()
    ops.add(
        "linear",
        x,
        lambda x: mb.linear(x=x, weight=matrix(), bias=np.array([1, -2, 3], i32)),
        lambda x: x @ y + np.array([1, -2, 3], i32),
    )
    ops.add("matmul", {**x, "y": y}, lambda x, y: mb.matmul(x=x, y=y), np.matmul)
    images = {
        "x": np.arange(24, dtype=i32).reshape(1, 2, 3, 4),
        "y": np.arange(60, dtype=i32).reshape(1, 4, 3, 5),
    }
    ops.add(
        "einsum",
        images,
        lambda x, y: mb.einsum(values=(x, y), equation="nchw,nwhu->nchu"),
        lambda x, y: np.einsum("nchw,nwhu->nchu", x, y),
    )


def orders(ops):
    """Adds what sorts, counts and finds."""
    x = {"x": signed()}
    ends = {"x": np.array([0, SMALLEST, LARGEST, -1, SMALLEST], i32)}

    def best(x, count, ascending):
        """Returns the extremes along the last axis and their positions, the first of equals."""
        order = np.argsort(x if ascending else -x.astype(np.int64), axis=-1, kind="stable")
        order = order[..., :count]
        return np.take_along_axis(x, order, -1), order

    for label, inputs in (("", x), ("_ends", ends)):
        for ascending in (True, False):
            ops.add(
                f"topk_{ascending}{label}",
                inputs,
                lambda x, a=ascending: mb.topk(x=x, k=3, axis=-1, ascending=a),
                lambda x, a=ascending: best(x, 3, a),
                ("iOS15", "iOS16", "iOS17"),
            )
            ops.add(
                f"argsort_{ascending}{label}",
                inputs,
                lambda x, a=ascending: mb.argsort(x=x, axis=-1, ascending=a),
                lambda x, a=ascending: best(x, x.shape[-1], a)[1],
            )
    ops.add(
        "cumsum",
        x,
        lambda x: mb.cumsum(x=x, axis=1, exclusive=True, reverse=True),
        lambda x: np.cumsum(x[:, ::-1], 1)[:, ::-1] - x,
    )
    ops.add("non_zero", {"x": matrix() % 3}, lambda x: mb.non_zero(x=x), np.argwhere)
    ops.add(
        "band_part",
        x,
        lambda x: mb.band_part(x=x, lower=0, upper=1),
        lambda x: np.triu(x) - np.triu(x, 2),
    )
    ops.add(
        "select",
        {"c": matrix() % 2, "x": signed(), "y": matrix()},
        lambda c, x, y: mb.select(cond=mb.cast(x=c, dtype="bool"), a=x, b=y),
        lambda c, x, y: np.where(c, x, y),
    )
    ops.add("threshold", x, lambda x: mb.threshold(x=x, alpha=i32(2)), lambda x: np.maximum(x, 2))
    ops.add("exp2", {"x": np.array([0, 1, 5, 30], i32)}, mb.exp2, lambda x: 2**x)


def arrangements(ops):
    """Adds what moves numbers without reading them."""
    x = {"x": signed()}
    image = {"x": np.arange(2 * 6 * 4, dtype=i32).reshape(1, 2, 6, 4)}
    cases = {
        "flatten2d": (image, lambda x: mb.flatten2d(x=x, axis=2), lambda x: x.reshape(2, 24)),
        "reshape": (x, lambda x: mb.reshape(x=x, shape=[2, 6]), lambda x: x.reshape(2, 6)),
        "reverse": (x, lambda x: mb.reverse(x=x, axes=[1]), lambda x: x[:, ::-1]),
        "shape": (x, lambda x: mb.shape(x=x), np.array([3, 4], i32)),
        "slice_by_index": (
            x,
            lambda x: mb.slice_by_index(x=x, begin=[2, 3], end=[0, 0], stride=[-1, -2]),
            lambda x: x[2:0:-1, 3:0:-2],
        ),
        "slice_by_size": (
            x,
            lambda x: mb.slice_by_size(x=x, begin=[1, 2], size=[2, -1]),
            lambda x: x[1:3, 2:],
        ),
        "sliding_windows": (
            x,
            lambda x: mb.sliding_windows(x=x, axis=1, size=2, stride=2),
            lambda x: x.reshape(3, 2, 2),
        ),
        "split": (
            x,
            lambda x: mb.split(x=x, split_sizes=[1, 3], axis=1),
            lambda x: (x[:, :1], x[:, 1:]),
        ),
        "tile": (x, lambda x: mb.tile(x=x, reps=[2, 3]), lambda x: np.tile(x, (2, 3))),
        "transpose": (x, lambda x: mb.transpose(x=x, perm=[1, 0]), lambda x: x.T),
        "pad": (
            x,
            lambda x: mb.pad(x=mb.cast(x=x, dtype="fp32"), pad=[1, 0, 0, 2], mode="constant"),
            lambda x: np.pad(x, ((1, 0), (0, 2))).astype(f32),
        ),
        "stack": (x, lambda x: mb.stack(values=(x, x), axis=1), lambda x: np.stack((x, x), 1)),
        "concat": (
            x,
            lambda x: mb.concat(values=(x, x), axis=1),
            lambda x: np.concatenate((x, x), 1),
        ),
    }
    for name, (inputs, build, expected) in cases.items():
        ops.add(name, inputs, build, expected)
    ops.add(
        "reverse_sequence",
        x,
        lambda x: mb.reverse_sequence(x=x, lengths=[2, 4, 1], seq_axis=1, batch_axis=0),
        lambda x: np.stack((x[0][[1, 0, 2, 3]], x[1][::-1], x[2])),
    )
    later = {
        "fill_like": (
            "iOS16",
            lambda x: mb.fill_like(ref_tensor=x, value=i32(-7)),
            lambda x: x * 0 - 7,
        ),
        "reshape_like": (
            "iOS16",
            lambda x: mb.reshape_like(
                x=x,
                ref_tensors=(np.zeros((2, 6), i32),),
                begins=[0],
                ends=[2],
                end_masks=[False],
            ),
            lambda x: x.reshape(2, 6),
        ),
        "slice_update": (
            "iOS18",
            lambda x: mb.slice_update(
                x=x, update=np.array([[70, 80]], i32), begin=[1, 1], end=[2, 3]
            ),
            lambda x: np.concatenate((x[:1], [[*x[1, :1], 70, 80, *x[1, 3:]]], x[2:])),
        ),
    }
    for name, (target, build, expected) in later.items():
        ops.add(name, x, build, expected, (target,))
    for mode, function in (("NEAREST_NEIGHBOR", nearest), ("LINEAR", bilinear)):
        ops.add(
            f"resize_{mode}",
            image,
            lambda x, m=mode: mb.resize(
                x=x,
                shape=[12, 8],
                resized_dims=np.uint32(2),
                interpolation_mode=m,
                sampling_mode="DEFAULT",
            ),
            lambda x, f=function: np.trunc(f(x.astype(f32), 12, 8)).astype(i32),
            ("iOS17",),
        )


def indexed(ops):
    """Adds what gathers and scatters."""
    x = {"x": signed()}
    rows, updates = np.array([2, 0, 2], i32), matrix() * 10
    along = np.array([[3, 0], [1, 1], [2, 0]], i32)
    pairs = np.array([[0, 1], [2, 3]], i32)
    both = ("iOS15", "iOS17")
    ops.add("gather", x, lambda x: mb.gather(x=x, indices=rows, axis=0), lambda x: x[rows], both)
    ops.add(
        "gather_along_axis",
        x,
        lambda x: mb.gather_along_axis(x=x, indices=along, axis=1),
        lambda x: np.take_along_axis(x, along, 1),
        both,
    )
    ops.add(
        "gather_nd",
        x,
        lambda x: mb.gather_nd(x=x, indices=pairs),
        lambda x: x[pairs[:, 0], pairs[:, 1]],
        both,
    )

    def changed(x, mode, places, values):
        """Returns a copy with some places changed, one after another."""
        functions = {
            "update": lambda old, new: new,
            "add": np.add,
            "sub": np.subtract,
            "mul": np.multiply,
            "max": np.maximum,
            "min": np.minimum,
        }
        y = x.copy()
        for place, value in zip(places, values, strict=True):
            y[place] = functions[mode](y[place], value)
        return y

    for mode in ("update", "add", "sub", "mul", "max", "min"):
        # Updates of one place twice have no order.
        order = np.array([2, 0, 1], i32) if mode == "update" else rows
        ops.add(
            f"scatter_{mode}",
            x,
            lambda x, m=mode, o=order: mb.scatter(
                data=x, indices=o, updates=updates, axis=0, mode=m
            ),
            lambda x, m=mode, o=order: changed(x, m, o, updates),
            both,
        )
        ops.add(
            f"scatter_along_axis_{mode}",
            x,
            lambda x, m=mode: (
                mb.scatter_along_axis(data=x, indices=along, updates=updates[:, :2], axis=1, mode=m)
                if m != "update"
                else mb.scatter_along_axis(
                    data=x, indices=along[:, :1], updates=updates[:, :1], axis=1, mode=m
                )
            ),
            lambda x, m=mode: changed(
                x,
                m,
                [
                    (row, along[row, k])
                    for row in range(3)
                    for k in range(1 if m == "update" else 2)
                ],
                [updates[row, k] for row in range(3) for k in range(1 if m == "update" else 2)],
            ),
            both,
        )
        ops.add(
            f"scatter_nd_{mode}",
            x,
            lambda x, m=mode: mb.scatter_nd(
                data=x, indices=pairs, updates=np.array([50, -60], i32), mode=m
            ),
            lambda x, m=mode: changed(x, m, map(tuple, pairs), [50, -60]),
            both,
        )


def lists(ops):
    """Adds lists."""

    def written(x):
        ls = mb.make_list(init_length=3, elem_shape=(4,), dtype="int32")
        ls = mb.list_write(
            ls=ls, index=1, value=mb.squeeze(x=mb.gather(x=x, indices=[2], axis=0), axes=[0])
        )
        ls = mb.list_scatter(ls=ls, indices=[0, 2], value=mb.gather(x=x, indices=[0, 1], axis=0))
        return mb.list_read(ls=ls, index=1), mb.list_gather(ls=ls, indices=[2, 0])

    ops.add("list", {"x": signed()}, written, lambda x: (x[2], x[[1, 0]]))
