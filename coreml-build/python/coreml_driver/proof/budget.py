"""What a proof may cost.

Owns: the estimates of time, made of counts alone: the same model is proved on the same samples on
every machine.
Must not: measure time.
Flow: `prove` counts the work of the first execution -> `Budget.take` before each further one.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch

from coreml_driver.proof.reading import Body, Function, Step

#: Share of the time of a conversion that a proof may add.
SHARE = 0.12
#: Seconds of a conversion beside what it does for each operation, each constant's element and each
#: run of the network; by measurement of `tools/whole-models` on one core.
BASE = 0.9
PER_OPERATION = 4.5e-3
PER_ELEMENT = 4e-8
RUNS = 6
#: Seconds of an execution for each operation, each number of a result and each product.
PER_STEP = 2.5e-5
PER_NUMBER = 1.5e-9
PER_PRODUCT = 8e-11


def products(step: Step, results: Sequence[Any], inputs: Sequence[Any]) -> float:
    """Return how many numbers a step multiplies, roughly.

    Parameters: `inputs` — the tensors that it gets.
    """
    tensors = [one for one in inputs if isinstance(one, torch.Tensor)]
    result = next((one for one in results if isinstance(one, torch.Tensor)), None)
    if result is None or len(tensors) < 2:
        return 0.0
    if step.kind in ("conv", "conv_transpose", "conv_quantized"):
        weight = max(tensors[:2], key=lambda one: 0 if one is tensors[0] else 1)
        spread = tensors[0].numel() if step.kind == "conv_transpose" else result.numel()
        return spread * weight.numel() / max(weight.shape[0], 1)
    if step.kind in ("linear", "matmul", "einsum"):
        return float(result.numel() * tensors[0].shape[-1]) if tensors[0].dim() else 0.0
    if step.kind == "scaled_dot_product_attention":
        return 2.0 * result.numel() * tensors[1].shape[-2]
    if step.kind in ("lstm", "gru", "rnn"):
        steps_ = tensors[0].shape[0] * tensors[0].shape[1]
        return float(steps_ * sum(one.numel() for one in tensors[2:] if one.dim() == 2))
    return 0.0


class Work:
    """Counts the work of an execution."""

    def __init__(self) -> None:
        """Begin at nothing."""
        self.seconds = 0.0

    def count(self, step: Step, results: Sequence[Any], inputs: Sequence[Any]) -> None:
        """Add one step."""
        numbers = sum(one.numel() for one in results if isinstance(one, torch.Tensor))
        self.seconds += PER_STEP + PER_NUMBER * numbers
        self.seconds += PER_PRODUCT * products(step, results, inputs)


class Budget:
    """The time that is left for further executions."""

    def __init__(self, function: Function, execution: float) -> None:
        """Parameters: `execution` — estimated seconds of one."""
        elements = math.fsum(constant.elements for constant in function.constants.values())
        conversion = BASE + PER_OPERATION * _operations(function.body) + PER_ELEMENT * elements
        self.left = SHARE * (conversion + RUNS * execution)

    def take(self, seconds: float, *, needed: bool = False) -> bool:
        """Return whether there is time for something, and take it.

        Parameters: `needed` — it is done in any case.
        """
        if not needed and seconds > self.left:
            return False
        self.left -= seconds
        return True


def _operations(body: Body) -> int:
    """Return how many steps a block has, those of its blocks included."""
    return sum(1 + sum(map(_operations, step.bodies)) for step in body.steps)
