"""Values at which engines differ from each other and from PyTorch: rounding, the ends of 32 bits,
places between pixels.

Owns: one group of cases for each way of going wrong. Must not: hold what stays different, which
`differences.py` does, and what ends the process of an engine that is not kept from it.
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


def torched(function):
    """Returns a reference that calls a PyTorch function on NumPy arrays."""
    return lambda *arrays: function(*map(torch.from_numpy, arrays)).numpy()


def generate(archive):
    """Adds all cases."""
    ops = Operations(archive)
    ranges(ops)
    quotients(ops)
    nearest(ops)


def ranges(ops):
    """Adds ranges of floats whose length or last element rounding decides."""

    def computed(x):
        """Returns a scalar that is known at run time only."""
        return mb.squeeze(x=x, axes=[0])

    ranges = [
        (0.0, 3.0, 0.1),
        (0.0, 0.3, 0.1),
        (0.0, 4.9, 0.1),
        (0.0, 1000.0, 0.1),
        (1.0, -1.0, -0.1),
        (0.5, 0.5, 0.1),
        (2.0, 1.0, 0.25),
        (-1.5, 1.0, 0.5),
    ]
    for number, (start, end, step) in enumerate(ranges):
        count = max(math.ceil(round((end - start) / step, 6)), 0)
        # PyTorch refuses a span against the step; Core ML's range is empty.
        expected = np.zeros(0, f32) if count == 0 else torch.arange(start, end, step).numpy()
        assert len(expected) == count, (start, end, step, len(expected))
        ops.add(
            f"range_{number}",
            {"x": np.array([end], f32)},
            lambda x, s=start, d=step: mb.range_1d(start=f32(s), end=computed(x), step=f32(d)),
            expected,
        )
        # In half precision, as coremltools converts by default; 0.3 is more than 3 · 0.1 there.
        if (end, step) == (0.3, 0.1):
            continue
        ops.add(
            f"range_half_{number}",
            {"x": np.array([end], np.float16)},
            lambda x, s=start, d=step: mb.range_1d(
                start=np.float16(s), end=computed(x), step=np.float16(d)
            ),
            expected.astype(np.float16),
            ("iOS16",),
            2e-3,
        )
    ops.add(
        "range_int",
        {"x": np.array([-10], i32)},
        lambda x: mb.range_1d(start=i32(7), end=computed(x), step=i32(-4)),
        torch.arange(7, -10, -4, dtype=torch.int32).numpy(),
    )
    ops.add(
        "range_int_empty",
        {"x": np.array([-10], i32)},
        lambda x: mb.range_1d(start=i32(7), end=computed(x), step=i32(4)),
        np.zeros(0, i32),
    )


def quotients(ops):
    """Adds quotients that round, overflow or have no value."""
    finite = [1.0, -1.0, 0.3, -0.3, 6.0, -6.0, 7.5, 4.9, 1e-9, -1e-9, 0.0, -0.0, 1e30, 16777216.0]
    x, y = np.meshgrid(
        np.array([*finite, INF, -INF, NAN], f32),
        np.array([0.1, -0.1, 0.3, 2.0, -2.0, 7.0, 1.0, 0.0, -0.0, INF, -INF, NAN], f32),
    )
    pairs = {"x": x, "y": y}
    ops.add(
        "floor_div_float",
        pairs,
        mb.floor_div,
        torched(lambda x, y: torch.div(x, y, rounding_mode="floor")),
        tolerance=1e-7,
    )
    ops.add("mod_float", pairs, mb.mod, torched(torch.remainder), tolerance=1e-7)
    # What coremltools makes of torch.remainder.
    ops.add(
        "remainder",
        {"x": x[:7, :10], "y": y[:7, :10]},
        lambda x, y: mb.sub(x=x, y=mb.mul(x=mb.floor_div(x=x, y=y), y=y)),
        torched(torch.remainder),
    )
    ends = [SMALLEST, SMALLEST + 1, -7, -6, -1, 0, 1, 5, LARGEST - 1, LARGEST]
    divisors = [SMALLEST, -(2**30), -7, -3, -2, -1, 1, 2, 3, 7, 2**30, LARGEST]
    # The one quotient that overflows ends the process of an engine that computes it.
    allowed = [(x, y) for x in ends for y in divisors if (x, y) != (SMALLEST, -1)]
    x, y = np.array(allowed, i32).T.copy()
    pairs = {"x": x, "y": y}

    def wrapping(function):
        """Returns a reference in 64 bits, wrapped around to 32."""
        return lambda x, y: function(x.astype(np.int64), y.astype(np.int64)).astype(i32)

    ops.add("floor_div_int", pairs, mb.floor_div, wrapping(np.floor_divide))
    ops.add("mod_int", pairs, mb.mod, wrapping(np.mod))
    ops.add("real_div_int", pairs, mb.real_div, wrapping(lambda x, y: np.fix(x / y)))
    for divisor in (-3, -1, 2, 7):
        for name, op, function in (
            ("floor_div", mb.floor_div, np.floor_divide),
            ("mod", mb.mod, np.mod),
        ):
            ops.add(
                f"{name}_int_by_{divisor}".replace("-", "n"),
                {"x": np.array(ends[1:] if divisor == -1 else ends, i32)},
                lambda x, d=divisor, op=op: op(x=x, y=i32(d)),
                lambda x, d=divisor, f=function: f(x.astype(np.int64), d).astype(i32),
            )


def nearest(ops):
    """Adds resizing by fractional factors, with sizes that are known and with sizes that vary."""
    images = [
        ((8, 8), (1.6, 1.6)),
        ((9, 9), (0.7, 0.7)),
        ((7, 6), (2.4, 1.0)),
        ((31, 3), (2.7, 41)),
    ]
    for (height, width), scales in images:
        x = {"x": np.random.default_rng(height).standard_normal((1, 1, height, width)).astype(f32)}
        for number, axes in enumerate(((), (2,), (2, 3))):
            varying = {"x": axes} if axes else None
            ops.add(
                f"upsample_nearest_{height}_{number}",
                x,
                lambda x, s=scales: mb.upsample_nearest_neighbor(
                    x=x, scale_factor_height=f32(s[0]), scale_factor_width=f32(s[1])
                ),
                torched(lambda x, s=scales: F.interpolate(x, scale_factor=s, mode="nearest")),
                varying=varying,
                tolerance=1e-7,
            )
            # MIL says that this one takes the factor that the rounded size has.
            for corners in (True, False):
                ops.add(
                    f"upsample_bilinear_{height}_{number}_{corners}",
                    x,
                    lambda x, s=scales, c=corners: mb.upsample_bilinear(
                        x=x,
                        scale_factor_height=f32(s[0]),
                        scale_factor_width=f32(s[1]),
                        align_corners=c,
                    ),
                    torched(
                        lambda x, s=scales, c=corners: F.interpolate(
                            x,
                            scale_factor=s,
                            mode="bilinear",
                            align_corners=c,
                            recompute_scale_factor=True,
                        )
                    ),
                    varying=varying,
                )
    row = {"x": np.arange(5, dtype=f32).reshape(1, 1, 1, 5)}
    ops.add(
        "upsample_nearest_row",
        row,
        lambda x: mb.upsample_nearest_neighbor(
            x=x, scale_factor_height=f32(1), scale_factor_width=f32(1.3)
        ),
        torched(lambda x: F.interpolate(x, scale_factor=(1.0, 1.3), mode="nearest")),
    )
    # Sizes at which single precision decides: PyTorch takes pixel 0 of 2 for 42 of 82.
    for height, width in ((82, 94), (18, 9), (123, 7)):
        for number, axes in enumerate(((), (2,), (2, 3))):
            x = np.arange(2 * 14, dtype=f32).reshape(1, 1, 2, 14)
            ops.add(
                f"resize_nearest_{height}_{number}",
                {"x": x, "s": np.array([height, width], i32)},
                lambda x, s: mb.resize(
                    x=x,
                    shape=s,
                    resized_dims=np.uint32(2),
                    interpolation_mode="NEAREST_NEIGHBOR",
                    sampling_mode="DEFAULT",
                ),
                lambda x, s: F.interpolate(torch.from_numpy(x), tuple(s), mode="nearest").numpy(),
                ("iOS17",),
                varying={"x": axes} if axes else None,
                tolerance=1e-7,
            )
            ops.add(
                f"resize_nearest_neighbor_{height}_{number}",
                {"x": x},
                lambda x, h=height, w=width: mb.resize_nearest_neighbor(
                    x=x, target_size_height=h, target_size_width=w
                ),
                torched(lambda x, h=height, w=width: F.interpolate(x, (h, w), mode="nearest")),
                varying={"x": axes} if axes else None,
                tolerance=1e-7,
            )
            ops.add(
                f"resize_bilinear_{height}_{number}",
                {"x": x},
                lambda x, h=height, w=width: mb.resize_bilinear(
                    x=x,
                    target_size_height=h,
                    target_size_width=w,
                    sampling_mode="UNALIGN_CORNERS",
                ),
                torched(lambda x, h=height, w=width: F.interpolate(x, (h, w), mode="bilinear")),
                varying={"x": axes} if axes else None,
            )
            ops.add(
                f"resize_nearest_known_{height}_{number}",
                {"x": x},
                lambda x, h=height, w=width: mb.resize(
                    x=x,
                    shape=[h, w],
                    resized_dims=np.uint32(2),
                    interpolation_mode="NEAREST_NEIGHBOR",
                    sampling_mode="DEFAULT",
                ),
                torched(lambda x, h=height, w=width: F.interpolate(x, (h, w), mode="nearest")),
                ("iOS17",),
                varying={"x": axes} if axes else None,
                tolerance=1e-7,
            )
