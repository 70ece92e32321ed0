"""The table of the sweep, as Markdown, and its counts.

Owns: what a result is called.
Flow: `sweep` -> `markdown`, `counts`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import coremltools
import torch
from rows import Row

COMMAND = "python tools/operators/sweep.py FOLDER --table FILE.md"
ORDINALS = ("first", "second", "third")
INTRODUCTION = """# Operations of PyTorch

Each operation and variant of PyTorch's own operator database
(`torch.testing._internal.common_methods_invocations.op_db`, torch {torch}), with its {number}
usable sample of arguments: converted by plain coremltools {coremltools} (a trace, then
`ct.convert`) and by this project, in single precision, then executed and compared with PyTorch on
the database's own input and on random numbers of its range. *Wrong* means that a value is further
than 1e-4 of itself and 1e-5 of the largest one from PyTorch's. This page is written by

```text
{command}
```

What this project refuses has a reason: the module trains, or draws random numbers, or does not read
its input; PyTorch itself fails on other numbers of the input's range; or Core ML cannot express it.

| | plain coremltools | this project |
|---|---|---|
"""


def shown(result: Mapping[str, Any] | None) -> str:
    """Return a result in one word, or two."""
    if result is None:
        return "not tried"
    if not result["converted"]:
        return f"crashes: {result['reason']}" if result.get("crashed") else result["reason"]
    if result["right"] is None:
        return f"converts, not run: {result['difference']}"
    return "right" if result["right"] else f"WRONG {result['difference']}"


def _kind(result: Mapping[str, Any] | None) -> str:
    """Return the kind of a result, as the table spells it."""
    if result is None:
        return "not tried"
    if not result["converted"]:
        return "refused"
    return {True: "right", False: "**wrong**", None: "converts, not run"}[result["right"]]


KINDS = ("right", "**wrong**", "converts, not run", "refused")


def counts(rows: Sequence[Row], results: Mapping[str, Any]) -> str:
    """Return the counts of both sides in one line each."""
    lines = []
    for side in ("plain", "ours"):
        found = [_kind(results.get(f"{row.id} {side}")) for row in rows]
        parts = ", ".join(f"{found.count(kind)} {kind.strip('*')}" for kind in KINDS)
        lines.append(f"{side}: of {len(rows)} {parts}")
    return "\n".join(lines)


def markdown(rows: Sequence[Row], results: Mapping[str, Any], sample: int) -> str:
    """Return the page."""
    text = INTRODUCTION.format(
        torch=torch.__version__.partition("+")[0],
        coremltools=coremltools.__version__,
        number=ORDINALS[sample] if sample < len(ORDINALS) else f"{sample + 1}th",
        command=COMMAND + (f" --sample {sample}" if sample else ""),
    )
    kinds = {
        side: [_kind(results.get(f"{row.id} {side}")) for row in rows] for side in ("plain", "ours")
    }
    for kind in KINDS:
        text += f"| {kind} | {kinds['plain'].count(kind)} | {kinds['ours'].count(kind)} |\n"
    text += f"| of | {len(rows)} | {len(rows)} |\n\n"
    text += "| operation | variant | plain coremltools | this project | why not |\n"
    text += "|---|---|---|---|---|\n"
    for row, plain, ours in zip(rows, kinds["plain"], kinds["ours"], strict=True):
        why = "" if ours == "right" else shown(results.get(f"{row.id} ours"))
        why = why.replace("|", "\\|").replace("<", "&lt;")
        text += f"| `{row.op}` | {row.variant.replace('_', ' ')} | {plain} | {ours} | {why} |\n"
    return text
