"""Reductions, rearrangement, slicing, gathering, ordering; the reference is NumPy or PyTorch.

Flow: `generate.py` → here → `archive.py`.
"""

import math

import numpy as np
import torch
from archive import Operations
from coremltools.converters.mil.mil import Builder as mb
from torch.nn import functional as F

f32, i32 = np.float32, np.int32
BOTH = ("iOS15", "iOS17")


def generate(archive):
    """Adds all cases."""
    ops = Operations(archive)
    reductions(ops)
    shapes(ops)
    joins(ops)
    pads_and_fills(ops)
    slices(ops)
    updates(ops)
    gathers(ops)
    scatters(ops)
    orders(ops)
    blocks(ops)
    quantization(ops)


def normal(*shape, seed=0):
    """Returns normally distributed numbers."""
    return np.random.default_rng(seed).normal(size=shape).astype(f32)


def count(*shape):
    """Returns the numbers 0, 1, 2, … in a shape."""
    return np.arange(math.prod(shape), dtype=f32).reshape(shape)


def reductions(ops):
    """Adds reductions over some, one and all axes, of floats and integers."""

    def log_sum_exp(x, **options):
        return np.log(np.exp(x).sum(**options))

    functions = {
        "l1_norm": lambda x, **o: np.abs(x).sum(**o),
        "l2_norm": lambda x, **o: np.sqrt((x * x).sum(**o)),
        "log_sum": lambda x, **o: np.log(x.sum(**o)),
        "log_sum_exp": log_sum_exp,
        "max": np.max,
        "mean": np.mean,
        "min": np.min,
        "prod": np.prod,
        "sum": np.sum,
        "sum_square": lambda x, **o: (x * x).sum(**o),
    }
    for name, function in functions.items():
        x = np.abs(normal(2, 3, 4)) + f32(0.1)
        op = getattr(mb, f"reduce_{name}")
        for axes, keep in (((1,), True), ((0, -1), False), (None, False), (None, True)):
            label = "all" if axes is None else "".join(map(str, axes)).replace("-", "n")
            ops.add(
                f"reduce_{name}_{label}_{keep}",
                {"x": x},
                lambda x, op=op, axes=axes, keep=keep: op(
                    x=x, axes=None if axes is None else list(axes), keep_dims=keep
                ),
                lambda x, f=function, axes=axes, keep=keep: f(x, axis=axes, keepdims=keep),
            )
    integers = {"x": np.array([[3, -1, 4], [1, -5, 9]], i32)}
    for name in ("max", "min", "sum", "prod", "sum_square"):
        ops.add(
            f"reduce_{name}_int",
            integers,
            lambda x, name=name: getattr(mb, f"reduce_{name}")(x=x, axes=[1]),
            lambda x, name=name: functions[name](x, axis=1),
        )
    ties = {"x": np.array([[1.0, 3.0, 3.0], [-2.0, -2.0, -5.0]], f32)}
    for name, function in {"argmax": np.argmax, "argmin": np.argmin}.items():
        op = getattr(mb, f"reduce_{name}")
        for axis, keep in ((1, False), (0, True), (-1, True)):
            ops.add(
                f"reduce_{name}_{axis}_{keep}".replace("-", "n"),
                ties,
                lambda x, op=op, axis=axis, keep=keep: op(x=x, axis=axis, keep_dims=keep),
                lambda x, f=function, axis=axis, keep=keep: f(x, axis=axis, keepdims=keep),
                BOTH,
            )
        ops.add(
            f"reduce_{name}_uint16",
            ties,
            lambda x, op=op: op(x=x, axis=1, output_dtype="uint16"),
            lambda x, f=function: f(x, axis=1),
            ("iOS17",),
        )


def shapes(ops):
    """Adds operations that give the same elements another shape."""
    x = {"x": count(2, 3, 4)}
    for shape in ((6, 4), (2, -1), (0, 12, -1), (24,), (1, 2, 1, 12)):
        known = [s for s in shape]
        expected = count(2, 3, 4).reshape([2 if s == 0 else s for s in shape])
        ops.add(
            f"reshape_{'_'.join(map(str, shape))}".replace("-", "n"),
            x,
            lambda x, shape=known: mb.reshape(x=x, shape=shape),
            expected,
            BOTH,
        )
    ops.add(
        "reshape_computed",
        {"x": count(2, 3, 4), "s": np.array([4, 6], i32)},
        mb_reshape,
        lambda x, s: x.reshape(s),
        BOTH,
    )
    ops.add(
        "reshape_like",
        {"x": count(2, 3, 4), "y": count(6, 5), "z": count(7, 2, 2)},
        lambda x, y, z: mb.reshape_like(
            x=x, ref_tensors=(y, z), begins=(0, 1), ends=(1, 0), end_masks=(False, True)
        ),
        lambda x, y, z: x.reshape(6, 2, 2),
        ("iOS16", "iOS17"),
    )
    for perm in ((2, 0, 1), (0, 2, 1), (-1, -2, -3)):
        ops.add(
            f"transpose_{'_'.join(map(str, perm))}".replace("-", "n"),
            x,
            lambda x, perm=perm: mb.transpose(x=x, perm=list(perm)),
            lambda x, perm=perm: x.transpose(perm),
            BOTH,
        )
    for axes in ((0,), (1, 3), (-1,), (-1, 0)):
        ops.add(
            f"expand_dims_{'_'.join(map(str, axes))}".replace("-", "n"),
            x,
            lambda x, axes=axes: mb.expand_dims(x=x, axes=list(axes)),
            lambda x, axes=axes: np.expand_dims(x, axes),
            BOTH,
        )
    ones = {"x": count(1, 3, 1, 2)}
    ops.add("squeeze_all", ones, lambda x: mb.squeeze(x=x), np.squeeze, BOTH)
    ops.add("squeeze_one", ones, lambda x: mb.squeeze(x=x, axes=[-2]), lambda x: x.squeeze(2), BOTH)
    for axis in (0, 1, 2, -1):
        ops.add(
            f"flatten2d_{axis}".replace("-", "n"),
            x,
            lambda x, axis=axis: mb.flatten2d(x=x, axis=axis),
            lambda x, axis=axis: x.reshape(math.prod(x.shape[:axis]), -1),
        )
    ops.add("shape", x, lambda x: mb.shape(x=x), np.array([2, 3, 4], i32))
    ops.add("identity", x, lambda x: mb.identity(x=x), lambda x: x)


def mb_reshape(x, s):
    """Reshapes to a computed shape."""
    return mb.reshape(x=x, shape=s)


def joins(ops):
    """Adds concat, stack and split."""
    pairs = {"x": count(2, 3), "y": -count(2, 3)}
    for axis in (0, 1, -1):
        ops.add(
            f"concat_{axis}".replace("-", "n"),
            pairs,
            lambda x, y, axis=axis: mb.concat(values=(x, y), axis=axis),
            lambda x, y, axis=axis: np.concatenate((x, y), axis),
        )
        ops.add(
            f"stack_{axis}".replace("-", "n"),
            pairs,
            lambda x, y, axis=axis: mb.stack(values=(x, y), axis=axis),
            lambda x, y, axis=axis: np.stack((x, y), axis),
        )
    ops.add(
        "concat_uneven",
        {"x": count(2, 3), "y": count(2, 1)},
        lambda x, y: mb.concat(values=(x, y, x), axis=1),
        lambda x, y: np.concatenate((x, y, x), 1),
    )
    for axis in (0, 1):
        ops.add(
            f"concat_interleave_{axis}",
            pairs,
            lambda x, y, axis=axis: mb.concat(values=(x, y), axis=axis, interleave=True),
            lambda x, y, axis=axis: np.stack((x, y), axis + 1).reshape(
                [s * (2 if i == axis else 1) for i, s in enumerate(x.shape)]
            ),
        )
    x = {"x": count(4, 6)}
    ops.add(
        "split_even",
        x,
        lambda x: mb.split(x=x, num_splits=3, axis=1),
        lambda x: tuple(np.split(x, 3, 1)),
    )
    ops.add(
        "split_sizes",
        x,
        lambda x: mb.split(x=x, split_sizes=[1, 3, 2], axis=-1),
        lambda x: tuple(np.split(x, [1, 4], 1)),
    )


def pads_and_fills(ops):
    """Adds pad, fill, fill_like and tile."""
    x = {"x": count(2, 3, 4)}
    for mode, numpy_mode in {
        "constant": "constant",
        "reflect": "reflect",
        "replicate": "edge",
    }.items():
        options = {"constant_val": 7.5} if mode == "constant" else {}
        ops.add(
            f"pad_{mode}",
            x,
            lambda x, mode=mode, options=options: mb.pad(
                x=x, pad=[1, 2, 2, 1], mode=mode, **options
            ),
            lambda x, m=numpy_mode: np.pad(
                x,
                ((0, 0), (1, 2), (2, 1)),
                m,
                **({"constant_values": 7.5} if m == "constant" else {}),
            ),
        )
    ops.add(
        "pad_all",
        x,
        lambda x: mb.pad(x=x, pad=[1, 0, 0, 2, 3, 0]),
        lambda x: np.pad(x, ((1, 0), (0, 2), (3, 0))),
    )
    ops.add(
        "pad_computed",
        {"x": count(2, 3), "p": np.array([0, 1, 2, 0], i32)},
        lambda x, p: mb.pad(x=x, pad=p),
        lambda x, p: np.pad(x, ((0, 1), (2, 0))),
    )
    shape = {"s": np.array([2, 3], i32)}
    ops.add(
        "fill", shape, lambda s: mb.fill(shape=s, value=1.5), lambda s: np.full((2, 3), 1.5, f32)
    )
    ops.add(
        "fill_int", shape, lambda s: mb.fill(shape=s, value=3), lambda s: np.full((2, 3), 3, i32)
    )
    ops.add(
        "fill_bool",
        shape,
        lambda s: mb.fill(shape=s, value=True),
        lambda s: np.full((2, 3), 1, i32),
    )
    ops.add("fill_default", shape, lambda s: mb.fill(shape=s), lambda s: np.zeros((2, 3), f32))
    ops.add(
        "fill_like",
        {"x": normal(2, 3)},
        lambda x: mb.fill_like(ref_tensor=x, value=2.5),
        lambda x: np.full((2, 3), 2.5, f32),
        ("iOS16",),
    )
    ops.add(
        "tile",
        {"x": count(2, 3)},
        lambda x: mb.tile(x=x, reps=[2, 3]),
        lambda x: np.tile(x, (2, 3)),
    )
    ops.add(
        "tile_computed",
        {"x": count(2, 3), "r": np.array([1, 2], i32)},
        lambda x, r: mb.tile(x=x, reps=r),
        lambda x, r: np.tile(x, (1, 2)),
    )
    ops.add(
        "tile_bool",
        {"x": np.array([[1, 0]], i32)},
        lambda x: mb.tile(x=mb.cast(x=x, dtype="bool"), reps=[2, 2]),
        lambda x: np.tile(x, (2, 2)),
    )


def slices(ops):
    """Adds slice_by_index with every mask and sign, slice_by_size, sliding_windows, reverse and
    select."""
    x = {"x": count(4, 5, 6)}
    options = {
        "plain": ({"begin": [1, 0, 2], "end": [3, 5, 6]}, np.s_[1:3, 0:5, 2:6]),
        "negative": ({"begin": [-3, -4, 0], "end": [-1, 5, -2]}, np.s_[-3:-1, -4:5, 0:-2]),
        "strided": (
            {"begin": [0, 1, 0], "end": [4, 5, 6], "stride": [2, 3, 4]},
            np.s_[0:4:2, 1:5:3, 0:6:4],
        ),
        "backwards": (
            {"begin": [3, 4, 5], "end": [0, 1, 0], "stride": [-1, -2, -3]},
            np.s_[3:0:-1, 4:1:-2, 5:0:-3],
        ),
        "masks": (
            {
                "begin": [2, 1, 3],
                "end": [3, 2, 4],
                "begin_mask": [True, False, True],
                "end_mask": [False, True, True],
            },
            np.s_[:3, 1:, :],
        ),
        "backwards_masks": (
            {
                "begin": [0, 0, 0],
                "end": [0, 0, 0],
                "stride": [-1, -1, -2],
                "begin_mask": [True] * 3,
                "end_mask": [True] * 3,
            },
            np.s_[::-1, ::-1, ::-2],
        ),
        "squeeze": (
            {"begin": [1, -1, 2], "end": [0, 0, 4], "squeeze_mask": [True, True, False]},
            np.s_[1, -1, 2:4],
        ),
        "beyond": ({"begin": [-9, 0, 2], "end": [9, 5, 99]}, np.s_[-9:9, 0:5, 2:99]),
        "empty_begin": ({"begin": [0, 0, 0], "end": [1, 5, 6]}, np.s_[0:1]),
    }
    for name, (arguments, index) in options.items():
        ops.add(
            f"slice_by_index_{name}",
            x,
            lambda x, arguments=arguments: mb.slice_by_index(x=x, **arguments),
            lambda x, index=index: x[index],
            BOTH,
        )
    computed = {**x, "b": np.array([1, -1, 2], i32), "e": np.array([3, 0, -1], i32)}
    ops.add(
        "slice_by_index_computed",
        computed,
        lambda x, b, e: mb.slice_by_index(
            x=x, begin=b, end=e, squeeze_mask=[False, True, False], end_mask=[False, False, True]
        ),
        lambda x, b, e: x[1:3, -1, 2:],
        BOTH,
    )
    ops.add(
        "slice_by_index_computed_strided",
        {**x, "b": np.array([0, 1, 5], i32), "e": np.array([4, 5, 0], i32)},
        lambda x, b, e: mb.slice_by_index(
            x=x, begin=b, end=e, stride=[1, 2, -2], begin_mask=[True, False, False]
        ),
        lambda x, b, e: x[:4, 1:5:2, 5:0:-2],
        BOTH,
    )
    ops.add(
        "slice_by_size",
        x,
        lambda x: mb.slice_by_size(x=x, begin=[1, 2, 0], size=[2, -1, 3]),
        lambda x: x[1:3, 2:, :3],
        BOTH,
    )
    ops.add(
        "slice_by_size_negative",
        x,
        lambda x: mb.slice_by_size(x=x, begin=[-2, 0, -3], size=[2, 5, 2]),
        lambda x: x[-2:, :, -3:-1],
        BOTH,
    )
    ops.add(
        "slice_by_size_computed",
        {**x, "b": np.array([1, -2, 0], i32)},
        lambda x, b: mb.slice_by_size(x=x, begin=b, size=[2, 1, -1]),
        lambda x, b: x[1:3, -2:-1],
        BOTH,
    )
    for axis, size, stride in ((0, 2, 1), (1, 3, 2), (-1, 4, 1)):

        def windows(x, axis=axis, size=size, stride=stride):
            axis %= x.ndim
            starts = range(0, x.shape[axis] - size + 1, stride)
            return np.stack([np.take(x, range(s, s + size), axis) for s in starts], axis)

        ops.add(
            f"sliding_windows_{axis}".replace("-", "n"),
            x,
            lambda x, o=(axis, size, stride): mb.sliding_windows(
                x=x, axis=o[0], size=o[1], stride=o[2]
            ),
            windows,
            BOTH,
        )
    for axes in ((0,), (1, 2), (-1,), None):
        ops.add(
            f"reverse_{'all' if axes is None else '_'.join(map(str, axes))}".replace("-", "n"),
            x,
            lambda x, axes=axes: (
                mb.reverse(x=x) if axes is None else mb.reverse(x=x, axes=list(axes))
            ),
            lambda x, axes=axes: np.flip(x, axes),
            BOTH,
        )
    lengths = np.array([1, 3, 4, 0], i32)

    def reversed_rows(x, lengths):
        y = x.copy()
        for row, length in enumerate(lengths):
            y[row, :length] = x[row, :length][::-1]
        return y

    ops.add(
        "reverse_sequence",
        {**x, "n": lengths},
        lambda x, n: mb.reverse_sequence(x=x, lengths=n, seq_axis=1, batch_axis=0),
        reversed_rows,
        BOTH,
    )
    ops.add(
        "reverse_sequence_moved",
        {"x": count(5, 6, 4), "n": lengths},
        lambda x, n: mb.reverse_sequence(x=x, lengths=n, seq_axis=0, batch_axis=-1),
        lambda x, n: reversed_rows(x.transpose(2, 0, 1), n).transpose(1, 2, 0),
        BOTH,
    )
    chosen = {"c": np.array([[1, 0, 1]], i32), "x": count(2, 3), "y": -count(2, 1) - 1}
    ops.add(
        "select",
        chosen,
        lambda c, x, y: mb.select(cond=mb.cast(x=c, dtype="bool"), a=x, b=y),
        lambda c, x, y: np.where(c, x, y),
    )
    ops.add(
        "select_bool",
        {
            "c": np.array([[1, 0, 1, 0]], i32),
            "x": np.array([[1, 1, 0, 0]], i32),
            "y": np.array([[0, 1], [1, 0]], i32),
        },
        lambda c, x, y: mb.select(
            cond=mb.cast(x=c, dtype="bool"),
            a=mb.cast(x=x, dtype="bool"),
            b=mb.cast(x=mb.concat(values=[y, y], axis=1), dtype="bool"),
        ),
        lambda c, x, y: np.where(c, x, np.concatenate([y, y], axis=1)),
    )


def updates(ops):
    """Adds slice_update."""
    cases = {
        "rows": (
            (4, 5, 6),
            np.s_[1:3],
            {
                "begin": [1, 0, 0],
                "end": [3, 0, 0],
                "begin_mask": [False, True, True],
                "end_mask": [False, True, True],
            },
        ),
        "middle": ((4, 5, 6), np.s_[:, 2:4], {"begin": [0, 2, 0], "end": [4, 4, 6]}),
        "strided": (
            (4, 5, 6),
            np.s_[0:4:2, 4:0:-2, 1:6:3],
            {"begin": [0, 4, 1], "end": [4, 0, 6], "stride": [2, -2, 3]},
        ),
        "squeeze": (
            (4, 5, 6),
            np.s_[-1, 1:4, 2],
            {"begin": [-1, 1, 2], "end": [0, 4, 3], "squeeze_mask": [True, False, True]},
        ),
        "whole": (
            (2, 3),
            np.s_[:],
            {"begin": [0, 0], "end": [2, 3], "begin_mask": [True, True], "end_mask": [True, True]},
        ),
    }
    for name, (shape, index, arguments) in cases.items():
        x = normal(*shape)
        update = normal(*x[index].shape, seed=1)

        def expected(x, u, index=index):
            y = x.copy()
            y[index] = u
            return y

        ops.add(
            f"slice_update_{name}",
            {"x": x, "u": update},
            lambda x, u, arguments=arguments: mb.slice_update(x=x, update=u, **arguments),
            expected,
            ("iOS18",),
        )
    cache = {
        "x": normal(2, 1, 8, 4),
        "u": normal(2, 1, 1, 4, seed=1),
        "b": np.array([0, 0, 5, 0], i32),
        "e": np.array([0, 0, 6, 0], i32),
    }

    def written(x, u, b, e):
        y = x.copy()
        y[:, :, 5:6] = u
        return y

    ops.add(
        "slice_update_computed",
        cache,
        lambda x, u, b, e: mb.slice_update(
            x=x,
            update=u,
            begin=b,
            end=e,
            begin_mask=[True, True, False, True],
            end_mask=[True, True, False, True],
        ),
        written,
        ("iOS18",),
    )


def gathers(ops):
    """Adds gather, gather_along_axis and gather_nd with negative indices and batch dimensions."""
    x = count(3, 4, 5)
    indices = np.array([[2, 0], [-1, 1]], i32)
    all_targets = ("iOS15", "iOS16", "iOS17")
    for axis in (0, 1, -1):
        positive = indices % x.shape[axis]
        ops.add(
            f"gather_{axis}".replace("-", "n"),
            {"x": x, "i": positive},
            lambda x, i, axis=axis: mb.gather(x=x, indices=i, axis=axis),
            lambda x, i, axis=axis: np.take(x, i, axis),
            all_targets,
        )
    ops.add(
        "gather_negative",
        {"x": x, "i": indices},
        lambda x, i: mb.gather(x=x, indices=i, axis=1),
        lambda x, i: np.take(x, i, 1),
        ("iOS15", "iOS16"),
    )
    ops.add(
        "gather_scalar",
        {"x": x},
        lambda x: mb.gather(x=x, indices=2, axis=1),
        lambda x: x[:, 2],
        all_targets,
    )
    ops.add(
        "gather_uint16",
        {"x": x, "i": np.array([2, 0], i32)},
        lambda x, i: mb.gather(x=x, indices=mb.cast(x=i, dtype="uint16"), axis=1),
        lambda x, i: x[:, [2, 0]],
        ("iOS17",),
    )
    batched = np.array([[1, 0], [3, 3], [2, 0]], i32)
    ops.add(
        "gather_batch",
        {"x": x, "i": batched},
        lambda x, i: mb.gather(x=x, indices=i, axis=1, batch_dims=1),
        lambda x, i: np.stack([x[b][i[b]] for b in range(3)]),
        ("iOS16", "iOS17"),
    )
    ops.add(
        "gather_batch_far",
        {"x": x, "i": batched},
        lambda x, i: mb.gather(x=x, indices=i, axis=2, batch_dims=1),
        lambda x, i: np.stack([x[b][:, i[b]] for b in range(3)]),
        ("iOS16", "iOS17"),
    )
    for axis in (0, 1, -1):
        along = np.random.default_rng(axis + 5).integers(0, x.shape[axis], x.shape).astype(i32)
        ops.add(
            f"gather_along_axis_{axis}".replace("-", "n"),
            {"x": x, "i": along},
            lambda x, i, axis=axis: mb.gather_along_axis(x=x, indices=i, axis=axis),
            lambda x, i, axis=axis: np.take_along_axis(x, i, axis),
            all_targets,
        )
    nd = np.array([[0, 1], [2, 3]], i32)
    ops.add(
        "gather_nd",
        {"x": x, "i": nd},
        lambda x, i: mb.gather_nd(x=x, indices=i),
        lambda x, i: x[i[:, 0], i[:, 1]],
        all_targets,
    )
    rows = np.array([[[1], [0]], [[3], [2]], [[0], [0]]], i32)
    ops.add(
        "gather_nd_batch",
        {"x": x, "i": rows},
        lambda x, i: mb.gather_nd(x=x, indices=i, batch_dims=1),
        lambda x, i: np.stack([x[b][i[b, :, 0]] for b in range(3)]),
        ("iOS16", "iOS17"),
    )


MODES = {
    "update": lambda old, new: new,
    "add": np.add,
    "sub": np.subtract,
    "mul": np.multiply,
    "div": np.divide,
    "max": np.maximum,
    "min": np.minimum,
}


def scatters(ops):
    """Adds scatter, scatter_along_axis and scatter_nd with every mode."""
    data = normal(4, 3, 5)
    for mode, function in MODES.items():
        # The same place twice, where the order does not matter.
        indices = np.array([2, 0], i32) if mode in ("update", "div") else np.array([2, 0, 2], i32)
        for axis in (0, 1, -1):
            shape = list(data.shape)
            shape[axis] = len(indices)
            updates_ = normal(*shape, seed=1) + f32(3)

            def expected(d, i, u, axis=axis, function=function):
                y = np.moveaxis(d.copy(), axis, 0)
                for row, values in zip(i, np.moveaxis(u, axis, 0), strict=False):
                    y[row] = function(y[row], values)
                return np.moveaxis(y, 0, axis)

            ops.add(
                f"scatter_{mode}_{axis}".replace("-", "n"),
                {"d": data, "i": indices, "u": updates_},
                lambda d, i, u, axis=axis, mode=mode: mb.scatter(
                    data=d, indices=i, updates=u, axis=axis, mode=mode
                ),
                expected,
                BOTH if axis == 0 else ("iOS17",),
            )
        along = np.argsort(normal(2, 3, 5, seed=2), axis=1).astype(i32)
        inner = normal(2, 3, 5, seed=3) + f32(3)

        def along_axis(d, i, u, function=function):
            y = d.copy()
            for at in np.ndindex(i.shape):
                to = (at[0], i[at], at[2])
                y[to] = function(y[to], u[at])
            return y

        ops.add(
            f"scatter_along_axis_{mode}",
            {"d": data[:2], "i": along, "u": inner},
            lambda d, i, u, mode=mode: mb.scatter_along_axis(
                data=d, indices=i, updates=u, axis=1, mode=mode
            ),
            along_axis,
            BOTH,
        )
        places = np.array([[0, 1], [3, 2]], i32)
        rows = normal(2, 5, seed=4) + f32(3)

        def nd(d, i, u, function=function):
            y = d.copy()
            for place, values in zip(i, u, strict=False):
                y[tuple(place)] = function(y[tuple(place)], values)
            return y

        ops.add(
            f"scatter_nd_{mode}",
            {"d": data, "i": places, "u": rows},
            lambda d, i, u, mode=mode: mb.scatter_nd(data=d, indices=i, updates=u, mode=mode),
            nd,
            BOTH,
        )
    integers = {
        "d": np.arange(6, dtype=i32),
        "i": np.array([[1], [4], [1]], i32),
        "u": np.array([10, 20, 30], i32),
    }
    ops.add(
        "scatter_nd_int",
        integers,
        lambda d, i, u: mb.scatter_nd(data=d, indices=i, updates=u, mode="add"),
        np.array([0, 41, 2, 3, 24, 5], i32),
        BOTH,
    )


def orders(ops):
    """Adds sorting, counting and position."""
    x = {"x": normal(3, 5)}
    for axis in (0, -1):
        for ascending in (False, True):
            sign = 1 if ascending else -1
            label = f"{axis}_{ascending}".replace("-", "n")
            ops.add(
                f"argsort_{label}",
                x,
                lambda x, a=axis, s=ascending: mb.argsort(x=x, axis=a, ascending=s),
                lambda x, a=axis, sign=sign: np.argsort(sign * x, a),
            )

            def best(x, a=axis, sign=sign):
                order = np.take(np.argsort(sign * x, a), range(2), a)
                return np.take_along_axis(x, order, a), order

            ops.add(
                f"topk_{label}",
                x,
                lambda x, a=axis, s=ascending: mb.topk(x=x, k=2, axis=a, ascending=s),
                best,
                ("iOS15", "iOS16", "iOS17"),
            )
    ops.add(
        "argsort_int",
        {"x": np.array([[3, -1, 7]], i32)},
        lambda x: mb.argsort(x=x),
        np.array([[2, 0, 1]], i32),
    )
    ops.add(
        "topk_values",
        x,
        lambda x: mb.topk(x=x, k=2, axis=1, sort=True, return_indices=False),
        lambda x: -np.sort(-x, 1)[:, :2],
        ("iOS16", "iOS17"),
    )
    ops.add(
        "topk_uint16",
        x,
        lambda x: mb.topk(x=x, k=1, axis=1, output_indices_dtype="uint16"),
        lambda x: (x.max(1, keepdims=True), x.argmax(1)[:, None]),
        ("iOS17",),
    )
    for lower, upper in ((0, -1), (-1, 0), (0, 0), (1, 2), (-1, -1)):
        ops.add(
            f"band_part_{lower}_{upper}".replace("-", "n"),
            {"x": count(2, 4, 5) + 1},
            lambda x, b=(lower, upper): mb.band_part(x=x, lower=b[0], upper=b[1]),
            lambda x, lo=lower, up=upper: np.where(
                [
                    [(lo < 0 or m - n <= lo) and (up < 0 or n - m <= up) for n in range(5)]
                    for m in range(4)
                ],
                x,
                0,
            ),
        )
    ops.add(
        "band_part_bool",
        {"x": np.ones((3, 3), i32)},
        lambda x: mb.band_part(x=mb.cast(x=x, dtype="bool"), lower=0, upper=1),
        np.triu(np.ones((3, 3))) * np.tri(3, k=1),
    )
    for exclusive in (False, True):
        for backwards in (False, True):

            def cumulative(x, exclusive=exclusive, backwards=backwards):
                y = np.flip(x, 1) if backwards else x
                z = np.cumsum(y, 1) - (y if exclusive else 0)
                return np.flip(z, 1) if backwards else z

            ops.add(
                f"cumsum_{exclusive}_{backwards}",
                {"x": count(2, 5)},
                lambda x, e=exclusive, b=backwards: mb.cumsum(x=x, axis=1, exclusive=e, reverse=b),
                cumulative,
            )
    ops.add(
        "cumsum_int",
        {"x": np.arange(6, dtype=i32).reshape(2, 3)},
        lambda x: mb.cumsum(x=x),
        lambda x: np.cumsum(x, 0),
    )
    holes = {"x": np.array([[1.0, 0.0, 2.0], [0.0, 0.0, 3.0]], f32)}
    ops.add("non_zero", holes, lambda x: mb.non_zero(x=x), lambda x: np.argwhere(x))
    ops.add(
        "non_zero_none",
        {"x": np.zeros((2, 2), f32)},
        lambda x: mb.non_zero(x=x),
        np.zeros((0, 2), i32),
    )
    hot = {"i": np.array([[2, 0], [1, 2]], i32)}
    for axis in (-1, 0, 1):
        ops.add(
            f"one_hot_{axis}".replace("-", "n"),
            hot,
            lambda i, axis=axis: mb.one_hot(
                indices=i, one_hot_vector_size=4, axis=axis, on_value=2.5, off_value=-1.0
            ),
            lambda i, axis=axis: np.moveaxis(
                np.where(np.eye(4)[i] > 0, 2.5, -1.0), -1, axis
            ).astype(f32),
        )
    ops.add(
        "one_hot_default",
        hot,
        lambda i: mb.one_hot(indices=i, one_hot_vector_size=3),
        lambda i: np.eye(3)[i].astype(i32),
    )
    ops.add(
        "one_hot_bool",
        hot,
        lambda i: mb.one_hot(indices=i, one_hot_vector_size=3, on_value=True, off_value=False),
        lambda i: np.eye(3)[i].astype(i32),
    )
    ends = {"e": np.array([7], i32)}
    ops.add(
        "range_1d",
        ends,
        lambda e: mb.range_1d(start=1, end=mb.squeeze(x=e), step=2),
        np.array([1, 3, 5], i32),
    )
    ops.add(
        "range_1d_float",
        {"e": np.array([2.0], f32)},
        lambda e: mb.range_1d(start=0.5, end=mb.squeeze(x=e), step=0.5),
        np.array([0.5, 1.0, 1.5], f32),
    )


def blocks(ops):
    """Adds exchanges between channels, batch and space."""

    def to_space(x, b):
        n, c, h, w = x.shape
        return (
            x.reshape(n, b, b, c // b // b, h, w)
            .transpose(0, 3, 4, 1, 5, 2)
            .reshape(n, c // b // b, h * b, w * b)
        )

    def to_depth(x, b):
        n, c, h, w = x.shape
        return (
            x.reshape(n, c, h // b, b, w // b, b)
            .transpose(0, 3, 5, 1, 2, 4)
            .reshape(n, c * b * b, h // b, w // b)
        )

    ops.add(
        "depth_to_space",
        {"x": count(2, 8, 2, 3)},
        lambda x: mb.depth_to_space(x=x, block_size=2),
        lambda x: to_space(x, 2),
    )
    ops.add(
        "space_to_depth",
        {"x": count(2, 2, 4, 6)},
        lambda x: mb.space_to_depth(x=x, block_size=2),
        lambda x: to_depth(x, 2),
    )
    ops.add(
        "pixel_shuffle",
        {"x": count(2, 8, 2, 3)},
        lambda x: mb.pixel_shuffle(x=x, upscale_factor=2),
        lambda x: F.pixel_shuffle(torch.from_numpy(x), 2).numpy(),
    )
    ops.add(
        "pixel_unshuffle",
        {"x": count(2, 2, 4, 6)},
        lambda x: mb.pixel_unshuffle(x=x, downscale_factor=np.uint32(2)),
        lambda x: F.pixel_unshuffle(torch.from_numpy(x), 2).numpy(),
        ("iOS16",),
    )

    def to_batch(x, b, p):
        x = np.pad(x, ((0, 0), (0, 0), *p))
        n, c, h, w = x.shape
        parts = x.reshape(n, c, h // b[0], b[0], w // b[1], b[1]).transpose(3, 5, 0, 1, 2, 4)
        return parts.reshape(n * b[0] * b[1], c, h // b[0], w // b[1])

    ops.add(
        "space_to_batch",
        {"x": count(2, 3, 3, 4)},
        lambda x: mb.space_to_batch(x=x, block_shape=[2, 3], paddings=[[0, 1], [1, 1]]),
        lambda x: to_batch(x, (2, 3), ((0, 1), (1, 1))),
    )

    def from_batch(x, b, p):
        n, c, h, w = x.shape
        n //= b[0] * b[1]
        y = (
            x.reshape(b[0], b[1], n, c, h, w)
            .transpose(2, 3, 4, 0, 5, 1)
            .reshape(n, c, h * b[0], w * b[1])
        )
        return y[:, :, p[0][0] : y.shape[2] - p[0][1], p[1][0] : y.shape[3] - p[1][1]]

    ops.add(
        "batch_to_space",
        {"x": count(12, 2, 2, 3)},
        lambda x: mb.batch_to_space(x=x, block_shape=[2, 3], crops=[[1, 0], [0, 2]]),
        lambda x: from_batch(x, (2, 3), ((1, 0), (0, 2))),
    )


def quantization(ops):
    """Adds quantize and dequantize for one scale and for one per channel."""
    x = np.array([[-300.0, -1.26, -0.25, 0.25], [0.74, 1.25, 30.0, 500.0]], f32)
    for dtype, zero in (("int8", np.int8(3)), ("uint8", np.uint8(100))):
        limits = np.iinfo(dtype)
        ops.add(
            f"quantize_{dtype}",
            {"x": x},
            lambda x, d=dtype, z=zero: mb.quantize(
                input=x, zero_point=z, scale=f32(0.5), output_dtype=d
            ),
            lambda x, z=zero, n=limits: np.clip(np.round(x / f32(0.5)) + float(z), n.min, n.max),
            ("iOS17",),
        )
    scale, zero = np.array([0.5, 2.0], f32), np.array([1, -4], np.int8)
    ops.add(
        "quantize_channel",
        {"x": x},
        lambda x: mb.quantize(input=x, zero_point=zero, scale=scale, axis=0, output_dtype="int8"),
        lambda x: np.clip(np.round(x / scale[:, None]) + zero[:, None], -128, 127),
        ("iOS17",),
    )
    ops.add(
        "quantize_plain",
        {"x": x},
        lambda x: mb.quantize(input=x, scale=f32(0.25), output_dtype="int8"),
        lambda x: np.clip(np.round(x * 4), -128, 127),
        ("iOS17",),
    )
    codes = np.array([[-128, -1, 0], [1, 64, 127]], i32)
    ops.add(
        "dequantize",
        {"x": codes},
        lambda x: mb.dequantize(
            input=mb.cast(x=x, dtype="int8"), zero_point=np.int8(3), scale=f32(0.25)
        ),
        lambda x: (x - 3) * f32(0.25),
        ("iOS17",),
    )
    ops.add(
        "dequantize_channel",
        {"x": codes},
        lambda x: mb.dequantize(
            input=mb.cast(x=x, dtype="int8"), zero_point=zero, scale=scale, axis=0
        ),
        lambda x: ((x - zero[:, None]) * scale[:, None]).astype(f32),
        ("iOS17",),
    )
