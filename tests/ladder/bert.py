"""A BERT-like encoder: 4 layers, 256 wide, 4 heads, 5.3 million parameters. The weights are random:
nothing was trained.

Trained encoders have a few channels whose activations are hundreds of times larger than the rest
("outlier features"); they are what half precision and few bits stumble over. `outlier` gives some
channels that size.
"""

import torch
from torch import nn

LAYERS, WIDTH, HEADS, INNER = 4, 256, 4, 1024
WORDS, POSITIONS = 8192, 512
#: What is added to the scores of masked positions; half precision can hold it.
MASKED = -1e4
#: Channels that become large.
LARGE = (17, 101, 202)


class Layer(nn.Module):
    """Attention and a feed-forward network, each with a residual connection and a normalisation."""

    def __init__(self):
        super().__init__()
        self.projection, self.output = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)
        self.first, self.second = nn.Linear(WIDTH, INNER), nn.Linear(INNER, WIDTH)
        self.attention_norm, self.output_norm = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)

    def forward(self, x, mask):
        """Return the hidden states after the layer."""
        heads = (
            self.projection(x)
            .reshape(x.shape[0], x.shape[1], 3, HEADS, WIDTH // HEADS)
            .permute(2, 0, 3, 1, 4)
        )
        q, k, v = heads[0], heads[1], heads[2]
        scores = q @ k.transpose(-1, -2) * (WIDTH // HEADS) ** -0.5 + mask
        attended = (scores.softmax(-1) @ v).permute(0, 2, 1, 3).reshape(x.shape)
        x = self.attention_norm(x + self.output(attended))
        return self.output_norm(x + self.second(nn.functional.gelu(self.first(x))))


class Encoder(nn.Module):
    """Embeddings and layers."""

    def __init__(self, outlier):
        super().__init__()
        self.words, self.positions = nn.Embedding(WORDS, WIDTH), nn.Embedding(POSITIONS, WIDTH)
        self.norm = nn.LayerNorm(WIDTH)
        self.layers = nn.ModuleList(Layer() for _ in range(LAYERS))
        if outlier:
            with torch.no_grad():
                for layer in self.layers:
                    layer.output_norm.weight[list(LARGE)] = outlier

    def forward(self, input_ids, attention_mask):
        """Return the last hidden states."""
        positions = torch.arange(input_ids.shape[1])
        x = self.norm(self.words(input_ids) + self.positions(positions))
        mask = (1.0 - attention_mask[:, None, None, :].to(x.dtype)) * MASKED
        for layer in self.layers:
            x = layer(x, mask)
        return {"hidden": x}


def encoder(outlier=0.0):
    """Make the encoder with the same weights each time."""
    torch.manual_seed(0)
    return Encoder(outlier)
