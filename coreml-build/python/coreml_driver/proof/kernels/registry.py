"""The table of kernels: what each operation of MIL computes.

Owns: what a kernel is, and the operations that have none with the reason.
Must not: compute; each family of operations has a file beside this one.
Flow: the files of this folder declare kernels -> `execute` looks them up by the operation's name.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from coreml_driver.proof.execute import Execution
    from coreml_driver.proof.reading import Step

#: Takes arguments by MIL's names, and returns one result or several.
Compute = Callable[..., Any]


@dataclass(frozen=True)
class Kernel:
    """What one operation computes."""

    compute: Compute
    #: Whether it is called with the `Context` first.
    situated: bool = False


@dataclass(frozen=True)
class Context:
    """What some operations need beside their arguments."""

    step: Step
    execution: Execution


#: By the operation's name.
KERNELS: dict[str, Kernel] = {}
#: Why an operation has no kernel.
REASONS = {
    "_const_symbolic": "coremltools replaces it while it converts; no package holds one",
}
#: Parameters that take several values.
SEVERAL = frozenset({"values", "loop_vars", "ref_tensors", "elem_shape"})


class Unproved(Exception):
    """An operation, or a use of one, that is not evaluated; the text says why."""


def kernel(*names: str, situated: bool = False) -> Callable[[Compute], Compute]:
    """Declare a function to be what the operations `names` compute."""

    def declare(compute: Compute) -> Compute:
        for name in names:
            KERNELS[name] = Kernel(compute, situated)
        return compute

    return declare


def number(value: Any, default: float | None = None) -> float:
    """Return an argument that is a number with a fraction."""
    return float(default if value is None else value)  # type: ignore[arg-type]


def integer(value: Any, default: int | None = None) -> int:
    """Return an argument that is a whole number."""
    return int(default if value is None else value)  # type: ignore[arg-type]


def flag(value: Any, default: bool) -> bool:
    """Return an argument that is true or false."""
    return default if value is None else bool(value)


def integers(value: Any, default: Sequence[int] | None = None) -> list[int]:
    """Return an argument that is a row of whole numbers."""
    if value is None:
        return list(default or ())
    if isinstance(value, list):
        return [int(one) for one in value]
    return [int(one) for one in value.reshape(-1).tolist()]


def flags(value: Any, length: int) -> list[bool]:
    """Return an argument that is a row of truth values; absent ones are false."""
    return [bool(one) for one in integers(value, [False] * length)]


def whole(value: torch.Tensor) -> bool:
    """Return whether a tensor holds integers or truth values."""
    return not value.is_floating_point()
