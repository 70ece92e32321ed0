"""Which packages the interpreter has, against those that the manifest asks for.

Owns: the comparison, before anything heavy is imported.
Must not: install anything.
Flow: `__main__` -> `installed` (the `started` event) and `check`.
"""

from __future__ import annotations

import importlib.metadata
import platform
import re
from collections.abc import Mapping, Sequence

from coreml_driver.failures import Failure

#: What the driver itself imports; a report names their versions.
REPORTED = ("torch", "coremltools", "numpy", "safetensors")
#: The oldest and the newest versions that the driver's tests were run with (docs/versions.md).
TESTED = {"torch": ("2.5.1", "2.15.0"), "coremltools": ("9.0", "9.0")}
#: A requirement: name, extras, specifiers, marker.
REQUIREMENT = re.compile(
    r"\s*([A-Za-z0-9._-]+)\s*(?:\[[^\]]*\])?\s*\(?([^;)@]*)\)?\s*(@[^;]*)?(;.*)?$"
)


def installed() -> dict[str, str]:
    """Return the versions of Python and of the driver's packages, those that are there."""
    versions = {"python": platform.python_version()}
    for name in REPORTED:
        version = _version(name)
        if version is not None:
            versions[name] = version
    return versions


def check(requirements: Sequence[str]) -> None:
    """Compare the environment with the requirements.

    Errors: `Failure` of kind `wrong-versions` that names every package with both versions.
    """
    wrong = [text for text in map(_mismatch, requirements) if text]
    missing = [
        name
        for name in REPORTED
        if _version(name) is None and not any(text.startswith(f"{name} ") for text in wrong)
    ]
    wrong += [f"{name} is not installed" for name in missing]
    if wrong:
        message = f"The Python environment does not fit the manifest: {'; '.join(wrong)}."
        advice = (
            "Without COREML_PYTHON the build makes a fitting environment by itself.",
            (
                "Or install into that interpreter: python -m pip install "
                f"{' '.join(repr(text) for text in (*requirements, *missing))}"
            ),
            "Or change `python.dependencies` in the manifest to the versions that are there.",
        )
        raise Failure("wrong-versions", message, key="python.dependencies", advice=advice)


def remarks(found: Mapping[str, str]) -> list[str]:
    """Return warnings about versions that nobody has tested.

    Parameters: `found` — from `installed`.
    """
    said = []
    for name, (oldest, newest) in TESTED.items():
        words = _age(found.get(name, newest), oldest, newest)
        if words:
            span = oldest if oldest == newest else f"{oldest} to {newest}"
            said.append(
                f"{name} {found[name]} is {words} than what coreml-build is tested with ({span}). "
                "What is converted is "
                "still compared with PyTorch; if something fails, take a tested version: "
                f'`dependencies = ["{name}=={newest}"]` in `[python]`'
            )
    return said


def _age(version: str, oldest: str, newest: str) -> str | None:
    """Return whether a version is newer or older than two others; local parts (`+cpu`) and patches
    do not count.
    """
    place, low, high = (
        tuple(map(int, re.findall("[0-9]+", one)[:2])) for one in (version, oldest, newest)
    )
    return "newer" if place > high else "older" if place < low else None


def _mismatch(requirement: str) -> str | None:
    """Return what is wrong about one requirement."""
    match = REQUIREMENT.match(requirement)
    if match is None:
        return f"`{requirement}` is not a requirement"
    name, specifiers, _, marker = match.groups()
    if marker and not _applies(marker[1:]):
        return None
    version = _version(name)
    if version is None:
        return f"{name} is not installed (wanted: {requirement.strip()})"
    if _fits(version, specifiers):
        return None
    return f"{name} {version} is installed (wanted: {requirement.strip()})"


def _version(name: str) -> str | None:
    """Return the installed version of a package."""
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _fits(version: str, specifiers: str) -> bool:
    """Return whether a version meets specifiers. `packaging` comes with coremltools; without it
    only `==` can be compared.
    """
    try:
        from packaging.specifiers import SpecifierSet

        return SpecifierSet(specifiers.strip()).contains(version, prereleases=True)
    except ImportError:
        exact = [
            part.strip()[2:].strip()
            for part in specifiers.split(",")
            if part.strip().startswith("==")
        ]
        return all(version == wanted or version.partition("+")[0] == wanted for wanted in exact)


def _applies(marker: str) -> bool:
    """Return whether an environment marker holds here."""
    try:
        from packaging.markers import Marker

        return Marker(marker.strip()).evaluate()
    except ImportError:
        return True
