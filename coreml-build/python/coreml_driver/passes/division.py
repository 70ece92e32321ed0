"""A division by a constant becomes a multiplication only where that changes nothing that counts.

Owns: the pass that coremltools calls `divide_to_multiply`.
Must not: decide about precision (that is `half`).
Flow: `passes` imports this file, so that its repair is listed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from coremltools.converters.mil.mil import Builder as mb
from coremltools.converters.mil.mil import types
from coremltools.converters.mil.mil.passes.graph_pass import AbstractGraphPass
from coremltools.converters.mil.mil.passes.helper import block_context_manager

from coreml_driver.passes.flow import comes_from_integers, is_rounded
from coreml_driver.passes.registry import replacement

#: Smallest and largest factor that float16 holds with all its digits.
SMALLEST, LARGEST = float(np.finfo(np.float16).tiny), float(np.finfo(np.float16).max)


@replacement(
    "common::divide_to_multiply",
    "`floor(91 / 7)` becomes `floor(91 * 0.142857)`, which is 12 (#2733); `x / 24000` multiplies "
    "by what float16 cannot hold",
)
class ExactDivideToMultiply(AbstractGraphPass):
    """Multiplies by the reciprocal of a constant where it is exact, or where only the last digit
    of a continuous result depends on it.
    """

    def apply(self, prog: Any) -> None:
        """Run over all functions."""
        for function in prog.functions.values():
            self._block(function)

    @block_context_manager
    def _block(self, block: Any) -> None:
        for operation in list(block.operations):
            for nested in operation.blocks:
                self._block(nested)
            if operation.op_type == "real_div" and _is_multiplication(operation):
                factor = np.array(1, operation.y.val.dtype) / operation.y.val
                product = mb.mul(
                    x=operation.x,
                    y=factor,
                    name="_inversed_" + operation.name,
                    before_op=operation,
                )
                operation.enclosing_block.replace_uses_of_var_after_op(
                    anchor_op=operation, old_var=operation.outputs[0], new_var=product
                )
                block.remove_ops([operation])


def _is_multiplication(division: Any) -> bool:
    """Return whether a division may become a multiplication."""
    divisor = division.y.val
    if divisor is None or not types.is_float(division.x.dtype) or np.any(divisor == 0):
        return False
    size = np.abs(1 / np.asarray(divisor, np.float64))
    if np.any(size < SMALLEST) or np.any(size > LARGEST):
        return False
    mantissa, _ = np.frexp(divisor)
    if np.all(np.abs(mantissa) == 0.5):
        return True  # powers of two: the reciprocal is exact
    checks: tuple[Callable[[Any], bool], ...] = (comes_from_integers, is_rounded)
    return not any(check(division) for check in checks)
