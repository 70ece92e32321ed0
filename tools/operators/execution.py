"""Running a row's package and comparing it with PyTorch.

Owns: the samples of a row: the database's own input, and numbers between its least and its largest
value; running `cargo coreml verify` on them.
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
from rows import Row

#: Seconds that the runs of one package may take.
LIMIT = 60.0
#: How far a value may be from PyTorch's: relative to it, and relative to the largest value of the
#: result.
RTOL, LARGEST_RTOL = 1e-4, 1e-5
#: Where the program is that compares, unless this variable says so.
PROGRAM = os.environ.get("COREML_CARGO", "target/release/cargo-coreml")


def compare(row: Row, package: Path, folder: Path) -> dict[str, Any]:
    """Compare a package with PyTorch.

    Returns: `right` (`None` where it cannot be run), and `difference` in words.
    """
    files, largest = _samples(row, folder)
    command = [PROGRAM, "coreml", "verify", "--json", str(package), "--rtol", str(RTOL)]
    command += ["--atol", str(LARGEST_RTOL * max(largest, 1e-3)), "--engine", "rten"]
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
