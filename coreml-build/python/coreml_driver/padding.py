"""Padding: what a bucket does to inputs that are shorter than it, and the proof that it changes no
result.

Owns: padded samples, the mask, which outputs are trimmed, and what the package says about all of
it.
Must not: choose lengths (that is `buckets`) or run a module (that is `observation`).
Flow: `observation` -> `padded`, `following`, `compare`; `conversion` -> `describe`, which writes
into the package what `coreml_spec::Buckets` reads.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from coremltools.proto import Model_pb2

from coreml_driver import canonical
from coreml_driver.buckets import Bucket
from coreml_driver.failures import Failure, PythonLine
from coreml_driver.features import Input
from coreml_driver.interface import input_tensor_type
from coreml_driver.samples import Sample, difference

#: Where a package says how its functions are one model: `METADATA_KEY` of
#: `coreml-spec/src/buckets.rs`.
METADATA_KEY = "coreml-build.buckets"
MASKING = (
    "Without padding the values behind the end do not exist; with it `forward` has to leave them "
    "out: attention by a "
    "mask, means over the real positions only.",
    "Convolutions, recurrent layers that run backwards and normalisations over the length see "
    "padding too: multiply by "
    "the mask before each of them, or convert a range of lengths (`{ min, max }` without "
    "`buckets`).",
)


def with_ones(bucket: Bucket, inputs: Sequence[Input], sample: Sample) -> Sample:
    """Return a sample whose mask has ones alone: nothing in it is padding."""
    return _replaced(
        bucket,
        inputs,
        sample,
        lambda name, array: np.ones_like(array) if name == bucket.mask else array,
    )


def padded(bucket: Bucket, inputs: Sequence[Input], sample: Sample) -> Sample:
    """Return a sample with padded inputs, and zeros in the mask where padding stands."""

    def pad(name: str, array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        axes = bucket.axes.get(name)
        if axes is None:
            return array
        behind = [
            (0, bucket.size - size if axis in axes else 0) for axis, size in enumerate(array.shape)
        ]
        value = 0 if name == bucket.mask else bucket.pads[name]
        return np.pad(array, behind, constant_values=value).astype(array.dtype)

    return _replaced(bucket, inputs, sample, pad)


def _replaced(
    bucket: Bucket,
    inputs: Sequence[Input],
    sample: Sample,
    change: Callable[[str, np.ndarray[Any, Any]], np.ndarray[Any, Any]],
) -> Sample:
    """Return a sample whose inputs of the length went through `change`."""
    arrays, tensors, captured = list(sample.arrays), list(sample.tensors), list(sample.captured)
    for position, declared in enumerate(inputs):
        if declared.name in bucket.axes:
            arrays[position] = change(declared.name, arrays[position])
            tensor = torch.from_numpy(arrays[position].copy()).to(input_tensor_type(declared))
            tensors[position] = captured[position] = tensor
    return Sample(tuple(arrays), tuple(tensors), tuple(captured))


def following(
    bucket: Bucket,
    names: Sequence[str],
    full: Sequence[torch.Tensor],
    others: Mapping[int, Sequence[torch.Tensor]],
    line: PythonLine | None,
) -> dict[str, tuple[int, ...]]:
    """Return which dimensions of which outputs have the length.

    Parameters: `full` — outputs at the bucket's size; `others` — outputs at other lengths, at least
    one.
    Errors: `Failure` of kind `bucket-output`.
    """
    found = {}
    for position, (name, one) in enumerate(zip(names, full, strict=True)):
        axes: tuple[int, ...] | None = None
        for length, outputs in others.items():
            two = outputs[position]
            same = [
                axis
                for axis, sizes in enumerate(zip(one.shape, two.shape, strict=False))
                if sizes[0] == sizes[1]
            ]
            moving = tuple(axis for axis in range(one.dim()) if axis not in same)
            known = one.dim() == two.dim() and all(
                (one.shape[axis], two.shape[axis]) == (bucket.size, length) for axis in moving
            )
            if not known or axes not in (None, moving):
                message = (
                    f"Output `{name}` is {list(one.shape)} for a length of {bucket.size} and "
                    f"{list(two.shape)} for "
                    f"{length}: buckets know outputs that have the length of `{bucket.input}`, or "
                    "always the same size."
                )
                cure = (
                    f"Return `{name}` with the length of `{bucket.input}`, or convert a range "
                    "without `buckets`."
                )
                raise Failure("bucket-output", message, line, "buckets", (cure,))
            axes = moving
        if axes:
            found[name] = axes
    return found


def compare(
    bucket: Bucket,
    names: Sequence[str],
    trimmed: Mapping[str, Sequence[int]],
    exact: Sequence[torch.Tensor],
    with_padding: Sequence[torch.Tensor],
    length: int,
    line: PythonLine | None,
) -> None:
    """Refuse a module whose results are others when its inputs are padded: it would compute with
    padding.

    Parameters: `exact` — outputs of the inputs as they are; `with_padding` — outputs of the padded
    inputs.
    Errors: `Failure` of kind `padding-leaks`.
    """
    for name, one, other in zip(names, exact, with_padding, strict=True):
        for axis in trimmed.get(name, ()):
            other = other.narrow(axis, 0, length)
        apart, close = difference([one], [other])
        if not close:
            message = (
                f"Padding leaks: with `{bucket.input}` padded from {length} to {bucket.size}, "
                f"output `{name}` differs "
                f"by up to {apart:g} from what PyTorch gives for the {length} alone."
            )
            masked = (
                f"The mask `{bucket.mask}` is 1 where values are real and 0 behind them: use "
                "it in `forward`."
            )
            unmasked = (
                "Give `forward` a mask as one more input, and name it: `buckets = { …, "
                'mask = "mask" }`.'
            )
            cures = (masked if bucket.mask else unmasked, *MASKING)
            raise Failure("padding-leaks", message, line, "buckets", cures)


def describe(
    package: Path,
    specification: Model_pb2.Model,
    sizes: Sequence[int],
    bucket: Bucket,
    trimmed: Mapping[str, Sequence[int]],
    metadata: Mapping[str, str],
) -> None:
    """Write into the package how its functions are one model.

    Parameters: `bucket` — any of them; `metadata` — the manifest's.
    """
    own: dict[str, Any] = {
        "input": bucket.input,
        "axis": bucket.axis,
        "min": bucket.min,
        "sizes": list(sizes),
        "padded": [
            {"input": name, "axes": bucket.axes[name], "value": value}
            for name, value in bucket.pads.items()
        ],
        "trimmed": [{"output": name, "axes": axes} for name, axes in trimmed.items()],
    }
    if bucket.mask is not None:
        own["mask"] = {"input": bucket.mask, "axis": bucket.axes[bucket.mask][0]}
    text = json.dumps(own, sort_keys=True, separators=(",", ":"))
    specification.description.metadata.userDefined[METADATA_KEY] = text
    canonical.write(package, specification, metadata)
