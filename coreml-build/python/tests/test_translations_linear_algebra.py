"""Linear algebra of small matrices."""

from __future__ import annotations

import pytest
import torch

from coreml_driver.translations import decomposition
from tests.translated import Case, Family

L = torch.linalg


def matrices(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


SQUARE, BATCH = matrices(4, 4), matrices(2, 3, 3, seed=1)
TALL, WIDE = matrices(4, 3, seed=2), matrices(3, 4, seed=3)
DEFINITE = SQUARE @ SQUARE.T + torch.eye(4)
FACTORS, PIVOTS = L.lu_factor(matrices(4, 4, seed=4))
CUBE = matrices(2, 4, 4, seed=5)
#: Columns without anything to remove, and exchanges of all rows.
PLAIN = torch.tensor([[0.0, 0, 3], [0, 2, 0], [1, 0, 0]])


def one(name, function, *inputs):
    return Case(name, function, list(inputs) or [SQUARE], captures=("trace",))


CASES = {
    "inv": one("inverse", L.inv),
    "inv of a batch": one("inverse", torch.inverse, BATCH),
    "inv_ex": one("linalg_inv_ex", L.inv_ex),
    "inv of exchanges": one("inverse", L.inv, PLAIN),
    "det": one("det", torch.det, BATCH),
    "slogdet": one("slogdet", torch.slogdet, BATCH),
    "logdet": one("logdet", torch.logdet, DEFINITE),
    "solve": one("linalg_solve", L.solve, SQUARE, SQUARE[:, :2] + 1),
    "solve a vector": one("linalg_solve", lambda a, b: L.solve(a, b[:, 0]), SQUARE, SQUARE + 1),
    "solve from the right": one("linalg_solve", lambda a: L.solve(a, a + 1, left=False)),
    "lu": one("linalg_lu", L.lu, TALL),
    "lu of a wide matrix": one("linalg_lu", L.lu, WIDE),
    "lu_factor": one("lu_factor", L.lu_factor),
    "lu_solve": one("linalg_lu_solve", lambda b: L.lu_solve(FACTORS, PIVOTS, b)),
    "lu_unpack": one("lu_unpack", lambda a: torch.lu_unpack(a, PIVOTS)[2]),
    "triangular": one(
        "linalg_solve_triangular", lambda a: L.solve_triangular(a.triu(), a, upper=True)
    ),
    "unitriangular": one(
        "linalg_solve_triangular",
        lambda a: L.solve_triangular(a.tril(), a, upper=False, unitriangular=True, left=False),
    ),
    "triangular_solve": one(
        "triangular_solve", lambda a: torch.triangular_solve(a, a, upper=False, transpose=True)[0]
    ),
    "cholesky": one("cholesky", L.cholesky, DEFINITE),
    "cholesky above": one("cholesky", lambda a: L.cholesky(a, upper=True), DEFINITE),
    "cholesky_solve": one(
        "cholesky_solve", lambda a: torch.cholesky_solve(a, L.cholesky(DEFINITE))
    ),
    "cholesky_inverse": one("cholesky_inverse", torch.cholesky_inverse, L.cholesky(DEFINITE)),
    "qr": one("linalg_qr", L.qr, TALL),
    "qr, complete": one("linalg_qr", lambda a: L.qr(a, "complete"), TALL),
    "qr of a wide matrix": one("linalg_qr", L.qr, WIDE),
    "qr of zeros": one("linalg_qr", L.qr, torch.tensor([[0.0, 1], [0, 2], [0, 3]])),
    "geqrf": one("geqrf", torch.geqrf, TALL),
    "householder_product": one(
        "linalg_householder_product", lambda a: L.householder_product(*torch.geqrf(a)), TALL
    ),
    "ormqr": one("ormqr", lambda a: torch.ormqr(*torch.geqrf(a), a, transpose=True), TALL),
    "matrix_exp": one("matrix_exp", lambda a: (torch.matrix_exp(a), torch.matrix_exp(a / 100))),
    "matrix_power": one(
        "linalg_matrix_power", lambda a: (L.matrix_power(a, 5), L.matrix_power(a, -2))
    ),
    "eigvalsh": one("linalg_eigvalsh", lambda a: L.eigvalsh(a + a.mT), BATCH),
    "a function of a symmetric matrix": one(
        "linalg_eigh",
        lambda a: (lambda w, v: v @ torch.diag(w.exp()) @ v.T)(*L.eigh(a + a.T)),
        SQUARE[:3, :3],
    ),
    "svdvals": one("linalg_svdvals", L.svdvals, TALL),
    "pinv": one("linalg_pinv", L.pinv, WIDE),
    "lstsq": one("linalg_lstsq", lambda a, b: L.lstsq(a, b[:, :2]).solution, TALL, SQUARE),
    "matrix_rank": one("linalg_matrix_rank", L.matrix_rank, torch.ones(3, 3)),
    "norms": one(
        "linalg_matrix_norm",
        lambda a: (
            L.matrix_norm(a),
            L.matrix_norm(a, 1),
            L.matrix_norm(a, -float("inf"), keepdim=True),
        ),
    ),
    "nuclear norm": one("linalg_matrix_norm", lambda a: L.matrix_norm(a, "nuc"), TALL),
    "cond": one("linalg_cond", lambda a: L.cond(a, 1)),
    "bilinear": one("_trilinear", lambda a: torch.nn.functional.bilinear(a, a + 1, CUBE)),
    "cdist": one("cdist", lambda a: [torch.cdist(a, a + 1, p) for p in (0, 1, 2, 3, float("inf"))]),
    "cdist of many rows": one("cdist", lambda a: torch.cdist(a, a + 3), matrices(30, 4, seed=9)),
    "pdist": one("pdist", torch.pdist),
}
FAMILY = Family(CASES, 8)


@pytest.mark.parametrize("name", CASES)
def test_is_pytorchs(name):
    assert not FAMILY.wrong(name)


@pytest.mark.parametrize("count", (1, 2, 3, 5, 8, 12))
def test_jacobis_methods_converge(count):
    """Also for values that are far apart, and for equal ones."""
    scales = torch.logspace(0, -4, count)
    for a in (
        matrices(50, count, count),
        matrices(50, count, count) * scales,
        torch.eye(count).repeat(2, 1, 1),
    ):
        symmetric = a @ a.mT
        values, _ = decomposition.eigenvalues(symmetric)
        wanted = L.eigvalsh(symmetric.double())
        assert float(((values - wanted).abs() / wanted.abs().amax(-1, keepdim=True)).max()) < 1e-5
        u, values, v = decomposition.singular_values(a)
        assert torch.allclose((u * values.unsqueeze(-2)) @ v.mT, a, atol=1e-5)
        wanted = L.svdvals(a.double())
        assert float(((values - wanted).abs() / wanted.amax(-1, keepdim=True)).max()) < 1e-5


REFUSED = {
    "large": (lambda a: L.inv(a), "33 × 33"),
    "eig": (lambda a: L.eigvals(a).real, "depends on its numbers"),
    "ldl": (lambda a: L.ldl_factor(a)[0], "depend on the numbers"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused_says_why(name):
    function, words = REFUSED[name]
    case = one("", function, matrices(33, 33) if name == "large" else SQUARE)
    assert words in Family({name: case}).wrong(name)
