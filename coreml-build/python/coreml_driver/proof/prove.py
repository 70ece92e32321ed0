"""The proof of one function: its program is executed on samples and compared with PyTorch.

Owns: which samples are proved in which precision, and what a difference means.
Must not: change the package; draw samples (`edges`); find the operation at fault (`blame`).
Flow: `conversion` has written the package and read it back -> `prove` -> the report, or a
`Failure`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from coremltools.proto import Model_pb2

from coreml_driver import functional, program
from coreml_driver.failures import Failure, PythonLine
from coreml_driver.interface import Interface
from coreml_driver.proof import compare, noise
from coreml_driver.proof.blobs import Blobs
from coreml_driver.proof.compare import Difference, Noise
from coreml_driver.proof.execute import Executable
from coreml_driver.proof.kernels import Unproved
from coreml_driver.proof.kernels.random import DRAWN
from coreml_driver.proof.reading import steps
from coreml_driver.samples import Run

#: The manifest key that turns the proof off.
KEY = "proof"


@dataclass
class Proof:
    """What the proof of a function has shown."""

    #: Operations that were not evaluated, with the reason.
    unproved: dict[str, str] = field(default_factory=dict)
    #: Names of the samples that were compared.
    samples: list[str] = field(default_factory=list)
    #: The largest difference in single precision, relative to the largest value of its output.
    largest: float = 0.0
    warnings: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Case:
    """A sample to prove."""

    #: As messages spell it: `sample 0`, `zeros`.
    name: str
    run: Run
    #: Whether it is one that the generated tests use, too.
    kept: bool


@dataclass(frozen=True)
class Subject:
    """What is proved."""

    package: Path
    specification: Model_pb2.Model
    interface: Interface
    #: Numbers that constants of half precision may have been rounded from, by constant.
    originals: Mapping[str, Any]
    #: Whether the program computes in half precision.
    half: bool
    #: Runs PyTorch's module again on the inputs of a sample.
    again: Callable[[Run], Sequence[torch.Tensor]]
    #: The line of `forward`.
    line: PythonLine | None


def prove(subject: Subject, cases: Sequence[Case]) -> Proof:
    """Execute the package on samples and compare with PyTorch.

    Called by: `conversion`.
    Errors: `Failure` of kind `wrong-conversion`.
    """
    with Blobs(subject.package) as blobs:
        return _Prover(subject, blobs).prove(cases)


class _Prover:
    """The proof of one function."""

    def __init__(self, subject: Subject, blobs: Blobs) -> None:
        """Read the function."""
        self._subject = subject
        function = program.main(subject.specification)
        self._executable = Executable(function, blobs, subject.originals)
        self._pairs = state_pairs(subject.specification)
        self._proof = Proof()

    def prove(self, cases: Sequence[Case]) -> Proof:
        """Prove all samples."""
        proof, executable = self._proof, self._executable
        proof.unproved = executable.unproved()
        for step in steps(executable.function.body):
            if step.kind in DRAWN:
                proof.unproved[step.kind] = "its results are drawn at random"
        if proof.unproved:
            return proof
        for case in cases:
            try:
                self._single(case)
            except Unproved as error:
                kind, _, reason = str(error).partition(": ")
                proof.unproved[kind.strip("`")] = reason
                return proof
            proof.samples.append(case.name)
        return proof

    def _single(self, case: Case) -> None:
        """Compare an execution in single precision."""
        expected = flat(case.run)
        names = self._names(case.run)
        try:
            got = self.execute(case.run, half=False)
        except Unproved:
            raise
        except Exception as error:
            raise self._fails(case, error) from error
        found = self._differences(case, expected, got, None)
        if found:
            moved = noise.measure(lambda: self._subject.again(case.run), expected)
            found = self._differences(case, expected, got, moved)
        if found:
            position, difference = found[0]
            raise self._wrong(case, names[position], difference)

    def _differences(
        self,
        case: Case,
        expected: Sequence[torch.Tensor],
        got: Sequence[torch.Tensor],
        moved: Sequence[Noise] | None,
    ) -> list[tuple[int, Difference]]:
        """Return the outputs that differ."""
        found = []
        for position, (one, other) in enumerate(zip(expected, got, strict=True)):
            own = None if moved is None else moved[position]
            difference = compare.difference(one, other, own, where_finite=not case.kept)
            if difference is not None:
                found.append((position, difference))
        return found

    def execute(self, run: Run, *, half: bool, watcher: Any = None) -> list[torch.Tensor]:
        """Execute the steps of a sample from zeroed states; return all outputs and the states."""
        function, interface = self._executable.function, self._subject.interface
        zeros = {
            feature.name: torch.zeros([size or 1 for size in feature.shape])
            for feature in interface.states
        }
        states = {name: zeros[name] for name in function.states}
        fed = {name: zeros[name] for name in self._pairs}
        found: list[torch.Tensor] = []
        for sample, _ in run.steps:
            inputs = {
                feature.name: torch.from_numpy(array)
                for feature, array in zip(interface.inputs, sample.arrays, strict=True)
            }
            outputs = self._executable.run(inputs | fed, states, half=half, watcher=watcher)
            fed = {name: outputs[output] for name, output in self._pairs.items()}
            found += self._outputs(outputs)
        last = states | fed
        return found + [last[feature.name] for feature in interface.states]

    def _outputs(self, outputs: Mapping[str, Any]) -> list[torch.Tensor]:
        """Return the outputs in the interface's order; a classifier's are its probabilities."""
        interface = self._subject.interface
        if interface.classifier is not None:
            probabilities = next(
                value for value in outputs.values() if isinstance(value, torch.Tensor)
            )
            shape = [size or 1 for size in interface.outputs[0].shape]
            return [probabilities.reshape(shape)]
        return [outputs[feature.name] for feature in interface.outputs]

    def _names(self, run: Run) -> list[str]:
        """Return what each result of `execute` is, for messages."""
        interface = self._subject.interface
        names = []
        for number in range(len(run.steps)):
            step = f" of step {number}" if len(run.steps) > 1 else ""
            names += [f"output `{feature.name}`{step}" for feature in interface.outputs]
        return names + [f"state `{feature.name}`" for feature in interface.states]

    def _wrong(self, case: Case, name: str, difference: Difference) -> Failure:
        """Return the failure about a result that is not PyTorch's."""
        message = (
            "The converted program does not compute what PyTorch computes: for the sample "
            f"`{case.name}`, {name} is {difference}."
        )
        return Failure("wrong-conversion", message, self._subject.line, "source", CURES)

    def _fails(self, case: Case, error: Exception) -> Failure:
        """Return the failure about a program that cannot be executed."""
        words = str(error).strip().partition("\n")[0]
        message = (
            f"The converted program fails where PyTorch does not: for the sample `{case.name}`, "
            f"{words}."
        )
        return Failure("wrong-conversion", message, self._subject.line, "source", CURES)


CURES = (
    "Rewrite that line with other operations: coremltools translates it wrongly.",
    "Translate the operation yourself: a file with `@register_torch_op(override=True)`, in the "
    'manifest `ops = "my_ops.py"`.',
    "`proof = false` lets the package through as it is.",
)


def flat(run: Run) -> list[torch.Tensor]:
    """Return the outputs of all steps and the states at the end."""
    return [output for _, outputs in run.steps for output in outputs] + list(run.states)


def state_pairs(specification: Model_pb2.Model) -> dict[str, str]:
    """Return which output is the new value of which input, of states as inputs and outputs."""
    note = specification.description.metadata.userDefined.get(functional.NOTE + program.MAIN, "")
    return dict(pair.split("=", 1) for pair in note.split())
