"""Reading and writing at places that are tensors, views by strides, bags of embeddings."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from tests.translated import Case, Family

X = torch.arange(12.0).reshape(3, 4) / 2 - 2
CUBE = torch.arange(24.0).reshape(2, 3, 4) / 3 - 3
INDEX, WIDE = torch.tensor([2, 0]), torch.tensor([[0, 2, 1], [1, 0, 0]])
#: One place twice.
TWICE = torch.tensor([1, 1, 0])
MASK = torch.tensor(
    [[True, False, True, True], [False, False, True, False], [True, True, True, False]]
)
WEIGHTS = torch.arange(15.0).reshape(5, 3) / 4 - 1
BAGS, STARTS = torch.tensor([4, 0, 2, 2, 1]), torch.tensor([0, 3])


def one(name, function, *inputs):
    return Case(name, function, list(inputs) or [X])


def reduced(name, include):
    return lambda x, s: torch.scatter_reduce(x, 1, WIDE, s, name, include_self=include)


CASES = {
    "index_add": one("index_add", lambda x: x.index_add(0, TWICE, x + 1, alpha=2)),
    "index_add of a middle axis": one("index_add", lambda x: x.index_add(-2, TWICE, x), CUBE),
    "index_copy": one("index_copy", lambda x: x.index_copy(1, INDEX, x[:, :2] * 3)),
    "index_fill": one("index_fill", lambda x: x.index_fill(1, torch.tensor([0, -1]), 7)),
    **{
        f"index_reduce {name} {include}": one(
            "index_reduce",
            (lambda n, i: lambda x: x.index_reduce(0, TWICE, x + 1, n, include_self=i))(
                name, include
            ),
        )
        for name in ("prod", "mean", "amax", "amin")
        for include in (True, False)
    },
    **{
        f"scatter_reduce {name} {include}": one(
            "scatter_reduce", reduced(name, include), X, X[:2] - 1
        )
        for name in ("sum", "prod", "mean", "amax", "amin")
        for include in (True, False)
    },
    "scatter to a single number": one(
        "scatter_reduce",
        lambda x: x[0, 0].scatter(0, torch.tensor(0), x[1, 1]).reshape(1),
    ),
    "put": one("put", lambda x: x.put(torch.tensor([[0, -1]]), x[:1, :2] + 9)),
    "put and add": one("put", lambda x: x.put(TWICE, x[0, :3], accumulate=True)),
    "take": one("take", lambda x: x.take(torch.tensor([[0, -1], [5, 3]]))),
    "take_along_dim": one(
        "take_along_dim",
        lambda x: (x.take_along_dim(torch.tensor([[0], [2], [1]]), 1), x.take_along_dim(INDEX)),
    ),
    "masked_scatter": one("masked_scatter", lambda x: x.masked_scatter(MASK, x * 10)),
    "masked_select": Case(
        "masked_select", lambda x: x.masked_select(MASK), [X], captures=("trace",)
    ),
    "argwhere": Case("argwhere", lambda x: torch.argwhere(x > 0), [X], captures=("trace",)),
    "nonzero_static": one(
        "nonzero_static",
        lambda x: (
            torch.nonzero_static(x, size=4),
            torch.nonzero_static(x > 2, size=14, fill_value=-3),
        ),
    ),
    "diagonal_scatter": one("diagonal_scatter", lambda x: x.diagonal_scatter(x[0, :3] * 9, 1)),
    "select_scatter": one("select_scatter", lambda x: x.select_scatter(x[:, 0] * 9, -1, 2)),
    "as_strided": one("as_strided", lambda x: (x * 2).as_strided((3, 5), (2, 1), 1)),
    "as_strided_scatter": one(
        "as_strided_scatter", lambda x: x.as_strided_scatter(x[:2, :2] * 9, (2, 2), (5, 1))
    ),
    "unfold": one("unfold", lambda x: (x.unfold(1, 3, 1), x.unfold(-2, 2, 2)), CUBE),
    "combinations": one(
        "combinations", lambda x: (torch.combinations(x[0]), torch.combinations(x[1], 3))
    ),
    "masked index": one(
        "_unsafe_masked_index",
        lambda x: torch.ops.aten._unsafe_masked_index(x, MASK[0], [None, torch.arange(4)], 7),
    ),
    "masked index, written": one(
        "_unsafe_masked_index_put_accumulate",
        lambda x: torch.ops.aten._unsafe_masked_index_put_accumulate(
            x, MASK[:, :1], [torch.tensor([[0], [0], [2]]), torch.tensor([[1]])], x[:, :1]
        ),
    ),
    "segments": one(
        "segment_reduce",
        lambda x: [
            torch.segment_reduce(x, name, lengths=torch.tensor([2, 0, 1]), initial=1)
            for name in ("sum", "mean", "max", "min", "prod")
        ],
    ),
    "embedding_bag": one(
        "embedding_bag",
        lambda w: [F.embedding_bag(BAGS, w, STARTS, mode=mode) for mode in ("sum", "mean", "max")],
        WEIGHTS,
    ),
    "embedding_bag, padded": one(
        "embedding_bag", lambda w: F.embedding_bag(BAGS, w, STARTS, padding_idx=2), WEIGHTS
    ),
    "embedding_bag, weighted": one(
        "embedding_bag",
        lambda w: F.embedding_bag(
            BAGS, w, STARTS, mode="sum", per_sample_weights=torch.arange(5.0) - 2
        ),
        WEIGHTS,
    ),
    "tensor_split at a tensor": Case(
        "tensor_split",
        lambda x: (
            *x.tensor_split(torch.tensor([1, -1]), 1),
            *x.tensor_split(torch.tensor(2)),
            *x.tensor_split(3, -1),
        ),
        [X],
        captures=("trace",),
    ),
    "reshape to a number": one(
        "reshape", lambda x: (x[:1, :1].reshape(()) * x, x.sum().view(1, 1))
    ),
}
FAMILY = Family(CASES, 16)


@pytest.mark.parametrize("name", CASES)
def test_is_pytorchs(name):
    assert not FAMILY.wrong(name)


REFUSED = {
    "a view by strides of a view": (lambda x: x.T.as_strided((2, 2), (1, 2)), "contiguous"),
    "beyond the tensor": (lambda x: x[:2].as_strided((3, 4), (4, 1)) * 1, "has not"),
    "before the tensor": (lambda x: x[1:].as_strided((2, 4), (4, 1), 0) * 1, "larger tensor"),
    "bins by the largest": (
        lambda x: torch.bincount((x * x).long().reshape(-1)),
        "largest element",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused_says_why(name):
    function, words = REFUSED[name]
    assert words in Family({name: one("", function)}).wrong(name)
