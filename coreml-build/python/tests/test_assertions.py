"""Checks of Python that a model makes of its own values."""

from __future__ import annotations

import pytest
import torch

from tests.executed import execute, made
from tests.test_failures import module

HARMLESS = {
    "assert": "assert (x == x).all()\nreturn x * 2",
    "of several lines": "assert (\n    x.abs().sum()\n    >= 0\n), x.shape\nreturn x * 2",
    "an if that raises": "if x.isnan().any():\n    raise ValueError('broken')\nreturn x * 2",
    "item": "assert x.abs().sum().item() >= 0\nreturn x * 2",
}
HARMFUL = {
    "a branch": "assert x.ndim == 2\nreturn x * 2 if x.sum() > 0 else x * 3",
    "a name": "assert (n := x.abs().sum().item()) >= 0\nreturn x * n",
    "an if with more": (
        "y = x\nif x.sum() > 1e9:\n    raise ValueError\nelif x.sum() > 0:\n    y = x * 2\nreturn y"
    ),
    "a line with more": "assert x.ndim == 2; y = x * 2 if x.sum() > 0 else x\nreturn y",
    "an if of one line": "y = x * 2\nif x.sum() > 0: y = x * 3\nreturn y",
    "a check that keeps": "assert self.check(x)\nreturn x * self.factor",
}
CHECK = "def check(self, x):\n        self.factor = 2 if x.sum() > 0 else 3\n        return True"


@pytest.mark.parametrize("name", HARMLESS)
def test_a_check_decides_nothing(package, name):
    outcome = package.convert(module(HARMLESS[name]), capture="trace", compute_precision="float32")
    x = torch.tensor([[1.0, -2, 3], [-4, 5, 0.5]])
    torch.testing.assert_close(execute(outcome, x)[0], made(outcome)(x))


@pytest.mark.parametrize("name", HARMFUL)
def test_what_decides_more_is_refused(package, name):
    source = module(HARMFUL[name]).replace("def make", f"    {CHECK}\ndef make")
    failed = package.convert(source, capture="trace").failed
    assert failed["kind"] in ("data-dependent", "kept-value", "written-state"), failed["kind"]
