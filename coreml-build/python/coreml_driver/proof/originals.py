"""Constants of half precision and the numbers that they were rounded from.

Owns: the proof that a constant of the package is the rounding of a number that was kept while
coremltools converted.
Must not: trust a name or an order: passes rename, merge and change constants.
Flow: `matching` finds what the conversion kept before it was rounded -> `execute` computes with it
in single precision.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from coremltools.proto import MIL_pb2

from coreml_driver.proof.blobs import Blobs
from coreml_driver.proof.values import Constant, Originals, declared

#: The smallest number above zero of half precision: what coremltools writes for a smaller one.
SMALLEST = np.nextafter(np.float16(0), np.float16(1))
#: How many elements are compared at once.
CHUNK = 1 << 20
#: How many are compared before all are.
GLANCE = 64


def matching(
    constants: Mapping[str, Constant], kept: Sequence[npt.NDArray[Any]], blobs: Blobs
) -> Originals:
    """Return the originals of those constants that are nothing but their rounding.

    Parameters: `kept` — what was about to be rounded, in the order of the program.
    """
    by_size: dict[int, list[npt.NDArray[Any]]] = {}
    for array in kept:
        by_size.setdefault(array.size, []).append(array)
    found: dict[str, npt.NDArray[np.generic]] = {}
    for name, constant in constants.items():
        if declared(constant.value.type).data_type != MIL_pb2.FLOAT16:
            continue
        stored = constant.read_half(blobs)
        if stored is None:
            continue
        candidates = by_size.get(stored.size, [])
        for position, array in enumerate(candidates):
            # The first elements tell most weights apart.
            if _is_rounding(array, stored[:GLANCE]) and _is_rounding(array, stored):
                found[name] = array
                # Constants of a program stand in the order in which they were kept.
                candidates.append(candidates.pop(position))
                break
    return found


def _is_rounding(original: npt.NDArray[Any], stored: npt.NDArray[Any]) -> bool:
    """Return whether `stored` is the beginning of `original` in half precision."""
    one, other = original.reshape(-1), stored.reshape(-1)
    for start in range(0, other.size, CHUNK):
        part = one[start : min(start + CHUNK, other.size)]
        with np.errstate(over="ignore", under="ignore"):
            half = part.astype(np.float16)
        half = np.where((half == 0) & (part != 0), np.copysign(SMALLEST, part), half)
        own = other[start : start + CHUNK]
        zero = (own == 0) & (np.abs(half) <= SMALLEST)
        if not bool(((half == own) | (np.isnan(half) & np.isnan(own)) | zero).all()):
            return False
    return True
