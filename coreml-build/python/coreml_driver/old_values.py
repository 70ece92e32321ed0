"""Writes to what a module keeps: whether a prediction reads what an earlier one has left.

A write is harmless where the old value is never read: `weight_norm` replaces its weight before each
use, and `self.scale = x.mean()` is only a place to keep a number in. Two runs find that out. In the
first, old values are replaced by others, so that a result that depends on them changes. It also
follows element by element what is computed from old values: a mask that hides them in the sample
hides them here from nobody. The second run starts from the module as it was made.

Owns: these runs.
Must not: judge what is not written; leave a trace in the module.
Flow: `observation` -> `read` and `Fresh` -> `checks`.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from coreml_driver.attributes import Attributes, places, tables, unchanged
from coreml_driver.samples import difference
from coreml_driver.witness import kept_tensors, storage

#: Operations that write to a tensor without reading it.
OVERWRITING = frozenset(
    "bernoulli_ cauchy_ copy_ exponential_ fill_ geometric_ log_normal_ normal_ random_ uniform_ "
    "zero_".split()
)
#: Operations that take only the form of a tensor.
OF_FORM = frozenset(
    "empty_like full_like is_same_size new_empty new_empty_strided new_full new_ones new_zeros "
    "ones_like rand_like randint_like randn_like zeros_like".split()
)
#: What old values become, by the kind of their numbers: something that shows in a result.
POISON_OF_FLOATS, POISON_OF_INTEGERS = float("nan"), 113

#: How often a module is run to find out which of its tensors is read: a dozen of a hundred names.
MOST_RUNS = 32


@dataclass(frozen=True)
class Found:
    """What became of old values."""

    #: Names of tensors whose old value is read by what a result depends on.
    read: tuple[str, ...] = ()
    #: Those that keep something of their old value, which no result depends on.
    kept: tuple[str, ...] = ()


def read(
    module: torch.nn.Module,
    assigned: Sequence[str],
    written: Sequence[str],
    run: Callable[[], Sequence[torch.Tensor]],
    expected: Sequence[torch.Tensor],
) -> Found:
    """Find out which old values are read.

    Parameters: `assigned` — names of tensors in whose place another one is put; `written` — of
    those whose memory is written to; `run` — runs the module from zeroed states and returns copies
    of its outputs and states; `expected` — what that gave.
    """
    names = tuple(dict.fromkeys([*assigned, *written]))
    if not names:
        return Found()
    is_read, kept = _run_with_others(module, names, written, run, expected)
    if not is_read:
        return Found((), kept)
    with unchanged(module, written):
        # What other tensors have by now may be no longer what gave the first results.
        expected = run()
    return Found(
        _narrowed(names, lambda some: _run_with_others(module, some, written, run, expected)[0])
    )


def among(
    module: torch.nn.Module,
    assigned: Sequence[str],
    written: Sequence[str],
    run: Callable[[], Sequence[torch.Tensor]],
) -> Found | None:
    """Find out which old values are read by a module whose results change from run to run.

    Parameters: as for `read`.
    Returns: `None` when none of them is.
    """
    with unchanged(module, written):
        expected = run()
    found = read(module, assigned, written, run, expected)
    return found if found.read else None


def _narrowed(names: tuple[str, ...], is_read: Callable[[Sequence[str]], bool]) -> tuple[str, ...]:
    """Return those of the names that are read, in their order.

    Parameters: `names` — some of which are read; `is_read` — runs the module.
    Returns: names that are read only together stay together; so do those that are left when the
    module has been run too often.
    """
    groups, found, runs = [names], set[str](), 0
    while groups:
        group = groups.pop(0)
        middle = len(group) // 2
        halves = [half for half in (group[:middle], group[middle:]) if half]
        if len(halves) == 1 or runs + len(halves) > MOST_RUNS:
            found.update(group)
            continue
        runs += len(halves)
        read_ones = [half for half in halves if is_read(half)]
        groups += read_ones
        if not read_ones:
            found.update(group)
    return tuple(name for name in names if name in found)


def _run_with_others(
    module: torch.nn.Module,
    names: Sequence[str],
    written: Sequence[str],
    run: Callable[[], Sequence[torch.Tensor]],
    expected: Sequence[torch.Tensor],
) -> tuple[bool, tuple[str, ...]]:
    """Run a module with other old values.

    Returns: whether a result depends on them, and the names of those of which the module keeps
    something.
    """
    whole = kept_tensors(module)
    sharing = [storage(tensor) for tensor in whole.values() if tensor.numel()]
    attributes, found = Attributes(module), places(module)
    watched = [name for name in names if name in found and whole[name].numel()]
    if any(name in written and sharing.count(storage(whole[name])) > 1 for name in watched):
        return True, ()  # another name of the same memory, which a copy would not follow
    mode = _Following()
    for name in watched:
        table, key = found[name]
        table[key] = mode.poisoned(whole[name])
    for name in written:
        # What this run writes to the others the next one must not find.
        if name in found and name not in watched:
            table, key = found[name]
            table[key] = whole[name].clone()
    try:
        with mode:
            results = run()
        now = kept_tensors(module)
        kept = tuple(name for name in watched if name in now and mode.is_old(now[name]))
    except Exception:  # another old value makes the module fail: it reads it
        return True, ()
    finally:
        attributes.put_back()
    is_read = mode.decided or any(map(mode.is_old, results))
    return is_read or not difference(expected, results)[1], kept


class _Following(TorchDispatchMode):
    """Follows what is computed from old values."""

    def __init__(self) -> None:
        """Begin with none."""
        super().__init__()
        #: For each memory that has something of them: which elements.
        self._shadows: dict[int, torch.Tensor] = {}
        #: Keeps that memory from being given to others.
        self._alive: list[torch.Tensor] = []
        #: Whether Python has seen a number that depends on one.
        self.decided = False

    def poisoned(self, tensor: torch.Tensor) -> torch.Tensor:
        """Return a tensor of the same form with other numbers, all of them old."""
        other = tensor.detach().clone()
        if other.is_floating_point() or other.is_complex():
            other.fill_(POISON_OF_FLOATS)
        elif other.dtype is torch.bool:
            other.logical_not_()
        else:
            other.add_(POISON_OF_INTEGERS)
        self._mark(other)
        return other

    def is_old(self, tensor: torch.Tensor) -> bool:
        """Return whether a tensor shows something that was computed from an old value."""
        shadow = self._shadow(tensor)
        return shadow is not None and bool(shadow.any())

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        """Run one operation and follow it."""
        kwargs = kwargs or {}
        name = func._schema.name.rpartition("::")[2]
        written, reading = self._arguments(func, name, args, kwargs)
        depends = not func.is_view and name not in OF_FORM and any(map(self.is_old, reading))
        result = func(*args, **kwargs)
        for tensor, wholly in written:
            shadow = self._shadow(tensor)
            if shadow is not None and (depends or wholly):
                shadow.fill_(depends)
            elif depends:
                self._mark(tensor)
        for leaf in tree_leaves(result):
            if not isinstance(leaf, torch.Tensor):
                self.decided |= depends and leaf is not None
            elif depends and self._shadow(leaf) is None:
                self._mark(leaf)
        return result

    def _arguments(
        self, func: Any, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[list[tuple[torch.Tensor, bool]], list[torch.Tensor]]:
        """Return the tensors that an operation writes to, each with whether it writes all of it
        unread, and those that it reads.
        """
        schema = func._schema.arguments
        values = {one.name: value for one, value in zip(schema, args, strict=False)} | kwargs
        written, reading = [], []
        for one in schema:
            tensors = [
                leaf for leaf in tree_leaves(values.get(one.name)) if isinstance(leaf, torch.Tensor)
            ]
            writes = one.alias_info is not None and one.alias_info.is_write
            unread = writes and (name in OVERWRITING or one.is_out)
            written += [(tensor, unread) for tensor in tensors if writes]
            reading += [] if unread else tensors
        return written, reading

    def _mark(self, tensor: torch.Tensor) -> None:
        """Note that all of a tensor's memory depends on an old value."""
        key = storage(tensor)
        self._alive.append(tensor)
        count = max(1, _elements(tensor))
        self._shadows[key] = torch.ones(count, dtype=torch.bool)

    def _shadow(self, tensor: torch.Tensor) -> torch.Tensor | None:
        """Return which elements of a tensor are old, as a view of its memory's; `None` where its
        memory has nothing old.
        """
        shadow = self._shadows.get(storage(tensor)) if tensor.numel() else None
        if shadow is None or tensor.layout is not torch.strided:
            return shadow
        if len(shadow) != _elements(tensor):
            return shadow  # seen as numbers of another size
        return shadow.as_strided(tensor.shape, tensor.stride(), tensor.storage_offset())


def _elements(tensor: torch.Tensor) -> int:
    """Return how many numbers the memory of a tensor holds."""
    if tensor.layout is not torch.strided:
        return tensor.numel()
    return tensor.untyped_storage().nbytes() // tensor.element_size()


class Fresh:
    """A copy of the module as it was made: what it gives is what a first prediction would."""

    def __init__(self, module: torch.nn.Module) -> None:
        """Copy all but the parameters. A module that cannot be copied is not compared."""
        self._module = module
        self._attributes = Attributes(module)
        self._before = _values(module)
        self.copy: torch.nn.Module | None = None
        parts = list(module.modules())
        lazy = any(torch.nn.parameter.is_lazy(one) for one in module.parameters())
        if lazy or any(isinstance(one, torch.jit.ScriptModule) for one in parts):
            return
        try:
            self.copy = copy.deepcopy(module, {id(one): one for one in module.parameters()})
        except Exception:  # a lock, a generator, a handle: nothing is known then
            self.copy = None

    def changed(self) -> list[str]:
        """Return the names of the attributes that are others by now."""
        now = _values(self._module)
        return [name for name, value in now.items() if self._before.get(name) != value]


def _values(module: torch.nn.Module) -> dict[str, tuple[int, int]]:
    """Return what tells each attribute of a module from a later one: the object, and how often a
    tensor was written to.
    """
    found: dict[str, tuple[int, int]] = {}
    for prefix, child in module.named_modules():
        if isinstance(child, torch.jit.ScriptModule):
            continue
        for table in tables(child)[:3]:
            for name, value in table.items():
                if not name.startswith("_") or isinstance(value, torch.Tensor):
                    found[f"{prefix}.{name}" if prefix else name] = id(value), _version(value)
    return found


def _version(value: Any) -> int:
    """Return how often a tensor was written to."""
    if not isinstance(value, torch.Tensor) or value.is_inference():
        return 0
    return value._version
