"""What `forward` reads besides its inputs: a clock, random numbers of Python or numpy, the
environment.

A captured graph keeps what was read once. Two runs that are compared need not show it: float32 has
seven digits, and `time.time()` has ten before the point.

Owns: hearing the calls, and finding out whether a result depends on them: the module runs again
with another time.
Must not: take a log line for a fault: what no result depends on is let be.
Flow: `observation` listens while the watched run goes -> `judge`.
"""

from __future__ import annotations

import datetime
import os
import random
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import FrameType, ModuleType
from typing import Any

import numpy as np
import torch

from coreml_driver.failures import Failure, PythonLine
from coreml_driver.lines import UserCode, file_of

#: By how many seconds a clock is moved: no whole number of any unit.
SHIFT = 12_345_678.9
#: Clocks of the module `time`, with the units of a second.
CLOCKS = {
    "time": 1,
    "monotonic": 1,
    "perf_counter": 1,
    "process_time": 1,
    "thread_time": 1,
    "time_ns": 10**9,
    "monotonic_ns": 10**9,
    "perf_counter_ns": 10**9,
    "process_time_ns": 10**9,
    "thread_time_ns": 10**9,
}
#: Functions of it that take a time, and the current one by default.
OF_NOW = ("localtime", "gmtime", "ctime")
ORIGINALS = {name: getattr(time, name) for name in (*CLOCKS, *OF_NOW)}
#: Class methods that read the time of day.
NOW = ("now", "utcnow", "today")
#: Methods by which generators of Python's `random` draw.
DRAWS = ("random", "getrandbits", "seed")
#: Files whose frames stand between a reader of the environment and `os.environ`.
ENVIRONMENT_FILES = frozenset({os.__file__, "<frozen os>", "<frozen _collections_abc>"})


@dataclass
class Heard:
    """What was read, each with the user's line."""

    clocks: dict[str, PythonLine | None] = field(default_factory=dict)
    random: dict[str, PythonLine | None] = field(default_factory=dict)
    #: Names of variables.
    environment: dict[str, PythonLine | None] = field(default_factory=dict)


@contextmanager
def listening(module: torch.nn.Module, user_code: UserCode) -> Iterator[Heard]:
    """Listen to calls while a module runs."""
    heard = Heard()
    clocks = {original: f"time.{name}" for name, original in ORIGINALS.items()}
    environment = type(os.environ).__getitem__.__code__

    def hear(frame: FrameType, event: str, argument: Any) -> None:
        """Look at one call; most are none of these."""
        if event == "c_call":
            name = clocks.get(argument) if argument.__hash__ is not None else None
            owner = getattr(argument, "__self__", None)
            word = getattr(argument, "__name__", "")
            if name is not None:
                heard.clocks.setdefault(name, user_code.of_frame(frame))
            elif word in NOW and isinstance(owner, type) and issubclass(owner, datetime.date):
                name = f"{owner.__name__}.{word}"
                heard.clocks.setdefault(name, user_code.of_frame(frame))
            elif word in DRAWS and isinstance(owner, random.Random):
                heard.random.setdefault("random", user_code.of_frame(frame))
            elif argument is os.urandom:
                heard.random.setdefault("os.urandom", user_code.of_frame(frame))
        elif event == "call" and frame.f_code is environment:
            line = _reader(frame, user_code)
            if line is not None:
                heard.environment.setdefault(str(frame.f_locals.get("key")), line)

    generators = _generators(module, user_code)
    before = [_state(generator) for generator in generators.values()]
    sys.setprofile(hear)
    try:
        yield heard
    finally:
        sys.setprofile(None)
        after = [_state(generator) for generator in generators.values()]
        for name, one, other in zip(generators, before, after, strict=True):
            if one != other:
                heard.random.setdefault(name, None)


def judge(
    heard: Heard,
    outputs: Sequence[torch.Tensor],
    before: Sequence[torch.Tensor],
    again: Callable[[], Sequence[torch.Tensor]],
    user_code: UserCode,
    line: PythonLine | None,
) -> list[str]:
    """Refuse a module whose results depend on what was heard.

    Parameters: `outputs` — of the watched run; `before` — of an earlier one; `again` — runs the
    module on the same inputs.
    Returns: warnings about the environment, whose value now is part of the model.
    Errors: `Failure` of kind `clock` or `random`.
    """
    if heard.random and not (_same(outputs, before) and _same(outputs, again())):
        names = ", ".join(f"`{name}`" for name in heard.random)
        place = next((one for one in heard.random.values() if one is not None), line)
        message = (
            f"`forward` draws random numbers ({names}), and its results depend on them: a captured "
            "graph keeps those of one run."
        )
        raise Failure("random", message, place, "source.entry", RANDOM_CURES)
    if heard.clocks:
        with _moved(user_code) as called:
            results = again()
        if not (_same(outputs, results) and _same(outputs, before)) or not called:
            names = ", ".join(f"`{name}`" for name in heard.clocks)
            place = next((one for one in heard.clocks.values() if one is not None), line)
            message = (
                f"`forward` reads a clock ({names}), and its results depend on it: a captured "
                "graph keeps the time of the conversion."
            )
            raise Failure("clock", message, place, "source.entry", CLOCK_CURES)
    return [
        f"forward reads the environment variable `{name}`"
        + (f" (line {place.line})" if place is not None else "")
        + ": the model keeps what it is now, and is not converted again when it changes"
        for name, place in heard.environment.items()
    ]


CLOCK_CURES = (
    "Take the time as an input of the model.",
    "Read it in the program that calls the model, or in `__init__` if it is to stay the same.",
)
RANDOM_CURES = (
    "Take what is drawn as an input of the model: `inputs.noise = { shape = […] }`.",
    "Draw it once, in `__init__`, if it is to stay the same.",
)


def _reader(frame: FrameType, user_code: UserCode) -> PythonLine | None:
    """Return the line that reads the environment, if it is the user's own."""
    reader = frame.f_back
    while reader is not None and reader.f_code.co_filename in ENVIRONMENT_FILES:
        reader = reader.f_back
    if reader is None or not user_code.owns(reader.f_code.co_filename):
        return None
    return PythonLine(reader.f_code.co_filename, reader.f_lineno)


def _generators(module: torch.nn.Module, user_code: UserCode) -> dict[str, Any]:
    """Return the generators of numpy that a module may draw from: numpy's own, and those that
    stand in the module or in the user's files.
    """
    found: dict[str, Any] = {"numpy.random": np.random.mtrand._rand}
    places: list[tuple[str, Mapping[str, Any]]] = [
        (prefix, vars(child)) for prefix, child in module.named_modules()
    ]
    places += [(one.__name__, vars(one)) for one in _users_modules(user_code)]
    for prefix, names in places:
        for name, value in list(names.items()):
            if isinstance(value, (np.random.Generator, np.random.RandomState)):
                found[f"{prefix}.{name}" if prefix else name] = value
    return found


def _state(generator: Any) -> str:
    """Return what tells a generator's state from another one."""
    bits = generator.bit_generator if hasattr(generator, "bit_generator") else generator
    state = bits.state if hasattr(bits, "state") else generator.get_state(legacy=False)
    return repr({key: np.asarray(value).tolist() for key, value in _flat(state)})


def _flat(state: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the numbers of a nested table."""
    if isinstance(state, Mapping):
        for key, value in state.items():
            yield from _flat(value, f"{prefix}{key}.")
    else:
        yield prefix, state


def _users_modules(user_code: UserCode) -> list[ModuleType]:
    """Return the loaded modules that are the user's own."""
    return [
        one
        for one in list(sys.modules.values())
        if isinstance(one, ModuleType) and user_code.owns(file_of(one) or "")
    ]


@contextmanager
def _moved(user_code: UserCode) -> Iterator[list[str]]:
    """Move all clocks; yield the names of those that are read then."""
    called: list[str] = []

    def later(name: str, unit: int) -> Callable[[], Any]:
        def read() -> Any:
            called.append(name)
            now = ORIGINALS[name]()
            return now + type(now)(SHIFT * unit)

        return read

    def of_later(name: str) -> Callable[..., Any]:
        def read(seconds: float | None = None) -> Any:
            called.append(name)
            now = ORIGINALS["time"]() + SHIFT
            return ORIGINALS[name](now if seconds is None else seconds)

        return read

    class Later(datetime.datetime):
        """A date whose now is another time."""

        @classmethod
        def now(cls, tz: Any = None) -> Any:
            """Return the other time."""
            called.append("now")
            return datetime_class.now(tz) + datetime.timedelta(seconds=SHIFT)

        @classmethod
        def utcnow(cls) -> Any:
            """Return the other time."""
            called.append("utcnow")
            return datetime_class.now(datetime.timezone.utc).replace(
                tzinfo=None
            ) + datetime.timedelta(seconds=SHIFT)

        @classmethod
        def today(cls) -> Any:
            """Return the other day."""
            called.append("today")
            return datetime_class.now() + datetime.timedelta(seconds=SHIFT)

    class LaterDate(datetime.date):
        """A date whose today is another day."""

        @classmethod
        def today(cls) -> Any:
            """Return the other day."""
            called.append("today")
            return (datetime_class.now() + datetime.timedelta(seconds=SHIFT)).date()

    datetime_class, date_class = datetime.datetime, datetime.date
    replacements: dict[int, Any] = {
        id(ORIGINALS[name]): later(name, unit) for name, unit in CLOCKS.items()
    }
    replacements |= {id(ORIGINALS[name]): of_later(name) for name in OF_NOW}
    replacements |= {id(datetime_class): Later, id(date_class): LaterDate}
    changed: list[tuple[ModuleType, str, Any]] = []
    for module in [time, datetime, *_users_modules(user_code)]:
        for name, value in list(vars(module).items()):
            if id(value) in replacements:
                changed.append((module, name, value))
                setattr(module, name, replacements[id(value)])
    try:
        yield called
    finally:
        for module, name, value in changed:
            setattr(module, name, value)


def _same(one: Sequence[torch.Tensor], other: Sequence[torch.Tensor]) -> bool:
    """Return whether two results are equal to the bit."""
    return all(
        first.shape == second.shape
        and bool(((first == second) | ((first != first) & (second != second))).all())
        for first, second in zip(one, other, strict=True)
    )
