"""Converts the zoo: models of many packages by their own code, with parity on both engines.

    python tools/zoo/zoo.py FOLDER [NAME ...] [--piece I/N] [--wrong] [--again]
        [--no-costs] [--no-run] [--table FILE.md]

For each entry FOLDER gets a manifest and a Python file, `cargo coreml build` converts them in
float32 and float16, `cargo coreml verify` compares both with PyTorch on rten and on ONNX Runtime,
`cargo coreml lint` counts its findings, and a plain script of coremltools shows what the conversion
costs. FOLDER/results keeps a file for each entry: what has a result with the same text and
versions is not done again, unless `--again`, or `--wrong` for what is not right yet. `--piece 2/3`
takes the second third. A NAME is an entry, a package or a family. The exit code is 1 where an entry
that this run converted is not right, and the catalogue does not say why.

Wants the Python that converts, with the packages of `requirements.txt` and of
`.ci/requirements-driver.txt` in its PYTHONPATH, and `ORT_DYLIB_PATH`. `COREML_CARGO` names a
`cargo-coreml` program that is built already.

Owns: the command line, the order, what is kept.
Flow: `catalogue` -> `crate` (conversion, parity, lint) and `costs`, a batch at a time -> `table`.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import logging
import os
import sys
import time
import warnings
from importlib import metadata
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path[:0] = [str(HERE), str(ROOT / "coreml-build" / "python")]
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("TQDM_DISABLE", "1")

import catalogue  # noqa: E402
import table  # noqa: E402
from catalogue import Entry  # noqa: E402
from crate import COPIED, ENGINES, PRECISIONS, Crate  # noqa: E402

#: How many entries one process of Python converts.
BATCH = 6
#: Packages whose versions decide a result, besides the entry's own.
BASE = ("torch", "coremltools", "numpy")


def main() -> int:
    """Run the zoo and return the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, help="keeps manifests, conversions and results")
    parser.add_argument("names", nargs="*", metavar="NAME", help="entries; default: all")
    parser.add_argument("--piece", default="1/1", metavar="I/N", help="a part of the entries")
    parser.add_argument("--wrong", action="store_true", help="again, what is not right yet")
    parser.add_argument("--again", action="store_true", help="again, what has a result")
    parser.add_argument(
        "--no-costs", action="store_true", help="leave time and memory to a later run"
    )
    parser.add_argument("--no-run", action="store_true", help="only what the results say")
    parser.add_argument("--table", type=Path, help="write the page to this file")
    arguments = parser.parse_args()
    folder = arguments.folder.resolve()
    (folder / "results").mkdir(parents=True, exist_ok=True)
    entries = catalogue.load()
    results = read(folder, entries)
    wanted = _wanted(arguments, entries, results)
    if wanted and not arguments.no_run:
        logging.disable(logging.WARNING)
        warnings.simplefilter("ignore")
        run(folder, wanted, results, costs=not arguments.no_costs)
    if arguments.table is not None:
        arguments.table.write_text(table.markdown(entries, results))
    print(table.counts(entries, results))
    return int(
        any(
            not (table.right(results[one.name]) or one.reason)
            for one in wanted
            if one.name in results
        )
    )


def read(folder: Path, entries: dict[str, Entry]) -> dict[str, dict[str, Any]]:
    """Return the kept results of entries that are still the same."""
    results = {}
    for name, entry in entries.items():
        file = folder / "results" / f"{name}.json"
        if file.exists():
            found = json.loads(file.read_text())
            if found["key"] == key(entry):
                results[name] = found
    return results


def key(entry: Entry) -> str:
    """Return what a result holds for: the entry's text, and the versions of its packages."""
    versions = [f"{name}=={version(name)}" for name in (*BASE, entry.package)]
    own = b"".join((HERE / name).read_bytes() for name in COPIED)
    return hashlib.sha256("\n".join([entry.digest, *versions]).encode() + own).hexdigest()[:16]


def version(package: str) -> str:
    """Return the version of an installed package."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not installed"


def run(
    folder: Path, wanted: list[Entry], results: dict[str, dict[str, Any]], *, costs: bool
) -> None:
    """Convert, compare and measure; keep each result as soon as it is there."""
    if costs:
        import coremltools  # noqa: F401
        import torch
        from coreml_driver import inputs
        from costs import measure

        torch.set_num_threads(1)
        inputs.watch()
    crate = Crate(folder)
    crate.forget(catalogue.ENTRIES)
    while wanted:
        batch, wanted = wanted[:BATCH], wanted[BATCH:]
        began = time.monotonic()
        fresh = [entry for entry in batch if entry.name not in results]
        reasons = crate.build(fresh) if fresh else {}
        share = (time.monotonic() - began) / max(1, len(fresh))
        for entry in batch:
            began = time.monotonic()
            if entry in fresh:
                result = judged(crate, entry, reasons[entry.name]) | {"seconds": share}
            else:
                result = results[entry.name]
            if costs and "costs" not in result:
                result["costs"] = measure(entry, crate.folder)
            result["seconds"] = round(result["seconds"] + time.monotonic() - began, 1)
            result |= {"key": key(entry), "version": version(entry.package)}
            file = folder / "results" / f"{entry.name}.json"
            file.write_text(json.dumps(result, indent=1))
            results[entry.name] = result
            print(f"{entry.name}: {table.shown(result)}", flush=True)


def judged(crate: Crate, entry: Entry, reasons: dict[str, str]) -> dict[str, Any]:
    """Return what both engines and lint say about a converted entry."""
    result: dict[str, Any] = {}
    for precision in PRECISIONS:
        if precision in reasons:
            result[precision] = {"converted": False, "reason": reasons[precision]}
            continue
        report = crate.report(entry.name, precision)
        result[precision] = {
            "converted": True,
            "capture": report["capture"],
            "warnings": report["warnings"],
            "seconds": report["seconds"],
        }
        for engine in ENGINES:
            result[precision][engine] = crate.verify(entry.name, precision, engine)
    if result["float16"]["converted"]:
        result["lint"] = crate.lint(entry.name)
    return result


def _wanted(
    arguments: argparse.Namespace, entries: dict[str, Entry], results: dict[str, dict[str, Any]]
) -> list[Entry]:
    """Return what to convert."""
    names = set(arguments.names)
    known = {word for entry in entries.values() for word in _words(entry)}
    if names - known:
        raise SystemExit(f"no entry, package or family: {', '.join(sorted(names - known))}")
    piece, pieces = map(int, arguments.piece.split("/"))
    wanted = []
    for index, entry in enumerate(entries.values()):
        if (names and not names & _words(entry)) or index % pieces != piece - 1:
            continue
        found = results.get(entry.name)
        if arguments.again or (arguments.wrong and found is not None and not table.right(found)):
            found = results.pop(entry.name, None) and None
        if found is None or not ("costs" in found or arguments.no_costs or arguments.wrong):
            wanted.append(entry)
    return wanted


def _words(entry: Entry) -> set[str]:
    """Return what means an entry on the command line."""
    return {entry.name, entry.package, entry.family}


if __name__ == "__main__":
    sys.exit(main())
