"""Modules that were saved as a graph: TorchScript files and exported programs.

Owns: reading the two formats.
Must not: capture: what was loaded goes the way of every other module.
Flow: `source.load` -> here.
"""

from __future__ import annotations

import zipfile
from pathlib import Path

import torch

from coreml_driver.failures import Failure


def load_torchscript(path: Path) -> torch.nn.Module:
    """Return the module of a file that `torch.jit.save` wrote.

    Errors: `Failure` of kind `damaged-source`.
    """
    try:
        return torch.jit.load(str(path), map_location="cpu")
    except (RuntimeError, ValueError) as error:
        cure = (
            "Save it with `torch.jit.trace(module, inputs).save(…)` or "
            "`torch.jit.script(module).save(…)`."
        )
        if _is_zip_with(path, "/data.pkl") and not _is_zip_with(path, "/constants.pkl"):
            cure = (
                "It looks like a state dict: name it in `weights`, and the module's code in "
                "`source = { file = … }`."
            )
        raise _damaged(path, "a TorchScript file", error, "source.torchscript", cure) from error


def load_exported(path: Path) -> torch.nn.Module:
    """Return the module of a file that `torch.export.save` wrote.

    Errors: `Failure` of kind `damaged-source`.
    """
    try:
        program = torch.export.load(str(path))
    except (
        Exception
    ) as error:  # of another version of torch, or no such file: it can raise anything
        cure = f"Save it with `torch.export.save(…)` of this torch ({torch.__version__})."
        raise _damaged(path, "an exported program", error, "source.exported", cure) from error
    module = program.module()
    # The graph has no modes: torch forbids to change them, and leaves all modules in training mode.
    for child in module.modules():
        vars(child).pop("train", None)
        vars(child).pop("eval", None)
        child.training = False
    return module


def _is_zip_with(path: Path, ending: str) -> bool:
    """Return whether the file is an archive with a member whose name ends so."""
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return any(name.endswith(ending) for name in archive.namelist())


def _damaged(path: Path, what: str, error: Exception, key: str, cure: str) -> Failure:
    """Return the failure about a file that cannot be read."""
    words = str(error).strip().partition("\n")[0]
    return Failure(
        "damaged-source",
        f"`{path.name}` is not {what} that can be read: {words}",
        key=key,
        advice=(cure,),
    )
