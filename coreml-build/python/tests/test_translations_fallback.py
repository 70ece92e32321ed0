"""Decomposition behind the translations, of nodes and of exported programs, and what it refuses."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F

from coreml_driver import operations, translations
from coreml_driver.translations import composition, fallback
from coreml_driver.translations.refusals import CannotExpress
from tests.test_failures import returning
from tests.translated import Case, Family, translate

X = torch.arange(12.0).reshape(3, 4) / 3 - 2
TARGET = torch.tensor([2, 0, 3])
SIGNS = torch.tensor([1.0, -1, 1])


def one(function, *inputs):
    return Case("", function, list(inputs) or [X])


#: Nothing of this has a translation of its own.
CASES = {
    "celu": one(F.celu),
    "logsigmoid": one(F.logsigmoid),
    "trapezoid": one(lambda x: (torch.trapezoid(x), torch.cumulative_trapezoid(x, dx=0.5))),
    "kron": one(lambda x: torch.kron(x[:2, :2], x)),
    "tensordot": one(lambda x: torch.tensordot(x, x, ([0, 1], [0, 1]))),
    "block_diag": one(lambda x: torch.block_diag(x, x[:1])),
    "vander": one(lambda x: torch.vander(x[0], 3)),
    "gradient": one(lambda x: torch.gradient(x)[0]),
    "vectors": one(lambda x: (torch.outer(x[0], x[1]), torch.inner(x, x), torch.vdot(x[0], x[1]))),
    "a product of vectors": one(lambda x: torch.matmul(x[0], x[1])),
    "dist": one(lambda x: torch.dist(x, x + 1, 3)),
    "splits": one(lambda x: (*torch.tensor_split(x, 3, 1), *torch.hsplit(x, 2))),
    "diagonals": one(lambda x: (torch.diag_embed(x, 1), torch.diagflat(x[0]), torch.diag(x[0]))),
    "losses": one(
        lambda x: (
            F.l1_loss(x, x + 1),
            F.smooth_l1_loss(x, x * 2),
            F.huber_loss(x, x * 3, delta=0.5),
            F.mse_loss(x, -x, reduction="sum"),
            F.poisson_nll_loss(x, x.abs()),
            F.kl_div(x, x.softmax(-1), reduction="batchmean"),
            F.soft_margin_loss(x, x.sign()),
            F.hinge_embedding_loss(x, x.sign()),
        )
    ),
    # Its check of the variance is a branch of Python, which no export takes.
    "loss with a variance": Case(
        "", lambda x: F.gaussian_nll_loss(x, x + 1, x.abs() + 1), [X], captures=("trace",)
    ),
    "losses of classes": one(
        lambda x: (
            F.cross_entropy(x, TARGET),
            F.cross_entropy(x, TARGET, label_smoothing=0.1, reduction="none"),
            F.cross_entropy(x, x.softmax(-1)),
            F.nll_loss(x.log_softmax(-1), TARGET, ignore_index=0),
            F.multi_margin_loss(x, TARGET),
            F.multilabel_soft_margin_loss(x, (x > 0).float()),
        )
    ),
    "losses of pairs": one(
        lambda x: (
            F.cosine_embedding_loss(x, x.flip(1), SIGNS),
            F.triplet_margin_loss(x, x + 1, x.flip(0)),
            F.margin_ranking_loss(x[:, 0], x[:, 1], SIGNS),
            F.pairwise_distance(x, x.flip(0)),
        )
    ),
    "losses of probabilities": one(
        lambda x: (
            F.binary_cross_entropy(x.sigmoid(), (x > 0).float()),
            F.binary_cross_entropy_with_logits(x, (x > 0).float(), pos_weight=torch.arange(4.0)),
        )
    ),
}
FAMILY = Family(CASES, 9)


@pytest.mark.parametrize(
    ("name", "capture"),
    [(name, capture) for name, case in CASES.items() for capture in case.captures],
)
def test_is_pytorchs(name, capture):
    assert not FAMILY.wrong(name, capture)


FLEXIBLE = {"x": {"shape": [1, 3, {"min": 4, "max": 9, "default": 5}, 6]}}
#: What is right at every size of a range, by a trace or by a decomposed export.
ANY_SIZE = {
    "cubes": 'F.interpolate(x, scale_factor=2, mode="bicubic")',
    "nearest": 'F.interpolate(x, scale_factor=2, mode="nearest-exact")',
    "turned": "torch.rot90(x, 1, (2, 3))",
    "elementwise": "torch.trunc(x) + torch.hypot(x, x) + F.logsigmoid(x) + torch.special.erfcx(x)",
    "a part": "x.narrow(-1, -2, 2) + torch.view_as_real(torch.fft.fft(x))[..., 1].narrow(3, 1, 2)",
    "another axis": "x.cumprod(-1) + torch.fft.rfft(x).abs().sum() + x.median(-1, keepdim=True)[0]",
}


@pytest.mark.parametrize("name", ANY_SIZE)
def test_a_size_may_vary(package, name):
    """The proof of each conversion runs the program at all sizes."""
    outcome = package.convert(
        returning(ANY_SIZE[name]), inputs=FLEXIBLE, compute_precision="float32"
    )
    assert outcome.report["proof"]["main"]["samples"], outcome.last


def test_a_translation_that_needs_a_size_refuses_one_that_varies(package):
    failed = package.convert(returning("torch.fft.rfft(x, dim=2).abs()"), inputs=FLEXIBLE).failed
    assert failed["kind"] in ("unsupported-op", "baked-shape"), failed


def test_an_inner_name_does_not_hide_an_outer_one():
    """A trace inside another one has names of its own, which may be the same."""
    case = one(lambda x: torch.cdist(x, x) + torch.hypot(x[:, :3], x[:, :3].T) * x.sum())
    assert not Family({"names": case}).wrong("names")


def test_a_constant_is_computed_at_once():
    case = one(lambda x: x * torch.special.erfcx(torch.arange(4.0)))
    assert "exp" not in translate([case], "trace", "float32").operations


def test_what_has_no_translation_has_none():
    operations.register(None, None)
    assert fallback.has_translation("cdist")
    assert fallback.has_translation("relu")
    assert not fallback.has_translation("kron")
    assert not fallback.has_translation("no_such_thing")


def test_an_argument_that_a_composite_does_not_know_is_refused(monkeypatch):
    """It would be lost without a word."""
    schema = SimpleNamespace(arguments=[SimpleNamespace(name="alpha", type="number")])
    arguments = SimpleNamespace(signature=SimpleNamespace(schema=schema), constant=lambda name: 2)
    monkeypatch.setattr(composition, "Arguments", lambda *_: arguments)
    with pytest.raises(CannotExpress, match="alpha"):
        composition.Composite(lambda self: self)(None, SimpleNamespace(kind="thing"))


def test_kinds_are_declared_once():
    kinds = [kind for row in translations.ROWS for kind in row.kinds]
    assert sorted(kinds) == sorted(set(kinds))


def test_every_refusal_has_a_reason(package):
    failed = package.convert(returning("torch.linalg.eigvals(x.T @ x).real")).failed
    assert failed["kind"] == "unsupported-op"
    assert "depends on its numbers" in failed["message"]
    assert "eigvalsh" in failed["advice"][0]
