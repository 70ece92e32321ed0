"""Order among elements: MIL's `argsort` and `topk`.

Owns: their kernels. Of equal elements the first comes first; no engine promises that, see
`compare`.
Must not: round results.
Flow: `kernels` imports this file, so that its kernels are declared.
"""

from __future__ import annotations

from typing import Any

import torch

from coreml_driver.proof.kernels.registry import flag, integer, kernel


@kernel("argsort")
def _argsort(x: torch.Tensor, axis: Any = None, ascending: Any = None) -> torch.Tensor:
    """Where the elements of a dimension stand in order."""
    return torch.argsort(
        x, dim=integer(axis, -1), descending=not flag(ascending, False), stable=True
    )


@kernel("topk")
def _topk(
    x: torch.Tensor,
    k: Any = None,
    axis: Any = None,
    ascending: Any = None,
    sort: Any = None,
    return_indices: Any = None,
    output_indices_dtype: Any = None,
) -> tuple[torch.Tensor, ...]:
    """The largest or smallest elements of a dimension, and where they stand."""
    along, count = integer(axis, -1), integer(k, 1)
    count = x.shape[along] if count == -1 else count
    values, places = torch.sort(x, dim=along, descending=not flag(ascending, False), stable=True)
    values, places = values.narrow(along, 0, count), places.narrow(along, 0, count)
    if not flag(sort, True):
        places = places.sort(along).values
        values = x.gather(along, places)
    return (values, places) if flag(return_indices, True) else (values,)
