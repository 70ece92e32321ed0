"""The features that a manifest declares, as typed values.

Owns: reading `inputs`, `outputs` and `states` of a canonical table.
Must not: import torch: a request is read before the libraries are.
Flow: `request.understand` -> here -> `shapes`, `samples`, `interface`, `states`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from coreml_driver.failures import Failure

#: The form of a name that coremltools takes as it is.
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
#: Words of MIL's text form: coremltools renames a feature that is called like one of them.
RESERVED_NAMES = frozenset(
    """
    any bool program func tensor list dict tuple true false string state bf16 fp16 fp32 fp64
    int8 int16 int32 int64 uint8 uint16 uint32 uint64
    """.split()
)
#: Keys of an input that this version converts by, with their defaults. A test of coreml-build
#: compares them with the manifest's.
INPUT_KEYS: Mapping[str, Any] = {
    "shape": None,
    "shapes": None,
    "image": None,
    "dtype": "float32",
    "sample": None,
    "default": None,
}

#: Element types of inputs that hold integers.
INTEGERS = frozenset(("int32", "int8"))
#: Sizes of one tensor.
Shape = tuple[int, ...]


@dataclass(frozen=True)
class Range:
    """A dimension whose size the caller of the model chooses."""

    min: int
    max: int
    #: The size with which the graph is captured.
    default: int
    #: Dimensions with the same symbol always have the same size; `None`: it is on its own.
    symbol: str | None


@dataclass(frozen=True)
class Image:
    """How the pixels of an image input become what `forward` takes; each tuple has a number for
    every channel.
    """

    #: `rgb`, `bgr`, `grayscale` or `grayscale-float16`.
    color: str
    scale: tuple[float, ...] | None
    bias: tuple[float, ...] | None
    mean: tuple[float, ...] | None
    std: tuple[float, ...] | None

    @property
    def channels(self) -> int:
        """How many channels the colour has."""
        return channels_of(self.color)

    @property
    def white(self) -> int:
        """The largest raw value of a channel, which torchvision's `ToTensor` makes 1."""
        return 1 if self.color == "grayscale-float16" else 255


@dataclass(frozen=True)
class SampleFiles:
    """Where the samples of an input come from, relative to the package."""

    #: `files` (pictures), `safetensors` or `texts`.
    kind: str
    #: One for each picture, otherwise one.
    paths: tuple[str, ...]
    #: What makes numbers of texts.
    tokenizer: str = ""
    #: What of a tokenized text the input is, by the names of transformers.
    output: str = ""


@dataclass(frozen=True)
class Input:
    """One input feature."""

    name: str
    #: Sizes and ranges, [1, C, H, W] for an image; for enumerated shapes those of the first.
    dimensions: tuple[int | Range, ...]
    #: All shapes when they are enumerated, the default first; otherwise empty.
    shapes: tuple[Shape, ...]
    #: `float16`, `float32`, `int32` or `int8`.
    dtype: str
    #: Bounds of the samples, both included; `None` means standard normal (integers have
    #: `DEFAULT_INTEGER_RANGE`).
    sample_range: tuple[float, float] | None
    #: The value of the first step of a sample; each next step has one more. `None`: random.
    sample_start: float | None
    #: The value that an input takes when a prediction leaves it out; `None` makes it required.
    default: float | None
    #: Present when the input is a picture.
    image: Image | None = None
    #: Whether `sample_range` is not the manifest's, see `ranges`.
    guessed: bool = False
    #: Present when samples come from files.
    files: SampleFiles | None = None
    #: The samples that were read, see `sample_files`: each returns its values in a shape.
    given: tuple[Callable[[Shape], Any], ...] | None = None

    @property
    def shape(self) -> Shape:
        """The default shape: the graph is captured with it."""
        return tuple(size if isinstance(size, int) else size.default for size in self.dimensions)

    @property
    def flexible(self) -> bool:
        """Whether predictions may differ in shape."""
        return len(self.shapes) > 1 or any(isinstance(size, Range) for size in self.dimensions)


@dataclass(frozen=True)
class Output:
    """One output feature that the manifest names."""

    name: str
    #: `None` takes the default of `interface.output_dtype`.
    dtype: str | None
    #: The colour, when the output is a picture.
    color: str | None = None


@dataclass(frozen=True)
class State:
    """One state: a buffer of the module that a prediction reads and writes."""

    name: str
    #: As `named_buffers()` calls it; `None`: it is found by the state's name.
    buffer: str | None
    shape: Shape


def inputs(table: Mapping[str, Any]) -> tuple[Input, ...]:
    """Return the inputs of a model's table.

    Errors: `Failure` of kind `wrong-manifest`, `wrong-name`, `wrong-dtype` or `not-supported`.
    """
    found = tuple(_input(name, value) for name, value in (table.get("inputs") or {}).items())
    if not found:
        raise Failure("wrong-manifest", "The model declares no inputs.", key="inputs")
    return found


def outputs(table: Mapping[str, Any], taken: tuple[Input, ...]) -> list[Output]:
    """Return the outputs that a model's table names; `taken` are its inputs."""
    found = [
        Output(
            name_of(name, "outputs"), value.get("dtype"), (value.get("image") or {}).get("color")
        )
        for name, value in _entries(table, "outputs")
    ]
    for output in found:
        if output.dtype is not None:
            _dtype(output.dtype, f"outputs.{output.name}.dtype")
        if output.name in {declared.name for declared in taken}:
            message = (
                f"`{output.name}` names an input and an output; Core ML needs different names."
            )
            raise Failure("wrong-name", message, key=f"outputs.{output.name}")
    return found


def states(table: Mapping[str, Any]) -> tuple[State, ...]:
    """Return the states of a model's table."""
    return tuple(
        State(name_of(name, "states"), value.get("buffer"), tuple(value["shape"]))
        for name, value in _entries(table, "states")
    )


def _entries(table: Mapping[str, Any], key: str) -> list[tuple[str, Mapping[str, Any]]]:
    """Return names and tables below `key`."""
    return list((table.get(key) or {}).items())


def name_of(name: str, table: str) -> str:
    """Return `name` if coremltools would keep it."""
    if NAME.fullmatch(name) and name not in RESERVED_NAMES:
        return name
    form = "a letter or underscore, then letters, digits and underscores"
    why = (
        f"`{name}` is a word of Core ML's program format"
        if name in RESERVED_NAMES
        else f"`{name}` is not {form}"
    )
    message = f"Core ML would silently rename this feature: {why}."
    raise Failure(
        "wrong-name",
        message,
        key=f"{table}.{name}",
        advice=(f"Name it with {form}, for example `{_legal(name)}`.",),
    )


def _legal(name: str) -> str:
    """Return a legal name close to `name`."""
    legal = re.sub("[^A-Za-z0-9_]", "_", name)
    if legal in RESERVED_NAMES:
        return legal + "_values"
    return legal if re.match("[A-Za-z_]", legal) else "_" + legal


def _dtype(dtype: str, key: str) -> str:
    """Return `dtype` if a multi-array of it exists on every supported target."""
    if dtype in ("float16", "float32", "int32", "int8"):
        return dtype
    cures = {
        "bool": 'Declare `dtype = "int32"` and compare in forward: `mask != 0`.',
        "int64": 'Declare `dtype = "int32"`: Core ML computes with 32-bit integers.',
        "float64": 'Declare `dtype = "float32"`.',
        "bfloat16": 'Declare `dtype = "float16"` or `"float32"`.',
    }
    message = f"Core ML has no `{dtype}` features here; it would silently become another type."
    advice = cures.get(dtype, "Choose float16, float32 or int32.")
    raise Failure("wrong-dtype", message, key=key, advice=(advice,))


def _input(name: str, value: Mapping[str, Any]) -> Input:
    """Return one input; unsupported kinds are refused."""
    key = f"inputs.{name}"
    name_of(name, "inputs")
    for part in value:
        if part not in INPUT_KEYS:
            raise Failure(
                "not-supported", f"`{part}` of an input is not supported yet.", key=f"{key}.{part}"
            )
    value = {**INPUT_KEYS, **value}
    image = None if value["image"] is None else _image(value["image"])
    if image is not None:
        sides = [value["image"]["height"], value["image"]["width"]]
        value["shape"] = [1, image.channels, *sides]
    shapes = tuple(tuple(shape) for shape in value["shapes"] or ())
    dimensions = tuple(
        _dimension(size, f"{key}.shape") for size in (shapes[0] if shapes else value["shape"] or ())
    )
    if not dimensions:
        raise Failure("wrong-manifest", "An input needs a shape.", key=f"{key}.shape")
    sample = value["sample"] or {}
    bounds, start = sample.get("range"), sample.get("start")
    return Input(
        name=name,
        dimensions=dimensions,
        shapes=shapes,
        dtype=_dtype(value["dtype"], f"{key}.dtype"),
        sample_range=(float(bounds[0]), float(bounds[1])) if bounds is not None else None,
        sample_start=None if start is None else float(start),
        default=None if value["default"] is None else float(value["default"]),
        image=image,
        files=_sample_files(sample),
    )


def _sample_files(sample: Mapping[str, Any]) -> SampleFiles | None:
    """Return where samples come from, if it is files."""
    if "files" in sample:
        return SampleFiles("files", tuple(sample["files"]))
    if "safetensors" in sample:
        return SampleFiles("safetensors", (sample["safetensors"],))
    if "texts" in sample:
        texts = sample["texts"]
        return SampleFiles("texts", (texts["file"],), texts["tokenizer"], texts["output"])
    return None


def _image(value: Mapping[str, Any]) -> Image:
    """Return the preprocessing of an image."""
    numbers = {
        key: tuple(map(float, value[key])) if key in value else None
        for key in ("scale", "bias", "mean", "std")
    }
    return Image(value["color"], numbers["scale"], numbers["bias"], numbers["mean"], numbers["std"])


def channels_of(color: str) -> int:
    """Return how many channels a colour has."""
    return 3 if color in ("rgb", "bgr") else 1


def _dimension(size: Any, key: str) -> int | Range:
    """Return one dimension."""
    if isinstance(size, int) and size > 0:
        return size
    if isinstance(size, Mapping):
        return Range(size["min"], size["max"], size.get("default", size["max"]), size.get("symbol"))
    raise Failure("wrong-manifest", f"{size!r} is no size of a dimension.", key=key)
