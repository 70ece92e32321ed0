"""All models of a request: forked children on Linux, one after the other elsewhere.

Owns: the children, their temporary folders, and what a child that dies leaves behind.
Must not: compute with torch before a fork: its threads would not survive it.
Flow: `__main__` -> `run` -> `conversion.convert` in each child; the events of the children are
relayed line by line.
"""

from __future__ import annotations

import ctypes
import os
import selectors
import shutil
import signal
import sys
import tempfile
import threading
import traceback
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from coreml_driver import conversion, inputs
from coreml_driver.failures import Failure
from coreml_driver.protocol import Channel
from coreml_driver.request import Job, Request

#: `prctl` option: the signal that a process gets when its parent dies.
PR_SET_PDEATHSIG = 1
#: Bytes to read from a child at once.
CHUNK = 1 << 16


@dataclass
class Child:
    """A running conversion."""

    job: Job
    process: int
    #: Where its events come from.
    pipe: int
    #: Its temporary folder: what a killed child leaves there is removed.
    scratch: Path
    #: The beginning of a line whose end has not come yet.
    rest: bytes = b""
    #: Whether it has said how it ended.
    done: bool = False


class Workers:
    """The children of this process."""

    def __init__(self) -> None:
        """Start with no children."""
        self._children: dict[int, Child] = {}
        self._lock = threading.Lock()

    def abort(self) -> None:
        """Kill the children and remove what they left."""
        with self._lock:
            for child in self._children.values():
                os.kill(child.process, signal.SIGKILL)
            for child in self._children.values():
                shutil.rmtree(child.scratch, ignore_errors=True)

    def run(
        self, request: Request, versions: dict[str, str], notes: Sequence[str], channel: Channel
    ) -> None:
        """Convert all models of a request."""
        if not sys.platform.startswith("linux"):
            for job in request.models:
                conversion.convert(job, request.package_root, versions, notes, channel.send)
            return
        waiting = deque(request.models)
        selector = selectors.DefaultSelector()
        while waiting or self._children:
            while waiting and len(self._children) < request.jobs:
                child = self._start(waiting.popleft(), request, versions, notes, channel)
                selector.register(child.pipe, selectors.EVENT_READ, child)
            for key, _ in selector.select():
                child = key.data
                if not _relay(child, channel):
                    selector.unregister(child.pipe)
                    self._end(child, request, channel)

    def _start(
        self,
        job: Job,
        request: Request,
        versions: dict[str, str],
        notes: Sequence[str],
        channel: Channel,
    ) -> Child:
        """Fork a child for one model."""
        scratch = Path(tempfile.mkdtemp(prefix="coreml-driver-"))
        reading, writing = os.pipe()
        with self._lock:
            process = os.fork()
            if process:
                os.close(writing)
                child = Child(job, process, reading, scratch)
                self._children[process] = child
                return child
        status = 1
        try:
            os.close(reading)
            # its reader must see the end when the parent dies, whoever else still lives
            channel.close()
            _settle_child(scratch, request.jobs)
            conversion.convert(job, request.package_root, versions, notes, Channel(writing).send)
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(status)

    def _end(self, child: Child, request: Request, channel: Channel) -> None:
        """Collect a child that has closed its pipe."""
        with self._lock:
            del self._children[child.process]
            _, status = os.waitpid(child.process, 0)
        os.close(child.pipe)
        shutil.rmtree(child.scratch, ignore_errors=True)
        if not child.done:
            read = inputs.declared(child.job.table, request.package_root)
            channel.send(
                "failed", model=child.job.id, **_crash(status).event(request.package_root, read)
            )


def _settle_child(scratch: Path, jobs: int) -> None:
    """Make a fresh child independent of its parent, but not of its life."""
    parent = os.getppid()
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it died before the signal was asked for
        os._exit(1)
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    tempfile.tempdir = str(scratch)
    torch.set_num_threads(max(1, (os.cpu_count() or 1) // jobs))


def _relay(child: Child, channel: Channel) -> bool:
    """Pass on the whole lines that a child has written; return whether it may write more."""
    data = os.read(child.pipe, CHUNK)
    lines = (child.rest + data).split(b"\n")
    child.rest = lines.pop()
    for line in lines:
        child.done |= line.startswith((b'{"event": "converted"', b'{"event": "failed"'))
        channel.send_line(line + b"\n")
    return bool(data)


def _crash(status: int) -> Failure:
    """Return the failure of a child that ended without an answer."""
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        message = f"The conversion was ended by signal {number} ({signal.Signals(number).name})."
    else:
        message = (
            "The conversion ended without an answer (exit code "
            f"{os.waitstatus_to_exitcode(status)})."
        )
    advice = (
        (
            "SIGKILL mostly means that memory ran out: convert fewer models at a time "
            "(COREML_JOBS=1) or close "
            "other programs."
        ),
        (
            "A crash in native code is a fault of torch or coremltools: run the entry and forward "
            "alone in "
            "Python to see where."
        ),
        "A model's code must not end the process (`os._exit`).",
    )
    return Failure("crashed", message, advice=advice)
