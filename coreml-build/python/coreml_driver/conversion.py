"""One model, from its table in the manifest to the folder that the build script publishes.

Owns: the order of the steps.
Must not: do a step's work: each has its module.
Flow: `workers` -> `convert` -> source, weights, prepare, observation, capture, convert, canonical,
reread, report -> one event. A model of several functions goes all the steps but the report once for
each, then through `functions`.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from coremltools.converters.mil import Builder

from coreml_driver import (
    aliases,
    capture,
    checks,
    cures,
    diagnosis,
    functional,
    functions,
    inputs,
    ladder,
    mil,
    operations,
    padding,
    prepare,
    pretrained,
    program,
    proof,
    report,
    reread,
    sample_files,
    samples,
    shapes,
    source,
    states,
    symbols,
    weights,
)
from coreml_driver import convert as coremltools_call
from coreml_driver.convert import OpSelector
from coreml_driver.failures import Failure
from coreml_driver.functions import Part
from coreml_driver.lines import UserCode
from coreml_driver.observation import CAPTURE_SAMPLES, Observed, copies, observe
from coreml_driver.origins import Origin, Origins
from coreml_driver.progress import Progress
from coreml_driver.proof import Proof, Subject
from coreml_driver.request import Job, Model, understand
from coreml_driver.samples import Sample
from coreml_driver.translations import consumption

#: Takes an event's name and fields.
Send = Callable[..., None]
PACKAGE_NAME = "model.mlpackage"
#: The report's key for what stays in float32 by itself.
KEPT = "kept-in-float32"
#: Failures of the manifest: another capture would end the same way.
SAME_FOR_EVERY_CAPTURE = frozenset({"wrong-target", "missing-module"})


def convert(
    job: Job, package_root: Path, versions: dict[str, str], notes: Sequence[str], send: Send
) -> None:
    """Convert one model and send `converted` or `failed`.

    Parameters: `notes` — warnings about the environment, which belong to every model's report.
    """
    progress = Progress(
        lambda stage, detail: send("progress", model=job.id, stage=stage, detail=detail)
    )
    folders = [package_root]
    context = diagnosis.Context(UserCode(folders))
    # Before it, no file of the model was read: the build refuses a model whose files are newer.
    began = time.time()
    # Names of parameters have numbers, which would go on from the model before.
    Builder.name_count.clear()
    inputs.RECORDER.start()
    part = Part(None, job)
    failure: Failure | None = None
    collected: list[str] = list(notes)
    done: list[tuple[Part, Model, _Done]] = []
    warned: list[tuple[Part, Sequence[str]]] = []
    try:
        for part in functions.split(job):
            context = diagnosis.Context(UserCode(folders))
            model = context.model = understand(part.job)
            folder = model.source.folder(package_root)
            folders += [] if folder.is_relative_to(package_root) else [folder]
            warnings: list[str] = []
            with source.user_modules(list(dict.fromkeys([folder, package_root]))):
                done.append(
                    (
                        part,
                        model,
                        _Conversion(model, package_root, progress, context, warnings).run(),
                    )
                )
            warned.append((part, warnings))
        collected += functions.remarks(warned)
        part = Part(None, job)
        _finish(job, package_root, done, progress, versions, collected)
    except (Exception, SystemExit) as error:
        failure = diagnosis.explain(error, context, progress)
        failure.advice = ladder.untried(failure.advice, (), None, False)
        failure.key = part.key(failure.key)
    recorded = inputs.spelled(inputs.RECORDER.files(folders, [job.output]), package_root)
    read = sorted({*inputs.declared(job.table, package_root), *recorded, *inputs.RECORDER.pinned()})
    inputs.RECORDER.stop()
    if failure is None:
        send("converted", model=job.id, inputs=read, warnings=collected, began=began)
    else:
        send("failed", model=job.id, **failure.event(package_root, read))


@dataclass(frozen=True)
class _Done:
    """A function that is converted, and what the report says about it."""

    specification: Any
    selector: OpSelector
    capture: dict[str, Any]
    rewrites: dict[str, Any]
    #: Dimensions of outputs that have the length, of a bucket.
    trimmed: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    #: Where operations come from.
    origins: Mapping[str, Origin] = field(default_factory=dict)
    #: What was proved; `None` where nothing was.
    proof: Proof | None = None
    #: Ranges of integer inputs that the manifest does not say.
    ranges: Mapping[str, list[int]] = field(default_factory=dict)


def _finish(
    job: Job,
    root: Path,
    done: Sequence[tuple[Part, Model, _Done]],
    progress: Progress,
    versions: dict[str, str],
    warnings: Sequence[str],
) -> None:
    """Join the functions where there are several, make sure that the model's own keys had an
    effect, and report.
    """
    (first, model, one), *_ = done
    specification, capture, rewrites = one.specification, one.capture, one.rewrites
    if first.name is not None:
        with progress.entered("join"), progress.following_coremltools():
            parts = [part for part, _, _ in done]
            specification = functions.join(job, parts, PACKAGE_NAME, model.metadata)
        capture = {str(part.name): function.capture for part, _, function in done}
        rewrites = {str(part.name): function.rewrites for part, _, function in done}
    if model.bucket is not None:
        sizes = [part.size for part, _, _ in done if part.size is not None]
        package = job.output / PACKAGE_NAME
        padding.describe(package, specification, sizes, model.bucket, one.trimmed, model.metadata)
    coremltools_call.check(specification, model, [function.selector for _, _, function in done])
    if first.name is not None:
        with progress.entered("proof"):
            for part, _, function in done:
                if function.proof is not None and function.proof.replay is not None:
                    proof.again(
                        function.proof.replay,
                        job.output / PACKAGE_NAME,
                        specification,
                        str(part.name),
                    )
    origins = {
        part.name or program.MAIN: {
            name: origin.entry(root) for name, origin in function.origins.items()
        }
        for part, _, function in done
    }
    report.write(
        job.output / "report.json",
        job.output / PACKAGE_NAME,
        specification,
        capture=capture,
        rewrites=rewrites,
        origins=origins,
        proofs={
            part.name or program.MAIN: function.proof.entry()
            for part, _, function in done
            if function.proof is not None
        },
        ranges={part.name or program.MAIN: function.ranges for part, _, function in done},
        checkpoints={
            part.name or program.MAIN: function.proof.checkpoints
            for part, _, function in done
            if function.proof is not None and function.proof.checkpoints
        },
        times=progress.times,
        warnings=warnings,
        versions=versions,
    )


@dataclass(frozen=True)
class _Converted:
    """A finished package."""

    captured: capture.Captured
    #: The largest difference between the captured graph and the original module.
    largest: float
    specification: Any
    selector: OpSelector
    origins: Mapping[str, Origin]
    #: What stays in float32 by itself, a line for each group.
    kept: Sequence[str]
    #: `None` where the manifest turned it off.
    proof: Proof | None


@dataclass
class _Conversion:
    """The steps of one function's conversion and what they leave for each other."""

    model: Model
    root: Path
    progress: Progress
    context: diagnosis.Context
    warnings: list[str]
    #: Whether the last capture traced functions that want to be scripted.
    _through: bool = False

    def run(self) -> _Done:
        """Convert, and leave the package and the samples in the output folder."""
        with self.progress.entered("load"):
            operations.register(self.model.ops, self.root)
        if self.model.source.kind == "mil":
            package = self.model.output / PACKAGE_NAME
            specification, selector, remarks = mil.convert(
                self.model, self.root, package, self.progress
            )
            self.warnings += remarks
            return _Done(specification, selector, {"method": "mil"}, {})
        with self.progress.entered("load"):
            module = self.context.module = self._load()
        with self.progress.entered("samples"), torch.no_grad():
            self.model = sample_files.prepared(self.model, self.root)
            observed = observe(module, self.model, self.root, self.context, self.warnings)
        with torch.no_grad():
            converted, reason = self._convert(observed)
        with self.progress.entered("write"):
            for index, run in enumerate(observed.samples[: self.model.parity.samples]):
                samples.write(self.model.output / "samples", index, run, observed.interface)
        captured = {
            "method": converted.captured.method,
            "reason": reason,
            "largest-difference": converted.largest,
            "notes": converted.captured.notes,
        }
        return _Done(
            converted.specification,
            converted.selector,
            captured,
            observed.rewrites | ({KEPT: converted.kept} if converted.kept else {}),
            observed.trimmed,
            converted.origins,
            converted.proof,
            {
                one.name: [int(bound) for bound in one.sample_range]
                for one in observed.inputs
                if one.guessed and one.sample_range is not None
            },
        )

    def _load(self) -> torch.nn.Module:
        """Make the module, with its weights, in inference mode."""
        module = source.load(self.model.source, self.root)
        line = self.context.forward = source.forward_line(module, self.context.user_code)
        if self.model.source.kind == "transformers" and self.model.classifier is not None:
            self.model = replace(
                self.model, classifier=pretrained.with_labels(self.model.classifier, module)
            )
        if self.model.weights is not None:
            weights.load(module, self.model.weights, self.root, line)
        self.warnings += prepare.settle(module, line)
        self.warnings += checks.constants(module, self.model.precision.float16, line)
        return module

    def _convert(self, observed: Observed) -> tuple[_Converted, str]:
        """Convert, once more with plain layers of attention where nothing else does; return why it
        was captured in that way.
        """
        try:
            return self._through_captures(observed)
        except Failure as failure:
            module = self.context.module
            if module is None or not ladder.names(failure.advice, cures.ATTENTION):
                raise
            options, back = cures.plain_attention(module)
            if not options:
                raise
            try:
                done = self._through_captures(observed)
            except Failure as other:
                # What is in the way behind attention is what the user has to know.
                other.advice = ladder.without(other.advice, options)
                raise other from None
            finally:
                # A flag may be the whole library's.
                back()
            observed.rewrites["attention"] = options
            self.warnings.append(f"converted with {' and '.join(options)}: {failure.message}")
            return done

    def _through_captures(self, observed: Observed) -> tuple[_Converted, str]:
        """Try the ways of capturing until one converts; return why it was that one."""
        failures: list[tuple[str, Failure]] = []
        for method in capture.methods(self.model.capture):
            try:
                converted = self._attempt_through(method, observed)
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
        failure.advice = ladder.untried(
            failure.advice,
            [tried for tried, _ in failures],
            self.model.target,
            self.model.precision.float16,
        )
        for other, also in others:
            same = ladder.same(also.message, failure.message)
            why = ", for the same reason." if same else f": {also.message}"
            failure.advice += (f'(With `capture = "{other}"` it fails too{why})',)
            failure.traceback += f"\nWith capture = {other}:\n{also.traceback}"
        raise failure

    def _attempt_through(self, method: str, observed: Observed) -> _Converted:
        """Capture, convert and check in one way; once more with scripts where functions were traced
        that want to be scripted.
        """
        self._through = False
        try:
            return self._attempt(method, observed)
        except Exception:
            if not self._through:
                raise
            failed = self.progress.stage, self.progress.node, self.context.program
            with suppress(Exception):
                return self._attempt(method, observed, scripts=True)
            self.progress.stage, self.progress.node, self.context.program = failed
            raise

    def _attempt(self, method: str, observed: Observed, *, scripts: bool = False) -> _Converted:
        """Capture, convert and check in one way. Parameters: `scripts` — see `capture.capture`."""
        package = self.model.output / PACKAGE_NAME
        shutil.rmtree(package, ignore_errors=True)
        line = self.context.forward
        flat, kept = observed.flat, observed.kept
        self.progress.node = self.context.program = None
        with self.progress.entered(method):
            if method == "trace":
                states.check_trace(kept, observed.sightings, line)
            states.reset(flat, kept, states.PREFIX)
            tensors = copies(observed.runs[0].steps[0][0].captured)
            captured = capture.capture(
                method, flat, self.model.inputs, tensors, observed.sightings, line, scripts=scripts
            )
            self._through = bool(captured.through)
            if method == "trace":
                flexible = any(declared.flexible for declared in self.model.inputs)
                aliases.check(captured.program, flexible, self.context.user_code, line)
            largest = 0.0
            # What is left of the samples the proof executes on the package itself.
            count = max(len(observed.choices) + 1, CAPTURE_SAMPLES)
            verified = observed.runs[1 : count if self.model.proof else None]
            for run, shape in zip(verified, observed.shapes[1:], strict=False):
                largest = max(largest, capture.verify(captured, run, shape, kept, line))
        self.context.program = captured.program
        origins = Origins(captured.program, self.context.user_code)
        with (
            self.progress.entered("convert"),
            self.progress.following_coremltools(),
            origins.following(),
            consumption.following(),
        ):
            selector = OpSelector(self.model.precision)
            remarks, plain = coremltools_call.to_package(
                captured, self.model, observed.interface, kept, selector, origins, package
            )
            specification = reread.reread(package, observed.interface, line)
            states.check_package(specification, kept, observed.sightings, method == "trace", line)
            reread.check_inputs(
                specification, [declared.name for declared in self.model.inputs], line
            )
            if self.model.functional_states and kept:
                functional.to_inputs_and_outputs(package, specification, self.model.metadata)
                if plain is not None:
                    functional.to_inputs_and_outputs(
                        plain.package, plain.specification, self.model.metadata
                    )
            symbols.describe(package, specification, observed.symbols, self.model.metadata)
        self.warnings += remarks
        kept_lines = coremltools_call.kept_lines(selector, origins, told=False)
        proved = None
        if self.model.proof:
            with self.progress.entered("proof"):
                proved = self._prove(
                    observed, captured, (specification, plain), selector, origins, package
                )
            self.warnings += proved.warnings
        return _Converted(
            captured,
            largest,
            specification,
            selector,
            origins.operations,
            kept_lines,
            proved,
        )

    def _prove(
        self,
        observed: Observed,
        captured: capture.Captured,
        programs: tuple[Any, coremltools_call.Plain | None],
        selector: OpSelector,
        origins: Origins,
        package: Path,
    ) -> Proof:
        """Execute the finished package and compare it with PyTorch."""

        def again(row: Sequence[Sample]) -> list[torch.Tensor]:
            """Run the module on samples in a row."""
            states.reset(observed.flat, observed.kept, states.PREFIX)
            found: list[torch.Tensor] = []
            for sample in row:
                found += copies(observed.flat(*copies(sample.captured)))
            return found + list(states.values(observed.flat, observed.kept, states.PREFIX))

        specification, plain = programs
        subject = Subject(
            package,
            specification,
            plain,
            next(iter(self.model.compression), None),
            observed.interface,
            selector.originals,
            self.model.precision.float16,
            again,
            captured.program,
            origins,
            self.context.forward,
            self.model.parity.samples if self.model.bucket is None else 0,
        )
        return proof.prove(subject, self._cases(observed))

    def _cases(self, observed: Observed) -> list[proof.Case]:
        """Return the samples to prove: one of each shape, those at the edges, and the others."""
        choices = observed.choices
        sizes = [shapes.elements(choice) / shapes.elements(choices[0]) for choice in choices]
        cases = [
            proof.of_run(
                f"sample {number}" + (f" of {shown.replace('`', '')}" if shown else ""),
                run,
                sizes[number % len(choices)],
                number,
            )
            for number, (run, shown) in enumerate(zip(observed.runs, observed.shapes, strict=True))
        ]
        drawn = observed.runs[0].steps[0][0]
        inputs = observed.inputs
        declared = all(
            (one.sample_range is not None and not one.guessed)
            or one.image is not None
            or one.dtype == "int8"
            for one in inputs
        )
        first = tuple(tuple(array.shape) for array in drawn.arrays)
        edges = [
            proof.Case(edge.name, (edge.sample,), edge=True, declared=declared)
            for edge in proof.edges(inputs, first, drawn)
        ]
        if len(choices) == 1:
            # The graph was captured with the first sample: what it has of that shows on another.
            cases.insert(0, cases.pop(1))
        return cases[: len(choices)] + edges + cases[len(choices) :]
