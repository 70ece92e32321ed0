"""Loading a state dict into the module: every key accounted for.

Owns: the two file formats, safetensors and a pickle of tensors alone (`weights_only`).
Must not: run code from a weights file; skip a key.
Flow: `conversion` -> `load` after `source.load`.
"""

from __future__ import annotations

import pickle
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch

from coreml_driver.failures import Failure, PythonLine

#: How many keys of a kind a message lists; the log has them all.
LISTED_KEYS = 8
#: The manifest key of every failure here.
KEY = "weights"
#: How torch names what it refuses to unpickle.
GLOBAL = re.compile(r"GLOBAL ([\w.]+)")


def load(module: torch.nn.Module, file: str, package_root: Path, line: PythonLine | None) -> None:
    """Load the state dict in `file` into `module`.

    Parameters: `line` — where the module is defined, for messages.
    Errors: `Failure` of kind `missing-file`, `unsafe-weights`, `damaged-weights` or
    `wrong-weights`.
    """
    path = package_root / file
    if not path.is_file():
        message = f"The weights `{file}` do not exist below {package_root}."
        cure = (
            "Correct `weights`: it is relative to the package. A file kept by Git LFS needs "
            "`git lfs pull`."
        )
        raise Failure("missing-file", message, key=KEY, advice=(cure,))
    state = _read(path, file)
    _check(module, state, file, line)
    module.load_state_dict(state, strict=False)


def _read(path: Path, file: str) -> dict[str, torch.Tensor]:
    """Return the tensors of a weights file."""
    if path.suffix == ".safetensors":
        try:
            return safetensors.torch.load_file(path)
        except (safetensors.SafetensorError, ValueError) as error:
            message = f"`{file}` is not a whole safetensors file: {error}."
            raise Failure(
                "damaged-weights", message, key=KEY, advice=(_damage_cure(path),)
            ) from error
    if path.suffix not in (".pt", ".pth", ".bin"):
        message = f"`{file}` is neither a .safetensors nor a .pt file."
        raise Failure(
            "wrong-weights",
            message,
            key=KEY,
            advice=("Save the state dict with safetensors.torch.save_file.",),
        )
    try:
        state: Any = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        found = GLOBAL.search(str(error))
        what = f" (`{found.group(1)}`)" if found else ""
        message = (
            f"`{file}` is a pickle that contains more than tensors{what}. Loading it could run "
            "code, so it was not loaded."
        )
        cure = (
            "Save the state dict alone: `safetensors.torch.save_file(model.state_dict(), "
            '"weights.safetensors")`.'
        )
        raise Failure("unsafe-weights", message, key=KEY, advice=(cure,)) from error
    except Exception as error:  # a damaged pickle can raise anything
        message = (
            f"`{file}` cannot be read as a state dict: {type(error).__name__}: "
            f"{str(error).partition(chr(10))[0]}"
        )
        raise Failure("damaged-weights", message, key=KEY, advice=(_damage_cure(path),)) from error
    if not isinstance(state, Mapping) or not all(
        isinstance(value, torch.Tensor) for value in state.values()
    ):
        inner = (
            [key for key, value in state.items() if isinstance(value, Mapping)]
            if isinstance(state, Mapping)
            else []
        )
        where = (
            f" The state dict may be under {', '.join(f'`{key}`' for key in inner)}."
            if inner
            else ""
        )
        message = f"`{file}` does not hold a state dict (names to tensors).{where}"
        raise Failure(
            "wrong-weights", message, key=KEY, advice=("Save `model.state_dict()` itself.",)
        )
    return dict(state)


def _damage_cure(path: Path) -> str:
    """Return the likely cure for a file that cannot be read."""
    with path.open("rb") as file:
        if file.read(16).startswith(b"version https://"):
            return "The file is a Git LFS pointer: run `git lfs pull`."
    return "Copy or save the file again: it may be cut short."


def _check(
    module: torch.nn.Module, state: Mapping[str, torch.Tensor], file: str, line: PythonLine | None
) -> None:
    """Compare the keys and shapes of the file with the module's; all differences in one failure."""
    own = module.state_dict()
    missing = [key for key in own if key not in state]
    unexpected = [key for key in state if key not in own]
    mismatched = [
        f"{key} (file {list(state[key].shape)}, module {list(own[key].shape)})"
        for key in own
        if key in state
        and isinstance(own[key], torch.Tensor)
        and state[key].shape != own[key].shape
    ]
    parts = [
        _part("missing from the file", missing),
        _part("in the file, but not in the module", unexpected),
        _part("of another shape", mismatched),
    ]
    if not any(parts):
        return
    advice = ["Make the entry build the network that the weights were saved from (`source.args`)."]
    prefix = _common_prefix(missing, unexpected)
    if prefix:
        advice.insert(0, prefix)
    message = f"`{file}` does not fit the module: " + "; ".join(filter(None, parts)) + "."
    raise Failure("wrong-weights", message, line, KEY, tuple(advice))


def _part(what: str, keys: list[str]) -> str:
    """Return one clause of the message."""
    if not keys:
        return ""
    more = f" and {len(keys) - LISTED_KEYS} more" if len(keys) > LISTED_KEYS else ""
    return f"{what}: {', '.join(keys[:LISTED_KEYS])}{more}"


def _common_prefix(missing: list[str], unexpected: list[str]) -> str:
    """Return a cure when the names differ by a prefix alone, as they do after DataParallel or
    inside a wrapper.
    """
    for longer, shorter, verb in ((unexpected, missing, "strip"), (missing, unexpected, "add")):
        for name in shorter[:1]:
            match = next((other for other in longer if other.endswith("." + name)), None)
            if match:
                prefix = match[: -len(name)]
                if {prefix + other for other in shorter} == set(longer):
                    return (
                        f"All names differ by the prefix `{prefix}`: {verb} it in the file, or "
                        "load the inner "
                        "module's weights."
                    )
    return ""
