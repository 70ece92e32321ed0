"""Functions that are scripted when they are traced: traced themselves where a trace follows them,
kept as a script where it cannot.
"""

from __future__ import annotations

import pytest
import torch

from tests.executed import execute, made
from tests.test_failures import module

#: A library's own copy of PyTorch's wrapper, as asteroid-filterbanks has it.
COPIED = """
import functools
def of_library(fn):
    @functools.wraps(fn)
    def wrapper(*args):
        if not torch._C._is_tracing():
            return fn(*args)
        return torch.jit.script(wrapper.__original_fn)(*args)
    wrapper.__original_fn = fn
    return wrapper
"""
#: One branch of the rank has no meaning for the input.
RANKS = """
def convolved(x, w):
    if x.ndim == 2:
        x = x[None]
    if x.ndim == 4:
        return F.conv2d(x, w[None])
    return F.conv1d(x, w)
"""
#: How often it doubles depends on the data.
LOOP = """
@torch.jit.script_if_tracing
def doubled(x):
    steps = 0
    while bool(x.sum() < 100) and steps < 20:
        x = x * 2
        steps += 1
    return x
"""


@pytest.mark.parametrize("shape", [[1, 4, 16], [4, 16]])
@pytest.mark.parametrize("wrapper", ["torch.jit.script_if_tracing", "of_library"])
def test_branches_of_a_rank_are_traced(package, wrapper, shape):
    source = COPIED + RANKS.replace("def ", f"@{wrapper}\ndef ")
    source += module("return convolved(x, self.w)", "self.w = torch.ones(2, 4, 3)")
    outcome = package.convert(
        source,
        inputs={"x": {"shape": shape, "dtype": "float32"}},
        capture="trace",
        compute_precision="float32",
    )
    x = torch.randn(shape, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(execute(outcome, x)[0], made(outcome)(x), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("size", [0.0, 0.1, 3.0, 40.0])
def test_a_loop_on_data_stays_a_loop(package, size):
    source = LOOP + module("return doubled(x.abs() + 1)")
    outcome = package.convert(source, capture="trace", compute_precision="float32")
    x = torch.full((2, 3), size)
    torch.testing.assert_close(execute(outcome, x)[0], made(outcome)(x))
    kinds = {
        operation.type
        for operation in outcome.specification.mlProgram.functions["main"]
        .block_specializations["CoreML8"]
        .operations
    }
    assert "while_loop" in kinds


#: How often it doubles depends on how many elements are chosen, which a trace does not see.
COUNT = """
@torch.jit.script_if_tracing
def doubled(x, chosen):
    for step in range(chosen.size(0)):
        x = x * 2
    return x
"""


@pytest.mark.parametrize("count", [0, 1, 3])
def test_a_script_stays_where_a_trace_of_it_is_wrong(package, count):
    source = COUNT + module("return doubled(x + 1, torch.nonzero(x[0] > 0))")
    outcome = package.convert(source, capture="trace", compute_precision="float32")
    x = torch.tensor([[1.0] * count + [-1.0] * (3 - count), [5.0, 6.0, 7.0]])
    torch.testing.assert_close(execute(outcome, x)[0], made(outcome)(x))
