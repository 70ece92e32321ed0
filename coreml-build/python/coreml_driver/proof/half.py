"""What half precision costs: the program is executed with every result rounded as a device does.

Owns: when a loss of precision is a failure, and when a warning.
Must not: take a loss for a wrong translation: single precision has been proved before.
Flow: `prove` -> `prove` for the sample that the generated test uses, `glance` for edge samples.

A device rounds each result to half precision and sums in single precision, or so it is taken here.
What becomes infinite or no number, what is mostly noise, and integers computed from integers that
differ, are failures on a sample of the generated tests: such a package answers wrongly. Less than
what those tests ask for is a warning, and so is everything at the edges.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from coreml_driver.failures import Failure
from coreml_driver.proof import compare
from coreml_driver.proof.blame import PLAIN
from coreml_driver.proof.compare import Difference
from coreml_driver.proof.reading import Function, Step, needed
from coreml_driver.proof.subject import Case, Predictor, Proof, Subject
from coreml_driver.proof.values import Precision

#: The manifest key of the precision.
KEY = "compute-precision"
#: Below this ratio of signal to noise a result is mostly noise: it is wrong by a tenth of its peak.
LEAST_DECIBELS = 20.0
#: What generated tests ask of a package that computes in half precision, unless the manifest says
#: otherwise: `Tolerance::of_precision` of `coreml-spec`.
TESTED_DECIBELS = 35.0
#: Operations that choose among numbers: which of nearly equal ones is nobody's promise.
CHOOSING = frozenset(
    {"argsort", "non_maximum_suppression", "non_zero", "reduce_argmax", "reduce_argmin", "topk"}
)


def prove(subject: Subject, predictor: Predictor, case: Case, proof: Proof) -> list[torch.Tensor]:
    """Judge a sample that a generated test uses, too.

    Returns: the results in half precision.
    Errors: `Failure` of kind `half-precision`.
    """
    results = predictor.execute(case.samples, precision=Precision.DEVICE)
    names = predictor.names(len(case.samples))
    expected = case.expected or ()
    exact = [_is_exact(predictor, case, position) for position in range(len(expected))]
    for position, (one, other) in enumerate(zip(expected, results, strict=True)):
        name = names[position]
        if exact[position] or not one.is_floating_point():
            found = compare.difference(one, other)
            if found is not None and exact[position]:
                raise _failure(subject, predictor, case, f"{name} is {found}", False)
            if found is not None:
                proof.warnings.append(
                    f"in half precision {name} is {found} for the sample `{case.name}`; a "
                    "generated test requires equal integers"
                )
            continue
        broken = _not_finite(one, other)
        decibels = compare.decibels(one, other)
        proof.decibels = min(decibels, proof.decibels if proof.decibels is not None else decibels)
        if broken is not None or decibels < LEAST_DECIBELS:
            noisy = f"has {decibels:.0f} dB of signal to noise"
            what = f"{name} {noisy}" if broken is None else f"{name} is {broken}"
            raise _failure(subject, predictor, case, what, broken is not None)
        if decibels < TESTED_DECIBELS:
            proof.warnings.append(
                f"in half precision {name} has {decibels:.0f} dB of signal to noise, and a "
                f"generated test asks for {TESTED_DECIBELS:.0f}: `cargo coreml precision` finds "
                "the operations that need single precision"
            )
    if any(exact):
        _prove_widened(subject, predictor, case, exact)
    return results


def _prove_widened(
    subject: Subject, predictor: Predictor, case: Case, exact: Sequence[bool]
) -> None:
    """Judge exact results of a backend that computes in single precision with the package's
    constants: a quotient that is a little too small is cut off there.
    """
    results = predictor.execute(case.samples, precision=Precision.WIDENED)
    names = predictor.names(len(case.samples))
    for position, (one, other) in enumerate(zip(case.expected or (), results, strict=True)):
        found = compare.difference(one, other) if exact[position] else None
        if found is not None:
            what = f"{names[position]} is {found}"
            raise _failure(subject, predictor, case, what, False, Precision.WIDENED)


def glance(subject: Subject, predictor: Predictor, case: Case, proof: Proof) -> None:
    """Look at an edge sample: what breaks there is a warning."""
    results = predictor.execute(case.samples, precision=Precision.DEVICE)
    names = predictor.names(len(case.samples))
    for name, one, other in zip(names, case.expected or (), results, strict=True):
        if not one.is_floating_point():
            continue
        broken = _not_finite(one, other)
        if broken is not None:
            step = _first_broken(predictor, case)
            place = "" if step is None else f" from `{step.kind}` (`{step.outputs[0]}`) on"
            line = _line(subject, step)
            proof.warnings.append(
                f"in half precision {name} is {broken} for the sample `{case.name}`{place}{line}: "
                f"keep that operation in single precision with `{KEY}`"
            )


def _is_exact(predictor: Predictor, case: Case, position: int) -> bool:
    """Return whether a result holds whole numbers that are computed from whole numbers alone."""
    one = (case.expected or ())[position]
    count = len(predictor.interface.outputs)
    if position >= count * len(case.samples) or predictor.interface.classifier is not None:
        return False
    if one.is_floating_point() and not bool((one == one.round()).all()):
        return False
    function = predictor.executable.function
    return _only_integers(function, function.body.outputs[position % count])


def _only_integers(function: Function, output: str) -> bool:
    """Return whether a value is computed from integers alone, by arithmetic."""
    made = {name: step for step in function.body.steps for name in step.outputs}
    seen: set[str] = set()
    waiting = [output]
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        step = made.get(name)
        if step is not None:
            if step.kind in CHOOSING:
                return False
            waiting += needed(step)
        elif name in function.inputs and function.inputs[name].is_float:
            return False
    return True


def _not_finite(one: torch.Tensor, other: torch.Tensor) -> Difference | None:
    """Return an element that is finite in PyTorch alone."""
    wrong = one.isfinite() & ~other.isfinite()
    if not bool(wrong.any()):
        return None
    place = int(wrong.reshape(-1).to(torch.uint8).argmax())
    at = tuple(int(axis) for axis in torch.unravel_index(torch.tensor(place), one.shape))
    expected, got = float(one.reshape(-1)[place]), float(other.reshape(-1)[place])
    return Difference(at, expected, got, int(wrong.sum()), one.numel())


def _failure(
    subject: Subject,
    predictor: Predictor,
    case: Case,
    what: str,
    broken: bool,
    precision: Precision = Precision.DEVICE,
) -> Failure:
    """Return the failure about a result that half precision spoils."""
    step = _first_broken(predictor, case) if broken else _first_lost(predictor, case, precision)
    message = (
        f"Half precision makes the result wrong: for the sample `{case.name}`, {what}. In single "
        "precision it equals PyTorch's."
    )
    cures = [
        'Compute in single precision: `compute-precision = "float32"`.',
        "`cargo coreml precision` finds the operations that have to stay in single precision.",
        "Declare which values come, if these do not: `sample = { range = [LOW, HIGH] }` of the "
        "inputs.",
    ]
    line = subject.line
    if step is not None:
        message += f" The first operation that loses it is `{step.kind}` (`{step.outputs[0]}`)."
        if step.kind not in PLAIN:
            only = f'`compute-precision = {{ float32-ops = ["{step.kind}"] }}`'
            cures.insert(0, f"Keep that kind of operation in single precision: {only}.")
        # A conversion has no line of its own; what it converts has.
        named = [one for ones in step.arguments.values() for one in ones if isinstance(one, str)]
        names = [*named, step.outputs[0]] if step.kind in PLAIN else [step.outputs[0], *named]
        places = [subject.origins.operations.get(name) for name in names]
        line = next((one.line for one in places if one is not None and one.line), line)
    return Failure("half-precision", message, line, KEY, tuple(cures))


def _line(subject: Subject, step: Step | None) -> str:
    """Return where a step comes from, for a warning."""
    origin = None if step is None else subject.origins.operations.get(step.outputs[0])
    if origin is None or origin.line is None:
        return ""
    return f" (line {origin.line.line})"


def _first_broken(predictor: Predictor, case: Case) -> Step | None:
    """Return the first operation whose result is finite in single precision alone."""
    return _first(predictor, case, lambda one, other: _not_finite(one, other) is not None)


def _first_lost(predictor: Predictor, case: Case, precision: Precision) -> Step | None:
    """Return the first operation whose result is mostly noise."""

    def lost(one: torch.Tensor, other: torch.Tensor) -> bool:
        """Return whether a result is not the one of single precision."""
        if not one.is_floating_point():
            return compare.difference(one, other) is not None
        return compare.decibels(one, other) < LEAST_DECIBELS

    return _first(predictor, case, lost, precision)


def _first(
    predictor: Predictor, case: Case, judged: Any, precision: Precision = Precision.DEVICE
) -> Step | None:
    """Return the first step whose results in both precisions are judged to differ.

    It keeps all results of an execution; it is asked for only when something is wrong.
    """
    single: list[list[torch.Tensor]] = []

    def keep(step: Step, results: Sequence[Any], inputs: Mapping[str, Any]) -> None:
        """Keep the results of a step."""
        single.append([one for one in results if isinstance(one, torch.Tensor)])

    found: Step | None = None
    number = 0

    def compare_with_kept(step: Step, results: Sequence[Any], inputs: Mapping[str, Any]) -> None:
        """Judge the results of a step."""
        nonlocal found, number
        if found is None and number < len(single):
            tensors = [one for one in results if isinstance(one, torch.Tensor)]
            pairs = zip(single[number], tensors, strict=False)
            if step.outputs and any(
                one.shape != two.shape or judged(one, two) for one, two in pairs
            ):
                found = step
        number += 1

    predictor.execute(case.samples, precision=Precision.SINGLE, watcher=keep)
    predictor.execute(case.samples, precision=precision, watcher=compare_with_kept)
    return found
