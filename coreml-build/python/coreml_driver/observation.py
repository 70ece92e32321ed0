"""Running the original module: samples, what it does on the side, and the interface that follows.

Owns: the order of the runs. Every run of a module with states begins with zeroed ones.
Must not: rewrite the module before the last run of the original.
Flow: `conversion` -> `observe` -> samples, witness, checks, interface -> what `capture` starts
from.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from coreml_driver import (
    ane,
    buckets,
    checks,
    cures,
    distinct,
    images,
    old_values,
    outside,
    padding,
    poison,
    prepare,
    ranges,
    samples,
    shapes,
    states,
    symbols,
)
from coreml_driver.buckets import Bucket
from coreml_driver.diagnosis import Context
from coreml_driver.failures import Failure
from coreml_driver.features import Input
from coreml_driver.interface import Interface, decide
from coreml_driver.request import Model
from coreml_driver.samples import Run, Sample
from coreml_driver.witness import Sightings, Witness

#: A graph is captured with one sample and compared on another.
CAPTURE_SAMPLES = 2
#: Seconds that a run at a shape larger than the default may take, by estimate.
AFFORDABLE_SECONDS = 60.0
#: What to do about a shape that the manifest allows and the module does not take.
SHAPE_CURE = "Correct `min` and `max`, or the enumerated `shapes`, to what forward takes."
#: The same for a length.
LENGTH_CURE = "Correct `min` and `max` of the length, the sizes, or `pad`, to what forward takes."


@dataclass(frozen=True)
class Observed:
    """What running the original module has shown."""

    #: The module, rewritten and wrapped, ready for capture.
    flat: prepare.Flat
    #: Samples with the original's outputs: the first of the default shape, then every other shape,
    #: then further ones.
    runs: Sequence[Run]
    #: The shapes of each run, for messages; empty for a model of fixed shapes.
    shapes: Sequence[str]
    #: The shapes themselves, of the first runs.
    choices: Sequence[shapes.Choice]
    #: The manifest's inputs, with the ranges that samples are drawn from.
    inputs: Sequence[Input]
    #: What to keep for parity: of a bucket the inputs as they are, before padding.
    samples: Sequence[Run]
    #: Dimensions of outputs that have the length, of a bucket.
    trimmed: Mapping[str, tuple[int, ...]]
    #: Dimensions of inputs and outputs that have one size.
    symbols: Sequence[symbols.Symbol]
    #: The declared states with their buffers.
    kept: Sequence[states.Kept]
    sightings: Sightings
    interface: Interface
    #: What was rewritten, by name, for the report.
    rewrites: dict[str, Any]


def observe(
    module: torch.nn.Module, model: Model, root: Path, context: Context, warnings: list[str]
) -> Observed:
    """Run the original module on samples, watch it once, and decide the interface.

    Parameters: `warnings` — takes what the user should know.
    """
    return _Observation(module, model, root, context, warnings).run()


class _Observation:
    """The runs of one module."""

    def __init__(
        self,
        module: torch.nn.Module,
        model: Model,
        root: Path,
        context: Context,
        warnings: list[str],
    ) -> None:
        """Match inputs with parameters and states with buffers."""
        self._module, self._model, self._root = module, model, root
        self._context, self._warnings = context, warnings
        self._feed = prepare.feed(module, model.inputs, context.forward)
        self._kept = states.find(module, model.states, context.forward)
        self._leaves: Sequence[prepare.Leaf] = ()
        #: Tensors that the module writes to before it reads them.
        self._written: Sequence[str] = ()
        self._fresh = old_values.Fresh(module)

    def run(self) -> Observed:
        """Run it all."""
        model, line = self._model, self._context.forward
        model.output.mkdir(parents=True, exist_ok=True)
        if self._ranges():
            model = self._model
        trimmed: Mapping[str, tuple[int, ...]] = {}
        unequal: list[symbols.Seen] = []
        if model.bucket is None:
            choices, runs, unequal = self._run_shapes()
            kept: Sequence[Run] = runs
        else:
            choices = shapes.choices(model.inputs)
            kept, runs, trimmed = self._run_lengths(model.bucket)
        first = runs[0]
        tried = [run.steps[0][1] for run in runs[: len(choices)]]
        given = [outputs for run in runs for _, outputs in run.steps]
        interface = decide(model, self._leaves, given, self._root, line)
        self._warnings += samples.remarks(interface, runs)
        self._warnings += distinct.remarks(
            ["the probabilities"]
            if interface.classifier
            else [one.name for one in interface.outputs],
            kept[: model.parity.samples],
            model.precision.float16,
        )
        seen = [*zip(choices, tried, strict=True), *unequal] if model.bucket is None else []
        names = [
            one.name if one.color is None and interface.classifier is None else None
            for one in interface.outputs
        ]
        equal = symbols.find(model.inputs, names, seen)
        sightings = self._watch(first, runs[1])
        if model.precision.float16:
            self._warnings += checks.overflow(sightings)
        rewrites: dict[str, Any] = {"dropout-removed": prepare.remove_dropout(self._module)}
        dense = prepare.make_dense(self._module)
        if dense:
            rewrites["sparse-made-dense"] = dense
        experts = cures.plain_experts(self._module)
        if experts is not None:
            rewrites["experts"] = experts
        if "ane" in model.rewrite:
            rewrites["ane-layers"] = ane.rewrite(self._module, line)
            rewrites["ane-largest-difference"] = self._compare_rewritten(runs)
        pictures = {
            position: one.image
            for position, one in enumerate(model.inputs)
            if one.image is not None
        }
        layers = {
            position: layer
            for position, image in pictures.items()
            if (layer := images.layer(image))
        }
        flat = prepare.Flat(self._module, self._feed, self._leaves, layers, self._written).eval()
        shown = [self._shown(choices[index % len(choices)]) for index in range(len(runs))]
        return Observed(
            flat,
            runs,
            shown,
            choices,
            model.inputs,
            kept,
            trimmed,
            equal,
            self._kept,
            sightings,
            interface,
            rewrites,
        )

    def _ranges(self) -> bool:
        """Give integer inputs a range where the manifest does not; return whether one was given."""
        model = self._model
        mask = None if model.bucket is None else model.bucket.mask
        choice = shapes.choices(model.inputs)[0]

        def draw(changed: Sequence[Input]) -> Sample:
            """Draw a sample of the default shapes."""
            drawn = samples.draw(replace(model, inputs=tuple(changed)), choice, 0)
            bucket = model.bucket
            return drawn if bucket is None else padding.with_ones(bucket, changed, drawn)

        def run(sample: Sample) -> list[torch.Tensor]:
            """Run the module once."""
            states.reset(self._module, self._kept)
            result = self._feed.call(self._module, sample.tensors)
            found = [tensor for _, tensor in prepare.flatten(result, None)]
            states.reset(self._module, self._kept)
            return found

        chosen = ranges.choose(model.inputs, run, draw, mask)
        self._model = replace(model, inputs=chosen)
        return any(one.guessed for one in chosen)

    def _run_shapes(self) -> tuple[list[shapes.Choice], list[Run], list[symbols.Seen]]:
        """Run every shape that the manifest allows and time allows too.

        Returns: the shapes, their runs, and what a run with unequal sizes gave, where there was
        one.
        """
        choices = shapes.choices(self._model.inputs)
        first, seconds = self._run(choices[0], 0)
        choices = self._affordable(choices, seconds)
        runs = [first]
        # Every shape is tried, and the default shape on two samples: one to capture with, one to
        # compare on.
        for index in range(1, max(len(choices) + 1, CAPTURE_SAMPLES, self._model.parity.samples)):
            choice = choices[index % len(choices)]
            with _at(self._shown(choice) if index % len(choices) else "", self._context):
                runs.append(self._run(choice, index)[0])
        return choices, runs, self._try_unequal()

    def _run_lengths(
        self, bucket: Bucket
    ) -> tuple[list[Run], list[Run], dict[str, tuple[int, ...]]]:
        """Run lengths that a bucket takes, as they are and padded, which must give the same.

        Returns: the runs as they are, the padded ones, and which outputs have the length.
        """
        inputs, line = self._model.inputs, self._context.forward
        lengths = buckets.lengths(bucket)

        def alone(length: int, index: int) -> Run:
            choice = buckets.shortened(bucket, inputs, length)
            with _at(f"`{bucket.input}` of length {length}", self._context, "buckets", LENGTH_CURE):
                sample = padding.with_ones(bucket, inputs, samples.draw(self._model, choice, index))
                return self._run_sample(sample)

        full = alone(bucket.size, 0)
        others = {length: alone(length, 0).steps[0][1] for length in buckets.other_lengths(bucket)}
        names = [leaf.name for leaf in self._leaves]
        trimmed = padding.following(bucket, names, full.steps[0][1], others, line)
        exact, padded = [], []
        for index in range(max(len(lengths), CAPTURE_SAMPLES, self._model.parity.samples)):
            length = lengths[index % len(lengths)]
            run = alone(length, index)
            sample, expected = run.steps[0]
            with _at(
                f"`{bucket.input}` padded from {length}", self._context, "buckets", LENGTH_CURE
            ):
                with_padding = self._run_sample(padding.padded(bucket, inputs, sample))
            _, result = with_padding.steps[0]
            padding.compare(bucket, names, trimmed, expected, result, length, line)
            exact.append(run)
            padded.append(with_padding)
        return exact, padded, trimmed

    def _run_sample(self, sample: Sample) -> Run:
        """Run a module without states on one sample."""
        result = self._feed.call(self._module, copies(sample.tensors))
        self._find_leaves(result)
        return Run(((sample, self._outputs(result)),))

    def _find_leaves(self, result: Any) -> None:
        """Find the tensors in the first result."""
        if not self._leaves:
            self._leaves = prepare.leaves(result, self._model.outputs, self._context.forward)
            self._warnings += prepare.left_out(result, self._leaves, self._context.forward)

    def _run(self, choice: shapes.Choice, index: int) -> tuple[Run, float]:
        """Run the steps of one sample from zeroed states; return how long the first one took, in
        seconds.
        """
        model = self._model
        states.reset(self._module, self._kept)
        steps: list[tuple[Sample, tuple[torch.Tensor, ...]]] = []
        started = time.monotonic()
        seconds = 0.0
        for step in range(model.parity.steps):
            sample = samples.draw(model, choice, index, step)
            result = self._feed.call(self._module, copies(sample.tensors))
            seconds = seconds or time.monotonic() - started
            self._find_leaves(result)
            steps.append((sample, self._outputs(result)))
        return Run(tuple(steps), states.values(self._module, self._kept)), seconds

    def _compare_rewritten(self, runs: Sequence[Run]) -> float:
        """Run the rewritten module on all samples; return the largest difference from the
        original.
        """
        line, largest = self._context.forward, 0.0
        for run in runs:
            states.reset(self._module, self._kept)
            for sample, expected in run.steps:
                try:
                    result = self._outputs(self._feed.call(self._module, copies(sample.tensors)))
                except Exception as error:
                    message = (
                        "The module rewritten for the Neural Engine fails: "
                        f"{type(error).__name__}: {error}."
                    )
                    raise Failure("unknown-rewrite", message, line, ane.KEY, ane.CURES) from error
                difference, close = samples.difference(expected, result)
                if not close:
                    message = (
                        "The module rewritten for the Neural Engine gives other results than the "
                        "original (largest "
                        f"difference {difference:g})."
                    )
                    raise Failure("rewrite-mismatch", message, line, ane.KEY, ane.CURES)
                largest = max(largest, difference)
        return largest

    def _outputs(self, result: Any) -> tuple[torch.Tensor, ...]:
        """Return copies of the outputs in a module's result: the next run may write to the same
        memory.
        """
        return tuple(copies([prepare.pick(result, leaf.path) for leaf in self._leaves]))

    def _shown(self, choice: shapes.Choice) -> str:
        """Return the shapes of a flexible model, for messages."""
        return shapes.shown(self._model.inputs, choice)

    def _affordable(self, choices: list[shapes.Choice], seconds: float) -> list[shapes.Choice]:
        """Leave out shapes that would take too long. Parameters: `seconds` — of a run at the
        default shape.
        """
        default = shapes.elements(choices[0])
        # Attention takes time that grows with the square of a length.
        affordable = [
            choice
            for choice in choices
            if seconds * (shapes.elements(choice) / default) ** 2 <= AFFORDABLE_SECONDS
        ]
        self._warnings += [
            f"not compared with PyTorch at {self._shown(choice)}, which would take too long"
            for choice in choices
            if choice not in affordable and choice != choices[0]
        ]
        return [choices[0], *(choice for choice in affordable if choice != choices[0])]

    def _try_unequal(self) -> list[symbols.Seen]:
        """Run once with sizes that the manifest lets differ: they may have to be equal in truth.

        Returns: the sizes and what they gave; nothing where all are equal.
        """
        choice = shapes.unequal(self._model.inputs)
        if choice is None:
            return []
        try:
            run, _ = self._run(choice, 0)
            return [(choice, run.steps[0][1])]
        except Exception as error:
            message = (
                "`forward` fails where sizes differ that the manifest lets differ "
                f"({self._shown(choice)}): {error}"
            )
            cure = (
                'Give dimensions that are always equal the same name: `{ symbol = "T", min = '
                "…, max = … }`."
            )
            raise Failure(
                "unequal-shapes", message, self._context.forward, "inputs", (cure,)
            ) from error

    def _watch(self, run: Run, later: Run) -> Sightings:
        """Run the original module again on the first step of a sample, watched, and judge what was
        seen.

        Parameters: `later` — of another sample, which the module was run on after this one.
        """
        module, line = self._module, self._context.forward
        sample, outputs = run.steps[0]
        states.reset(module, self._kept)
        tensors = copies(sample.tensors)
        witness = Witness(module, tensors, self._context.user_code)
        user_code = self._context.user_code
        with witness.watching(), outside.listening(module, user_code) as heard:
            result = self._feed.call(module, tensors)
        watched = self._outputs(result)
        kept = states.values(module, self._kept)
        sightings = self._context.sightings = witness.sightings
        _, repeatable = samples.difference(outputs, watched)

        def again() -> tuple[torch.Tensor, ...]:
            """Run the module on the same inputs."""
            states.reset(module, self._kept)
            return self._outputs(self._feed.call(module, copies(sample.tensors)))

        def with_states() -> tuple[torch.Tensor, ...]:
            """Run it, and return the states too."""
            return (*again(), *states.values(module, self._kept))

        drawn = bool(sightings.random) and not repeatable
        if (
            sightings.unwritten
            and not drawn
            and poison.memory_is_read(with_states, (*watched, *kept))
        ):
            raise checks.unwritten(sightings, line)
        self._warnings += outside.judge(heard, watched, outputs, again, user_code, line)
        training = [name or "itself" for name, child in module.named_modules() if child.training]
        buffers = [one.buffer for one in self._kept]
        states.check_run(self._kept, sightings, line)
        names = [one.what for one in sightings.written if one.what not in buffers]
        found = old_values.Found(tuple(dict.fromkeys(names)))
        assigned = [one.what for one in sightings.assigned if one.what in names]
        written = [name for name in dict.fromkeys(names) if sightings.writes[name]]
        if repeatable:
            found = old_values.read(module, assigned, written, with_states, (*watched, *kept))
            self._written = written
        elif found.read and not sightings.random:
            # What changes the results from run to run is among them.
            found = old_values.among(module, assigned, written, with_states) or found
        is_wide = bool(sightings.wide_results) and poison.wide_is_read(
            with_states, (*watched, *kept)
        )
        checks.run(sightings, found.read, repeatable, training, is_wide, line)
        self._warnings += [
            f"forward writes to `{name}`, and no output depends on it: the model does not keep it"
            for name in found.kept
        ]
        self._compare_fresh(later)
        names = [declared.name for declared in self._model.inputs]
        checks.aliases(
            dict(zip(names, tensors, strict=True)),
            {leaf.name: prepare.pick(result, leaf.path) for leaf in self._leaves},
            line,
        )
        return sightings

    def _compare_fresh(self, run: Run) -> None:
        """Run the module as it was made on a sample that the module was run on after others."""
        module = self._fresh.copy
        if module is None:
            return
        sample, outputs = run.steps[0]
        states.reset(module, self._kept)
        try:
            results = self._outputs(self._feed.call(module, copies(sample.tensors)))
        except Exception:  # the copy of a module that holds on to something else
            return
        if not samples.difference(outputs, results)[1]:
            raise checks.remembered(self._fresh.changed(), self._context.forward)


@contextmanager
def _at(
    shape: str, context: Context, key: str = "inputs", cure: str = SHAPE_CURE
) -> Iterator[None]:
    """Say at which shape the module failed.

    Parameters: `shape` — as messages spell it; empty for the default; `key` — that allows it.
    """
    try:
        yield
    except Exception as error:
        if not shape or isinstance(error, Failure):
            raise
        line = context.user_code.of_traceback(error.__traceback__) or context.forward
        message = (
            f"`forward` takes the default shapes, but not {shape}, which the manifest allows: "
            f"{type(error).__name__}: {error}"
        )
        raise Failure("wrong-shape", message, line, key, (cure,)) from error


def copies(tensors: Sequence[torch.Tensor]) -> list[torch.Tensor]:
    """Return copies: a module may write to its inputs, and samples are kept."""
    return [tensor.clone() for tensor in tensors]
