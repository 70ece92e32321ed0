"""The table of translations from PyTorch's operations to MIL that the driver brings.

Owns: what a row is, and putting the rows into coremltools' registry.
Must not: translate anything; each family of operations has a file beside this one.
Flow: the files of this folder declare rows -> `operations.register` installs them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from coremltools.converters.mil.frontend.torch.torch_op_registry import _TORCH_OPS_REGISTRY

#: Adds the MIL operations of one node of a captured graph.
Translate = Callable[[Any, Any], None]
#: The reason of most rows.
MISSING = "coremltools 9.0 has no translation"


@dataclass(frozen=True)
class Row:
    """One translation."""

    #: Kinds of nodes as coremltools spells them: lower case, without `aten::`, the suffix of an
    #: overload and the underscore of a write in place.
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
        ROWS.append(Row(kinds, translate, why, replaces))
        return translate

    return declare


def install() -> dict[str, Translate]:
    """Reset coremltools' registry to its own translations and these rows; return the registry.

    A row that replaces nothing gives way to a translation that a newer coremltools has.
    """
    registry = _TORCH_OPS_REGISTRY.name_to_func_mapping
    registry.clear()
    registry.update(ORIGINAL)
    for row in ROWS:
        for kind in row.kinds:
            if row.replaces or kind not in ORIGINAL:
                registry[kind] = row.translate
    return registry
