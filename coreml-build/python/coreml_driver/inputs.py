"""Which files a conversion read below the package: the build's dependency list.

Owns: the audit hook, and the wrappers around readers that raise no audit event (Rust and C++ code).
Must not: read the files itself, or report what no user wrote (environments, caches, the output).
Flow: `__main__` calls `watch` once -> `conversion` starts and reads a `Recorder` -> the `inputs` of
the events.
"""

from __future__ import annotations

import contextlib
import functools
import importlib.util
import os
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from coreml_driver.failures import relative

#: A folder with one of these in it is an environment or a cache: nothing in it is the user's
#: source.
FOREIGN_MARKERS = ("pyvenv.cfg", "CACHEDIR.TAG")
#: Folders of installed packages, covered by the list of requirements.
FOREIGN_FOLDERS = frozenset({"site-packages", "dist-packages", "__pycache__"})
#: Bits of `os.open` flags that make a file an output.
WRITING_FLAGS = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC


class Recorder:
    """Collects the files read between `start` and `stop`."""

    def __init__(self) -> None:
        """Make a recorder that records nothing yet."""
        self._paths: dict[str, None] | None = None

    def start(self) -> None:
        """Forget everything and record from now on."""
        self._paths = {}
        self._pinned: set[str] = set()

    def stop(self) -> None:
        """Record no more; what was recorded can still be asked for."""
        self._stopped = dict(self._paths or {})
        self._paths = None

    def note(self, path: Any) -> None:
        """Add one path. This only stores: the audit hook runs it for every file that is opened."""
        if self._paths is not None and isinstance(path, (str, bytes, os.PathLike)):
            self._paths.setdefault(os.path.abspath(os.fsdecode(path)))

    def pin(self, name: str) -> None:
        """Add a file of the hub, whose name says what it holds:
        `hub:REPOSITORY@COMMIT/FILE#sha256=DIGEST`.

        Where the hub's cache lies differs between machines, so it is no path.
        """
        self._pinned.add(name)

    def pinned(self) -> list[str]:
        """Return the files of the hub."""
        return sorted(self._pinned)

    def files(self, roots: Iterable[Path], excluded: Iterable[Path]) -> list[Path]:
        """Return the files that were read, sorted.

        Parameters: `roots` — folders of the user's sources; `excluded` — folders to leave out.
        """
        recorded = self._paths if self._paths is not None else getattr(self, "_stopped", {})
        roots, foreign = list(roots), [*excluded, Path(sys.prefix)]
        markers: dict[Path, bool] = {}
        found: set[Path] = set()
        for path in map(_source, recorded):
            root = next((root for root in roots if path.is_relative_to(root)), None)
            if root is None or any(path.is_relative_to(folder) for folder in foreign):
                continue
            if _is_source(path, root, markers) and path.is_file():
                found.add(path)
        return sorted(found)


def _source(path: str) -> Path:
    """Return `path`, or the Python file that it is the compiled form of: a conversion depends on
    the source.
    """
    if path.endswith(".pyc") and f"{os.sep}__pycache__{os.sep}" in path:
        with contextlib.suppress(ValueError):
            return Path(importlib.util.source_from_cache(path))
    return Path(path)


def _is_source(path: Path, root: Path, markers: dict[Path, bool]) -> bool:
    """Return whether nothing between `root` and `path` is an environment or a cache; `markers`
    remembers folders.
    """
    folder = path.parent
    while folder != root and folder != folder.parent:
        if folder not in markers:
            markers[folder] = folder.name in FOREIGN_FOLDERS or any(
                (folder / name).is_file() for name in FOREIGN_MARKERS
            )
        if markers[folder]:
            return False
        folder = folder.parent
    return True


#: The one recorder of the process: audit hooks cannot be removed, so there is one hook that feeds
#: it.
RECORDER = Recorder()
_watching = False


def watch() -> None:
    """Install the audit hook and the wrappers; later calls do nothing.

    Call it after the imports of the libraries, whose own files are of no interest.
    """
    global _watching
    if _watching:
        return
    _watching = True
    sys.addaudithook(_hear)
    _wrap_silent_readers()


def _hear(event: str, arguments: tuple[Any, ...]) -> None:
    """Note files that are opened for reading. Must never raise: an exception would forbid the
    opening.
    """
    if event != "open":
        return
    path, mode, flags = arguments
    writing = (
        any(letter in mode for letter in "wax+")
        if isinstance(mode, str)
        else bool(flags & WRITING_FLAGS)
    )
    if not writing:
        RECORDER.note(path)


def _wrap_silent_readers() -> None:
    """Wrap the readers of safetensors (Rust) and TorchScript (C++), which open files behind
    Python's back.
    """
    import safetensors
    import safetensors.numpy
    import safetensors.torch
    import torch

    for module in (safetensors, safetensors.torch, safetensors.numpy):
        if hasattr(module, "safe_open"):
            module.safe_open = _noting(module.safe_open)  # type: ignore[attr-defined]
    torch.jit.load = _noting(torch.jit.load)


def _noting(reader: Callable[..., Any]) -> Callable[..., Any]:
    """Return `reader` with its first argument, the path, noted."""

    @functools.wraps(reader)
    def wrapper(*arguments: Any, **keywords: Any) -> Any:
        for path in arguments[:1] or [keywords.get("filename", keywords.get("f"))]:
            RECORDER.note(path)
        return reader(*arguments, **keywords)

    return wrapper


def spelled(paths: Iterable[Path], root: Path) -> list[str]:
    """Return paths as the protocol spells them."""
    return [relative(path, root) for path in paths]


def declared(table: Mapping[str, Any], root: Path) -> list[str]:
    """Return the files that a model's table names and that exist, as the protocol spells them."""
    functions = table.get("functions")
    parts = [table, *(functions.values() if isinstance(functions, Mapping) else ())]
    named = [
        *(
            (part.get("source") or {}).get(kind)
            for part in parts
            for kind in ("file", "mil", "torchscript", "exported")
        ),
        *(part.get("weights") for part in parts),
        table.get("ops"),
        (table.get("classifier") or {}).get("labels"),
    ]
    paths = {Path(os.path.normpath(root / name)) for name in named if isinstance(name, str)}
    return spelled(sorted(path for path in paths if path.is_file()), root)
