"""The driver's start: `python -m coreml_driver REQUEST.json`.

Owns: the order of a run: channel, versions, imports, workers, `finished`; and its end when the
build script goes away.
Must not: import torch or coremltools before the versions are checked.
Flow: `coreml-build` starts it with a request file and a pipe as standard input -> events on
standard output, log on standard error.
"""

from __future__ import annotations

import os
import sys
import threading
import traceback
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from coreml_driver import imports, versions
from coreml_driver import request as requests
from coreml_driver.failures import Failure
from coreml_driver.protocol import Channel
from coreml_driver.request import Job, Request

#: Exit code when the build script has gone: nobody reads it.
ORPHANED = 3
#: The shell's exit code for a process that Ctrl-C ended.
INTERRUPTED = 130


def main(arguments: list[str] | None = None) -> int:
    """Run the driver.

    Parameters: `arguments` — the path of the request file; `None`: the process's own.
    Returns: the exit code: 0 when every model got its answer, whatever the answer.
    """
    path = Path((arguments if arguments is not None else sys.argv[1:])[0])
    # The environment may send byte code elsewhere to keep it out of the user's tree. Nothing is
    # written here anyhow, and without their compiled files torch and coremltools take three times
    # as long to import.
    sys.pycache_prefix = None
    sys.dont_write_bytecode = True
    channel = Channel.take_stdout()
    orphaned = _Orphaned()
    request = requests.read(path)
    found = versions.installed()
    channel.send("started", versions=found)
    fitting = _fitting(request, channel)
    failure: Failure | None = None
    try:
        for job in fitting:
            channel.send("progress", model=job.id, stage="import", detail="torch and coremltools")
        if fitting:
            _import_libraries()
    except Exception as error:
        message = f"The libraries cannot be imported: {type(error).__name__}: {error}"
        advice = (
            "Without COREML_PYTHON the build makes an environment of its own.",
            "Run `python -c 'import torch, coremltools'` with that interpreter.",
        )
        failure = Failure(
            "broken-environment",
            message,
            key="python.dependencies",
            advice=advice,
            traceback=traceback.format_exc(),
        )
    if failure is not None:
        for job in fitting:
            channel.send("failed", model=job.id, **failure.event(job.package_root, []))
    elif fitting:
        from coreml_driver.workers import Workers

        workers = Workers()
        orphaned.then(workers.abort)
        try:
            models = replace(request, models=fitting)
            workers.run(models, found, versions.remarks(found), channel)
        except KeyboardInterrupt:
            workers.abort()
            return INTERRUPTED
    channel.send("finished")
    return 0


def _fitting(request: Request, channel: Channel) -> tuple[Job, ...]:
    """Return the models whose requirements the environment meets; the others have failed."""
    failures: dict[tuple[str, ...], Failure | None] = {}
    for job in request.models:
        if job.requirements not in failures:
            failures[job.requirements] = _misfit(job.requirements)
        failure = failures[job.requirements]
        if failure is not None:
            channel.send("failed", model=job.id, **failure.event(job.package_root, []))
    return tuple(job for job in request.models if failures[job.requirements] is None)


def _misfit(requirements: Sequence[str]) -> Failure | None:
    """Return why the environment does not meet the requirements."""
    try:
        versions.check(requirements)
    except Failure as failure:
        return failure
    return None


def _import_libraries() -> None:
    """Import torch and coremltools and start to watch which files are read."""
    imports.libraries()

    from coreml_driver import inputs

    inputs.watch()


class _Orphaned(threading.Thread):
    """Ends the process when its standard input does: the build script holds the other end and has
    died.
    """

    def __init__(self) -> None:
        """Start to wait."""
        super().__init__(daemon=True)
        self._before: Callable[[], None] = lambda: None
        self.start()

    def then(self, before: Callable[[], None]) -> None:
        """Set what to do before the end."""
        self._before = before

    def run(self) -> None:
        """Wait for the end of the input."""
        while os.read(0, 4096):
            pass
        self._before()
        os._exit(ORPHANED)


if __name__ == "__main__":
    sys.exit(main())
