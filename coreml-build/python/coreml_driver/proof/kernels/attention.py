"""Attention: MIL's `transformers`.

Owns: its kernel.
Must not: round results: a device rounds scores and weights too, which the result of the whole
stands for.
Flow: `kernels` imports this file, so that its kernels are declared.
"""

from __future__ import annotations

import torch

from coreml_driver.proof.kernels.registry import kernel


@kernel("scaled_dot_product_attention")
def _attention(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attn_mask: torch.Tensor | None = None,
) -> torch.Tensor:
    """`softmax(query key^T / sqrt(E) + mask) value`; a mask of truth values is true where
    attention is paid.
    """
    scores = query @ key.mT / query.shape[-1] ** 0.5
    if attn_mask is not None and attn_mask.dtype == torch.bool:
        scores = scores.masked_fill(~attn_mask, float("-inf"))
    elif attn_mask is not None:
        scores = scores + attn_mask
    return torch.softmax(scores, -1) @ value
