"""One watched run of the original module: what a captured graph would silently get wrong.

A tracer keeps the operations and forgets the rest: values that became Python numbers, random draws,
writes to buffers. This run sees every operation as it happens, together with the Python line that
asked for it.

Owns: the sightings. Must not: decide which of them are errors (that is `checks`); change a result.
Memory that nobody has written to holds zeros here: what was in it before is nobody's value.
Flow: `conversion` runs the module a second time under `Witness` -> `checks.run` judges.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import FrameType
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.weak import WeakTensorKeyDictionary

from coreml_driver import assertions, layers
from coreml_driver.failures import PythonLine, Whereabouts
from coreml_driver.lines import UserCode

#: Integers of Core ML have 32 bits.
INT32_MIN, INT32_MAX = -(2**31), 2**31 - 1
#: "To the end" in slices: not a value that is computed with.
NO_BOUND = frozenset({2**63 - 1, -(2**63)})
#: Largest finite float16.
FLOAT16_MAX = 65504.0
#: Core ML takes tensors up to this number of dimensions.
MAX_RANK = 5
#: Attention kernels carry the tag of random operations because they can drop out; in inference mode
#: they do not.
NOT_RANDOM = ("scaled_dot_product", "_fused_sdp")
#: Operations whose result is memory that nobody has written to.
UNWRITTEN = frozenset(
    ("empty", "empty_like", "new_empty", "empty_strided", "empty_permuted", "new_empty_strided")
)


@dataclass(frozen=True)
class Sighting:
    """Something seen at a line of the user's code."""

    what: str
    line: PythonLine | None
    #: File and line of every frame on the stack: where a tracer may warn about the same.
    stack: frozenset[tuple[str, int]] = field(default=frozenset(), compare=False)
    #: The layer, and the line of a library.
    place: Whereabouts = field(default=Whereabouts(), compare=False)


@dataclass
class Sightings:
    """Everything that the run has shown; each list in order of appearance."""

    #: Tensor values that became Python values and depend on an input: branches, `.item()`, indices.
    data_dependent: list[Sighting] = field(default_factory=list)
    #: Operations that draw random numbers.
    random: list[Sighting] = field(default_factory=list)
    #: Names of tensors kept by the module that were written to.
    written: list[Sighting] = field(default_factory=list)
    #: Names of tensors kept by the module that another tensor took the place of.
    assigned: list[Sighting] = field(default_factory=list)
    #: Names of kept tensors of which a view is used that is older than the last write.
    stale: list[Sighting] = field(default_factory=list)
    #: How often each kept tensor was written to.
    writes: Counter[str] = field(default_factory=Counter)
    #: At which lines of the user's code.
    write_lines: dict[str, list[PythonLine]] = field(default_factory=dict)
    #: Normalisation by batch statistics although there are running ones.
    batch_statistics: list[Sighting] = field(default_factory=list)
    #: Integers that do not fit into 32 bits: numbers that the code names, and results.
    wide_integers: list[Sighting] = field(default_factory=list)
    wide_results: list[Sighting] = field(default_factory=list)
    #: Operations that make memory which nobody has written to.
    unwritten: list[Sighting] = field(default_factory=list)
    #: The first tensor with more dimensions than Core ML takes.
    high_rank: Sighting | None = None
    #: The largest finite value beyond float16, if any.
    overflow: tuple[float, Sighting] | None = None


class Witness(TorchDispatchMode):
    """Sees every operation of a run."""

    def __init__(
        self, module: torch.nn.Module, inputs: Sequence[torch.Tensor], user_code: UserCode
    ) -> None:
        """Parameters: `inputs` — the tensors that the run is fed with: whatever is computed from
        them depends on the data.
        """
        super().__init__()
        self.sightings = Sightings()
        self._module = module
        self._paths = layers.names(module)
        self._user_code = user_code
        self._from_input: Any = WeakTensorKeyDictionary()
        for tensor in inputs:
            self._from_input[tensor] = True
        kept = {name: tensor for name, tensor in kept_tensors(module).items() if tensor.numel()}
        self._kept = {storage(tensor): name for name, tensor in kept.items()}
        self._whole: Any = WeakTensorKeyDictionary()
        for tensor in kept.values():
            self._whole[tensor] = True
        #: Views of kept tensors, with the number of writes to the whole when each was taken.
        self._views: Any = WeakTensorKeyDictionary()

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        """Run one operation and look at it."""
        kwargs = kwargs or {}
        result = func(*args, **kwargs)
        name = func._schema.name.removeprefix("aten::")
        if name in UNWRITTEN and result.numel():
            result.zero_()
            self._see(self.sightings.unwritten, name)
        arguments = [leaf for leaf in tree_leaves((args, kwargs)) if leaf is not None]
        tensors = [leaf for leaf in arguments if isinstance(leaf, torch.Tensor)]
        depends = any(tensor in self._from_input for tensor in tensors)
        becomes_plain = func is torch.ops.aten._local_scalar_dense.default
        if depends and becomes_plain and not assertions.asks(sys._getframe(1)):
            self._see(self.sightings.data_dependent, "a tensor's value is used as a Python value")
        if torch.Tag.nondeterministic_seeded in func.tags and not name.startswith(NOT_RANDOM):
            self._see(self.sightings.random, name)
        self._look_at_views(tensors)
        self._look_at_arguments(func, name, args, kwargs, arguments)
        for tensor in tree_leaves(result):
            if isinstance(tensor, torch.Tensor):
                kept = self._kept.get(storage(tensor)) if tensor.numel() else None
                if kept is not None and tensor not in self._whole:
                    self._views[tensor] = self.sightings.writes[kept]
                if depends:
                    self._from_input[tensor] = True
                self._look_at_value(tensor, name)
        return result

    def _look_at_views(self, tensors: Sequence[torch.Tensor]) -> None:
        """Look for views that are older than the last write to what they show."""
        for tensor in tensors:
            age = self._views.get(tensor)
            if age is not None:
                kept = self._kept[storage(tensor)]
                if age < self.sightings.writes[kept]:
                    self._see(self.sightings.stale, kept)

    def _look_at_arguments(
        self, func: Any, name: str, args: tuple[Any, ...], kwargs: Any, leaves: list[Any]
    ) -> None:
        """Look for writes to the module's tensors, batch statistics and wide integers."""
        schema = func._schema.arguments
        values = {
            argument.name: value for argument, value in zip(schema, args, strict=False)
        } | kwargs
        for argument in schema:
            value = values.get(argument.name)
            if (
                argument.alias_info is not None
                and argument.alias_info.is_write
                and isinstance(value, torch.Tensor)
            ):
                kept = self._kept.get(storage(value))
                if kept is not None:
                    self._see(self.sightings.written, kept)
                    self.sightings.writes[kept] += 1
                    self.sightings.write_lines.setdefault(kept, []).extend(
                        filter(None, [self._line()])
                    )
        if values.get("training") is True and isinstance(values.get("running_mean"), torch.Tensor):
            self._see(self.sightings.batch_statistics, name)
        if "slice" in name:
            return
        for leaf in leaves:
            if type(leaf) is int and not INT32_MIN <= leaf <= INT32_MAX and leaf not in NO_BOUND:
                self._see(self.sightings.wide_integers, f"the integer {leaf} in `{name}`")

    def _look_at_value(self, tensor: torch.Tensor, name: str) -> None:
        """Look for values that a narrower type of Core ML cannot hold."""
        if tensor.dim() > MAX_RANK and self.sightings.high_rank is None:
            place = layers.of_frame(sys._getframe(1), self._paths, self._user_code)
            self.sightings.high_rank = Sighting(name, self._line(), place=place)
        if tensor.numel() == 0 or not has_numbers(tensor):
            return
        if tensor.dtype == torch.int64:
            wide = wide_integer(tensor)
            if wide is not None:
                self._see(
                    self.sightings.wide_results, f"the integer {wide} as a result of `{name}`"
                )
        elif tensor.dtype == torch.float32:
            low, high = (
                float(bound)
                for bound in tensor.nan_to_num(nan=0.0, posinf=0.0, neginf=0.0).aminmax()
            )
            largest = max(-low, high)
            if largest > (self.sightings.overflow or (FLOAT16_MAX,))[0]:
                self.sightings.overflow = largest, Sighting(name, self._line())

    def _line(self) -> PythonLine | None:
        """Return the user's line that is running."""
        return self._user_code.of_frame(sys._getframe(1))

    def _see(self, sightings: list[Sighting], what: str) -> None:
        """Add a sighting, once for each line."""
        frame = sys._getframe(1)
        place = layers.of_frame(frame, self._paths, self._user_code)
        sighting = Sighting(what, self._line(), _stack(frame), place)
        if sighting not in sightings:
            sightings.append(sighting)

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Watch operations and assignments: `self.buffer = self.buffer + 1` is a write that no
        operation shows.
        """
        original = torch.nn.Module.__setattr__
        witness = self
        before = kept_tensors(self._module)
        prefixes = {
            id(child): f"{prefix}." for prefix, child in self._module.named_modules() if prefix
        }

        def watched(module: torch.nn.Module, name: str, value: Any) -> None:
            replaced = getattr(module, name, None) if isinstance(value, torch.Tensor) else None
            kept = f"{prefixes.get(id(module), '')}{name}"
            # What took the place of another tensor earlier in this run is no old value.
            if replaced is not None and replaced is before.get(kept) and replaced is not value:
                witness._see(witness.sightings.written, kept)
                witness._see(witness.sightings.assigned, kept)
            original(module, name, value)

        torch.nn.Module.__setattr__ = watched  # type: ignore[method-assign, assignment]
        try:
            with self:
                yield
        finally:
            torch.nn.Module.__setattr__ = original  # type: ignore[method-assign]
        seen = {sighting.what for sighting in self.sightings.assigned}
        now = kept_tensors(self._module)
        for name, tensor in before.items():
            # `register_buffer` in forward, or an entry of a table.
            if name not in seen and name in now and now[name] is not tensor:
                self.sightings.written.append(Sighting(name, None))
                self.sightings.assigned.append(Sighting(name, None))


def _stack(frame: FrameType | None) -> frozenset[tuple[str, int]]:
    """Return file and line of every frame."""
    places = set()
    while frame is not None:
        places.add((frame.f_code.co_filename, frame.f_lineno))
        frame = frame.f_back
    return frozenset(places)


def has_numbers(tensor: torch.Tensor) -> bool:
    """Return whether the numbers of a tensor can be looked at as they are."""
    plain = tensor.layout is torch.strided and not (tensor.is_quantized or tensor.is_nested)
    return plain and tensor.device.type != "meta"


def wide_integer(tensor: torch.Tensor) -> int | None:
    """Return a value of an int64 tensor that does not fit into 32 bits, if there is one."""
    low, high = (int(bound) for bound in tensor.aminmax())
    if low < INT32_MIN:
        return low
    return high if high > INT32_MAX else None


def kept_tensors(module: torch.nn.Module) -> dict[str, torch.Tensor]:
    """Return every tensor that the module keeps between calls: parameters, buffers, plain
    attributes.
    """
    kept = dict(module.named_parameters()) | dict(module.named_buffers())
    for prefix, child in module.named_modules():
        for name, value in vars(child).items():
            if isinstance(value, torch.Tensor):
                kept[f"{prefix}.{name}" if prefix else name] = value
    return kept


def storage(tensor: torch.Tensor) -> int:
    """Return what tells a tensor's memory from another's: views share it. A sparse tensor has no
    memory of its own, but that of its parts.
    """
    if tensor.layout is not torch.strided:
        return id(tensor)
    return tensor.untyped_storage().data_ptr()
