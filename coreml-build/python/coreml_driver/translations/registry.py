"""The table of translations from PyTorch's operations to MIL that the driver brings.

Owns: what a row is, and putting the rows into coremltools' registry.
Must not: translate anything; each family of operations has a file beside this one.
Flow: the files of this folder declare rows -> `operations.register` installs them.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from coremltools.converters.mil.frontend.torch.torch_op_registry import _TORCH_OPS_REGISTRY
from coremltools.converters.mil.frontend.torch.utils import sanitize_op_kind

from coreml_driver.translations import arguments

#: Adds the MIL operations of one node of a captured graph.
Translate = Callable[[Any, Any], None]
#: The reason of most rows.
MISSING = "coremltools 9.0 has no translation"


@dataclass(frozen=True)
class Row:
    """One translation."""

    #: Kinds of nodes as coremltools spells them: lower case, without `aten::` and the underscore of
    #: a write in place. A kind stands for all its overloads (`mean` also for `mean.dim`, which
    #: exported graphs have); with the suffix of an overload it stands for that one alone.
    kinds: tuple[str, ...]
    translate: Translate
    #: Why the row is there: what coremltools lacks or gets wrong, with the report if there is one.
    why: str
    #: Whether coremltools has a translation, which is wrong.
    replaces: bool


ROWS: list[Row] = []
#: What coremltools has by itself.
ORIGINAL = dict(_TORCH_OPS_REGISTRY.name_to_func_mapping)


def translation(*kinds: str, why: str, replaces: bool = False) -> Callable[[Translate], Translate]:
    """Declare a function to be the translation of `kinds`."""

    def declare(translate: Translate) -> Translate:
        @functools.wraps(translate)
        def named(context: Any, node: Any) -> None:
            # coremltools gives a write in place, `add_`, to the translation of `add`.
            kind = node.kind
            node.kind = kind.removesuffix("_") if not kind.startswith("__") else kind
            try:
                translate(context, node)
            finally:
                node.kind = kind

        ROWS.append(Row(kinds, named, why, replaces))
        return named

    return declare


def install() -> dict[str, Translate]:
    """Reset coremltools' registry to its own translations and these rows; return the registry.

    A row that replaces nothing gives way to a translation that a newer coremltools has.
    """
    arguments.follow()
    registry = _TORCH_OPS_REGISTRY.name_to_func_mapping
    registry.clear()
    registry.update(ORIGINAL)
    # Those that name an overload come last: they are more particular.
    named = [(kind, row) for row in ROWS for kind in row.kinds]
    for kind, row in sorted(named, key=lambda one: "." in one[0]):
        for spelled in [kind] if "." in kind else [kind, *_overloads(kind)]:
            if row.replaces or spelled not in ORIGINAL:
                registry[spelled] = row.translate
    return registry


def _overloads(kind: str) -> list[str]:
    """Return how exported graphs spell the overloads of a kind."""
    packet = getattr(torch.ops.aten, kind, None)
    if packet is None:
        return []
    return [sanitize_op_kind(f"aten::{kind}.{overload}") for overload in packet.overloads()]
