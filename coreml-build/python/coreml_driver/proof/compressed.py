"""Compressed weights: the program is the one that was proved, and each weight is near its original.

Owns: pairing two programs step by step, and how far a weight may be from what it was made of.
Must not: compare with PyTorch: the program before compression was, and what compression costs is
the user's choice, not a fault.
Flow: `prove` has proved the uncompressed program -> `check` -> the compressed one is executed once.

A quantized weight is at most one step of its scale away, a palettized one has the nearest number of
its table, and what pruning made zero is not larger than what it left.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

import torch

from coreml_driver.proof.compare import shown
from coreml_driver.proof.execute import Executable
from coreml_driver.proof.kernels.constexpr import blocks
from coreml_driver.proof.reading import Binding, Body, Step, steps
from coreml_driver.proof.values import Constant

#: What begins the names of operations that hold a compressed weight.
PREFIX = "constexpr_"
#: How much of a step of a scale a weight may be away: half a step, but for what is cut off at the
#: ends, and for scales that are rounded to half precision.
STEPS = 1.01
#: Share of a table's range by which the chosen number may be further away than the nearest one:
#: coremltools chooses in half precision.
TABLE = 2.0**-8


#: Operations that read or change a state, whose order says what they give.
ACCESSES = ("read_state", "write_state")


class Changed(Exception):
    """Compression has changed more than weights; the text says what."""


@dataclass(frozen=True)
class Weight:
    """A compressed weight with its original."""

    original: Constant
    #: The name of the value that is computed from the compressed form.
    name: str


def check(plain: Executable, small: Executable) -> int:
    """Compare a compressed program with the one that it was made of.

    Called by: `prove`.
    Returns: how many weights were compared.
    Errors: `Changed`; `Unproved` for a form that cannot be evaluated.
    """
    weights = list(dict.fromkeys(_Pairing(plain, small).weights()))
    values = _Forms(small)
    for weight in weights:
        original = weight.original.read(plain.blobs).to(torch.float32)
        found, allowed = values.evaluate(weight.name, original)
        if found.shape != original.shape:
            raise Changed(
                f"the weight `{weight.name}` has shape {list(found.shape)}, its original "
                f"{list(original.shape)}"
            )
        beyond = (found - original).abs() - allowed
        worst = int(beyond.argmax())
        if float(beyond.reshape(-1)[worst]) > 0:
            one, other = original.reshape(-1)[worst], found.reshape(-1)[worst]
            raise Changed(
                f"the weight `{weight.name}` has {shown(float(other))} where its original has "
                f"{shown(float(one))}"
            )
    return len(weights)


class _Pairing:
    """Goes through two programs side by side, from the results to what they are made of: saving
    orders operations anew.
    """

    def __init__(self, plain: Executable, small: Executable) -> None:
        """Begin with the functions' inputs, which have the same names."""
        self._plain, self._small = plain, small
        self._makers = tuple(_makers(one.function.body) for one in (plain, small))
        #: Pairs of values that are known to be the same, and pairs of operations.
        self._same: set[tuple[str, str]] = {(name, name) for name in plain.function.inputs}
        self._paired: set[tuple[int, int]] = set()
        self._pairs: list[tuple[Step, Step]] = []

    def weights(self) -> Iterator[Weight]:
        """Yield the compressed weights; raise for any other change."""
        yield from self._bodies(self._plain.function.body, self._small.function.body)
        while self._pairs:
            one, other = self._pairs.pop()
            if one.types != other.types:
                raise Changed(f"`{other.kind}` gives another type than before")
            yield from self._arguments(one, other)
            for inner, its in zip(one.bodies, other.bodies, strict=True):
                yield from self._bodies(inner, its)

    def _bodies(self, plain: Body, small: Body) -> Iterator[Weight]:
        """Compare what two blocks give, and how they read and change states."""
        self._same |= set(zip(plain.inputs, small.inputs, strict=True))
        accesses, its = _accesses(plain), _accesses(small)
        for state in accesses | its:
            for one, other in zip_longest(accesses.get(state, ()), its.get(state, ())):
                self._steps(one, other)
        for one_name, other_name in zip(plain.outputs, small.outputs, strict=True):
            yield from self._bound(one_name, other_name, "the end of a block")

    def _steps(self, one: Step | None, other: Step | None) -> None:
        """Note two operations that have to do the same."""
        kinds = ["nothing" if step is None else step.kind for step in (one, other)]
        if one is None or other is None or kinds[0] != kinds[1]:
            raise Changed(f"`{kinds[1]}` stands in the place of `{kinds[0]}`")
        pair = id(one), id(other)
        if pair not in self._paired:
            self._paired.add(pair)
            self._pairs.append((one, other))
            self._same |= set(zip(one.outputs, other.outputs, strict=True))

    def _arguments(self, one: Step, other: Step) -> Iterator[Weight]:
        """Compare what two operations get."""
        if set(one.arguments) != set(other.arguments):
            raise Changed(f"`{one.kind}` has other arguments")
        for parameter, bindings in one.arguments.items():
            its = other.arguments[parameter]
            if len(its) != len(bindings):
                raise Changed(f"`{one.kind}` has another number of `{parameter}`")
            for first, second in zip(bindings, its, strict=True):
                yield from self._bound(first, second, f"`{parameter}` of `{one.kind}`")

    def _bound(self, one: Binding, other: Binding, where: str) -> Iterator[Weight]:
        """Compare two arguments."""
        first = self._constant(self._plain, one)
        second = self._constant(self._small, other)
        if first is None:
            names = str(one), str(other)
            if second is not None:
                raise Changed(f"{where} is another value")
            if names in self._same:
                return
            makers = [of.get(name) for of, name in zip(self._makers, names, strict=True)]
            self._steps(*makers)
            if names not in self._same:
                raise Changed(f"{where} is another value")
            return
        if second is None:
            yield Weight(first, str(other))
            return
        if not _same(first, self._plain, second, self._small):
            before, after = first.read(self._plain.blobs), second.read(self._small.blobs)
            raise Changed(f"{where} was {_brief(before)}, and is {_brief(after)}")

    @staticmethod
    def _constant(of: Executable, binding: Binding) -> Constant | None:
        """Return what an argument is bound to, if it is a constant."""
        if isinstance(binding, Constant):
            return binding
        return of.function.constants.get(binding)


def _accesses(body: Body) -> dict[str, list[Step]]:
    """Return the operations of a block that read or change each state, in order."""
    found: dict[str, list[Step]] = {}
    for step in body.steps:
        if step.kind in ACCESSES:
            found.setdefault(str(step.arguments["input"][0]), []).append(step)
    return found


def _makers(body: Body) -> dict[str, Step]:
    """Return the operation that makes each value."""
    return {name: step for step in steps(body) for name in step.outputs}


def _same(one: Constant, its: Executable, other: Constant, others: Executable) -> bool:
    """Return whether two constants are equal."""
    first, second = one.read(its.blobs), other.read(others.blobs)
    if isinstance(first, torch.Tensor) and isinstance(second, torch.Tensor):
        return first.shape == second.shape and bool(
            ((first == second) | ((first != first) & (second != second))).all()
        )
    return bool(first == second)


def _brief(value: Any) -> str:
    """Return a constant for a message: its numbers, or its shape where they are many."""
    if not isinstance(value, torch.Tensor):
        return str(value)
    return str(value.tolist()) if value.numel() <= 8 else f"a tensor of shape {list(value.shape)}"


class _Forms:
    """The compressed forms of a program."""

    def __init__(self, small: Executable) -> None:
        """Find the steps that compute weights."""
        self._small = small
        self._steps: Mapping[str, Step] = {
            name: step
            for step in steps(small.function.body)
            if step.kind.startswith(PREFIX)
            for name in step.outputs
        }

    def evaluate(self, name: str, original: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return a weight, and how far each of its numbers may be from the original."""
        step = self._steps.get(name)
        if step is None:
            raise Changed(f"`{name}` stands in the place of a weight")
        if step.kind == "constexpr_sparse_to_dense":
            return self._sparse(step, original)
        return self._value(name), self._distance(step, original)

    def _distance(self, step: Step, original: torch.Tensor) -> torch.Tensor:
        """Return how far numbers of a dense form may be from the original."""
        if step.kind == "constexpr_cast":
            return torch.zeros_like(original)
        if step.kind == "constexpr_affine_dequantize":
            scale = self._argument(step, "scale")
            axis = int(self._argument(step, "axis")) % original.dim()
            if scale.dim():
                scale = scale.reshape(-1, *([1] * (original.dim() - axis - 1)))
            return (scale.abs() * STEPS).expand(original.shape)
        if step.kind in (
            "constexpr_blockwise_shift_scale",
            "constexpr_sparse_blockwise_shift_scale",
        ):
            return blocks(self._argument(step, "scale").abs(), original) * STEPS
        table = self._argument(step, "lut")
        own = self._steps.get(str(step.arguments["lut"][0]))
        coarse = 0.0
        if own is not None:
            # A table whose numbers are quantized themselves.
            coarse = float(self._distance(own, table).max())
        return _nearest(table, original) + coarse

    def _sparse(self, step: Step, original: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return a pruned weight, and how far it may be from the original."""
        value = self._value(step.outputs[0])
        inner = self._steps.get(str(step.arguments["nonzero_data"][0]))
        allowed = (
            torch.zeros_like(original) if inner is None else self._distance(inner, original).clone()
        )
        kept = value != 0
        if inner is not None:
            name = "indices_mask" if "indices_mask" in inner.arguments else "data_mask"
            kept = self._argument(inner, name) != 0
        # What was left out is smaller than all that was kept, in the original.
        smallest = original[kept].abs().min() if bool(kept.any()) else torch.tensor(0.0)
        return value, torch.where(kept, allowed, smallest)

    def _argument(self, step: Step, name: str) -> torch.Tensor:
        """Return what a step gets."""
        (binding,) = step.arguments[name]
        if isinstance(binding, str) and binding in self._steps:
            return self._value(binding)
        constant = binding if isinstance(binding, Constant) else None
        constant = constant or self._small.function.constants[str(binding)]
        found = constant.read(self._small.blobs)
        assert isinstance(found, torch.Tensor)
        return found

    def _value(self, name: str) -> torch.Tensor:
        """Return what a step computes."""
        return self._small.alone(self._steps[name], self._value)[name]


def _nearest(table: torch.Tensor, original: torch.Tensor) -> torch.Tensor:
    """Return the distance of each number to the nearest one of its table.

    Parameters: `table` — one row of numbers before iOS 18; a table for each block since then.
    """
    if table.dim() == 1:
        table = table.reshape([1] * original.dim() + [-1, 1])
    if table.shape[-1] != 1:
        raise Changed("a table of vectors, which no key of the manifest asks for,")
    *counts, entries, _ = table.shape
    rows = table.reshape(-1, entries).sort(-1).values
    number = blocks(torch.arange(rows.shape[0]).reshape(counts), original)
    found = torch.empty_like(original)
    for row, numbers in enumerate(rows):
        mask = number == row
        part = original[mask].contiguous()
        place = torch.searchsorted(numbers, part).clamp(1, entries - 1)
        distance = torch.minimum((part - numbers[place - 1]).abs(), (part - numbers[place]).abs())
        found[mask] = distance + TABLE * (numbers[-1] - numbers[0])
    return found
