"""The network of the quickstart: it tells the handwritten digits 0 to 9 apart.

Owns: the architecture.   Must not: train, read files, know Core ML.
Flow: `digits.toml` names `classifier` as its entry; `train.py` trains what it returns.
"""

import torch
from torch import nn

CLASSES = 10


class DigitClassifier(nn.Module):
    """Three convolutions and two linear layers: 8x8 grey pixels to one probability per digit."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 16, kernel_size=3, padding=1),
            nn.BatchNorm2d(16),
            nn.ReLU(),
            nn.Conv2d(16, 32, kernel_size=3, padding=1),
            nn.BatchNorm2d(32),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(32, 64, kernel_size=3, padding=1),
            nn.BatchNorm2d(64),
            nn.ReLU(),
            nn.MaxPool2d(2),
        )
        self.head = nn.Sequential(
            nn.Flatten(),
            nn.Linear(64 * 2 * 2, 64),
            nn.ReLU(),
            nn.Dropout(0.3),
            nn.Linear(64, CLASSES),
        )

    def logits(self, image: torch.Tensor) -> torch.Tensor:
        """Returns one unnormalised score per digit; training works on these.

        Parameters: `image` is [batch, 1, 8, 8], 0 for paper and 1 for ink.
        """
        return self.head(self.features(image))

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Returns one probability per digit, [batch, 10]."""
        return torch.softmax(self.logits(image), dim=1)


def classifier() -> nn.Module:
    """Returns the untrained network: the manifest's `weights` are loaded into it.

    Called by: the driver of the build, `train.py`.
    """
    return DigitClassifier()
