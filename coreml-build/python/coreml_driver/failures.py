"""A failed conversion as the user reads it: kind, message, Python line, manifest key, advice.

Owns: `Failure`, the one exception that the driver raises on purpose.
Must not: guess at foreign exceptions (that is `diagnosis`).
Flow: any step raises `Failure` or a foreign exception -> `conversion` -> `diagnosis.explain` -> the
`failed` event.
"""

from __future__ import annotations

import linecache
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class PythonLine:
    """A line of the user's Python code."""

    #: Absolute path.
    file: str
    #: Counted from one.
    line: int

    def event(self, root: Path) -> dict[str, Any]:
        """Return the line as the protocol spells it, with its text, relative to `root` where it
        lies below it.
        """
        return {
            "file": relative(self.file, root),
            "line": self.line,
            "text": linecache.getline(self.file, self.line).strip(),
        }


@dataclass(frozen=True)
class Whereabouts:
    """A place in the module and in a library."""

    #: Path of the layer, `encoder.layers.3.self_attn`; empty for the module itself.
    layer: str = ""
    #: `transformers/integrations/moe.py:383`; empty where the user's own code asked.
    library: str = ""

    def words(self) -> str:
        """Return it as a part of a sentence; empty where nothing is known."""
        parts = [f"in the layer `{self.layer}`"] if self.layer else []
        parts += [f"at {self.library}"] if self.library else []
        return ", ".join(parts)


def relative(path: str | Path, root: Path) -> str:
    """Return `path` relative to `root` with forward slashes, or as it is when it lies elsewhere."""
    try:
        return Path(path).relative_to(root).as_posix()
    except ValueError:
        return Path(path).as_posix()


@dataclass
class Failure(Exception):
    """Why a model cannot be converted.

    `kind` is a stable word for tests and tools; the rest is for people.
    """

    kind: str
    #: One paragraph: what is wrong, in the user's own names.
    message: str
    #: Where in the user's code.
    python: PythonLine | None = None
    #: Where in the manifest, relative to the model's table (`inputs.mel.shape`).
    key: str | None = None
    #: What to do, the best cure first.
    advice: tuple[str, ...] = ()
    #: The layer and the library's line, where they were seen.
    place: Whereabouts = field(default=Whereabouts(), compare=False)
    #: The text of the exception that this failure explains.
    traceback: str = field(default="", compare=False)

    def event(self, root: Path, read: Sequence[str]) -> dict[str, Any]:
        """Return the fields of the `failed` event but the model's name.

        Parameters: `read` — the files that were read before the failure.
        """
        return {
            "kind": self.kind,
            "message": self.message,
            "python": self.python.event(root) if self.python else None,
            "key": self.key,
            "advice": list(self.advice),
            "traceback": self.traceback,
            "inputs": list(read),
        }

    def __str__(self) -> str:
        """Return the message: what a log shows for an exception."""
        return f"{self.kind}: {self.message}"
