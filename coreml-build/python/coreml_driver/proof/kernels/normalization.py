"""Normalisations: MIL's `normalization`.

Owns: their kernels.
Must not: round results.
Flow: `kernels` imports this file, so that its kernels are declared.
"""

from __future__ import annotations

from typing import Any

import torch
from torch.nn import functional

from coreml_driver.proof.kernels.registry import integer, integers, kernel, number


@kernel("batch_norm")
def _batch_norm(
    x: torch.Tensor,
    mean: torch.Tensor,
    variance: torch.Tensor,
    gamma: torch.Tensor | None = None,
    beta: torch.Tensor | None = None,
    epsilon: Any = None,
) -> torch.Tensor:
    """`gamma (x - mean) / sqrt(variance + epsilon) + beta`, by channels."""
    return functional.batch_norm(x, mean, variance, gamma, beta, eps=number(epsilon, 1e-5))


@kernel("instance_norm")
def _instance_norm(
    x: torch.Tensor,
    gamma: torch.Tensor | None = None,
    beta: torch.Tensor | None = None,
    epsilon: Any = None,
) -> torch.Tensor:
    """Each channel of each batch element by its own mean and variance."""
    axes = list(range(2, x.dim()))
    own = (x - x.mean(axes, keepdim=True)) * torch.rsqrt(
        x.var(axes, keepdim=True, correction=0) + number(epsilon, 1e-5)
    )
    rest = [1] * (x.dim() - 2)
    own = own if gamma is None else own * gamma.reshape(-1, *rest)
    return own if beta is None else own + beta.reshape(-1, *rest)


@kernel("layer_norm")
def _layer_norm(
    x: torch.Tensor,
    axes: Any = None,
    gamma: torch.Tensor | None = None,
    beta: torch.Tensor | None = None,
    epsilon: Any = None,
) -> torch.Tensor:
    """By mean and variance over some axes, with factors and summands over the same."""
    chosen = sorted(axis % x.dim() for axis in integers(axes, range(x.dim())))
    epsilon = number(epsilon, 1e-5)
    shape = [x.shape[axis] for axis in chosen]
    if chosen == list(range(x.dim() - len(chosen), x.dim())):
        fits = all(one is None or list(one.shape) == shape for one in (gamma, beta))
        if fits:
            return functional.layer_norm(x, shape, gamma, beta, epsilon)
    own = (x - x.mean(chosen, keepdim=True)) * torch.rsqrt(
        x.var(chosen, keepdim=True, correction=0) + epsilon
    )
    spread = [size if axis in chosen else 1 for axis, size in enumerate(x.shape)]
    own = own if gamma is None else own * gamma.reshape(spread)
    return own if beta is None else own + beta.reshape(spread)


@kernel("l2_norm")
def _l2_norm(x: torch.Tensor, epsilon: Any = None) -> torch.Tensor:
    """`x / sqrt(sum of squares + epsilon)` over the last three dimensions."""
    squares = (x * x).sum([-3, -2, -1], keepdim=True)
    return x * torch.rsqrt(squares + number(epsilon, 1e-6))


@kernel("local_response_norm")
def _local_response_norm(
    x: torch.Tensor, size: Any, alpha: Any = None, beta: Any = None, k: Any = None
) -> torch.Tensor:
    """`x / (k + alpha / size sum of squares)^beta`, the sum over neighbouring channels."""
    width = integer(size)
    squares = (x * x).movedim(1, -1)
    before = (width - 1) // 2
    windows = functional.pad(squares, (before, width - 1 - before)).unfold(-1, width, 1)
    means = windows.mean(-1).movedim(-1, 1)
    return x / (number(k, 1.0) + number(alpha, 1e-4) * means) ** number(beta, 0.75)
