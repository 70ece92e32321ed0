"""Networks with random weights for the benchmarks.

Owns: architectures only.   Must not: convert; the build and `plain.py` do, each in its own way.
Flow: entries of the benchmarks' manifests, and imports of `plain.py`.
"""

import torch
from torch import nn


def millisecond() -> nn.Module:
    """Returns a network for [1, 3, 64, 64] that a core runs in about a millisecond."""
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 32, 3, stride=2, padding=1),
        nn.ReLU(),
        nn.Conv2d(32, 64, 3, padding=1),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(64, 10),
    )


def convolutions() -> nn.Module:
    """Returns a small convolutional network for [1, 3, 64, 64]."""
    torch.manual_seed(1)
    layers: list[nn.Module] = []
    channels = 3
    for width in (16, 32, 64, 128):
        layers += [
            nn.Conv2d(channels, width, 3, stride=2, padding=1),
            nn.BatchNorm2d(width),
            nn.ReLU(),
        ]
        channels = width
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, 10))


def perceptron() -> nn.Module:
    """Returns a multi-layer perceptron for [1, 256]."""
    torch.manual_seed(2)
    return nn.Sequential(
        nn.Linear(256, 512), nn.GELU(), nn.Linear(512, 512), nn.GELU(), nn.Linear(512, 16)
    )


class Attention(nn.Module):
    """Two blocks of self-attention and a feed-forward layer, for [1, 32, 128]."""

    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(
            nn.ModuleDict(
                {
                    "before": nn.LayerNorm(128),
                    "qkv": nn.Linear(128, 384),
                    "out": nn.Linear(128, 128),
                    "after": nn.LayerNorm(128),
                    "feed": nn.Sequential(nn.Linear(128, 512), nn.GELU(), nn.Linear(512, 128)),
                }
            )
            for _ in range(2)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Returns the encoded sequence, of the shape of `x`."""
        for block in self.blocks:
            q, k, v = (
                part.reshape(1, 32, 4, 32).transpose(1, 2)
                for part in block["qkv"](block["before"](x)).chunk(3, dim=-1)
            )
            attended = nn.functional.scaled_dot_product_attention(q, k, v)
            x = x + block["out"](attended.transpose(1, 2).reshape(1, 32, 128))
            x = x + block["feed"](block["after"](x))
        return x


def attention() -> nn.Module:
    """Returns a small transformer encoder for [1, 32, 128]."""
    torch.manual_seed(3)
    return Attention()


def linear(inputs: int, outputs: int, seed: int = 4) -> nn.Module:
    """Returns one linear layer; `inputs` x `outputs` weights, two bytes each after conversion."""
    torch.manual_seed(seed)
    return nn.Linear(inputs, outputs, bias=False)
