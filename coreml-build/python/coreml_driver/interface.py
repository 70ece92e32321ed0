"""The features of the package to be: names, shapes and data types, decided before anything is
converted.

Owns: which dtype an output gets, and that nothing changes its type without the manifest saying so.
Must not: ask coremltools what it made of it (that is `checks`).
Flow: result of the original module -> `decide` -> `convert` (what to ask for) and `checks` (what
must have come).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from coreml_driver.failures import Failure, PythonLine
from coreml_driver.features import INTEGERS, NAME, RESERVED_NAMES, Input, Range, Shape, channels_of
from coreml_driver.prepare import Leaf
from coreml_driver.request import Classifier, Model
from coreml_driver.witness import MAX_RANK

#: Element types of PyTorch that have a Core ML counterpart of the same values. Float16 results only
#: arise where a module computes in half precision on purpose; float32 holds them all.
#:
#: Outputs are float32 unless the manifest says otherwise, whatever the compute precision: it works
#: on every target (float16 features need iOS 16), keeps the Rust types the same when the precision
#: is changed, and rounds nothing a second time.
NATURAL_TYPES = {torch.float32: "float32", torch.float16: "float32", torch.int32: "int32"}
FLOATS = ("float16", "float32")
#: Integers that wrap at 8 bits.
NARROW = (torch.int8, torch.uint8)


@dataclass(frozen=True)
class Feature:
    """One input, output or state of the package."""

    name: str
    dtype: str
    #: The default shape. `None` is an output's size that follows the inputs' shapes.
    shape: tuple[int | None, ...]
    #: The value of an input that a prediction leaves out, as its dtype holds it; `None` for a
    #: required input.
    default: float | None = None
    #: Smallest and largest size of each dimension of an input with ranges; otherwise empty.
    ranges: tuple[tuple[int, int], ...] = ()
    #: All shapes of an input with enumerated ones, sorted; otherwise empty.
    shapes: tuple[Shape, ...] = ()
    #: Colour of an image, whose shape is [1, C, H, W]; `None` for a multi-array.
    color: str | None = None

    def __str__(self) -> str:
        """Return the feature as messages spell it."""
        sizes = ["?" if size is None else str(size) for size in self.shape]
        if self.ranges:
            sizes = [f"{low}..{high}" if low != high else str(low) for low, high in self.ranges]
        shape = (
            " or ".join(map(str, map(list, self.shapes)))
            if self.shapes
            else f"[{', '.join(sizes)}]"
        )
        kind = self.dtype if self.color is None else f"{self.color} image"
        return f"{self.name}: {kind}{shape}{'' if self.default is None else f' = {self.default:g}'}"


@dataclass(frozen=True)
class Interface:
    """All features. For a classifier `outputs` is the one tensor of probabilities, which Core ML
    turns into label and dictionary.
    """

    inputs: tuple[Feature, ...]
    outputs: tuple[Feature, ...]
    states: tuple[Feature, ...]
    classifier: Classifier | None
    #: The classes, resolved.
    labels: tuple[str, ...] | tuple[int, ...]


def decide(
    model: Model,
    leaves: Sequence[Leaf],
    results: Sequence[Sequence[torch.Tensor]],
    root: Path,
    line: PythonLine | None,
) -> Interface:
    """Decide the interface.

    Parameters: `results` — the original module's outputs in every run, each with one tensor for
    each of `leaves`, the default shape first; `line` — of `forward`.
    Errors: `Failure` of kind `wrong-dtype`, `wrong-name`, `wrong-outputs` or `wrong-labels`.
    """
    declared = {output.name: output for output in model.outputs or ()}
    inputs = tuple(_input_feature(declared) for declared in model.inputs)
    taken = {feature.name for feature in inputs}
    outputs = []
    for position, leaf in enumerate(leaves):
        result = results[0][position]
        _check_name(leaf.name, taken, line)
        taken.add(leaf.name)
        if result.dim() > MAX_RANK:
            message = (
                f"Output `{leaf.name}` has {result.dim()} dimensions; Core ML only supports "
                "tensors with rank <= "
                f"{MAX_RANK}."
            )
            raise Failure(
                "rank", message, line, f"outputs.{leaf.name}", ("Reshape it before returning it.",)
            )
        if result.dim() == 0:
            message = (
                f"Output `{leaf.name}` is a single number without dimensions, which a Core "
                "ML multi-array cannot be."
            )
            raise Failure(
                "rank",
                message,
                line,
                f"outputs.{leaf.name}",
                ("Return it with one dimension: `.reshape(1)`.",),
            )
        output = declared.get(leaf.name)
        color = None if output is None else output.color
        wanted = None if output is None else output.dtype
        dtype = _output_dtype(leaf.name, result.dtype, wanted, line, model.classifier is not None)
        if dtype == "int8":
            _check_narrow(leaf.name, [outputs[position] for outputs in results], line)
        # A classifier's tensor is no feature of the package: the label and the dictionary made from
        # it are.
        name = leaf.name if model.classifier is None else f"{model.classifier.label_name}_tensor"
        sizes = _sizes(leaf.name, [other[position] for other in results], line)
        if color is not None:
            _check_picture(leaf.name, color, sizes, line)
        outputs.append(Feature(name, dtype, sizes, color=color))
    labels = _labels(model, outputs, root, line)
    states = tuple(Feature(state.name, "float16", state.shape) for state in model.states)
    return Interface(inputs, tuple(outputs), states, model.classifier, labels)


def _check_picture(
    name: str, color: str, sizes: tuple[int | None, ...], line: PythonLine | None
) -> None:
    """Refuse a tensor that is no picture of that colour."""
    if len(sizes) == 4 and sizes[:2] == (1, channels_of(color)) and None not in sizes:
        return
    shape = ", ".join("?" if size is None else str(size) for size in sizes)
    message = (
        f"A {color} image is [1, {channels_of(color)}, height, width] of fixed size; "
        f"`{name}` is [{shape}]."
    )
    raise Failure(
        "wrong-image",
        message,
        line,
        f"outputs.{name}.image",
        ("Reshape it, or choose another `color`.",),
    )


def _sizes(
    name: str, results: Sequence[torch.Tensor], line: PythonLine | None
) -> tuple[int | None, ...]:
    """Return an output's sizes, `None` where they differ between the shapes that were tried."""
    first, *others = (tuple(result.shape) for result in results)
    for other in others:
        if len(other) != len(first):
            message = (
                f"Output `{name}` has {len(first)} dimensions for one shape of the inputs "
                f"and {len(other)} for another."
            )
            cure = "Return it with the same number of dimensions for every shape."
            raise Failure("rank", message, line, f"outputs.{name}", (cure,))
    return tuple(
        sizes[0] if len(set(sizes)) == 1 else None for sizes in zip(first, *others, strict=True)
    )


def _input_feature(declared: Input) -> Feature:
    """Return the feature of a declared input."""
    default = declared.default
    if default is not None:
        default = float(np.dtype(declared.dtype).type(default))
    ranges: tuple[tuple[int, int], ...] = ()
    if any(isinstance(size, Range) for size in declared.dimensions):
        ranges = tuple(
            (size.min, size.max) if isinstance(size, Range) else (size, size)
            for size in declared.dimensions
        )
    shapes = tuple(sorted(declared.shapes)) if len(declared.shapes) > 1 else ()
    color = None if declared.image is None else declared.image.color
    return Feature(declared.name, declared.dtype, declared.shape, default, ranges, shapes, color)


def _check_name(name: str, taken: set[str], line: PythonLine | None) -> None:
    """Refuse a name of the module's own making that coremltools would change."""
    advice = ("Name the outputs in the manifest: `outputs.scores = {}`.",)
    if not NAME.fullmatch(name) or name in RESERVED_NAMES:
        raise Failure(
            "wrong-name",
            f"Core ML would silently rename the output `{name}`.",
            line,
            "outputs",
            advice,
        )
    if name in taken:
        raise Failure(
            "wrong-name",
            f"`{name}` names an input and an output; Core ML needs different names.",
            line,
            "outputs",
            advice,
        )


def _output_dtype(
    name: str, actual: torch.dtype, declared: str | None, line: PythonLine | None, classifier: bool
) -> str:
    """Return an output's dtype; a change of type that nobody asked for is refused."""
    key = f"outputs.{name}.dtype"
    word = str(actual).removeprefix("torch.")
    if actual.is_complex:
        cure = "Return the real and the imaginary part as two outputs: `x.real, x.imag`."
        raise Failure(
            "complex",
            f"Output `{name}` is complex; Core ML has no complex outputs.",
            line,
            key,
            (cure,),
        )
    natural = NATURAL_TYPES.get(actual)
    if declared is None:
        if natural is not None:
            return natural
        message = (
            f"Output `{name}` is {word} in PyTorch; Core ML has no such outputs and would "
            "silently change its type."
        )
        wanted = "float32" if actual.is_floating_point else "int32"
        cure = (
            f'Accept the change in the manifest, `outputs.{name} = {{ dtype = "{wanted}" }}`, or '
            "convert it in "
            f"forward: `.to(torch.{wanted})`."
        )
        if classifier:
            cure = f"Convert it in forward: `.to(torch.{wanted})`."
        raise Failure("wrong-dtype", message, line, key, (cure,))
    if actual.is_floating_point and declared not in FLOATS:
        message = f"Output `{name}` is {word} in PyTorch; as {declared} it would lose its fraction."
        raise Failure(
            "wrong-dtype",
            message,
            line,
            key,
            ('Declare `dtype = "float32"`, or round in forward.',),
        )
    return declared


def _check_narrow(name: str, results: Sequence[torch.Tensor], line: PythonLine | None) -> None:
    """Refuse an output of 8 bits that does not fit into them: what becomes of the rest is nobody's
    promise.
    """
    key = f"outputs.{name}.dtype"
    if results[0].dtype in NARROW:
        word = str(results[0].dtype).removeprefix("torch.")
        message = (
            f"Output `{name}` is {word} in PyTorch, which wraps what is too large; Core ML may not."
        )
        cure = (
            "Return 32 bits, `.round().clamp(-128, 127).to(torch.int32)`: Core ML makes 8 bits "
            "of them."
        )
        raise Failure("wrong-dtype", message, line, key, (cure,))
    lowest, highest = min(int(one.min()) for one in results), max(int(one.max()) for one in results)
    if lowest < -128 or highest > 127:
        message = (
            f"Output `{name}` has values from {lowest} to {highest} in the samples; int8 "
            "holds -128 to 127."
        )
        cure = 'Limit it in forward: `.clamp(-128, 127)`, or declare `dtype = "int32"`.'
        raise Failure("wrong-dtype", message, line, key, (cure,))


def _labels(
    model: Model, outputs: Sequence[Feature], root: Path, line: PythonLine | None
) -> tuple[str, ...] | tuple[int, ...]:
    """Return the classes of a classifier, checked against its output."""
    classifier = model.classifier
    if classifier is None:
        return ()
    if len(outputs) != 1:
        message = (
            "A classifier has one output, the probabilities, but `forward` returns "
            f"{len(outputs)} tensors."
        )
        raise Failure(
            "wrong-outputs", message, line, "classifier", ("Return the probabilities alone.",)
        )
    labels: tuple[str, ...] | tuple[int, ...]
    if isinstance(classifier.labels, str):
        path = root / classifier.labels
        if not path.is_file():
            message = f"The labels `{classifier.labels}` do not exist below {root}."
            raise Failure(
                "missing-file",
                message,
                key="classifier.labels",
                advice=("Correct `classifier.labels`.",),
            )
        labels = tuple(path.read_text(encoding="utf-8").rstrip("\n").split("\n"))
    else:
        labels = classifier.labels
    if len(set(labels)) != len(labels) or "" in labels:
        message = "A label is empty or stands there twice; predictions could not tell them apart."
        raise Failure(
            "wrong-labels",
            message,
            key="classifier.labels",
            advice=("Give every class its own label.",),
        )
    shape = outputs[0].shape
    if shape not in ((len(labels),), (1, len(labels))):
        message = f"There are {len(labels)} labels, but the output has shape {list(shape)}."
        cure = (
            f"Give as many labels as the network has classes, and return [{len(labels)}] or [1, "
            f"{len(labels)}] "
            "probabilities."
        )
        raise Failure("wrong-labels", message, line, "classifier.labels", (cure,))
    return labels


def input_tensor_type(declared: Input) -> torch.dtype:
    """Return the element type in which `forward` gets an input.

    Float16 inputs reach the module as float32 with float16 values: the module computes in float32
    until it is converted. Integers reach it as int64, which is what PyTorch's indexing takes; Core
    ML computes in int32, and `witness` refuses values beyond that.
    """
    return torch.int64 if declared.dtype in INTEGERS else torch.float32
