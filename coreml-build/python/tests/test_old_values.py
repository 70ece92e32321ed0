"""Writes to attributes and buffers: refused where a prediction reads what an earlier one has left,
and right where it does not.

Every harmless case has a harmful twin that differs in the read alone.
"""

from __future__ import annotations

import pytest
import torch

from tests.executed import execute, made
from tests.test_failures import module

PLAIN = "self.s = torch.ones(3)"
BUFFER = "self.register_buffer('s', torch.ones(3))"
SCRATCH = "self.register_buffer('k', torch.zeros(2, 3))"
CONVOLUTION = {"inputs": {"x": {"shape": [1, 4, 16], "dtype": "float32"}}}

#: What is written before it is read: name -> (source, changes of the table).
HARMLESS = {
    "weight_norm": (
        "def make():\n    return torch.nn.utils.weight_norm(nn.Conv1d(4, 4, 3))\n",
        CONVOLUTION,
    ),
    "spectral_norm": (
        "def make():\n    return torch.nn.utils.spectral_norm(nn.Conv1d(4, 4, 3)).eval()\n",
        CONVOLUTION,
    ),
    "a layer with weight_norm that is used twice": (
        module(
            "return self.c(self.c(x).relu())",
            "self.c = torch.nn.utils.weight_norm(nn.Conv1d(4, 4, 3, padding=1))",
        ),
        CONVOLUTION,
    ),
    "a plain attribute": (module("self.s = x.mean(0)\nreturn x * self.s", PLAIN), {}),
    "a buffer": (module("self.s = x.mean(0)\nreturn x * self.s", BUFFER), {}),
    "a buffer that is registered again": (
        module("self.register_buffer('s', x.mean(0))\nreturn x * self.s", BUFFER),
        {},
    ),
    "an attribute that is written twice": (
        module("self.s = x.mean(0)\nself.s = self.s + 1\nreturn x * self.s", PLAIN),
        {},
    ),
    "an attribute that nothing reads": (module("self.s = x[0]\nreturn x * 2", PLAIN), {}),
    "a form alone": (
        module("self.s = torch.zeros_like(self.s) + x[0]\nreturn x * self.s", PLAIN),
        {},
    ),
    "the whole memory": (module("self.s.copy_(x[0])\nreturn x * self.s", BUFFER), {}),
    "the memory, part by part": (
        module(
            "self.k[:, :1] = x[:, :1]\nself.k[:, 1:] = x[:, 1:] * 2\nreturn self.k * 3", SCRATCH
        ),
        {},
    ),
    "a table that is made at the first call": (
        module(
            "if self.t is None:\n    self.t = torch.arange(3.0)\nreturn x * self.t", "self.t = None"
        ),
        {},
    ),
}

#: What an earlier prediction has left is read: name -> (source, word of the message).
HARMFUL = {
    "a plain attribute": (
        module("self.s = self.s * 0.9 + x.mean(0)  # here\nreturn x * self.s", PLAIN),
        "`s`",
    ),
    "a buffer that is registered again": (
        module("self.register_buffer('s', self.s + x.mean(0))\nreturn x * self.s", BUFFER),
        "`s`",
    ),
    "read first, replaced then": (
        module("y = x * self.s\nself.s = x.mean(0)  # here\nreturn y", BUFFER),
        "`s`",
    ),
    "a part of the memory": (
        module("self.k[:, :1] = x[:, :1]  # here\nreturn self.k * 3", SCRATCH),
        "`k`",
    ),
    "a mask hides the old values of these samples": (
        module("self.k[:, :1] = x[:, :1]  # here\nreturn torch.where(x > 1e6, self.k, x)", SCRATCH),
        "`k`",
    ),
    "a maximum that the sample does not reach": (
        module(
            "self.s = torch.maximum(self.s, x.abs().amax(0))  # here\nreturn x / self.s",
            "self.register_buffer('s', torch.full((3,), 1e4))",
        ),
        "`s`",
    ),
    "Python reads it": (
        module(
            "self.n += 1  # here\nreturn x * (2 if self.n > 1e6 else 3)",
            "self.register_buffer('n', torch.zeros(()))",
        ),
        "`n`",
    ),
    "numpy reads it": (
        module("self.s = x[0] + float(self.s.numpy()[0])  # here\nreturn x * self.s", PLAIN),
        "`s`",
    ),
    "another name of the memory": (
        module(
            "y = self.v * 2\nself.s.copy_(x[0])  # here\nreturn x + y",
            "self.s = torch.ones(3)\nself.v = self.s[:1]",
        ),
        "writes to",
    ),
    "kept at the first call": (
        module("if self.t is None:\n    self.t = x.mean()\nreturn x * self.t", "self.t = None"),
        "`t`",
    ),
    "kept in a list": (
        module("if not self.t:\n    self.t.append(x.mean())\nreturn x * self.t[0]", "self.t = []"),
        "remembers",
    ),
    "kept in a table": (
        module("return x * self.t.setdefault('mean', x.mean())", "self.t = {}"),
        "remembers",
    ),
}

#: A cache whose old positions a mask hides, at the position that every sample has.
CACHE = """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("k", torch.zeros(1, 4, 2))
    def forward(self, x, pos):
        self.k[:, pos] = x
        seen = torch.arange(4)[None, :, None] <= pos
        return torch.where(seen, self.k, 0.0).sum(1) * x[0]
def make():
    return Net()
"""
POSITION = {
    "x": {"shape": [1, 1, 2], "dtype": "float32"},
    "pos": {"shape": [1], "dtype": "int32", "sample": {"start": 0}},
}


@pytest.mark.parametrize("capture", ["auto", "export"])
@pytest.mark.parametrize("name", HARMLESS)
def test_what_is_written_before_it_is_read_converts(package, name, capture):
    source, changes = HARMLESS[name]
    outcome = package.convert(source, **changes, capture=capture, compute_precision="float32")
    assert not outcome.specification.description.state
    assert not any("writes to" in warning for warning in outcome.converted["warnings"])
    net = made(outcome)
    for seed in range(2):
        shape = outcome.features["x"][1]
        x = torch.randn(shape, generator=torch.Generator().manual_seed(seed))
        with torch.no_grad():
            expected = net(x)
        torch.testing.assert_close(execute(outcome, x)[0], expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", HARMFUL)
def test_what_an_earlier_prediction_has_left_is_refused(package, name):
    source, word = HARMFUL[name]
    failed = package.convert(source).failed
    assert failed["kind"] == "written-buffer", failed
    assert word in failed["message"] and len(failed["advice"]) >= 3, failed
    if "# here" in source:
        assert failed["python"]["line"] == package.marked(), failed


def test_of_many_tensors_those_that_are_read_are_named(package):
    count, read = 20, (3, 11)
    init = "\n".join(f"self.register_buffer('b{index}', torch.ones(3))" for index in range(count))
    body = "\n".join(
        [
            *(f"x = x + self.b{index}" for index in read),
            *(f"self.b{index}.copy_(x[0])" for index in range(count)),
            *(f"x = x + self.b{index}" for index in range(count)),
            "return x",
        ]
    )
    failed = package.convert(module(body, init)).failed
    assert failed["kind"] == "written-buffer", failed
    named = [index for index in range(count) if f"`b{index}`" in failed["message"]]
    assert named == [*read], failed["message"]


def test_a_cache_that_is_no_state_is_refused_where_a_mask_hides_it(package):
    failed = package.convert(CACHE, inputs=POSITION).failed
    assert failed["kind"] == "written-buffer" and "`k`" in failed["message"], failed
    assert "states.k" in failed["advice"][0]


@pytest.mark.parametrize("write", ["self.n += 1", "self.n = self.n + 1", "self.n.add_(x.sum())"])
def test_a_counter_that_no_output_depends_on_is_a_warning(package, write):
    source = module(f"{write}\nreturn x * 2", "self.register_buffer('n', torch.zeros(()))")
    outcome = package.convert(source)
    assert [one for one in outcome.converted["warnings"] if "`n`" in one] == [
        "forward writes to `n`, and no output depends on it: the model does not keep it"
    ]
    assert not outcome.specification.description.state


def test_a_module_keeps_its_attributes(package):
    """A capture leaves no tensors of a tracer in the module: the proof runs it afterwards."""
    source = module("self.s = x.mean(0)\nself.new = x[0]\nreturn x * self.s", PLAIN)
    for capture in ("trace", "export"):
        outcome = package.convert(source, capture=capture)
        assert outcome.report["proof"]["main"]["proved"], outcome.report["proof"]
