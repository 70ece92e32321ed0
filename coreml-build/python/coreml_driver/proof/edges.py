"""Samples at the edges: where wrong translations show that random numbers never reach.

Owns: which values each input takes in which edge sample.
Must not: run anything, or leave the range that the manifest declares.
Flow: `conversion` -> `edges` -> `prove` runs PyTorch on them, leaves out what PyTorch does not
take, and compares the others. None is kept for `cargo test`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from coreml_driver.features import INTEGERS, Input, Shape
from coreml_driver.samples import Sample, assemble
from coreml_driver.shapes import Choice

Array = npt.NDArray[np.generic]
#: Numbers at which half precision changes: the largest one, where whole numbers end, where normal
#: ones end, and their neighbours.
HALF_LIMITS = (65504.0, 65472.0, 32768.0, 4097.0, 2049.0, 2048.0, 6.104e-5, 5.96e-8)
#: Numbers at which integers of 16 bits wrap around, and their neighbours.
SHORT_LIMITS = (32767, 32768, 32769, 65535, 65536, 65537, -32768, -32769, -65536)
#: Powers of ten of small numbers.
SMALL = (-6.0, -2.0)
#: How far numbers of an input without a range go in the sample of large ones.
LARGE = 40.0


@dataclass(frozen=True)
class Edge:
    """One edge sample."""

    #: As messages spell it.
    name: str
    sample: Sample


@dataclass(frozen=True)
class _Drawn:
    """An input, its shape, and what its edge values are drawn with."""

    declared: Input
    shape: Shape
    random: np.random.Generator

    @property
    def integer(self) -> bool:
        """Whether the values are whole numbers."""
        image = self.declared.image
        return self.declared.dtype in INTEGERS or (image is not None and image.white != 1)

    @property
    def bounds(self) -> tuple[float, float] | None:
        """Smallest and largest value, `None` where nothing is declared."""
        if self.declared.sample_range is not None:
            return self.declared.sample_range
        if self.declared.image is not None:
            return (0.0, float(self.declared.image.white))
        return (-128.0, 127.0) if self.declared.dtype == "int8" else None

    @property
    def is_mask(self) -> bool:
        """Whether it says which of other values count."""
        return self.integer and self.bounds == (0.0, 1.0)

    def holds(self, value: float) -> bool:
        """Return whether the declared range has a value."""
        bounds = self.bounds
        if bounds is None:
            return not self.integer
        return bounds[0] <= value <= bounds[1]

    def among(self, values: Sequence[float]) -> Array | None:
        """Return values drawn from those that the range has, or `None` where it has none."""
        held = [value for value in values if self.holds(value)]
        return np.asarray(self.random.choice(held, self.shape)) if held else None


def edges(inputs: Sequence[Input], choice: Choice, drawn: Sample) -> list[Edge]:
    """Return the edge samples of a model, the most telling first.

    Parameters: `inputs` — with the ranges that samples are drawn from; `choice` — a shape for
    every input; `drawn` — a random sample of these shapes: what an edge leaves alone keeps its
    values.
    """
    found = []
    for name, values in EDGES.items():
        arrays: list[Array | None] = []
        for declared, shape in zip(inputs, choice, strict=True):
            seed = hashlib.sha256(f"{name}/{declared.name}".encode()).digest()
            random = np.random.Generator(np.random.PCG64(int.from_bytes(seed[:8], "little")))
            # A position counts from where the manifest says.
            fixed = declared.sample_start is not None
            arrays.append(None if fixed else values(_Drawn(declared, shape, random)))
        if any(array is not None for array in arrays):
            own = [
                other if array is None else np.asarray(array).astype(other.dtype)
                for array, other in zip(arrays, drawn.arrays, strict=True)
            ]
            found.append(Edge(name, assemble(inputs, own)))
    return found


def _zeros(of: _Drawn) -> Array | None:
    """Zeros."""
    return np.zeros(of.shape) if of.holds(0) and not of.is_mask else None


def _ends(of: _Drawn) -> Array | None:
    """The ends of the declared range."""
    return None if of.bounds is None else of.among(of.bounds)


def _tiny(of: _Drawn) -> Array | None:
    """Small numbers of both signs."""
    if of.integer:
        return None
    powers = 10.0 ** of.random.uniform(*SMALL, of.shape)
    values = np.where(of.random.random(of.shape) < 0.5, -powers, powers)
    bounds = of.bounds
    if bounds is None:
        return values
    # Close to the end that is nearer to zero.
    if bounds[0] <= 0 <= bounds[1]:
        return np.clip(values, *bounds)
    near = min(bounds, key=abs)
    far = max(bounds, key=abs)
    return near + (far - near) * powers


def _signs(of: _Drawn) -> Array | None:
    """Both signs of zero and of one."""
    if of.is_mask:
        return None
    return of.among((0, 1, -1) if of.integer else (0.0, -0.0, 1.0, -1.0))


def _ties(of: _Drawn) -> Array | None:
    """Few different values, so that many are equal."""
    if of.is_mask:
        return None
    bounds = of.bounds or (-1.5, 1.5)
    if of.bounds is None and of.integer:
        return None
    middle = (bounds[0] + bounds[1]) / 2
    values = [bounds[0] + (bounds[1] - bounds[0]) / 4, middle]
    return of.among([float(int(value)) for value in values] if of.integer else values)


def _short(of: _Drawn) -> Array | None:
    """Integers at the limits of 16 bits."""
    return of.among(SHORT_LIMITS) if of.integer else None


def _masked(of: _Drawn) -> Array | None:
    """A mask that leaves nothing."""
    return np.zeros(of.shape) if of.is_mask else None


def _open(of: _Drawn) -> Array | None:
    """A mask that leaves everything."""
    return np.ones(of.shape) if of.is_mask else None


def _padded(of: _Drawn) -> Array | None:
    """A mask whose first half is closed: padding on the left."""
    if not of.is_mask or not of.shape:
        return None
    row = (np.arange(of.shape[-1]) >= of.shape[-1] // 2).astype(np.int32)
    return np.broadcast_to(row, of.shape)


def _half(of: _Drawn) -> Array | None:
    """Numbers at the limits of half precision."""
    if of.integer:
        return None
    return of.among([sign * value for value in HALF_LIMITS for sign in (1, -1)])


def _large(of: _Drawn) -> Array | None:
    """Large numbers."""
    if of.integer or of.bounds is not None:
        return None
    return of.random.uniform(-LARGE, LARGE, of.shape)


#: Makes the values of one input, or `None` where it has none of this kind.
Values = Callable[[_Drawn], Any]
EDGES: dict[str, Values] = {
    "small numbers": _tiny,
    "limits of 16 bits": _short,
    "ends of the range": _ends,
    "a mask that leaves nothing": _masked,
    "zeros": _zeros,
    "large numbers": _large,
    "zeros and ones of both signs": _signs,
    "equal values": _ties,
    "a mask that leaves everything": _open,
    "a mask with padding on the left": _padded,
    "limits of half precision": _half,
}
