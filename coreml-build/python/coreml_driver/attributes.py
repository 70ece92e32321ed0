"""What the attributes of a module are, and putting them back.

A module may keep numbers in attributes while it runs. A captured graph has none of that, and a run
under a tracer would leave the tracer's own tensors there.

Owns: noting attributes and putting them back.
Must not: judge what changes.
Flow: `old_values` and `prepare.Flat` run a module between `Attributes` and `put_back`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch

#: A place of a module: the table that holds a tensor, and the name there.
Place = tuple[dict[str, Any], str]


class Attributes:
    """What the attributes of a module and its children are, to be put back."""

    def __init__(self, module: torch.nn.Module) -> None:
        """Note them."""
        self._kept = [
            (table, dict(table))
            for child in module.modules()
            if not isinstance(child, torch.jit.ScriptModule)
            for table in tables(child)
        ]

    def changed(self) -> bool:
        """Return whether an attribute is another object now."""
        return any(_differs(table, kept) for table, kept in self._kept)

    def put_back(self) -> None:
        """Put the attributes back."""
        for table, kept in self._kept:
            if _differs(table, kept):
                table.clear()
                table.update(kept)


def tables(child: torch.nn.Module) -> list[dict[str, Any]]:
    """Return where a module keeps its attributes."""
    own = vars(child)
    return [own, own["_parameters"], own["_buffers"], own["_modules"]]


def _differs(table: Mapping[str, Any], kept: Mapping[str, Any]) -> bool:
    """Return whether a table has other objects than it had."""
    return len(table) != len(kept) or any(
        name not in kept or kept[name] is not value for name, value in table.items()
    )


def places(module: torch.nn.Module) -> dict[str, Place]:
    """Return where each tensor stands that a module keeps, by the names of `kept_tensors`."""
    found: dict[str, Place] = {}
    for prefix, child in module.named_modules():
        if isinstance(child, torch.jit.ScriptModule):
            continue
        for table in tables(child)[:3]:
            for name, value in table.items():
                if isinstance(value, torch.Tensor):
                    found[f"{prefix}.{name}" if prefix else name] = table, name
    return found


@contextmanager
def unchanged(module: torch.nn.Module, written: Sequence[str] = ()) -> Iterator[None]:
    """Run a module and put its attributes back.

    Parameters: `written` — names of kept tensors whose numbers the run may change: it gets copies.
    """
    attributes = Attributes(module)
    if written:
        found = places(module)
        for table, name in (found[one] for one in written if one in found):
            table[name] = table[name].clone()
    try:
        yield
    finally:
        attributes.put_back()
