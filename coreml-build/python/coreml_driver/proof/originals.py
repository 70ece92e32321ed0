"""Constants of half precision and the numbers that they were rounded from.

Owns: the proof that a constant of the package is the rounding of a number that was kept while
coremltools converted.
Must not: trust a name: passes rename and change constants.
Flow: `convert.OpSelector` keeps what is about to be rounded -> `matching` -> `execute` computes
with it in single precision.
"""

from __future__ import annotations

from collections.abc import Mapping
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


def matching(constants: Mapping[str, Constant], kept: Mapping[str, Any], blobs: Blobs) -> Originals:
    """Return the originals of those constants that are nothing but their rounding.

    Called by: `execute`.
    Parameters: `kept` — by the names that coremltools gives rounded constants.
    """
    found: dict[str, npt.NDArray[np.generic]] = {}
    for name, constant in constants.items():
        original = kept.get(name)
        if original is None or declared(constant.value.type).data_type != MIL_pb2.FLOAT16:
            continue
        stored = constant.read_half(blobs)
        array = np.asarray(original)
        if stored is not None and _is_rounding(array, stored):
            found[name] = array
    return found


def _is_rounding(original: npt.NDArray[Any], stored: npt.NDArray[Any]) -> bool:
    """Return whether `stored` is `original` in half precision."""
    if original.size != stored.size:
        return False
    one, other = original.reshape(-1), stored.reshape(-1)
    for start in range(0, one.size, CHUNK):
        part = one[start : start + CHUNK]
        with np.errstate(over="ignore", under="ignore"):
            half = part.astype(np.float16)
        half = np.where((half == 0) & (part != 0), np.copysign(SMALLEST, part), half)
        own = other[start : start + CHUNK]
        zero = (own == 0) & (np.abs(half) <= SMALLEST)
        if not bool(((half == own) | (np.isnan(half) & np.isnan(own)) | zero).all()):
            return False
    return True
