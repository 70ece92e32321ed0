"""The crate of a run: manifests and entries in a folder, and what `cargo coreml` says about them.

Owns: the folder's layout, the Python that converts, the calls of `cargo coreml`.
Must not: know what is measured or how it is shown.
Flow: `zoo.py` -> here, a batch of entries at a time.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Container, Iterable, Sequence
from pathlib import Path
from typing import Any

from catalogue import Entry

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
PRECISIONS = ("float32", "float16")
ENGINES = ("rten", "onnxruntime")
#: Files that entries import.
COPIED = ("perturbation.py", "partial.py")
#: Seconds that an entry may take in both precisions.
LIMIT = 420


class Crate:
    """A folder with a manifest and a Python file for each entry."""

    def __init__(self, folder: Path, cache: Path | None = None) -> None:
        """Make the folder and the Python that converts in it.

        Parameters: `cache` — where conversions are kept, by default in the folder.
        """
        self.folder = folder / "crate"
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "Cargo.toml").write_text(
            '[package]\nname = "zoo"\nversion = "0.0.0"\nedition = "2024"\n\n[workspace]\n'
        )
        for name in COPIED:
            if not _same(HERE / name, self.folder / name):
                shutil.copy(HERE / name, self.folder)
        self._environment = os.environ | {
            "COREML_CACHE_DIR": str(cache or folder / "cache"),
            "COREML_PYTHON": str(_python(folder / "python")),
            "COREML_STRICT": "0",
            "OMP_NUM_THREADS": "1",
        }
        # The Python of the folder sees the packages by itself.
        self._environment.pop("PYTHONPATH", None)
        self._program = os.environ.get("COREML_CARGO") or str(_built())

    def forget(self, known: Container[str]) -> None:
        """Remove the files of entries that are no longer: one could have a package's name."""
        for file in self.folder.glob("*.py"):
            if file.name not in COPIED and file.stem not in known:
                file.unlink()

    def build(self, entries: Sequence[Entry]) -> dict[str, dict[str, str]]:
        """Convert entries; return for each precision why it does not convert, or nothing.

        One process of Python converts a batch. Where it does not end in time, each is alone.
        """
        names = {}
        for entry in entries:
            (self.folder / f"{entry.name}.py").write_text(entry.python())
            for precision in PRECISIONS:
                names[_file(entry.name, precision)] = (entry.name, precision)
                manifest = self.folder / _file(entry.name, precision)
                manifest.write_text(entry.manifest(precision))
        limit = LIMIT * max(1, len(entries))
        code, said, _ = self._run("build", *names, "--jobs", "1", "--json", limit=limit)
        if code is None and len(entries) > 1:
            return {name: text for one in entries for name, text in self.build([one]).items()}
        reasons: dict[str, dict[str, str]] = {entry.name: {} for entry in entries}
        if code is None:
            return {name: dict.fromkeys(PRECISIONS, f"not done in {LIMIT} s") for name in reasons}
        for built in json.loads(said):
            name, precision = names[built["manifest"]]
            if built["errors"]:
                reasons[name][precision] = "\n\n".join(built["errors"])
        return reasons

    def verify(self, name: str, precision: str, engine: str) -> dict[str, Any]:
        """Compare a converted entry with PyTorch on an engine."""
        arguments = (_file(name, precision), "--engine", engine, "--json")
        code, said, complaint = self._run("verify", *arguments, limit=LIMIT)
        if code is None:
            return {"passed": False, "reason": f"not done in {LIMIT} s"}
        try:
            (verdict,) = json.loads(said)
        except ValueError:
            return {"passed": False, "reason": complaint.strip()[-2000:]}
        psnr = [
            output["psnr"] if output["psnr"] is not None else float("inf")
            for output in verdict["comparisons"]
            if isinstance(output.get("psnr"), float | int | None)
        ]
        departure = verdict.get("departure")
        return {
            "passed": verdict["passed"],
            "psnr": min(psnr, default=None),
            **({"departure": departure} if departure else {}),
            **({} if verdict["passed"] else {"reason": complaint.strip()[-2000:]}),
        }

    def lint(self, name: str) -> dict[str, int]:
        """Return how many findings of each severity and rule there are in half precision."""
        _, said, _ = self._run("lint", _file(name, "float16"), "--json", limit=LIMIT)
        counts: dict[str, int] = {}
        for model in json.loads(said):
            for finding in model["findings"]:
                key = f"{finding['severity']} {finding['rule']}"
                counts[key] = counts.get(key, 0) + 1
        return counts

    def report(self, name: str, precision: str) -> dict[str, Any]:
        """Return the report of a conversion."""
        _, said, _ = self._run("path", _file(name, precision), "--json", limit=LIMIT)
        (row,) = json.loads(said)
        return json.loads(Path(row["report"]).read_text())

    def _run(self, command: str, *arguments: str, limit: float) -> tuple[int | None, str, str]:
        """Return exit code, output and errors; the code is `None` where it took too long."""
        called = [self._program, "coreml", command, *arguments]
        try:
            done = subprocess.run(
                called,
                cwd=self.folder,
                env=self._environment,
                capture_output=True,
                text=True,
                timeout=limit,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return None, "", ""
        return done.returncode, done.stdout, done.stderr


def _same(one: Path, other: Path) -> bool:
    """Return whether two files are equal: a file that is written is one that has changed."""
    return other.exists() and one.read_bytes() == other.read_bytes()


def _file(name: str, precision: str) -> str:
    """Return the name of a manifest."""
    return f"{name}.toml" if precision == "float16" else f"{name}_{precision}.toml"


def _python(folder: Path) -> Path:
    """Return an interpreter that sees what this one sees, however that was told to see it."""
    interpreter = folder / "bin" / "python"
    if not interpreter.exists():
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    seen = folder / "lib" / version / "site-packages" / "seen.pth"
    seen.write_text("".join(f"{path}\n" for path in _packages(sys.path)))
    return interpreter


def _packages(paths: Iterable[str]) -> list[str]:
    """Return the folders of packages among the places of modules, without this tool's."""
    own = {str(HERE), str(ROOT / "coreml-build" / "python")}
    standard = str(Path(os.__file__).parent)
    folders = [path for path in paths if path and Path(path).is_dir() and path not in own]
    return [path for path in folders if not path.startswith(standard) or path.endswith("-packages")]


def _built() -> Path:
    """Build `cargo coreml` with both engines, and return the program."""
    command = ["cargo", "build", "--quiet", "--release", "-p", "cargo-coreml"]
    subprocess.run([*command, "--features", "onnxruntime"], cwd=ROOT, check=True)
    target = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    return ROOT / target / "release" / "cargo-coreml"
