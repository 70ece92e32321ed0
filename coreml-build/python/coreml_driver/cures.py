"""Options of libraries that a user would have to know, set on a module that was made without them.

Owns: which option of which library, and the modules that have it.
Must not: import a library; change results: every capture is compared with the module as it was.
Flow: `observation` -> `plain_experts`; `conversion` -> `plain_attention`, when no capture converts.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from typing import Any

import torch

#: What transformers calls experts whose weights are gathered and multiplied at once.
BATCHED = "batched_mm"
#: What it calls layers that are written in plain operations.
EAGER = "eager"
#: Options of attention in plain operations, as the driver's advice spells them.
PLAIN = f'attn_implementation="{EAGER}"'
FUSED = "timm.layers.set_fused_attn(False)"
WHISPER = "whisper.model.MultiHeadAttention.use_sdpa = False"
ATTENTION = (PLAIN, FUSED, WHISPER)


def plain_experts(module: torch.nn.Module) -> str | None:
    """Let the experts of transformers be products that a graph can have: by default their tokens
    are sorted by expert, for a kernel of its own.

    Returns: the option that was set, if there are experts.
    """
    chosen = None
    for model in _pretrained(module):
        able = getattr(model, "_can_set_experts_implementation", lambda: False)
        if able() and model.config._experts_implementation not in (EAGER, BATCHED):
            model.set_experts_implementation(BATCHED)
            chosen = f'experts_implementation="{BATCHED}"'
    return chosen


def plain_attention(module: torch.nn.Module) -> tuple[list[str], Callable[[], None]]:
    """Let layers of attention be written in plain operations.

    Returns: the options that were set, and what sets them back.
    """
    told: list[str] = []
    undo: list[Callable[[], None]] = []
    for model in _pretrained(module):
        before = model.config._attn_implementation
        if before in (None, EAGER):
            continue
        model.set_attn_implementation(EAGER)
        undo.append(_setting(model, before))
        told.append(PLAIN)
    for name, attribute, option in (
        ("timm", "fused_attn", FUSED),
        ("whisper", "use_sdpa", WHISPER),
    ):
        for layer in module.modules():
            kind = type(layer)
            if kind.__module__.partition(".")[0] == name and getattr(layer, attribute, False):
                # Where it stands is where the library reads it.
                owner = kind if attribute in vars(kind) else layer
                setattr(owner, attribute, False)
                undo.append(_raising(owner, attribute))
                told.append(option)

    def back() -> None:
        """Set everything back."""
        for one in reversed(undo):
            one()

    return list(dict.fromkeys(told)), back


def _setting(model: Any, before: str) -> Callable[[], None]:
    """Return what sets the attention of a model of transformers back."""
    return lambda: model.set_attn_implementation(before)


def _raising(owner: Any, attribute: str) -> Callable[[], None]:
    """Return what sets a flag again."""
    return lambda: setattr(owner, attribute, True)


def _pretrained(module: torch.nn.Module) -> Iterator[Any]:
    """Yield the models of transformers in a module that are not part of another one."""
    library = sys.modules.get("transformers.modeling_utils")
    if library is None:
        return
    waiting = [module]
    while waiting:
        one = waiting.pop()
        if isinstance(one, library.PreTrainedModel):
            yield one
        else:
            waiting += one.children()
