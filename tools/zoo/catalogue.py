"""What an entry of the zoo is, and the list of all.

Owns: [`Entry`], the ways to write one, and the two files that it becomes.
Must not: import a package whose models are in the zoo: that is for the process that converts.
Flow: `zoo.py` -> here -> `crate.py`, `costs.py`, `table.py`.
"""

from __future__ import annotations

import hashlib
import importlib
import inspect
import pkgutil
import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tomllib

#: All entries by name, in the order of the table.
ENTRIES: dict[str, Entry] = {}
#: The function that makes a file's network.
NETWORK = "network"


@dataclass(frozen=True)
class Entry:
    """A model: how its package makes it, and what its manifest says."""

    #: The manifest's name: an identifier in snake_case.
    name: str
    #: The package whose code it is, by the name of its distribution.
    package: str
    #: The family: the module of `entries` that has it.
    family: str
    #: A function `network` that returns the module.
    code: str
    #: The manifest's lines under `[model]`, without the source.
    lines: str
    #: Whether the package ships the weights, which are left as they are.
    published: bool = False
    #: Why it does not convert, where it does not: one sentence.
    reason: str = ""

    @property
    def inputs(self) -> dict[str, Any]:
        """The table of inputs."""
        return tomllib.loads(self.lines)["inputs"]

    def python(self) -> str:
        """Return the entry's Python file."""
        declared = {
            name: (
                tuple(size if isinstance(size, int) else size["max"] for size in own["shape"]),
                own.get("dtype", "float32"),
                own.get("sample", {}).get("range"),
            )
            for name, own in self.inputs.items()
        }
        made = f"{NETWORK}().eval()" if self.published else f"perturbed({NETWORK}(), {declared!r})"
        return (
            "from __future__ import annotations\n\nimport torch\nfrom perturbation import perturbed"
            f"\n\n\n{self.code}\n\ndef model():\n    torch.manual_seed(0)\n    return {made}\n"
        )

    def manifest(self, precision: str) -> str:
        """Return the manifest for a precision."""
        source = f'source = {{ file = "{self.name}.py", entry = "model" }}'
        own = "" if precision == "float16" else f'compute-precision = "{precision}"\n'
        return f"[model]\n{source}\n{own}{self.lines}\n"

    @property
    def digest(self) -> str:
        """A digest of all that the entry says."""
        return hashlib.sha256((self.python() + self.manifest("float16")).encode()).hexdigest()[:16]


def entry(
    package: str, *lines: str, published: bool = False, reason: str = ""
) -> Callable[[Callable[[], Any]], Callable[[], Any]]:
    """Make the function that it decorates an entry of its name.

    Parameters: `lines` — of the manifest.
    """

    def keep(function: Callable[[], Any]) -> Callable[[], Any]:
        source = textwrap.dedent(inspect.getsource(function))
        body = source[source.index("\ndef ") + 1 :].split("\n", 1)[1]
        code = f"def {NETWORK}():\n{body}"
        family = function.__module__.rsplit(".", 1)[-1]
        _add(Entry(function.__name__, package, family, code, _joined(lines), published, reason))
        return function

    return keep


def add(
    family: str, name: str, package: str, imports: str, expression: str, *lines: str, **more: Any
) -> None:
    """Add an entry whose network is one expression.

    Parameters: `imports` — the statement that the expression needs; `lines` — of the manifest.
    """
    code = f"def {NETWORK}():\n    {imports}\n\n    return {expression}\n"
    _add(Entry(name, package, family, code, _joined(lines), **more))


def image(size: int, *, channels: int = 3, name: str = "image") -> str:
    """Return the manifest's line for a square picture."""
    return f"inputs.{name} = {{ shape = [1, {channels}, {size}, {size}] }}"


def tokens(length: int, vocabulary: int, name: str = "input_ids") -> str:
    """Return the manifest's line for a sentence."""
    return (
        f'inputs.{name} = {{ shape = [1, {length}], dtype = "int32", '
        f"sample = {{ range = [0, {vocabulary - 1}] }} }}"
    )


def mask(length: int, name: str = "attention_mask") -> str:
    """Return the manifest's line for a mask that has zeros, too."""
    return (
        f'inputs.{name} = {{ shape = [1, {length}], dtype = "int32", '
        "sample = { range = [0, 1] } }"
    )


def _joined(lines: tuple[str, ...]) -> str:
    return "\n".join(line for line in lines if line)


def _add(made: Entry) -> None:
    if made.name in ENTRIES:
        raise ValueError(f"two entries are called {made.name}")
    if made.name == made.package.replace("-", "_"):
        raise ValueError(f"{made.name} would hide the package: give it another name")
    if not made.name.isidentifier():
        raise ValueError(f"{made.name} is no name of a manifest")
    ENTRIES[made.name] = made


def load() -> dict[str, Entry]:
    """Return all entries."""
    folder = Path(__file__).parent / "entries"
    for module in sorted(pkgutil.iter_modules([str(folder)]), key=lambda one: one.name):
        importlib.import_module(f"entries.{module.name}")
    return ENTRIES
