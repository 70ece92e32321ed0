"""What each operation of a program gives for one sample, in a few numbers.

Owns: which results are kept, and which of their elements.
Must not: compare.
Flow: `prove` executes a sample that is written beside the package -> `Checkpoints.watch` ->
`samples.write`. Where a backend's outputs differ later, `coreml-rt/src/parity/departure.rs` reads
them to name the first operation that differs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from coreml_driver.proof.reading import Body, Step

#: How many elements of a result are kept: evenly spaced, element `i * count // ELEMENTS`.
ELEMENTS = 32
#: How many bytes all together may take; a model with more predictions or operations keeps the
#: first ones.
MOST_BYTES = 4 << 20


class Checkpoints:
    """The results of the operations of a program's own block, for predictions in a row."""

    def __init__(self, body: Body) -> None:
        """Begin with no predictions. Parameters: `body` — of the function."""
        # Blocks inside it run often or never: a package cannot give their values as outputs.
        self._names = frozenset(name for step in body.steps for name in step.outputs)
        self._bytes = 0
        #: By the name of the result, for each prediction.
        self.steps: list[dict[str, torch.Tensor]] = []

    def begin(self, number: int) -> None:
        """Expect the results of a prediction. Parameters: `number` — of it, which is the next."""
        assert number == len(self.steps)
        self.steps.append({})

    def watch(self, step: Step, results: Sequence[Any], inputs: Mapping[str, Any]) -> None:
        """Keep a few elements of the results of a step."""
        del inputs
        for name, result in zip(step.outputs, results, strict=True):
            if name not in self._names or not isinstance(result, torch.Tensor):
                continue
            if result.dim() == 0 or result.numel() == 0 or result.dtype == torch.bool:
                continue
            kept = _elements(result)
            self._bytes += kept.nbytes
            if self._bytes > MOST_BYTES:
                return
            self.steps[-1][name] = kept


def _elements(result: torch.Tensor) -> torch.Tensor:
    """Return evenly spaced elements of a tensor in the order of its rows, as float32 or int32."""
    count = result.numel()
    kept = min(count, ELEMENTS)
    positions = torch.arange(kept) * count // kept
    places = torch.unravel_index(positions, result.shape)
    kind = torch.float32 if result.is_floating_point() else torch.int32
    return result.detach()[places].to(kind)
