"""Parts of a package, without the rest of it.

Owns: importing a module without the `__init__.py` above it, and what stands in for a package that
only the rest needs. Copied beside the entries that a run writes.
Must not: replace code that a model runs.
Flow: an entry -> here, before its first import.
"""

from __future__ import annotations

import sys
import types
from typing import Any


def bare(*names: str) -> None:
    """Make packages importable without what they do when they are imported: what they read, play
    or pronounce wants much that a model does not.
    """
    for name in names:
        package = types.ModuleType(name)
        package.__path__ = [f"{path}/{name.replace('.', '/')}" for path in sys.path]
        sys.modules[name] = package


def stand_in(name: str, **members: Any) -> None:
    """Put a module with a few members in place of one that is not installed."""
    module = types.ModuleType(name)
    module.__path__ = []
    vars(module).update(members)
    sys.modules[name] = module


def for_export(detector: Any) -> Any:
    """Let a detector of ultralytics return its predictions alone, as its own export does."""
    detector.model[-1].export = True
    return detector
