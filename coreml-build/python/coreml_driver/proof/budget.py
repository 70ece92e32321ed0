"""What a proof may cost.

Owns: the estimates of time, made of counts alone: the same model is proved on the same samples on
every machine.
Must not: measure time.
Flow: `prove` counts the work of the first execution -> `Budget.take` before each further one.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
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


def products(step: Step, result: torch.Tensor, inputs: Mapping[str, Any]) -> float:
    """Return how many numbers a step multiplies, roughly.

    Parameters: `inputs` — by parameter; a map of the specification has no order.
    """
    weight, x = inputs.get("weight"), inputs.get("x")
    if step.kind in ("conv", "conv_transpose", "conv_quantized"):
        # Each number of a result is a sum over a filter; each of a transposed input is spread.
        spread = x.numel() if step.kind == "conv_transpose" else result.numel()
        return spread * weight.numel() / max(weight.shape[0], 1)
    if step.kind in ("linear", "matmul"):
        deep = x.shape[-2] if bool(inputs.get("transpose_x", False)) else x.shape[-1]
        return float(result.numel() * deep)
    if step.kind == "einsum":
        return float(result.numel() * max(one.shape[-1] for one in inputs["values"]))
    if step.kind == "scaled_dot_product_attention":
        return 2.0 * result.numel() * inputs["key"].shape[-2]
    if step.kind in ("lstm", "gru", "rnn"):
        names = ("weight_ih", "weight_hh", "weight_ih_back", "weight_hh_back")
        weights = sum(inputs[name].numel() for name in names if inputs.get(name) is not None)
        return float(x.shape[0] * x.shape[1] * weights)
    return 0.0


class Work:
    """Counts the work of an execution."""

    def __init__(self) -> None:
        """Begin at nothing."""
        self.seconds = 0.0

    def count(self, step: Step, results: Sequence[Any], inputs: Mapping[str, Any]) -> None:
        """Add one step."""
        tensors = [one for one in results if isinstance(one, torch.Tensor)]
        self.seconds += PER_STEP + PER_NUMBER * sum(one.numel() for one in tensors)
        if tensors and tensors[0].dim():
            self.seconds += PER_PRODUCT * products(step, tensors[0], inputs)


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
