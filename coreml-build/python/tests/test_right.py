"""Conversions that coremltools gets wrong in silence: right through the whole driver, or an error.

Owns: what a user reads: errors about ignored arguments, the report of what stays in float32, and
the rungs of the ladder. Values are the subject of `test_translations.py`; the proof compares them
here as well.
"""

from __future__ import annotations

import pytest
import torch

from coreml_driver import ladder
from tests.executed import execute, made
from tests.test_failures import module, returning

#: name -> (what `forward` returns, inputs, outputs); each is a silent fault of coremltools 9.0.
SILENT = {
    "remainder": ("torch.remainder(x, 1) + 0.5", {}, {}),
    "token ids": (
        "x.squeeze(0) + 1",
        {"x": {"shape": [1, 7], "dtype": "int32", "sample": {"range": [0, 151935]}}},
        {"output": {"dtype": "int32"}},
    ),
    "reciprocal": (
        "1.0 / x",
        {"x": {"shape": [2, 3], "sample": {"range": [0.001, 0.01]}}},
        {},
    ),
    "alpha": ("torch.sub(x, x.flip(0), alpha=5)", {}, {}),
    "angle": ("torch.atan2(torch.round(x), torch.round(x.flip(1)))", {}, {}),
    "quotient": (
        "torch.div(x, 7, rounding_mode='trunc')",
        {"x": {"shape": [64], "dtype": "int32", "sample": {"range": [0, 100]}}},
        {"output": {"dtype": "int32"}},
    ),
    "antialias": (
        "F.interpolate(x, scale_factor=0.5, mode='bilinear', antialias=True)",
        {"x": {"shape": [1, 3, 8, 8]}},
        {},
    ),
    "root of a square": ("torch.sqrt(x ** 2) + 1", {}, {}),
    "causal mask": (
        "x @ x.transpose(1, 2) + torch.triu(torch.full((x.shape[1],) * 2, float('-inf')), 1)",
        {"x": {"shape": [1, {"min": 2, "max": 16, "default": 8}, 4]}},
        {},
    ),
}


@pytest.mark.parametrize("precision", ["float32", "float16"])
@pytest.mark.parametrize("name", SILENT)
def test_what_was_silently_wrong_converts(package, name, precision):
    text, inputs, outputs = SILENT[name]
    changes = {"inputs": inputs} if inputs else {}
    outcome = package.convert(
        returning(text), compute_precision=precision, outputs=outputs, **changes
    )
    assert outcome.converted


IGNORING = """
from coremltools.converters.mil import Builder as mb
from coremltools.converters.mil.frontend.torch import register_torch_op
from coremltools.converters.mil.frontend.torch.ops import _get_inputs

@register_torch_op(override=True)
def gelu(context, node):
    context.add(mb.gelu(x=_get_inputs(context, node)[0], mode="EXACT", name=node.name))
"""


@pytest.mark.parametrize("capture", ["trace", "export"])
def test_an_argument_that_no_translation_uses_is_an_error(package, capture):
    package.write("python/my_ops.py", IGNORING)
    source = module("return F.gelu(x, approximate='tanh')  # here")
    failed = package.convert(source, ops="python/my_ops.py", capture=capture).failed
    assert failed["kind"] == "ignored-argument", failed
    assert "`gelu` ignores `approximate='tanh'`" in failed["message"]
    assert failed["python"]["line"] == package.marked(), failed
    assert any("leave it at its default" in rung for rung in failed["advice"]), failed


@pytest.mark.parametrize("capture", ["trace", "export"])
def test_an_argument_at_its_default_is_none(package, capture):
    package.write("python/my_ops.py", IGNORING)
    source = returning("F.gelu(x, approximate='none')")
    assert package.convert(source, ops="python/my_ops.py", capture=capture).converted


def test_the_report_says_what_stays_in_float32(package):
    source = module("return torch.log(x.abs() + 1e-10)  # here")
    outcome = package.convert(source, compute_precision="float16")
    kept = outcome.report["rewrites"]["kept-in-float32"]
    place = f"model.py:{package.marked()}"
    assert any(line.startswith("`add`") and place in line for line in kept), kept
    assert any(line.startswith("`log`") for line in kept), kept
    told = [line for line in outcome.report["warnings"] if "1e-10" in line]
    assert len(told) == 1 and "too small for float16" in told[0], outcome.report["warnings"]


def test_what_is_computed_from_integers_is_no_warning(package):
    inputs = {"x": {"shape": [6], "dtype": "int32", "sample": {"range": [0, 60000]}}}
    source = returning("torch.sin(x.float() * 0.1)")
    outcome = package.convert(source, compute_precision="float16", inputs=inputs)
    assert any("integers" in line for line in outcome.report["rewrites"]["kept-in-float32"])
    assert not [line for line in outcome.report["warnings"] if "float32" in line]


def test_single_precision_keeps_nothing(package):
    outcome = package.convert(returning("torch.log(x.abs() + 1e-10)"), compute_precision="float32")
    assert "kept-in-float32" not in outcome.report["rewrites"]


def test_the_ladder_offers_only_what_was_not_tried():
    rungs = ("first", 'Or use `capture = "export"`.', "Lower: {features}.")
    both = ladder.untried(rungs, ["trace", "export"], "iOS18", True)
    lower = 'Lower: an older `minimum-deployment-target`, `compute-precision = "float32"`.'
    assert both == ("first", lower)
    assert ladder.untried(rungs, ["trace", "export"], "iOS15", False) == ("first",)
    one = ladder.untried(rungs, ["trace"], "iOS15", False)
    assert one == ("first", rungs[1], 'Lower: `capture = "export"`.')


def test_weights_that_are_transposed_behind_their_rounding_are_known(package):
    # As in GPT-2: `linear` takes the matrix of `addmm` the other way round.
    source = module(
        "return torch.addmm(self.b, x, self.w)",
        "self.b = nn.Parameter(torch.ones(8))\n"
        "self.w = nn.Parameter(torch.arange(24.0).reshape(3, 8) / 7 - 1.7)",
    )
    outcome = package.convert(source, capture="trace")
    assert outcome.report["proof"]["main"]["largest-difference"] < 1e-6


def test_a_conversion_leaves_the_module_as_it_is(package):
    # coremltools negates `b` in the module's own memory, once for each convolution.
    source = module(
        "y = torch.relu(self.c(x) - self.b) + torch.relu(self.d(x) - self.b)\n"
        "return y + self.norm(self.c(x))",
        "torch.manual_seed(0)\n"
        "self.c, self.d = nn.Conv2d(1, 3, 3), nn.Conv2d(1, 3, 3, bias=False)\n"
        "self.norm = nn.BatchNorm2d(3, affine=False)\n"
        "self.norm.running_mean.uniform_()\n"
        "self.register_buffer('b', torch.tensor([0.5, -0.25, 1]).reshape(1, 3, 1, 1))",
    ).replace("return Net()", "return Net().eval()")
    inputs = {"x": {"shape": [1, 1, 6, 6]}}
    outcome = package.convert(source, inputs=inputs, capture="trace", compute_precision="float32")
    x = torch.randn(1, 1, 6, 6, generator=torch.Generator().manual_seed(5))
    with torch.no_grad():
        expected = made(outcome)(x)
    torch.testing.assert_close(execute(outcome, x)[0], expected, rtol=1e-5, atol=1e-5)
    assert "sample 0" in outcome.report["proof"]["main"]["samples"]
