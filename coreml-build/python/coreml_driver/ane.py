"""The opt-in rewrite of known modules into blocks of the shape (batch, channels, 1, sequence) for
the Neural Engine.

Owns: which modules are known, what each becomes, and the refusal of what is not known.
Must not: be trusted: `observation` compares the rewritten module with the original on every sample.
Flow: `observation` -> `rewrite` after the last run of the original.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import torch
from torch import nn

from coreml_driver.failures import Failure, PythonLine

#: What is added to the score of a masked position: its weight is zero in float32 and float16, and
#: the sum of two is finite in float16.
MASKED = -1e4
#: The manifest's key.
KEY = "rewrite"
#: What to do when a module cannot be rewritten.
CURES = ('Remove `rewrite = ["ane"]`: the model converts without it.',)


def rewrite(module: nn.Module, line: PythonLine | None) -> int:
    """Replace every `nn.TransformerEncoderLayer`, and the encoders that run them.

    Returns: how many layers were replaced.
    Errors: `Failure` of kind `unknown-rewrite`, when there is none or one cannot be replaced.
    """
    users = Counter(
        id(one)
        for owner in module.modules()
        for one in owner._parameters.values()
        if one is not None
    )
    blocks: dict[int, Layer] = {}
    for name, layer in module.named_modules():
        if isinstance(layer, nn.TransformerEncoderLayer):
            reason = _obstacle(layer, users)
            if reason or layer is module:
                what = f"`{name or 'the module itself'}`"
                message = (
                    f"The rewrite for the Neural Engine does not know {what}: "
                    f"{reason or 'it is the whole model'}."
                )
                raise Failure("unknown-rewrite", message, line, KEY, CURES)
            blocks[id(layer)] = Layer(layer).eval()
    if not blocks:
        message = (
            "The rewrite for the Neural Engine found nothing that it knows: it knows "
            "`nn.TransformerEncoderLayer`."
        )
        raise Failure("unknown-rewrite", message, line, KEY, CURES)
    for parent in list(module.modules()):
        for name, child in list(parent._modules.items()):
            if id(child) in blocks:
                parent._modules[name] = blocks[id(child)]
    _replace_encoders(module, line)
    for block in blocks.values():
        for parameter in block.parameters():
            parameter.requires_grad_(False)
    return len(blocks)


def _obstacle(layer: nn.TransformerEncoderLayer, users: Counter[int]) -> str:
    """Return why a layer cannot be replaced; nothing when it can."""
    attention = layer.self_attn
    if (
        type(layer) is not nn.TransformerEncoderLayer
        or type(attention) is not nn.MultiheadAttention
    ):
        return "it is of a class of its own"
    if any(type(norm) is not nn.LayerNorm for norm in (layer.norm1, layer.norm2)):
        return "its norms are no `nn.LayerNorm`"
    if not attention.batch_first:
        return "it needs `batch_first=True`"
    if not attention._qkv_same_embed_dim or attention.bias_k is not None or attention.add_zero_attn:
        return "its attention has extra keys or values"
    if any(child._forward_hooks or child._forward_pre_hooks for child in layer.modules()):
        return "it has hooks"
    if any(hasattr(child, "parametrizations") for child in layer.modules()):
        return "it has parametrizations"
    if any(users[id(parameter)] > 1 for parameter in layer.parameters()):
        return "it shares parameters with another module"
    return ""


def _replace_encoders(module: nn.Module, line: PythonLine | None) -> None:
    """Replace every `nn.TransformerEncoder`, which looks into its layers."""
    replaced: dict[int, Encoder] = {}
    for parent in list(module.modules()):
        for name, child in list(parent._modules.items()):
            if type(child) is nn.TransformerEncoder and all(
                isinstance(one, Layer) for one in child.layers
            ):
                parent._modules[name] = replaced.setdefault(id(child), Encoder(child).eval())
    if any(isinstance(child, nn.TransformerEncoder) for child in module.modules()):
        message = (
            "The rewrite for the Neural Engine does not know a subclass of "
            "`nn.TransformerEncoder`, or one alone."
        )
        raise Failure("unknown-rewrite", message, line, KEY, CURES)


def _to_block(x: torch.Tensor) -> torch.Tensor:
    """Return (batch, sequence, channels) as (batch, channels, 1, sequence)."""
    if x.dim() != 3:
        raise ValueError(
            f"an encoder layer takes (batch, sequence, channels), not {x.dim()} dimensions"
        )
    return x.transpose(1, 2).unsqueeze(2)


def _from_block(x: torch.Tensor) -> torch.Tensor:
    """Return (batch, channels, 1, sequence) as (batch, sequence, channels)."""
    return x.squeeze(2).transpose(1, 2)


def _added(mask: torch.Tensor) -> torch.Tensor:
    """Return what a mask adds to the scores."""
    if mask.dtype == torch.bool:
        return torch.zeros_like(mask, dtype=torch.float32).masked_fill(mask, MASKED)
    return mask.clamp(min=MASKED)


def _mask(mask: torch.Tensor | None, padding: torch.Tensor | None) -> torch.Tensor | None:
    """Return what both masks add to the scores, as (batch or 1, keys, 1, queries)."""
    found = None
    if mask is not None:
        if mask.dim() != 2:
            raise ValueError(
                "a mask of each head is not known: a mask has the dimensions (sequence, sequence)"
            )
        found = _added(mask).transpose(0, 1)[None, :, None, :]
    if padding is not None:
        padded = _added(padding)[:, :, None, None]
        found = padded if found is None else found + padded
    return found


class Norm(nn.Module):
    """A layer norm over the channels of a block."""

    def __init__(self, norm: nn.LayerNorm) -> None:
        """Take over the parameters of `norm`."""
        super().__init__()
        self.weight, self.bias, self.eps = norm.weight, norm.bias, norm.eps

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Normalise."""
        x = x - x.mean(1, keepdim=True)
        x = x * torch.rsqrt((x * x).mean(1, keepdim=True) + self.eps)
        x = x if self.weight is None else x * self.weight.view(1, -1, 1, 1)
        return x if self.bias is None else x + self.bias.view(1, -1, 1, 1)


def _convolution(weight: torch.Tensor, bias: torch.Tensor | None) -> nn.Conv2d:
    """Return the convolution of 1×1 that does what a linear layer of these parameters does."""
    convolution = nn.Conv2d(weight.shape[1], weight.shape[0], 1, bias=bias is not None)
    convolution.weight = nn.Parameter(weight.detach()[:, :, None, None].clone())
    if bias is not None:
        convolution.bias = nn.Parameter(bias.detach().clone())
    return convolution


class Layer(nn.Module):
    """An encoder layer as a block, with the attention of each head by itself."""

    def __init__(self, layer: nn.TransformerEncoderLayer) -> None:
        """Take over the parameters of `layer`."""
        super().__init__()
        attention = layer.self_attn
        size = self.head = attention.embed_dim // attention.num_heads
        weights = attention.in_proj_weight.chunk(3)
        biases = (
            [None] * 3 if attention.in_proj_bias is None else list(attention.in_proj_bias.chunk(3))
        )
        scale = size**-0.5
        self.query = _convolution(
            weights[0] * scale, None if biases[0] is None else biases[0] * scale
        )
        self.key, self.value = (
            _convolution(weights[1], biases[1]),
            _convolution(weights[2], biases[2]),
        )
        self.out = _convolution(attention.out_proj.weight, attention.out_proj.bias)
        self.first = _convolution(layer.linear1.weight, layer.linear1.bias)
        self.second = _convolution(layer.linear2.weight, layer.linear2.bias)
        self.norm1, self.norm2 = Norm(layer.norm1), Norm(layer.norm2)
        self.activation, self.norm_first = layer.activation, layer.norm_first

    def attend(self, x: torch.Tensor, mask: torch.Tensor | None) -> torch.Tensor:
        """Return the attention of all heads."""
        queries, values = self.query(x).split(self.head, 1), self.value(x).split(self.head, 1)
        keys = self.key(x).transpose(1, 3).split(self.head, 3)
        heads = []
        for query, key, value in zip(queries, keys, values, strict=True):
            scores = torch.einsum("bchq,bkhc->bkhq", query, key)
            scores = scores if mask is None else scores + mask
            heads.append(torch.einsum("bkhq,bchk->bchq", scores.softmax(1), value))
        return self.out(torch.cat(heads, 1))

    def feed(self, x: torch.Tensor) -> torch.Tensor:
        """Return the feed-forward part."""
        return self.second(self.activation(self.first(x)))

    def block(self, x: torch.Tensor, mask: torch.Tensor | None) -> torch.Tensor:
        """Run on a block."""
        if self.norm_first:
            x = x + self.attend(self.norm1(x), mask)
            return x + self.feed(self.norm2(x))
        x = self.norm1(x + self.attend(x, mask))
        return self.norm2(x + self.feed(x))

    def forward(
        self,
        src: torch.Tensor,
        src_mask: torch.Tensor | None = None,
        src_key_padding_mask: torch.Tensor | None = None,
        is_causal: bool = False,
    ) -> torch.Tensor:
        """Run as the original did. Parameters: `is_causal` — a hint about the mask, which comes
        with it.
        """
        return _from_block(self.block(_to_block(src), _mask(src_mask, src_key_padding_mask)))


class Encoder(nn.Module):
    """An encoder whose layers hand blocks to each other."""

    def __init__(self, encoder: Any) -> None:
        """Take over the layers of `encoder`."""
        super().__init__()
        self.layers, self.norm = encoder.layers, encoder.norm

    def forward(
        self,
        src: torch.Tensor,
        mask: torch.Tensor | None = None,
        src_key_padding_mask: torch.Tensor | None = None,
        is_causal: bool | None = None,
    ) -> torch.Tensor:
        """Run as the original did."""
        x, added = _to_block(src), _mask(mask, src_key_padding_mask)
        for layer in self.layers:
            x = layer.block(x, added)
        return _from_block(x) if self.norm is None else self.norm(_from_block(x))
