"""The table `parity` as typed values: what is kept to compare with, and where its inputs come from.

Owns: reading `parity`; the seed of every random input.
Must not: import torch: a request is read before the libraries are.
Flow: `request.understand` -> `read` -> `samples` draws inputs by the seeds, `conversion` keeps the
samples.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from coreml_driver.failures import Failure

#: Keys of the table, with their defaults. A test of coreml-build compares them with the manifest's.
KEYS: Mapping[str, Any] = {
    "samples": 3,
    "steps": 3,
    "seed": 0,
}


@dataclass(frozen=True)
class Parity:
    """What is kept of a model."""

    #: How many samples.
    samples: int
    #: Predictions in a row of each sample; more than one only where there are states.
    steps: int
    #: Which random values the samples have.
    seed: int

    def seed_of(self, name: str, index: int, step: int) -> int:
        """Return the seed of an input's values: it depends on nothing but the table's and these.

        Parameters: `index` — the number of the sample; `step` — that of the prediction in it.
        """
        text = f"{name}/{index}/{step}" if step else f"{name}/{index}"
        if self.seed:
            text = f"{self.seed}/{text}"
        return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "little")


def read(own: Mapping[str, Any], has_states: bool) -> Parity:
    """Return what a model's table says.

    Errors: `Failure` of kind `not-supported`.
    """
    for key in own:
        if key not in KEYS:
            message = f"`{key}` of `parity` is not supported yet."
            raise Failure("not-supported", message, key=f"parity.{key}")
    table = {**KEYS, **own}
    # A model of several functions says `steps` for those that have states.
    return Parity(int(table["samples"]), int(table["steps"]) if has_states else 1, table["seed"])
