"""The weight file of a package: constants that the specification only points to.

Owns: the layout of the file, and its mapping into memory.
Must not: copy a weight: what is returned is a view of the file, which the system reads and drops by
pages.
Flow: `values` reads a constant that lies here -> `Blobs.bytes_at`.
"""

from __future__ import annotations

import mmap
import struct
from pathlib import Path
from types import TracebackType

import numpy as np
import numpy.typing as npt

#: Marks the description of each weight.
SENTINEL = 0xDEADBEEF
#: Sentinel, element type, size in bytes, position of the bytes.
DESCRIPTION = struct.Struct("<IIQQ")


class Blobs:
    """The weights of one package. Each file is mapped when the first weight of it is read."""

    def __init__(self, package: Path) -> None:
        """Parameters: `package` — the folder; a specification's paths are relative to where it
        stands in it.
        """
        self._package = package
        self._files: dict[str, tuple[mmap.mmap, memoryview]] = {}

    def bytes_at(self, path: str, offset: int) -> npt.NDArray[np.uint8]:
        """Return the bytes of the weight whose description stands at `offset`.

        Parameters: `path` — as a specification spells it: `@model_path/weights/weight.bin`.
        Errors: `ValueError` for a place where no weight begins.
        """
        view = self._view(path)
        if offset + DESCRIPTION.size > len(view):
            raise ValueError(f"the weight file ends before {offset}")
        sentinel, _, size, position = DESCRIPTION.unpack_from(view, offset)
        if sentinel != SENTINEL or position + size > len(view):
            raise ValueError(f"no weight begins at {offset} of {path}")
        return np.frombuffer(view, np.uint8, size, position)

    def release(self) -> None:
        """Let the system drop the pages that were read: they count as memory of this process."""
        for mapped, _ in self._files.values():
            if hasattr(mmap, "MADV_DONTNEED"):
                mapped.madvise(mmap.MADV_DONTNEED)

    def _view(self, path: str) -> memoryview:
        """Return a file, mapped."""
        if path not in self._files:
            relative = path.replace("@model_path", "Data/com.apple.CoreML")
            with (self._package / relative).open("rb") as file:
                # Never written to, but torch makes tensors only of memory that could be.
                mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
            self._files[path] = mapped, memoryview(mapped)
        return self._files[path][1]

    def __enter__(self) -> Blobs:
        """Return the weights themselves."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Forget the files. They are unmapped with the last view of them."""
        self._files.clear()
