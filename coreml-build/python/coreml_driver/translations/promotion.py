"""Element types of operands, as PyTorch promotes them.

Owns: casting operands to the type that an operation computes in.
Must not: translate an operation.
Flow: a translation reads its operands -> here -> the operation's own MIL.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from coremltools.converters.mil import Builder as mb
from coremltools.converters.mil.mil import Var, types
from coremltools.converters.mil.mil.ops.defs._utils import promote_input_dtypes
from coremltools.converters.mil.mil.types import builtin_to_string

#: NumPy's types by MIL's names.
NUMPY_TYPES = {"fp16": np.float16, "fp32": np.float32, "int32": np.int32, "bool": np.bool_}


def type_of(x: Any) -> str:
    """Return MIL's name of the element type of a value or a plain number."""
    if isinstance(x, Var):
        return builtin_to_string(x.dtype)
    kind = np.asarray(x).dtype.kind
    return {"b": "bool", "i": "int32", "u": "int32", "f": "fp32"}[kind]


def is_float(x: Any) -> bool:
    """Return whether a value holds floating-point numbers."""
    return type_of(x).startswith("fp")


def is_integer(x: Any) -> bool:
    """Return whether a value holds integers; booleans are none."""
    return type_of(x).startswith(("int", "uint"))


def cast(x: Any, kind: str | None, name: str | None = None) -> Any:
    """Return a value in another element type; the same value when it has that type, or `kind` is
    `None`. A constant is cast at once.

    Parameters: `name` — of the result, where it is the result of a translation.
    """
    named = {} if name is None else {"name": name}
    value = x.val if isinstance(x, Var) else x
    if kind is None or type_of(x) == kind:
        return mb.identity(x=x, **named) if named else x
    if value is not None and kind in NUMPY_TYPES:
        return mb.const(val=np.asarray(value).astype(NUMPY_TYPES[kind]), **named)
    return mb.cast(x=x, dtype=kind, **named)


def to_float(x: Any) -> Any:
    """Return a value as floating-point numbers."""
    return x if isinstance(x, Var) and is_float(x) else cast(x, "fp32")


def number(like: Any, value: float) -> Any:
    """Return a plain number in the element type of `like`."""
    return NUMPY_TYPES[type_of(like)](value)


def promoted(*values: Any) -> list[Any]:
    """Return operands in their common type; booleans count as integers beside numbers."""
    return promote_input_dtypes([x if isinstance(x, Var) else mb.const(val=x) for x in values])


def whole(x: Any) -> Any:
    """Return booleans as integers, for operations that MIL has for numbers alone."""
    return cast(x, "int32") if types.is_bool(x.dtype) else x
