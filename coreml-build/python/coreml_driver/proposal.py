"""Inputs for a module that nobody has described yet, for `cargo coreml new --model`.

Owns: loading the module, trying inputs in real runs, and the words about both. What a run refused
is never proposed.
Must not: convert; write into the user's package; run code of a repository (`pretrained` refuses).
Flow: `coreml-build` starts `main` with a request -> `source.load` -> `guesses` say what to try ->
runs -> an answer as JSON.
"""

from __future__ import annotations

import importlib.metadata
import inspect
import json
import os
import re
import sys
import threading
import time
import traceback
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from coreml_driver import imports, versions
from coreml_driver.failures import Failure

#: Seconds for all runs, unless the request says otherwise.
SECONDS = 60.0
#: The most runs, and the most refused ones that a message lists.
MOST_RUNS, LISTED = 400, 6
#: Modules whose distributions the manifest has to name.
LIBRARIES = {
    "timm": "timm",
    "torchvision": "torchvision",
    "torchaudio": "torchaudio",
    "transformers": "transformers",
    "diffusers": "diffusers",
    "whisper": "openai-whisper",
    "open_clip": "open_clip_torch",
    "einops": "einops",
}
#: What every message about inputs ends with.
BY_HAND = (
    "Write the inputs yourself: run `cargo coreml new`, and put the source and, for example, "
    '`inputs.x = { shape = [1, 3, 224, 224], dtype = "float32" }` or `inputs.ids = { shape = '
    '[1, 16], dtype = "int32", sample = { range = [0, 999] } }` into the manifest.'
)


def main(arguments: list[str] | None = None) -> int:
    """Answer a request.

    Parameters: `arguments` — the path of the request file, and of the file for the answer; `None`:
    the process's own.
    """
    request, answer = map(Path, arguments if arguments is not None else sys.argv[1:])
    sys.pycache_prefix = None
    sys.dont_write_bytecode = True
    threading.Thread(target=_end_with_input, daemon=True).start()
    said = answer_to(json.loads(request.read_text(encoding="utf-8")))
    answer.write_text(json.dumps(said), encoding="utf-8")
    return 0


def _end_with_input() -> None:
    """End the process when its standard input ends: who has started it has gone."""
    while os.read(0, 4096):
        pass
    os._exit(3)


def answer_to(request: dict[str, Any]) -> dict[str, Any]:
    """Return the proposal for a module, or why there is none."""
    try:
        versions.check(request["requirements"])
        imports.libraries()
        return _propose(request)
    except Failure as failure:
        said = {"message": failure.message, "advice": list(failure.advice)}
    except (Exception, SystemExit) as error:
        said = {"message": _words(error, whole=True), "advice": list(_cures(error))}
    return {"failure": said | {"traceback": traceback.format_exc()}}


def _propose(request: dict[str, Any]) -> dict[str, Any]:
    """Load the module and find its inputs."""
    import torch

    from coreml_driver import inputs as files
    from coreml_driver import prepare, source
    from coreml_driver.request import Source

    # Files of the hub are noted there, and nowhere else.
    files.RECORDER.start()
    root = Path(request["package-root"])
    before = set(sys.modules)
    given = request["source"]
    place = Source(given["kind"], given["file"], given.get("entry", ""))
    if place.kind == "transformers":
        place = _with_task(place, root)
    with source.user_modules(list(dict.fromkeys([place.folder(root), root]))):
        module = source.load(place, root)
        module.eval()
        with torch.no_grad():
            inputs, result = find(module, float(request.get("seconds", SECONDS)))
    tensors = [(leaf.name, prepare.pick(result, leaf.path)) for leaf in _leaves(result)]
    found = {
        name: version
        for library, name in LIBRARIES.items()
        if library in _used(module, request["requirements"], before) and (version := _version(name))
    }
    return {
        "inputs": [one.said() for one in inputs],
        "outputs": [
            {"name": name, "shape": list(tensor.shape), "dtype": str(tensor.dtype)[6:]}
            for name, tensor in tensors
        ],
        "module": type(module).__name__,
        "task": place.task,
        "revision": place.revision,
        "versions": found,
    }


def _used(module: Any, requirements: Sequence[str], before: set[str]) -> set[str]:
    """Return the libraries that the module is made with.

    Parameters: `before` — what was imported before the module was made; coremltools imports some.
    """
    classes = {type(layer).__module__.partition(".")[0] for layer in module.modules()}
    imported = {
        library for library in LIBRARIES if library in sys.modules and library not in before
    }
    named = {re.split("[^A-Za-z0-9_.-]", text)[0] for text in requirements}
    used = classes | imported | {library for library in LIBRARIES if LIBRARIES[library] in named}
    return used | ({"torchvision"} if "timm" in used else set())


def _leaves(result: Any) -> list[Any]:
    """Return the tensors of a result, named as a conversion names them."""
    from coreml_driver import prepare

    return prepare.leaves(result, None, None)


def _with_task(source: Any, root: Path) -> Any:
    """Return a source of transformers with the commit of a repository of the hub, and the task that
    its architecture is made for.
    """
    from dataclasses import replace

    from coreml_driver import hub, pretrained

    if not (root / source.file).is_dir():
        source = replace(source, revision=_commit(replace(source, revision="main"), root))
    try:
        import transformers
    except ImportError as error:
        message = f"Python cannot import transformers, which makes the model: {error}."
        raise Failure("missing-module", message, advice=_cures(error)) from error
    repository = hub.find(source, root)
    config = pretrained._config(repository)
    architecture = next(iter(config.architectures or ()), "")
    fitting = []
    for task, name in {**pretrained.TASKS, "ctc": pretrained.CTC}.items():
        task = "automatic-speech-recognition" if task == "ctc" else task
        kinds = getattr(transformers, name)._model_mapping.get(type(config), ())
        kinds = kinds if isinstance(kinds, (tuple, list)) else (kinds,)
        fitting += [task] if kinds else []
        if architecture in [kind.__name__ for kind in kinds if kind is not None]:
            return replace(source, task=task)
    if not architecture and "feature-extraction" in fitting:
        return replace(source, task="feature-extraction")
    message = f"`{source.file}` was saved from `{architecture}`, which no task means."
    cure = f"Choose a task in a manifest of your own: {', '.join(dict.fromkeys(fitting))}."
    raise Failure("wrong-task", message, advice=(cure,))


def _commit(source: Any, root: Path) -> str:
    """Return the commit of a branch of the hub: the refusal of a branch names it."""
    from coreml_driver import hub

    try:
        hub.find(source, root)
    except ImportError as error:
        message = f"There is no folder `{source.file}`, and no huggingface_hub to fetch it: {error}"
        raise Failure("missing-module", message, advice=_cures(error)) from error
    except Failure as failure:
        commit = re.search("[0-9a-f]{40}", failure.message)
        if failure.kind == "hub-unpinned" and commit:
            return commit[0]
        raise
    raise AssertionError("a branch is always refused")


def find(module: Any, seconds: float = SECONDS) -> tuple[list[Any], Any]:
    """Find inputs that the module accepts.

    Returns: the inputs in the order of `forward`, and what it returned for them.
    Errors: `Failure` of kind `no-inputs` that says what was tried.
    """
    from coreml_driver import guesses

    names = _parameters(module)
    end, refused = time.monotonic() + seconds, []
    for known in guesses.of_library(module):
        result = _run(module, known, refused, {})
        if result is not None:
            return known, result
    #: What the layers that inputs reached have said: it is tried first.
    heard: dict[str, list[Any]] = {name: [] for name in names}
    general = guesses.of_layers(module)
    choices = {name: guesses.of_name(name, general) for name in names}
    seen: set[tuple[Any, ...]] = set()
    while len(seen) < MOST_RUNS and time.monotonic() < end:
        inputs = next(_untried(names, heard, choices, seen), None)
        if inputs is None:
            break
        seen.add(_key(inputs))
        reached: dict[str, list[Any]] = {}
        result = _run(module, inputs, refused, reached)
        for name, proposals in reached.items():
            fresh = [one for one in proposals if one.value() not in _values(heard[name])]
            heard[name] += [one.named(name) for one in fresh]
        if result is not None:
            # A layer that was reached knows the range better than a guess.
            better = [_better(one, reached.get(one.name, ())) for one in inputs]
            if _key(better) != _key(inputs):
                again = _run(module, better, refused, {})
                if again is not None:
                    return better, again
            return inputs, result
    raise _none(module, names, refused, time.monotonic() >= end)


def _better(one: Any, proposals: Sequence[Any]) -> Any:
    """Return an input with what the layer that it reached says of its range and its reason."""
    for other in proposals:
        if other.dtype == one.dtype and len(other.shape) == len(one.shape):
            fits = other.range is not None or other.shape == one.shape
            if fits:
                return other.named(one.name).shaped(one.shape)
    return one


def _values(inputs: Sequence[Any]) -> set[Any]:
    """Return what inputs are, without names and reasons."""
    return {one.value() for one in inputs}


def _key(inputs: Sequence[Any]) -> tuple[Any, ...]:
    """Return what a run is given."""
    return tuple(one.value() for one in inputs)


def _untried(
    names: Sequence[str], heard: dict[str, Any], choices: dict[str, Any], seen: set[Any]
) -> Iterator[list[Any]]:
    """Yield combinations that were not tried, the likely ones first."""
    lists = [[*heard[name], *choices[name]] for name in names]
    for total in range(sum(len(one) - 1 for one in lists) + 1):
        for places in _places([len(one) for one in lists], total):
            inputs = [one[place] for one, place in zip(lists, places, strict=True)]
            if _key(inputs) not in seen:
                yield inputs


def _places(lengths: Sequence[int], total: int) -> Iterator[tuple[int, ...]]:
    """Yield positions in lists whose sum is `total`."""
    if not lengths:
        if total == 0:
            yield ()
        return
    for first in range(min(lengths[0] - 1, total) + 1):
        for rest in _places(lengths[1:], total - first):
            yield (first, *rest)


def _parameters(module: Any) -> list[str]:
    """Return the names of the parameters that get tensors: those without a default, or the first.

    Errors: `Failure` for a `forward` whose parameters have no names or are no tensors.
    """
    from coreml_driver import prepare

    parameters = list(prepare._signature(module).parameters.values())
    shown = f"`forward{prepare._signature(module)}`"
    named = [one for one in parameters if one.kind not in (one.VAR_POSITIONAL, one.VAR_KEYWORD)]
    needed = [one for one in named if one.default is inspect.Parameter.empty] or named[:1]
    if not needed:
        message = f"{shown} names no parameter, so that nothing can be proposed."
        cure = "Wrap the module in one whose `forward` has a parameter for each tensor."
        raise Failure("no-inputs", message, advice=(cure, BY_HAND))
    for one in needed:
        if one.annotation in (int, float, bool, str, "int", "float", "bool", "str"):
            kind = getattr(one.annotation, "__name__", one.annotation)
            message = f"{shown} needs `{one.name}`, which is {kind} and no tensor."
            cure = f"Wrap the module in one that sets `{one.name}`, and name a function for it."
            raise Failure("no-inputs", message, advice=(cure, BY_HAND))
    return [one.name for one in needed]


def _run(module: Any, inputs: Sequence[Any], refused: list[Any], reached: dict[str, Any]) -> Any:
    """Run the module.

    Parameters: `refused` — gets what failed, with the error; `reached` — gets, by input, what the
    first layer that it reached takes.
    Returns: the result; `None` when the module refused.
    """
    import torch

    from coreml_driver import guesses

    tensors = {one.name: one.tensor() for one in inputs}
    places = {tensor.data_ptr(): name for name, tensor in tensors.items()}

    def note(path: str) -> Any:
        def hook(layer: Any, arguments: Any) -> None:
            for value in arguments:
                name = places.get(value.data_ptr()) if isinstance(value, torch.Tensor) else None
                if name is not None and name not in reached:
                    reached[name] = guesses.of_layer(path, layer)

        return hook

    layers = [
        (path, layer) for path, layer in module.named_modules() if guesses.of_layer(path, layer)
    ]
    scripted = isinstance(module, torch.jit.ScriptModule)
    hooks = [layer.register_forward_pre_hook(note(path)) for path, layer in layers if not scripted]
    try:
        torch.manual_seed(0)
        result = module(**tensors)
        _leaves(result)
        return result
    except (Exception, SystemExit) as error:
        refused.append((inputs, _words(error)))
        return None
    finally:
        for hook in hooks:
            hook.remove()


def _none(module: Any, names: Sequence[str], refused: list[Any], late: bool) -> Failure:
    """Return the failure of a module that has accepted nothing."""
    tried = [f"{', '.join(map(str, inputs))}: {words}" for inputs, words in refused]
    tried = list(dict.fromkeys(tried))
    more = len(tried) - LISTED
    listed = tried[:LISTED] + ([f"… and {more} more"] if more > 0 else [])
    why = "in the time there is " if late else ""
    message = (
        f"`{type(module).__name__}` accepted none of {len(tried)} proposals {why}for "
        f"{', '.join(f'`{name}`' for name in names)}. Tried:\n  " + "\n  ".join(listed)
    )
    return Failure("no-inputs", message, advice=(BY_HAND,))


def _words(error: BaseException, whole: bool = False) -> str:
    """Return an exception in one line."""
    lines = str(error).strip().splitlines() or [""]
    return f"{type(error).__name__}: {lines[0] if whole else lines[0][:160]}".rstrip(": ")


def _cures(error: BaseException) -> tuple[str, ...]:
    """Return what to do about an exception while the module was made."""
    if isinstance(error, ImportError):
        name = LIBRARIES.get((error.name or "").partition(".")[0], error.name or "the package")
        return (
            f"Name it: `--dependency {name}`; it is then installed into an environment of the "
            "cache, and stands in the manifest.",
            "With COREML_PYTHON, install it into that interpreter.",
        )
    return ("Run the entry in Python: it has to return the module.",)


def _version(name: str) -> str | None:
    """Return the version of a package without its local part, which no registry has."""
    try:
        return importlib.metadata.version(name).partition("+")[0]
    except importlib.metadata.PackageNotFoundError:
        return None
