"""Functions of PyTorch, translated and executed without a manifest.

Every conversion here goes through the driver's translations and passes, or, for comparison, through
coremltools alone; the program is executed by the proof's kernels.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import coremltools as ct
import numpy as np
import torch
from coremltools.converters.mil.frontend.torch.torch_op_registry import _TORCH_OPS_REGISTRY
from torch.utils._pytree import tree_leaves

from coreml_driver import operations, program, translations
from coreml_driver.convert import OpSelector
from coreml_driver.proof import values
from coreml_driver.proof.blobs import Blobs
from coreml_driver.proof.execute import Executable
from coreml_driver.request import Precision
from coreml_driver.translations import consumption, fallback

CAPTURES = ("trace", "export")
PRECISIONS = ("float32", "float16")
#: Relative and absolute, in parts of the largest value.
TOLERANCE = {"float32": 1e-5, "float16": 5e-3}
#: How many cases share a conversion.
BATCH = 12


@dataclass
class Case:
    """A function whose translation is in question."""

    #: The row of the table that it is about: a kind of node, or the name of a pass.
    about: str
    function: Callable[..., Any]
    inputs: Sequence[Any]
    #: Under which capture and precision coremltools alone is wrong or refuses; `None` for a
    #: variant that it has right.
    plain: tuple[str, str] | None = ("trace", "float32")
    captures: Sequence[str] = CAPTURES
    precisions: Sequence[str] = PRECISIONS
    #: Further inputs to execute with.
    more: Sequence[Sequence[Any]] = ()
    #: Sizes that vary: number of the input, axis, least, largest.
    flexible: Sequence[tuple[int, int, int, int]] = field(default=())

    def __post_init__(self) -> None:
        self.inputs = [torch.as_tensor(one) for one in self.inputs]
        self.more = [[torch.as_tensor(one) for one in given] for given in self.more]


class Batch(torch.nn.Module):
    """Several functions, each with inputs and outputs of its own."""

    def __init__(self, cases: Sequence[Case]) -> None:
        super().__init__()
        self.cases = cases
        self.modules_of_cases = torch.nn.ModuleList(
            case.function for case in cases if isinstance(case.function, torch.nn.Module)
        )

    def forward(self, *inputs: torch.Tensor) -> tuple[torch.Tensor, ...]:
        results, position = [], 0
        for case in self.cases:
            given = inputs[position : position + len(case.inputs)]
            position += len(case.inputs)
            results += tree_leaves(case.function(*given))
        return tuple(results)


@dataclass
class Translated:
    """A translated program."""

    package: Path
    selector: OpSelector
    operations: list[str]

    def run(self, inputs: Sequence[torch.Tensor], half: bool) -> list[torch.Tensor]:
        """Execute it; outputs in order."""
        specification = ct.utils.load_spec(str(self.package))
        function = program.main(specification)
        names = [item.name for item in specification.description.input]
        outputs = [item.name for item in specification.description.output]
        with Blobs(self.package) as blobs:
            executable = Executable(function, blobs)
            assert not executable.unproved(), executable.unproved()
            fed = {
                name: one.int() if not one.is_floating_point() else one
                for name, one in zip(names, inputs, strict=True)
            }
            precision = values.Precision.DEVICE if half else values.Precision.WIDENED
            found = executable.run(fed, precision=precision)
        return [found[name] for name in outputs]


@contextlib.contextmanager
def translating(plain: bool) -> Iterator[None]:
    """Enter what the driver enters around coremltools."""
    if plain:
        registry = _TORCH_OPS_REGISTRY.name_to_func_mapping
        registry.clear()
        registry.update(translations.ORIGINAL)
        yield
        return
    operations.register(None, Path())
    with consumption.following():
        yield


def translate(
    cases: Sequence[Case], capture: str, precision: str, plain: bool = False
) -> Translated:
    """Translate cases in one program."""
    module = Batch(cases).eval()
    inputs = [one.clone() for case in cases for one in case.inputs]
    ranges = {
        (number, axis): (low, high) for case in cases for number, axis, low, high in case.flexible
    }
    sizes: dict[int, dict[int, Any]] = {}
    shapes: list[Any] = []
    for number, one in enumerate(inputs):
        shape: list[Any] = list(one.shape)
        for axis in range(one.dim()):
            if (number, axis) in ranges:
                low, high = ranges[number, axis]
                shape[axis] = ct.RangeDim(low, high, one.shape[axis])
                sizes.setdefault(number, {})[axis] = torch.export.Dim(
                    f"d{number}_{axis}", min=low, max=high
                )
        shapes.append(ct.Shape(tuple(shape)) if ranges else tuple(shape))
    with torch.no_grad(), translating(plain):
        if capture == "trace":
            captured = torch.jit.trace(module, tuple(inputs), check_trace=False)
        else:
            dynamic = (tuple(sizes.get(n, {}) for n in range(len(inputs))),) if ranges else None
            captured = torch.export.export(
                module, tuple(inputs), dynamic_shapes=dynamic, strict=False
            )
            captured = captured.run_decompositions({}) if plain else fallback.decomposed(captured)
        selector = OpSelector(Precision(precision == "float16"))
        converted = ct.convert(
            captured,
            inputs=[
                ct.TensorType(
                    f"x{number}",
                    shape,
                    dtype=np.float32 if one.is_floating_point() else np.int32,
                )
                for number, (one, shape) in enumerate(zip(inputs, shapes, strict=True))
            ],
            convert_to="mlprogram",
            minimum_deployment_target=ct.target.iOS18,
            compute_precision=ct.transform.FP16ComputePrecision(op_selector=selector)
            if precision == "float16"
            else ct.precision.FLOAT32,
            skip_model_load=True,
        )
    package = Path(tempfile.mkdtemp(prefix="translated-")) / "model.mlpackage"
    converted.save(str(package))
    kinds = [one.op_type for one in converted._mil_program.functions["main"].operations]
    return Translated(package, selector, kinds)


def differences(cases: Sequence[Case], translated: Translated, precision: str) -> dict[int, str]:
    """Return what is wrong about each case, by its number."""
    rounds = max(len(case.more) for case in cases) + 1
    wrong: dict[int, str] = {}
    for turn in range(rounds):
        chosen = [([case.inputs, *case.more])[min(turn, len(case.more))] for case in cases]
        with torch.no_grad():
            expected = [
                tree_leaves(case.function(*(one.clone() for one in given)))
                for case, given in zip(cases, chosen, strict=True)
            ]
        given = [one for inputs in chosen for one in inputs]
        # A device rounds every result to half precision, or computes with rounded constants.
        for half in (False, True) if precision == "float16" else (False,):
            found = iter(translated.run(given, half))
            for number, leaves in enumerate(expected):
                for leaf in leaves:
                    words = difference(leaf, next(found), TOLERANCE[precision])
                    if words:
                        wrong.setdefault(number, f"inputs {turn}: {words}")
    return wrong


def difference(expected: torch.Tensor, got: torch.Tensor, tolerance: float) -> str:
    """Return how a result differs from PyTorch's; empty where it does not."""
    shape = tuple(expected.shape) or (1,)
    if (tuple(got.shape) or (1,)) != shape:
        return f"shape {tuple(got.shape)} instead of {tuple(expected.shape)}"
    one = expected.to(torch.float64).reshape(shape).numpy()
    two = got.to(torch.float64).reshape(shape).numpy()
    finite = np.where(np.isfinite(one), np.abs(one), 0)
    if not expected.is_floating_point():
        tolerance = 0.0
    near = tolerance * max(1e-3, finite.max(initial=0))
    same = np.isclose(two, one, rtol=tolerance, atol=near, equal_nan=True)
    if same.all():
        return ""
    place = tuple(int(n) for n in np.argwhere(~same)[0])
    return f"{(~same).sum()} of {same.size} differ, {two[place]:g} instead of {one[place]:g}"


class Family:
    """Cases that are translated together and judged one by one."""

    def __init__(self, cases: dict[str, Case], size: int = BATCH) -> None:
        """Parameters: `size` — how many cases share a conversion."""
        self.cases = cases
        self._size = size
        self._found: dict[str, dict[str, str]] = {}

    def wrong(self, name: str, capture: str = "trace") -> str:
        """Return what is wrong about a case in single precision; empty where it is right."""
        if capture not in self._found:
            names = [one for one, case in self.cases.items() if capture in case.captures]
            groups = [names[at : at + self._size] for at in range(0, len(names), self._size)]
            self._found[capture] = {}
            for group in groups:
                self._found[capture] |= self._judged(group, capture)
        return self._found[capture][name]

    def _judged(self, names: Sequence[str], capture: str) -> dict[str, str]:
        """Return what is wrong about cases of one conversion; of fewer where that fails."""
        cases = [self.cases[name] for name in names]
        try:
            translated = translate(cases, capture, "float32")
        except Exception as error:
            if len(names) == 1:
                return {names[0]: f"refused: {error!r:.300}"}
            middle = len(names) // 2
            parts = (names[:middle], names[middle:])
            return {k: v for part in parts for k, v in self._judged(part, capture).items()}
        found = differences(cases, translated, "float32")
        return {name: found.get(number, "") for number, name in enumerate(names)}
