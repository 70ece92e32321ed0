"""What a module may take: by what its library says, by its layers, by names of parameters.

Owns: the lists of what is tried, in their order, each with its reason.
Must not: run the module.
Flow: `proposal` asks -> tries -> what a run accepts is proposed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import nn

#: How many tokens, steps or rows are proposed.
LENGTH = 16
#: Sizes of pictures: that of most classifiers first.
SIDES = (224, 64, 32, 28, 256, 384, 512)
#: Lengths of signals.
SIGNALS = (64, 1024, 3000, 16000)
#: Frames and sides of volumes.
VOLUMES = ((16, 64), (16, 112), (8, 32))


@dataclass(frozen=True)
class Proposed:
    """An input of the manifest."""

    name: str
    shape: tuple[int, ...]
    dtype: str = "float32"
    #: The least and the greatest value of integers.
    range: tuple[int, int] | None = None
    #: Why just this.
    why: str = ""

    def value(self) -> tuple[Any, ...]:
        """Return all that a run sees."""
        return (self.shape, self.dtype, self.range)

    def named(self, name: str) -> Proposed:
        """Return the same for another parameter."""
        return replace(self, name=name)

    def shaped(self, shape: tuple[int, ...]) -> Proposed:
        """Return the same with another shape."""
        return replace(self, shape=shape)

    def tensor(self) -> torch.Tensor:
        """Return a tensor to try; it has both ends of the range, which a smaller table refuses."""
        if self.range is None:
            return torch.randn(self.shape)
        low, high = self.range
        tensor = torch.randint(low, high + 1, self.shape, dtype=torch.int32)
        if tensor.numel():
            tensor.view(-1)[0] = low
            tensor.view(-1)[-1] = high
        return tensor

    def said(self) -> dict[str, Any]:
        """Return the answer's form."""
        limits = list(self.range) if self.range else None
        return {
            "name": self.name,
            "shape": list(self.shape),
            "dtype": self.dtype,
            "range": limits,
            "why": self.why,
        }

    def __str__(self) -> str:
        """Return it for messages."""
        limits = f" of {self.range[0]} to {self.range[1]}" if self.range else ""
        return f"{self.name}: {self.dtype} {list(self.shape)}{limits}"


def of_library(module: nn.Module) -> list[list[Proposed]]:
    """Return whole sets of inputs that the module's library speaks of."""
    config = getattr(module, "config", None)
    if hasattr(module, "main_input_name") and hasattr(config, "model_type"):
        return _of_transformers(module, config)
    for name in ("default_cfg", "pretrained_cfg"):
        size = (getattr(module, name, None) or {}).get("input_size")
        if size:
            why = f"{' × '.join(map(str, size[1:]))} from timm's {name}"
            return [[Proposed("x", (1, *size), why=why)]]
    return []


def _of_transformers(module: nn.Module, config: Any) -> list[list[Proposed]]:
    """Return what a configuration of transformers speaks of; the fullest set first."""
    from inspect import signature

    main = module.main_input_name
    names = signature(module.forward).parameters
    first = _configured(main, config)
    if first is None:
        return []
    others = []
    if main != "input_ids" and "input_ids" in names and hasattr(config, "text_config"):
        others.append(_configured("input_ids", config))
    if main == "input_ids" and "pixel_values" in names and hasattr(config, "vision_config"):
        others.append(_configured("pixel_values", config))
    if config.is_encoder_decoder and "decoder_input_ids" in names:
        others.append(_configured("decoder_input_ids", config))
    needed = [first, *(one for one in others if one is not None)]
    # A decoder of texts sees no padding; its own mask comes from the positions.
    text = any(one.name == "input_ids" for one in needed)
    causal = "CausalLM" in type(module).__name__ or "LMHead" in type(module).__name__
    mask = Proposed(
        "attention_mask", (1, LENGTH), "int32", (1, 1), "1 for each token: nothing is padding"
    )
    full = [*needed, mask] if text and not causal and "attention_mask" in names else needed
    mask_fits = [replace(one, shape=needed[0].shape) if one is mask else one for one in full]
    sets = [mask_fits if main == "input_ids" else full, needed, [first]]
    order = list(names)
    return [sorted(one, key=lambda it: order.index(it.name)) for one in sets]


def _configured(name: str, config: Any) -> Proposed | None:
    """Return an input of transformers by its name, as far as the configuration tells."""

    def told(*keys: str) -> tuple[str, Any] | None:
        """Return the first key that the configuration, or a part of it, has."""
        parts = [config, *(getattr(config, f"{one}_config", None) for one in ("text", "vision"))]
        for key in keys:
            for part in parts:
                if getattr(part, key, None) is not None:
                    return key, getattr(part, key)
        return None

    if name in ("input_ids", "decoder_input_ids"):
        words = told("vocab_size")
        if words is None:
            return None
        longest = told("max_target_positions", "max_position_embeddings", "n_positions")
        length = min(LENGTH, longest[1]) if longest else LENGTH
        why = f"0 to {words[1] - 1}: vocab_size of config.json is {words[1]}"
        return Proposed(name, (1, length), "int32", (0, words[1] - 1), why)
    if name == "pixel_values":
        sides, channels = told("image_size"), told("num_channels")
        side = sides[1] if sides else SIDES[0]
        side = (side, side) if isinstance(side, int) else tuple(side)
        depth = channels[1] if channels else 3
        source = "image_size of config.json" if sides else "most models of pictures"
        why = f"{side[0]} × {side[1]} from {source}"
        return Proposed(name, (1, depth, *side), why=why)
    if name == "input_features":
        bins, steps = told("num_mel_bins", "feature_size"), told("max_source_positions")
        if bins is None:
            return None
        if steps is not None and config.model_type == "whisper":
            why = f"{bins[1]} bands and 2 · {steps[1]} steps from config.json"
            return Proposed(name, (1, bins[1], 2 * steps[1]), why=why)
        return Proposed(name, (1, 100, bins[1]), why=f"{bins[0]} of config.json is {bins[1]}")
    if name == "input_values":
        bins, steps = told("num_mel_bins"), told("max_length")
        if config.model_type == "audio-spectrogram-transformer" and bins and steps:
            why = f"max_length and num_mel_bins of config.json are {steps[1]} and {bins[1]}"
            return Proposed(name, (1, steps[1], bins[1]), why=why)
        return Proposed(name, (1, 16000), why="a second of sound at 16 kHz")
    return None


def _count(number: int, what: str) -> str:
    """Return a number of things in words."""
    return f"{number} {what}" + ("s" if number != 1 else "")


def of_layer(path: str, layer: nn.Module) -> list[Proposed]:
    """Return what a layer takes, the likely first; nothing for other layers."""
    where = f"the layer `{path}`" if path else "the module"
    floats = lambda shapes, why: [Proposed("", shape, why=why) for shape in shapes]  # noqa: E731
    if isinstance(layer, (nn.Embedding, nn.EmbeddingBag)):
        rows = layer.num_embeddings
        why = f"0 to {rows - 1}: the embedding `{path}` has {rows} rows"
        return [
            Proposed("", shape, "int32", (0, rows - 1), why)
            for shape in ((1, LENGTH), (1,), (1, 1))
        ]
    if isinstance(layer, nn.modules.conv._ConvNd):
        depth = layer.in_channels
        why = f"{where} takes {_count(depth, 'channel')}"
        if isinstance(layer, (nn.Conv1d, nn.ConvTranspose1d)):
            return floats([(1, depth, length) for length in SIGNALS], why)
        if isinstance(layer, (nn.Conv3d, nn.ConvTranspose3d)):
            return floats([(1, depth, time, side, side) for time, side in VOLUMES], why)
        return floats([(1, depth, side, side) for side in SIDES], why)
    if isinstance(layer, nn.RNNBase):
        size = layer.input_size
        shape = (1, LENGTH, size) if layer.batch_first else (LENGTH, 1, size)
        return floats([shape], f"{where} takes {_count(size, 'feature')} a step")
    if isinstance(layer, nn.RNNCellBase):
        return floats(
            [(1, layer.input_size)], f"{where} takes {_count(layer.input_size, 'feature')}"
        )
    if isinstance(layer, nn.Linear):
        size = layer.in_features
        why = f"{where} takes {_count(size, 'feature')}"
        return floats([(1, size), (1, LENGTH, size)], why)
    if isinstance(layer, nn.BatchNorm2d):
        depth = layer.num_features
        return floats(
            [(1, depth, side, side) for side in SIDES], f"{where} takes {_count(depth, 'channel')}"
        )
    if isinstance(layer, nn.BatchNorm1d):
        depth = layer.num_features
        return floats([(1, depth), (1, depth, LENGTH)], f"{where} takes {_count(depth, 'channel')}")
    if isinstance(layer, nn.LayerNorm):
        sizes = tuple(layer.normalized_shape)
        why = f"{where} takes {list(sizes)}"
        return floats([(1, LENGTH, *sizes), (1, *sizes)], why)
    if isinstance(layer, nn.MultiheadAttention):
        return floats(
            [(1, LENGTH, layer.embed_dim)], f"{where} takes {_count(layer.embed_dim, 'feature')}"
        )
    return []


def of_layers(module: nn.Module) -> list[Proposed]:
    """Return what to try for any parameter: what layers take, then common shapes."""
    # The first proposal of each layer before the second ones.
    each = [found for path, layer in module.named_modules() if (found := of_layer(path, layer))]
    each = each[:8]
    longest = max((len(found) for found in each), default=0)
    ordered = [found[turn] for turn in range(longest) for found in each if turn < len(found)]
    why = "no layer tells more: the first of some common shapes that it accepts"
    common = [
        *(Proposed("", shape, why=why) for shape in ((1, 16), (1, 3, 224, 224), (1, 16, 64))),
        Proposed("", (1, LENGTH), "int32", (0, 9), why),
        *(Proposed("", shape, why=why) for shape in ((1, 1, 28, 28), (1, 1, 16000), (1,))),
    ]
    found: dict[Any, Proposed] = {}
    for one in [*ordered, *common]:
        found.setdefault(one.value(), one)
    return list(found.values())


def of_name(name: str, general: Sequence[Proposed]) -> list[Proposed]:
    """Return what to try for a parameter: its name puts some first."""
    word = name.lower()
    first: list[Proposed] = []
    if "mask" in word:
        first = [Proposed("", (1, LENGTH), "int32", (1, 1), "1 for each token, by its name")]
    integers = any(part in word for part in ("ids", "token", "index", "indices"))
    ordered = (
        sorted(general, key=lambda one: (one.dtype == "int32") != integers)
        if integers
        else (list(general))
    )
    return [one.named(name) for one in [*first, *ordered]]
