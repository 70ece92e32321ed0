"""A package as a user would have it, converted in this process: importing torch costs more than all
conversions together.

Process isolation and the line protocol are the subject of `test_process.py` alone.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
import textwrap
from dataclasses import dataclass, field
from pathlib import Path

import pytest

os.environ.setdefault("OMP_NUM_THREADS", "1")

import torch

from coreml_driver import conversion, inputs, versions
from coreml_driver.canonical import read_specification
from coreml_driver.request import Job

torch.set_num_threads(1)
inputs.watch()

#: The line of a source on which a failure has to stand.
MARK = "# here"


@dataclass
class Outcome:
    """What one conversion said and wrote."""

    root: Path
    output: Path
    events: list[dict] = field(default_factory=list)

    @property
    def last(self) -> dict:
        return self.events[-1]

    @property
    def converted(self) -> dict:
        assert self.last["event"] == "converted", json.dumps(self.last, indent=1)
        return self.last

    @property
    def failed(self) -> dict:
        assert self.last["event"] == "failed", self.last
        return self.last

    @property
    def specification(self):
        assert self.converted
        return read_specification(self.output / "model.mlpackage")

    @property
    def features(self) -> dict[str, tuple[int, list[int]]]:
        description = self.specification.description
        return {
            item.name: (
                item.type.multiArrayType.dataType & 0xFFFF,
                list(item.type.multiArrayType.shape),
            )
            for item in [*description.input, *description.output]
        }

    @property
    def report(self) -> dict:
        assert self.converted
        return json.loads((self.output / "report.json").read_text())

    @property
    def sample(self) -> dict:
        return self.tensors(0)

    def tensors(self, sample: int) -> dict:
        """Return all tensors of a sample."""
        import safetensors.numpy

        return safetensors.numpy.load_file(self.output / f"samples/{sample}.safetensors")

    @property
    def digest(self) -> str:
        return digest(self.output / "model.mlpackage")


class Kept:
    """Every different conversion of these tests: its sources, its table, and the digest of what
    came out."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="kept-conversions-"))
        self.conversions: dict[str, dict] = {}

    def add(self, root: Path, table: dict, output: Path) -> None:
        """Keep one, unless it is there, or was made of files outside of the package, which are not
        kept."""
        if "../" in json.dumps(table):
            return
        name = hashlib.sha256((digest(root) + json.dumps(table)).encode()).hexdigest()[:16]
        if name not in self.conversions:
            shutil.copytree(root, self.folder / name)
            self.conversions[name] = {
                "table": table,
                "digest": products(output),
                "test": current_test(),
            }


KEPT = Kept()


def current_test() -> str:
    """Return the name of the test that is running."""
    return os.environ.get("PYTEST_CURRENT_TEST", "").rpartition(" ")[0]


def pytest_collection_modifyitems(items: list) -> None:
    """Convert again last, when everything has been converted once."""
    items.sort(key=lambda item: item.path.name == "test_determinism.py")


def pytest_unconfigure() -> None:
    """Remove what was kept."""
    shutil.rmtree(KEPT.folder, ignore_errors=True)


def products(output: Path) -> str:
    """Return a digest of what a conversion leaves to be built with: the package and the samples."""
    return digest(output / "model.mlpackage") + digest(output / "samples")


def digest(folder: Path) -> str:
    """Return a hash over all files of a folder, names included."""
    state = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            state.update(path.relative_to(folder).as_posix().encode() + b"\0" + path.read_bytes())
    return state.hexdigest()


class Package:
    """A folder with Python sources."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.runs = 0

    def write(self, name: str, text: str) -> Path:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text))
        return path

    def table(self, **changes) -> dict:
        """Return a model's table as the build script sends it."""
        table = {
            "source": {"file": "python/model.py", "entry": "make", "args": {}},
            "capture": "auto",
            "compute-precision": "float16",
            "format": "mlprogram",
            "inputs": {"x": {"shape": [2, 3], "dtype": "float32"}},
            "outputs": {},
            "metadata": {},
            "minimum-deployment-target": "iOS18",
            "parity": {"samples": 1},
        }
        return table | {key.replace("_", "-"): value for key, value in changes.items()}

    def convert(self, text: str | None = None, /, **changes) -> Outcome:
        """Convert the source `text`, with changes of the table."""
        if text is not None:
            self.write("python/model.py", PRELUDE + textwrap.dedent(text))
        self.runs += 1
        outcome = Outcome(self.root, self.root.parent / f"output{self.runs}")
        send = lambda event, **fields: outcome.events.append({"event": event, **fields})  # noqa: E731
        job = Job("model", outcome.output, self.table(**changes), self.root)
        conversion.convert(job, self.root, versions.installed(), [], send)
        if outcome.last["event"] == "converted":
            KEPT.add(self.root, job.table, outcome.output)
        return outcome

    def marked(self, name: str = "python/model.py") -> int:
        """Return the number of the marked line."""
        lines = (self.root / name).read_text().splitlines()
        return next(number for number, line in enumerate(lines, start=1) if MARK in line)


#: What every source of a test begins with.
PRELUDE = """\
import torch
import torch.nn as nn
import torch.nn.functional as F
"""


@pytest.fixture
def package(tmp_path: Path) -> Package:
    """An empty package."""
    root = tmp_path / "package"
    root.mkdir()
    return Package(root)
