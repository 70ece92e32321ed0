"""Pooling that MIL has not: with places, to a given size, in fractions, undone.

Owns: `max_pool*_with_indices`, `adaptive_*_pool*`, `fractional_max_pool*`, `max_unpool*`, and
`avg_pool*` with divisors of its own.
Must not: pool where MIL does it by itself: a plain pool is coremltools' translation.

A pool is a list of windows; where they are not alike, their elements are gathered by a table of
places, one row for each window.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

import torch

from coreml_driver.translations.arguments import Arguments
from coreml_driver.translations.composition import Composite, composite, is_known, untraced
from coreml_driver.translations.refusals import CannotExpress
from coreml_driver.translations.registry import ORIGINAL, translation

#: Places along one axis that each window has.
Windows = list[list[int]]


def _each(value: Any, count: int) -> list[int]:
    """Return a number for each axis."""
    values = [value] if isinstance(value, int) else list(value)
    return values * count if len(values) == 1 else values


def _outputs(size: int, kernel: int, stride: int, pad: int, dilation: int, ceil: bool) -> int:
    """Return how many windows an axis has."""
    free = size + 2 * pad - dilation * (kernel - 1) - 1
    count = (free + (stride - 1 if ceil else 0)) // stride + 1
    # A window that begins in the padding behind does not count.
    return count - 1 if ceil and (count - 1) * stride >= size + pad else count


def _regular(size: int, kernel: int, stride: int, pad: int, dilation: int, ceil: bool) -> Windows:
    """Return the windows of a pool, without what is padding."""
    count = _outputs(size, kernel, stride, pad, dilation, ceil)
    starts = [window * stride - pad for window in range(count)]
    return [
        [place for place in range(start, start + kernel * dilation, dilation) if 0 <= place < size]
        for start in starts
    ]


def _adaptive(size: int, count: int) -> Windows:
    """Return windows that divide an axis."""
    return [
        list(range(window * size // count, -(-(window + 1) * size // count)))
        for window in range(count)
    ]


def _table(windows: Sequence[Windows], sizes: Sequence[int]) -> torch.Tensor:
    """Return the flat places of each window; a short one repeats its first place."""
    rows = []
    for window in itertools.product(*windows):
        places = []
        for place in itertools.product(*window):
            flat = 0
            for one, size in zip(place, sizes, strict=True):
                flat = flat * size + one
            places.append(flat)
        rows.append(places)
    longest = max(map(len, rows))
    return torch.tensor([row + [row[0]] * (longest - len(row)) for row in rows])


def _gathered(x: torch.Tensor, windows: Sequence[Windows]) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the elements of each window, and their places.

    Returns: planes × windows × elements, windows × elements.
    """
    axes = len(windows)
    sizes = list(x.shape[-axes:])
    with untraced():
        table = _table(windows, sizes)
        flat = table.reshape(-1)
    planes = x.reshape(-1, math.prod(sizes))
    return torch.index_select(planes, 1, flat).reshape(-1, *table.shape), table


def _shaped(found: torch.Tensor, x: torch.Tensor, windows: Sequence[Windows]) -> torch.Tensor:
    """Return one number for each window in the shape of a pool's result."""
    return found.reshape(*x.shape[: -len(windows)], *map(len, windows))


def _largest(
    x: torch.Tensor, windows: Sequence[Windows], values: torch.Tensor | None = None
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the largest element of each window, and its place.

    Parameters: `values` — the largest elements, where MIL has found them: what nobody reads of the
    other way is left out of the program.
    """
    elements, table = _gathered(x, windows)
    best = elements.argmax(-1, keepdim=True)
    places = torch.gather(table.expand(elements.shape), 2, best)
    if values is None:
        values = _shaped(elements.amax(-1), x, windows)
    return values, _shaped(places.squeeze(-1), x, windows)


def _max_pool(
    self: torch.Tensor,
    kernel_size: Any,
    stride: Any = (),
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    axes: int = 2,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the largest element of each window, and its place."""
    kernel = _each(kernel_size, axes)
    stride = _each(stride, axes) if stride not in ((), [], None) else kernel
    padding, dilation = _each(padding, axes), _each(dilation, axes)
    windows = [
        _regular(size, *numbers, ceil_mode)
        for size, *numbers in zip(
            self.shape[-axes:], kernel, stride, padding, dilation, strict=True
        )
    ]
    values = None
    if self.ndim == axes + 2 and dilation == [1] * axes:
        pool = (torch.max_pool1d, torch.max_pool2d, torch.max_pool3d)[axes - 1]
        values = pool(self, kernel, stride, padding, dilation, ceil_mode)
    return _largest(self, windows, values)


def _declare_max_pool(axes: int) -> None:
    """Declare the pool with places of a number of axes."""

    def pool(
        self: torch.Tensor,
        kernel_size: Any,
        stride: Any = (),
        padding: Any = 0,
        dilation: Any = 1,
        ceil_mode: bool = False,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        return _max_pool(self, kernel_size, stride, padding, dilation, ceil_mode, axes)

    name = f"max_pool{axes}d_with_indices"
    composite(name, replaces=True, why="the places are left out")(pool)

    def values(self: torch.Tensor, **arguments: Any) -> torch.Tensor:
        found, _ = pool(self, **arguments)
        return found

    original = ORIGINAL[f"max_pool{axes}d"]
    kind = f"max_pool{axes}d"

    @translation(kind, why="dilation is refused, and a batch that is left out", replaces=True)
    def _translate(context: Any, node: Any) -> None:
        arguments = Arguments(context, node)
        plain = arguments["self"].rank == axes + 2
        if plain and set(arguments.integers("dilation")) <= {1}:
            for name in arguments.names:
                arguments[name]
            original(context, node)
        else:
            Composite(values)(context, node)


for _axes in (1, 2, 3):
    _declare_max_pool(_axes)


def _averages(x: torch.Tensor, windows: Sequence[Windows]) -> torch.Tensor:
    """Return the mean of each window, axis by axis, as products with matrices of shares."""
    axes = len(windows)
    for number, along in enumerate(windows):
        axis = x.ndim - axes + number
        with untraced():
            shares = torch.zeros(x.shape[axis], len(along))
            for window, places in enumerate(along):
                shares[places, window] = 1 / len(places)
        x = (x.transpose(axis, -1) @ shares).transpose(axis, -1)
    return x


def _declare_adaptive(axes: int) -> None:
    """Declare the pools to a given size of a number of axes."""

    def windows_of(x: torch.Tensor, output_size: Any) -> list[Windows]:
        given = _each(output_size, axes)
        sizes = x.shape[-axes:]
        wanted = [size if one is None else one for one, size in zip(given, sizes, strict=True)]
        return [_adaptive(size, one) for size, one in zip(sizes, wanted, strict=True)]

    def average(self: torch.Tensor, output_size: Any) -> torch.Tensor:
        return _averages(self, windows_of(self, output_size))

    def largest(self: torch.Tensor, output_size: Any) -> tuple[torch.Tensor, torch.Tensor]:
        return _largest(self, windows_of(self, output_size))

    why = "sizes that do not divide are refused"
    composite(f"adaptive_max_pool{axes}d", why=why, replaces=True)(largest)
    kinds = (f"adaptive_avg_pool{axes}d", f"_adaptive_avg_pool{axes}d")

    @translation(*kinds, why=why, replaces=True)
    def _translate(context: Any, node: Any) -> None:
        arguments = Arguments(context, node)
        size = arguments.constant("output_size")
        original = ORIGINAL.get(kinds[0])
        if original is not None and set(_each(size, axes)) == {1}:
            original(context, node)
        else:
            Composite(average)(context, node)


for _axes in (1, 2, 3):
    _declare_adaptive(_axes)


def _declare_average(axes: int) -> None:
    """Declare the pool of means of a number of axes."""
    pool = (
        torch.nn.functional.avg_pool1d,
        torch.nn.functional.avg_pool2d,
        torch.nn.functional.avg_pool3d,
    )[axes - 1]

    def average(
        self: torch.Tensor,
        kernel_size: Any,
        stride: Any = (),
        padding: Any = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
        divisor_override: int | None = None,
    ) -> torch.Tensor:
        """Sums of windows of a padded tensor, divided by what each window counts."""
        kernel = _each(kernel_size, axes)
        steps = _each(stride, axes) if stride not in ((), [], None) else kernel
        pads = _each(padding, axes)
        sizes = self.shape[-axes:]
        behind, divisors = [], []
        for size, one, step, pad in zip(sizes, kernel, steps, pads, strict=True):
            count = _outputs(size, one, step, pad, 1, ceil_mode)
            behind.append(max((count - 1) * step + one - size - pad, 0))
            starts = [window * step - pad for window in range(count)]
            ends = [min(start + one, size + pad) for start in starts]
            counts = [end - start for start, end in zip(starts, ends, strict=True)]
            if not count_include_pad:
                counts = [
                    min(end, size) - max(start, 0) for start, end in zip(starts, ends, strict=True)
                ]
            divisors.append(counts)
        around = [
            number for pair in zip(reversed(pads), reversed(behind), strict=True) for number in pair
        ]
        padded = torch.nn.functional.pad(self, around) if any(around) else self
        batched = padded if padded.ndim == axes + 2 else padded.unsqueeze(0)
        means = pool(batched, kernel, steps)
        counts = [len(one) for one in divisors]
        for axis, count in enumerate(counts):
            # The padding behind may have room for one more window.
            if means.shape[2 + axis] != count:
                means = means.narrow(2 + axis, 0, count)
        means = means if padded.ndim == axes + 2 else means.squeeze(0)
        with untraced():
            factor = torch.tensor(float(math.prod(kernel)))
            for axis, one in enumerate(divisors):
                shape = [1] * axes
                shape[axis] = len(one)
                share = torch.tensor(one, dtype=torch.float32).reshape(shape)
                factor = factor / share if divisor_override is None else factor
            if divisor_override is not None:
                factor = factor / divisor_override
        return means * factor

    original = ORIGINAL[f"avg_pool{axes}d"]
    kind = f"avg_pool{axes}d"

    @translation(
        kind,
        why="`divisor_override` is refused; with `ceil_mode` and padding the divisors differ",
        replaces=True,
    )
    def _translate(context: Any, node: Any) -> None:
        arguments = Arguments(context, node)
        plain = (
            arguments["self"].rank == axes + 2
            and not arguments.constant("ceil_mode")
            and (
                "divisor_override" not in arguments
                or arguments.constant("divisor_override") is None
            )
            and (arguments.constant("count_include_pad") or not any(arguments.integers("padding")))
        )
        if plain:
            for name in arguments.names:
                arguments[name]
            original(context, node)
        else:
            Composite(average)(context, node)


for _axes in (1, 2, 3):
    _declare_average(_axes)


def _fractions(sample: float, size: int, count: int, kernel: int) -> Windows:
    """Return the windows of a pool in fractions, as PyTorch places them by a random number."""
    starts = []
    if count > 1:
        step = (size - kernel) / (count - 1)
        starts = [int((window + sample) * step) - int(sample * step) for window in range(count - 1)]
    starts.append(size - kernel)
    return [list(range(start, start + kernel)) for start in starts]


def _fractional(
    self: torch.Tensor, kernel_size: Any, output_size: Any, random_samples: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Pool in fractions: each plane has windows of its own."""
    axes = random_samples.shape[-1]
    kernel, count = _each(kernel_size, axes), _each(output_size, axes)
    sizes = list(self.shape[-axes:])
    # Where the steps are whole numbers, the random one changes nothing.
    decided = all(
        one == 1 or (size - window) % (one - 1) == 0
        for size, window, one in zip(sizes, kernel, count, strict=True)
    )
    if not decided and not is_known(random_samples):
        raise CannotExpress(
            "the windows of a fractional pool are drawn at random",
            "Pass `_random_samples` as a constant.",
        )
    batched = self if self.ndim == axes + 2 else self.unsqueeze(0)
    planes = batched.reshape(-1, math.prod(sizes))
    with untraced():
        tables = []
        drawn = torch.zeros(random_samples.shape) if decided else random_samples
        for sample in drawn.reshape(-1, axes).tolist():
            # PyTorch keeps the numbers for width, height and depth in this order.
            order = list(reversed(sample)) if axes == 2 else sample
            windows = [
                _fractions(*numbers) for numbers in zip(order, sizes, count, kernel, strict=True)
            ]
            tables.append(_table(windows, sizes))
        table = torch.stack(tables)
        flat = table.reshape(planes.shape[0], -1)
    elements = torch.gather(planes, 1, flat).reshape(table.shape)
    best = elements.argmax(-1, keepdim=True)
    places = torch.gather(table, 2, best).squeeze(-1)
    shape = [*self.shape[:-axes], *count]
    return elements.amax(-1).reshape(shape), places.reshape(shape)


composite("fractional_max_pool2d", "fractional_max_pool3d")(_fractional)


def _unpooled(self: torch.Tensor, indices: torch.Tensor, sizes: Sequence[int]) -> torch.Tensor:
    """Put elements back to where they were, with zeros between them."""
    axes = len(sizes)
    area = math.prod(sizes)
    planes = math.prod(self.shape[:-axes])
    with untraced():
        starts = (torch.arange(planes) * area).unsqueeze(1)
        zeros = torch.zeros(planes * area)
    places = (indices.reshape(planes, -1).long() + starts).reshape(-1)
    found = torch.index_copy(zeros, 0, places, self.reshape(-1))
    return found.reshape(*self.shape[:-axes], *sizes)


@composite("max_unpool2d")
def _max_unpool2d(
    self: torch.Tensor, indices: torch.Tensor, output_size: list[int]
) -> torch.Tensor:
    """A pool of two axes undone."""
    return _unpooled(self, indices, output_size)


@composite("max_unpool3d")
def _max_unpool3d(
    self: torch.Tensor,
    indices: torch.Tensor,
    output_size: list[int],
    stride: Any = None,
    padding: Any = None,
) -> torch.Tensor:
    """A pool of three axes undone."""
    return _unpooled(self, indices, output_size)
