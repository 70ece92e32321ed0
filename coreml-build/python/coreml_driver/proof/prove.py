"""The proof of one function: its program is executed on samples and compared with PyTorch.

Owns: which samples are proved in which precision, and what a difference means.
Must not: change the package; draw samples (`edges`); find the operation at fault (`blame`).
Flow: `conversion` has written the package and read it back -> `prove` -> the report, or a
`Failure`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from coremltools.proto import Model_pb2

from coreml_driver import functional, program
from coreml_driver.convert import Plain
from coreml_driver.failures import Failure, PythonLine
from coreml_driver.interface import Interface
from coreml_driver.origins import Origins
from coreml_driver.proof import blame, compare, compressed, noise
from coreml_driver.proof.blame import Departure
from coreml_driver.proof.blobs import Blobs
from coreml_driver.proof.compare import Difference, Noise
from coreml_driver.proof.execute import Broken, Executable, Watcher
from coreml_driver.proof.kernels import Unproved
from coreml_driver.proof.kernels.random import DRAWN
from coreml_driver.proof.reading import Step, steps
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
    #: The program before its weights were compressed, if they were.
    plain: Plain | None
    #: The manifest key of the compression.
    compression: str | None
    interface: Interface
    #: Arrays that constants of half precision may have been rounded from.
    originals: Sequence[Any]
    #: Whether the program computes in half precision.
    half: bool
    #: Runs PyTorch's module again on the inputs of a sample.
    again: Callable[[Run], Sequence[torch.Tensor]]
    #: The captured graph, and where the program's operations come from.
    captured: Any
    origins: Origins
    #: The line of `forward`.
    line: PythonLine | None


def prove(subject: Subject, cases: Sequence[Case]) -> Proof:
    """Execute the package on samples and compare with PyTorch.

    Called by: `conversion`.
    Errors: `Failure` of kind `wrong-conversion`.
    """
    with contextlib.ExitStack() as open_files:
        blobs = open_files.enter_context(Blobs(subject.package))
        if subject.plain is None:
            return _Prover(subject, subject.specification, blobs).prove(cases)
        plain = open_files.enter_context(Blobs(subject.plain.package))
        before = _Prover(subject, subject.plain.specification, plain)
        proof = before.prove(cases)
        if not proof.unproved:
            _Prover(subject, subject.specification, blobs).prove_compressed(before, cases[0])
        return proof


class _Prover:
    """The proof of one function."""

    def __init__(self, subject: Subject, specification: Model_pb2.Model, blobs: Blobs) -> None:
        """Read the function of one of the subject's programs."""
        self._subject = subject
        function = program.main(specification)
        self._executable = Executable(function, blobs, subject.originals)
        self._pairs = state_pairs(specification)
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

    def prove_compressed(self, before: _Prover, case: Case) -> None:
        """Prove that compression has changed nothing but weights, and those as it should.

        Parameters: `before` — has proved the uncompressed program.
        """
        try:
            compressed.check(before._executable, self._executable)
            self.execute(case.run, half=False)
        except compressed.Changed as error:
            message = f"Compression changed the program: {error}."
            cures = ("Please report this with the log.", LET_THROUGH)
            raise Failure(
                "wrong-compression", message, None, self._subject.compression, cures
            ) from error
        except Broken as error:
            raise self._fails(case, error) from error

    def _single(self, case: Case) -> None:
        """Compare an execution in single precision."""
        expected = flat(case.run)
        names = self._names(case.run)
        try:
            got = self.execute(case.run, half=False)
        except Broken as error:
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

    def execute(
        self,
        run: Run,
        *,
        half: bool,
        watcher: Watcher | None = None,
        began: Callable[[int], None] = lambda number: None,
    ) -> list[torch.Tensor]:
        """Execute the predictions of a sample from zeroed states.

        Parameters: `began` — is called with the number of each prediction.
        Returns: the outputs of all, then the states.
        """
        function, interface = self._executable.function, self._subject.interface
        zeros = {
            feature.name: torch.zeros([size or 1 for size in feature.shape])
            for feature in interface.states
        }
        states = {name: zeros[name] for name in function.states}
        fed = {name: zeros[name] for name in self._pairs}
        found: list[torch.Tensor] = []
        for number, (sample, _) in enumerate(run.steps):
            began(number)
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
        return self._failure(message, self._departure(case))

    def _fails(self, case: Case, error: Broken) -> Failure:
        """Return the failure about a program that cannot be executed."""
        message = (
            f"The converted program fails where PyTorch does not: for the sample `{case.name}`, "
            f"{error}."
        )
        return self._failure(message, self._departure(case, error))

    def _failure(self, message: str, departure: Departure | None) -> Failure:
        """Return a failure at the line of an operation."""
        line = self._subject.line
        if departure is not None:
            message = f"{message} {departure}"
            line = departure.line or line
        return Failure("wrong-conversion", message, line, "source", CURES)

    def _departure(self, case: Case, broken: Broken | None = None) -> Departure | None:
        """Return the first operation that leaves PyTorch's values."""
        subject = self._subject
        try:
            trails = blame.trails(
                subject.captured,
                [sample.captured for sample, _ in case.run.steps],
                subject.origins,
            )
        except Exception as error:  # the message is poorer without it, and no less true
            self._proof.warnings.append(f"the operation at fault was not found: {error}")
            return None
        number = 0

        def watch(step: Step, results: Sequence[Any]) -> None:
            """Compare a step with the trail of its prediction."""
            trails[number].watch(step, results)

        def began(prediction: int) -> None:
            """Take the next trail."""
            nonlocal number
            number = prediction

        with contextlib.suppress(Broken):
            self.execute(case.run, half=False, watcher=watch, began=began)
        found = next((one for one in (trail.departure() for trail in trails) if one), None)
        return found or (None if broken is None else trails[number].of_step(broken.step))


LET_THROUGH = "`proof = false` lets the package through as it is."
CURES = (
    "Rewrite that line with other operations: coremltools translates it wrongly.",
    "Translate the operation yourself: a file with `@register_torch_op(override=True)`, in the "
    'manifest `ops = "my_ops.py"`.',
    LET_THROUGH,
)


def flat(run: Run) -> list[torch.Tensor]:
    """Return the outputs of all steps and the states at the end."""
    return [output for _, outputs in run.steps for output in outputs] + list(run.states)


def state_pairs(specification: Model_pb2.Model) -> dict[str, str]:
    """Return which output is the new value of which input, of states as inputs and outputs."""
    note = specification.description.metadata.userDefined.get(functional.NOTE + program.MAIN, "")
    return dict(pair.split("=", 1) for pair in note.split())
