"""Products of matrices: MIL's `linear`.

Owns: their kernels.
Must not: round results.
Flow: `kernels` imports this file, so that its kernels are declared.
"""

from __future__ import annotations

from typing import Any

import torch

from coreml_driver.proof.kernels.registry import flag, kernel, whole


@kernel("linear")
def _linear(
    x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None = None
) -> torch.Tensor:
    """`x weight^T + bias`."""
    if whole(x):
        product = _product(x, weight.mT)
        return product if bias is None else product + bias
    return torch.nn.functional.linear(x, weight, bias)


@kernel("matmul")
def _matmul(
    x: torch.Tensor, y: torch.Tensor, transpose_x: Any = None, transpose_y: Any = None
) -> torch.Tensor:
    """The product of the last two dimensions; a vector is a row on the left, a column on the
    right.
    """
    x = x.mT if flag(transpose_x, False) and x.dim() > 1 else x
    y = y.mT if flag(transpose_y, False) and y.dim() > 1 else y
    return _product(x, y)


@kernel("einsum")
def _einsum(values: list[torch.Tensor], equation: str) -> torch.Tensor:
    """A sum of products, by its equation."""
    return torch.einsum(equation.replace(" ", ""), *values)


def _product(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Return a product of matrices; of integers in 64 bits, which torch has on every processor."""
    if whole(x):
        return torch.matmul(x.to(torch.int64), y.to(torch.int64))
    return torch.matmul(x, y)
