"""Samples that come from files: pictures, tensors, tokenized texts.

Owns: reading them, and bringing them to the shape that a run has.
Must not: look for files: the build script has expanded patterns and found every file.
Flow: `conversion` -> `prepared` gives the inputs their values -> `samples.draw` asks `values`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import safetensors.numpy

from coreml_driver.failures import Failure
from coreml_driver.features import Image, Input, Range, SampleFiles, Shape
from coreml_driver.request import Model

#: What Pillow calls the pixels of each colour.
MODES = {"rgb": "RGB", "bgr": "RGB", "grayscale": "L", "grayscale-float16": "F"}
#: Tokens that tokenizers call their padding, where their file does not say how they pad.
PADDING_TOKENS = ("[PAD]", "<pad>", "<|pad|>", "<|endoftext|>")


def prepared(model: Model, root: Path) -> Model:
    """Read the samples of all inputs that have files.

    Returns: the model with as many samples as there are, at most those that the manifest asks for.
    Errors: `Failure` of kind `wrong-samples` or `missing-module`, at the input.
    """
    lengths = {} if model.bucket is None else model.bucket.axes
    inputs = tuple(
        one
        if one.files is None
        else replace(one, given=_read(one, one.files, root, lengths.get(one.name, ())))
        for one in model.inputs
    )
    counts = [len(one.given) for one in inputs if one.given is not None]
    if not counts:
        return model
    kept = min(model.parity.samples, *counts)
    return replace(model, inputs=inputs, parity=replace(model.parity, samples=kept))


def values(declared: Input, shape: Shape, index: int) -> npt.NDArray[np.generic] | None:
    """Return the values of sample `index` in a shape; `None` where there are fewer samples."""
    if declared.given is None or index >= len(declared.given):
        return None
    return declared.given[index](shape)


def _read(
    declared: Input, files: SampleFiles, root: Path, lengths: Sequence[int]
) -> tuple[Any, ...]:
    """Return a function for each sample, which takes the shape.

    Parameters: `lengths` — the dimensions of the input that are a bucket's length.
    """
    if files.kind == "files":
        assert declared.image is not None, "the build script has checked it"
        return _pictures(declared, declared.image, [root / path for path in files.paths])
    if files.kind == "safetensors":
        return _tensors(declared, root / files.paths[0], lengths)
    return _texts(declared, root / files.paths[0], root / files.tokenizer, files.output)


def _pictures(declared: Input, image: Image, paths: Sequence[Path]) -> tuple[Any, ...]:
    """Decode pictures; each is scaled over the size that it shall have, and cut at its centre."""
    key = f"inputs.{declared.name}.sample.files"
    try:
        from PIL import Image as pillow
        from PIL import ImageOps
    except ImportError as error:
        raise _missing("Pillow", "pillow", key) from error

    def picture(path: Path) -> Any:
        try:
            with pillow.open(path) as opened:
                decoded = ImageOps.exif_transpose(opened).convert("RGB")
        except Exception as error:
            message = f"{path} is no picture that Pillow reads: {error}."
            raise Failure("wrong-samples", message, key=key) from error
        mode = MODES[image.color]
        if mode != "RGB":
            decoded = decoded.convert("L")

        def sized(shape: Shape) -> npt.NDArray[np.generic]:
            fitted = ImageOps.fit(decoded, (shape[3], shape[2]), pillow.Resampling.BILINEAR)
            pixels = np.asarray(fitted, np.float32)
            if mode == "RGB":
                pixels = pixels.transpose(2, 0, 1)
                pixels = pixels[::-1] if image.color == "bgr" else pixels
            elif mode == "F":
                # A white pixel of such a picture is 1.
                pixels = np.asarray(pixels / 255, np.float16).astype(np.float32)
            return np.ascontiguousarray(pixels).reshape(shape)

        return sized

    return tuple(picture(path) for path in paths)


def _tensors(declared: Input, path: Path, lengths: Sequence[int]) -> tuple[Any, ...]:
    """Read a tensor whose first dimension counts samples; the others are the input's."""
    key = f"inputs.{declared.name}.sample.safetensors"
    try:
        found = safetensors.numpy.load_file(path)
    except Exception as error:
        message = f"{path} is no file of safetensors: {error}."
        raise Failure("wrong-samples", message, key=key) from error
    if declared.name not in found:
        names = ", ".join(f"`{name}`" for name in sorted(found)) or "none"
        message = f"{path} has no tensor `{declared.name}`; it has {names}."
        raise Failure("wrong-samples", message, key=key)
    tensor = found[declared.name]
    free = {
        axis
        for axis, size in enumerate(declared.dimensions)
        if isinstance(size, Range) or axis in lengths
    } | ({*range(len(declared.shape))} if declared.shapes else set())
    sizes = tensor.shape[1:]
    if len(sizes) != len(declared.shape) or any(
        found != wanted and axis not in free
        for axis, (found, wanted) in enumerate(zip(sizes, declared.shape, strict=True))
    ):
        shown = ", ".join(map(str, ("N", *declared.shape)))
        message = (
            f"The tensor `{declared.name}` of {path} has the shape {list(tensor.shape)}, but "
            f"samples of this input have [{shown}]."
        )
        raise Failure("wrong-samples", message, key=key)
    if not len(tensor):
        message = f"The tensor `{declared.name}` of {path} has no sample."
        raise Failure("wrong-samples", message, key=key)
    if not np.isfinite(tensor.astype(np.float64)).all():
        message = f"The tensor `{declared.name}` of {path} has values that are not finite."
        raise Failure("wrong-samples", message, key=key)

    def sized(sample: npt.NDArray[np.generic]) -> Any:
        def values(shape: Shape) -> npt.NDArray[np.generic]:
            """Cut what is longer, and put zeros behind what is shorter."""
            padded = np.zeros(shape, sample.dtype)
            common = tuple(map(min, zip(sample.shape, shape, strict=True)))
            place = tuple(slice(size) for size in common)
            padded[place] = sample[place]
            return padded

        return values

    return tuple(sized(sample) for sample in tensor)


def _texts(declared: Input, path: Path, tokenizer_path: Path, output: str) -> tuple[Any, ...]:
    """Tokenize texts; each is cut or padded to the length that it shall have."""
    key = f"inputs.{declared.name}.sample.texts"
    try:
        from tokenizers import Tokenizer
    except ImportError as error:
        raise _missing("tokenizers", "tokenizers", key) from error
    try:
        tokenizer = Tokenizer.from_file(str(tokenizer_path))
    except Exception as error:
        message = f"{tokenizer_path} is no file of the library tokenizers: {error}."
        raise Failure(
            "wrong-samples", message, key=f"inputs.{declared.name}.sample.tokenizer"
        ) from error
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError as error:
        message = f"{path} is no text in UTF-8: {error}."
        raise Failure("wrong-samples", message, key=key) from error
    texts = [line for line in lines if line.strip()]
    if not texts:
        raise Failure("wrong-samples", f"{path} has no text.", key=key)
    own = tokenizer.padding or {}
    known = [token for token in PADDING_TOKENS if tokenizer.token_to_id(token) is not None]
    token = own.get("pad_token") or (known[0] if known else PADDING_TOKENS[0])
    padding = own.get("pad_id", tokenizer.token_to_id(token) or 0)
    special = tokenizer.num_special_tokens_to_add(False)
    attribute = {"input_ids": "ids", "token_type_ids": "type_ids"}.get(output, output)

    def sized(text: str) -> Any:
        def values(shape: Shape) -> npt.NDArray[np.generic]:
            length = int(np.prod(shape, dtype=np.int64))
            if length > special:
                tokenizer.enable_truncation(length)
            else:
                tokenizer.no_truncation()  # what it adds alone is longer
            tokenizer.enable_padding(pad_id=padding, pad_token=token, length=length)
            found = getattr(tokenizer.encode(text), attribute)[:length]
            return np.asarray(found, np.int64).reshape(shape)

        return values

    return tuple(sized(text) for text in texts)


def _missing(library: str, package: str, key: str) -> Failure:
    """Return the failure of a library that is not installed."""
    message = f"The samples are read by {library}, and this Python does not have it."
    cure = f'Add `dependencies = ["{package}"]` to `[python]`, or install it with `{package}`.'
    return Failure("missing-module", message, key=key, advice=(cure,))
