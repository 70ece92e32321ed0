"""Half precision, without what it cannot hold.

Owns: the pass that coremltools calls `add_fp16_cast`; which operations stay in float32 by
themselves.
Must not: ask for more than what half precision would get wrong.
Flow: coremltools' pipeline -> `masks` bounds masks -> here -> the user's selector and these
operations decide about each operation.
"""

from __future__ import annotations

from typing import Any

from coremltools.converters.mil.mil.passes.defs.quantization import add_fp16_cast

from coreml_driver.passes import flow, masks, small
from coreml_driver.passes.reasons import Reason
from coreml_driver.passes.registry import replacement

__all__ = ["CarefulFloat16Cast", "Reason"]


@replacement(
    "common::add_fp16_cast",
    "`log(x + 1e-10)` becomes `log(x + 6e-8)`, `(1 - mask) * finfo.min` NaN (#2669), and what is "
    "computed from integers loses them above 2048 (#2733)",
)
class CarefulFloat16Cast(add_fp16_cast):
    """Casts to float16 what float16 can hold."""

    def apply(self, prog: Any) -> None:
        """Run over the program."""
        masks.bound(prog)
        kept: dict[Any, Reason] = {}
        for found in (
            masks.large(prog),
            small.around_constants(prog),
            flow.computed_from_integers(prog),
            flow.accumulations(prog),
        ):
            kept = found | kept
        asked, skipped = self.op_selector, self.skip_ops_by_type

        def selector(operation: Any) -> bool:
            """Return whether an operation computes in float16."""
            wanted = operation.op_type not in skipped if asked is None else asked(operation)
            reason = kept.get(operation)
            if wanted and reason is not None and hasattr(asked, "keep"):
                asked.keep(operation, reason)
            return wanted and reason is None

        self.op_selector, self._skip_ops_by_type = selector, set()
        try:
            super().apply(prog)
        finally:
            self.op_selector, self._skip_ops_by_type = asked, skipped
