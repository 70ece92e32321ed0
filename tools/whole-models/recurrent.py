"""Recurrent networks: LSTM and GRU.

Owns: architectures and samples. Flow: `make.py` → [`NETWORKS`].
"""

import torch
from network import Network, halves, seed
from torch import nn


class Tagger(nn.Module):
    """A recurrent network of two layers with a head: one output per step, and the last hidden
    state."""

    def __init__(self, kind: type[nn.RNNBase], both: bool) -> None:
        """Makes the parts; `both` reads in both directions."""
        super().__init__()
        self.net = kind(24, 48, num_layers=2, batch_first=True, bidirectional=both)
        self.head = nn.Linear(96 if both else 48, 10)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Returns logits per step and the last hidden state of each layer."""
        y, last = self.net(x)
        return self.head(y), last[0] if isinstance(last, tuple) else last


def lstm() -> Network:
    """Returns a bidirectional LSTM."""
    generator = seed(11)
    return Network(
        Tagger(nn.LSTM, True).eval(), [{"x": halves(generator, 2, 17, 24)}], ("logits", "last")
    )


def lstm_ranged() -> Network:
    """Returns an LSTM for sequences of several lengths."""
    generator = seed(12)
    samples = [{"x": halves(generator, 1, length, 24)} for length in (17, 1, 40)]
    ranges = {"x": {1: (1, 40)}}
    return Network(
        Tagger(nn.LSTM, False).eval(),
        samples,
        ("logits", "last"),
        ranges=ranges,
        variants=("fp32",),
    )


def gru() -> Network:
    """Returns a GRU; coremltools writes it as a loop."""
    generator = seed(13)
    return Network(
        Tagger(nn.GRU, False).eval(), [{"x": halves(generator, 1, 17, 24)}], ("logits", "last")
    )


NETWORKS = {"lstm": lstm, "lstm_ranged": lstm_ranged, "gru": gru}
