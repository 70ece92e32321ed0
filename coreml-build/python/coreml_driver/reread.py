"""The finished package against what was asked for.

Owns: reading features from a specification, and the comparison.
Must not: change the package.
Flow: `convert` has written it -> `reread` -> `states.check_package`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from coremltools.proto import FeatureTypes_pb2, Model_pb2

from coreml_driver import program
from coreml_driver.canonical import read_specification
from coreml_driver.capture import BAKED_CURES
from coreml_driver.failures import Failure, PythonLine
from coreml_driver.features import channels_of
from coreml_driver.interface import Feature, Interface

#: Protobuf values of the multi-array element types.
ARRAY_TYPES = {
    FeatureTypes_pb2.ArrayFeatureType.FLOAT16: "float16",
    FeatureTypes_pb2.ArrayFeatureType.FLOAT32: "float32",
    FeatureTypes_pb2.ArrayFeatureType.INT32: "int32",
    FeatureTypes_pb2.ArrayFeatureType.INT8: "int8",
    FeatureTypes_pb2.ArrayFeatureType.DOUBLE: "float64",
}
#: Protobuf values of the colours.
COLORS = {
    FeatureTypes_pb2.ImageFeatureType.RGB: "rgb",
    FeatureTypes_pb2.ImageFeatureType.BGR: "bgr",
    FeatureTypes_pb2.ImageFeatureType.GRAYSCALE: "grayscale",
    FeatureTypes_pb2.ImageFeatureType.GRAYSCALE_FLOAT16: "grayscale-float16",
}


def reread(package: Path, interface: Interface, line: PythonLine | None) -> Model_pb2.Model:
    """Compare the package on disk with what was asked for.

    Returns: the specification.
    Errors: `Failure` of kind `changed-interface` or `baked-shape`.
    """
    specification = read_specification(package)
    description = specification.description
    _same("inputs", [_found(item) for item in description.input], list(interface.inputs), line)
    _same("states", [_state(item) for item in description.state], list(interface.states), line)
    if interface.classifier is None:
        _same_outputs(specification, list(interface.outputs), line)
    else:
        _same_classifier(specification, interface, line)
    return specification


def check_inputs(
    specification: Model_pb2.Model, names: Sequence[str], line: PythonLine | None
) -> None:
    """Refuse a program that ignores an input.

    Errors: `Failure` of kind `ignored-input`.
    """
    used = program.used(program.block(program.main(specification)))
    ignored = [name for name in names if name not in used]
    if ignored:
        names = ", ".join(f"`{name}`" for name in ignored)
        message = (
            f"No output depends on {names}: the converted model would ignore what it is fed there."
        )
        cure = "Remove the input from the manifest, or use it in forward."
        raise Failure("ignored-input", message, line, f"inputs.{ignored[0]}", (cure,))


def _found(item: Any) -> Feature:
    """Return a feature of the specification; anything but a multi-array shows in its dtype."""
    kind = item.type.WhichOneof("Type")
    if kind == "imageType":
        return _picture(item.name, item.type.imageType)
    if kind != "multiArrayType":
        return Feature(item.name, str(kind), ())
    array = item.type.multiArrayType
    field = array.WhichOneof("defaultOptionalValue")
    default = float(getattr(array, field)) if item.type.isOptional and field else None
    ranges = tuple((size.lowerBound, size.upperBound) for size in array.shapeRange.sizeRanges)
    shapes = tuple(sorted(tuple(shape.shape) for shape in array.enumeratedShapes.shapes))
    return Feature(item.name, _array_type(array), tuple(array.shape), default, ranges, shapes)


def _picture(name: str, image: Any) -> Feature:
    """Return an image of the specification."""
    color = COLORS.get(image.colorSpace, f"color space {image.colorSpace}")
    channels = channels_of(color)
    ranges: tuple[tuple[int, int], ...] = ()
    if image.WhichOneof("SizeFlexibility") == "imageSizeRange":
        sides = (image.imageSizeRange.heightRange, image.imageSizeRange.widthRange)
        ranges = (
            (1, 1),
            (channels, channels),
            *((side.lowerBound, side.upperBound) for side in sides),
        )
    return Feature(
        name, "float32", (1, channels, image.height, image.width), None, ranges, (), color
    )


def _array_type(array: Any) -> str:
    """Return the element type of a multi-array."""
    return ARRAY_TYPES.get(array.dataType, f"type {array.dataType}")


def _state(item: Any) -> Feature:
    """Return a state of the specification."""
    array = item.type.stateType.arrayType
    return Feature(item.name, _array_type(array), tuple(array.shape))


def _same_outputs(
    specification: Model_pb2.Model, wanted: list[Feature], line: PythonLine | None
) -> None:
    """Compare the outputs; where the description says no shape, the program has to follow the
    inputs' shapes.
    """
    found = [_found(item) for item in specification.description.output]
    types = {
        output.name: output.type.tensorType
        for operation in program.block(program.main(specification)).operations
        for output in operation.outputs
    }
    names = [feature.name for feature in wanted]
    for position, feature in enumerate(found):
        if feature.shape or feature.name not in names:
            continue
        dimensions = [
            size.constant.size if size.WhichOneof("dimension") == "constant" else None
            for size in types[feature.name].dimensions
        ]
        asked = wanted[names.index(feature.name)]
        # A size that coremltools does not know may still be one that never differs.
        known = [
            size if size is not None or other is None else other
            for size, other in zip(dimensions, asked.shape, strict=False)
        ]
        found[position] = replace(feature, shape=(*known, *dimensions[len(known) :]))
    for feature, other in zip(found, wanted, strict=False):
        fixed = [
            axis
            for axis, size in enumerate(other.shape)
            if size is None and axis < len(feature.shape)
        ]
        fixed = [axis for axis in fixed if feature.shape[axis] is not None]
        if feature.name == other.name and fixed:
            message = (
                f"coremltools baked a shape in: size {fixed[0]} of output `{other.name}` follows "
                "the inputs' shapes in "
                f"PyTorch, in the converted model it is always {feature.shape[fixed[0]]}."
            )
            raise Failure("baked-shape", message, line, f"outputs.{other.name}", BAKED_CURES)
    _same("outputs", found, wanted, line)


def _same(side: str, found: list[Feature], wanted: list[Feature], line: PythonLine | None) -> None:
    """Compare one side of the interface."""
    if found == wanted:
        return
    words = [", ".join(map(str, features)) for features in (wanted, found)]
    names = [feature.name for feature in found]
    advice = [
        "Please report this with the log: the driver should have asked in a way that coremltools "
        "keeps."
    ]
    if len(set(names)) < len(names) or (
        side == "outputs" and any(name.endswith(("_type_fp32", "_type_fp16")) for name in names)
    ):
        advice = ["Two outputs have the same value, and coremltools merged them: return it once."]
    message = (
        f"The converted model has other {side} than asked for. Asked: {words[0]}. Found: "
        f"{words[1]}."
    )
    raise Failure("changed-interface", message, line, side, tuple(advice))


def _same_classifier(
    specification: Model_pb2.Model, interface: Interface, line: PythonLine | None
) -> None:
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
    if (
        found != wanted
        or named != (classifier.label_name, classifier.probabilities_name)
        or labels != interface.labels
    ):
        message = (
            f"The converted classifier is not the one that was asked for. Asked: {wanted}, "
            f"{len(interface.labels)} "
            f"labels. Found: {found}, {len(labels)} labels."
        )
        raise Failure(
            "changed-interface", message, line, "classifier", ("Please report this with the log.",)
        )


def _class_labels(specification: Model_pb2.Model) -> tuple[Any, ...]:
    """Return the labels of the program's `classify` operation."""
    for operation in program.operations(specification):
        if operation.type == "classify":
            items = operation.inputs["classes"].arguments[0].value.immediateValue.list.values
            tensors = [item.immediateValue.tensor for item in items]
            return tuple(
                (*tensor.strings.values, *tensor.longInts.values, *tensor.ints.values)[0]
                for tensor in tensors
            )
    return ()
