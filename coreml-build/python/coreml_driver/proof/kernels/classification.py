"""The end of a classifier: MIL's `classify`.

Owns: its kernel.
Must not: know how labels are declared.
Flow: `kernels` imports this file, so that its kernels are declared.
"""

from __future__ import annotations

from typing import Any

import torch

from coreml_driver.proof.kernels.registry import kernel


@kernel("classify")
def _classify(probabilities: torch.Tensor, classes: list[Any]) -> tuple[Any, torch.Tensor]:
    """The label of the largest probability, the first of equal ones, and the probabilities."""
    flat = probabilities.reshape(-1)
    labels = [one.item() if isinstance(one, torch.Tensor) else one for one in classes]
    best = int((flat == flat.max()).to(torch.uint8).argmax()) if flat.numel() else 0
    return labels[best], flat
