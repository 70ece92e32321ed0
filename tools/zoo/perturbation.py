"""Random weights under which every layer matters.

Owns: what `perturbed` does to a new module. Copied beside the entries that a run writes.
Must not: change a module's structure, or draw anything that another run would not draw.
Flow: the `model` of each entry's file -> here, in the process that converts.

A new module is a poor test: biases are zeros, scales ones, gates of residual branches 0.00001, and
statistics those of a normal distribution, so that a lost layer changes nothing. Here constants
become random, and a batch normalisation gets the statistics of what really reaches it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from typing import Any

import torch

#: Shape, element type and range of an input.
Declared = tuple[Sequence[int], str, Sequence[float] | None]
#: Below it, a variance is that of a channel that nothing reaches.
SMALLEST_VARIANCE = 1e-4
#: Below this part of the usual deviation of weights, theirs is raised to it.
SMALL = 0.4
#: Samples that give statistics.
BATCH = 8


@torch.no_grad()
def perturbed(module: torch.nn.Module, inputs: Mapping[str, Declared]) -> torch.nn.Module:
    """Return the module in evaluation mode, with random numbers in place of constants."""
    generator = torch.Generator().manual_seed(1)
    module.eval()
    for value in module.parameters():
        if value.is_floating_point() and value.numel() and not value.is_inference():
            _disturb(value, generator)
    _settle(module, inputs, generator)
    for value in module.parameters():
        value.requires_grad_(False)
    return module


def _disturb(value: torch.Tensor, generator: torch.Generator) -> None:
    """Replace a constant by random numbers about it; add a twentieth of noise to others."""
    low, high = value.min(), value.max()
    noise = torch.rand(value.shape, generator=generator, dtype=value.dtype)
    if low != high or value.numel() == 1 and low not in (0.0, 1.0):
        value.mul_(1.0 + 0.1 * (noise - 0.5))
        if value.dim() > 1 and value.numel() > value.shape[0]:
            # A deviation of 0.02 is meant for wide layers: narrow ones would attend to nothing.
            usual = (value.shape[0] / value.numel()) ** 0.5
            if value.std() < SMALL * usual:
                value.mul_(usual / value.std())
    elif abs(float(low)) < 1e-6:
        value.copy_(0.2 * (noise - 0.5))
    elif abs(float(low)) < 0.1:
        value.copy_(0.1 + 0.3 * noise)
    else:
        value.copy_(low * (0.8 + 0.4 * noise))


def _settle(
    module: torch.nn.Module, inputs: Mapping[str, Declared], generator: torch.Generator
) -> None:
    """Give normalisations with kept statistics those of a sample, nearly, as training would."""
    norms = [
        part
        for part in module.modules()
        if isinstance(getattr(part, "running_mean", None), torch.Tensor)
    ]
    if not norms:
        return

    def take(part: Any, arguments: tuple[Any, ...]) -> None:
        given = arguments[0].detach().float()
        rest = [axis for axis in range(given.dim()) if axis != 1]
        if given.numel() == given.shape[1]:
            return
        mean, variance = given.mean(rest), given.var(rest, unbiased=False)
        # A channel that hardly varies in a few samples would magnify others a hundredfold.
        variance = torch.maximum(variance, 0.25 * variance.mean())
        variance = torch.where(variance > SMALLEST_VARIANCE, variance, torch.ones_like(variance))
        part.running_mean.copy_(mean)
        part.running_var.copy_(variance)

    hooks = [part.register_forward_pre_hook(take) for part in norms]
    # Some take one sample only. A module that does not run as declared says so when converted.
    for batch in (BATCH, 1):
        with contextlib.suppress(Exception):
            samples = [
                [_sample(declared, generator) for declared in inputs.values()] for _ in range(batch)
            ]
            module(*(torch.cat(parts) for parts in zip(*samples, strict=True)))
            break
    for hook in hooks:
        hook.remove()
    for part in norms:
        for value in (part.running_mean, part.running_var):
            noise = torch.rand(value.shape, generator=generator, dtype=value.dtype)
            value.mul_(0.9 + 0.2 * noise)


def _sample(declared: Declared, generator: torch.Generator) -> torch.Tensor:
    """Return random numbers of an input's type and range."""
    shape, dtype, bounds = declared
    if dtype.startswith("int"):
        low, high = bounds or (0, 9)
        return torch.randint(int(low), int(high) + 1, tuple(shape), generator=generator).int()
    if bounds:
        return bounds[0] + (bounds[1] - bounds[0]) * torch.rand(tuple(shape), generator=generator)
    return torch.randn(tuple(shape), generator=generator)
