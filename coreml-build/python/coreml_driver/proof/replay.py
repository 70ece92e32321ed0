"""Functions after they were joined: each gives the results that it gave alone.

Owns: the second execution.
Must not: compare with PyTorch: the functions were.
Flow: `prove` keeps a `Replay` of each function -> `conversion` has joined them -> `again`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from coremltools.proto import Model_pb2

from coreml_driver.failures import Failure, PythonLine
from coreml_driver.interface import Interface
from coreml_driver.proof import compare
from coreml_driver.proof.blobs import Blobs
from coreml_driver.proof.execute import Broken
from coreml_driver.proof.subject import Predictor
from coreml_driver.proof.values import Precision
from coreml_driver.samples import Sample


@dataclass(frozen=True)
class Replay:
    """What a program was fed, and what it gave as a device would execute it."""

    interface: Interface
    samples: tuple[Sample, ...]
    results: tuple[torch.Tensor, ...]
    #: Of `forward`.
    line: PythonLine | None


def again(kept: Replay, package: Path, specification: Model_pb2.Model, function: str) -> None:
    """Execute a function of a joined package and compare it with what it gave alone.

    Errors: `Failure` of kind `changed-interface`.
    """
    with Blobs(package) as blobs:
        predictor = Predictor(kept.interface, specification, blobs, (), function)
        words: object = None
        try:
            results = predictor.execute(kept.samples, precision=Precision.DEVICE)
        except Broken as error:
            results, words = [], error
        for one, other in zip(kept.results, results, strict=False):
            # The same kernels on the same numbers: not a bit differs.
            found = compare.difference(one, other, relative=0.0, absolute=0.0)
            words = words or found
    if words is not None:
        message = (
            f"coremltools changed the function `{function}` while it joined the functions: it "
            f"gives {words}."
        )
        cure = "Please report this with the log; models of their own (`[models.NAME]`) work."
        raise Failure("changed-interface", message, kept.line, f"functions.{function}", (cure,))
