"""Sample inputs and what PyTorch makes of them.

Owns: the random inputs, their files, and how two results are compared.
Must not: run a rewritten module for a sample's outputs: they are the original's.
Flow: `conversion` draws inputs, runs the original, captures with them, and writes the first ones
beside the package.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import safetensors.numpy
import torch

from coreml_driver import images, sample_files
from coreml_driver.features import INTEGERS, Input, Shape
from coreml_driver.interface import Interface, input_tensor_type
from coreml_driver.request import DEFAULT_INTEGER_RANGE, Model
from coreml_driver.shapes import Choice

#: How far a captured graph may be from the original, relative to the largest value: the same
#: float32 kernels in the same order give the same bits, a fused kernel may differ in the last ones;
#: a baked-in branch differs visibly.
CAPTURE_TOLERANCE = 1e-4


#: A picture without a brighter pixel is black to the eye: its network gives 0 to 1.
DARK = 1.5

#: How many values of an integer input without a declared range are small.
SMALL_SHARE = 0.25
#: How far a sum of probabilities may be from one.
PROBABILITY_TOLERANCE = 1e-2


@dataclass(frozen=True)
class Sample:
    """One draw of all inputs."""

    #: As a prediction would be fed, by the manifest's dtypes.
    arrays: tuple[npt.NDArray[np.generic], ...]
    #: The same values as `forward` takes them.
    tensors: tuple[torch.Tensor, ...]
    #: The same values as a captured graph takes them: pixels of an image are raw.
    captured: tuple[torch.Tensor, ...]


@dataclass(frozen=True)
class Run:
    """Predictions of the original module, one after the other."""

    #: Inputs and outputs of each; a model without states has one.
    steps: tuple[tuple[Sample, tuple[torch.Tensor, ...]], ...]
    #: What the states are at the end.
    states: tuple[torch.Tensor, ...] = ()


def draw(model: Model, choice: Choice, index: int, step: int = 0) -> Sample:
    """Draw the inputs of step number `step` of sample number `index`.

    Parameters: `choice` — a shape for every input.
    Returns: values that depend on nothing but the input's name, its keys in the manifest, the shape
    and the numbers; those of files where there are so many samples.
    """
    arrays = tuple(
        _values(declared, shape, index, step, model.parity.seed_of(declared.name, index, step))
        for declared, shape in zip(model.inputs, choice, strict=True)
    )
    return assemble(model.inputs, arrays)


def assemble(inputs: Sequence[Input], arrays: Sequence[npt.NDArray[np.generic]]) -> Sample:
    """Return a sample of given values.

    Parameters: `arrays` — of the manifest's dtypes.
    """
    captured = tuple(
        torch.from_numpy(array.copy()).to(input_tensor_type(declared))
        for declared, array in zip(inputs, arrays, strict=True)
    )
    tensors = tuple(
        tensor if declared.image is None else images.preprocess(declared.image, array)
        for declared, array, tensor in zip(inputs, arrays, captured, strict=True)
    )
    return Sample(tuple(arrays), tensors, captured)


def _values(
    declared: Input, shape: Shape, index: int, step: int, seed: int
) -> npt.NDArray[np.generic]:
    """Draw the values of one input."""
    kind = {"int32": np.int32, "int8": np.int8, "float16": np.float16}.get(
        declared.dtype, np.float32
    )
    given = sample_files.values(declared, shape, index)
    if given is not None:
        return given.astype(kind)
    if declared.sample_start is not None:
        return np.full(shape, declared.sample_start + step, kind)
    random = np.random.Generator(np.random.PCG64(seed))
    if declared.image is not None:
        return images.draw(declared.image, shape, declared.sample_range, random)
    if declared.dtype in INTEGERS:
        default = (-128.0, 127.0) if declared.dtype == "int8" else DEFAULT_INTEGER_RANGE
        low, high = declared.sample_range or default
        drawn = random.integers(int(low), int(high), shape, dtype=np.int32, endpoint=True)
        if declared.guessed:
            # What tells zeros from other numbers is to see some.
            small = random.integers(*map(int, DEFAULT_INTEGER_RANGE), shape, dtype=np.int32)
            small = np.minimum(small, np.int32(high))
            drawn = np.where(random.random(shape) < SMALL_SHARE, small, drawn)
        return drawn.astype(kind)
    if declared.sample_range is None:
        values = random.standard_normal(shape, dtype=np.float32)
    else:
        low, high = declared.sample_range
        values = (low + (high - low) * random.random(shape, dtype=np.float32)).astype(np.float32)
    return np.asarray(values, dtype=kind)


def write(folder: Path, index: int, run: Run, interface: Interface) -> None:
    """Write a sample as `INDEX.safetensors` with the keys `in/NAME` and `out/NAME`.

    With states it has `stepN/in/NAME` and `stepN/out/NAME` for predictions in a row that begin with
    zeroed states, and `final_state/NAME` for what the states are at the end.

    Parameters: `run` — the original module's, outputs in the interface's order. A classifier's are
    its probabilities and the index of the largest one.
    """
    tensors = {}
    for number, (sample, outputs) in enumerate(run.steps):
        prefix = f"step{number}/" if interface.states else ""
        tensors |= {
            f"{prefix}{key}": array for key, array in _arrays(sample, outputs, interface).items()
        }
    for state, value in zip(interface.states, run.states, strict=True):
        tensors[f"final_state/{state.name}"] = value.to(torch.float32).contiguous().numpy()
    folder.mkdir(exist_ok=True)
    safetensors.numpy.save_file(tensors, folder / f"{index}.safetensors")


def _arrays(
    sample: Sample, outputs: Sequence[torch.Tensor], interface: Interface
) -> dict[str, npt.NDArray[np.generic]]:
    """Return the arrays of one prediction by their keys."""
    tensors = {
        f"in/{feature.name}": array
        for feature, array in zip(interface.inputs, sample.arrays, strict=True)
    }
    if interface.classifier is not None:
        probabilities = outputs[0].to(torch.float32).reshape(-1).numpy()
        tensors[f"out/{interface.classifier.probabilities_name}"] = probabilities
        tensors[f"out/{interface.classifier.label_name}"] = np.array(
            [probabilities.argmax()], dtype=np.int32
        )
    else:
        for feature, output in zip(interface.outputs, outputs, strict=True):
            kind = torch.int32 if feature.dtype in INTEGERS else torch.float32
            if feature.color is not None and feature.color != "grayscale-float16":
                output = output.clamp(0, images.WHITE)  # what a picture of 8 bits can hold
            tensors[f"out/{feature.name}"] = output.to(kind).contiguous().numpy()
    return tensors


def remarks(interface: Interface, runs: Sequence[Run]) -> list[str]:
    """Return warnings about outputs that make a poor reference."""
    found = []
    for position, feature in enumerate(interface.outputs):
        values = [outputs[position].to(torch.float64) for run in runs for _, outputs in run.steps]
        if not all(bool(value.isfinite().all()) for value in values):
            found.append(
                f"output `{feature.name}` has values that are not finite in PyTorch itself, for "
                "random inputs"
            )
        elif feature.color is not None and feature.color != "grayscale-float16":
            low = min(float(value.min()) for value in values)
            high = max(float(value.max()) for value in values)
            if low < 0 or high > images.WHITE or high <= DARK:
                found.append(
                    f"the pixels of image output `{feature.name}` lie between {low:.3g} and "
                    f"{high:.3g} for random "
                    "inputs; a picture has 0 to 255: did you mean to multiply by 255, or to clamp?"
                )
        elif interface.classifier is not None:
            sums = [float(value.sum()) for value in values]
            if any(abs(total - 1.0) > PROBABILITY_TOLERANCE for total in sums) or any(
                bool((value < 0).any()) for value in values
            ):
                found.append(
                    f"the classifier's probabilities sum to {sums[0]:.3g}: did you mean to end "
                    "with softmax?"
                )
    return found


def difference(first: Sequence[torch.Tensor], second: Sequence[torch.Tensor]) -> tuple[float, bool]:
    """Compare two runs.

    Returns: the largest absolute difference of a value (infinite where shapes or types differ or
    only one is finite), and whether it is within `CAPTURE_TOLERANCE`.
    """
    largest, close = 0.0, True
    for one, other in zip(first, second, strict=True):
        if one.shape != other.shape or one.dtype != other.dtype:
            return float("inf"), False
        a, b = one.to(torch.float64), other.to(torch.float64)
        same = (a == b) | (a.isnan() & b.isnan())
        apart = torch.where(same, torch.zeros_like(a), (a - b).abs().nan_to_num(nan=float("inf")))
        if apart.numel() == 0:
            continue
        finite = a[a.isfinite()]
        scale = float(finite.abs().max()) if finite.numel() else 0.0
        largest = max(largest, float(apart.max()))
        close &= float(apart.max()) <= CAPTURE_TOLERANCE * max(scale, 1e-3)
    return largest, close
