"""What is proved, and how a program is fed.

Owns: the predictions of a sample in a row, with states, and which results there are.
Must not: compare.
Flow: `conversion` makes a `Subject` -> `prove`, `half` and `replay` execute it by a `Predictor`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from coremltools.proto import Model_pb2

from coreml_driver import functional, program
from coreml_driver.convert import Plain
from coreml_driver.failures import PythonLine
from coreml_driver.interface import Interface
from coreml_driver.origins import Origins
from coreml_driver.proof.blobs import Blobs
from coreml_driver.proof.execute import Executable, Watcher
from coreml_driver.proof.values import Precision
from coreml_driver.samples import Run, Sample


@dataclass(frozen=True)
class Subject:
    """What is proved."""

    package: Path
    specification: Model_pb2.Model
    #: The program before its weights were compressed, if they were.
    plain: Plain | None
    #: The manifest key of the compression.
    compression: str | None
    interface: Interface
    #: Arrays that constants of half precision may have been rounded from.
    originals: Sequence[Any]
    #: Whether the program computes in half precision.
    half: bool
    #: Runs PyTorch's module on samples in a row; returns outputs and the states at the end.
    again: Callable[[Sequence[Sample]], list[torch.Tensor]]
    #: The captured graph, and where the program's operations come from.
    captured: Any
    origins: Origins
    #: The line of `forward`.
    line: PythonLine | None
    #: How many samples are written beside the package: the first ones.
    written: int = 0


@dataclass(frozen=True)
class Case:
    """A sample to prove."""

    #: As messages spell it: `sample 0`, `zeros`.
    name: str
    samples: tuple[Sample, ...]
    #: What PyTorch gave, outputs of all predictions and states; `None`: it has not been run.
    expected: tuple[torch.Tensor, ...] | None = None
    #: Whether it is at the edge, where PyTorch may fail or give what is not finite.
    edge: bool = False
    #: Whether the manifest says that these values come; only then half precision has to hold them.
    declared: bool = True
    #: How many numbers are fed, compared with the first case.
    size: float = 1.0
    #: Number of the sample; `None` for one at the edge.
    number: int | None = None


def of_run(name: str, run: Run, size: float, number: int) -> Case:
    """Return the case of a sample that PyTorch was run on."""
    outputs = [output for _, outputs in run.steps for output in outputs]
    return Case(
        name,
        tuple(sample for sample, _ in run.steps),
        (*outputs, *run.states),
        size=size,
        number=number,
    )


@dataclass
class Proof:
    """What the proof of a function has shown."""

    #: Operations that were not evaluated, with the reason.
    unproved: dict[str, str] = field(default_factory=dict)
    #: Names of the samples that were compared.
    samples: list[str] = field(default_factory=list)
    #: Names of those that were left out, with the reason.
    skipped: dict[str, str] = field(default_factory=dict)
    #: The largest difference in single precision, relative to the largest value of its output.
    largest: float = 0.0
    #: The smallest ratio of signal to noise of an output in half precision; `None`: it has none, or
    #: was not executed so.
    decibels: float | None = None
    #: How many compressed weights were compared with their originals.
    weights: int | None = None
    #: What the operations of the package give for a sample that is written, as the report spells
    #: it.
    checkpoints: list[dict[str, Any]] = field(default_factory=list)
    #: Inputs and results of the program, to be executed again when functions are joined.
    replay: Any = None
    warnings: list[str] = field(default_factory=list)

    def entry(self) -> dict[str, Any]:
        """Return it as the report spells it."""
        entry: dict[str, Any] = {
            "proved": not self.unproved,
            "samples": self.samples,
            "skipped": self.skipped,
            "not-proved": self.unproved,
            "largest-difference": self.largest,
        }
        if self.decibels is not None:
            entry["half-precision-decibels"] = round(self.decibels, 1)
        if self.weights is not None:
            entry["compressed-weights"] = self.weights
        return entry


class Predictor:
    """A program that is fed samples as a prediction would be."""

    def __init__(
        self,
        interface: Interface,
        specification: Model_pb2.Model,
        blobs: Blobs,
        originals: Sequence[Any] = (),
        function: str = program.MAIN,
    ) -> None:
        """Read a function. Parameters: `originals` — see `Subject`."""
        self.interface = interface
        found = specification.mlProgram.functions[function]
        self.executable = Executable(found, blobs, originals)
        self._pairs = state_pairs(specification, function)

    def execute(
        self,
        samples: Sequence[Sample],
        *,
        precision: Precision,
        watcher: Watcher | None = None,
        began: Callable[[int], None] = lambda number: None,
    ) -> list[torch.Tensor]:
        """Execute predictions in a row from zeroed states.

        Parameters: `began` — is called with the number of each prediction.
        Returns: the outputs of all, then the states.
        Errors: `Broken`, `Unproved`.
        """
        zeros = {
            feature.name: torch.zeros([size or 1 for size in feature.shape])
            for feature in self.interface.states
        }
        states = {name: zeros[name] for name in self.executable.function.states}
        fed = {name: zeros[name] for name in self._pairs}
        found: list[torch.Tensor] = []
        for number, sample in enumerate(samples):
            began(number)
            inputs = {
                feature.name: torch.from_numpy(array)
                for feature, array in zip(self.interface.inputs, sample.arrays, strict=True)
            }
            outputs = self.executable.run(
                inputs | fed, states, precision=precision, watcher=watcher
            )
            fed = {name: outputs[output] for name, output in self._pairs.items()}
            found += self._outputs(outputs)
        last = states | fed
        return found + [last[feature.name] for feature in self.interface.states]

    def _outputs(self, outputs: Mapping[str, Any]) -> list[torch.Tensor]:
        """Return the outputs in the interface's order; a classifier's are its probabilities."""
        if self.interface.classifier is not None:
            probabilities = next(
                value for value in outputs.values() if isinstance(value, torch.Tensor)
            )
            return [probabilities.reshape([size or 1 for size in self.interface.outputs[0].shape])]
        return [outputs[feature.name] for feature in self.interface.outputs]

    def names(self, predictions: int) -> list[str]:
        """Return what each result of `execute` is, for messages."""
        names = []
        for number in range(predictions):
            step = f" of step {number}" if predictions > 1 else ""
            names += [f"output `{feature.name}`{step}" for feature in self.interface.outputs]
        return names + [f"state `{feature.name}`" for feature in self.interface.states]


def state_pairs(specification: Model_pb2.Model, function: str) -> dict[str, str]:
    """Return which output is the new value of which input, of states as inputs and outputs."""
    note = specification.description.metadata.userDefined.get(functional.NOTE + function, "")
    return dict(pair.split("=", 1) for pair in note.split())
