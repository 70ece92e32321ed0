"""What a conversion costs against a plain script that does only the steps of coremltools' guide.

Owns: the two ways to convert an entry, each in a process of its own, and what they take.
Must not: judge the result.
Flow: `zoo.py` -> [`measure`] -> a process that imports the entry's packages -> one for each way.

Both make the module, convert it and save the package, in a process that has imported torch,
coremltools and the entry's packages. Time is CPU time; memory is the peak, the libraries included.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import resource
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import coremltools as ct
import numpy as np
import torch
from catalogue import Entry
from coreml_driver import conversion, versions
from coreml_driver.request import Job

#: Seconds that a process may take.
LIMIT = 240
DTYPES = {"float32": np.float32, "float16": np.float16, "int32": np.int32}


def measure(entry: Entry, crate: Path) -> dict[str, dict[str, Any]]:
    """Return what both ways take, by way: `seconds`, `megabytes`, `said`."""
    receiver, sender = multiprocessing.Pipe(duplex=False)
    child = os.fork()
    if not child:
        _quiet()
        os.setsid()
        os.chdir(crate)
        sys.path.insert(0, str(crate))
        try:
            space: dict[str, Any] = {}
            exec(compile(entry.python(), f"{entry.name}.py", "exec"), space)
            # Imports what the entry imports.
            space["model"]()
            ways: dict[str, Callable[[Entry, dict[str, Any], Path], str]]
            ways = {"plain": _plain, "ours": _ours}
            sender.send({name: _alone(way, entry, space, crate) for name, way in ways.items()})
        except BaseException as error:
            sender.send({"plain": {"said": f"{type(error).__name__}: {error}"}})
        os._exit(0)
    sender.close()
    try:
        found = receiver.recv() if receiver.poll(2 * LIMIT + 60) else {}
    except EOFError:
        found = {}
    if not found:
        os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return found


def _alone(
    way: Callable[[Entry, dict[str, Any], Path], str],
    entry: Entry,
    space: dict[str, Any],
    crate: Path,
) -> dict[str, Any]:
    """Convert in a process of its own."""
    folder = Path(tempfile.mkdtemp(prefix="zoo-"))
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        os.close(reading)
        signal.alarm(LIMIT)
        began = resource.getrusage(resource.RUSAGE_SELF)
        try:
            said = way(entry, space, folder)
        except BaseException as error:
            said = f"{type(error).__name__}: {str(error)[:500]}"
        ended = resource.getrusage(resource.RUSAGE_SELF)
        cost = {
            "seconds": ended.ru_utime + ended.ru_stime - began.ru_utime - began.ru_stime,
            "megabytes": ended.ru_maxrss / 1024,
            "said": said,
        }
        os.write(writing, json.dumps(cost).encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        text = pipe.read()
    os.waitpid(child, 0)
    shutil.rmtree(folder, ignore_errors=True)
    return json.loads(text) if text else {"said": f"not done in {LIMIT} s"}


def _plain(entry: Entry, space: dict[str, Any], folder: Path) -> str:
    """Trace, convert and save, as a script does it."""
    module = space["model"]()
    samples, types = [], []
    for name, own in entry.inputs.items():
        shape = [size if isinstance(size, int) else size["max"] for size in own["shape"]]
        dtype = own.get("dtype", "float32")
        low, high = own.get("sample", {}).get("range", (0, 9))
        whole = torch.randint(int(low), int(high) + 1, shape, dtype=torch.int32)
        samples.append(whole if dtype == "int32" else torch.rand(shape))
        types.append(ct.TensorType(name=name, shape=shape, dtype=DTYPES[dtype]))
    with torch.no_grad():
        traced = torch.jit.trace(_Tensors(module), tuple(samples), check_trace=False)
    made = ct.convert(
        traced,
        inputs=types,
        convert_to="mlprogram",
        minimum_deployment_target=ct.target.iOS18,
        skip_model_load=True,
    )
    made.save(str(folder / "model.mlpackage"))
    return "converted"


class _Tensors(torch.nn.Module):
    """A module that returns a tuple of tensors, which is what a script makes of a library's output
    before it traces."""

    def __init__(self, module: torch.nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, *inputs: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return tuple(_tensors(self.module(*inputs)))


def _tensors(value: Any) -> list[torch.Tensor]:
    """Return the tensors of an output."""
    if isinstance(value, torch.Tensor):
        return [value]
    if value is None:
        return []
    parts = value.values() if hasattr(value, "values") else value
    return [one for part in parts for one in _tensors(part)]


def _ours(entry: Entry, space: dict[str, Any], folder: Path) -> str:
    """Convert by the driver, as in a build."""
    import tomllib

    table = tomllib.loads(entry.manifest("float16"))["model"]
    table["source"]["args"] = {}
    for own in table["inputs"].values():
        own.setdefault("dtype", "float32")
    job = Job("model", folder, table, Path.cwd())
    said: list[tuple[str, dict[str, Any]]] = []
    conversion.convert(
        job,
        Path.cwd(),
        versions.installed(),
        [],
        lambda event, **fields: said.append((event, fields)),
    )
    event, fields = said[-1]
    return event if event == "converted" else f"{fields['kind']}: {fields['message'][:500]}"


def _quiet() -> None:
    """Send what libraries say nowhere."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    os.dup2(null, 2)
