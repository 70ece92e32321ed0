"""What each operation of a program gives for one sample, in a few numbers.

Owns: which results are kept, which of their elements, and how the report spells them.
Must not: compare.
Flow: `prove` executes a sample that is written beside the package -> `Checkpoints.watch` -> the
report. Where a backend's outputs differ later, `coreml-rt/src/parity/departure.rs` reads them to
name the first operation that differs.

They are in the report and not in the sample: the last bits of a sum depend on where its numbers lie
in memory, and two conversions have to give the same samples.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from coreml_driver.proof.reading import Body, Step

#: How many elements of a result are kept: evenly spaced, element `i * count // ELEMENTS`.
ELEMENTS = 32
#: How many numbers are kept of all results together: those of the first operations.
MOST_NUMBERS = 100_000


class Checkpoints:
    """The results of the operations of a program's own block, for predictions in a row."""

    def __init__(self, body: Body) -> None:
        """Begin with no predictions. Parameters: `body` — of the function."""
        # Blocks inside it run often or never: a package cannot give their values as outputs.
        self._names = frozenset(name for step in body.steps for name in step.outputs)
        self._numbers = 0
        #: By the name of the result, for each prediction.
        self.steps: list[dict[str, torch.Tensor]] = []

    def begin(self, number: int) -> None:
        """Expect the results of a prediction. Parameters: `number` — of it, which is the next."""
        assert number == len(self.steps)
        self.steps.append({})

    def entry(self, inputs: Sequence[Mapping[str, torch.Tensor]]) -> list[dict[str, Any]]:
        """Return them as the report spells them.

        Parameters: `inputs` — of each prediction by name, which tell the sample from others.
        """
        return [
            {
                "inputs": {name: _text(_elements(value)) for name, value in fed.items()},
                "values": {name: _text(value) for name, value in step.items()},
            }
            for fed, step in zip(inputs, self.steps, strict=True)
        ]

    def watch(self, step: Step, results: Sequence[Any], inputs: Mapping[str, Any]) -> None:
        """Keep a few elements of the results of a step."""
        del inputs
        for name, result in zip(step.outputs, results, strict=True):
            if name not in self._names or not isinstance(result, torch.Tensor):
                continue
            if result.dim() == 0 or result.numel() == 0 or result.dtype == torch.bool:
                continue
            kept = _elements(result)
            self._numbers += kept.numel()
            if self._numbers > MOST_NUMBERS:
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


def _text(values: torch.Tensor) -> str:
    """Return numbers as text, each exactly: JSON has no infinity, and a line for each number."""
    digits = ".9g" if values.is_floating_point() else "d"
    return " ".join(f"{value:{digits}}" for value in values.tolist())
