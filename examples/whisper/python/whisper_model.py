"""Whisper's architecture, with the parameter names of openai-whisper's checkpoints.

Owns: dimensions and layers, and the whole model as it trains. Must not: train, know Core ML or the
manifest.
Flow: `entries.py` cuts the model into what the manifest converts; `train.py` trains the size
"digits".
"""

import math
import re
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional

SEED = 7  # of random weights, where there is no checkpoint


@dataclass(frozen=True)
class Dimensions:
    """`ModelDimensions` of openai-whisper, by its names."""

    n_mels: int
    n_audio_ctx: int  # positions of the encoder: half as many as frames of the spectrogram
    n_audio_state: int
    n_audio_head: int
    n_audio_layer: int
    n_vocab: int
    n_text_ctx: int
    n_text_state: int
    n_text_head: int
    n_text_layer: int

    @property
    def frames(self) -> int:
        """Frames of a window's spectrogram, of 10 ms each."""
        return 2 * self.n_audio_ctx


def _openai(
    state: int, heads: int, layers: int, mels: int = 80, vocabulary: int = 51865
) -> Dimensions:
    return Dimensions(mels, 1500, state, heads, layers, vocabulary, 448, state, heads, layers)


SIZES = {
    # Ten words, four special tokens and 121 timestamps of 50 ms; windows of 6 s.
    "digits": Dimensions(80, 300, 96, 3, 2, 135, 64, 96, 3, 4),
    "tiny": _openai(384, 6, 4),
    "base": _openai(512, 8, 6),
    "small": _openai(768, 12, 12),
    "medium": _openai(1024, 16, 24),
    "large": _openai(1280, 20, 32),
    "large-v3": _openai(1280, 20, 32, mels=128, vocabulary=51866),
}


def sinusoids(length: int, channels: int, max_timescale: float = 10_000) -> torch.Tensor:
    """Returns the fixed positions of the encoder, [length, channels]."""
    step = math.log(max_timescale) / (channels // 2 - 1)
    angle = torch.arange(length)[:, None] * torch.exp(-step * torch.arange(channels // 2))[None]
    return torch.cat([angle.sin(), angle.cos()], dim=1)


class Attention(nn.Module):
    """Attention of several heads. Keys have no bias, as in Whisper."""

    def __init__(self, state: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(state, state)
        self.key = nn.Linear(state, state, bias=False)
        self.value = nn.Linear(state, state)
        self.out = nn.Linear(state, state)

    def split(self, x: torch.Tensor) -> torch.Tensor:
        """[batch, length, state] to [batch, heads, length, state / heads]."""
        batch, length, state = x.shape
        return x.view(batch, length, self.heads, state // self.heads).transpose(1, 2)

    def attend(
        self,
        x: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        mask: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Attends from `x`, [batch, length, state], to keys and values that are split already."""
        seen = functional.scaled_dot_product_attention(
            self.split(self.query(x)), key, value, attn_mask=mask
        )
        return self.out(seen.transpose(1, 2).reshape(x.shape))

    def forward(
        self, x: torch.Tensor, source: torch.Tensor, mask: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Attends from `x` to `source`."""
        return self.attend(x, self.split(self.key(source)), self.split(self.value(source)), mask)


class ResidualAttentionBlock(nn.Module):
    """Attention, cross attention in the decoder, and a feed-forward network, each behind a
    normalisation."""

    def __init__(self, state: int, heads: int, cross_attention: bool = False) -> None:
        super().__init__()
        self.attn, self.attn_ln = Attention(state, heads), nn.LayerNorm(state)
        self.cross_attn = Attention(state, heads) if cross_attention else None
        self.cross_attn_ln = nn.LayerNorm(state) if cross_attention else None
        self.mlp = nn.Sequential(
            nn.Linear(state, 4 * state), nn.GELU(), nn.Linear(4 * state, state)
        )
        self.mlp_ln = nn.LayerNorm(state)

    def forward(
        self, x: torch.Tensor, audio: torch.Tensor | None = None, mask: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Returns [batch, length, state]."""
        normal = self.attn_ln(x)
        x = x + self.attn(normal, normal, mask)
        if self.cross_attn is not None:
            x = x + self.cross_attn(self.cross_attn_ln(x), audio)
        return x + self.mlp(self.mlp_ln(x))


class AudioEncoder(nn.Module):
    """A spectrogram, [batch, mels, frames], to features, [batch, frames / 2, state]."""

    def __init__(self, dimensions: Dimensions) -> None:
        super().__init__()
        state = dimensions.n_audio_state
        self.conv1 = nn.Conv1d(dimensions.n_mels, state, kernel_size=3, padding=1)
        self.conv2 = nn.Conv1d(state, state, kernel_size=3, stride=2, padding=1)
        self.register_buffer("positional_embedding", sinusoids(dimensions.n_audio_ctx, state))
        blocks = (
            ResidualAttentionBlock(state, dimensions.n_audio_head)
            for _ in range(dimensions.n_audio_layer)
        )
        self.blocks = nn.ModuleList(blocks)
        self.ln_post = nn.LayerNorm(state)

    def forward(self, mel: torch.Tensor) -> torch.Tensor:
        """Returns the features of a window."""
        x = functional.gelu(self.conv1(mel))
        x = functional.gelu(self.conv2(x)).transpose(1, 2)
        x = x + self.positional_embedding[: x.shape[1]]
        for block in self.blocks:
            x = block(x)
        return self.ln_post(x)


class TextDecoder(nn.Module):
    """Tokens, [batch, length], and features to logits, [batch, length, vocabulary]: all positions
    at once."""

    def __init__(self, dimensions: Dimensions) -> None:
        super().__init__()
        state = dimensions.n_text_state
        self.token_embedding = nn.Embedding(dimensions.n_vocab, state)
        self.positional_embedding = nn.Parameter(torch.empty(dimensions.n_text_ctx, state))
        blocks = (
            ResidualAttentionBlock(state, dimensions.n_text_head, True)
            for _ in range(dimensions.n_text_layer)
        )
        self.blocks = nn.ModuleList(blocks)
        self.ln = nn.LayerNorm(state)

    def forward(self, tokens: torch.Tensor, audio: torch.Tensor) -> torch.Tensor:
        """Returns the logits of the token behind each position."""
        length = tokens.shape[1]
        x = self.token_embedding(tokens) + self.positional_embedding[:length]
        mask = torch.full((length, length), float("-inf")).triu(1)
        for block in self.blocks:
            x = block(x, audio, mask)
        return self.ln(x) @ self.token_embedding.weight.t()


class Whisper(nn.Module):
    """The whole model."""

    def __init__(self, dimensions: Dimensions) -> None:
        super().__init__()
        self.dimensions = dimensions
        self.encoder = AudioEncoder(dimensions)
        self.decoder = TextDecoder(dimensions)
        nn.init.normal_(self.decoder.token_embedding.weight, std=0.05)
        nn.init.normal_(self.decoder.positional_embedding, std=0.02)


# What transformers calls a part, and what openai-whisper does; the first that fits, from the left.
_NAMES = (
    (r"model\.", ""),
    (r"embed_tokens\.", "token_embedding."),
    (r"embed_positions\.weight", "positional_embedding"),
    (r"self_attn\.", "attn."),
    (r"encoder_attn\.", "cross_attn."),
    (r"self_attn_layer_norm\.", "attn_ln."),
    (r"encoder_attn_layer_norm\.", "cross_attn_ln."),
    (r"final_layer_norm\.", "mlp_ln."),
    (r"fc1\.", "mlp.0."),
    (r"fc2\.", "mlp.2."),
    (r"q_proj\.", "query."),
    (r"k_proj\.", "key."),
    (r"v_proj\.", "value."),
    (r"out_proj\.", "out."),
    (r"layers\.", "blocks."),
)


def _of_transformers(weights: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Returns weights of the library transformers by the names of openai-whisper."""
    renamed = {}
    for name, tensor in weights.items():
        if name == "proj_out.weight":
            continue  # the token embedding once more
        for theirs, ours in _NAMES:
            name = re.sub(r"(^|\.)" + theirs, r"\1" + ours, name)
        name = name.replace("encoder.layer_norm.", "encoder.ln_post.").replace(
            "decoder.layer_norm.", "decoder.ln."
        )
        renamed[name] = tensor
    return renamed


def whisper(size: str, checkpoint: str | None = None) -> Whisper:
    """Returns a model with the weights of a checkpoint, or with random ones that are always the
    same.

    `checkpoint` is a `.safetensors` of this example or of the library transformers
    (`hf download openai/whisper-tiny model.safetensors`), or a `.pt` as openai-whisper downloads
    it. It is opened by Python itself, so that the build sees that the conversion depends on it.
    """
    with torch.random.fork_rng():
        torch.manual_seed(SEED)
        model = Whisper(SIZES[size])
    if checkpoint is None:
        return model.eval()
    if checkpoint.endswith(".safetensors"):
        from safetensors.torch import load

        weights = load(Path(checkpoint).read_bytes())
        if any(name.startswith("model.") for name in weights):
            weights = _of_transformers(weights)
    else:
        with open(checkpoint, "rb") as file:
            weights = torch.load(file, map_location="cpu", weights_only=True)["model_state_dict"]
    model.load_state_dict({name: tensor.float() for name, tensor in weights.items()})
    return model.eval()
