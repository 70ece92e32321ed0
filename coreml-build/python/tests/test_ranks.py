"""Tensors of more than five axes: lowered to tensors that Core ML has."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from tests.executed import execute, made
from tests.test_failures import module
from tests.test_shapes import one as shapes
from tests.test_shapes import ranged
from tests.translated import Case, Family

PASS = "common::expand_high_rank_reshape_and_transpose"
#: 3 · 4 · 5 · 8 different numbers of both signs, which float16 holds.
X = ((torch.arange(480) * 37 % 481 - 240).float() / 16).reshape(3, 4, 5, 8)
SIX = (3, 2, 2, 5, 2, 4)
SEVEN = (3, 2, 2, 5, 2, 2, 2)
WITHOUT_ONES = (3, 2, 2, 1, 5, 1, 2, 4)
PLACES = torch.tensor([1, 0, 1])


def six(function):
    """Return a function of a tensor of six axes, whose result has two."""
    return lambda x: function(x.reshape(SIX)).reshape(3, -1)


def case(function, plain=("trace", "float32")):
    return Case(PASS, six(function), [X], plain=plain)


CASES = {
    "elements": case(lambda x: (x.abs() + 1).sqrt().neg().exp()),
    "an operand of each axis by itself": case(
        lambda x: (
            x * torch.arange(2.0).reshape(1, 2, 1, 1, 1, 1)
            + torch.arange(5.0).reshape(1, 1, 1, 5, 1, 1)
            - torch.arange(4.0)
        )
    ),
    "operands of few axes": case(lambda x: torch.maximum(x, x[:, :1, :, :1]) + x[0, 0]),
    "comparison and choice": case(
        lambda x: torch.where(x > x.mean(3, keepdim=True), x, torch.zeros(2, 1))
    ),
    "one slice": case(lambda x: x[:, :, 1]),
    "slices": case(lambda x: x[1:, :, :, 1:4:2, :, -3:-1].sum((0,)).expand(3, 2, 2, 2, 2, 2)),
    "a step of deformable attention": case(
        lambda x: x[:, :, :, None, 0] + x[:, :, :, None, 1] / torch.tensor([8.0, 4, 2, 1])
    ),
    "the last": case(lambda x: x[..., -1]),
    "permutation": case(lambda x: x.permute(5, 0, 3, 1, 4, 2) * 2),
    "permutation of seven, each axis by itself": Case(
        PASS,
        lambda x: (x.reshape(SEVEN).permute(6, 4, 2, 0, 5, 3, 1) + 1).reshape(3, -1),
        [X],
    ),
    "permutation with axes of one": Case(
        PASS,
        lambda x: (x.reshape(WITHOUT_ONES).permute(7, 3, 0, 2, 5, 4, 1, 6) + 1).flatten(1),
        [X],
    ),
    "windows of three axes": Case(
        PASS,
        lambda x: (
            F.pad(x.reshape(1, 3, 4, 5, 8), (0, 0, 0, 1, 0, 0, 0, 1))
            .reshape(1, 2, 2, 2, 2, 3, 2, 8)
            .permute(0, 1, 3, 5, 2, 4, 6, 7)
            .roll((1, 1), (1, 3))
            .reshape(12, 8, 8)
            .softmax(-1)
        ),
        [X],
    ),
    "places": case(
        lambda x: x[:, :, PLACES] + x.index_select(5, torch.tensor([3, 0, 0, 1]))[:, :, PLACES]
    ),
    "places of two axes": case(lambda x: x[:, torch.tensor([0, 1, 1]), torch.tensor([1, 0, 1])]),
    "gather": case(lambda x: x.gather(3, (x * 16).long() % 5)),
    "scatter": case(lambda x: x.scatter(4, (x[:, :, :, :, :1] * 16).long() % 2, 9.0)),
    "a write": case(lambda x: _written(x)),
    "concatenation": case(lambda x: torch.cat((x, x[:, :, :, :2] * 2), 3)),
    "stack": Case(
        PASS,
        lambda x: torch.stack((x.reshape(3, 2, 2, 5, 8), 2 * x.reshape(3, 2, 2, 5, 8)), 2)[:, :, 1],
        [X],
    ),
    "split": case(lambda x: torch.cat([part * n for n, part in enumerate(x.split([1, 3], 5))], 5)),
    "chunks": case(lambda x: x.chunk(2, 1)[0] - x.unbind(1)[1].unsqueeze(1)),
    "repeated": case(lambda x: x.repeat(1, 2, 1, 1, 3, 1)),
    "expanded": case(lambda x: x[:, :1, :, :, :1].expand(3, 7, 2, 5, 6, 4) + 1),
    "padded": case(lambda x: F.pad(x, (1, 2, 0, 0, 3, 0), value=7.0)),
    "turned round": case(lambda x: x.flip(1, 3, 5)),
    "rolled": case(lambda x: x.roll((1, 2), (2, 3))),
    "softmax": case(lambda x: x.softmax(3)),
    "running sum": case(lambda x: x.cumsum(2)),
    "sorted": case(lambda x: x.sort(3)[0] + x.argsort(5)),
    "largest": case(lambda x: x.topk(2, 3)[0]),
    "largest place": case(lambda x: x.argmax(3)),
    "sums": case(lambda x: x.sum((1, 2)) + x.mean((1, 2), keepdim=True).squeeze(1)[:, 0]),
    "sums of axes apart": case(lambda x: x.sum((1, 3)).amax(1)),
    "sum of an axis of one": case(lambda x: x[:, :1].sum(1) * 2),
    "everything": case(lambda x: x.sum() + x.amax((1, 2, 3, 4, 5))),
    "variance": case(lambda x: x.var((3, 5), correction=0)),
    "matrices": case(lambda x: x @ x.transpose(-1, -2)),
    "matrices and a shared one": case(lambda x: x @ torch.arange(12.0).reshape(4, 3)),
    "matrices of some axes": case(lambda x: x @ x[:, :1, :, :1].transpose(-1, -2)),
    "attention": case(lambda x: F.scaled_dot_product_attention(x, x.flip(3), x * 0.5)),
    "einsum": case(lambda x: torch.einsum("abcdef,abcdgf->abcdeg", x, x)),
    "linear": case(lambda x: F.linear(x, torch.arange(12.0).reshape(3, 4) / 4, torch.ones(3))),
    "layer norm": case(lambda x: F.layer_norm(x, (2, 4), torch.arange(8.0).reshape(2, 4))),
    "triangles": case(lambda x: x.triu() + x.tril(-1)),
    "made full": case(lambda x: torch.full(SIX, 2.0) * x + torch.zeros_like(x)),
    "one hot": case(lambda x: F.one_hot((x[..., 0] * 16).long() % 3, 3)),
    "integers": case(lambda x: (x.to(torch.int32) // 2 + 3) % 7),
    "squeezed and stretched": case(lambda x: x[:, :1].squeeze(1).unsqueeze(-1).unsqueeze(1) * 3),
    "kept by name": case(lambda x: x.movedim((1, 2), (4, 5)).flatten(2, 4).relu()),
}
FAMILY = Family(CASES, 8)


def _written(x: torch.Tensor) -> torch.Tensor:
    """Return a copy with a part written over."""
    y = x.clone()
    y[:, 1, :, 2:4] = y[:, 0, :, :2] * 2
    return y


@pytest.mark.parametrize("name", CASES)
def test_is_pytorchs(name):
    assert not FAMILY.wrong(name)


def test_a_size_may_vary(package):
    source = module("y = x.reshape(-1, 2, 2, 2, 2, 2).relu()\nreturn (y + y.flip(3)).flatten(1)")
    outcome = package.convert(source, inputs=shapes(ranged(1, 6), 32), compute_precision="float32")
    for count in (1, 3, 6):
        x = torch.randn(count, 32, generator=torch.Generator().manual_seed(count))
        torch.testing.assert_close(execute(outcome, x)[0], made(outcome)(x))


def test_an_operation_says_the_layer_it_came_from(package):
    source = module("y = x.reshape(1, 1, 1, 1, 2, 3)  # here\nreturn y.relu().sum((0, 1, 2))")
    report = package.convert(source).report
    assert any(
        origin.get("line") == package.marked() for origin in report["origins"]["main"].values()
    ), report["origins"]
