"""Memory that nobody has written to, and integers beyond 32 bits: refused where a result depends on
them, and right where none does.
"""

from __future__ import annotations

import pytest
import torch

from tests.executed import execute, made
from tests.test_failures import module

#: Memory of which every element is written before it is read.
FILLED = {
    "integers": "s = torch.empty((1, 2), dtype=torch.long)\ns[0, 0], s[0, 1] = 3, 4\n"
    "return x * s[0, 0] + s[0, 1]",
    "floats": "s = torch.empty(2, 3)\ns[0] = x[1]\ns[1] = 2\nreturn x * s",
    "empty_like": "s = torch.empty_like(x)\ns[:, 0] = 1\ns[:, 1:] = x[:, 1:]\nreturn x * s",
    "new_empty": "s = x.new_empty(2, 3)\ns.copy_(x * 3)\nreturn x * s",
    "an inverse permutation": "p = torch.argsort(x[0])\ni = torch.empty_like(p)\n"
    "i[p] = torch.arange(3)\nreturn x[:, i]",
    "a part that is never read": "s = torch.empty(2, 3)\ns[:1] = x[:1]\nreturn x + s[:1]",
    "a part that where throws away": "s = torch.empty(2, 3)\ns[:1] = x[:1]\n"
    "return torch.where(torch.arange(2)[:, None] < 1, s, x)",
    "out=": "s = torch.empty(2, 3)\ntorch.mul(x, 2, out=s)\nreturn s + x",
    "beta=0": "s = torch.empty(2, 2)\nreturn torch.addmm(s, x, x.T, beta=0)",
}
#: Memory that is read as it is.
UNWRITTEN = {
    "floats": "s = torch.empty(2, 3)  # here\ns[0] = x[0]\nreturn x + s",
    "integers": "s = torch.empty(2, 3, dtype=torch.long)  # here\ns[0] = 1\nreturn x * s",
    "truth values": "s = torch.empty(2, 3, dtype=torch.bool)  # here\ns[0] = True\n"
    "return torch.where(s, x, -x)",
    "a comparison": "s = x.new_empty(2, 3)  # here\ns[0] = x[0]\nreturn x * 2 + (s > 100).float()",
}
#: Integers from 0 to 31.
SMALL = {"x": {"shape": [4, 8], "dtype": "int32", "sample": {"range": [0, 31]}}}
#: Integers beyond 32 bits that something throws away; T5's buckets of positions among them.
THROWN_AWAY = {
    "where": "return torch.where(x < 8, x, (8 + torch.log(x.float() / 8) * 3).to(torch.long))",
    "the least of two, then where": "large = 8 + (torch.log(x.float() / 8) * 3).to(torch.long)\n"
    "large = torch.min(large, torch.full_like(large, 15))\n"
    "return torch.where(x < 8, x.long(), large)",
    "masked_fill": "y = x.long() * 1000000000\nreturn y.masked_fill(x > 2, 5)",
    "an index of a part": "y = (x.long() * 1000000000)\ny[x > 2] = 7\nreturn y",
}
#: Integers beyond 32 bits that a result depends on.
READ = {
    "divided again": "y = x.long() * 1000000000  # here\nreturn y // 1000000000",
    "some of them": "y = x.long() * 1000000000  # here\n"
    "return torch.where(x < 8, x.long(), y // 1000000000)",
    "a comparison": "y = x.long() * 1000000000  # here\nreturn (y > 5000000).long()",
    "as floats": "y = x.long() * 1000000000  # here\nreturn y.float()",
    "the log of zero is kept": "y = (torch.log(x.float() * 0) * 3).to(torch.long)  # here\n"
    "return torch.where(x < 8, y, x.long())",
}


@pytest.mark.parametrize("capture", ["auto", "export"])
@pytest.mark.parametrize("name", FILLED)
def test_memory_that_is_filled_converts(package, name, capture):
    outcome = package.convert(module(FILLED[name]), capture=capture, compute_precision="float32")
    for seed in range(3):
        x = torch.randn(2, 3, generator=torch.Generator().manual_seed(seed))
        expected = made(outcome)(x)
        torch.testing.assert_close(execute(outcome, x)[0], expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", UNWRITTEN)
def test_memory_that_is_read_is_refused(package, name):
    failed = package.convert(module(UNWRITTEN[name])).failed
    assert failed["kind"] == "random" and "it does not fill" in failed["message"], failed
    assert failed["python"]["line"] == package.marked(), failed
    assert "torch.zeros" in failed["advice"][0]


def test_memory_that_is_read_as_an_index_is_refused(package):
    source = module("s = torch.empty(3, dtype=torch.long)\ns[:2] = 1\nreturn x[:, s]")
    # What is there by chance may be out of range for PyTorch itself.
    assert package.convert(source).failed["kind"] in ("random", "python-error")


@pytest.mark.parametrize("capture", ["auto", "export"])
@pytest.mark.parametrize("name", THROWN_AWAY)
def test_a_wide_integer_that_is_thrown_away_converts(package, name, capture):
    source = module(f"{THROWN_AWAY[name].replace('return ', 'y = ')}\nreturn y.to(torch.int32)")
    outcome = package.convert(
        source, inputs=SMALL, outputs={"output": {"dtype": "int32"}}, capture=capture
    )
    x = torch.arange(32, dtype=torch.int32).reshape(4, 8)
    assert execute(outcome, x)[0].tolist() == made(outcome)(x.long()).tolist()


@pytest.mark.parametrize("name", READ)
def test_a_wide_integer_that_is_read_is_refused(package, name):
    source = module(f"{READ[name].replace('return ', 'y = ')}\nreturn y.to(torch.int32)")
    failed = package.convert(source, inputs=SMALL, outputs={"output": {"dtype": "int32"}}).failed
    assert failed["kind"] == "wide-integer", failed
    assert failed["python"]["line"] == package.marked(), failed
