"""Eigenvalues, singular values, and what is made of them.

Owns: `eigh`, `svd`, norms of matrices, pseudo-inverses, ranks and least squares.
Must not: hold an algorithm (that is `decomposition`).

Vectors are defined up to their signs: where a model's result depends on LAPACK's choice, the proof
refuses the model.
"""

from __future__ import annotations

from typing import Any

import torch

from coreml_driver.translations import decomposition as small
from coreml_driver.translations.composition import composite
from coreml_driver.translations.linear_algebra import inverse
from coreml_driver.translations.refusals import CannotExpress

#: The rounding error of single precision.
EPSILON = torch.finfo(torch.float32).eps


def _symmetric(a: torch.Tensor, uplo: str) -> torch.Tensor:
    """Return a symmetric matrix of which one half is read."""
    half = torch.tril(a) if uplo.upper() == "L" else torch.triu(a)
    other = torch.tril(a, -1) if uplo.upper() == "L" else torch.triu(a, 1)
    return half + other.transpose(-1, -2)


@composite("_linalg_eigh")
def _eigh_with_flag(
    A: torch.Tensor, UPLO: str = "L", compute_v: bool = True
) -> tuple[torch.Tensor, torch.Tensor]:
    """The eigenvalues of a symmetric matrix, and its vectors."""
    small.small("eigh", A.shape[-1], largest=small.LARGEST_JACOBI)
    return small.eigenvalues(_symmetric(A, UPLO))


@composite("linalg_eigh")
def _eigh(self: torch.Tensor, UPLO: str = "L") -> tuple[torch.Tensor, torch.Tensor]:
    """The same."""
    return _eigh_with_flag(self, UPLO)


@composite("linalg_eigvalsh")
def _eigvalsh(self: torch.Tensor, UPLO: str = "L") -> torch.Tensor:
    """The eigenvalues of a symmetric matrix."""
    return _eigh_with_flag(self, UPLO)[0]


@composite("_linalg_svd")
def _svd_with_flag(
    A: torch.Tensor, full_matrices: bool = False, compute_uv: bool = True, driver: str | None = None
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """The singular values, and their vectors."""
    small.small("svd", min(A.shape[-2:]), largest=small.LARGEST_JACOBI)
    u, values, v = small.singular_values(A)
    if full_matrices and compute_uv and A.shape[-1] != A.shape[-2]:
        raise CannotExpress(
            "`svd` with `full_matrices=True` has no translation", "Pass `full_matrices=False`."
        )
    return u, values, v.transpose(-1, -2)


@composite("linalg_svd")
def _linalg_svd(
    A: torch.Tensor, full_matrices: bool = True, driver: str | None = None
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """The same."""
    return _svd_with_flag(A, full_matrices)


@composite("svd")
def _svd(
    self: torch.Tensor, some: bool = True, compute_uv: bool = True
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """The same, by its old name, with V itself."""
    u, values, v = _svd_with_flag(self, not some, compute_uv)
    return u, values, v.transpose(-1, -2)


@composite("linalg_svdvals")
def _svdvals(A: torch.Tensor, driver: str | None = None) -> torch.Tensor:
    """The singular values."""
    small.small("svdvals", min(A.shape[-2:]), largest=small.LARGEST_JACOBI)
    return small.singular_values(A)[1]


@composite("linalg_matrix_norm", "nuclear_norm", replaces=True, why="some orders are refused")
def _matrix_norm(
    self: torch.Tensor,
    ord: Any = "fro",
    dim: Any = (-2, -1),
    keepdim: bool = False,
    dtype: torch.dtype | None = None,
) -> torch.Tensor:
    """A norm of matrices."""
    rows, columns = (axis % self.ndim for axis in dim)
    if ord in ("fro", None):
        found = torch.sqrt((self * self).sum([rows, columns], keepdim=keepdim))
        return found
    if ord in ("nuc", 2, -2):
        moved = self.movedim((rows, columns), (-2, -1))
        values = _svdvals(moved)
        found = values.sum(-1) if ord == "nuc" else values[..., 0 if ord == 2 else -1]
        return (
            found.reshape(
                [1 if axis in (rows, columns) else size for axis, size in enumerate(self.shape)]
            )
            if keepdim
            else found
        )
    axis, other = (rows, columns) if abs(ord) == 1 else (columns, rows)
    sums = self.abs().sum(axis, keepdim=True)
    found = (
        torch.amax(sums, other, keepdim=True) if ord > 0 else torch.amin(sums, other, keepdim=True)
    )
    return found if keepdim else found.squeeze((rows, columns))


@composite("linalg_cond")
def _cond(self: torch.Tensor, p: Any = None) -> torch.Tensor:
    """The condition number."""
    if p in (None, 2, -2):
        values = _svdvals(self)
        largest, least = values[..., 0], values[..., -1]
        return least / largest if p == -2 else largest / least
    return _matrix_norm(self, p) * _matrix_norm(inverse(self), p)


def _threshold(largest: torch.Tensor, shape: torch.Size, atol: Any, rtol: Any) -> torch.Tensor:
    """Return what singular values have to exceed."""
    none = atol is None or (isinstance(atol, (int, float)) and atol == 0)
    if rtol is None:
        rtol = max(shape[-2:]) * EPSILON if none else 0.0
    atol = 0.0 if atol is None else atol
    return torch.maximum(torch.as_tensor(atol) + 0 * largest, rtol * largest)


def _pseudo_inverse(a: torch.Tensor, atol: Any, rtol: Any) -> torch.Tensor:
    """Return the pseudo-inverse by singular values."""
    small.small("pinv", min(a.shape[-2:]), largest=small.LARGEST_JACOBI)
    u, values, v = small.singular_values(a)
    limit = _threshold(values[..., :1], a.shape, _column(atol), _column(rtol))
    inverse = torch.where(values > limit, 1 / torch.where(values == 0, 1.0, values), 0.0)
    return (v * inverse.unsqueeze(-2)) @ u.transpose(-1, -2)


def _column(x: Any) -> Any:
    """Return a tolerance of each matrix as a column."""
    return x.unsqueeze(-1) if isinstance(x, torch.Tensor) and x.ndim else x


@composite("linalg_pinv")
def _pinv(
    self: torch.Tensor,
    atol: Any = None,
    rtol: Any = None,
    hermitian: bool = False,
    rcond: Any = None,
) -> torch.Tensor:
    """The pseudo-inverse."""
    a = _symmetric(self, "L") if hermitian else self
    return _pseudo_inverse(a, atol, rcond if rtol is None else rtol)


@composite("pinverse")
def _pinverse(self: torch.Tensor, rcond: float = 1e-15) -> torch.Tensor:
    """The same, by its old name. Below the rounding error there are no singular values."""
    return _pseudo_inverse(self, None, max(rcond, max(self.shape[-2:]) * EPSILON))


@composite("linalg_matrix_rank")
def _matrix_rank(
    self: Any = None,
    atol: Any = None,
    rtol: Any = None,
    hermitian: bool = False,
    input: Any = None,
    tol: Any = None,
) -> torch.Tensor:
    """How many singular values are not negligible."""
    a = input if self is None else self
    a = _symmetric(a, "L") if hermitian else a
    values = _svdvals(a)
    if tol is not None:
        limit = _column(tol) if isinstance(tol, torch.Tensor) else torch.as_tensor(float(tol))
    else:
        limit = _threshold(values[..., :1], a.shape, _column(atol), _column(rtol))
    return (values > limit).to(torch.int32).sum(-1)


@composite("linalg_lstsq")
def _lstsq(
    self: torch.Tensor, b: torch.Tensor, rcond: float | None = None, driver: str | None = None
) -> tuple[torch.Tensor, ...]:
    """The least squares of equations, by the pseudo-inverse."""
    vector = b.ndim == 1 or (self.ndim - 1 == b.ndim and b.shape == self.shape[:-1])
    side = b.unsqueeze(-1) if vector else b
    found = _pseudo_inverse(self, None, rcond) @ side
    rows, columns = self.shape[-2:]
    rest = side - self @ found
    residuals = (rest * rest).sum(-2) if rows > columns else rest[..., 0, :] * 0
    values = _svdvals(self)
    rank = (values > EPSILON * max(rows, columns) * values[..., :1]).to(torch.int32).sum(-1)
    return found.squeeze(-1) if vector else found, residuals, rank, values
