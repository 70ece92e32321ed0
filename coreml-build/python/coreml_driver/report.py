"""What a conversion leaves to be read: `report.json` beside the package.

Owns: the report's layout.
Must not: hold what decides the model: a report may differ between two runs (times), the package may
not.
Flow: last step of `conversion`.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from coremltools.proto import Model_pb2

from coreml_driver import compression, program
from coreml_driver.canonical import SPECIFICATION


def write(
    file: Path,
    package: Path,
    specification: Model_pb2.Model,
    *,
    capture: dict[str, Any],
    rewrites: dict[str, Any],
    origins: Mapping[str, Mapping[str, Any]],
    proofs: Mapping[str, Mapping[str, Any]],
    ranges: Mapping[str, Mapping[str, Any]],
    checkpoints: Mapping[str, Sequence[Mapping[str, Any]]],
    times: dict[str, float],
    warnings: Sequence[str],
    versions: dict[str, str],
) -> None:
    """Write the report.

    Parameters: `capture` — method, reason, largest difference; `rewrites` — name to count;
    `origins` — by function and operation; `proofs` — by function, those that were proved;
    `ranges` — by function, of integer inputs without a declared one; `checkpoints` — by function,
    what operations give for each prediction of a sample; `times` — seconds per stage.
    """
    counts = Counter(
        operation.type
        for operation in program.operations(specification)
        if operation.type != "const"
    )
    sizes = {
        item.relative_to(package).as_posix(): item.stat().st_size
        for item in package.rglob("*")
        if item.is_file()
    }
    functions = specification.mlProgram.functions
    report = {
        "operations": dict(sorted(counts.items(), key=lambda item: (-item[1], item[0]))),
        "bytes": {
            "package": sum(sizes.values()),
            "specification": sizes[SPECIFICATION.as_posix()],
            "weights": sum(size for path, size in sizes.items() if "/weights/" in path),
        },
        "compressed-weights": dict(sorted(compression.count(specification).items())),
        "specification-version": specification.specificationVersion,
        "capture": capture,
        "rewrites": rewrites,
        "proof": dict(proofs),
        "ranges": {name: dict(own) for name, own in ranges.items() if own},
        "seconds": times,
        "warnings": list(warnings),
        "versions": versions,
        "origins": {
            name: _present(origins.get(name, {}), function) for name, function in functions.items()
        },
        "checkpoints": dict(checkpoints),
    }
    file.write_text(json.dumps(report, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _present(origins: Mapping[str, Any], function: Any) -> dict[str, Any]:
    """Return the origins of the operations that a finished function has, in its order: later steps
    may rename some.
    """
    outputs = (
        operation.outputs[0].name
        for operation in program.block_operations(program.block(function))
        if operation.outputs
    )
    return {name: origins[name] for name in outputs if name in origins}
