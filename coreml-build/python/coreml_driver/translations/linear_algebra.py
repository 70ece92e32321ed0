"""Linear algebra of small matrices.

Owns: determinants, inverses, systems of equations, factors, functions of matrices.
Must not: hold an algorithm (that is `decomposition`).
"""

from __future__ import annotations

from typing import Any

import torch

from coreml_driver.translations import decomposition as small
from coreml_driver.translations.composition import composite, untraced
from coreml_driver.translations.registry import MISSING, translation

#: Terms of the series of an exponential, for a matrix whose norm is at most one half.
EXPONENTIAL_TERMS = 9
#: How often the result of that series can be squared.
SQUARINGS = 12


def _info(a: torch.Tensor) -> torch.Tensor:
    """Return that all went well, for each matrix."""
    return torch.zeros_like(a[..., 0, 0]).to(torch.int32)


def _square(name: str, a: torch.Tensor) -> None:
    """Refuse what is too large."""
    small.small(name, *a.shape[-2:])


@translation("_linalg_check_errors", why=MISSING)
def _check_errors(context: Any, node: Any) -> None:
    """Nothing: a program has no errors."""


@composite("lu_factor", "linalg_lu_factor")
def _lu_factor(A: torch.Tensor, pivot: bool = True) -> tuple[torch.Tensor, torch.Tensor]:
    """Both factors in one matrix, and the pivots."""
    _square("lu_factor", A)
    factors = small.lu(A, pivot)
    return factors.packed, factors.pivots


@composite("linalg_lu_factor_ex")
def _lu_factor_ex(
    A: torch.Tensor, pivot: bool = True, check_errors: bool = False
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """The same, with a flag."""
    return (*_lu_factor(A, pivot), _info(A))


@composite("_lu_with_info")
def _lu_with_info(
    self: torch.Tensor, pivot: bool = True, check_errors: bool = True
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """The same, by its old name."""
    return (*_lu_factor(self, pivot), _info(self))


@composite("linalg_lu")
def _lu(A: torch.Tensor, pivot: bool = True) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """The permutation and both factors."""
    _square("lu", A)
    factors = small.lu(A, pivot)
    order = factors.order.transpose(-1, -2)
    return order, small.lower_of(factors.packed), small.upper_of(factors.packed)


def _order(pivots: torch.Tensor, rows: int) -> torch.Tensor:
    """Return the permutation that exchanges make, as a matrix."""
    with untraced():
        numbers = torch.arange(rows)
    order = small.identity(rows).expand(*pivots.shape[:-1], rows, rows)
    for k in range(pivots.shape[-1]):
        there = numbers == (pivots[..., k : k + 1] - 1)
        order = small._exchanged(order, small.unit(rows, k), there)
    return order


@composite("lu_unpack")
def _lu_unpack(
    LU_data: torch.Tensor,
    LU_pivots: torch.Tensor,
    unpack_data: bool = True,
    unpack_pivots: bool = True,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """The permutation and both factors of a packed matrix."""
    _square("lu_unpack", LU_data)
    order = _order(LU_pivots, LU_data.shape[-2]).transpose(-1, -2)
    return order, small.lower_of(LU_data), small.upper_of(LU_data)


@composite("linalg_lu_solve")
def _linalg_lu_solve(
    LU: torch.Tensor,
    pivots: torch.Tensor,
    B: torch.Tensor,
    left: bool = True,
    adjoint: bool = False,
) -> torch.Tensor:
    """Solve with the factors of a matrix."""
    _square("lu_solve", LU)
    order = _order(pivots, LU.shape[-2])
    if not left:
        turned = _linalg_lu_solve(LU, pivots, B.transpose(-1, -2), True, not adjoint)
        return turned.transpose(-1, -2)
    if adjoint:
        turned = LU.transpose(-1, -2)
        y = small.solve_lower(turned, B, unitriangular=False)
        return order.transpose(-1, -2) @ small.solve_upper(turned, y, unitriangular=True)
    y = small.solve_lower(LU, order @ B, unitriangular=True)
    return small.solve_upper(LU, y, unitriangular=False)


@composite("lu_solve")
def _lu_solve(self: torch.Tensor, LU_data: torch.Tensor, LU_pivots: torch.Tensor) -> torch.Tensor:
    """The same, by its old name."""
    return _linalg_lu_solve(LU_data, LU_pivots, self)


@composite("_linalg_det")
def _det_with_factors(A: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """The determinant, and what it is made of."""
    _square("det", A)
    factors = small.lu(A)
    diagonal = torch.diagonal(factors.packed, dim1=-2, dim2=-1)
    return factors.sign * diagonal.prod(-1), factors.packed, factors.pivots


@composite("det", "linalg_det")
def _det(self: Any = None, A: Any = None) -> torch.Tensor:
    """The determinant."""
    a = self if A is None else A
    return _det_with_factors(a)[0]


@composite("_linalg_slogdet")
def _slogdet_with_factors(A: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """The sign and the logarithm of the determinant, and what they are made of."""
    _square("slogdet", A)
    factors = small.lu(A)
    diagonal = torch.diagonal(factors.packed, dim1=-2, dim2=-1)
    sign = factors.sign * torch.sign(diagonal).prod(-1)
    return sign, torch.log(diagonal.abs()).sum(-1), factors.packed, factors.pivots


@composite("slogdet", "linalg_slogdet")
def _slogdet(self: Any = None, A: Any = None) -> tuple[torch.Tensor, torch.Tensor]:
    """The sign and the logarithm of the determinant."""
    sign, logarithm, *_ = _slogdet_with_factors(self if A is None else A)
    return sign, logarithm


@composite("logdet")
def _logdet(self: torch.Tensor) -> torch.Tensor:
    """The logarithm of the determinant."""
    sign, logarithm = _slogdet(self)
    return torch.where(sign < 0, torch.log(sign), logarithm)


def _vector_side(a: torch.Tensor, b: torch.Tensor) -> bool:
    """Return whether the right side of equations is a vector for each matrix."""
    return b.ndim == 1 or (a.ndim - 1 == b.ndim and b.shape == a.shape[:-1])


def _solution(a: torch.Tensor, b: torch.Tensor, left: bool) -> torch.Tensor:
    """Solve `a x = b`, or `x a = b`."""
    _square("solve", a)
    vector = _vector_side(a, b)
    b = b.unsqueeze(-1) if vector else b
    if not left:
        a, b = a.transpose(-1, -2), b.transpose(-1, -2)
    found = small.solve_factored(small.lu(a), b)
    found = found if left else found.transpose(-1, -2)
    return found.squeeze(-1) if vector else found


@composite("linalg_solve")
def _solve(A: torch.Tensor, B: torch.Tensor, left: bool = True) -> torch.Tensor:
    """Solve a system of equations."""
    return _solution(A, B, left)


@composite("linalg_solve_ex")
def _solve_ex(
    A: torch.Tensor, B: torch.Tensor, left: bool = True, check_errors: bool = False
) -> tuple[torch.Tensor, torch.Tensor]:
    """The same, with a flag."""
    return _solution(A, B, left), _info(A)


@composite("_linalg_solve_ex")
def _solve_with_factors(
    A: torch.Tensor, B: torch.Tensor, left: bool = True, check_errors: bool = False
) -> tuple[torch.Tensor, ...]:
    """The same, with the factors."""
    return _solution(A, B, left), *_lu_factor(A), _info(A)


@composite("linalg_inv_ex")
def _inv_ex(A: torch.Tensor, check_errors: bool = False) -> tuple[torch.Tensor, torch.Tensor]:
    """The inverse, with a flag."""
    _square("inv", A)
    return small.solve_factored(small.lu(A), small.identity(A.shape[-1])), _info(A)


@composite("inverse", "linalg_inv", replaces=True, why="only constants are inverted")
def inverse(self: Any = None, A: Any = None) -> torch.Tensor:
    """The inverse."""
    return _inv_ex(self if A is None else A)[0]


@composite("linalg_solve_triangular")
def _solve_triangular(
    self: torch.Tensor, B: torch.Tensor, upper: bool, left: bool = True, unitriangular: bool = False
) -> torch.Tensor:
    """Solve a triangular system of equations."""
    _square("solve_triangular", self)
    if not left:
        turned = _solve_triangular(
            self.transpose(-1, -2), B.transpose(-1, -2), not upper, True, unitriangular
        )
        return turned.transpose(-1, -2)
    solve = small.solve_upper if upper else small.solve_lower
    a, b = _same_batch(self, B)
    return solve(a, b, unitriangular)


def _same_batch(a: torch.Tensor, b: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return two matrices for the same batch."""
    batch = torch.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    return a.expand(*batch, *a.shape[-2:]), b.expand(*batch, *b.shape[-2:])


@composite("triangular_solve")
def _triangular_solve(
    self: torch.Tensor,
    A: torch.Tensor,
    upper: bool = True,
    transpose: bool = False,
    unitriangular: bool = False,
) -> tuple[torch.Tensor, torch.Tensor]:
    """The same, by its old name."""
    a = A.transpose(-1, -2) if transpose else A
    found = _solve_triangular(a, self, upper != transpose, True, unitriangular)
    return found, A


@composite("linalg_cholesky_ex")
def _cholesky_ex(
    self: torch.Tensor, upper: bool = False, check_errors: bool = False
) -> tuple[torch.Tensor, torch.Tensor]:
    """The factor of a positive definite matrix, with a flag."""
    return _cholesky(self, upper), _info(self)


@composite("cholesky", "linalg_cholesky")
def _cholesky(self: torch.Tensor, upper: bool = False) -> torch.Tensor:
    """The factor of a positive definite matrix."""
    _square("cholesky", self)
    a = self.transpose(-1, -2) if upper else self
    found = small.cholesky(a)
    return found.transpose(-1, -2) if upper else found


@composite("cholesky_solve")
def _cholesky_solve(self: torch.Tensor, input2: torch.Tensor, upper: bool = False) -> torch.Tensor:
    """Solve with the factor of a positive definite matrix."""
    _square("cholesky_solve", input2)
    lower = input2.transpose(-1, -2) if upper else input2
    lower, b = _same_batch(lower, self)
    y = small.solve_lower(lower, b, unitriangular=False)
    return small.solve_upper(lower.transpose(-1, -2), y, unitriangular=False)


@composite("cholesky_inverse")
def _cholesky_inverse(self: torch.Tensor, upper: bool = False) -> torch.Tensor:
    """The inverse of a positive definite matrix from its factor."""
    return _cholesky_solve(small.identity(self.shape[-1]), self, upper)


@composite("matrix_exp", "linalg_matrix_exp")
def _matrix_exp(self: torch.Tensor) -> torch.Tensor:
    """The exponential of a matrix: a series for a part of it, squared."""
    norm = self.abs().sum(-1).amax(-1, keepdim=True).unsqueeze(-1)
    steps = torch.ceil(torch.log2(norm.clamp(min=2.0**-20)) + 1).clamp(0.0, float(SQUARINGS))
    part = self * torch.exp2(-steps)
    eye = small.identity(self.shape[-1])
    found = eye + part / EXPONENTIAL_TERMS
    for term in range(EXPONENTIAL_TERMS - 1, 0, -1):
        found = eye + part @ found / term
    for step in range(SQUARINGS):
        found = torch.where(steps > step, found @ found, found)
    return found


@composite("linalg_matrix_power", "matrix_power")
def _matrix_power(self: torch.Tensor, n: int) -> torch.Tensor:
    """A power of a matrix, by squares."""
    factor = inverse(self) if n < 0 else self
    found, left = None, abs(n)
    while left:
        if left % 2:
            found = factor if found is None else found @ factor
        factor, left = factor @ factor, left // 2
    return small.identity(self.shape[-1]).expand(self.shape) if found is None else found


@composite("_sparse_mm", why="a product with a sparse matrix, which is dense here")
def _sparse_mm(sparse: torch.Tensor, dense: torch.Tensor) -> torch.Tensor:
    """The product."""
    return torch.mm(sparse, dense)


@composite("_sparse_addmm", "sspaddmm", why="a product with a sparse matrix, which is dense here")
def _sparse_addmm(
    self: torch.Tensor, mat1: torch.Tensor, mat2: torch.Tensor, beta: Any = 1, alpha: Any = 1
) -> torch.Tensor:
    """The product, added to another matrix."""
    return alpha * torch.mm(mat1, mat2) if beta == 0 else beta * self + alpha * torch.mm(mat1, mat2)
