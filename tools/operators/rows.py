"""The rows of the sweep: one for each operation and variant of PyTorch's own operator database.

The database is `torch.testing._internal.common_methods_invocations.op_db`. Of each operation the
N-th usable sample is taken, 0 being the first: a result that is finite, real, not empty and the
same twice; a float32 tensor of 1 to 4096 elements and 1 to 5 axes as the input. Operations whose
result is their input are left out.

Owns: that selection, and the files of the rows' arguments.
Must not: convert.
Flow: `sweep` -> `prepare`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import entry
import torch

#: Elements of the largest input.
LARGEST = 4096
#: Operations whose result is memory that nobody has written to: what they give is chance.
UNINITIALISED = ("empty", "new_empty")


@dataclass(frozen=True)
class Row:
    """One operation with one sample of its arguments."""

    id: str
    op: str
    variant: str
    shape: list[int]
    #: Least and largest value of the sample's input.
    range: list[float]

    @property
    def name(self) -> str:
        """The row's name in tables and on the command line."""
        return f"{self.op} {self.variant}".strip()


def prepare(folder: Path, number: int) -> list[Row]:
    """Return the rows of sample `number`, whose arguments are files below `folder`.

    Called by: `sweep`. What an earlier call has written is used again.
    """
    index = folder / "rows.json"
    if not index.exists():
        data = folder / "data"
        data.mkdir(parents=True, exist_ok=True)
        rows = list(_select(data, number))
        index.write_text(json.dumps([vars(row) for row in rows], indent=1))
    return [Row(**row) for row in json.loads(index.read_text())]


def _select(data: Path, number: int) -> Iterator[Row]:
    """Write the rows' files and yield the rows."""
    try:
        from torch.testing._internal.common_methods_invocations import op_db
    except ModuleNotFoundError as error:
        raise SystemExit(
            f"torch's operator database needs the package `{error.name}`: install it into a folder "
            "with `pip install --target`, and name that in PYTHONPATH"
        ) from error
    torch.manual_seed(0)
    count = 0
    for op in op_db:
        function = entry.find(op.name)
        if op.name.startswith(UNINITIALISED) or function is None:
            continue
        if not op.supports_dtype(torch.float32, "cpu"):
            continue
        try:
            samples = list(islice(_usable(op, function), number + 1))
        except Exception:  # the database has no samples for this element type
            continue
        if len(samples) <= number:
            continue
        sample, name = samples[number], f"{count:04d}"
        values = {"name": op.name, "args": sample.args, "kwargs": sample.kwargs}
        try:
            torch.save(values | {"input": sample.input}, data / f"{name}.pt")
        except Exception:  # an argument that no file can hold
            continue
        count += 1
        low, high = float(sample.input.min()), float(sample.input.max())
        high = high if high - low > 1e-6 else low + 1e-3
        yield Row(name, op.name, op.variant_test_name, list(sample.input.shape), [low, high])


def _usable(op: Any, function: Any) -> Iterator[Any]:
    """Yield the samples of an operation that can become a model of one input and one output."""
    for sample in op.sample_inputs("cpu", torch.float32, requires_grad=False):
        x = sample.input
        if not isinstance(x, torch.Tensor) or x.dtype != torch.float32 or "out" in sample.kwargs:
            continue
        if not 1 <= x.numel() <= LARGEST or not 1 <= x.ndim <= 5:
            continue
        try:
            with torch.no_grad():
                results = [function(x.clone(), *sample.args, **sample.kwargs) for _ in range(2)]
        except Exception:  # an error sample
            continue
        first, second = (y[0] if isinstance(y, (tuple, list)) and y else y for y in results)
        if not isinstance(first, torch.Tensor) or first.is_complex() or not first.numel():
            continue
        if not torch.isfinite(first.float()).all() or not torch.equal(first, second):
            continue
        same = first.shape == x.shape and torch.equal(first.float(), x)
        if torch.isfinite(x).all() and not same:
            yield sample
