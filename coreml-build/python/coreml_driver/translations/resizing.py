"""Resizing of images by which coremltools ignores what was asked for.

Owns: the rows of this family.
Must not: know a capture; `Arguments` hides it.
Flow: `translations` imports this file, so that its rows are registered.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from coremltools.converters.mil import Builder as mb
from coremltools.converters.mil.mil.types.symbolic import any_symbolic

from coreml_driver.failures import Failure
from coreml_driver.translations.arguments import Arguments
from coreml_driver.translations.promotion import to_float
from coreml_driver.translations.registry import ORIGINAL, translation


@translation(
    "_upsample_bilinear2d_aa",
    "_upsample_bicubic2d_aa",
    why="`antialias` is ignored",
    replaces=True,
)
def _antialiased(context: Any, node: Any) -> None:
    """A resized image, smoothed where it shrinks: two products with the matrices that PyTorch's
    own operation gives for one dimension each.
    """
    arguments = Arguments(context, node)
    x = to_float(arguments["self" if "self" in arguments else "input"])
    if any_symbolic(x.shape[-2:]):
        message = "Resizing with `antialias` needs a fixed height and width."
        cure = "Declare fixed sizes of the image, or resize without `antialias`."
        raise Failure("not-constant", message, key="inputs", advice=(cure,))
    resize = getattr(torch.ops.aten, node.kind.partition(".")[0])
    corners = bool(arguments.constant("align_corners"))
    sizes = arguments.integers("output_size")
    scales = _scales(arguments)
    height, width = (int(size) for size in x.shape[-2:])
    if not sizes:
        sizes = [int(old * new) for old, new in zip((height, width), scales, strict=True)]
    rows = _matrix(resize, height, sizes[0], corners, scales[0])
    columns = _matrix(resize, width, sizes[1], corners, scales[1])
    wide = mb.matmul(x=x, y=columns.T.copy())
    context.add(mb.matmul(x=rows, y=wide, name=node.name), node.name)


@translation(
    "upsample_bilinear2d",
    "upsample_linear1d",
    why="a factor that gives no whole size is refused",
    replaces=True,
)
def _linear(context: Any, node: Any) -> None:
    """A resized image; with a factor that gives no whole size, by PyTorch's own matrices."""
    arguments = Arguments(context, node)
    x = arguments["self" if "self" in arguments else "input"]
    kind = node.kind.partition(".")[0]
    spatial = 2 if kind.endswith("2d") else 1
    if any_symbolic(x.shape[-spatial:]) or arguments.constant("align_corners"):
        ORIGINAL[kind](context, node)
        return
    scales = _scales(arguments, spatial)
    sizes = [int(size) for size in x.shape[-spatial:]]
    whole = all(
        scale is None or float(old * scale).is_integer()
        for old, scale in zip(sizes, scales, strict=True)
    )
    if whole:
        ORIGINAL[kind](context, node)
        return
    new = arguments.integers("output_size") or [
        int(old * scale) for old, scale in zip(sizes, scales, strict=True)
    ]
    x = to_float(x)
    resize = torch.ops.aten.upsample_bilinear2d
    last = _matrix(resize, sizes[-1], new[-1], False, scales[-1])
    named = {"name": node.name}
    if spatial == 1:
        context.add(mb.matmul(x=x, y=last.T.copy(), **named), node.name)
        return
    rows = _matrix(resize, sizes[0], new[0], False, scales[0])
    context.add(mb.matmul(x=rows, y=mb.matmul(x=x, y=last.T.copy()), **named), node.name)


def _scales(arguments: Arguments, spatial: int = 2) -> list[Any]:
    """Return the factor of each dimension, `None` where sizes are given instead."""
    if "scale_factors" in arguments:
        return arguments.constant("scale_factors") or [None] * spatial
    names = ("scales_h", "scales_w") if spatial == 2 else ("scales",)
    return [arguments.constant(name) for name in names]


def _matrix(resize: Any, old: int, new: int, corners: bool, scale: Any) -> np.ndarray:
    """Return the matrix that resizes a column of `old` elements to `new` ones."""
    columns = torch.eye(old).reshape(1, 1, old, old)
    resized = resize(columns, [new, old], corners, scale, None)
    return resized.reshape(new, old).numpy()
