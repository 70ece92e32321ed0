"""Images: from raw pixels to what the module takes.

Owns: the preprocessing, as PyTorch spells it for the reference and as a layer in front of the
module for the package.
Must not: decide sizes (that is `shapes`).
Flow: `samples` draws pixels and preprocesses them for the original -> `prepare.Flat` has the layer
-> `convert` asks for an `ImageType` without scale and bias: coremltools makes operations of the
program of them, as of this layer.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch

from coreml_driver.features import Image

#: Largest value of a channel with 8 bits.
WHITE = 255


class Preprocessing(torch.nn.Module):
    """`x * scale + bias`, per channel."""

    def __init__(self, image: Image) -> None:
        """Fold what the manifest says into one factor and one summand."""
        super().__init__()
        factor, summand = _linear(image)
        self.register_buffer("scale", _per_channel(factor))
        self.register_buffer("bias", _per_channel(summand))

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """Return what the module takes. Parameters: `pixels` — [1, C, H, W], raw."""
        return pixels * self.scale + self.bias


def layer(image: Image) -> torch.nn.Module | None:
    """Return the layer to put in front of the module, or `None` when it takes raw pixels."""
    factor, summand = _linear(image)
    return (
        None
        if all(one == 1 for one in factor) and not any(summand)
        else Preprocessing(image).eval()
    )


def preprocess(image: Image, pixels: npt.NDArray[np.generic]) -> torch.Tensor:
    """Return what PyTorch's own preprocessing makes of raw pixels: `ToTensor` and `Normalize` of
    torchvision.
    """
    x = torch.from_numpy(pixels.astype(np.float32))
    if image.mean is None and image.std is None:
        factor, summand = _linear(image)
        return x * _per_channel(factor) + _per_channel(summand)
    x = x / image.white
    mean, std = image.mean or (0.0,) * image.channels, image.std or (1.0,) * image.channels
    return (x - _per_channel(mean)) / _per_channel(std)


def draw(
    image: Image,
    shape: tuple[int, ...],
    bounds: tuple[float, float] | None,
    random: np.random.Generator,
) -> npt.NDArray[np.generic]:
    """Draw raw pixels: whole numbers for colours of 8 bits.

    Parameters: `bounds` — smallest and largest value; all of them by default.
    """
    low, high = bounds or (0, image.white)
    if image.white == WHITE:
        return random.integers(int(low), int(high), shape, dtype=np.int32, endpoint=True).astype(
            np.float32
        )
    return np.asarray(
        low + (high - low) * random.random(shape, dtype=np.float32), np.float16
    ).astype(np.float32)


def _linear(image: Image) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return factor and summand per channel."""
    if image.mean is None and image.std is None:
        return image.scale or (1.0,) * image.channels, image.bias or (0.0,) * image.channels
    mean, std = image.mean or (0.0,) * image.channels, image.std or (1.0,) * image.channels
    factor = tuple(1 / (image.white * one) for one in std)
    return factor, tuple(-m / s for m, s in zip(mean, std, strict=True))


def _per_channel(values: tuple[float, ...]) -> torch.Tensor:
    """Return values as a tensor that multiplies channels of [1, C, H, W]."""
    return torch.tensor(values, dtype=torch.float32).reshape(1, -1, 1, 1)
