"""Calls that Core ML cannot express, each with the reason and the nearest thing that works.

Owns: `CannotExpress`, and the table of operations that are always refused.
Must not: translate anything.
Flow: a translation raises `CannotExpress` -> `diagnosis` makes the message of it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from coreml_driver.translations.registry import translation


class CannotExpress(Exception):
    """What a call asks for, and Core ML or this driver cannot express, in words for the user."""

    def __init__(self, why: str, instead: str) -> None:
        """Parameters: `why` — a clause that begins with a small letter; `instead` — the nearest
        thing that works, a sentence.
        """
        super().__init__(f"{why}. {instead}")
        self.why, self.instead = why, instead


def _refuse(*kinds: str, why: str, instead: str) -> None:
    """Declare operations that are always refused."""

    def refuse(context: Any, node: Any) -> None:
        """Stand in for a translation."""
        raise CannotExpress(why, instead)

    declare: Callable[..., Any] = translation(*kinds, why=why, replaces=True)
    declare(refuse)
