"""Why an operation stays in float32 though half precision was asked for.

Owns: the words of the report.
Must not: decide.
Flow: `flow`, `masks` and `small` give reasons -> `half` -> the selector, which keeps them for the
report.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Reason:
    """A reason in words."""

    words: str
    #: Whether a warning tells it: the module has a number that float16 lacks.
    told: bool = False


INTEGERS = Reason("computes from integers, which float16 loses above 2048")
ACCUMULATION = Reason("adds up a whole axis")
NEAR_ACCUMULATION = Reason("belongs to a running sum")


def too_small(value: float) -> Reason:
    """Return the reason of an operation with a constant that float16 cannot hold."""
    return Reason(f"{value:g} is too small for float16", told=True)


def near_too_small(value: float) -> Reason:
    """Return the reason of what makes or uses the result of such an operation."""
    return Reason(f"computes with {value:g}, which is too small for float16")


def too_large(value: float) -> Reason:
    """Return the reason of an operation with a constant beyond float16."""
    return Reason(f"{value:g} is beyond float16", told=True)
