"""Linear algebra of small matrices.

Owns: determinants, inverses, systems of equations, factorisations, functions of matrices, norms by
singular values.
Must not: hold an algorithm (that is `decomposition`).

Eigenvectors and singular vectors are defined up to their signs: where a model's result depends on
LAPACK's choice, the proof refuses the model.
"""

from __future__ import annotations

import math
from typing import Any

import torch

from coreml_driver.translations import decomposition as small
from coreml_driver.translations.approximation import floats
from coreml_driver.translations.composition import composite, untraced
from coreml_driver.translations.refusals import CannotExpress
from coreml_driver.translations.registry import MISSING, translation

#: Terms of the series of an exponential, for a matrix whose norm is at most one half.
EXPONENTIAL_TERMS = 9
#: How often the result of that series can be squared.
SQUARINGS = 12
#: The rounding error of single precision.
EPSILON = torch.finfo(torch.float32).eps


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
def _inv(self: Any = None, A: Any = None) -> torch.Tensor:
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
    factor = _inv(self) if n < 0 else self
    found, left = None, abs(n)
    while left:
        if left % 2:
            found = factor if found is None else found @ factor
        factor, left = factor @ factor, left // 2
    return small.identity(self.shape[-1]).expand(self.shape) if found is None else found


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
    return _matrix_norm(self, p) * _matrix_norm(_inv(self), p)


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


@composite("_trilinear")
def _trilinear(
    i1: torch.Tensor,
    i2: torch.Tensor,
    i3: torch.Tensor,
    expand1: list[int],
    expand2: list[int],
    expand3: list[int],
    sumdim: list[int],
    unroll_dim: int = 1,
) -> torch.Tensor:
    """The sum over a product of three tensors, with axes put between theirs."""
    for axis in expand1:
        i1 = i1.unsqueeze(axis)
    for axis in expand2:
        i2 = i2.unsqueeze(axis)
    for axis in expand3:
        i3 = i3.unsqueeze(axis)
    return (i1 * i2 * i3).sum(sumdim)


@composite("cdist", "_cdist_forward", replaces=True, why="missing")
def _cdist(
    x1: torch.Tensor, x2: torch.Tensor, p: float = 2, compute_mode: Any = None
) -> torch.Tensor:
    """The distances of all pairs of rows."""
    if x1.shape[-1] == 0:
        raise CannotExpress("`cdist` of empty rows has no translation", "Leave it out.")
    return _distance(floats(x1).unsqueeze(-2) - floats(x2).unsqueeze(-3), p)


def _distance(apart: torch.Tensor, p: float) -> torch.Tensor:
    """Return the norm of the last axis."""
    size = apart.abs()
    if p == 0:
        return (size != 0).to(apart.dtype).sum(-1)
    if p == 1:
        return size.sum(-1)
    if p == 2:
        return torch.sqrt((apart * apart).sum(-1))
    if math.isinf(p):
        return size.amax(-1)
    return torch.pow(torch.pow(size, p).sum(-1), 1 / p)


@composite("pdist", "_pdist_forward")
def _pdist(self: torch.Tensor, p: float = 2) -> torch.Tensor:
    """The distances of all pairs of different rows."""
    count = self.shape[0]
    with untraced():
        pairs = torch.triu_indices(count, count, 1)
    one, other = torch.index_select(self, 0, pairs[0]), torch.index_select(self, 0, pairs[1])
    return _distance(one - other, p)
