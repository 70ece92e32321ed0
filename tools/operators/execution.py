"""Running a row's package and comparing it with PyTorch.

Owns: the samples of a row: the database's own input, and numbers between its least and its largest
value; running the package by the driver's own executor, or by the portable backend.
Must not: convert.
Flow: `conversions` -> `compare`.
"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import entry
import numpy as np
import safetensors.numpy
import torch
from coreml_driver import program
from coreml_driver.canonical import read_specification
from coreml_driver.proof.blobs import Blobs
from coreml_driver.proof.execute import Executable
from coreml_driver.proof.values import Precision
from rows import Row

#: Seconds that the runs of one package may take.
LIMIT = 60.0
#: How far a value may be from PyTorch's: relative to it, and relative to the largest value of the
#: result.
RTOL, LARGEST_RTOL = 1e-4, 1e-5
#: The program that runs the portable backend, which `--portable` wants.
PROGRAM = os.environ.get("COREML_CARGO", "target/release/cargo-coreml")


def compare(row: Row, package: Path, folder: Path, portable: bool) -> dict[str, Any]:
    """Compare a package with PyTorch.

    Parameters: `portable` — run it on the portable backend.
    Returns: `right` (`None` where it cannot be run), and `difference` in words.
    """
    files, largest = _samples(row, folder)
    tolerance = LARGEST_RTOL * max(largest, 1e-3)
    return (_portable if portable else _executed)(package, files, tolerance)


def _executed(package: Path, files: list[Path], tolerance: float) -> dict[str, Any]:
    """Execute the package in this process."""
    function = program.main(read_specification(package))
    with Blobs(package) as blobs:
        executable = Executable(function, blobs)
        unproved = executable.unproved()
        if unproved:
            return {"right": None, "difference": f"no kernel for {', '.join(unproved)}"}
        for file in files:
            arrays = safetensors.numpy.load_file(file)
            try:
                (found,) = executable.run(
                    {"x": torch.from_numpy(arrays["in/x"])}, precision=Precision.WIDENED
                ).values()
            except Exception as error:
                return {"right": False, "difference": f"fails: {type(error).__name__}: {error}"}
            wanted = torch.from_numpy(arrays["out/output"])
            if found.shape != wanted.shape:
                words = f"shape {list(found.shape)} instead of {list(wanted.shape)}"
                return {"right": False, "difference": words}
            apart = (found.double() - wanted.double()).abs()
            same = (found == wanted) | (found.isnan() & wanted.isnan())
            allowed = tolerance + RTOL * wanted.double().abs()
            if not (same | (apart <= allowed)).all():
                worst = apart.masked_fill(same, 0).nan_to_num(float("inf")).argmax()
                words = f"{found.flatten()[worst]} instead of {wanted.flatten()[worst]}"
                return {"right": False, "difference": f"{words} in {file.stem}"}
    return {"right": True, "difference": ""}


def _portable(package: Path, files: list[Path], tolerance: float) -> dict[str, Any]:
    """Run the package on the portable backend."""
    command = [PROGRAM, "coreml", "verify", "--json", str(package), "--rtol", str(RTOL)]
    command += ["--atol", str(tolerance), "--engine", "rten"]
    for file in files:
        command += ["--samples", str(file)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT)
    try:
        result = json.loads(done.stdout)
    except ValueError:
        words = (done.stderr or done.stdout).strip().splitlines() or ["no output"]
        return {"right": None, "difference": " ".join(words)[:300]}
    if result["passed"]:
        return {"right": True, "difference": ""}
    worst = [one for one in result["comparisons"] if not one.get("passed")]
    return {"right": False, "difference": json.dumps(worst[:1])[:300]}


def _samples(row: Row, folder: Path) -> tuple[list[Path], float]:
    """Write a row's samples once; return their files and the largest value of a result."""
    folder = folder / "samples"
    folder.mkdir(exist_ok=True)
    files = [folder / f"{row.id}-{number}.safetensors" for number in range(2)]
    if not files[-1].exists():
        data = folder.parent / "data" / f"{row.id}.pt"
        module = entry.op(data).eval()
        own = torch.load(data, weights_only=False)["input"]
        random = np.random.Generator(np.random.PCG64(0))
        low, high = row.range
        drawn = torch.from_numpy(random.uniform(low, high, row.shape).astype(np.float32))
        for file, x in zip(files, (own, drawn), strict=True):
            with torch.no_grad():
                y = module(x.clone())
            arrays = {"in/x": x.contiguous().numpy(), "out/output": y.contiguous().numpy()}
            safetensors.numpy.save_file(arrays, file)
    results = [safetensors.numpy.load_file(file)["out/output"] for file in files]
    finite = [np.abs(one[np.isfinite(one)]).max(initial=0.0) for one in results]
    return files, float(max(finite))
