"""MIL programs as a source: written with coremltools' builder, without PyTorch.

Owns: making the program and its package. There is no module to compare with, so there are no
samples.
Must not: know captures.
Flow: `conversion` -> `convert` -> `source.call`, `convert.mil_to_package`, `report`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from coremltools.converters.mil import Program

from coreml_driver import canonical, reread, source
from coreml_driver import convert as coremltools_call
from coreml_driver.convert import OpSelector
from coreml_driver.failures import Failure
from coreml_driver.progress import Progress
from coreml_driver.request import Model


def convert(
    model: Model, root: Path, package: Path, progress: Progress
) -> tuple[Any, OpSelector, list[str]]:
    """Make the package of a MIL program.

    Returns: its specification, what was asked about its operations, and warnings.
    Errors: `Failure` of kind `not-a-program` or `ignored-input`.
    """
    with progress.entered("load"):
        program, line = source.call(model.source, root)
        if not isinstance(program, Program):
            message = (
                f"`{model.source.entry}` returned {source.kind_of(program)}, not a MIL program."
            )
            cure = "Return what `@mb.program(input_specs=[…])` makes of a function."
            raise Failure("not-a-program", message, line, "source.entry", (cure,))
    model.output.mkdir(parents=True, exist_ok=True)
    with progress.entered("convert"), progress.following_coremltools():
        selector = OpSelector(model.precision)
        remarks = coremltools_call.mil_to_package(program, model, selector, package)
    specification = canonical.read_specification(package)
    names = [item.name for item in specification.description.input]
    reread.check_inputs(specification, names, line)
    remarks.append("a MIL program has no PyTorch to compare with: there are no parity samples")
    return specification, selector, remarks
