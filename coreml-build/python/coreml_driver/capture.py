"""From a module to a graph: `torch.jit.trace` or `torch.export`.

Owns: the two ways and the order in which `auto` tries them.
Must not: convert; accept a graph that computes something else than the module.
Flow: `conversion` -> `capture` for each method of `methods` until one converts.
"""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import torch

from coreml_driver import checks, states
from coreml_driver.failures import Failure, PythonLine
from coreml_driver.features import Input, Range
from coreml_driver.prepare import Flat
from coreml_driver.samples import Run
from coreml_driver.samples import difference as compare
from coreml_driver.translations import fallback
from coreml_driver.witness import Sightings

#: A function that is scripted when it is traced; its wrapper looks `script` up when it is called.
SCRIPTED_LATER: Any = torch.jit.script_if_tracing(lambda x: x)
#: What to do about a graph that does not follow the shape of its inputs.
BAKED_CURES = (
    "Leave sizes to the tensors: `x.reshape(x.shape[0], -1)` or `x.flatten(1)` instead of "
    "`x.reshape(2, 4)`.",
    "Make masks and positions from the input's own size: `torch.arange(x.shape[1])`; a Python "
    "`int(…)` of it is fixed.",
    "Declare a fixed `shape` for each size that is needed.",
)


@dataclass(frozen=True)
class Captured:
    """A graph that coremltools takes."""

    #: `trace` or `export`.
    method: str
    #: A `torch.jit.ScriptModule` or a `torch.export.ExportedProgram`.
    program: Any
    #: Runs the graph.
    run: Callable[..., tuple[torch.Tensor, ...]]
    #: What the tracer said that is harmless while shapes are fixed.
    notes: list[str] = field(default_factory=list)
    #: Functions that are traced though they say that they want to be scripted.
    through: Sequence[Any] = ()


def methods(capture: str) -> tuple[str, ...]:
    """Return the methods to try, in order. Tracing goes first: it gives coremltools the graphs that
    it knows best.
    """
    return ("trace", "export") if capture == "auto" else (capture,)


def capture(
    method: str,
    module: Flat,
    declared: Sequence[Input],
    inputs: Sequence[torch.Tensor],
    sightings: Sightings,
    line: PythonLine | None,
    *,
    scripts: bool = False,
) -> Captured:
    """Capture the graph of `module`.

    Parameters: `declared` — the manifest's inputs; `inputs` — a sample of them; `sightings` — of
    the original module's run; `line` — of `forward`; `scripts` — functions that want to be scripted
    when they are traced are scripted.
    Errors: `Failure` for what a trace would get wrong; whatever torch raises otherwise.
    """
    if method == "export":
        dynamic = (
            (tuple(_dynamic(one) for one in declared),)
            if any(one.flexible for one in declared)
            else None
        )
        exported = torch.export.export(module, tuple(inputs), dynamic_shapes=dynamic, strict=False)
        exported = fallback.decomposed(exported)
        return Captured(method, exported, exported.module())
    if scripts:
        return _trace(module, inputs, sightings, line)
    with _traced_through() as through:
        try:
            return replace(_trace(module, inputs, sightings, line), through=through)
        except Failure:
            if not through:
                raise
    # What a trace would bake in, a script keeps.
    return _trace(module, inputs, sightings, line)


def _trace(
    module: Flat, inputs: Sequence[torch.Tensor], sightings: Sightings, line: PythonLine | None
) -> Captured:
    """Trace a module."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        # The tracer's own check would run the module again on the same inputs; `verify` runs the
        # graph on other ones.
        traced = torch.jit.trace(module, tuple(inputs), check_trace=False)
    return Captured("trace", traced, traced, checks.tracer_warnings(caught, sightings, line))


@contextmanager
def _traced_through() -> Iterator[list[Any]]:
    """Trace functions that `torch.jit.script_if_tracing` would script: a script keeps both branches
    of `if x.ndim == 2`, and one of them has no meaning for these shapes.

    Yields the functions that were called.
    """
    called: list[Any] = []
    original = torch.jit.script

    def as_it_is(target: Any, *rest: Any, **named: Any) -> Any:
        """Stand in for `torch.jit.script`."""
        # With more than the function it is torch that compiles what a script calls.
        if not inspect.isfunction(target) or rest or named:
            return original(target, *rest, **named)
        called.append(target)
        return target

    # torch's own wrapper looks it up here, those of libraries in `torch.jit`.
    names = SCRIPTED_LATER.__globals__
    names["script"] = torch.jit.script = as_it_is
    try:
        yield called
    finally:
        names["script"] = torch.jit.script = original


def _dynamic(declared: Input) -> dict[int, Any]:
    """Return the dimensions of an input that an exported graph must leave open."""
    if declared.shapes:
        sizes = [set(axis) for axis in zip(*declared.shapes, strict=True)]
        return {
            axis: torch.export.Dim(f"{declared.name}_{axis}", min=min(all), max=max(all))
            for axis, all in enumerate(sizes)
            if len(all) > 1
        }
    return {
        axis: torch.export.Dim(size.symbol or f"{declared.name}_{axis}", min=size.min, max=size.max)
        for axis, size in enumerate(declared.dimensions)
        if isinstance(size, Range)
    }


def verify(
    captured: Captured, run: Run, shape: str, kept: Sequence[states.Kept], line: PythonLine | None
) -> float:
    """Run the graph on inputs that it was not captured with and compare with the original module.

    This proves the rewrites and the capture in one.
    Parameters: `run` — the original's; `shape` — of its inputs, as messages spell it; empty for
    fixed shapes.
    Returns: the largest absolute difference.
    Errors: `Failure` of kind `capture-mismatch` or `baked-shape`.
    """
    call = f"torch.{'jit.trace' if captured.method == 'trace' else 'export'}"
    states.reset(captured.run, kept, states.PREFIX)
    largest = 0.0
    for sample, expected in run.steps:
        try:
            results = captured.run(*(tensor.clone() for tensor in sample.captured))
        except Exception as error:
            if not shape:
                raise
            raise _baked(
                call, shape, f"fails: {str(error).strip().splitlines()[-1]}", line
            ) from error
        difference, close = compare(expected, results)
        if not close and shape:
            raise _baked(
                call, shape, f"gives other results (largest difference {difference:g})", line
            )
        if not close:
            message = (
                f"The graph from {call} gives other results than the module (largest difference "
                f"{difference:g}): it "
                "does not follow the module for every input."
            )
            cures = (
                "Look for Python values in forward that depend on the input; choose with tensor "
                "operations instead.",
            )
            raise Failure("capture-mismatch", message, line, "capture", cures)
        largest = max(largest, difference)
    difference, close = compare(run.states, states.values(captured.run, kept, states.PREFIX))
    if not close:
        message = (
            f"The graph from {call} leaves other states than the module (largest difference "
            f"{difference:g}): a write "
            "is lost."
        )
        raise Failure("dropped-write", message, line, "states", states.WRITING_FORMS)
    return max(largest, difference)


def _baked(call: str, shape: str, what: str, line: PythonLine | None) -> Failure:
    """Return the failure about a graph that holds for one shape alone."""
    message = (
        f"The graph from {call} was captured at the default shapes; at {shape} it {what}: a "
        "size is baked in."
    )
    return Failure("baked-shape", message, line, "inputs", BAKED_CURES)
