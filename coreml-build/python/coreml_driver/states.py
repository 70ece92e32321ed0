"""States: buffers of the module that become `StateType`s of the package.

Owns: finding, zeroing and reading the buffers, and the checks that no write to one is lost.
Must not: capture or convert.
Flow: `observation` -> `find`, `check_run` -> `check_trace` -> `capture` compares the buffers ->
`convert` -> `check_package`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from coremltools.proto import Model_pb2

from coreml_driver import program
from coreml_driver.failures import Failure, PythonLine
from coreml_driver.features import State
from coreml_driver.witness import Sightings

#: The attribute of `prepare.Flat` that holds the module: what its buffers are called in a captured
#: graph.
PREFIX = "module."
#: The ways to write a state that coremltools keeps.
WRITING_FORMS = (
    "Where the module is traced, write a range: `self.k[:, :, p : p + 1, :] = new` with `p = "
    "pos[0]`.",
    "For a write through an index tensor: `self.k.index_put_((i, j, pos), new)` on the whole "
    "buffer.",
    'With `capture = "export"`, `self.k[:, :, pos, :] = new` works as well.',
)


@dataclass(frozen=True)
class Kept:
    """A declared state and the buffer that it is in the module."""

    state: State
    #: Name in `named_buffers()` of the module.
    buffer: str

    @property
    def name_in_program(self) -> str:
        """The name that coremltools gives the state."""
        return re.sub("[^A-Za-z0-9_]", "_", PREFIX + self.buffer)


def find(
    module: torch.nn.Module, states: Sequence[State], line: PythonLine | None
) -> tuple[Kept, ...]:
    """Find the buffer of every declared state.

    Errors: `Failure` of kind `wrong-state`.
    """
    buffers = dict(module.named_buffers(remove_duplicate=False))
    found: dict[str, Kept] = {}
    for state in states:
        names = [name for name in buffers if state.buffer == name or _is_called(name, state)]
        key = f"states.{state.name}"
        if not names:
            raise _not_found(module, state, list(buffers), line)
        if len(names) > 1:
            message = (
                f"The state `{state.name}` may be any of the buffers "
                f"{', '.join(f'`{name}`' for name in names)}."
            )
            raise Failure("wrong-state", message, line, key, ('Choose one: `buffer = "…"`.',))
        (name,) = names
        _check(state, name, buffers[name], line)
        if name in found:
            message = f"`{found[name].state.name}` and `{state.name}` are the same buffer `{name}`."
            raise Failure("wrong-state", message, line, key, ("Declare it once.",))
        found[name] = Kept(state, name)
    return tuple(found.values())


def _is_called(buffer: str, state: State) -> bool:
    """Return whether a buffer goes by the state's name: it is the same with underscores for
    dots.
    """
    return state.buffer is None and buffer.replace(".", "_") == state.name


def _not_found(
    module: torch.nn.Module, state: State, buffers: list[str], line: PythonLine | None
) -> Failure:
    """Return the failure about a state without a buffer."""
    wanted = state.buffer or state.name
    advice = (
        f"Its buffers are {', '.join(f'`{name}`' for name in buffers)}."
        if buffers
        else "It has no buffers."
    )
    if isinstance(getattr(module, wanted, None), torch.Tensor):
        advice = (
            f"`{wanted}` is a plain attribute: make it one with "
            f'`self.register_buffer("{wanted}", …)`.'
        )
    message = f"The module has no buffer for the state `{state.name}`."
    more = (
        f"For a buffer inside a submodule: `states.{state.name} = {{ buffer = "
        '"layers.0.cache", … }`.'
    )
    return Failure("wrong-state", message, line, f"states.{state.name}", (advice, more))


def _check(state: State, name: str, buffer: torch.Tensor, line: PythonLine | None) -> None:
    """Refuse a buffer that a Core ML state cannot be."""
    key = f"states.{state.name}"
    if tuple(buffer.shape) != state.shape:
        message = (
            f"The buffer `{name}` has shape {list(buffer.shape)}, the state `{state.name}` "
            f"{list(state.shape)}."
        )
        raise Failure(
            "wrong-state",
            message,
            line,
            f"{key}.shape",
            (f"Declare `shape = {list(buffer.shape)}`.",),
        )
    if not buffer.is_floating_point():
        word = str(buffer.dtype).removeprefix("torch.")
        message = f"The buffer `{name}` is {word}; Core ML's states are float16."
        cures = (
            "Take a position or a counter as an input instead.",
            "Or keep it as floating-point numbers.",
        )
        raise Failure("wrong-state", message, line, f"{key}.dtype", cures)
    if bool((buffer != 0).any()):
        message = (
            f"The buffer `{name}` does not begin at zero; a new Core ML state does, so "
            "predictions would differ."
        )
        cure = "Begin with zeros, and add in forward what it begins with."
        raise Failure("wrong-state", message, line, key, (cure,))


def reset(module: torch.nn.Module, kept: Sequence[Kept], prefix: str = "") -> None:
    """Put zeros into the buffers, in place: a new state.

    Parameters: `prefix` — where the module stands in `module`.
    """
    buffers = dict(module.named_buffers(remove_duplicate=False)) if kept else {}
    for one in kept:
        buffers[prefix + one.buffer].zero_()


def values(
    module: torch.nn.Module, kept: Sequence[Kept], prefix: str = ""
) -> tuple[torch.Tensor, ...]:
    """Return copies of the buffers, in the order of the states."""
    buffers = dict(module.named_buffers(remove_duplicate=False)) if kept else {}
    return tuple(buffers[prefix + one.buffer].clone() for one in kept)


def check_run(kept: Sequence[Kept], sightings: Sightings, line: PythonLine | None) -> None:
    """Judge what the watched run did to the states.

    Errors: `Failure` of kind `assigned-state` or `unwritten-state`.
    """
    for one in kept:
        name, key = one.buffer, f"states.{one.state.name}"
        for sighting in sightings.assigned:
            if sighting.what == name:
                message = (
                    f"`forward` puts another tensor in the place of `{name}`; a captured "
                    "graph drops that."
                )
                cure = f"Write into the buffer: `self.{name}[:] = …`."
                raise Failure("assigned-state", message, sighting.line or line, key, (cure,))
        if not sightings.writes[name]:
            message = (
                f"`forward` never writes to `{name}`: the state `{one.state.name}` would stay zero."
            )
            raise Failure(
                "unwritten-state",
                message,
                line,
                key,
                ("Remove the state, or write to it in forward.",),
            )


def check_trace(kept: Sequence[Kept], sightings: Sightings, line: PythonLine | None) -> None:
    """Refuse to trace what coremltools would read too early: a view of a state from before a write
    to it. An exported graph reads again.

    Errors: `Failure` of kind `stale-state`.
    """
    names = {one.buffer: one.state.name for one in kept}
    for sighting in sightings.stale:
        if sighting.what in names:
            message = (
                f"A view of the state `{names[sighting.what]}` is used here that was taken before "
                "a write to it. "
                "PyTorch shows the new values in it, a converted trace the old ones."
            )
            cures = ("Take the view after the write.", 'Or use `capture = "export"`.')
            raise Failure(
                "stale-state",
                message,
                sighting.line or line,
                f"states.{names[sighting.what]}",
                cures,
            )


def check_package(
    specification: Model_pb2.Model,
    kept: Sequence[Kept],
    sightings: Sightings,
    traced: bool,
    line: PythonLine | None,
) -> None:
    """Compare the program's writes with those of the watched run: coremltools drops some without a
    word.

    Parameters: `traced` — a traced graph has one `write_state` for each write, an exported one a
    single last one.
    Errors: `Failure` of kind `dropped-write`.
    """
    written = [
        operation.inputs["input"].arguments[0].name
        for operation in program.operations(specification)
        if operation.type == "write_state"
    ]
    for one in kept:
        wanted = sightings.writes[one.buffer] if traced else 1
        found = written.count(one.state.name)
        if found < wanted:
            lines = sorted({place.line for place in sightings.write_lines.get(one.buffer, ())})
            where = f" (line {', '.join(map(str, lines))})" if lines else ""
            lost = "the write" if wanted == 1 else f"{wanted - found} of {wanted} writes"
            message = f"coremltools dropped {lost} to the state `{one.state.name}`{where}."
            place = next(iter(sightings.write_lines.get(one.buffer, ())), line)
            raise Failure(
                "dropped-write", message, place, f"states.{one.state.name}", WRITING_FORMS
            )
