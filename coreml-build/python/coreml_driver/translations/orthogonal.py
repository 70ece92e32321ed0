"""QR decompositions, as LAPACK keeps them: reflections below the upper factor.

Owns: `qr`, `geqrf`, `householder_product` and `ormqr`.
Must not: hold the algorithm (that is `decomposition`).
"""

from __future__ import annotations

from typing import Any

import torch

from coreml_driver.translations import decomposition as small
from coreml_driver.translations.composition import composite, untraced


@composite("geqrf")
def _geqrf(self: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The reflections of a QR decomposition."""
    small.small("geqrf", *self.shape[-2:])
    found = small.reflections(self)
    return found.packed, found.scales


@composite("linalg_qr")
def _qr(A: torch.Tensor, mode: str = "reduced") -> tuple[torch.Tensor, torch.Tensor]:
    """The orthogonal and the upper factor."""
    small.small("qr", *A.shape[-2:])
    rows, columns = A.shape[-2:]
    found = small.reflections(A)
    count = rows if mode == "complete" else min(rows, columns)
    upper = torch.triu(found.packed)[..., :count, :]
    if mode == "r":
        with untraced():
            return torch.zeros(0), upper
    return small.product_of(found.packed, found.scales, count), upper


@composite("qr")
def _old_qr(self: torch.Tensor, some: bool = True) -> tuple[torch.Tensor, torch.Tensor]:
    """The same, by its old name."""
    return _qr(self, "reduced" if some else "complete")


@composite("linalg_householder_product", "orgqr")
def _householder_product(
    self: Any = None, input2: Any = None, input: Any = None, tau: Any = None
) -> torch.Tensor:
    """The first columns of a product of reflections."""
    packed, scales = (input, tau) if self is None else (self, input2 if tau is None else tau)
    small.small("householder_product", *packed.shape[-2:])
    return small.product_of(packed, scales, packed.shape[-1])


@composite("ormqr")
def _ormqr(
    self: torch.Tensor,
    input2: torch.Tensor,
    input3: torch.Tensor,
    left: bool = True,
    transpose: bool = False,
) -> torch.Tensor:
    """A product of reflections times a matrix."""
    small.small("ormqr", *self.shape[-2:])
    vectors = small.vectors_of(self, input2.shape[-1])
    if left:
        return small.reflected(input3, vectors, input2, transpose)
    turned = small.reflected(input3.transpose(-1, -2), vectors, input2, not transpose)
    return turned.transpose(-1, -2)
