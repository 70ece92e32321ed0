"""Symbols: dimensions of a flexible model that always have the same size.

Core ML knows nothing of them: it takes a mask of length 1 beside ids of length 20, and broadcasts
it.

Owns: which dimensions of inputs and outputs have one size, and what the package says about it.
Must not: run a module (that is `observation`).
Flow: `observation` -> `find`; `conversion` -> `describe`, which writes into the package what
`coreml_spec::Symbol` reads; `functions.join` keeps it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from coremltools.proto import Model_pb2

from coreml_driver import canonical, program
from coreml_driver.features import Input, Range, Shape

#: Begins the metadata key that lists a function's symbols, as JSON: `METADATA_KEY` of
#: `coreml-spec/src/symbols.rs`.
NOTE = "coreml-build.symbols."
#: A feature's name and one of its dimensions.
Place = tuple[str, int]
#: The shapes of all inputs of a run, and its outputs.
Seen = tuple[Sequence[Shape], Sequence[torch.Tensor]]


@dataclass(frozen=True)
class Symbol:
    """Dimensions of one size."""

    #: The manifest's name; `None` for a range that no other input shares.
    name: str | None
    inputs: tuple[Place, ...]
    #: Dimensions of outputs that had the size in every run.
    outputs: tuple[Place, ...]


def find(
    inputs: Sequence[Input], names: Sequence[str | None], runs: Sequence[Seen]
) -> tuple[Symbol, ...]:
    """Return the dimensions of inputs and outputs that have one size, where there are at least two
    of them.

    An output has the size of a symbol when it had it in all runs, the smallest and the largest size
    among them, and when no other symbol can be meant.

    Parameters: `names` — of the outputs, `None` for one that is no tensor to callers; `runs` — at
    different shapes.
    """
    grouped: dict[str | Place, list[Place]] = {}
    sizes: dict[str | Place, list[int]] = {}
    bounded: set[str | Place] = set()
    for position, declared in enumerate(inputs):
        for axis, dimension in enumerate(declared.dimensions):
            if not isinstance(dimension, Range):
                continue
            key = dimension.symbol or (declared.name, axis)
            grouped.setdefault(key, []).append((declared.name, axis))
            sizes[key] = [shapes[position][axis] for shapes, _ in runs]
            if {dimension.min, dimension.max} <= set(sizes[key]):
                bounded.add(key)
    followed: dict[str | Place, list[Place]] = {key: [] for key in grouped}
    for position, name in enumerate(names):
        outputs = [results[position] for _, results in runs]
        if name is None or len({output.dim() for output in outputs}) != 1:
            continue
        for axis in range(outputs[0].dim()):
            seen = [output.shape[axis] for output in outputs]
            meant = [key for key, those in sizes.items() if those == seen]
            if len(meant) == 1 and meant[0] in bounded:
                followed[meant[0]].append((name, axis))
    found = (
        Symbol(key if isinstance(key, str) else None, tuple(places), tuple(followed[key]))
        for key, places in grouped.items()
    )
    return tuple(symbol for symbol in found if len(symbol.inputs) + len(symbol.outputs) > 1)


def describe(
    package: Path,
    specification: Model_pb2.Model,
    symbols: Sequence[Symbol],
    metadata: Mapping[str, str],
) -> None:
    """Write into the package which dimensions have one size.

    Parameters: `metadata` — the manifest's.
    """
    if not symbols:
        return
    listed = []
    for symbol in symbols:
        own: dict[str, Any] = {"inputs": _places(symbol.inputs), "outputs": _places(symbol.outputs)}
        listed.append(own if symbol.name is None else own | {"name": symbol.name})
    text = json.dumps(listed, sort_keys=True, separators=(",", ":"))
    specification.description.metadata.userDefined[NOTE + program.MAIN] = text
    canonical.write(package, specification, metadata)


def _places(places: Sequence[Place]) -> list[dict[str, str | int]]:
    """Return places as the package spells them."""
    return [{"feature": name, "axis": axis} for name, axis in places]
