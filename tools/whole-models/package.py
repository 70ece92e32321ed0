"""From a network to `NAME.mlpackage` and `NAME.safetensors`, and to `NAME.onnx` for comparisons of
speed.

Owns: the call of coremltools, and the keys of the samples.
Flow: `make.py` → [`write`] for each variant of each network.

Keys: `in/NAME` and `out/NAME`; `step{i}/in/NAME`, `step{i}/out/NAME` where there are several
samples, which for a stateful network are steps from states of zeros, with `final_state/NAME` after
the last.
"""

import copy
import logging
import pathlib
import shutil
import warnings

import compression
import coremltools as ct
import numpy as np
import safetensors.numpy
import torch
from network import Network, Sample

warnings.filterwarnings("ignore")
logging.disable(logging.WARNING)

TYPES = {torch.float32: np.float32, torch.int32: np.int32}


def write(folder: pathlib.Path, name: str, network: Network, variant: str) -> pathlib.Path:
    """Converts one variant and writes package and samples; returns the package's path."""
    precision, kind = compression.VARIANTS[variant]
    module = compression.prepare(network.module, kind)
    model = compression.compress(convert(network, module, precision), kind)
    path = folder / f"{name}-{variant}.mlpackage"
    shutil.rmtree(path, ignore_errors=True)
    model.save(str(path))
    safetensors.numpy.save_file(samples(network, module), path.with_suffix(".safetensors"))
    return path


def convert(network: Network, module: torch.nn.Module, precision: str) -> ct.models.MLModel:
    """Converts without loading: no Core ML is needed."""
    first = network.samples[0]
    # Conversion may write the states that tracing does.
    traced = torch.jit.trace(copy.deepcopy(module), tuple(first.values()), check_trace=False)
    inputs = [
        ct.TensorType(
            name=name, shape=shape(value, network.ranges.get(name, {})), dtype=TYPES[value.dtype]
        )
        for name, value in first.items()
    ]
    buffers = dict(module.named_buffers())
    states = [
        ct.StateType(ct.TensorType(shape=buffers[name].shape, dtype=np.float16), name=name)
        for name in network.states
    ]
    return ct.convert(
        traced,
        inputs=inputs,
        outputs=[ct.TensorType(name=name, dtype=np.float32) for name in network.outputs],
        states=states or None,
        convert_to="mlprogram",
        minimum_deployment_target=getattr(ct.target, network.target),
        compute_precision=getattr(ct.precision, precision),
        skip_model_load=True,
    )


def shape(value: torch.Tensor, ranges: dict[int, tuple[int, int]]) -> ct.Shape:
    """Returns the shape of an input, with the ranges of its axes."""
    size = lambda axis, size: ct.RangeDim(*ranges[axis], default=size) if axis in ranges else size  # noqa: E731
    return ct.Shape([size(axis, length) for axis, length in enumerate(value.shape)])


@torch.no_grad()
def samples(network: Network, module: torch.nn.Module) -> dict[str, np.ndarray]:
    """Returns the samples with PyTorch's results in single precision."""
    buffers = dict(module.named_buffers())
    for name in network.states:
        buffers[name].zero_()
    tensors = {}
    several = len(network.samples) > 1 or bool(network.states)
    for number, sample in enumerate(network.samples):
        prefix = f"step{number}/" if several else ""
        results = module(*sample.values())
        results = results if isinstance(results, tuple) else (results,)
        for key, value in named("in", sample) + named(
            "out", dict(zip(network.outputs, results, strict=True))
        ):
            assert value.isfinite().all(), f"{key} is not finite"
            tensors[prefix + key] = np.ascontiguousarray(value.numpy())
    for name in network.states:
        tensors[f"final_state/{name}"] = buffers[name].numpy().copy()
        buffers[name].zero_()
    return tensors


def named(group: str, sample: Sample) -> list[tuple[str, torch.Tensor]]:
    """Returns tensors with the keys of their group."""
    return [(f"{group}/{name}", value) for name, value in sample.items()]


def export(folder: pathlib.Path, name: str, network: Network) -> None:
    """Writes what PyTorch's own exporter makes of the network."""
    network = network.onnx() if network.onnx else network
    first = network.samples[0]
    axes = {
        name: {axis: f"{name}_{axis}" for axis in ranges} for name, ranges in network.ranges.items()
    }
    torch.onnx.export(
        network.module,
        tuple(first.values()),
        str(folder / f"{name}.onnx"),
        input_names=list(first),
        output_names=list(network.outputs),
        dynamic_axes=axes or None,
        opset_version=17,
        dynamo=False,
    )
