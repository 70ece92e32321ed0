"""From a module to a graph: `torch.jit.trace` or `torch.export`.

Owns: the two ways and the order in which `auto` tries them.
Must not: convert; accept a graph that computes something else than the module.
Flow: `conversion` -> `capture` for each method of `methods` until one converts.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from coreml_driver import checks
from coreml_driver.failures import Failure, PythonLine
from coreml_driver.prepare import Flat
from coreml_driver.samples import difference
from coreml_driver.witness import Sightings


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


def methods(capture: str) -> tuple[str, ...]:
    """Return the methods to try, in order. Tracing goes first: it gives coremltools the graphs that it knows best."""
    return ("trace", "export") if capture == "auto" else (capture,)


def capture(
    method: str, module: Flat, inputs: Sequence[torch.Tensor], sightings: Sightings, line: PythonLine | None
) -> Captured:
    """Capture the graph of `module`.

    Called by: `conversion`.
    Parameters: `inputs` — a sample; `sightings` — of the original module's run; `line` — of `forward`.
    Errors: `Failure` for what a trace would get wrong; whatever torch raises otherwise.
    """
    if method == "export":
        exported = torch.export.export(module, tuple(inputs), strict=False).run_decompositions({})
        return Captured(method, exported, exported.module())
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        # The tracer's own check would run the module again on the same inputs; `verify` runs the graph on other ones.
        traced = torch.jit.trace(module, tuple(inputs), check_trace=False)
    return Captured(method, traced, traced, checks.tracer_warnings(caught, sightings, line))


def verify(
    captured: Captured, inputs: Sequence[torch.Tensor], expected: Sequence[torch.Tensor], line: PythonLine | None
) -> float:
    """Run the graph on inputs that it was not captured with and compare with the original module.

    Called by: `conversion`. This proves the rewrites and the capture in one.
    Returns: the largest absolute difference.
    Errors: `Failure` of kind `capture-mismatch`.
    """
    largest, close = difference(expected, captured.run(*(tensor.clone() for tensor in inputs)))
    if not close:
        message = (
            f"The graph from torch.{'jit.trace' if captured.method == 'trace' else 'export'} gives other results "
            f"than the module (largest difference {largest:g}): it does not follow the module for every input."
        )
        cures = (
            "Look for Python values in forward that depend on the input, and choose with tensor operations instead.",
        )
        raise Failure("capture-mismatch", message, line, "capture", cures)
    return largest
