"""Branches and loops: MIL's `control_flow`.

Owns: their kernels.
Must not: know how a block is executed (`execute`).
Flow: `kernels` imports this file, so that its kernels are declared.
"""

from __future__ import annotations

from typing import Any

import torch

from coreml_driver.proof.kernels.registry import Context, kernel

#: A loop that goes round more often than this is taken for one without end.
MOST_ROUNDS = 1_000_000


@kernel("cond", situated=True)
def _cond(context: Context, pred: torch.Tensor) -> list[Any]:
    """The results of one of two blocks."""
    taken, other = context.step.bodies
    return context.execution.enter(taken if bool(pred) else other, ())


@kernel("while_loop", situated=True)
def _while_loop(context: Context, loop_vars: list[Any]) -> list[Any]:
    """A block, as long as another one says so."""
    condition, body = context.step.bodies
    values = list(loop_vars)
    for _ in range(MOST_ROUNDS):
        (proceed,) = context.execution.enter(condition, values)
        if not bool(proceed):
            return values
        values = context.execution.enter(body, values)
    raise RuntimeError(f"the loop goes round more than {MOST_ROUNDS} times")
