"""Executing a package that the whole driver has made, and the module that it was made of."""

from __future__ import annotations

import sys
from typing import Any

import torch

from coreml_driver import program
from coreml_driver.proof import values
from coreml_driver.proof.blobs import Blobs
from coreml_driver.proof.execute import Executable
from tests.conftest import Outcome


def execute(outcome: Outcome, *inputs: torch.Tensor, half: bool = False) -> list[torch.Tensor]:
    """Execute the package of a conversion; return its outputs in order."""
    description = outcome.specification.description
    names = [item.name for item in description.input]
    package = outcome.output / "model.mlpackage"
    with Blobs(package) as blobs:
        executable = Executable(program.main(outcome.specification), blobs)
        assert not executable.unproved(), executable.unproved()
        precision = values.Precision.DEVICE if half else values.Precision.WIDENED
        found = executable.run(dict(zip(names, inputs, strict=True)), precision=precision)
    return [found[item.name] for item in description.output]


def made(outcome: Outcome) -> torch.nn.Module:
    """Return the module of `python/model.py`, made again."""
    space: dict[str, Any] = {"__name__": "made_again"}
    path = outcome.root / "python" / "model.py"
    sys.modules["made_again"] = type(sys)("made_again")
    torch.manual_seed(0)
    exec(compile(path.read_text(), str(path), "exec"), space)
    return space["make"]().eval()
