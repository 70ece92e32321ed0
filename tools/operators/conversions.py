"""The two ways in which a row is converted: coremltools by itself, and this project's driver.

Owns: what both are asked for, and the words for what went wrong.
Must not: judge the results; `execution` does.
Flow: `sweep` -> `plain` or `ours`, in a process of its own -> `execution`.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import coremltools as ct
import entry
import torch
from coreml_driver import conversion, versions
from coreml_driver.request import Job
from rows import Row

#: Characters of a reason that are kept.
REASON_LENGTH = 400


class Refused(Exception):
    """A conversion that ended with a reason."""


def plain(row: Row, folder: Path) -> Path:
    """Convert with a trace and coremltools' defaults but for the precision; return the package."""
    module = entry.op(folder / "data" / f"{row.id}.pt").eval()
    example = torch.load(folder / "data" / f"{row.id}.pt", weights_only=False)["input"]
    package = folder / "plain" / f"{row.id}.mlpackage"
    shutil.rmtree(package, ignore_errors=True)
    try:
        with torch.no_grad():
            traced = torch.jit.trace(module, (example.clone(),), check_trace=False)
        converted = ct.convert(
            traced,
            inputs=[ct.TensorType("x", example.shape)],
            outputs=[ct.TensorType("output")],
            convert_to="mlprogram",
            minimum_deployment_target=ct.target.iOS18,
            compute_precision=ct.precision.FLOAT32,
            skip_model_load=True,
        )
        converted.save(str(package))
    except Exception as error:
        raise Refused(_short(f"{type(error).__name__}: {error}")) from error
    return package


def ours(row: Row, folder: Path) -> Path:
    """Convert as `cargo build` does; return the package."""
    root, output = folder / "source", folder / "ours" / row.id
    root.mkdir(exist_ok=True)
    if not (root / "entry.py").exists():
        shutil.copy(entry.__file__, root / "entry.py")
    shutil.rmtree(output, ignore_errors=True)
    output.mkdir(parents=True)
    events: list[dict[str, Any]] = []
    source = {
        "file": "entry.py",
        "entry": "op",
        "args": {"file": str((folder / "data" / f"{row.id}.pt").resolve())},
    }
    table = {
        "source": source,
        "inputs": {"x": {"shape": row.shape, "sample": {"range": row.range}}},
        "compute-precision": "float32",
        "parity": {"samples": 2},
    }
    send = lambda event, **fields: events.append({"event": event, **fields})  # noqa: E731
    conversion.convert(Job(row.id, output, table, root), root, versions.installed(), [], send)
    last = events[-1]
    if last["event"] != "converted":
        raise Refused(_short(f"{last['kind']}: {last['message']}"))
    return output / "model.mlpackage"


def _short(text: str) -> str:
    """Return the beginning of a reason, in one line."""
    line = " ".join(text.split())
    return line if len(line) <= REASON_LENGTH else line[:REASON_LENGTH] + " …"
