"""States: MIL's `states`, and the write that coremltools makes of an update.

Owns: their kernels.
Must not: know what the states were at first (`prove`).
Flow: `kernels` imports this file, so that its kernels are declared.
"""

from __future__ import annotations

import torch

from coreml_driver.proof.kernels.registry import Context, kernel


@kernel("read_state", situated=True)
def _read_state(context: Context, input: str) -> torch.Tensor:
    """What a state is now."""
    return context.execution.states[input]


@kernel("write_state", situated=True)
def _write_state(context: Context, input: str, data: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """A new value of a state; some writers give it a result too."""
    context.execution.states[input] = data
    return (data,) * len(context.step.outputs)
