"""Ranges of integer inputs that the manifest says nothing of."""

from __future__ import annotations

import pytest

from tests.test_failures import returning

IDS = {"x": {"shape": [1, 7], "dtype": "int32"}}
TABLE = "F.embedding({}, torch.arange(150.0).reshape(50, 3))"


@pytest.mark.parametrize(
    ("expression", "high"),
    [
        (TABLE.format("x"), 49),
        # An offset of positions stays inside the table.
        (TABLE.format("x + 2"), 47),
        ("torch.where(x == 0, 1.0, 2.0)", 40000),
        # What overflows otherwise is taken for a mask.
        ("(1.0 - x.float()) * -10000.0", 1),
    ],
)
def test_a_range_is_found_and_said(package, expression, high):
    outcome = package.convert(returning(expression), inputs=IDS)
    assert outcome.report["ranges"] == {"main": {"x": [0, high]}}
    assert outcome.sample["in/x"].min() >= 0 and outcome.sample["in/x"].max() <= high


def test_two_inputs_have_ranges_of_their_own(package):
    expression = TABLE.format("x") + " + F.embedding(t, torch.arange(30.0).reshape(10, 3))"
    source = returning(expression).replace("(self, x)", "(self, x, t)")
    outcome = package.convert(source, inputs=IDS | {"t": IDS["x"]})
    assert outcome.report["ranges"] == {"main": {"x": [0, 49], "t": [0, 9]}}


def test_a_declared_range_is_kept(package):
    inputs = {"x": IDS["x"] | {"sample": {"range": [3, 5]}}}
    outcome = package.convert(returning(TABLE.format("x")), inputs=inputs)
    assert outcome.report["ranges"] == {}
    assert outcome.sample["in/x"].min() >= 3 and outcome.sample["in/x"].max() <= 5


def test_the_same_range_each_time(package):
    source = returning(TABLE.format("x"))
    outcomes = [package.convert(source, inputs=IDS) for _ in range(2)]
    assert outcomes[0].digest == outcomes[1].digest
    assert outcomes[0].sample["in/x"].tolist() == outcomes[1].sample["in/x"].tolist()
