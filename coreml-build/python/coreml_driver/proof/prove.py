"""The proof of one function: its program is executed on samples and compared with PyTorch.

Owns: which samples are proved, and the failure about a wrong translation.
Must not: change the package; draw samples (`edges`); find the operation at fault (`blame`); judge
half precision (`half`).
Flow: `conversion` has written the package and read it back -> `prove` -> the report, or a
`Failure`.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from coremltools.proto import Model_pb2

from coreml_driver.failures import Failure
from coreml_driver.proof import blame, compare, compressed, half, noise, replay
from coreml_driver.proof.blame import Departure
from coreml_driver.proof.blobs import Blobs
from coreml_driver.proof.budget import Budget, Work
from coreml_driver.proof.checkpoints import Checkpoints
from coreml_driver.proof.compare import Difference, Noise
from coreml_driver.proof.execute import Broken, Watcher
from coreml_driver.proof.kernels import Unproved
from coreml_driver.proof.kernels.random import DRAWN
from coreml_driver.proof.reading import Step, steps
from coreml_driver.proof.subject import Case, Predictor, Proof, Subject
from coreml_driver.proof.values import Precision
from coreml_driver.samples import Sample

#: How often the work of one execution an edge sample takes: PyTorch runs on it, too.
EDGE_WORK = 2.2
#: How many further runs are made, with how much larger a rounding, before a result is called wrong.
MORE_RUNS, LARGER = 6, 4
UNSTABLE = "how many results PyTorch gives changes with the last bit of its own arithmetic"
LET_THROUGH = "`proof = false` publishes the package as it is."
CURES = (
    "Write that line with other operations: coremltools translates it wrongly.",
    "Translate the operation yourself: a file with `@register_torch_op(override=True)`, in the "
    'manifest `ops = "my_ops.py"`.',
    LET_THROUGH,
)


def prove(subject: Subject, cases: Sequence[Case]) -> Proof:
    """Execute the package on samples and compare with PyTorch.

    Parameters: `cases` — the most important first; the first one is always proved, the others as
    far as `budget` allows.
    Errors: `Failure` of kind `wrong-conversion`, `wrong-compression` or `half-precision`.
    """
    with contextlib.ExitStack() as open_files:
        blobs = open_files.enter_context(Blobs(subject.package))
        if subject.plain is None:
            return _Prover(subject, subject.specification, blobs).prove(cases)
        plain = open_files.enter_context(Blobs(subject.plain.package))
        before = _Prover(subject, subject.plain.specification, plain)
        proof = before.prove(cases)
        if not proof.unproved:
            _Prover(subject, subject.specification, blobs).prove_compressed(before, cases)
        return proof


class _Prover:
    """The proof of one program."""

    def __init__(self, subject: Subject, specification: Model_pb2.Model, blobs: Blobs) -> None:
        """Read the function of one of the subject's programs."""
        self._subject = subject
        self._blobs = blobs
        self._predictor = Predictor(subject.interface, specification, blobs, subject.originals)
        self.proof = Proof()
        # Where single precision is asked for, a narrower type in the program is a fault.
        self._precision = Precision.SINGLE if subject.half else Precision.DEVICE

    def prove(self, cases: Sequence[Case]) -> Proof:
        """Prove all samples that there is time for."""
        proof, executable = self.proof, self._predictor.executable
        proof.unproved = executable.unproved()
        for step in steps(executable.function.body):
            if step.kind in DRAWN:
                proof.unproved[step.kind] = "its results are drawn at random"
        try:
            if not proof.unproved:
                self._cases(cases)
                self._checkpoints(cases)
            if not proof.samples and not proof.unproved:
                proof.unproved["results"] = UNSTABLE
        except Unproved as error:
            kind, _, reason = str(error).partition(": ")
            proof.unproved[kind.strip("`")] = reason
        if proof.unproved:
            listed = "; ".join(f"`{kind}`: {why}" for kind, why in proof.unproved.items())
            proof.warnings.append(f"not proved, because not everything can be compared: {listed}")
        return proof

    def _cases(self, cases: Sequence[Case]) -> None:
        """Prove the first sample, then those that there is time for."""
        first, *others = cases
        work = Work()
        results = self._single(first, work)
        budget = Budget(self._predictor.executable.function, work.seconds)
        if self._subject.half:
            budget.take(work.seconds, needed=True)
            results = half.prove(self._subject, self._predictor, first, self.proof)
        self._keep(first, results)
        proved: list[Case] = []
        for case in others:
            if not budget.take(work.seconds * case.size * (EDGE_WORK if case.edge else 1.0)):
                self.proof.skipped[case.name] = "it would take too long"
                continue
            known = self._with_expected(case) if case.expected is None else case
            if known is not None:
                self._single(known)
                proved.append(known)
        for case in proved:
            wanted = self._subject.half and case.declared
            if wanted and budget.take(work.seconds * case.size):
                half.glance(self._subject, self._predictor, case, self.proof)
        self._blobs.release()

    def _with_expected(self, case: Case) -> Case | None:
        """Run PyTorch on an edge sample; return nothing where it fails."""
        try:
            expected = self._subject.again(case.samples)
        except Exception as error:
            words = str(error).strip().partition("\n")[0]
            self.proof.skipped[case.name] = f"PyTorch: {type(error).__name__}: {words}"
            return None
        floats = [one for one in expected if one.is_floating_point()]
        if floats and not any(bool(one.isfinite().any()) for one in floats):
            self.proof.skipped[case.name] = "PyTorch gives nothing that is finite"
            return None
        return replace(case, expected=tuple(expected))

    def prove_compressed(self, before: _Prover, cases: Sequence[Case]) -> None:
        """Prove that compression has changed nothing but weights, and those as it should.

        Parameters: `before` — has proved the uncompressed program.
        """
        case = cases[0]
        plain, executable = before._predictor.executable, self._predictor.executable
        try:
            made_of = compressed.check(plain, executable)
            executable.replaced = {
                name: functools.partial(plain.constant, constant)
                for name, constant in made_of.items()
            }
            # Of the package as it is published, not of the program before.
            self.proof = before.proof
            self.proof.checkpoints = []
            try:
                wrong = self._differing(case, self._run(case, watched=True))
            except noise.Unstable:
                wrong = None
            if wrong is not None:
                raise compressed.Changed(f"with the weights from before, {wrong}")
            self._checkpoints(cases)
            executable.replaced = {}
            results = self._run(case, Precision.DEVICE)
        except compressed.Changed as error:
            message = f"Compression changed the program: {error}."
            cures = ("Please report this with the log.", LET_THROUGH)
            key = self._subject.compression
            raise Failure("wrong-compression", message, None, key, cures) from error
        before.proof.weights = len(made_of)
        before._keep(case, results)

    def _keep(self, case: Case, results: Sequence[torch.Tensor]) -> None:
        """Keep what the program gives as a device would execute it."""
        subject = self._subject
        self.proof.replay = replay.Replay(
            subject.interface, case.samples, tuple(results), subject.line
        )

    def _checkpoints(self, cases: Sequence[Case]) -> None:
        """Keep what the operations give for a sample that is written, which the proof has executed
        already in nearly every model.
        """
        written = (case for case in cases if case.number in range(self._subject.written))
        case = next(written, None)
        if case is not None and not self.proof.checkpoints:
            self._run(case, watched=True)

    def _single(self, case: Case, work: Work | None = None) -> list[torch.Tensor]:
        """Compare an execution in single precision; return its results.

        Parameters: `work` — counts what the first execution does.
        """
        got = self._run(case, watcher=None if work is None else work.count, watched=True)
        try:
            wrong = self._differing(case, got)
        except noise.Unstable:
            self.proof.skipped[case.name] = UNSTABLE
            return got
        if wrong is not None:
            message = (
                "The converted program does not compute what PyTorch computes: for the sample "
                f"`{case.name}`, {wrong}."
            )
            raise self._failure(message, self._departure(case))
        for one, other in zip(case.expected or (), got, strict=True):
            self.proof.largest = max(self.proof.largest, compare.relative_distance(one, other))
        self.proof.samples.append(case.name)
        return got

    def _run(
        self,
        case: Case,
        precision: Precision | None = None,
        watcher: Watcher | None = None,
        watched: bool = False,
    ) -> list[torch.Tensor]:
        """Execute the program on a sample.

        Parameters: `precision` — single by default; `watched` — whether to keep what operations
        give, if the sample is the first one that is written.
        """
        checkpoints: Checkpoints | None = None
        written = case.number is not None and case.number < self._subject.written
        if watched and written and not self.proof.checkpoints:
            checkpoints = Checkpoints(self._predictor.executable.function.body)
        watchers = [watcher] if watcher is not None else []
        watchers += [checkpoints.watch] if checkpoints is not None else []

        def watch(step: Step, results: Sequence[Any], inputs: Mapping[str, Any]) -> None:
            """Show a step to all that watch."""
            for one in watchers:
                one(step, results, inputs)

        try:
            results = self._predictor.execute(
                case.samples,
                precision=precision or self._precision,
                watcher=watch if watchers else None,
                began=checkpoints.begin if checkpoints is not None else lambda number: None,
            )
        except Broken as error:
            raise self._fails(case, error) from error
        if checkpoints is not None:
            features = self._subject.interface.inputs
            self.proof.checkpoints = checkpoints.entry(
                [
                    {
                        feature.name: torch.from_numpy(array)
                        for feature, array in zip(features, sample.arrays, strict=True)
                    }
                    for sample in case.samples
                ]
            )
        return results

    def _differing(self, case: Case, got: Sequence[torch.Tensor]) -> str | None:
        """Return in words which result is not PyTorch's, if one is not."""
        found = self._differences(case, got, None)
        if found:
            run = functools.partial(self._subject.again, case.samples)
            moved = noise.measure(run, case.expected or ())
            found = self._differences(case, got, moved)
            if found:
                # Two results that are nearly equal change their order in few runs.
                unit = LARGER * noise.SINGLE
                more = noise.measure(run, case.expected or (), unit, MORE_RUNS)
                found = self._differences(case, got, noise.joined(moved, more))
        if not found:
            return None
        position, difference = found[0]
        return f"{self._predictor.names(len(case.samples))[position]} is {difference}"

    def _differences(
        self, case: Case, got: Sequence[torch.Tensor], moved: Sequence[Noise] | None
    ) -> list[tuple[int, Difference]]:
        """Return the outputs that differ."""
        found = []
        for position, (one, other) in enumerate(zip(case.expected or (), got, strict=True)):
            own = None if moved is None else moved[position]
            difference = compare.difference(one, other, own, where_finite=case.edge)
            if difference is not None:
                found.append((position, difference))
        return found

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
        try:
            return departure(self._subject, self._predictor, case.samples, self._precision, broken)
        except Exception as error:  # the message is poorer without it, and no less true
            self.proof.warnings.append(f"the operation at fault was not found: {error}")
            return None


def departure(
    subject: Subject,
    predictor: Predictor,
    samples: Sequence[Sample],
    precision: Precision,
    broken: Broken | None = None,
) -> Departure | None:
    """Compare an execution with the captured graph, node by node.

    Parameters: `broken` — the step that could not be executed.
    """
    trails = blame.trails(
        subject.captured, [sample.captured for sample in samples], subject.origins
    )
    number = 0

    def watch(step: Step, results: Sequence[Any], inputs: Mapping[str, Any]) -> None:
        """Compare a step with the trail of its prediction."""
        trails[number].watch(step, results, inputs)

    def began(prediction: int) -> None:
        """Take the next trail."""
        nonlocal number
        number = prediction

    with contextlib.suppress(Broken):
        predictor.execute(samples, precision=precision, watcher=watch, began=began)
    found = next((one for one in (trail.departure() for trail in trails) if one), None)
    return found or (None if broken is None else trails[number].of_step(broken.step))
