"""The page of the zoo: `docs/models.md`.

Owns: the text, and when an entry counts as right.
Must not: convert or measure.
Flow: `zoo.py` -> here.
"""

from __future__ import annotations

import platform
import re
import statistics
import textwrap
from collections import Counter
from collections.abc import Mapping
from importlib import metadata
from typing import Any

from catalogue import Entry

#: Columns of a line, and how one is broken: between words alone.
WIDTH = 100
WHOLE: dict[str, Any] = {"break_long_words": False, "break_on_hyphens": False}

PRECISIONS = ("float32", "float16")
ENGINES = ("rten", "onnxruntime")
COMMAND = "python tools/zoo/zoo.py FOLDER --table docs/models.md"
SEVERITIES = ("error", "warn", "info")
#: Titles of the families, in the order of the page.
FAMILIES = {
    "vision_timm": "Pictures: timm",
    "vision_torchvision": "Pictures and videos: torchvision",
    "vision_transformers": "Pictures and videos: transformers",
    "packages": "Pictures: other packages",
    "text": "Texts",
    "language": "Language models and translation",
    "speech": "Speech",
    "audio": "Sound",
    "generation": "Making pictures",
}
INTRODUCTION = """# Does my model convert?

{right} of {all} models of {packages} packages convert and give PyTorch's results on both engines of
the [portable backend](portable.md), in single and in half precision. Each is the package's own
code, in a small size and with random weights under which every layer matters (`published`: with
the weights that the package ships). This page is written by

```text
{command}
```

with {versions}, on {machine};
all of it took {minutes} minutes. Look for your architecture, or for one that is built like it.
Below the tables are [the lines of each manifest](#what-the-manifests-say) and [what does not
convert](#what-does-not-convert).

| | rten | ONNX Runtime | both |
|---|---|---|---|
{sums}

- **float32**, **float16**: the signal-to-noise ratio in decibels between PyTorch and the worst
  output, on rten / on ONNX Runtime, on random inputs. `=` is equal to the last bit. At least 80 is
  needed in single precision and 35 in half ([how it is judged](manifest.md#parity)).
- **capture**: how the graph was captured by itself, with no key in the manifest.
- **time**, **memory**: CPU time and peak memory of a conversion in half precision, with all checks
  and the proof, as a multiple of a plain script that traces the same module, calls coremltools and
  saves, both with the libraries imported. `new`: the plain script cannot convert this model. Empty:
  not measured.{costs}
- **lint**: findings of `cargo coreml lint` in half precision: errors, warnings, remarks.

A conversion of a small model is mostly the fixed cost of its checks: of a large one the factors
are smaller ([what the proof costs](proof.md)).
"""


def right(result: Mapping[str, Any]) -> bool:
    """Return whether an entry converts with parity on both engines in both precisions."""
    return all(passed(result, precision, engine) for precision in PRECISIONS for engine in ENGINES)


def passed(result: Mapping[str, Any], precision: str, engine: str) -> bool:
    """Return whether an engine gives what PyTorch gives."""
    return bool(result[precision].get(engine, {}).get("passed"))


def shown(result: Mapping[str, Any]) -> str:
    """Return one line about a result."""
    parts = [f"{result['seconds']:.0f} s"]
    for precision in PRECISIONS:
        own = result[precision]
        if not own["converted"]:
            parts.append(f"{precision} REFUSED: {own['reason'][:700]!r}")
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


def counts(entries: Mapping[str, Entry], results: Mapping[str, Mapping[str, Any]]) -> str:
    """Return the sums in a line."""
    own = [result for name, result in results.items() if name in entries]
    sums = [f"{sum(map(right, own))} of {len(own)} with a result are right, of {len(entries)}"]
    for precision in PRECISIONS:
        both = sum(all(passed(one, precision, engine) for engine in ENGINES) for one in own)
        sums.append(f"{both} in {precision}")
    for what in ("seconds", "megabytes"):
        found = [ratio for one in own if (ratio := factor(one, what)) is not None]
        if found:
            sums.append(f"median factor of {what} {statistics.median(found):.2f} ({len(found)})")
    return "; ".join(sums)


def factor(result: Mapping[str, Any], what: str) -> float | None:
    """Return what the driver takes, as a multiple of the plain script."""
    costs = result.get("costs", {})
    if any(costs.get(way, {}).get("said") != "converted" for way in ("plain", "ours")):
        return None
    return costs["ours"][what] / costs["plain"][what]


def markdown(entries: Mapping[str, Entry], results: Mapping[str, Mapping[str, Any]]) -> str:
    """Return the page."""
    shown_entries = {name: entry for name, entry in entries.items() if name in results}
    text = _introduction(shown_entries, results)
    families = [
        (title, [entry for entry in shown_entries.values() if entry.family == family])
        for family, title in FAMILIES.items()
    ]
    families = [(title, own) for title, own in families if own]
    for title, own in families:
        text += f"\n## {title}\n\n"
        text += "| model | package | capture | float32 | float16 | time | memory | lint |\n"
        text += "|---|---|---|---|---|---|---|---|\n"
        text += "".join(_row(entry, results[entry.name]) for entry in own)
    text += _refusals(shown_entries, results)
    text += (
        "\n## What the manifests say\n\nEach manifest has a `[model]` table with a `source` and "
        "these lines. The Python file of an entry\nis in `tools/zoo/entries`.\n"
    )
    for title, own in families:
        text += f"\n### {title}: lines\n\n<details><summary>{len(own)} manifests</summary>\n\n"
        groups: dict[str, list[str]] = {}
        for entry in own:
            groups.setdefault(entry.lines, []).append(f"`{entry.name}`")
        for lines, names in groups.items():
            text += f"{', '.join(names)}:\n\n```toml fragment\n{lines}\n```\n\n"
        text += "</details>\n"
    return text


def _introduction(entries: Mapping[str, Entry], results: Mapping[str, Mapping[str, Any]]) -> str:
    """Return the head of the page."""
    own = [results[name] for name in entries]
    sums = ""
    for precision in PRECISIONS:
        good = [[passed(one, precision, engine) for engine in ENGINES] for one in own]
        each = " | ".join(str(sum(one[index] for one in good)) for index in range(len(ENGINES)))
        sums += f"| {precision} | {each} | {sum(all(one) for one in good)} of {len(own)} |\n"
    costs = []
    for what, word in (("seconds", "time"), ("megabytes", "memory")):
        found = [ratio for one in own if (ratio := factor(one, what)) is not None]
        if found:
            costs.append(f"{word} {statistics.median(found):.2f}, the largest {max(found):.2f}")
    base = ("torch", "coremltools", "numpy")
    return INTRODUCTION.format(
        right=sum(map(right, own)),
        all=len(own),
        packages=len({entry.package for entry in entries.values()}),
        command=COMMAND,
        versions=", ".join(f"{name} {_version(name)}" for name in base),
        machine=f"{platform.system()} {platform.machine()}",
        minutes=round(sum(one["seconds"] for one in own) / 60),
        sums=sums.rstrip(),
        costs=f"\n  Medians: {'; '.join(costs)}." if costs else "",
    )


def _row(entry: Entry, result: Mapping[str, Any]) -> str:
    """Return the row of an entry."""
    captures = {
        own["capture"]["method"] for own in map(result.get, PRECISIONS) if own and own["converted"]
    }
    cells = [
        f"`{entry.name}`" + (" (published)" if entry.published else ""),
        f"{entry.package} {result['version']}",
        " / ".join(sorted(captures)) or "none",
        *(_parity(result[precision]) for precision in PRECISIONS),
        *_costs(result),
        _lint(result.get("lint", {})),
    ]
    return f"| {' | '.join(cells)} |\n"


def _parity(own: Mapping[str, Any]) -> str:
    """Return the parity of both engines."""
    if not own["converted"]:
        return "refused"
    return " / ".join(_decibels(own[engine]) for engine in ENGINES)


def _decibels(verdict: Mapping[str, Any]) -> str:
    """Return the worst output's ratio."""
    psnr = verdict.get("psnr")
    figure = "runs not" if psnr is None and not verdict["passed"] else "="
    if psnr is not None and psnr < 1e6:
        figure = f"{psnr:.0f}"
    return figure if verdict["passed"] else f"**{figure}**"


def _costs(result: Mapping[str, Any]) -> tuple[str, str]:
    """Return the factors of time and memory."""
    time, memory = factor(result, "seconds"), factor(result, "megabytes")
    if time is None or memory is None:
        plain = result.get("costs", {}).get("plain", {}).get("said")
        new = plain not in (None, "converted") and right(result)
        return ("new", "new") if new else ("", "")
    return f"{time:.1f}", f"{memory:.2f}"


def _lint(findings: Mapping[str, int]) -> str:
    """Return the numbers of findings by severity."""
    sums = Counter[str]()
    for key, number in findings.items():
        sums[key.split()[0]] += number
    return " / ".join(str(sums[severity]) for severity in SEVERITIES)


def _refusals(entries: Mapping[str, Entry], results: Mapping[str, Mapping[str, Any]]) -> str:
    """Return the section of what is not right, with the reason of the catalogue or the message."""
    wrong = [entry for name, entry in entries.items() if not right(results[name])]
    text = "\n## What does not convert\n\n"
    if not wrong:
        return text + "Nothing of this page.\n"
    for entry in wrong:
        # Where a package was built is nobody's concern.
        why = re.sub(r" It is at /\S+", "", _why(entry, results[entry.name]))
        line = f"- `{entry.name}` ({entry.package}): {why}"
        text += "\n".join(textwrap.wrap(line, WIDTH, subsequent_indent="  ", **WHOLE)) + "\n"
    return text


def _why(entry: Entry, result: Mapping[str, Any]) -> str:
    """Return why an entry is not right, in a sentence."""
    if entry.reason:
        return entry.reason
    for precision in PRECISIONS:
        own = result[precision]
        if not own["converted"]:
            first = own["reason"].partition("\n")[0].partition(f"`{entry.name}")[2]
            return f"{precision}: {_escaped(first.partition(': ')[2] or own['reason'][:300])}"
        for engine in ENGINES:
            if not own[engine]["passed"]:
                said = own[engine].get("reason", "").partition("\n")[0]
                return f"{precision}, {engine}: {_escaped(said)} ({_decibels(own[engine])} dB)"
    return ""


def _escaped(text: str) -> str:
    """Return a text that Markdown shows as it is."""
    return text.replace("|", "\\|").replace("<", "&lt;")


def _version(package: str) -> str:
    """Return the version of a package."""
    return metadata.version(package).partition("+")[0]
