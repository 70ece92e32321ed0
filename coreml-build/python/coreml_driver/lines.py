"""Finding the user's own line in stacks, tracebacks and texts.

Owns: what counts as the user's code: files below the package (or beside the entry file) that are
not installed packages.
Must not: judge what happened there.
Flow: asked by `witness` (running frames), `diagnosis` (tracebacks, graph locations), `origins`
(graph locations).
"""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any

from coreml_driver.failures import PythonLine
from coreml_driver.inputs import FOREIGN_FOLDERS

#: How Python's tracebacks, `torch.fx` and `torch.jit` write a place, and whether the innermost
#: frame comes last.
PLACES = (
    (re.compile(r'File "([^"]+)", line (\d+)'), True),
    (re.compile(r"File: (\S+):(\d+)"), True),
    (re.compile(r"(?:# )?(/[^\s:()]+)\((\d+)\)"), False),
    (re.compile(r"(?:# )?(/[^\s:()]+\.py):(\d+)"), True),
)
#: This package's own folder: never the user's code, even in a checkout below the package.
DRIVER = str(Path(__file__).parent)


def file_of(module: Any) -> str | None:
    """Return the file of an entry of `sys.modules`. Nothing is asked for that is not there: a
    module that is imported at its first use stays as it is.
    """
    try:
        names = object.__getattribute__(module, "__dict__")
    except AttributeError:
        return None
    file = names.get("__file__")
    return file if isinstance(file, str) else None


@functools.lru_cache(4096)
def _is_own(file: str, folders: tuple[Path, ...]) -> bool:
    """Return whether a file is in one of the folders, and nobody else's. Graphs name few files, and
    each of them thousands of times.
    """
    path = Path(file)
    if file.startswith(DRIVER) or FOREIGN_FOLDERS.intersection(path.parts):
        return False
    return any(path.is_relative_to(folder) for folder in folders)


@dataclass(frozen=True)
class UserCode:
    """The folders of the user's code."""

    folders: Sequence[Path]

    def owns(self, file: str) -> bool:
        """Return whether `file` is the user's own."""
        return _is_own(file, tuple(self.folders))

    def of_frame(self, frame: FrameType | None) -> PythonLine | None:
        """Return the innermost line of the user's code on the stack that ends in `frame`."""
        while frame is not None:
            if self.owns(frame.f_code.co_filename):
                return PythonLine(frame.f_code.co_filename, frame.f_lineno)
            frame = frame.f_back
        return None

    def of_traceback(self, traceback: TracebackType | None) -> PythonLine | None:
        """Return the innermost line of the user's code in a traceback."""
        line = None
        while traceback is not None:
            file = traceback.tb_frame.f_code.co_filename
            if self.owns(file):
                line = PythonLine(file, traceback.tb_lineno)
            traceback = traceback.tb_next
        return line

    def of_text(self, text: str | None) -> PythonLine | None:
        """Return the innermost line of the user's code that `text` names."""
        for pattern, innermost_last in PLACES:
            places = [(file, int(number)) for file, number in pattern.findall(text or "")]
            for file, number in reversed(places) if innermost_last else places:
                if self.owns(file):
                    return PythonLine(file, number)
        return None
