"""Types and constants of an ML Program as torch has them.

Owns: which element type of torch holds which of MIL, what becomes of a result that is stored in a
declared type, and the reading of constants.
Must not: compute.
Flow: `reading` makes `Declared` and `Constant` -> `execute` reads constants and settles results.

Floating-point values are float32 at all times, whatever the program declares: a value that is
declared float16 is rounded to it where the execution is to round as a device does.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from coremltools.proto import MIL_pb2

from coreml_driver.proof.blobs import Blobs

#: What holds the values of a type. Integers without a type of torch's own are held by a wider one.
TORCH_TYPES = {
    MIL_pb2.FLOAT16: torch.float32,
    MIL_pb2.FLOAT32: torch.float32,
    MIL_pb2.FLOAT64: torch.float32,
    MIL_pb2.BOOL: torch.bool,
    MIL_pb2.INT8: torch.int8,
    MIL_pb2.INT16: torch.int16,
    MIL_pb2.INT32: torch.int32,
    MIL_pb2.INT64: torch.int64,
    MIL_pb2.INT4: torch.int8,
    MIL_pb2.UINT8: torch.uint8,
    MIL_pb2.UINT16: torch.int32,
    MIL_pb2.UINT32: torch.int64,
    MIL_pb2.UINT64: torch.int64,
    MIL_pb2.UINT1: torch.uint8,
    MIL_pb2.UINT2: torch.uint8,
    MIL_pb2.UINT3: torch.uint8,
    MIL_pb2.UINT4: torch.uint8,
    MIL_pb2.UINT6: torch.uint8,
}
#: How the bytes of a type are read; those of the narrow types are packed, see `BITS`.
STORED_TYPES = {
    MIL_pb2.FLOAT16: np.float16,
    MIL_pb2.FLOAT32: np.float32,
    MIL_pb2.FLOAT64: np.float64,
    MIL_pb2.BOOL: np.bool_,
    MIL_pb2.INT8: np.int8,
    MIL_pb2.INT16: np.int16,
    MIL_pb2.INT32: np.int32,
    MIL_pb2.INT64: np.int64,
    MIL_pb2.UINT8: np.uint8,
    MIL_pb2.UINT16: np.uint16,
    MIL_pb2.UINT32: np.uint32,
    MIL_pb2.UINT64: np.uint64,
}
#: Bits of an element where several share a byte, the first in the lowest bits.
BITS = {
    MIL_pb2.UINT1: 1,
    MIL_pb2.UINT2: 2,
    MIL_pb2.UINT3: 3,
    MIL_pb2.UINT4: 4,
    MIL_pb2.UINT6: 6,
    MIL_pb2.INT4: 4,
}
FLOATS = frozenset({MIL_pb2.FLOAT16, MIL_pb2.FLOAT32, MIL_pb2.FLOAT64})
#: Types held by a wider one, with the bits that they have.
UNSIGNED = {MIL_pb2.UINT16: 16, MIL_pb2.UINT32: 32}
#: A constant of at most so many elements is read once and kept; a larger one is read each time.
KEPT_ELEMENTS = 4096

#: A value of a running program: a tensor, a text, or a list of MIL.
Value = Any


class Precision(Enum):
    """How a program that declares half precision is executed."""

    #: In single precision throughout: constants are those that were rounded for the package.
    SINGLE = "single"
    #: With the package's constants, but results keep single precision: what a backend does that has
    #: no half precision.
    WIDENED = "widened"
    #: Each result is rounded, as a device does.
    DEVICE = "device"


@dataclass(frozen=True)
class Declared:
    """The type that a program gives to a value."""

    #: MIL's number of the element type; of a list that of its elements. 0: a type without one.
    data_type: int
    #: Sizes, `None` where they vary; `None` for a value without a known rank.
    shape: tuple[int | None, ...] | None
    #: Whether it is a list of tensors.
    is_list: bool = False

    @property
    def is_half(self) -> bool:
        """Whether its values have 16 bits with a fraction."""
        return self.data_type == MIL_pb2.FLOAT16

    @property
    def is_float(self) -> bool:
        """Whether its values have a fraction."""
        return self.data_type in FLOATS

    def settle(self, value: torch.Tensor, precision: Precision) -> torch.Tensor:
        """Return a result as the program stores it."""
        if self.data_type in FLOATS:
            value = value if value.dtype == torch.float32 else value.to(torch.float32)
            return rounded(value) if precision is Precision.DEVICE and self.is_half else value
        kind = TORCH_TYPES.get(self.data_type)
        if kind is None:
            return value
        if value.is_floating_point():
            # A conversion cuts the fraction off; numbers beyond 64 bits are nobody's promise.
            value = value.to(torch.int64)
        bits = UNSIGNED.get(self.data_type)
        if bits is not None:
            value = value.to(torch.int64) & ((1 << bits) - 1)
        return value if value.dtype == kind else value.to(kind)


def rounded(value: torch.Tensor) -> torch.Tensor:
    """Return values rounded to half precision, in single precision."""
    return value.to(torch.float16).to(torch.float32)


def declared(kind: MIL_pb2.ValueType) -> Declared:
    """Return a type of the specification."""
    which = kind.WhichOneof("type")
    if which == "tensorType":
        return _tensor(kind.tensorType)
    if which == "stateType":
        return declared(kind.stateType.wrappedType)
    if which == "listType":
        return Declared(declared(kind.listType.type).data_type, None, True)
    return Declared(0, None)


def _tensor(kind: MIL_pb2.TensorType) -> Declared:
    """Return the type of a tensor."""
    if kind.rank < 0:
        return Declared(kind.dataType, None)
    shape = tuple(
        size.constant.size if size.WhichOneof("dimension") == "constant" else None
        for size in kind.dimensions
    )
    return Declared(kind.dataType, shape)


@dataclass(frozen=True, eq=False)
class Constant:
    """A constant of the specification, not yet read."""

    value: MIL_pb2.Value
    #: How the program calls it; empty for one that stands in an operation.
    name: str = ""

    @property
    def elements(self) -> int:
        """How many elements a tensor has; 0 for what is none."""
        kind = self.value.type
        if kind.WhichOneof("type") != "tensorType":
            return 0
        return math.prod(size.constant.size for size in kind.tensorType.dimensions)

    def read(self, blobs: Blobs, original: npt.NDArray[np.generic] | None = None) -> Value:
        """Return the value.

        Parameters: `original` — the numbers that the constant was rounded from, to be taken in its
        place.
        """
        which = self.value.WhichOneof("value")
        if which == "blobFileValue":
            file = self.value.blobFileValue
            stored = blobs.bytes_at(file.fileName, file.offset)
            return _of_bytes(stored, declared(self.value.type), original)
        immediate = self.value.immediateValue
        kind = immediate.WhichOneof("value")
        if kind == "tensor":
            return _immediate(immediate.tensor, declared(self.value.type), original)
        if kind in ("list", "tuple"):
            items = getattr(immediate, kind).values
            return [Constant(item).read(blobs) for item in items]
        raise ValueError(f"a constant of the form `{kind}`")

    def read_half(self, blobs: Blobs) -> npt.NDArray[np.float16] | None:
        """Return the numbers of a constant of half precision, or `None` where they stand elsewhere
        than coremltools writes them.
        """
        if self.value.WhichOneof("value") == "blobFileValue":
            file = self.value.blobFileValue
            return blobs.bytes_at(file.fileName, file.offset).view(np.float16)
        tensor = self.value.immediateValue.tensor
        if tensor.WhichOneof("value") != "bytes":
            return None
        return np.frombuffer(tensor.bytes.values, np.float16)


def _of_bytes(
    stored: npt.NDArray[np.uint8], kind: Declared, original: npt.NDArray[np.generic] | None
) -> torch.Tensor:
    """Return a tensor of a weight's bytes."""
    shape = tuple(size or 0 for size in kind.shape or ())
    if original is not None:
        return torch.from_numpy(np.asarray(original, np.float32).reshape(shape))
    bits = BITS.get(kind.data_type)
    if bits is not None:
        signed = kind.data_type == MIL_pb2.INT4
        return torch.from_numpy(unpacked(stored, bits, math.prod(shape), signed).reshape(shape))
    array = stored.view(STORED_TYPES[kind.data_type]).reshape(shape)
    if array.dtype in (np.uint16, np.uint32, np.uint64, np.float64):
        array = array.astype(np.float32 if array.dtype == np.float64 else np.int64)
    return torch.from_numpy(array).to(TORCH_TYPES[kind.data_type])


def unpacked(
    stored: npt.NDArray[np.uint8], bits: int, count: int, signed: bool
) -> npt.NDArray[np.generic]:
    """Return `count` numbers of `bits` bits each, one to a byte; the first one is in the lowest
    bits of the first byte.
    """
    flat = np.unpackbits(stored, bitorder="little")[: bits * count].reshape(count, bits)
    numbers = flat @ (1 << np.arange(bits, dtype=np.uint8))
    if signed:
        numbers = numbers.astype(np.int8)
        numbers -= ((numbers >> (bits - 1)) << bits).astype(np.int8)
        return numbers
    return numbers.astype(np.uint8)


def _immediate(
    tensor: MIL_pb2.TensorValue, kind: Declared, original: npt.NDArray[np.generic] | None
) -> Value:
    """Return a constant that stands in the specification itself."""
    which = tensor.WhichOneof("value")
    if which == "bytes":
        stored = np.frombuffer(tensor.bytes.values, np.uint8).copy()
        return _of_bytes(stored, kind, original)
    if which is None:
        return torch.zeros([size or 0 for size in kind.shape or ()], dtype=_held(kind))
    values = getattr(tensor, which).values
    if which == "strings":
        return list(values) if kind.shape else values[0]
    shape = [size or 0 for size in kind.shape or ()]
    wide = torch.float64 if which in ("floats", "doubles") else torch.int64
    found = torch.tensor(list(values), dtype=wide)
    if original is not None:
        return torch.from_numpy(np.asarray(original, np.float32).reshape(shape))
    # One number may stand for a tensor of equal ones.
    found = found.reshape(shape) if found.numel() == math.prod(shape) else found.expand(shape)
    return found.to(_held(kind))


def _held(kind: Declared) -> torch.dtype:
    """Return what holds a type's values."""
    return TORCH_TYPES.get(kind.data_type, torch.float32)


#: The numbers that constants of half precision were rounded from, by the constant's name.
Originals = Mapping[str, npt.NDArray[np.generic]]
