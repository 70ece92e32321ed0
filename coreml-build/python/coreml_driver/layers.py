"""Where something happened, as the user knows it: the layer of the module and the line of the
library that asked for it.

A user's own line is often a wrapper's `return self.net(x)`. What helps is the path of the layer in
the module, and the library's line, which says what was computed.

Owns: finding both in stacks, tracebacks and captured graphs, and their words.
Must not: find the user's own line: `lines` does.
Flow: asked by `witness` (running frames) and `diagnosis` (tracebacks, captured nodes).
"""

from __future__ import annotations

import os
import sys
import sysconfig
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import FrameType, TracebackType

import coremltools
import torch

from coreml_driver.failures import Whereabouts
from coreml_driver.lines import DRIVER, PLACES, UserCode

#: Folders of what stands between a library and an operation: torch, coremltools, Python itself.
BETWEEN = tuple(
    folder + os.sep
    for folder in (
        str(Path(torch.__file__).parent),
        str(Path(coremltools.__file__).parent),
        DRIVER,
    )
)
#: Python's own files, which lie beside installed packages.
STANDARD = sysconfig.get_path("stdlib") + os.sep
INSTALLED = ("site-packages", "dist-packages")


def names(module: torch.nn.Module) -> dict[int, str]:
    """Return the paths of a module's layers by their identities."""
    return {id(child): path for path, child in module.named_modules()}


def of_frame(frame: FrameType | None, paths: Mapping[int, str], user_code: UserCode) -> Whereabouts:
    """Return where the stack that ends in a frame is."""
    return _of(_outwards(frame), paths, user_code)


def of_traceback(
    traceback: TracebackType | None, paths: Mapping[int, str], user_code: UserCode
) -> Whereabouts:
    """Return where an exception was raised."""
    places = []
    while traceback is not None:
        places.append((traceback.tb_frame, traceback.tb_lineno))
        traceback = traceback.tb_next
    return _of(reversed(places), paths, user_code)


def _outwards(frame: FrameType | None) -> Iterator[tuple[FrameType, int]]:
    """Yield the frames of a stack with their lines, the innermost first."""
    while frame is not None:
        yield frame, frame.f_lineno
        frame = frame.f_back


def _of(
    places: Iterator[tuple[FrameType, int]], paths: Mapping[int, str], user_code: UserCode
) -> Whereabouts:
    """Return where frames are, the innermost first."""
    layer, library, found = "", "", False
    for frame, line in places:
        file = frame.f_code.co_filename
        if not found and (user_code.owns(file) or _is_library(file)):
            found, library = True, "" if user_code.owns(file) else shown(file, line)
        layer = paths.get(id(frame.f_locals.get("self")), "")
        if layer:
            break
    return Whereabouts(layer, library)


def of_text(text: str | None, user_code: UserCode) -> str:
    """Return the line of a library that a text of torch names; empty where the user's is nearer."""
    for pattern, innermost_last in PLACES:
        places = [(file, int(number)) for file, number in pattern.findall(text or "")]
        for file, number in reversed(places) if innermost_last else places:
            if user_code.owns(file):
                return ""
            if _is_library(file):
                return shown(file, number)
    return ""


def _is_library(file: str) -> bool:
    """Return whether a file is one of a library that the module is built from."""
    if not os.path.isabs(file) or file.startswith(BETWEEN):
        return False
    return not file.startswith(STANDARD) or any(folder in file for folder in INSTALLED)


def shown(file: str, line: int) -> str:
    """Return a line of a library, relative to where it is installed."""
    roots = [root for root in map(os.path.abspath, sys.path) if file.startswith(root + os.sep)]
    short = os.path.relpath(file, max(roots, key=len)) if roots else file
    return f"{Path(short).as_posix()}:{line}"
