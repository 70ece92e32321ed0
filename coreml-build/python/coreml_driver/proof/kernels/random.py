"""Random numbers: MIL's `random`.

Owns: their kernels. Only the distribution is MIL's: which numbers are drawn is the engine's affair.
Must not: be taken for a proof: a program with one of these is named as not proved.
Flow: `kernels` imports this file, so that its kernels are declared.
"""

from __future__ import annotations

from typing import Any

import torch

from coreml_driver.proof.kernels.registry import (
    Context,
    Unproved,
    integer,
    integers,
    kernel,
    number,
)

#: Operations whose results are drawn.
DRAWN = frozenset({"random_bernoulli", "random_categorical", "random_normal", "random_uniform"})


@kernel("random_bernoulli", situated=True)
def _random_bernoulli(
    context: Context, shape: torch.Tensor, prob: Any = None, seed: Any = None
) -> torch.Tensor:
    """Ones with a probability, otherwise zeros."""
    return (_unit(context, integers(shape)) < number(prob, 0.5)).to(torch.float32)


@kernel("random_normal", situated=True)
def _random_normal(
    context: Context, shape: torch.Tensor, mean: Any = None, stddev: Any = None, seed: Any = None
) -> torch.Tensor:
    """Normally distributed numbers."""
    drawn = torch.randn(integers(shape), generator=context.execution.random)
    return number(mean, 0.0) + number(stddev, 1.0) * drawn


@kernel("random_uniform", situated=True)
def _random_uniform(
    context: Context, shape: torch.Tensor, low: Any = None, high: Any = None, seed: Any = None
) -> torch.Tensor:
    """Numbers between two bounds."""
    bottom, top = number(low, 0.0), number(high, 1.0)
    return bottom + (top - bottom) * _unit(context, integers(shape))


@kernel("random_categorical", situated=True)
def _random_categorical(
    context: Context, x: torch.Tensor, mode: str | None = None, size: Any = None, seed: Any = None
) -> torch.Tensor:
    """Positions along the last dimension, by their probabilities."""
    if mode not in (None, "logits", "probs"):
        raise Unproved(f"the mode `{mode}`")
    weights = x if mode == "probs" else torch.softmax(x, -1)
    rows = weights.reshape(-1, weights.shape[-1])
    count = integer(size, 1)
    drawn = torch.multinomial(rows, count, True, generator=context.execution.random)
    return drawn.reshape(*x.shape[:-1], count)


def _unit(context: Context, shape: list[int]) -> torch.Tensor:
    """Return numbers between 0 and 1."""
    return torch.rand(shape, generator=context.execution.random)
