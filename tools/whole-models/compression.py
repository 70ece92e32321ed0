"""Variants of a network: precisions, and weights compressed without loss.

Owns: how weights are rounded *before* PyTorch computes the reference, so that coremltools'
compression loses nothing more and the comparison stays as tight as that of the uncompressed
network.
Flow: `package.py` calls [`prepare`], converts, and calls [`compress`].
"""

import copy

import coremltools as ct
import coremltools.optimize.coreml as cto
import torch
from torch import nn
from torch.fx.experimental.optimization import fuse

# For each variant: precision of the program, and the kind of compression.
VARIANTS = {
    "fp32": ("FLOAT32", None),
    "fp16": ("FLOAT16", None),
    "int8": ("FLOAT16", "int8"),
    "int4": ("FLOAT16", "int4"),
    "palettized": ("FLOAT16", "palettized"),
    "sparse": ("FLOAT16", "sparse"),
}

# Weights with fewer elements stay as they are.
SMALLEST = 2048
# Elements of an int4 weight that share a scale.
BLOCK = 32
# Entries of the table of 6-bit palettized weights.
ENTRIES = 64


@torch.no_grad()
def prepare(module: nn.Module, kind: str | None) -> nn.Module:
    """Returns the module with weights that the compression holds exactly."""
    if kind is None:
        return module
    # coremltools folds batch normalisation into convolutions; here that is done before, so that the
    # weights stay as set.
    module = fuse(module) if folds(module) else copy.deepcopy(module)
    for weight in module.parameters():
        if weight.dim() > 1 and weight.numel() > SMALLEST:
            weight.copy_(ROUNDINGS[kind](weight))
    return module.eval()


def folds(module: nn.Module) -> bool:
    """Returns whether a network has batch normalisations; only those are traced to fold them."""
    return any(isinstance(part, nn.BatchNorm2d) for part in module.modules())


def int8(weight: torch.Tensor) -> torch.Tensor:
    """Rounds to 8 bits with a scale for each output channel."""
    flat = weight.flatten(1)
    scale = (flat.abs().amax(dim=1, keepdim=True) / 127).half().float()
    return ((flat / scale).round().clamp(-127, 127) * scale).reshape(weight.shape)


def int4(weight: torch.Tensor) -> torch.Tensor:
    """Rounds to 4 bits with a scale for each block of input channels; other weights than matrices
    to 8 bits."""
    if weight.dim() != 2 or weight.shape[1] % BLOCK:
        return int8(weight)
    blocks = weight.unflatten(1, (-1, BLOCK))
    scale = (blocks.abs().amax(dim=2, keepdim=True) / 7).half().float()
    return ((blocks / scale).round().clamp(-7, 7) * scale).reshape(weight.shape)


def palettized(weight: torch.Tensor) -> torch.Tensor:
    """Rounds to one of 64 values, those that cut the weights into equal parts."""
    flat = weight.flatten()
    places = (torch.arange(ENTRIES) + 0.5) / ENTRIES * (flat.numel() - 1)
    table = flat.sort().values[places.long()].half().float()
    return table[torch.bucketize(flat, (table[1:] + table[:-1]) / 2)].reshape(weight.shape)


def sparse(weight: torch.Tensor) -> torch.Tensor:
    """Sets the smaller half to zero."""
    return torch.where(weight.abs() < weight.abs().median(), 0.0, weight)


ROUNDINGS = {"int8": int8, "int4": int4, "palettized": palettized, "sparse": sparse}


def compress(model: ct.models.MLModel, kind: str | None) -> ct.models.MLModel:
    """Returns the converted model with its weights compressed."""
    configs = {
        "int8": cto.OpLinearQuantizerConfig(
            mode="linear_symmetric", dtype="int8", weight_threshold=SMALLEST
        ),
        "int4": cto.OpLinearQuantizerConfig(
            mode="linear_symmetric",
            dtype="int4",
            granularity="per_block",
            block_size=BLOCK,
            weight_threshold=SMALLEST,
        ),
        "palettized": cto.OpPalettizerConfig(mode="unique", weight_threshold=SMALLEST),
        "sparse": cto.OpThresholdPrunerConfig(
            threshold=1e-12, minimum_sparsity_percentile=0.3, weight_threshold=SMALLEST
        ),
    }
    calls = {
        "int8": cto.linear_quantize_weights,
        "int4": cto.linear_quantize_weights,
        "palettized": cto.palettize_weights,
        "sparse": cto.prune_weights,
    }
    if kind is None:
        return model
    # What consumes weights that the rounding has prepared, and what may share a small constant with
    # those.
    types = dict.fromkeys(("linear", "conv", "gather", "layer_norm"), configs[kind])
    return calls[kind](model, cto.OptimizationConfig(op_type_configs=types))
