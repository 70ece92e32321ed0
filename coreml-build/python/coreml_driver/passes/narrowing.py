"""Integers are narrowed to 16 bits only where their bounds are known.

Owns: the pass that coremltools calls `add_int16_cast`.
Must not: widen what it cannot prove.
Flow: `passes` imports this file, so that its repair is listed.
"""

from __future__ import annotations

from typing import Any

from coremltools.converters.mil.mil.passes.defs.quantization import add_int16_cast
from coremltools.converters.mil.mil.types.symbolic import is_symbolic

from coreml_driver.passes.registry import replacement

#: Largest number of elements that 16 bits can count from both ends.
ADDRESSABLE = 2**15 - 1


@replacement(
    "common::add_int16_cast",
    "values of `squeeze`, `gather`, `topk` wrap around above 32767 (#2222, #2626)",
)
class ProvedInt16Cast(add_int16_cast):
    """Narrows constants that fit, and positions along axes that are short enough."""

    def should_cast_parameter(self, op: Any, param_name: str) -> bool:
        """Return whether an input can be narrowed: what coremltools would narrow and 16 bits can
        hold.
        """
        value = op.inputs[param_name]
        if isinstance(value, (list, tuple)):
            return False
        constant = value.op is not None and value.op.op_type == "const"
        proved = constant or (param_name == "indices" and _short(op))
        if param_name == "output_indices_dtype":
            proved = _fits(op.x.shape[op.axis.val])
        return proved and super().should_cast_parameter(op, param_name)


def _short(op: Any) -> bool:
    """Return whether every axis that the indices address is short enough."""
    shape = op.x.shape
    if op.op_type in ("gather", "gather_along_axis"):
        return _fits(shape[op.axis.val])
    if op.op_type == "gather_nd":
        batch, depth = op.batch_dims.val, op.indices.shape[-1]
        return not is_symbolic(depth) and all(map(_fits, shape[batch : batch + depth]))
    return False


def _fits(size: Any) -> bool:
    """Return whether a size is known, and 16 bits can address its elements."""
    return not is_symbolic(size) and size <= ADDRESSABLE
