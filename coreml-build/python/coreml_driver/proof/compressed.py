"""Compressed weights: each is near its original.

Owns: finding what a weight was made of, and how far it may be from that.
Must not: compare results; what compression costs is the user's choice, not a fault.
Flow: `prove` has proved the uncompressed program -> `check` -> the compressed program is compared
with PyTorch, with the originals in the place of its weights, and executed once as it is.

A quantized weight is at most one step of its scale away, a palettized one has the nearest number of
its table, and what pruning made zero is not larger than what it left.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch

from coreml_driver.proof.compare import shown
from coreml_driver.proof.execute import Executable
from coreml_driver.proof.kernels.constexpr import blocks
from coreml_driver.proof.reading import Step, needed, steps
from coreml_driver.proof.values import Constant

#: What begins the names of operations that hold a compressed weight.
PREFIX = "constexpr_"
#: How much of a step of a scale a weight may be away: half a step, but for what is cut off at the
#: ends, and for scales that are rounded to half precision.
STEPS = 1.01
#: Share of a table's range by which the chosen number may be further away than the nearest one:
#: coremltools chooses in half precision.
TABLE = 2.0**-8
#: How many numbers of a weight are compared to find the constant that it was made of.
PROBED = 256


class Changed(Exception):
    """Compression has changed more than weights; the text says what."""


def check(plain: Executable, small: Executable) -> dict[str, Constant]:
    """Compare the compressed weights of a program with those of the one that it was made of.

    Returns: what each weight was made of, by the name of the value that is computed from the
    compressed form.
    Errors: `Changed`; `Unproved` for a form that cannot be evaluated.
    """
    candidates: dict[tuple[int, ...], list[Constant]] = {}
    for constant in plain.function.constants.values():
        value = constant.read(plain.blobs)
        if isinstance(value, torch.Tensor) and value.is_floating_point():
            candidates.setdefault(tuple(value.shape), []).append(constant)
    forms = _Forms(small)
    made_of: dict[str, Constant] = {}
    for name in forms.weights():
        found = forms.value(name)
        known = candidates.get(tuple(found.shape))
        if known is None:
            raise Changed(f"the weight `{name}` of shape {list(found.shape)} was not there before")
        made_of[name] = _nearest_constant(found, known, plain)
        original = made_of[name].read(plain.blobs).to(torch.float32)
        beyond = (found - original).abs() - forms.allowed(name, original)
        worst = int(beyond.argmax())
        if float(beyond.reshape(-1)[worst]) > 0:
            one, other = original.reshape(-1)[worst], found.reshape(-1)[worst]
            raise Changed(
                f"the weight `{name}` has {shown(float(other))} where its original has "
                f"{shown(float(one))}"
            )
    return made_of


def _nearest_constant(
    found: torch.Tensor, candidates: Sequence[Constant], plain: Executable
) -> Constant:
    """Return the constant that a weight was made of: the one that is nearest to it in some of its
    numbers. A program that has two weights in the place of each other shows it when it runs.
    """
    if len(candidates) == 1:
        return candidates[0]
    step = max(1, found.numel() // PROBED)
    probe = found.reshape(-1)[::step]

    def distance(constant: Constant) -> float:
        """Return how far a constant is from the weight."""
        other = constant.read(plain.blobs).reshape(-1)[::step]
        return float((other.to(torch.float32) - probe).abs().mean())

    return min(candidates, key=distance)


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

    def weights(self) -> list[str]:
        """Return the values that are computed from compressed forms and used by the program."""
        used: dict[str, None] = {}
        body = self._small.function.body
        for step in (None, *steps(body)):
            if step is None or not step.kind.startswith(PREFIX):
                names = body.outputs if step is None else needed(step)
                used |= {name: None for name in names if name in self._steps}
        return list(used)

    def allowed(self, name: str, original: torch.Tensor) -> torch.Tensor:
        """Return how far each number of a weight may be from the original."""
        step = self._steps[name]
        if step.kind == "constexpr_sparse_to_dense":
            return self._sparse(step, original)
        return self._distance(step, original)

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

    def _sparse(self, step: Step, original: torch.Tensor) -> torch.Tensor:
        """Return how far the numbers of a pruned weight may be from the original."""
        value = self.value(step.outputs[0])
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
        return torch.where(kept, allowed, smallest)

    def _argument(self, step: Step, name: str) -> torch.Tensor:
        """Return what a step gets."""
        (binding,) = step.arguments[name]
        if isinstance(binding, str) and binding in self._steps:
            return self.value(binding)
        constant = binding if isinstance(binding, Constant) else None
        constant = constant or self._small.function.constants[str(binding)]
        found = constant.read(self._small.blobs)
        assert isinstance(found, torch.Tensor)
        return found

    def value(self, name: str) -> torch.Tensor:
        """Return what a step computes."""
        return self._small.alone(self._steps[name], self.value)[name]


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
