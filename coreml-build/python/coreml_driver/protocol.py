"""The line protocol: one JSON object per line on what was the process's standard output.

Owns: the channel and the names of the events.
Must not: know what an event means; let anything else reach the channel (file descriptor 1 is
pointed at the log).
Flow: `__main__` takes the channel over -> `workers` relays the children's lines through it -> the
build script reads them.
"""

from __future__ import annotations

import json
import os
from typing import Any

#: The version of the request and of the events. The build script and this package are shipped
#: together: any other number is refused.
PROTOCOL_VERSION = 1


class Channel:
    """A file descriptor that takes whole JSON lines."""

    def __init__(self, descriptor: int) -> None:
        """Parameters: `descriptor` — open for writing; owned by the channel from now on."""
        self._descriptor = descriptor

    @classmethod
    def take_stdout(cls) -> Channel:
        """Keep the real standard output for events and send everything else that is printed to
        standard error. Call it before any user code or library can print.
        """
        kept = os.dup(1)
        os.set_inheritable(kept, False)
        os.dup2(2, 1)
        return cls(kept)

    def send(self, event: str, **fields: Any) -> None:
        """Write one event.

        Parameters: `event` — the tag; `fields` — JSON values, in the order in which they shall
        appear.
        Errors: `BrokenPipeError` when the build script is gone; nobody is left to tell, so it is
        not caught.
        """
        self.send_line(json.dumps({"event": event, **fields}, ensure_ascii=True).encode() + b"\n")

    def send_line(self, line: bytes) -> None:
        """Write one finished line, newline included (a child's event that is passed on unread)."""
        view = memoryview(line)
        while view:
            view = view[os.write(self._descriptor, view) :]

    def close(self) -> None:
        """Close the descriptor; a reader at the other end sees the end of the file."""
        os.close(self._descriptor)
