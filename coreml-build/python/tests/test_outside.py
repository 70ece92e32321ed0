"""Clocks, random numbers and the environment, read while forward runs."""

from __future__ import annotations

import pytest

from tests.test_proof import at

IMPORTS = """
import datetime, logging, os, random, time, uuid
import numpy as np
from datetime import datetime as moment
from time import time as now
GENERATOR = np.random.default_rng(0)
"""


def forward(expression: str) -> str:
    """Return a source whose forward returns an expression."""
    return IMPORTS + at(expression)


@pytest.mark.parametrize(
    "expression",
    [
        "x * time.time()",
        "x * now()",
        "x + time.perf_counter_ns() % 1000003",
        "x + moment.now().hour + moment.now().minute / 60",
        "x + float(time.strftime('%S')) * 0 + time.localtime().tm_sec",
    ],
)
def test_a_clock_is_heard(package, expression):
    failed = package.convert(forward(expression)).failed
    assert failed["kind"] == "clock" and failed["python"]["line"] == package.marked()
    assert "reads a clock" in failed["message"]


@pytest.mark.parametrize(
    "expression",
    [
        "x * random.random()",
        "x + np.random.rand()",
        "x + GENERATOR.normal()",
        "x * (uuid.uuid4().int % 1000003)",
    ],
)
def test_random_numbers_are_heard(package, expression):
    assert package.convert(forward(expression)).failed["kind"] == "random"


@pytest.mark.parametrize(
    "expression",
    [
        "(time.time(), x * 2)[1]",
        "(random.random(), x * 2)[1]",
        "(logging.getLogger('a').warning('b'), x * 2)[1]",
    ],
)
def test_what_no_result_depends_on_is_let_be(package, expression):
    assert not package.convert(forward(expression)).converted["warnings"]


def test_the_environment_is_a_warning(package):
    outcome = package.convert(forward("x * float(os.environ.get('COREML_TEST_SCALE', '2'))"))
    (warning,) = outcome.converted["warnings"]
    assert "`COREML_TEST_SCALE`" in warning and f"line {package.marked()}" in warning
