"""One model, from its table in the manifest to the folder that the build script publishes.

Owns: the order of the steps.
Must not: do a step's work: each has its module.
Flow: `workers` -> `convert` -> source, weights, prepare, samples, witness, checks, capture, convert, canonical, report
-> one event.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from coreml_driver import capture, checks, diagnosis, inputs, prepare, report, samples, source, weights
from coreml_driver import convert as coremltools_call
from coreml_driver.failures import Failure
from coreml_driver.interface import Interface, decide
from coreml_driver.lines import UserCode
from coreml_driver.progress import Progress
from coreml_driver.request import Job, Model, understand
from coreml_driver.witness import Sightings, Witness

#: Takes an event's name and fields.
Send = Callable[..., None]
PACKAGE_NAME = "model.mlpackage"
#: A graph is captured with one sample and compared on another.
CAPTURE_SAMPLES = 2
#: Failures of the manifest: another capture would end the same way.
SAME_FOR_EVERY_CAPTURE = frozenset({"wrong-op-selector", "wrong-target"})


def convert(job: Job, package_root: Path, versions: dict[str, str], notes: Sequence[str], send: Send) -> None:
    """Convert one model and send `converted` or `failed`.

    Called by: `workers`.
    Parameters: `notes` — warnings about the environment, which belong to every model's report.
    """
    progress = Progress(lambda stage, detail: send("progress", model=job.id, stage=stage, detail=detail))
    folders = [package_root]
    context = diagnosis.Context(UserCode(folders))
    inputs.RECORDER.start()
    model: Model | None = None
    failure: Failure | None = None
    collected: list[str] = list(notes)
    try:
        model = context.model = understand(job)
        folder = Path(os.path.normpath(package_root / model.source.file)).parent
        folders += [] if folder.is_relative_to(package_root) else [folder]
        with source.user_modules([folder, package_root]):
            _Conversion(model, package_root, progress, context, versions, collected).run()
    except (Exception, SystemExit) as error:
        failure = diagnosis.explain(error, context, progress)
    recorded = inputs.spelled(inputs.RECORDER.files(folders, [job.output]), package_root)
    read = sorted({*inputs.declared(job.table, package_root), *recorded})
    inputs.RECORDER.stop()
    if failure is None:
        send("converted", model=job.id, inputs=read, warnings=collected)
    else:
        send("failed", model=job.id, **failure.event(package_root, read))


@dataclass(frozen=True)
class _Observed:
    """What running the original module has shown."""

    #: The module, rewritten and wrapped, ready for capture.
    flat: prepare.Flat
    #: Samples with the original's outputs.
    runs: Sequence[tuple[samples.Sample, Sequence[torch.Tensor]]]
    sightings: Sightings
    interface: Interface
    #: How many dropouts were removed.
    dropouts: int


@dataclass(frozen=True)
class _Converted:
    """A finished package."""

    captured: capture.Captured
    #: The largest difference between the captured graph and the original module.
    largest: float
    specification: Any


@dataclass
class _Conversion:
    """The steps of one conversion and what they leave for each other."""

    model: Model
    root: Path
    progress: Progress
    context: diagnosis.Context
    versions: dict[str, str]
    warnings: list[str]

    def run(self) -> None:
        """Convert, and fill the output folder."""
        with self.progress.entered("load"):
            module = self._load()
        with self.progress.entered("samples"), torch.no_grad():
            observed = self._observe(module)
        with torch.no_grad():
            converted, reason = self._convert(observed)
        with self.progress.entered("write"):
            for index, (sample, outputs) in enumerate(observed.runs[: self.model.samples]):
                samples.write(self.model.output / "samples", index, sample, observed.interface, outputs)
        report.write(
            self.model.output / "report.json",
            self.model.output / PACKAGE_NAME,
            converted.specification,
            capture={
                "method": converted.captured.method,
                "reason": reason,
                "largest-difference": converted.largest,
                "notes": converted.captured.notes,
            },
            rewrites={"dropout-removed": observed.dropouts},
            times=self.progress.times,
            warnings=self.warnings,
            versions=self.versions,
        )

    def _load(self) -> torch.nn.Module:
        """Make the module, with its weights, in inference mode."""
        module = source.load(self.model.source, self.root)
        line = self.context.forward = source.forward_line(module, self.context.user_code)
        if self.model.weights is not None:
            weights.load(module, self.model.weights, self.root, line)
        self.warnings += prepare.settle(module, line)
        self.warnings += checks.constants(module, self.model.precision.float16, line)
        return module

    def _observe(self, module: torch.nn.Module) -> _Observed:
        """Run the original module on samples, watch it once, and decide the interface."""
        model, line = self.model, self.context.forward
        model.output.mkdir(parents=True, exist_ok=True)
        feed = prepare.feed(module, model.inputs, line)
        draws = [samples.draw(model, index) for index in range(max(CAPTURE_SAMPLES, model.samples))]
        first = feed.call(module, _copies(draws[0].tensors))
        leaves = prepare.leaves(first, model.outputs, line)
        self.warnings += prepare.left_out(first, leaves, line)
        runs = [(draws[0], _outputs(first, leaves))]
        for draw in draws[1:]:
            runs.append((draw, _outputs(feed.call(module, _copies(draw.tensors)), leaves)))
        interface = decide(model, leaves, runs[0][1], self.root, line)
        self.warnings += samples.remarks(interface, runs)
        sightings = self._watch(module, feed, leaves, runs[0])
        if model.precision.float16:
            self.warnings += checks.overflow(sightings)
        dropouts = prepare.remove_dropout(module)
        return _Observed(prepare.Flat(module, feed, leaves).eval(), runs, sightings, interface, dropouts)

    def _watch(
        self,
        module: torch.nn.Module,
        feed: prepare.Feed,
        leaves: Sequence[prepare.Leaf],
        run: tuple[samples.Sample, Sequence[torch.Tensor]],
    ) -> Sightings:
        """Run the original module a second time on the same sample, watched, and judge what was seen."""
        tensors = _copies(run[0].tensors)
        witness = Witness(module, tensors, self.context.user_code)
        with witness.watching():
            result = feed.call(module, tensors)
        self.context.sightings = witness.sightings
        _, repeatable = samples.difference(run[1], _outputs(result, leaves))
        training = [name or "itself" for name, child in module.named_modules() if child.training]
        checks.run(witness.sightings, repeatable, training, self.context.forward)
        names = [declared.name for declared in self.model.inputs]
        checks.aliases(
            dict(zip(names, tensors, strict=True)),
            {leaf.name: prepare.pick(result, leaf.path) for leaf in leaves},
            self.context.forward,
        )
        return witness.sightings

    def _convert(self, observed: _Observed) -> tuple[_Converted, str]:
        """Try the ways of capturing until one converts; return why it was that one."""
        failures: list[tuple[str, Failure]] = []
        for method in capture.methods(self.model.capture):
            try:
                converted = self._attempt(method, observed)
            except Exception as error:
                failures.append((method, diagnosis.explain(error, self.context, self.progress)))
                if failures[-1][1].kind in SAME_FOR_EVERY_CAPTURE:
                    break
                continue
            if not failures:
                return converted, "as asked" if self.model.capture != "auto" else "tried first"
            refused, why = failures[0]
            place = f" ({Path(why.python.file).name}:{why.python.line})" if why.python else ""
            reason = f"{refused} failed: {why.message}{place}"
            self.warnings.append(f"captured with torch.export, because {reason}")
            return converted, reason
        (method, failure), *others = failures
        for other, also in others:
            failure.advice += (f'(With `capture = "{other}"` it fails too: {also.message})',)
            failure.traceback += f"\nWith capture = {other}:\n{also.traceback}"
        raise failure

    def _attempt(self, method: str, observed: _Observed) -> _Converted:
        """Capture, convert and check in one way."""
        package = self.model.output / PACKAGE_NAME
        shutil.rmtree(package, ignore_errors=True)
        line = self.context.forward
        (sample, _), (other, expected) = observed.runs[:2]
        self.progress.node = self.context.program = None
        with self.progress.entered(method):
            captured = capture.capture(method, observed.flat, _copies(sample.tensors), observed.sightings, line)
            largest = capture.verify(captured, other.tensors, expected, line)
        self.context.program = captured.program
        with self.progress.entered("convert"), self.progress.following_coremltools():
            coremltools_call.to_package(captured, self.model, observed.interface, package)
            specification = checks.reread(package, observed.interface, line)
        return _Converted(captured, largest, specification)


def _copies(tensors: Sequence[torch.Tensor]) -> list[torch.Tensor]:
    """Return copies: a module may write to its inputs, and samples are kept."""
    return [tensor.clone() for tensor in tensors]


def _outputs(result: Any, leaves: Sequence[prepare.Leaf]) -> list[torch.Tensor]:
    """Return copies of the outputs in a module's result: the next run may write to the same memory."""
    return _copies([prepare.pick(result, leaf.path) for leaf in leaves])
