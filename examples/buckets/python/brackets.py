"""A text encoder that finds brackets without a partner.

Owns: the architecture.   Must not: train, read files, know Core ML.
Flow: `brackets.toml` names `checker` as the model's entry; `train.py` trains it.
"""

import torch
from torch import nn
from torch.nn import functional

LONGEST = 64  # characters in a text
CHARACTERS = 128  # ASCII
WIDTH = 64  # numbers for each character
HEADS = 4
LAYERS = 3
MASKED = -1e4  # far below any score, and inside half precision, which -inf is not


class Layer(nn.Module):
    """Attention and a feed-forward network, each behind a normalisation."""

    def __init__(self) -> None:
        super().__init__()
        self.before_attention, self.before_feed = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.project, self.out = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)
        self.feed = nn.Sequential(
            nn.Linear(WIDTH, 2 * WIDTH), nn.GELU(), nn.Linear(2 * WIDTH, WIDTH)
        )

    def forward(self, x: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
        """Returns [batch, length, width]. `bias` is added to the scores of each key: it hides
        padding."""
        batch, length, _ = x.shape
        heads = self.project(self.before_attention(x)).reshape(
            batch, length, 3, HEADS, WIDTH // HEADS
        )
        query, key, value = heads.permute(2, 0, 3, 1, 4).unbind(0)
        seen = functional.scaled_dot_product_attention(query, key, value, attn_mask=bias)
        x = x + self.out(seen.transpose(1, 2).reshape(batch, length, WIDTH))
        return x + self.feed(self.before_feed(x))


class Checker(nn.Module):
    """Characters, [batch, length], to the probability that each is a bracket without a partner, and
    that none is."""

    def __init__(self) -> None:
        super().__init__()
        self.characters, self.positions = (
            nn.Embedding(CHARACTERS, WIDTH),
            nn.Embedding(LONGEST, WIDTH),
        )
        self.layers = nn.ModuleList(Layer() for _ in range(LAYERS))
        self.last = nn.LayerNorm(WIDTH)
        self.of_character, self.of_text = nn.Linear(WIDTH, 1), nn.Linear(WIDTH, 1)

    def forward(self, text: torch.Tensor, mask: torch.Tensor) -> dict[str, torch.Tensor]:
        """Returns probabilities. `mask` is 1 where `text` has a character, and 0 behind its end."""
        real = mask.to(torch.float32)
        position = torch.arange(text.shape[1], device=text.device)
        x = self.characters(text) + self.positions(position)
        bias = ((1.0 - real) * MASKED)[:, None, None, :]
        for layer in self.layers:
            x = layer(x, bias)
        x = self.last(x)
        mean = (x * real[..., None]).sum(1) / real.sum(1, keepdim=True)
        return {
            "unmatched": torch.sigmoid(self.of_character(x).squeeze(-1)),
            "balanced": torch.sigmoid(self.of_text(mean)),
        }


def checker() -> nn.Module:
    """Returns the untrained network. Called by: the driver of the build, `train.py`."""
    return Checker()
