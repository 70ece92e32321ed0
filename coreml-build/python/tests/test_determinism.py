"""Models that these tests convert, converted again in another process with another hash seed: the
same bytes.

`conftest` keeps the sources, the table and the digest of each conversion that succeeds, and runs
this file last. With `COREML_TEST_LONG` it is every model, otherwise a few.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import KEPT

AGAIN = Path(__file__).with_name("again.py")
#: Processes at the same time.
PROCESSES = 2
#: How many conversions are repeated; all of them where it is `None`.
REPEATED = None if os.environ.get("COREML_TEST_LONG") else 8


def converted_again(names: list[str], seed: int, folder: Path) -> subprocess.Popen:
    """Start a process that converts some of what was kept."""
    listed = {
        name: (str(KEPT.folder / name), KEPT.conversions[name]["table"], str(folder / name / "out"))
        for name in names
    }
    (folder / f"{seed}.json").write_text(json.dumps(listed))
    environment = {**os.environ, "PYTHONHASHSEED": str(seed), "OMP_NUM_THREADS": "1"}
    with (folder / f"{seed}.log").open("w") as log:
        command = [sys.executable, "-B", str(AGAIN), str(folder / f"{seed}.json")]
        return subprocess.Popen(
            command, env=environment, stdout=subprocess.PIPE, stderr=log, text=True
        )


def test_conversions_give_the_same_bytes_in_another_process(tmp_path):
    # The names are hashes, so the first ones are of any kind.
    names = sorted(KEPT.conversions)[:REPEATED]
    if not names:
        pytest.skip("nothing was converted before: run it with the other tests")
    processes = [
        converted_again(names[part::PROCESSES], part + 1, tmp_path) for part in range(PROCESSES)
    ]
    found = {}
    for seed, process in enumerate(processes, start=1):
        output, _ = process.communicate()
        assert process.returncode == 0, (tmp_path / f"{seed}.log").read_text()[-3000:]
        found |= json.loads(output.splitlines()[-1])
    different = {
        KEPT.conversions[name]["test"]: found[name]
        for name in names
        if found[name] != KEPT.conversions[name]["digest"]
    }
    print(f"{len(names)} conversions were made again")
    assert not different, different
