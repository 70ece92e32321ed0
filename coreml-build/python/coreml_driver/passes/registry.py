"""The table of repairs of coremltools' passes.

Owns: what a repair is, and putting repairs into coremltools.
Must not: repair anything; each family has a file beside this one.
Flow: the files of this folder declare repairs -> `install` applies them once.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from coremltools.converters.mil.mil.passes.graph_pass import AbstractGraphPass
from coremltools.converters.mil.mil.passes.pass_registry import PASS_REGISTRY


@dataclass(frozen=True)
class Repair:
    """One pass that coremltools gets wrong."""

    #: Its name in the registry of passes.
    name: str
    #: What is wrong, with the smallest example.
    why: str
    #: Applies the repair.
    apply: Callable[[], None]


REPAIRS: list[Repair] = []
_INSTALLED: set[str] = set()


def replacement(name: str, why: str) -> Callable[[type], type]:
    """Declare a class to be the pass `name` in place of coremltools' own."""

    def declare(made: type) -> type:
        def apply() -> None:
            PASS_REGISTRY.passes[name] = made

        REPAIRS.append(Repair(name, why, apply))
        return made

    return declare


def removal(name: str, why: str) -> None:
    """Declare that the pass `name` is left out."""

    class Nothing(AbstractGraphPass):
        """Stands in for a pass that is left out."""

        def apply(self, prog: Any) -> None:
            """Leave the program as it is."""

    replacement(name, why)(Nothing)


def exception(
    name: str, owner: Any, method: str, why: str
) -> Callable[[Callable[..., bool]], Callable[..., bool]]:
    """Declare when a pass must leave the program alone: it does where the decorated predicate
    returns true for the arguments of `method`.

    Parameters: `owner` — class or module of coremltools that has `method`, which says by a false
    value that there is nothing to do.
    """

    def declare(excepted: Callable[..., bool]) -> Callable[..., bool]:
        def apply() -> None:
            static = isinstance(vars(owner).get(method), staticmethod)
            original = getattr(owner, method)

            def careful(*arguments: Any, **named: Any) -> Any:
                """Stand in for the method."""
                return None if excepted(*arguments, **named) else original(*arguments, **named)

            setattr(owner, method, staticmethod(careful) if static else careful)

        REPAIRS.append(Repair(name, why, apply))
        return excepted

    return declare


def everywhere(name: str, function: Callable[..., Any]) -> None:
    """Put `function` in the place of a function of coremltools' passes that modules import by
    name.
    """
    for known, module in list(sys.modules.items()):
        if known.startswith("coremltools.converters.mil") and name in vars(module):
            setattr(module, name, function)


def install() -> None:
    """Apply every repair that is not applied yet."""
    for number, repair in enumerate(REPAIRS):
        key = f"{number} {repair.name}"
        if key not in _INSTALLED:
            _INSTALLED.add(key)
            repair.apply()
