"""What the manifests convert: the front end, the encoder, and one step of the decoder.

Owns: how Whisper is cut for a program that decodes token by token.   Must not: know Core ML.
Flow: the manifests name these functions; `whisper_model.py` has the layers, `reference.py` asks
whether they agree.
"""

import torch
from log_mel import HOP, LogMel
from torch import nn
from whisper_model import SIZES, Whisper, whisper

HIDDEN = -1e4  # added to a score that must not count; half precision has no room for much less


class SpectrogramOfWindow(nn.Module):
    """Samples of one window, [1, frames * HOP], to its spectrogram, [1, mels, frames]."""

    def __init__(self, mels: int) -> None:
        super().__init__()
        self.log_mel = LogMel(mels)

    def forward(self, samples: torch.Tensor) -> dict[str, torch.Tensor]:
        """Returns Whisper's log-mel spectrogram."""
        return {"mel": self.log_mel(samples)}


class EncoderWithCross(nn.Module):
    """A spectrogram to what every step of the decoder attends to: computed once for a window, not
    once for a token."""

    def __init__(self, model: Whisper) -> None:
        super().__init__()
        self.encoder = model.encoder
        self.cross = nn.ModuleList(block.cross_attn for block in model.decoder.blocks)

    def forward(self, mel: torch.Tensor) -> dict[str, torch.Tensor]:
        """Returns keys [layers, heads, width, positions] and values [layers, heads, positions,
        width] of all layers."""
        audio = self.encoder(mel)
        keys = [cross.split(cross.key(audio)).transpose(2, 3) for cross in self.cross]
        values = [cross.split(cross.value(audio)) for cross in self.cross]
        return {"cross_key": torch.cat(keys), "cross_value": torch.cat(values)}


class DecoderStep(nn.Module):
    """One token at its position to the logits of the next. Keys and values of the tokens before it
    are states.

    A layer attends to the cache and to the new token's own key apart, so that both caches are read
    as they were and written once, behind all layers.
    """

    def __init__(self, model: Whisper) -> None:
        super().__init__()
        self.decoder, dimensions = model.decoder, model.dimensions
        layers, heads, length = (
            dimensions.n_text_layer,
            dimensions.n_text_head,
            dimensions.n_text_ctx,
        )
        width = dimensions.n_text_state // heads
        self.scale = width**-0.5
        self.register_buffer("key_cache", torch.zeros(layers, heads, width, length))
        self.register_buffer("value_cache", torch.zeros(layers, heads, length, width))
        self.register_buffer("places", torch.arange(length, dtype=torch.int32), persistent=False)

    def forward(
        self,
        token: torch.Tensor,
        position: torch.Tensor,
        cross_key: torch.Tensor,
        cross_value: torch.Tensor,
    ) -> dict[str, torch.Tensor]:
        """Returns logits, [1, vocabulary]. `token` and `position` are [1]."""
        decoder, length = self.decoder, self.places.shape[0]
        x = (decoder.token_embedding(token) + decoder.positional_embedding[position])[:, None]
        future = (self.places >= position).to(x.dtype) * HIDDEN
        keys, values = [], []
        for layer, block in enumerate(decoder.blocks):
            normal, own = block.attn_ln(x), block.attn
            query = own.split(own.query(normal)) * self.scale
            key, value = own.split(own.key(normal)).transpose(2, 3), own.split(own.value(normal))
            before = query @ self.key_cache[layer : layer + 1] + future
            weights = torch.cat([before, query @ key], dim=-1).softmax(-1)
            seen = (
                weights[..., :length] @ self.value_cache[layer : layer + 1]
                + weights[..., length:] * value
            )
            x = x + own.out(seen.transpose(1, 2).reshape(x.shape))
            keys.append(key)
            values.append(value)
            cross = block.cross_attn
            query = cross.split(cross.query(block.cross_attn_ln(x))) * self.scale
            weights = (query @ cross_key[layer : layer + 1]).softmax(-1)
            seen = weights @ cross_value[layer : layer + 1]
            x = x + cross.out(seen.transpose(1, 2).reshape(x.shape))
            x = x + block.mlp(block.mlp_ln(x))
        p = position[0]
        self.key_cache[:, :, :, p : p + 1] = torch.cat(keys)
        self.value_cache[:, :, p : p + 1] = torch.cat(values)
        return {"logits": decoder.ln(x)[:, 0] @ decoder.token_embedding.weight.t()}


def log_mel(size: str) -> nn.Module:
    """Returns the front end of a size."""
    return SpectrogramOfWindow(SIZES[size].n_mels)


def encoder(size: str, checkpoint: str | None = None) -> nn.Module:
    """Returns the encoder, with the cross attention's keys and values."""
    return EncoderWithCross(whisper(size, checkpoint))


def decoder(size: str, checkpoint: str | None = None) -> nn.Module:
    """Returns a step of the decoder."""
    return DecoderStep(whisper(size, checkpoint))


def samples_of_window(size: str) -> int:
    """Returns how many samples a window has. Called by: `reference.py`."""
    return SIZES[size].frames * HOP
