"""Importing torch and coremltools without what no conversion needs.

coremltools imports its tools for training with compression, `coremltools.optimize.torch`, whenever
torch is there. They take longer to import than the rest of coremltools.

Owns: which modules are executed at their first use only.
Must not: hide a module: its attributes and submodules are there for whoever asks.
Flow: `__main__` has checked the versions -> `libraries` -> the workers inherit what is imported.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any

#: Modules that are executed when an attribute of theirs is asked for.
LATER = frozenset({"coremltools.optimize.torch"})


def libraries() -> None:
    """Import torch and coremltools."""
    finder = _Finder()
    sys.meta_path.insert(0, finder)
    try:
        import torch  # noqa: F401, I001 — first: without it coremltools fails with words about something else
        import coremltools  # noqa: F401
    finally:
        sys.meta_path.remove(finder)


class _Finder(MetaPathFinder):
    """Finds the modules that are executed later."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return how a module is loaded, if it is one of them."""
        if fullname not in LATER:
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is not None and spec.loader is not None:
            spec.loader = _Later(spec.loader)
        return spec


class _Later(Loader):
    """Executes a module when an attribute of it is asked for."""

    def __init__(self, loader: Loader) -> None:
        """Parameters: `loader` — the module's own."""
        self._loader = loader

    def exec_module(self, module: ModuleType) -> None:
        """Leave the module empty until then."""

        def missing(name: str) -> Any:
            """Execute the module; return its attribute."""
            # Python and its tools look for such names in every module, and need none of them.
            if name.startswith("__"):
                raise AttributeError(f"module {module.__name__!r} has no attribute {name!r}")
            del module.__dict__["__getattr__"]
            self._loader.exec_module(module)
            return getattr(module, name)

        module.__dict__["__getattr__"] = missing
