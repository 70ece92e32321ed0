"""Reductions: MIL's `reduction`.

Owns: their kernels.
Must not: round results.
Flow: `kernels` imports this file, so that its kernels are declared.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from coreml_driver.proof.kernels.registry import flag, integer, integers, kernel

#: Takes a tensor, axes, and whether they stay with size one.
Reduce = Callable[[torch.Tensor, list[int], bool], torch.Tensor]


def _product(x: torch.Tensor, axes: list[int], keep: bool) -> torch.Tensor:
    """Return the product over several axes."""
    for axis in sorted((axis % x.dim() for axis in axes), reverse=True):
        x = x.prod(axis, keepdim=keep)
    return x


REDUCTIONS: dict[str, Reduce] = {
    "reduce_l1_norm": lambda x, axes, keep: x.abs().sum(axes, keep),
    "reduce_l2_norm": lambda x, axes, keep: (x * x).sum(axes, keep).sqrt(),
    "reduce_log_sum": lambda x, axes, keep: x.sum(axes, keep).log(),
    "reduce_log_sum_exp": lambda x, axes, keep: x.logsumexp(axes, keep),
    "reduce_max": lambda x, axes, keep: x.amax(axes, keep),
    "reduce_mean": lambda x, axes, keep: x.to(_wide(x)).mean(axes, keep),
    "reduce_min": lambda x, axes, keep: x.amin(axes, keep),
    "reduce_prod": _product,
    "reduce_sum": lambda x, axes, keep: x.sum(axes, keep),
    "reduce_sum_square": lambda x, axes, keep: (x * x).sum(axes, keep),
}


def _wide(x: torch.Tensor) -> torch.dtype:
    """Return the type to take a mean in: that of integers is cut off in the end."""
    return x.dtype if x.is_floating_point() else torch.float64


def _declare() -> None:
    """Declare the reductions over axes."""
    for name, compute in REDUCTIONS.items():

        @kernel(name)
        def _reduce(
            x: torch.Tensor, axes: Any = None, keep_dims: Any = None, *, of: Reduce = compute
        ) -> torch.Tensor:
            chosen = integers(axes, range(x.dim()))
            return of(x, chosen, flag(keep_dims, False)) if x.dim() else of(x[None], [0], False)


_declare()


@kernel("reduce_argmax")
def _reduce_argmax(
    x: torch.Tensor, axis: Any = None, keep_dims: Any = None, output_dtype: Any = None
) -> torch.Tensor:
    """The position of the largest number, the first of equal ones."""
    return _first(x, x.amax(integer(axis, -1), True), axis, keep_dims)


@kernel("reduce_argmin")
def _reduce_argmin(
    x: torch.Tensor, axis: Any = None, keep_dims: Any = None, output_dtype: Any = None
) -> torch.Tensor:
    """The position of the smallest number, the first of equal ones."""
    return _first(x, x.amin(integer(axis, -1), True), axis, keep_dims)


def _first(x: torch.Tensor, best: torch.Tensor, axis: Any, keep_dims: Any) -> torch.Tensor:
    """Return where a row first is its best, or no number."""
    found = ((x == best) | (x != x)).to(torch.uint8)
    return found.argmax(integer(axis, -1), keepdim=flag(keep_dims, False))
