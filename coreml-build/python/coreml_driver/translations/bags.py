"""Bags of embeddings.

Owns: `embedding_bag`.
Must not: renormalise embeddings: that writes to the weights.
"""

from __future__ import annotations

import math
from typing import Any

import torch

from coreml_driver.translations.composition import composite, untraced

#: What a bag is made of its embeddings, by PyTorch's numbers.
SUM, MEAN, MAX = range(3)


@composite("embedding_bag")
def _embedding_bag(
    weight: torch.Tensor,
    indices: torch.Tensor,
    offsets: torch.Tensor,
    padding_idx: int | None = None,
    **more: Any,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Bags of embeddings; a negative index of padding counts from the end."""
    padding = -1 if padding_idx is None else padding_idx % weight.shape[0]
    return _bags(weight, indices, offsets, padding_idx=padding, **more)


@composite("_embedding_bag", "_embedding_bag_forward_only")
def _bags(
    weight: torch.Tensor,
    indices: torch.Tensor,
    offsets: torch.Tensor,
    scale_grad_by_freq: bool = False,
    mode: int = SUM,
    sparse: bool = False,
    per_sample_weights: torch.Tensor | None = None,
    include_last_offset: bool = False,
    padding_idx: int = -1,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Sums, means or maxima of the embeddings of each bag.

    Returns: the bags; the bag of each index; the size of each bag; nothing of use.
    """
    count = indices.shape[0]
    with untraced():
        numbers = torch.arange(count)
        end = torch.tensor([count])
    if include_last_offset:
        start, stop = offsets[:-1], offsets[1:]
    else:
        start, stop = offsets, torch.cat((offsets[1:], end.to(offsets.dtype)))
    member = torch.logical_and(numbers >= start.unsqueeze(1), numbers < stop.unsqueeze(1))
    if padding_idx >= 0:
        member = torch.logical_and(member, (indices != padding_idx).unsqueeze(0))
    rows = torch.index_select(weight, 0, indices)
    share = member.to(weight.dtype)
    size = share.sum(1, keepdim=True)
    if mode == MAX:
        chosen = torch.where(member.unsqueeze(2), rows, torch.tensor(-math.inf))
        found = torch.where(size > 0, chosen.amax(1), 0.0)
    else:
        if per_sample_weights is not None:
            rows = rows * per_sample_weights.unsqueeze(1)
        found = share @ rows
        if mode == MEAN:
            found = found / torch.where(size == 0, 1.0, size)
    bag = member.to(torch.int32).argmax(0)
    sizes = size.squeeze(1).to(torch.int32)
    return found, bag, sizes, sizes
