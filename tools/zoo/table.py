"""The page of the zoo: `docs/models.md`.

Owns: the text.
Must not: convert or measure.
Flow: `zoo.py` -> here.
"""

from __future__ import annotations

from typing import Any

from catalogue import Entry

PRECISIONS = ("float32", "float16")
ENGINES = ("rten", "onnxruntime")


def right(result: dict[str, Any]) -> bool:
    """Return whether an entry converts with parity on both engines in both precisions."""
    return all(passed(result, precision, engine) for precision in PRECISIONS for engine in ENGINES)


def passed(result: dict[str, Any], precision: str, engine: str) -> bool:
    """Return whether an engine gives what PyTorch gives."""
    return bool(result[precision].get(engine, {}).get("passed"))


def shown(result: dict[str, Any]) -> str:
    """Return one line about a result."""
    parts = [f"{result['seconds']:.0f} s"]
    for precision in PRECISIONS:
        own = result[precision]
        if not own["converted"]:
            parts.append(f"{precision} REFUSED: {own['reason'][:300]!r}")
            continue
        for engine in ENGINES:
            verdict = own[engine]
            said = "ok" if verdict["passed"] else f"WRONG {verdict.get('reason', '')[:300]!r}"
            parts.append(f"{precision} {engine} {said}")
    for name, cost in result.get("costs", {}).items():
        took = f"{cost['seconds']:.1f} s {cost['megabytes']:.0f} MB" if "seconds" in cost else ""
        said = "" if cost["said"] == "converted" else f" {cost['said'][:150]!r}"
        parts.append(f"{name} {took}{said}")
    return ", ".join(parts)


def counts(entries: dict[str, Entry], results: dict[str, dict[str, Any]]) -> str:
    """Return the sums."""
    own = [result for name, result in results.items() if name in entries]
    both = sum(map(right, own))
    return f"{both} of {len(own)} with a result are right, of {len(entries)} entries"


def markdown(entries: dict[str, Entry], results: dict[str, dict[str, Any]]) -> str:
    """Return the page."""
    return counts(entries, results)
