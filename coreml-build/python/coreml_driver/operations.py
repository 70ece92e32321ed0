"""Translations of the user's own, beside coremltools' and the driver's.

Owns: running the manifest's `ops` file.
Must not: hold translations of the driver's own; those are in `translations`.
Flow: `conversion` -> `register` before the module is made.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from coreml_driver import passes, source, translations
from coreml_driver.failures import Failure

#: The manifest key of the user's file.
KEY = "ops"


def register(file: str | None, package_root: Path) -> None:
    """Register the driver's translations and the user's operations for this conversion.

    What an earlier conversion of the process has registered is forgotten.
    Errors: `Failure` of kind `missing-file` or `registered-twice`; whatever the file raises.
    """
    passes.install()
    registry = translations.install()
    own = frozenset() if file is None else _run(file, package_root, registry)
    translations.fallback.install(registry, own)


def _run(file: str, package_root: Path, registry: dict[str, Any]) -> frozenset[str]:
    """Run the user's file, which registers translations.

    Returns: the kinds of nodes that it registers.
    """
    path = package_root / file
    if not path.is_file():
        message = f"The file `{file}` does not exist below {package_root}."
        raise Failure(
            "missing-file",
            message,
            key=KEY,
            advice=("Correct `ops`: it is relative to the package.",),
        )
    # What coremltools lacks may be registered, also where the driver has it.
    added = {kind: row for kind, row in registry.items() if kind not in translations.ORIGINAL}
    for kind in added:
        del registry[kind]
    before = dict(registry)
    try:
        source.run_file(path, KEY)
    except ValueError as error:
        if "already registered" not in str(error):
            raise
        message = f"`{file}` registers an operation that coremltools knows already: {error}"
        cures = ("To replace the translation: `@register_torch_op(override=True)`.",)
        raise Failure("registered-twice", message, key=KEY, advice=cures) from error
    if registry == before:
        message = f"`{file}` registers no operation."
        cure = (
            "Decorate a function called like the operation: `from "
            "coremltools.converters.mil.frontend.torch import "
            "register_torch_op`, `@register_torch_op`."
        )
        raise Failure("nothing-registered", message, key=KEY, advice=(cure,))
    own = frozenset(kind for kind, row in registry.items() if before.get(kind) is not row)
    for kind, row in added.items():
        registry.setdefault(kind, row)
    return own
