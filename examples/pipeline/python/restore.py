"""The two networks of the pipeline: an encoder that sums a digit up in a few numbers, a decoder
that draws it again.

Owns: the architectures.   Must not: train, read files, know Core ML.
Flow: `restore.toml` names `encoder` and `decoder` as entries of two models; `train.py` trains both
together, so that what the encoder keeps is the digit, and what it drops is the noise.
"""

import torch
from torch import nn

CODE = 24  # numbers in a code; an image has 64


class Encoder(nn.Module):
    """A noisy image, [batch, 1, 8, 8], to its code, [batch, 24]."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(1, 16, kernel_size=3, padding=1),
            nn.GELU(),
            nn.Conv2d(16, 32, kernel_size=3, padding=1, stride=2),
            nn.GELU(),
            nn.Flatten(),
            nn.Linear(32 * 4 * 4, CODE),
        )

    def forward(self, noisy: torch.Tensor) -> torch.Tensor:
        """Returns the code of an image whose pixels are 0 for paper and 1 for ink."""
        return self.layers(noisy)


class Decoder(nn.Module):
    """A code, [batch, 24], to a clean image, [batch, 1, 8, 8]."""

    def __init__(self) -> None:
        super().__init__()
        self.expand = nn.Linear(CODE, 32 * 4 * 4)
        self.layers = nn.Sequential(
            nn.Unflatten(1, (32, 4, 4)),
            nn.GELU(),
            nn.ConvTranspose2d(32, 16, kernel_size=4, stride=2, padding=1),
            nn.GELU(),
            nn.Conv2d(16, 1, kernel_size=3, padding=1),
            nn.Sigmoid(),
        )

    def forward(self, code: torch.Tensor) -> torch.Tensor:
        """Returns the image that the code stands for, each pixel between 0 and 1."""
        return self.layers(self.expand(code))


def encoder() -> nn.Module:
    """Returns the untrained encoder. Called by: the driver of the build, `train.py`."""
    return Encoder()


def decoder() -> nn.Module:
    """Returns the untrained decoder. Called by: the driver of the build, `train.py`."""
    return Decoder()
