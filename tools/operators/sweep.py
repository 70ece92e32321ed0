"""Converts each operation of PyTorch's own operator database, by plain coremltools and by this
project, runs both packages, compares them with PyTorch, and writes the table of the result.

    python tools/operators/sweep.py FOLDER [NAME ...] [--sample N] [--jobs N] [--again]
        [--side ours] [--portable] [--table FILE.md]

FOLDER keeps arguments, packages and results; what has a result is not converted again unless
`--again` is given. A NAME is an operation of the database (`linalg.inv`), with or without its
variant; `--wrong` names all that are not right yet. Wants a Python with the driver's packages and
`expecttest`, which torch's database imports. Packages are run by the driver's own executor;
`--portable` runs them by `cargo-coreml` (`COREML_CARGO` names the program).

Owns: the command line, the processes, and what is kept.
Flow: `rows` -> a process for each row and side: `conversions`, `execution` -> `table`.
"""

from __future__ import annotations

import argparse
import json
import logging
import multiprocessing
import os
import sys
import time
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "coreml-build" / "python"))

# One thread for each child, and no bars of progress, before torch and coremltools are imported.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("TQDM_DISABLE", "1")
logging.disable(logging.WARNING)
warnings.simplefilter("ignore")

import conversions  # noqa: E402
import execution  # noqa: E402
import rows  # noqa: E402
import table  # noqa: E402
import torch  # noqa: E402
from coreml_driver import inputs  # noqa: E402

SIDES = {"plain": conversions.plain, "ours": conversions.ours}
#: Seconds that a row may take on one side.
LIMIT = 120.0
#: Seconds between two looks at the children.
POLL = 0.02


def main() -> int:
    """Run the sweep and return the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, help="keeps arguments, packages and results")
    parser.add_argument("names", nargs="*", metavar="NAME", help="operations; default: all")
    parser.add_argument("--sample", type=int, default=0, help="which usable sample of each")
    parser.add_argument("--jobs", type=int, default=1, help="how many processes at once")
    parser.add_argument("--side", choices=SIDES, help="convert on this side only")
    parser.add_argument("--again", action="store_true", help="convert what has a result, too")
    parser.add_argument("--wrong", action="store_true", help="only what is not right on our side")
    parser.add_argument("--portable", action="store_true", help="run on the portable backend")
    parser.add_argument("--table", type=Path, help="write the table to this file")
    arguments = parser.parse_args()
    folder = arguments.folder / f"sample{arguments.sample}"
    folder.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    inputs.watch()
    chosen = rows.prepare(folder, arguments.sample)
    results = _read(folder)
    _run(arguments, folder, _wanted(arguments, chosen, results), results)
    if arguments.table is not None:
        arguments.table.write_text(table.markdown(chosen, results, arguments.sample))
    print(table.counts(chosen, results))
    return 0


def _wanted(
    arguments: argparse.Namespace, chosen: Sequence[rows.Row], results: dict[str, Any]
) -> list[tuple[rows.Row, str]]:
    """Return what to convert."""
    wanted = []
    for row in chosen:
        if arguments.names and not {row.name, row.op} & set(arguments.names):
            continue
        if arguments.wrong and results.get(f"{row.id} ours", {}).get("right"):
            continue
        for side in [arguments.side] if arguments.side else SIDES:
            if arguments.again or arguments.wrong or f"{row.id} {side}" not in results:
                wanted.append((row, side))
    return wanted


def _run(
    arguments: argparse.Namespace,
    folder: Path,
    wanted: Sequence[tuple[rows.Row, str]],
    results: dict[str, Any],
) -> None:
    """Convert in processes of their own, and keep each result as soon as it is there."""
    fork = multiprocessing.get_context("fork")
    waiting, running = list(reversed(wanted)), {}
    with (folder / "results.jsonl").open("a") as file:
        while waiting or running:
            while waiting and len(running) < arguments.jobs:
                row, side = waiting.pop()
                receiver, sender = fork.Pipe(duplex=False)
                child = fork.Process(
                    target=_child, args=(row, side, folder, sender, arguments.portable)
                )
                child.start()
                running[child] = (row, side, receiver, time.monotonic())
            time.sleep(POLL)
            for child, (row, side, receiver, started) in list(running.items()):
                late = time.monotonic() - started > LIMIT
                if child.is_alive() and not late and not receiver.poll():
                    continue
                result = _outcome(child, receiver, late)
                del running[child]
                key = f"{row.id} {side}"
                results[key] = result
                file.write(json.dumps({"key": key, "name": row.name} | result) + "\n")
                file.flush()
                if arguments.names or arguments.wrong:
                    print(f"{row.name} ({side}): {table.shown(result)}", flush=True)


def _outcome(child: Any, receiver: Any, late: bool) -> dict[str, Any]:
    """Return what a child said, or how it ended without a word."""
    try:
        result = receiver.recv() if receiver.poll() else None
    except EOFError:
        result = None
    if late:
        child.kill()
    child.join()
    if result is None:
        reason = f"not done in {LIMIT:.0f} s" if late else f"ended with code {child.exitcode}"
        return {"converted": False, "reason": reason, "crashed": True}
    return result


def _child(row: rows.Row, side: str, folder: Path, sender: Any, portable: bool) -> None:
    """Convert and compare one row on one side."""
    (folder / "logs").mkdir(exist_ok=True)
    log = os.open(folder / "logs" / f"{row.id}-{side}.txt", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(log, 1)
    os.dup2(log, 2)
    started = time.process_time()
    try:
        package = SIDES[side](row, folder)
        seconds = time.process_time() - started
        result = {"converted": True} | execution.compare(row, package, folder, portable)
    except conversions.Refused as refused:
        seconds = time.process_time() - started
        result = {"converted": False, "reason": str(refused)}
    sender.send(result | {"seconds": round(seconds, 2)})


def _read(folder: Path) -> dict[str, Any]:
    """Return the kept results; the last one of a row and side holds."""
    file = folder / "results.jsonl"
    lines = file.read_text().splitlines() if file.exists() else []
    return {entry["key"]: entry for entry in map(json.loads, lines)}


if __name__ == "__main__":
    sys.exit(main())
