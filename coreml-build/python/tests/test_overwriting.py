"""Writes into tensors of a traced graph: into a whole one, and through views of any dimension."""

from __future__ import annotations

import pytest
import torch

from tests.executed import execute, made
from tests.test_failures import module

#: name -> what `forward` does with x of shape [3, 3, 3].
WRITES = {
    "the last dimension": "y = x + 1\ny[..., 0] = x[..., 1]\nreturn y",
    "the last dimension, negative": "y = x + 1\ny.select(-1, 2).copy_(x[0])\nreturn y",
    "the last two": "y = x + 1\ny[..., 0, 1:] = 5\nreturn y * x",
    "a range of the last": "y = x + 1\ny[..., 1:3] = x[..., :2]\nreturn y",
    "every second of the last": "y = x + 1\ny[..., ::2] = x[..., :2]\nreturn y",
    "the first dimensions": "y = x + 1\ny[1, :2] = x[0, 1:]\nreturn y",
    "twice the first": "y = x + 1\ny[1:][1:] = x[:1]\nreturn y",
    "one after the other": "y = x + 1\ny[..., 0] = x[..., 1]\ny[0] = 2\ny[..., 2] *= y[..., 0]\n"
    "return y",
    "divided in place": "y = x + 1\ny[..., 0] /= 2\ny[..., 1] /= 3\nreturn y",
    "the whole": "y = torch.zeros(3, 3, 3)\ny.copy_(x)\nreturn y * x",
    "the whole, broadcast": "y = torch.zeros(3, 3, 3)\ny.copy_(x[0])\nreturn y * x",
    "the whole, of another type": "y = torch.zeros(3, 3, 3, dtype=torch.int32)\ny.copy_(x * 9)\n"
    "return y * x",
    "the whole, with one number": "y = x + 1\ny.fill_(3)\nreturn y * x",
    "the whole, with a number that is computed": "y = x + 1\ny.fill_(x.sum())\nreturn y * x",
    "an input": "z = x * 3\nx.copy_(z)\nreturn x * 2",
    "then a part": "y = torch.zeros(3, 3, 3)\ny.copy_(x)\ny[..., 1] = 7\nreturn y * x",
    "memory without values": "y = torch.empty(3, 3, 3)\ny[..., 0] = x[..., 1]\ny[..., 1:] = 4\n"
    "return y",
    "an output that is written to": "y = x + 1\ny[..., 0] = 0\nz = y * 2\ny[..., 1] = 1\n"
    "return y + z",
}


@pytest.mark.parametrize("name", WRITES)
def test_a_traced_write_is_where_it_belongs(package, name):
    outcome = package.convert(
        module(WRITES[name]),
        inputs={"x": {"shape": [3, 3, 3], "dtype": "float32"}},
        capture="trace",
        compute_precision="float32",
    )
    x = torch.randn(3, 3, 3, generator=torch.Generator().manual_seed(1))
    expected = made(outcome)(x.clone())
    torch.testing.assert_close(execute(outcome, x)[0], expected, rtol=1e-5, atol=1e-5)


def test_a_view_from_before_the_write_is_still_refused(package):
    """The view is another name of the memory, which a trace does not follow."""
    source = module("y = torch.zeros(2, 3)\nz = y[0]\ny.copy_(x)\nreturn x + z")
    failed = package.convert(source, capture="trace").failed
    assert failed["kind"] in ("lost-write", "capture-mismatch"), failed
    outcome = package.convert(source, compute_precision="float32")
    x = torch.randn(2, 3, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(execute(outcome, x)[0], made(outcome)(x), rtol=1e-5, atol=1e-5)


def test_an_alias_is_the_tensor(package):
    for capture in ("trace", "export"):
        outcome = package.convert(
            module("return torch.ops.aten.alias(x) * 2"),
            capture=capture,
            compute_precision="float32",
        )
        x = torch.ones(2, 3)
        torch.testing.assert_close(execute(outcome, x)[0], x * 2)
