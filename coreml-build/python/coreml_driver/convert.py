"""The call of coremltools: everything asked for explicitly, nothing left to its defaults.

Owns: the translation of the manifest's words into coremltools' arguments.
Must not: check the result (that is `checks`) or decide the interface (that is `interface`).
Flow: `capture` -> `to_package` -> `canonical`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import coremltools as ct
import numpy as np
from coremltools.proto import Model_pb2

from coreml_driver import canonical, compression, program
from coreml_driver.capture import Captured
from coreml_driver.failures import Failure
from coreml_driver.features import Input, Range
from coreml_driver.interface import Interface
from coreml_driver.origins import Origins
from coreml_driver.passes.half import Reason
from coreml_driver.request import Model, Precision
from coreml_driver.states import PREFIX, Kept

ELEMENT_TYPES = {"float16": np.float16, "float32": np.float32, "int32": np.int32, "int8": np.int8}
#: The manifest's words for coremltools'.
COLOR_LAYOUTS = {
    "rgb": ct.colorlayout.RGB,
    "bgr": ct.colorlayout.BGR,
    "grayscale": ct.colorlayout.GRAYSCALE,
    "grayscale-float16": ct.colorlayout.GRAYSCALE_FLOAT16,
}
#: How many names a message about the op selector lists.
LISTED_NAMES = 40


@dataclass(frozen=True)
class Kept32:
    """An operation that stays in float32 by itself."""

    kind: str
    #: Its first output, which later passes rename.
    output: Any
    reason: Reason

    @property
    def name(self) -> str:
        """The name of its first output."""
        return self.output.name


class OpSelector:
    """Decides for each operation whether it computes in float16, and remembers what it was asked
    about.
    """

    def __init__(self, precision: Precision) -> None:
        """Parameters: `precision` — with the operations that stay in float32."""
        self._types = set(precision.float32_ops)
        self._outputs = set(precision.float32_outputs)
        self.seen_types: set[str] = set()
        self.seen_outputs: set[str] = set()
        #: Operations that half precision would get wrong: type, name and reason.
        self.kept: list[Kept32] = []
        self._kept: set[Any] = set()
        #: Constants that will be rounded to float16. Most are the module's own parameters, which
        #: take no memory here.
        self.originals: list[Any] = []

    def keep(self, operation: Any, reason: Reason) -> None:
        """Remember an operation that stays in float32 though nobody asked for it."""
        self.kept.append(Kept32(operation.op_type, operation.outputs[0], reason))

    def __call__(self, operation: Any) -> bool:
        """Return whether `operation` computes in float16."""
        names = {variable.name for variable in operation.outputs}
        if operation.op_type != "const":
            self.seen_types.add(operation.op_type)
            self.seen_outputs |= names
        half = operation.op_type not in self._types and not names & self._outputs
        if half:
            self._keep_constants(operation)
        return half

    def _keep_constants(self, operation: Any) -> None:
        """Keep the constants of an operation that is about to compute in float16."""
        for variable in operation.get_flattened_inputs():
            constant = variable.op is not None and variable.op.op_type == "const"
            if constant and variable.is_tensor_or_scalar_of("fp32") and variable not in self._kept:
                self._kept.add(variable)
                self.originals.append(np.asarray(variable.val))
        if operation.op_type != "const":
            # What is computed of constants alone is folded behind the rounding.
            self.originals += [
                np.asarray(result.val)
                for result in operation.outputs
                if result.val is not None and result.is_tensor_or_scalar_of("fp32")
            ]


@dataclass(frozen=True)
class Plain:
    """A program before its weights were compressed."""

    specification: Model_pb2.Model
    #: coremltools' own temporary package, which is there until the process ends.
    package: Path


def check(specification: Model_pb2.Model, model: Model, selectors: Sequence[OpSelector]) -> None:
    """Fail if a key that says what becomes of operations or weights has no effect: coremltools
    would not say a word.

    Parameters: `selectors` — one for each function of the package; operations that coremltools did
    not ask them about (they stay in float32 anyway) are found in the specification.
    Errors: `Failure` of kind `wrong-op-selector` or `nothing-compressed`.
    """
    types = {kind for selector in selectors for kind in selector.seen_types}
    outputs = {name for selector in selectors for name in selector.seen_outputs}
    for operation in program.operations(specification):
        if operation.type != "const":
            types.add(operation.type)
            outputs.update(output.name for output in operation.outputs)
    for key, wanted, seen in (
        ("float32-ops", model.precision.float32_ops, types),
        ("float32-outputs", model.precision.float32_outputs, outputs),
    ):
        missing = sorted(set(wanted) - seen)
        if missing:
            what = "operation type" if key == "float32-ops" else "operation with an output"
            message = (
                f"The program has no {what} {', '.join(f'`{name}`' for name in missing)}, so "
                "nothing would "
                "stay in float32."
            )
            names = sorted(seen)
            more = ", …" if len(names) > LISTED_NAMES else ""
            advice = f"The program has: {', '.join(names[:LISTED_NAMES])}{more}."
            raise Failure(
                "wrong-op-selector", message, key=f"compute-precision.{key}", advice=(advice,)
            )
    compression.check(specification, model.compression)


def to_package(
    captured: Captured,
    model: Model,
    interface: Interface,
    kept: Sequence[Kept],
    selector: OpSelector,
    origins: Origins,
    package: Path,
) -> tuple[list[str], Plain | None]:
    """Convert a captured graph and write it as a package in canonical form.

    Parameters: `kept` — the declared states; `origins` — takes where the operations come from;
    `package` — the folder to make, named `….mlpackage`.
    Returns: warnings, and the program before compression if weights were compressed.
    Errors: `Failure` of kind `wrong-target`; whatever coremltools raises.
    """
    converted = ct.convert(
        captured.program,
        inputs=inputs(model.inputs),
        outputs=_outputs(interface),
        states=[_state(one) for one in kept] or None,
        classifier_config=_classifier(interface),
        **_arguments(model, selector),
    )
    origins.read(converted._mil_program)
    specification, remarks = _save(converted, model, package)
    remarks += [f"{line}: it stays in float32" for line in kept_lines(selector, origins, told=True)]
    names = {one.name_in_program: one.state.name for one in kept}
    plain = None
    if model.compression:
        plain = Plain(converted.get_spec(), Path(converted.package_path))
        canonical.name_states(plain.specification, names)
    if interface.classifier is not None:
        given = f"{interface.classifier.label_name}_probs"
        if given != interface.classifier.probabilities_name:
            ct.utils.rename_feature(specification, given, interface.classifier.probabilities_name)
    canonical.name_states(specification, names)
    canonical.write(package, specification, model.metadata)
    return remarks, plain


def kept_lines(selector: OpSelector, origins: Origins | None, *, told: bool) -> list[str]:
    """Return a line for each group of operations that stay in float32 by themselves.

    Parameters: `told` — only those that a warning is for: the module has a number that float16
    lacks.
    """
    groups: Counter[tuple[str, str, str]] = Counter()
    for one in selector.kept:
        if told and not one.reason.told:
            continue
        origin = None if origins is None else origins.operations.get(one.output.name)
        line = None if origin is None else origin.line
        place = f" ({Path(line.file).name}:{line.line})" if line else ""
        groups[one.kind, place, one.reason.words] += 1
    return [
        f"`{kind}`{place}{f', {count} times' if count > 1 else ''}: {words}"
        for (kind, place, words), count in groups.items()
    ]


def mil_to_package(source: Any, model: Model, selector: OpSelector, package: Path) -> list[str]:
    """Convert a MIL program and write it as a package in canonical form.

    Returns: warnings.
    """
    converted = ct.convert(source, **_arguments(model, selector))
    specification, remarks = _save(converted, model, package)
    remarks += [f"{line}: it stays in float32" for line in kept_lines(selector, None, told=True)]
    canonical.write(package, specification, model.metadata)
    return remarks


def _arguments(model: Model, selector: OpSelector) -> dict[str, Any]:
    """Return what every call of coremltools is told."""
    return {
        "convert_to": "mlprogram",
        "minimum_deployment_target": _target(model.target),
        "compute_precision": ct.transform.FP16ComputePrecision(op_selector=selector)
        if model.precision.float16
        else ct.precision.FLOAT32,
        "compute_units": ct.ComputeUnit.ALL,  # matters only to who loads the model in Python
        "skip_model_load": True,
    }


def _save(converted: Any, model: Model, package: Path) -> tuple[Model_pb2.Model, list[str]]:
    """Compress the weights, write the package, and return its specification and warnings."""
    converted, remarks = compression.compress(converted, model.compression)
    if converted._mil_program is not None:
        # What coremltools would write beside an exported program is for another tool, and fails
        # where the program has a loop.
        converted._mil_program.construct_debug_handle_to_ops_mapping = dict
    converted.save(str(package))
    return canonical.read_specification(package), remarks


def inputs(declared: Sequence[Input]) -> list[Any]:
    """Return coremltools' description of the inputs. Without a dtype it would choose one by its own
    rules.
    """
    symbols: dict[str, Any] = {}
    return [_input(one, _shape(one, symbols)) for one in declared]


def _input(declared: Input, shape: Any) -> Any:
    """Return coremltools' description of one input."""
    if declared.image is not None:
        return ct.ImageType(
            name=declared.name, shape=shape, color_layout=COLOR_LAYOUTS[declared.image.color]
        )
    kind = ELEMENT_TYPES[declared.dtype]
    default = None if declared.default is None else np.full(declared.shape, declared.default, kind)
    return ct.TensorType(name=declared.name, shape=shape, dtype=kind, default_value=default)


def _shape(declared: Input, symbols: dict[str, Any]) -> Any:
    """Return coremltools' description of a shape. Parameters: `symbols` — ranges that several
    dimensions share.
    """
    if len(declared.shapes) > 1:
        return ct.EnumeratedShapes(shapes=declared.shapes, default=declared.shapes[0])
    sizes: list[Any] = []
    for size in declared.dimensions:
        if not isinstance(size, Range):
            sizes.append(size)
            continue
        # Shared by the object: coremltools takes the same name but once in a process.
        key = size.symbol or f"{declared.name} {len(sizes)}"
        if key not in symbols:
            symbols[key] = ct.RangeDim(size.min, size.max, size.default)
        sizes.append(symbols[key])
    return ct.Shape(tuple(sizes), default=declared.shape) if declared.flexible else tuple(sizes)


def _state(one: Kept) -> Any:
    """Return coremltools' description of a state, which has to be called like the captured module's
    buffer.
    """
    return ct.StateType(
        ct.TensorType(shape=one.state.shape, dtype=np.float16), name=PREFIX + one.buffer
    )


def _outputs(interface: Interface) -> list[Any]:
    """Return coremltools' description of the outputs; a classifier's tensor has a name, but no
    feature of its own.
    """
    if interface.classifier is not None:
        return [ct.TensorType(name=interface.outputs[0].name)]
    return [
        ct.TensorType(name=feature.name, dtype=ELEMENT_TYPES[feature.dtype])
        if feature.color is None
        else ct.ImageType(name=feature.name, color_layout=COLOR_LAYOUTS[feature.color])
        for feature in interface.outputs
    ]


def _classifier(interface: Interface) -> Any:
    """Return coremltools' classifier, if there is one."""
    if interface.classifier is None:
        return None
    return ct.ClassifierConfig(
        class_labels=list(interface.labels),
        predicted_feature_name=interface.classifier.label_name,
        predicted_probabilities_output=interface.outputs[0].name,
    )


def _target(name: str) -> Any:
    """Return coremltools' deployment target of that name."""
    try:
        return ct.target[name]
    except KeyError:
        message = f"This coremltools knows no deployment target `{name}`."
        known = ", ".join(target.name for target in ct.target)
        raise Failure(
            "wrong-target", message, key="minimum-deployment-target", advice=(f"It knows {known}.",)
        ) from None
