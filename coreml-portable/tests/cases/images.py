"""Resizing, cropping and sampling of images, and box selection.

The reference computes MIL's documented sampling grids in double precision, or is PyTorch where
PyTorch has the same.

Flow: `generate.py` → here → `archive.py`.
"""

import itertools

import numpy as np
import torch
from archive import Operations
from coremltools.converters.mil.mil import Builder as mb
from torch.nn import functional as F

f32, i32 = np.float32, np.int32
MODES = ("DEFAULT", "STRICT_ALIGN_CORNERS", "ALIGN_CORNERS", "OFFSET_CORNERS", "UNALIGN_CORNERS")


def generate(archive):
    """Adds all cases."""
    ops = Operations(archive)
    resizes(ops)
    upsamples(ops)
    crops(ops)
    samples(ops)
    regions(ops)
    suppression(ops)


def normal(*shape, seed=0):
    """Returns normally distributed numbers."""
    return np.random.default_rng(seed).normal(size=shape).astype(f32)


def grid(mode, n, length, start=0.0):
    """Returns the `n` grid points of a sampling mode on an interval of `length` pixels'
    distance."""
    x, i = length + 1, np.arange(n)
    if mode == "ALIGN_CORNERS" and n == 1:
        points = np.array([length / 2])
    elif mode in ("STRICT_ALIGN_CORNERS", "ALIGN_CORNERS"):
        points = i * (length / max(n - 1, 1))
    elif mode == "DEFAULT":
        points = i * x / n
    elif mode == "OFFSET_CORNERS":
        points = (i + 0.5) * max(1, length) / n
    else:
        points = (i + 0.5) * x / n - 0.5
    if mode != "OFFSET_CORNERS":
        points = np.clip(points, min(0, length), max(0, length))
    return start + points


def lerp(x, points, axis):
    """Interpolates linearly along an axis, without limits beyond the ends."""
    points = np.clip(points, 0, x.shape[axis] - 1)
    low = np.floor(points).astype(int)
    high = np.minimum(low + 1, x.shape[axis] - 1)
    weight = (points - low).reshape([-1 if i == axis % x.ndim else 1 for i in range(x.ndim)])
    return np.take(x, low, axis) * (1 - weight) + np.take(x, high, axis) * weight


def bilinear(x, mode, height, width):
    """Resizes the last two dimensions."""
    x = x.astype(np.float64)
    x = lerp(x, grid(mode, height, x.shape[-2] - 1), -2)
    return lerp(x, grid(mode, width, x.shape[-1] - 1), -1).astype(f32)


def nearest(x, height, width):
    """Takes the pixel that PyTorch takes: single precision rounds the place, so whole factors too
    can take the pixel before."""
    return F.interpolate(torch.from_numpy(x), (height, width), mode="nearest").numpy()


def resizes(ops):
    """Adds resize_bilinear, resize_nearest_neighbor and resize for every sampling mode, larger,
    smaller and single."""
    for mode, (height, width) in itertools.product(MODES, ((7, 10), (3, 2), (1, 5))):
        x = {"x": normal(2, 3, 4, 5)}
        ops.add(
            f"resize_bilinear_{mode}_{height}",
            x,
            lambda x, m=mode, h=height, w=width: mb.resize_bilinear(
                x=x, target_size_height=h, target_size_width=w, sampling_mode=m
            ),
            lambda x, m=mode, h=height, w=width: bilinear(x, m, h, w),
        )
        ops.add(
            f"resize_linear_{mode}_{height}",
            x,
            lambda x, m=mode, h=height, w=width: mb.resize(
                x=x,
                shape=[3, h, w],
                resized_dims=np.uint32(2),
                interpolation_mode="LINEAR",
                sampling_mode=m,
            ),
            lambda x, m=mode, h=height, w=width: bilinear(x, m, h, w),
            ("iOS17",),
        )
    for shape in ((3, 4, 5), (2, 2, 3, 4, 5)):
        ops.add(
            f"resize_bilinear_rank{len(shape)}",
            {"x": normal(*shape)},
            lambda x: mb.resize_bilinear(
                x=x, target_size_height=6, target_size_width=7, sampling_mode="UNALIGN_CORNERS"
            ),
            lambda x: bilinear(x, "UNALIGN_CORNERS", 6, 7),
        )
    for height, width in ((8, 10), (12, 15), (3, 2), (7, 9)):
        ops.add(
            f"resize_nearest_neighbor_{height}",
            {"x": normal(2, 3, 4, 5)},
            lambda x, h=height, w=width: mb.resize_nearest_neighbor(
                x=x, target_size_height=h, target_size_width=w
            ),
            lambda x, h=height, w=width: nearest(x, h, w),
        )
        ops.add(
            f"resize_nearest_{height}",
            {"x": normal(2, 3, 4, 5)},
            lambda x, h=height, w=width: mb.resize(
                x=x,
                shape=[h, w],
                resized_dims=np.uint32(2),
                interpolation_mode="NEAREST_NEIGHBOR",
                sampling_mode="DEFAULT",
            ),
            lambda x, h=height, w=width: nearest(x, h, w),
            ("iOS17",),
        )
    ops.add(
        "resize_inherited",
        {"x": normal(1, 2, 3, 4)},
        lambda x: mb.resize(
            x=x,
            shape=[1, 0, 6],
            resized_dims=np.uint32(2),
            interpolation_mode="LINEAR",
            sampling_mode="UNALIGN_CORNERS",
        ),
        lambda x: bilinear(x, "UNALIGN_CORNERS", 3, 6),
        ("iOS17",),
    )
    ops.add(
        "resize_three",
        {"x": normal(2, 3, 4, 5)},
        lambda x: mb.resize(
            x=x,
            shape=[5, 6, 7],
            resized_dims=np.uint32(3),
            interpolation_mode="LINEAR",
            sampling_mode="STRICT_ALIGN_CORNERS",
        ),
        lambda x: bilinear(
            lerp(x, grid("STRICT_ALIGN_CORNERS", 5, 2), 1), "STRICT_ALIGN_CORNERS", 6, 7
        ),
        ("iOS17",),
    )
    ops.add(
        "resize_computed",
        {"x": normal(1, 2, 3, 4), "s": np.array([6, 0], i32)},
        lambda x, s: mb.resize(
            x=x,
            shape=s,
            resized_dims=np.uint32(2),
            interpolation_mode="LINEAR",
            sampling_mode="UNALIGN_CORNERS",
        ),
        lambda x, s: bilinear(x, "UNALIGN_CORNERS", 6, 4),
        ("iOS17",),
    )


def upsamples(ops):
    """Adds upsample_bilinear and upsample_nearest_neighbor by whole and fractional factors."""
    x = {"x": normal(1, 2, 3, 4)}
    for height, width in ((2, 3), (1.5, 2.5)):
        sizes = int(3 * height), int(4 * width)
        for align in (True, False):
            ops.add(
                f"upsample_bilinear_{height}_{align}",
                x,
                lambda x, h=height, w=width, a=align: mb.upsample_bilinear(
                    x=x, scale_factor_height=h, scale_factor_width=w, align_corners=a
                ),
                lambda x, s=sizes, a=align: F.interpolate(
                    torch.from_numpy(x), s, mode="bilinear", align_corners=a
                ).numpy(),
                ("iOS15", "iOS16"),
            )
        ops.add(
            f"upsample_bilinear_{height}_legacy",
            x,
            lambda x, h=height, w=width: mb.upsample_bilinear(
                x=x,
                scale_factor_height=h,
                scale_factor_width=w,
                align_corners=False,
                half_pixel_centers=False,
            ),
            lambda x, s=sizes: bilinear(x, "DEFAULT", *s),
            ("iOS16",),
        )
        ops.add(
            f"upsample_nearest_neighbor_{height}",
            x,
            lambda x, h=height, w=width: mb.upsample_nearest_neighbor(
                x=x, scale_factor_height=h, scale_factor_width=w
            ),
            lambda x, s=sizes: nearest(x, *s),
        )
    ops.add(
        "upsample_nearest_neighbor_49",
        {"x": normal(1, 1, 2, 3)},
        lambda x: mb.upsample_nearest_neighbor(x=x, scale_factor_height=49, scale_factor_width=41),
        lambda x: nearest(x, 98, 123),
    )


def crops(ops):
    """Adds crop."""
    ops.add(
        "crop",
        {"x": normal(2, 3, 6, 7)},
        lambda x: mb.crop(x=x, crop_height=[1, 2], crop_width=[0, 3]),
        lambda x: x[:, :, 1:4, :4],
    )
    ops.add(
        "crop_nothing",
        {"x": normal(3, 6, 7)},
        lambda x: mb.crop(x=x, crop_height=[0, 0], crop_width=[0, 0]),
        lambda x: x,
    )


def samples(ops):
    """Adds resample for every mode of PyTorch's grid_sample and for those that it lacks, and
    affine."""
    x = normal(2, 3, 5, 6)
    points = np.random.default_rng(1).uniform(-1.7, 1.7, (2, 4, 7, 2)).astype(f32)
    paddings = {
        "constant": ("zeros", None),
        "border": ("border", None),
        "reflection": ("reflection", True),
        "symmetric": ("reflection", False),
    }
    for sampling, (padding, (torch_padding, only)) in itertools.product(
        ("bilinear", "nearest"), paddings.items()
    ):
        for align in (True, False):
            if only is not None and align != only:
                continue
            ops.add(
                f"resample_{sampling}_{padding}_{align}",
                {"x": x, "c": points},
                lambda x, c, s=sampling, p=padding, a=align: mb.resample(
                    x=x,
                    coordinates=c,
                    sampling_mode=s,
                    padding_mode=p,
                    padding_value=0.0,
                    coordinates_mode="normalized_minus_one_to_one",
                    align_corners=a,
                ),
                lambda x, c, s=sampling, p=torch_padding, a=align: F.grid_sample(
                    torch.from_numpy(x), torch.from_numpy(c), s, p, a
                ).numpy(),
                ("iOS15", "iOS16", "iOS17"),
                1e-4,
            )
    unit = (points + 1) / 2
    ops.add(
        "resample_unit",
        {"x": x, "c": unit},
        lambda x, c: mb.resample(
            x=x,
            coordinates=c,
            sampling_mode="bilinear",
            padding_mode="constant",
            padding_value=0.0,
            coordinates_mode="normalized_zero_to_one",
            align_corners=False,
        ),
        lambda x, c: F.grid_sample(
            torch.from_numpy(x), torch.from_numpy(points), align_corners=False
        ).numpy(),
        ("iOS15",),
        1e-4,
    )
    pixels = unit * np.array([5, 4], f32)
    ops.add(
        "resample_pixels",
        {"x": x, "c": pixels},
        lambda x, c: mb.resample(
            x=x,
            coordinates=c,
            sampling_mode="bilinear",
            padding_mode="constant",
            padding_value=2.5,
            coordinates_mode="unnormalized",
            align_corners=True,
        ),
        lambda x, c: (
            F.grid_sample(
                torch.from_numpy(x - 2.5), torch.from_numpy(points), align_corners=True
            ).numpy()
            + f32(2.5)
        ),
        ("iOS15",),
        1e-4,
    )
    whole = np.random.default_rng(2).integers(0, 5, (2, 3, 3, 2)).astype(i32)
    ops.add(
        "resample_int",
        {"x": x, "c": whole},
        lambda x, c: mb.resample(
            x=x,
            coordinates=c,
            sampling_mode="nearest",
            padding_mode="constant",
            padding_value=0.0,
            coordinates_mode="unnormalized",
            align_corners=True,
        ),
        lambda x, c: np.stack([x[b][:, c[b, ..., 1], c[b, ..., 0]] for b in range(2)]),
        ("iOS15", "iOS17"),
        1e-4,
    )
    matrices = np.array([[1, 0, 0, 0, 1, 0], [0.8, -0.4, 0.1, 0.3, 1.1, -0.2]], f32)
    for name, matrix in {"each": matrices, "shared": matrices[1:]}.items():

        def expected(x, m):
            m = torch.from_numpy(m).reshape(-1, 2, 3).expand(2, 2, 3)
            return F.grid_sample(
                torch.from_numpy(x), F.affine_grid(m, (2, 3, 4, 7), True), align_corners=True
            ).numpy()

        ops.add(
            f"affine_{name}",
            {"x": x, "m": matrix},
            lambda x, m: mb.affine(
                x=x,
                transform_matrix=m,
                output_height=4,
                output_width=7,
                sampling_mode="bilinear",
                padding_mode="constant",
                padding_value=0.0,
                coordinates_mode="normalized_minus_one_to_one",
                align_corners=True,
            ),
            expected,
            ("iOS15",),
            1e-4,
        )


def cropped(image, box, height, width, mode):
    """Returns a box (y, x, y, x in pixels) of an image, resized."""
    rows = lerp(image, grid(mode, height, box[2] - box[0], box[0]), -2)
    return lerp(rows, grid(mode, width, box[3] - box[1], box[1]), -1)


def regions(ops):
    """Adds crop_resize for every sampling mode and way to say a box."""
    x = normal(2, 3, 6, 7)
    boxes = np.array([[0.5, 1.0, 3.5, 5.0], [1.0, 0.0, 4.0, 6.0]], f32)
    for mode in MODES:
        ops.add(
            f"crop_resize_{mode}",
            {"x": x, "b": boxes},
            lambda x, b, mode=mode: mb.crop_resize(
                x=x,
                boxes=b,
                box_indices=[1, 0],
                target_height=3,
                target_width=4,
                sampling_mode=mode,
            ),
            lambda x, b, mode=mode: np.stack(
                [cropped(x[1 - i], b[i], 3, 4, mode) for i in range(2)]
            ).astype(f32),
            ("iOS17",),
            1e-4,
        )
        ops.add(
            f"crop_resize_region_{mode}",
            {"x": x, "b": boxes.reshape(2, 1, 4, 1, 1)},
            lambda x, b, mode=mode: mb.crop_resize(
                x=x, roi=b, target_height=3, target_width=4, sampling_mode=mode
            ),
            lambda x, b, mode=mode: np.stack(
                [[cropped(image, box, 3, 4, mode) for image in x] for box in b.reshape(2, 4)]
            ).astype(f32),
            ("iOS15", "iOS16"),
            1e-4,
        )
    ways = {
        "CORNERS_WIDTH_FIRST": [1, 0, 3, 2],
        "CENTER_SIZE_HEIGHT_FIRST": None,
        "CENTER_SIZE_WIDTH_FIRST": None,
    }
    for way, order in ways.items():
        if order:
            said = boxes[:, order]
        else:
            centre, size = (boxes[:, :2] + boxes[:, 2:]) / 2, boxes[:, 2:] - boxes[:, :2]
            said = (
                np.concatenate((centre, size), 1)
                if "HEIGHT" in way
                else np.concatenate((centre[:, ::-1], size[:, ::-1]), 1)
            )
        ops.add(
            f"crop_resize_{way}",
            {"x": x, "b": np.ascontiguousarray(said)},
            lambda x, b, way=way: mb.crop_resize(
                x=x,
                boxes=b,
                target_height=3,
                target_width=4,
                box_coordinate_mode=way,
                sampling_mode="ALIGN_CORNERS",
            ),
            lambda x, b: np.stack(
                [cropped(x[i], boxes[i], 3, 4, "ALIGN_CORNERS") for i in range(2)]
            ).astype(f32),
            ("iOS17",),
            1e-4,
        )
    indexed = np.concatenate(
        (np.array([[1.0], [0.0]], f32), boxes / np.array([5, 6, 5, 6], f32)), 1
    ).reshape(2, 1, 5, 1, 1)
    ops.add(
        "crop_resize_normalized",
        {"x": x[:1].repeat(2, 0), "b": indexed},
        lambda x, b: mb.squeeze(
            x=mb.slice_by_index(
                x=mb.crop_resize(
                    x=x,
                    roi=b,
                    target_height=3,
                    target_width=4,
                    normalized_coordinates=True,
                    sampling_mode="ALIGN_CORNERS",
                ),
                begin=[0, 0, 0, 0, 0],
                end=[2, 1, 3, 3, 4],
            ),
            axes=[1],
        ),
        lambda x, b: np.stack(
            [cropped(x[0], boxes[i], 3, 4, "ALIGN_CORNERS") for i in range(2)]
        ).astype(f32),
        ("iOS15", "iOS16"),
        1e-4,
    )
    ops.add(
        "crop_resize_scaled",
        {"x": x, "b": boxes * 2},
        lambda x, b: mb.crop_resize(
            x=x,
            boxes=b,
            target_height=1,
            target_width=1,
            spatial_scale=0.5,
            sampling_mode="ALIGN_CORNERS",
        ),
        lambda x, b: np.stack(
            [cropped(x[i], boxes[i], 1, 1, "ALIGN_CORNERS") for i in range(2)]
        ).astype(f32),
        ("iOS17",),
        1e-4,
    )
    outside = np.array([[-2.0, -1.0, 2.0, 3.0], [3.0, 4.0, 8.0, 9.0]], f32)

    def padded(x, b):
        wide = np.pad(x, ((0, 0), (0, 0), (4, 4), (4, 4)), constant_values=1.5)
        return np.stack(
            [cropped(wide[i], b[i] + 4, 5, 5, "ALIGN_CORNERS") for i in range(2)]
        ).astype(f32)

    ops.add(
        "crop_resize_outside",
        {"x": x, "b": outside},
        lambda x, b: mb.crop_resize(
            x=x,
            boxes=b,
            target_height=5,
            target_width=5,
            sampling_mode="ALIGN_CORNERS",
            pad_value=1.5,
        ),
        padded,
        ("iOS17",),
        1e-4,
    )


def suppressed(boxes, scores, iou, threshold, limit, per_class):
    """Greedy non-maximum suppression as the operation documents it."""
    n, _, classes = scores.shape
    out = (
        np.zeros((n, limit, 4), f32),
        np.zeros((n, limit, classes), f32),
        -np.ones((n, limit), i32),
        np.zeros(n, i32),
    )
    for b in range(n):
        best, label = scores[b].max(-1), scores[b].argmax(-1)
        low, high = boxes[b, :, :2] - boxes[b, :, 2:] / 2, boxes[b, :, :2] + boxes[b, :, 2:] / 2
        area = boxes[b, :, 2] * boxes[b, :, 3]
        chosen = []
        for i in np.argsort(-best, kind="stable"):

            def overlap(j, i=i):
                inside = np.maximum(
                    np.minimum(high[i], high[j]) - np.maximum(low[i], low[j]), 0
                ).prod()
                return inside / (area[i] + area[j] - inside)

            rivals = [j for j in chosen if not per_class or label[i] == label[j]]
            if best[i] > threshold and all(overlap(j) <= iou for j in rivals):
                chosen.append(i)
        chosen = (chosen or [best.argmax()])[:limit]
        for rank, i in enumerate(chosen):
            out[0][b, rank], out[1][b, rank], out[2][b, rank] = boxes[b, i], scores[b, i], i
        out[3][b] = len(chosen)
    return out


def suppression(ops):
    """Adds non_maximum_suppression over all and within each class."""
    rng = np.random.default_rng(3)
    boxes = np.concatenate(
        (rng.uniform(0, 4, (2, 12, 2)), rng.uniform(1, 3, (2, 12, 2))), 2
    ).astype(f32)
    scores = rng.uniform(0, 1, (2, 12, 3)).astype(f32)
    for per_class, threshold, limit in itertools.product((False, True), (0.7, 0.0, 2.0), (4, 20)):
        ops.add(
            f"nms_{per_class}_{threshold}_{limit}",
            {"b": boxes, "s": scores},
            lambda b, s, p=per_class, t=threshold, m=limit: mb.non_maximum_suppression(
                boxes=b,
                scores=s,
                iou_threshold=0.3,
                score_threshold=t,
                max_boxes=m,
                per_class_suppression=p,
            ),
            lambda b, s, p=per_class, t=threshold, m=limit: suppressed(b, s, 0.3, t, m, p),
        )
        if threshold == 0.0:
            ops.add(
                f"nms_all_{per_class}_{limit}",
                {"b": turned(boxes), "s": turned(scores) - f32(0.5)},
                lambda b, s, p=per_class, m=limit: mb.non_maximum_suppression(
                    boxes=b, scores=s, iou_threshold=0.3, max_boxes=m, per_class_suppression=p
                ),
                lambda b, s, p=per_class, m=limit: tuple(
                    turned(x) if x.ndim == 3 else x
                    for x in suppressed(turned(b), turned(s), 0.3, -np.inf, m, p)[:3]
                ),
                ("iOS17",),
            )


def turned(x):
    """Exchanges the last two dimensions."""
    return np.ascontiguousarray(x.swapaxes(1, 2))
