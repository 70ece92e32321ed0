"""Selection among overlapping boxes: MIL's `non_maximum_suppression`.

Owns: its kernel.
Must not: round results.
Flow: `kernels` imports this file, so that its kernels are declared.
"""

from __future__ import annotations

from typing import Any

import torch

from coreml_driver.proof.kernels.registry import flag, integer, kernel, number


@kernel("non_maximum_suppression")
def _non_maximum_suppression(
    boxes: torch.Tensor,
    scores: torch.Tensor,
    iou_threshold: Any,
    max_boxes: Any,
    score_threshold: Any = None,
    per_class_suppression: Any = None,
) -> tuple[torch.Tensor, ...]:
    """The best boxes that overlap no better one too much; before iOS 17 boxes stand in rows, with
    a threshold of the score and the number of boxes as a last result, since then in columns.

    When no score passes the threshold, the best box is taken all the same.
    """
    columns = score_threshold is None
    rows = boxes.transpose(1, 2) if columns else boxes
    rated = scores.transpose(1, 2) if columns else scores
    lowest = float("-inf") if score_threshold is None else number(score_threshold)
    limit, threshold = integer(max_boxes), number(iou_threshold)
    classwise = flag(per_class_suppression, False)
    chosen = [
        _chosen(own, marks, threshold, lowest, limit, classwise)
        for own, marks in zip(rows, rated, strict=True)
    ]
    indices = torch.full((len(rows), limit), -1, dtype=torch.int32)
    kept_boxes = torch.zeros(len(rows), limit, 4)
    kept_scores = torch.zeros(len(rows), limit, rated.shape[-1])
    for number_, places in enumerate(chosen):
        count = len(places)
        indices[number_, :count] = torch.tensor(places, dtype=torch.int32)
        kept_boxes[number_, :count] = rows[number_][places]
        kept_scores[number_, :count] = rated[number_][places]
    if columns:
        return kept_boxes.transpose(1, 2), kept_scores.transpose(1, 2), indices
    counts = torch.tensor([len(places) for places in chosen], dtype=torch.int32)
    return kept_boxes, kept_scores, indices, counts


def _chosen(
    boxes: torch.Tensor,
    scores: torch.Tensor,
    threshold: float,
    lowest: float,
    limit: int,
    classwise: bool,
) -> list[int]:
    """Return the positions of the chosen boxes of one image, best first."""
    best, classes = scores.max(-1)
    left = torch.where(best > lowest, best, torch.tensor(float("-inf")))
    left[best.argmax()] = best.max()
    centres, sizes = boxes[:, :2], boxes[:, 2:]
    low, high = centres - sizes / 2, centres + sizes / 2
    areas = sizes.prod(-1)
    found: list[int] = []
    while len(found) < limit and bool((left > float("-inf")).any()):
        top = int(left.argmax())
        found.append(top)
        shared = (torch.minimum(high, high[top]) - torch.maximum(low, low[top])).clamp(min=0)
        common = shared.prod(-1)
        over = common / (areas + areas[top] - common) > threshold
        if classwise:
            over &= classes == classes[top]
        left = left.masked_fill(over, float("-inf"))
        left[top] = float("-inf")
    return found
