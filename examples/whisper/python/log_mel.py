"""Whisper's log-mel spectrogram as a module of convolutions, which Core ML can run.

Owns: the front end's numbers.   Must not: know sizes of models beyond `mels`, read files.
Flow: `entries.py` and `train.py` use it; `src/log_mel.rs` is the same on the CPU, without Core ML.
"""

import numpy as np
import torch
from torch import nn
from torch.nn import functional

RATE = 16_000
N_FFT = 400  # samples of a frame: 25 ms
HOP = 160  # samples from frame to frame: 10 ms
FLOOR = 1e-10  # of a band's power, before the logarithm
RANGE = 8.0  # decades below the loudest band that are kept


def mel_filters(mels: int) -> torch.Tensor:
    """Returns Slaney's mel bands from 0 to 8 kHz, [mels, N_FFT / 2 + 1], each of unit area."""
    breakpoint_mel, per_mel = (
        15.0,
        np.log(6.4) / 27,
    )  # linear below 1 kHz (200 / 3 Hz a mel), logarithmic above
    edges = np.linspace(0.0, breakpoint_mel + np.log(RATE / 2 / 1000) / per_mel, mels + 2)
    hertz = np.where(
        edges < breakpoint_mel, edges * 200 / 3, 1000 * np.exp(per_mel * (edges - breakpoint_mel))
    )
    frequencies = np.linspace(0, RATE / 2, N_FFT // 2 + 1)
    slopes, widths = hertz[:, None] - frequencies[None], np.diff(hertz)
    triangles = np.maximum(
        0, np.minimum(-slopes[:-2] / widths[:-1, None], slopes[2:] / widths[1:, None])
    )
    return torch.tensor(triangles * (2 / (hertz[2:] - hertz[:-2]))[:, None], dtype=torch.float32)


class LogMel(nn.Module):
    """Samples, [batch, samples], to a spectrogram, [batch, mels, samples / HOP]."""

    def __init__(self, mels: int) -> None:
        super().__init__()
        time = torch.arange(N_FFT, dtype=torch.float64)
        window = 0.5 - 0.5 * torch.cos(2 * torch.pi * time / N_FFT)  # Hann, periodic
        angle = (
            2
            * torch.pi
            * torch.arange(N_FFT // 2 + 1, dtype=torch.float64)[:, None]
            * time[None]
            / N_FFT
        )
        basis = torch.cat([angle.cos(), angle.sin()]) * window
        self.register_buffer("basis", basis.float()[:, None], persistent=False)
        self.register_buffer("filters", mel_filters(mels), persistent=False)

    def forward(self, samples: torch.Tensor) -> torch.Tensor:
        """Returns the spectrogram of a window, scaled by the window's own loudest band."""
        padded = functional.pad(samples[:, None], (N_FFT // 2, N_FFT // 2), mode="reflect")
        parts = functional.conv1d(padded, self.basis, stride=HOP)[
            ..., :-1
        ]  # the last frame is dropped, as in Whisper
        real, imaginary = parts.split(N_FFT // 2 + 1, dim=1)
        power = self.filters @ (real * real + imaginary * imaginary)
        logarithm = torch.log10(torch.clamp(power, min=FLOOR))
        loudest = logarithm.amax(dim=(1, 2), keepdim=True)
        return (torch.maximum(logarithm, loudest - RANGE) + 4.0) / 4.0


def log_mel(samples: torch.Tensor, filters: torch.Tensor) -> torch.Tensor:
    """Returns what `LogMel` does, by torch's own FFT: the reference, and faster for training."""
    window = torch.hann_window(N_FFT)
    spectrum = torch.stft(samples, N_FFT, HOP, window=window, return_complex=True)[..., :-1]
    logarithm = torch.log10(torch.clamp(filters @ spectrum.abs().square(), min=FLOOR))
    return (torch.maximum(logarithm, logarithm.amax(dim=(1, 2), keepdim=True) - RANGE) + 4.0) / 4.0
