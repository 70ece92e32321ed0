"""Silent wrong results, turned into failures: before the capture, after it, and on the finished package.

Owns: the rules. Each is something that coremltools or the tracer lets pass, and that a prediction would suffer from.
Must not: run the module (that is `witness`) or repair anything.
Flow: `conversion` -> `run` and `constants` (before capture), `tracer_warnings` (during), `reread` (after).
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from coremltools.proto import FeatureTypes_pb2, MIL_pb2, Model_pb2
from torch.jit._trace import TracerWarning

from coreml_driver.canonical import read_specification
from coreml_driver.failures import Failure, PythonLine
from coreml_driver.interface import Feature, Interface
from coreml_driver.witness import FLOAT16_MAX, Sighting, Sightings, kept_tensors, wide_integer

#: Protobuf values of the multi-array element types.
ARRAY_TYPES = {
    FeatureTypes_pb2.ArrayFeatureType.FLOAT16: "float16",
    FeatureTypes_pb2.ArrayFeatureType.FLOAT32: "float32",
    FeatureTypes_pb2.ArrayFeatureType.INT32: "int32",
    FeatureTypes_pb2.ArrayFeatureType.DOUBLE: "float64",
}
#: Conversions to Python values that `witness` sees when they depend on data; what it does not see comes from a shape,
#: which is fixed.
SHAPE_CONVERSION = re.compile(r"Converting a tensor to a Python (boolean|integer|number|float|index)")
#: Tracer warnings about things that are constants as long as shapes are.
HARMLESS_TRACER_WARNINGS = re.compile(
    r"results are registered as constants|Using len to get tensor shape|Iterating over a tensor"
)


def run(sightings: Sightings, repeatable: bool, training: Sequence[str], line: PythonLine | None) -> None:
    """Judge the watched run.

    Called by: `conversion.convert`.
    Parameters: `repeatable` — two runs on the same inputs gave the same outputs; `training` — modules that the run left
    in training
    mode; `line` — of `forward`, for what has no better line.
    Errors: `Failure` of kind `training-mode`, `random`, `written-buffer` or `wide-integer`. What depends on data is
    judged with the
    capture: an export may keep it.
    """
    if training:
        message = (
            f"`forward` puts {', '.join(training)} into training mode, so batch statistics or dropout would be "
            "converted."
        )
        raise Failure("training-mode", message, line, "source.entry", ("Remove `self.train()` from forward.",))
    if sightings.batch_statistics:
        place = sightings.batch_statistics[0].line or line
        message = (
            "A batch normalisation runs in training mode: it uses the statistics of its input instead of the "
            "learned ones."
        )
        raise Failure(
            "training-mode", message, place, "source.entry", ("Pass `training=False`, or `training=self.training`.",)
        )
    if not repeatable:
        _not_repeatable(sightings, line)
    if sightings.written:
        names = ", ".join(f"`{name}`" for name in dict.fromkeys(sighting.what for sighting in sightings.written))
        message = (
            f"`forward` writes to {names}. A captured graph drops such writes: every prediction would start from "
            "the same values."
        )
        cures = (
            "Take the old value as an input and return the new one as an output.",
            "Compute it once, in `__init__`.",
        )
        raise Failure("written-buffer", message, sightings.written[0].line or line, "source.entry", cures)
    if sightings.wide_integers:
        sighting = sightings.wide_integers[0]
        message = (
            f"Core ML's integers have 32 bits; {sighting.what} does not fit and would silently become another number."
        )
        raise Failure(
            "wide-integer",
            message,
            sighting.line or line,
            "source.entry",
            ("Compute with smaller integers or in floating point.",),
        )


def _not_repeatable(sightings: Sightings, line: PythonLine | None) -> None:
    """Say why two runs on the same inputs differ."""
    if sightings.random:
        names = ", ".join(f"`{name}`" for name in dict.fromkeys(sighting.what for sighting in sightings.random))
        message = (
            f"`forward` draws random numbers ({names}): two runs on the same inputs differ, and a converted model "
            "would not follow PyTorch."
        )
        cures = ("For a dropout pass `training=self.training`; a noise take as an input of the model.",)
        raise Failure("random", message, sightings.random[0].line or line, "source.entry", cures)
    if not sightings.written:
        message = (
            "Two runs of `forward` on the same inputs differ: it depends on something that is not an input (a "
            "counter, a clock, a random number)."
        )
        raise Failure("random", message, line, "source.entry", ("Take what changes as an input of the model.",))


def aliases(inputs: Mapping[str, torch.Tensor], outputs: Mapping[str, torch.Tensor], line: PythonLine | None) -> None:
    """Refuse outputs that are an input or another output: coremltools drops or renames one of the two.

    Called by: `conversion`, with the tensors of one run.
    Errors: `Failure` of kind `output-is-input` or `duplicate-output`.
    """
    names: dict[tuple[int, ...], str] = {}
    for name, tensor in outputs.items():
        key = _view(tensor)
        for source, fed in inputs.items():
            if _view(fed) == key:
                message = f"Output `{name}` is input `{source}` unchanged; Core ML has no such outputs."
                cures = (
                    "Remove the output: the caller has that tensor already.",
                    f"If it must be there, return `{source} + 0`.",
                )
                raise Failure("output-is-input", message, line, f"outputs.{name}", cures)
        if key in names:
            message = (
                f"Outputs `{names[key]}` and `{name}` are the same tensor; coremltools would rename or drop one "
                "of them."
            )
            raise Failure("duplicate-output", message, line, f"outputs.{name}", ("Return it once.",))
        names[key] = name


def _view(tensor: torch.Tensor) -> tuple[int, ...]:
    """Return what two tensors share if they are the same view of the same memory."""
    return (tensor.data_ptr(), *tensor.shape, *tensor.stride())


def constants(module: torch.nn.Module, float16: bool, line: PythonLine | None) -> list[str]:
    """Check the numbers that the module keeps.

    Called by: `conversion.convert`.
    Returns: warnings about float16 overflow.
    Errors: `Failure` of kind `wide-integer`.
    """
    found = []
    for name, tensor in kept_tensors(module).items():
        if tensor.numel() == 0:
            continue
        if tensor.dtype == torch.int64:
            wide = wide_integer(tensor)
            if wide is not None:
                message = (
                    f"Core ML's integers have 32 bits; `{name}` holds {wide}, which would silently become another."
                )
                raise Failure(
                    "wide-integer", message, line, "source.entry", ("Keep smaller integers or floating-point numbers.",)
                )
        elif float16 and tensor.is_floating_point():
            largest = float(tensor.abs().nan_to_num(posinf=0.0).max())
            if largest > FLOAT16_MAX:
                found.append(
                    f"`{name}` holds {largest:g}, beyond float16 (65504): it becomes infinite or keeps its "
                    "operation in float32"
                )
    return found


def overflow(sightings: Sightings) -> list[str]:
    """Return a warning when a value of the run is beyond float16.

    Called by: `conversion.convert`, for models that compute in float16.
    """
    if sightings.overflow is None:
        return []
    value, sighting = sightings.overflow
    place = f" at {Path(sighting.line.file).name}:{sighting.line.line}" if sighting.line else ""
    cure = 'compute-precision = "float32", or float32-ops for that operation'
    return [f"`{sighting.what}`{place} gives {value:g}, beyond float16 (65504); if parity fails: {cure}"]


def tracer_warnings(
    caught: Sequence[warnings.WarningMessage], sightings: Sightings, line: PythonLine | None
) -> list[str]:
    """Judge what the tracer warned about.

    A conversion to a Python value is an error where the watched run saw it depend on an input. Elsewhere it comes from
    a
    shape, or from code that treats tracing apart: both are constants as long as shapes are.

    Called by: `capture`.
    Returns: notes about what is harmless while shapes are fixed.
    Errors: `Failure` of kind `data-dependent` or `tracer-warning`.
    """
    notes = []
    for warning in caught:
        if not issubclass(warning.category, TracerWarning):
            continue
        text, place = str(warning.message), (warning.filename, warning.lineno)
        if SHAPE_CONVERSION.search(text):
            for sighting in sightings.data_dependent:
                if place in sighting.stack:
                    raise _data_dependent(sighting, place, line)
        elif not HARMLESS_TRACER_WARNINGS.search(text):
            message = f"The tracer cannot follow this line, so its result would be baked in: {text}"
            raise Failure("tracer-warning", message, PythonLine(*place), "capture", DATA_CURES)
        notes.append(f"{text.split('. ')[0].split(' might ')[0]} ({Path(warning.filename).name}:{warning.lineno})")
    return list(dict.fromkeys(notes))


DATA_CURES = (
    (
        "Choose with tensor operations: `torch.where(condition, a, b)` instead of `if`, a comparison or mask "
        "instead of `.item()`."
    ),
    "If the value is the same for every input, compute it once in `__init__`.",
)


def _data_dependent(sighting: Sighting, place: tuple[str, int], line: PythonLine | None) -> Failure:
    """Return the failure about a value that decides what Python does."""
    where = "here" if sighting.line == PythonLine(*place) else f"in {Path(place[0]).name}, line {place[1]}"
    message = (
        f"A value that depends on the input becomes a Python value {where} (an `if`, a loop, `.item()`, an index): "
        "a trace would bake in what the sample happened to give."
    )
    return Failure("data-dependent", message, sighting.line or line, "capture", DATA_CURES)


def reread(package: Path, interface: Interface, line: PythonLine | None) -> Model_pb2.Model:
    """Compare the package on disk with what was asked for.

    Called by: `conversion.convert`.
    Returns: the specification.
    Errors: `Failure` of kind `changed-interface` or `ignored-input`.
    """
    specification = read_specification(package)
    description = specification.description
    _same("inputs", [_found(item) for item in description.input], list(interface.inputs), line)
    if interface.classifier is None:
        _same("outputs", [_found(item) for item in description.output], list(interface.outputs), line)
    else:
        _same_classifier(specification, interface, line)
    used = _used(_block(specification.mlProgram.functions["main"]))
    ignored = [feature.name for feature in interface.inputs if feature.name not in used]
    if ignored:
        names = ", ".join(f"`{name}`" for name in ignored)
        message = f"No output depends on {names}: the converted model would ignore what it is fed there."
        cure = "Remove the input from the manifest, or use it in forward."
        raise Failure("ignored-input", message, line, f"inputs.{ignored[0]}", (cure,))
    return specification


def _found(item: Any) -> Feature:
    """Return a feature of the specification; anything but a multi-array shows in its dtype."""
    kind = item.type.WhichOneof("Type")
    if kind != "multiArrayType":
        return Feature(item.name, str(kind), ())
    array = item.type.multiArrayType
    field = array.WhichOneof("defaultOptionalValue")
    default = float(getattr(array, field)) if item.type.isOptional and field else None
    return Feature(item.name, ARRAY_TYPES.get(array.dataType, f"type {array.dataType}"), tuple(array.shape), default)


def _same(side: str, found: list[Feature], wanted: list[Feature], line: PythonLine | None) -> None:
    """Compare one side of the interface."""
    if found == wanted:
        return
    words = [
        ", ".join(
            (f"{f.name}: {f.dtype}{list(f.shape)}{'' if f.default is None else f' = {f.default:g}'}") for f in features
        )
        for features in (wanted, found)
    ]
    names = [feature.name for feature in found]
    advice = ["Please report this with the log: the driver should have asked in a way that coremltools keeps."]
    if len(set(names)) < len(names) or (
        side == "outputs" and any(name.endswith(("_type_fp32", "_type_fp16")) for name in names)
    ):
        advice = ["Two outputs have the same value, and coremltools merged them: return it once."]
    message = f"The converted model has other {side} than asked for. Asked: {words[0]}. Found: {words[1]}."
    raise Failure("changed-interface", message, line, side, tuple(advice))


def _same_classifier(specification: Model_pb2.Model, interface: Interface, line: PythonLine | None) -> None:
    """Compare a classifier's two outputs and its labels."""
    classifier, description = interface.classifier, specification.description
    assert classifier is not None
    integers = all(isinstance(label, int) for label in interface.labels)
    wanted = [
        (classifier.label_name, "int64Type" if integers else "stringType"),
        (classifier.probabilities_name, "dictionaryType"),
    ]
    found = [(item.name, str(item.type.WhichOneof("Type"))) for item in description.output]
    named = (description.predictedFeatureName, description.predictedProbabilitiesName)
    labels = _class_labels(specification)
    if found != wanted or named != (classifier.label_name, classifier.probabilities_name) or labels != interface.labels:
        message = (
            f"The converted classifier is another than asked for. Asked: {wanted}, {len(interface.labels)} "
            f"labels. Found: {found}, {len(labels)} labels."
        )
        raise Failure("changed-interface", message, line, "classifier", ("Please report this with the log.",))


def _class_labels(specification: Model_pb2.Model) -> tuple[Any, ...]:
    """Return the labels of the program's `classify` operation."""
    for operation in operations(specification):
        if operation.type == "classify":
            items = operation.inputs["classes"].arguments[0].value.immediateValue.list.values
            tensors = [item.immediateValue.tensor for item in items]
            return tuple(
                (*tensor.strings.values, *tensor.longInts.values, *tensor.ints.values)[0] for tensor in tensors
            )
    return ()


def _block(function: MIL_pb2.Function) -> MIL_pb2.Block:
    """Return the only specialisation of a function: the driver converts for one target."""
    return next(iter(function.block_specializations.values()))


def _operations(block: MIL_pb2.Block) -> Iterator[MIL_pb2.Operation]:
    """Yield all operations, those of nested blocks included.

    Called by: this module and `report`.
    """
    for operation in block.operations:
        yield operation
        for nested in operation.blocks:
            yield from _operations(nested)


def operations(specification: Model_pb2.Model) -> Iterator[MIL_pb2.Operation]:
    """Yield all operations of the program.

    Called by: `report.write`.
    """
    yield from _operations(_block(specification.mlProgram.functions["main"]))


def _used(block: MIL_pb2.Block) -> set[str]:
    """Return the names of all values that the block's outputs depend on."""
    needed = set(block.outputs)
    for operation in reversed(block.operations):
        if needed.isdisjoint(output.name for output in operation.outputs):
            continue
        for inner in (operation, *(nested for body in operation.blocks for nested in _operations(body))):
            for argument in inner.inputs.values():
                needed.update(binding.name for binding in argument.arguments)
        for body in operation.blocks:
            needed.update(body.outputs)
    return needed
