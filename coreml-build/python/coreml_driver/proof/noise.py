"""How far PyTorch's own results move when every operation rounds a little differently.

Owns: the perturbed runs.
Must not: judge.
Flow: `prove` meets a difference that single precision may explain -> `measure` -> `compare`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map

from coreml_driver.proof.compare import Noise

#: Relative size of a rounding in single precision.
SINGLE = 2.0**-23
#: The same of each type that a module may compute in.
UNITS = {torch.float32: SINGLE, torch.float16: 2.0**-10, torch.bfloat16: 2.0**-7}
#: Operations of linear algebra, whose algorithms are exact for a matrix that is a rounding away.
OF_MATRICES = re.compile(r"aten::(_?linalg_|inverse|.*cholesky|.*lu_|.*triangular|_?(log)?det)")
#: How many perturbed runs are made.
RUNS = 3

#: Runs the module once from the same start; returns outputs and final states.
Run = Callable[[], Sequence[torch.Tensor]]


class Unstable(Exception):
    """How many results there are changes with the last bit, as that of boxes above a threshold."""


class _Perturbed(TorchDispatchMode):
    """Moves every floating-point result by a random share of a rounding."""

    def __init__(self, unit: float, seed: int) -> None:
        """Parameters: `unit` — relative size of a rounding."""
        super().__init__()
        self._unit = unit
        self._random = torch.Generator().manual_seed(seed)

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        """Run one operation and move its result, unless that is a view or a tensor written to."""
        if OF_MATRICES.match(func._schema.name):
            args = tree_map(self._moved, args)
        result = func(*args, **(kwargs or {}))
        if any(one.alias_info is not None for one in func._schema.returns):
            return result
        return tree_map(self._moved, result)

    def _moved(self, value: Any) -> Any:
        """Return a result, moved."""
        if not isinstance(value, torch.Tensor) or value.dtype not in UNITS:
            return value
        shift = torch.rand(value.shape, generator=self._random) * 2 - 1
        unit = max(self._unit, UNITS[value.dtype])
        return (value.to(torch.float32) * (1 + unit * shift)).to(value.dtype)


class _Exact(TorchDispatchMode):
    """Computes every operation in double precision and rounds its results: some of PyTorch's own
    kernels lose digits, as the vectorised one of `elu`, which subtracts 1 from an exponential.
    """

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        """Run one operation, in double precision unless that changes more than its rounding."""
        result = func(*args, **(kwargs or {}))
        aliased = any(one.alias_info is not None for one in func._schema.returns)
        if aliased or func._schema.is_mutable or torch.Tag.nondeterministic_seeded in func.tags:
            return result
        wide_args, wide_kwargs = tree_map(_widened, (args, kwargs or {}))
        try:
            exact = func(*wide_args, **wide_kwargs)
        except Exception:  # a kernel that has no double precision
            return result
        return tree_map(_like, result, exact)


def _widened(value: Any) -> Any:
    """Return a tensor in double precision."""
    single = isinstance(value, torch.Tensor) and value.dtype is torch.float32
    return value.double() if single else value


def _like(result: Any, exact: Any) -> Any:
    """Return an exact result in the type of the other one, `result` for all but floats."""
    floats = isinstance(result, torch.Tensor) and result.dtype is torch.float32
    return exact.to(result.dtype) if floats else result


def measure(
    run: Run, expected: Sequence[torch.Tensor], unit: float = SINGLE, runs: int = RUNS
) -> list[Noise]:
    """Return the noise of each result.

    Parameters: `run` — of the module that gave `expected`.
    Errors: `Unstable`.
    """
    low = [one.clone() for one in expected]
    high = [one.clone() for one in expected]
    spread = [torch.zeros(one.shape, dtype=torch.float64) for one in expected]
    for mode in [_Exact(), *(_Perturbed(unit, seed) for seed in range(runs))]:
        with mode:
            results = run()
        for position, one in enumerate(results):
            if one.shape != expected[position].shape:
                raise Unstable
            distance = (one.to(torch.float64) - expected[position].to(torch.float64)).abs()
            distance = distance.nan_to_num(nan=float("inf"))
            # Equal infinities are no distance, and two that are no number neither.
            same = (one == expected[position]) | (one.isnan() & expected[position].isnan())
            distance = torch.where(same, 0.0, distance)
            spread[position] = torch.maximum(spread[position], distance)
            low[position] = torch.minimum(low[position], one)
            high[position] = torch.maximum(high[position], one)
    return [Noise(*parts) for parts in zip(spread, low, high, strict=True)]


def joined(one: Sequence[Noise], other: Sequence[Noise]) -> list[Noise]:
    """Return the noise of the runs of two measurements."""
    return [
        Noise(
            torch.maximum(first.spread, second.spread),
            torch.minimum(first.low, second.low),
            torch.maximum(first.high, second.high),
        )
        for first, second in zip(one, other, strict=True)
    ]
