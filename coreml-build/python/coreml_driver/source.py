"""Where a module comes from: the user's Python with an entry and its arguments, a saved graph, a
repository.

Owns: importing the user's file under its own name with its folder on the path, and forgetting it
again.
Must not: change the module (that is `prepare`) or write byte code beside the source.
Flow: `conversion` -> `load` -> `weights` -> `prepare`.
"""

from __future__ import annotations

import importlib.util
import inspect
import random
import sys
import types
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy
import torch

from coreml_driver import hub, pretrained, saved
from coreml_driver.failures import Failure, PythonLine
from coreml_driver.lines import UserCode, file_of
from coreml_driver.request import Source

#: What every random number generator starts from.
SEED = 0


@contextmanager
def user_modules(folders: list[Path]) -> Iterator[None]:
    """Put the user's folders on the import path and, at the end, forget every module that was
    imported from them: two models of one process must not see each other's modules.
    """
    path = list(sys.path)
    sys.path[:0] = [str(folder) for folder in folders]
    try:
        yield
    finally:
        sys.path[:] = path
        for name, module in list(sys.modules.items()):
            file = file_of(module)
            if file and name.partition(".")[0] != "coreml_driver" and UserCode(folders).owns(file):
                del sys.modules[name]


def load(source: Source, package_root: Path) -> torch.nn.Module:
    """Make the module: by running the source file and calling its entry, or from a saved graph or a
    repository.

    Returns: the module as the entry made it.
    Errors: `Failure` for what is not there or of the wrong kind; whatever the user's code raises.
    """
    if source.kind == "torchscript":
        return saved.load_torchscript(_path(source, package_root))
    if source.kind == "exported":
        return saved.load_exported(_path(source, package_root))
    if source.kind == "transformers":
        repository = hub.find(source, package_root)
        _settle_torch()
        return pretrained.load(source, repository)
    module, line = call(source, package_root)
    if not isinstance(module, torch.nn.Module):
        message = f"`{source.entry}` returned {kind_of(module)}, not a torch.nn.Module."
        cure = f"Return an instance of a torch.nn.Module from `{source.entry}`."
        if isinstance(module, type) and issubclass(module, torch.nn.Module):
            cure = f"Return an instance: `return {module.__name__}(…)`."
        raise Failure("not-a-module", message, line, "source.entry", (cure,))
    return module


def call(source: Source, package_root: Path) -> tuple[Any, PythonLine]:
    """Run the source file and call its entry.

    Returns: what the entry returned, and the line of the entry.
    """
    path = _path(source, package_root)
    _settle_torch()
    entry = _entry(run_file(path, source.key), source, path)
    line = _definition(entry, path)
    try:
        inspect.signature(entry).bind(**source.args)
    except TypeError as error:
        accepted = f"`{source.entry}{inspect.signature(entry)}`"
        message = f"`source.args` does not fit {accepted}: {error}."
        raise Failure(
            "wrong-arguments",
            message,
            line,
            "source.args",
            ("Give the entry's arguments by name.",),
        ) from error
    return entry(**source.args), line


def _path(source: Source, package_root: Path) -> Path:
    """Return the source's file."""
    path = package_root / source.file
    if not path.is_file():
        message = f"The file `{source.file}` does not exist below {package_root}."
        cure = f"Correct `{source.key}`: it is relative to the package."
        raise Failure("missing-file", message, key=source.key, advice=(cure,))
    return path


def _settle_torch() -> None:
    """Make random initial values the same in every run, and attention the same in eager and
    captured code.

    The same sources then give the same package. The fast path of `nn.TransformerEncoderLayer` is
    one fused operation that coremltools cannot translate; without it the layer computes the same
    with ordinary ones.
    """
    torch.backends.mha.set_fastpath_enabled(False)
    random.seed(SEED)
    numpy.random.seed(SEED)
    torch.manual_seed(SEED)


def run_file(path: Path, key: str) -> types.ModuleType:
    """Import the file at `path` as a module named after it; a name that is taken gets a prefix.

    Parameters: `key` — the manifest key of the file.
    """
    name = path.stem if path.stem not in sys.modules else f"coreml_source_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        message = f"`{path.name}` is not a Python file."
        raise Failure("missing-file", message, key=key, advice=("Name a file that ends in .py.",))
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses and pickles of the file look their module up here
    spec.loader.exec_module(module)
    return module


def _entry(module: types.ModuleType, source: Source, path: Path) -> Any:
    """Return the entry, which has to be a function (a class or a module object is a likely slip
    with an easy cure).
    """
    if not hasattr(module, source.entry):
        functions = [
            name
            for name, value in vars(module).items()
            if inspect.isfunction(value)
            and value.__module__ == module.__name__
            and not name.startswith("_")
        ]
        known = (
            f"It defines {', '.join(f'`{name}`' for name in functions)}."
            if functions
            else "It defines no function."
        )
        message = f"`{source.file}` has no `{source.entry}`. {known}"
        raise Failure(
            "missing-entry",
            message,
            PythonLine(str(path), 1),
            "source.entry",
            ("Correct `source.entry`.",),
        )
    entry = getattr(module, source.entry)
    if not inspect.isroutine(entry):
        message = f"`{source.entry}` in `{source.file}` is {kind_of(entry)}, not a function."
        cure = (
            f"Write a function that makes the module: `def make(): return {source.entry}(…)`, and "
            "name it in "
            "`source.entry`."
        )
        line = (
            _definition(entry, path) if inspect.isclass(entry) else _assignment(path, source.entry)
        )
        raise Failure("not-a-function", message, line, "source.entry", (cure,))
    return entry


def _definition(value: Any, path: Path) -> PythonLine:
    """Return the line at which a function or class is defined; the first line of `path` when Python
    cannot tell.
    """
    try:
        value = inspect.unwrap(value)
        return PythonLine(
            inspect.getsourcefile(value) or str(path), inspect.getsourcelines(value)[1]
        )
    except (OSError, TypeError):
        return PythonLine(str(path), 1)


def _assignment(path: Path, name: str) -> PythonLine:
    """Return the first line of the file that begins with `name`."""
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        if line.startswith(name):
            return PythonLine(str(path), number)
    return PythonLine(str(path), 1)


def kind_of(value: Any) -> str:
    """Return what `value` is, in words."""
    if value is None:
        return "None"
    if isinstance(value, type):
        return f"the class `{value.__name__}`"
    return f"an object of type `{type(value).__name__}`"


def forward_line(module: torch.nn.Module, user_code: UserCode) -> PythonLine | None:
    """Return the line of the module's `forward`, if it is the user's own code."""
    if isinstance(module, torch.jit.ScriptModule):
        return None
    try:
        function = inspect.unwrap(type(module).forward)
        file = inspect.getsourcefile(function)
        if file and user_code.owns(file):
            return PythonLine(file, inspect.getsourcelines(function)[1])
    except (OSError, TypeError):
        pass
    return None
