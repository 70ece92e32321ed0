"""What a network is here: a module with random weights, and samples to convert and compare it with.

Owns: [`Network`], seeds, and what random weights need to behave as trained ones.
Must not: convert.
Flow: the families (`vision.py`, `text.py`, `speech.py`, `recurrent.py`) make them; `package.py`
writes them.
"""

import dataclasses
from collections.abc import Callable

import torch
from torch import nn

Sample = dict[str, torch.Tensor]


@dataclasses.dataclass
class Network:
    """A module, its interface and samples."""

    module: nn.Module
    """In evaluation mode. Its buffers called as `states` says are the states."""
    samples: list[Sample]
    """Inputs by name, in the order of `forward`; the first is the one that is traced. Steps of a
    stateful network."""
    outputs: tuple[str, ...]
    """Names of the outputs."""
    states: tuple[str, ...] = ()
    """Names of the buffers that are states."""
    ranges: dict[str, dict[int, tuple[int, int]]] = dataclasses.field(default_factory=dict)
    """For each input of varying shape: smallest and largest size of an axis."""
    target: str = "iOS16"
    """Minimum deployment target."""
    variants: tuple[str, ...] = ("fp32", "fp16")
    """Which of `compression.VARIANTS` are made of it."""
    onnx: Callable[[], "Network"] | None = None
    """Makes the network that PyTorch exports to ONNX, where that is another: states become inputs
    and outputs."""
    exportable: bool = True
    """Whether PyTorch's exporter can write it at all; it has no complex numbers."""


def seed(number: int) -> torch.Generator:
    """Seeds PyTorch for the weights and returns a generator for the samples."""
    torch.manual_seed(number)
    return torch.Generator().manual_seed(number + 1000)


def halves(generator: torch.Generator, *shape: int) -> torch.Tensor:
    """Returns normal random numbers that half precision holds exactly, so that every input type
    takes them."""
    return torch.randn(*shape, generator=generator).half().float()


def tokens(generator: torch.Generator, limit: int, *shape: int) -> torch.Tensor:
    """Returns random 32-bit integers below `limit`."""
    return torch.randint(0, limit, shape, generator=generator, dtype=torch.int32)


@torch.no_grad()
def settle(module: nn.Module, sample: Sample) -> nn.Module:
    """Gives batch normalisations the statistics of a batch, as training would, and returns the
    module for evaluation.

    With the statistics of a new module the numbers of deep networks shrink to nothing, and nothing
    could be compared.
    """
    norms = [part for part in module.modules() if isinstance(part, nn.modules.batchnorm._BatchNorm)]
    for norm in norms:
        norm.momentum = None
        norm.weight.uniform_(0.8, 1.2)
        norm.bias.uniform_(-0.2, 0.2)
    module.train()
    dropouts = [part for part in module.modules() if isinstance(part, nn.Dropout)]
    for dropout in dropouts:
        dropout.eval()
    batch = [torch.cat([value, value.flip(-1), 0.5 * value, -value]) for value in sample.values()]
    module(*batch)
    for norm in norms:
        norm.momentum = 0.1
    return module.eval()
