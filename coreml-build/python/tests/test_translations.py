"""Every row of the driver's tables: right with it, and wrong without it.

Owns: the comparison of translated programs with PyTorch, in both captures and precisions, and with
what coremltools makes of the same function by itself.
"""

from __future__ import annotations

import functools
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from coreml_driver import passes, translations
from coreml_driver.failures import Failure
from tests import test_ranks
from tests.translated import BATCH, differences, translate
from tests.translation_cases import CASES

#: Families of the table that this file proves.
FAMILIES = (
    "arithmetic attention creation layers normalization reductions resizing selection "
    "transcendental writing"
).split()


@functools.cache
def results(capture: str, precision: str) -> dict[str, str]:
    """Return what is wrong about each case; empty where it is right."""
    chosen = {
        name: case
        for name, case in CASES.items()
        if capture in case.captures and precision in case.precisions
    }
    found: dict[str, str] = {}
    flexible = [[name] for name in chosen if chosen[name].flexible or chosen[name].more]
    fixed = [name for name in chosen if [name] not in flexible]
    groups = [fixed[start : start + BATCH] for start in range(0, len(fixed), BATCH)]
    for group in groups + flexible:
        found |= judged(group, capture, precision)
    return found


def judged(names: list[str], capture: str, precision: str) -> dict[str, str]:
    """Return what is wrong about cases that are translated together; fewer where that fails."""
    cases = [CASES[name] for name in names]
    try:
        translated = translate(cases, capture, precision)
    except Exception as error:
        if len(names) == 1:
            words = str(error) if isinstance(error, Failure) else repr(error)
            return {names[0]: f"refused: {words[:300]}"}
        middle = len(names) // 2
        first, second = names[:middle], names[middle:]
        return judged(first, capture, precision) | judged(second, capture, precision)
    wrong = differences(cases, translated, precision)
    return {name: wrong.get(number, "") for number, name in enumerate(names)}


@pytest.mark.parametrize(
    ("name", "capture", "precision"),
    [
        (name, capture, precision)
        for name, case in CASES.items()
        for capture in case.captures
        for precision in case.precisions
    ],
)
def test_is_pytorchs(name, capture, precision):
    assert not results(capture, precision)[name]


@pytest.fixture(scope="module")
def plain(tmp_path_factory) -> dict[str, str]:
    """What coremltools makes of the cases by itself, in a process of its own."""
    file = tmp_path_factory.mktemp("plain") / "found.json"
    folder = Path(__file__).resolve().parent.parent
    subprocess.run(
        [sys.executable, "-m", "tests.plain", str(file)],
        cwd=folder,
        check=True,
        capture_output=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    return json.loads(file.read_text())


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.plain])
def test_coremltools_alone_is_wrong_or_refuses(plain, name):
    """Fails the day coremltools is right: then the row has to go, or the case."""
    assert plain[name]


def test_log1p_is_still_a_logarithm_of_a_sum():
    """The sum is computed in float32 or less on a device, in more here: only its form shows that
    the digits of a small operand are lost.
    """
    case = CASES["log1p"]
    alone = translate([case], "trace", "float32", plain=True).operations
    assert "log" in alone and "real_div" not in alone


def test_every_row_has_a_case():
    about = {case.about for case in CASES.values() if case.plain} | {"log1p"}
    named = [
        kind
        for row in translations.ROWS
        if row.translate.__module__.rpartition(".")[2] in FAMILIES and row.replaces
        for kind in row.kinds[:1]
    ]
    assert set(named) - about == set()
    elsewhere = {test_ranks.PASS}
    assert {repair.name for repair in passes.REPAIRS} - about - elsewhere == set()
