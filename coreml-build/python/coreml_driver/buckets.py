"""Buckets: one model at several fixed sizes, which together take every length up to the largest.

Owns: the table of each size, and which lengths are tried.
Must not: import torch: a request is read before the libraries are. `padding` has what needs
tensors.
Flow: `functions.split` -> `tables` -> `request.understand` -> `read` -> `observation`, which tries
the `lengths`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from coreml_driver.failures import Failure
from coreml_driver.features import Input, Shape, name_of

#: Keys of the table `buckets`.
KEYS = frozenset(("input", "axis", "sizes", "pad", "mask"))


@dataclass(frozen=True)
class Bucket:
    """The size that a function is for, and how shorter inputs come to it."""

    size: int
    #: The shortest length that no smaller bucket takes.
    shortest: int
    #: Bounds of the lengths that the whole model takes.
    min: int
    max: int
    #: The input whose length counts, and its dimension.
    input: str
    axis: int
    #: Dimensions that have the length, of each input that has any.
    axes: Mapping[str, tuple[int, ...]]
    #: What each padded input is padded with.
    pads: Mapping[str, float]
    #: The input that says where padding stands.
    mask: str | None


def function_name(size: int) -> str:
    """Return what the function of a size is called in the package."""
    return f"bucket_{size}"


def tables(table: Mapping[str, Any]) -> list[tuple[int, dict[str, Any]]]:
    """Return each size with the table of its function: inputs of that size, and what else belongs
    to it in `bucket`.

    Errors: `Failure` of kind `wrong-manifest` or `not-supported`; the build script has looked at it
    before.
    """
    own: Mapping[str, Any] = table["buckets"]
    for key in own:
        if key not in KEYS:
            raise Failure(
                "not-supported", f"`{key}` of `buckets` is not supported yet.", key=f"buckets.{key}"
            )
    for key in ("states", "functions", *(("classifier",) if len(own["sizes"]) > 1 else ())):
        if table.get(key):
            raise Failure(
                "not-supported", f"`buckets` beside `{key}` is not supported yet.", key="buckets"
            )
    if "mil" in table["source"]:
        raise Failure(
            "not-supported", "A MIL program in buckets is not supported yet.", key="source.mil"
        )
    axes, bounds = _axes(table)
    sizes = [int(size) for size in own["sizes"]]
    if not sizes or sizes != sorted(set(sizes)):
        raise Failure("wrong-manifest", "The sizes of `buckets` ascend.", key="buckets.sizes")
    least, most = int(bounds["min"]), int(bounds["max"])
    if least < 1 or least > sizes[0] or sizes[-1] > most:
        message = f"Buckets of {sizes} do not fit lengths of {least} to {most}."
        raise Failure("wrong-manifest", message, key="buckets.sizes")
    found = []
    for size, before in zip(sizes, [least - 1, *sizes], strict=False):
        inputs = {
            name: dict(value) | {"shape": _fixed(value["shape"], axes[name], size)}
            if name in axes
            else value
            for name, value in table["inputs"].items()
        }
        bucket = dict(own) | {
            "size": size,
            "axes": axes,
            "min": least,
            "max": most,
            # Lengths that a smaller bucket takes never come here.
            "shortest": max(before + 1, least),
        }
        one = {key: value for key, value in table.items() if key != "buckets"}
        found.append((size, one | {"inputs": inputs, "bucket": bucket}))
    return found


def _axes(table: Mapping[str, Any]) -> tuple[dict[str, list[int]], Mapping[str, Any]]:
    """Return which dimensions of which inputs are the length, and its bounds."""
    own, inputs = table["buckets"], table.get("inputs") or {}
    name, axis = own["input"], own["axis"]
    shape = (inputs.get(name_of(name, "inputs")) or {}).get("shape") or []
    bounds = shape[axis] if axis < len(shape) else None
    if not isinstance(bounds, Mapping):
        message = f"Dimension {axis} of `{name}` is no range of lengths."
        raise Failure("wrong-manifest", message, key="buckets.axis")
    symbol = bounds.get("symbol")
    axes: dict[str, list[int]] = {}
    for other, value in inputs.items():
        for position, size in enumerate(value.get("shape") or ()):
            if isinstance(size, Mapping):
                if (other, position) != (name, axis) and (
                    symbol is None or size.get("symbol") != symbol
                ):
                    message = (
                        f"Dimension {position} of `{other}` is a range that is not the "
                        f"length of `{name}`."
                    )
                    cure = f'Give both the same `symbol`, for example `symbol = "{symbol or "T"}"`.'
                    raise Failure("wrong-manifest", message, key=f"inputs.{other}", advice=(cure,))
                axes.setdefault(other, []).append(position)
    return axes, bounds


def _fixed(shape: Sequence[Any], axes: Sequence[int], size: int) -> list[Any]:
    """Return a shape with `size` in the dimensions `axes`."""
    return [size if axis in axes else other for axis, other in enumerate(shape)]


def read(table: Mapping[str, Any], inputs: Sequence[Input]) -> Bucket | None:
    """Return the bucket that a function's table is for.

    Errors: `Failure` of kind `wrong-manifest`.
    """
    own = table.get("bucket")
    if own is None:
        return None
    for declared in inputs:
        if declared.flexible:
            message = f"`{declared.name}` has several shapes, and buckets fix all sizes."
            raise Failure("wrong-manifest", message, key=f"inputs.{declared.name}")
    mask, axes = own.get("mask"), own["axes"]
    if mask is not None and len(axes.get(mask) or ()) != 1:
        message = f"The mask `{mask}` must have the length of `{own['input']}` in one dimension."
        raise Failure("wrong-manifest", message, key="buckets.mask")
    pads = own.get("pad") or {}
    return Bucket(
        size=own["size"],
        shortest=own["shortest"],
        min=own["min"],
        max=own["max"],
        input=own["input"],
        axis=own["axis"],
        axes={name: tuple(positions) for name, positions in axes.items()},
        pads={name: float(pads.get(name, 0)) for name in axes if name != mask},
        mask=mask,
    )


def lengths(bucket: Bucket) -> list[int]:
    """Return the lengths to try: one between, the full one, the shortest.

    The first one is padded: a graph is captured with it, and kept first as a sample.
    """
    between = (bucket.shortest + bucket.size) // 2
    return list(dict.fromkeys((between, bucket.size, bucket.shortest)))


def other_lengths(bucket: Bucket) -> list[int]:
    """Return lengths that are not the size: with them an output's dimension that follows the length
    shows.
    """
    near = bucket.size - 1 if bucket.size > bucket.min else bucket.size + 1
    return [
        length for length in dict.fromkeys((near, bucket.min, bucket.max)) if length != bucket.size
    ]


def shortened(bucket: Bucket, inputs: Sequence[Input], length: int) -> tuple[Shape, ...]:
    """Return the shapes of all inputs for `length`."""
    return tuple(
        tuple(
            length if axis in bucket.axes.get(one.name, ()) else size
            for axis, size in enumerate(one.shape)
        )
        for one in inputs
    )
