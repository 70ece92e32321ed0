"""What the driver is doing, told while it does it.

Owns: the stages and their times; the hooks into coremltools' own progress bars and log.
Must not: print.
Flow: `conversion` enters stages -> `progress` events; `diagnosis` asks where coremltools stood.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

#: Seconds between two events about steps: a status line cannot be read faster.
INTERVAL = 0.1


class Progress:
    """The progress of one model."""

    def __init__(self, send: Callable[[str, str], None]) -> None:
        """Parameters: `send` — takes stage and detail."""
        self._send = send
        self._last = 0.0
        self.stage = "import"
        #: Seconds per stage.
        self.times: dict[str, float] = {}
        #: The node of the captured graph that coremltools is translating.
        self.node: Any = None
        #: Lines that coremltools logged as errors.
        self.errors: list[str] = []

    @contextmanager
    def entered(self, stage: str) -> Iterator[None]:
        """Enter a stage: tell it and measure it."""
        self.stage = stage
        self._last = time.monotonic()
        self._send(stage, "")
        started = time.monotonic()
        try:
            yield
        finally:
            self.times[stage] = round(self.times.get(stage, 0.0) + time.monotonic() - started, 3)

    def step(self, detail: str, *, begins: bool = False) -> None:
        """Tell a step inside the stage, unless the last one was told just now.

        Parameters: `begins` — it is the first of its kind, and always told.
        """
        now = time.monotonic()
        if begins or now - self._last >= INTERVAL:
            self._last = now
            self._send(self.stage, detail)

    @contextmanager
    def following_coremltools(self) -> Iterator[None]:
        """Replace coremltools' progress bars and listen to its log."""
        from coremltools.converters.mil.frontend.torch import ops
        from coremltools.converters.mil.mil.passes import pass_pipeline

        handler = _ErrorLines(self.errors)
        logger = logging.getLogger("coremltools")
        bars = ops._tqdm, pass_pipeline.tqdm
        ops._tqdm = self._nodes
        pass_pipeline.tqdm = self._passes
        logger.addHandler(handler)
        try:
            yield
        finally:
            ops._tqdm, pass_pipeline.tqdm = bars
            logger.removeHandler(handler)

    def _nodes(self, nodes: Any, **_: Any) -> Iterator[Any]:
        """Stand in for the bar over the nodes of the captured graph."""
        outer, nodes = (
            self.node,
            list(nodes),
        )  # the blocks of a loop or condition are walked inside their node
        for number, node in enumerate(nodes, start=1):
            self.node = node
            self.step(f"operation {number}/{len(nodes)}: {node.kind}")
            yield node
        self.node = outer

    def _passes(self, passes: Iterable[Any], desc: str = "", **_: Any) -> Iterator[Any]:
        """Stand in for the bar over the passes of a pipeline."""
        passes = list(passes)
        self.node = None
        pipeline = desc.removeprefix("Running MIL ").strip()
        for number, name in enumerate(passes, start=1):
            self.step(
                f"{pipeline} {number}/{len(passes)}: {str(name).rpartition('::')[2]}",
                begins=number == 1,
            )
            yield name


class _ErrorLines(logging.Handler):
    """Keeps the error messages of a logger."""

    def __init__(self, lines: list[str]) -> None:
        """Parameters: `lines` — the list to add to."""
        super().__init__(logging.ERROR)
        self._lines = lines

    def emit(self, record: logging.LogRecord) -> None:
        """Keep one message."""
        self._lines.append(record.getMessage().strip())
