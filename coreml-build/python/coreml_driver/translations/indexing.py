"""Reading and writing at places that are tensors.

Owns: `index_add` and its kin, `scatter_reduce`, `put`, `take`, `masked_scatter`, `nonzero_static`.
Must not: know `index` and `index_put` of coremltools, which work.

Along one axis MIL writes by itself (`_along_axis`); every other write becomes one to a flat tensor.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from coremltools.converters.mil import Builder as mb
from coremltools.converters.mil.mil import types

from coreml_driver.translations.arguments import Arguments
from coreml_driver.translations.composition import Composite, composite, untraced
from coreml_driver.translations.promotion import cast, number, type_of
from coreml_driver.translations.refusals import CannotExpress
from coreml_driver.translations.registry import MISSING, translation

#: MIL's words for what a write does, by PyTorch's.
MODES = {"sum": "add", "prod": "mul", "amax": "max", "amin": "min"}
#: What a write begins with where the old value does not count.
NEUTRAL = {"sum": 0.0, "mean": 0.0, "prod": 1.0, "amax": -math.inf, "amin": math.inf}


def _write(x: Any, axis: int, index: Any, source: Any, mode: str, name: str) -> Any:
    """Write slices of an axis, as MIL does."""
    kind = type_of(x)
    boolean = types.is_bool(x.dtype)
    data = cast(x, "int32") if boolean else x
    source = cast(source, "int32" if boolean else kind)
    flat = data if data.rank else mb.expand_dims(x=data, axes=[0])
    if not source.rank:
        source = mb.expand_dims(x=source, axes=[0])
    index = cast(index, "int32")
    index = index if index.rank else mb.expand_dims(x=index, axes=[0])
    found = mb.scatter(data=flat, indices=index, updates=source, axis=axis, mode=mode)
    found = found if data.rank else mb.squeeze(x=found, axes=[0])
    return cast(found, "bool" if boolean else None, name)


@translation("index_copy", why=MISSING)
def _index_copy(context: Any, node: Any) -> None:
    """Slices of an axis replaced."""
    arguments = Arguments(context, node)
    x = arguments["self"]
    axis = arguments.axis("dim", x.rank)
    found = _write(x, axis, arguments["index"], arguments["source"], "update", node.name)
    context.add(found, node.name)


@translation("index_add", why=MISSING)
def _index_add(context: Any, node: Any) -> None:
    """Slices of an axis added to."""
    arguments = Arguments(context, node)
    x, source = arguments["self"], arguments["source"]
    axis, alpha = arguments.axis("dim", x.rank), arguments.constant("alpha")
    if alpha != 1:
        source = mb.mul(x=source, y=number(source, alpha))
    found = _write(x, axis, arguments["index"], source, "add", node.name)
    context.add(found, node.name)


def _masked(self: torch.Tensor, dim: int, index: torch.Tensor, value: Any) -> torch.Tensor:
    """Return a tensor with slices of an axis set to a number."""
    shape = list(self.shape)
    if shape:
        shape[dim] = index.numel()
    source = torch.full(shape, value, dtype=self.dtype)
    return torch.index_copy(self, dim, index.reshape(-1), source)


@composite("index_fill")
def _index_fill(self: torch.Tensor, dim: int, index: torch.Tensor, value: Any) -> torch.Tensor:
    """Slices of an axis set to a number."""
    axis = dim % max(self.ndim, 1)
    count = self.shape[axis] if self.ndim else 1
    places = index.reshape(-1)
    with untraced():
        numbers = torch.arange(count)
    # A negative place counts from the end.
    places = torch.where(places < 0, places + count, places)
    hit = (places.unsqueeze(1) == numbers.to(places.dtype)).any(0)
    hit = hit.reshape([-1] + [1] * (self.ndim - 1 - axis)) if self.ndim else hit.reshape(())
    value = value if isinstance(value, torch.Tensor) else torch.tensor(value)
    return torch.where(hit, value.to(self.dtype), self)


@translation("index_reduce", why=MISSING)
def _index_reduce(context: Any, node: Any) -> None:
    """Slices of an axis multiplied, or compared, with others."""
    arguments = Arguments(context, node)
    reduce = arguments.constant("reduce")
    if reduce in MODES and arguments.constant("include_self"):
        x = arguments["self"]
        axis = arguments.axis("dim", x.rank)
        mode = MODES[reduce]
        found = _write(x, axis, arguments["index"], arguments["source"], mode, node.name)
        context.add(found, node.name)
        return
    _reduce_slices(context, node)


def _reduce_slices(context: Any, node: Any) -> None:
    """Translate a mean, or a reduction that leaves the old values out."""
    Composite(_index_reduce_without)(context, node)


def _index_reduce_without(
    self: torch.Tensor,
    dim: int,
    index: torch.Tensor,
    source: torch.Tensor,
    reduce: str,
    include_self: bool = True,
) -> torch.Tensor:
    """A reduction of slices, by those that MIL has."""
    start = self
    if not include_self:
        start = _masked(self, dim, index, NEUTRAL[reduce])
    if reduce == "mean":
        total = torch.index_add(start, dim, index, source)
        ones, zeros = torch.ones_like(source), torch.zeros_like(self)
        count = torch.index_add(zeros, dim, index, ones)
        count = count + 1 if include_self else torch.where(count == 0, 1, count)
        return _mean(total, count)
    if reduce == "sum":
        return torch.index_add(start, dim, index, source)
    return torch.index_reduce(start, dim, index, source, reduce)


def _mean(total: torch.Tensor, count: torch.Tensor) -> torch.Tensor:
    """Return a quotient, a whole one of integers."""
    if total.is_floating_point():
        return total / count
    return torch.div(total, count, rounding_mode="floor")


def _flat_places(self: torch.Tensor, dim: int, index: torch.Tensor) -> torch.Tensor:
    """Return where `index` of an axis points to in the flat tensor."""
    axis = dim % self.ndim
    strides = [math.prod(self.shape[number + 1 :]) for number in range(self.ndim)]
    with untraced():
        others = torch.zeros(list(index.shape), dtype=torch.int64)
        for number, stride in enumerate(strides):
            if number != axis:
                shape = [1] * self.ndim
                shape[number] = index.shape[number]
                steps = torch.arange(index.shape[number], dtype=torch.int64).reshape(shape)
                others = others + steps * stride
    return (index.long() * strides[axis] + others).reshape(-1)


def _part(source: torch.Tensor, index: torch.Tensor) -> torch.Tensor:
    """Return the part of a source that an index has places for."""
    for axis, size in enumerate(index.shape):
        if source.shape[axis] != size:
            source = source.narrow(axis, 0, size)
    return source


#: What a write of `scatter` is called in `scatter_reduce`.
OLD_NAMES = {"add": "sum", "multiply": "prod"}


def _scattered(
    self: torch.Tensor, dim: int, index: torch.Tensor, src: Any, reduce: str | None, include: bool
) -> torch.Tensor:
    """Write elements at places along an axis."""
    if not isinstance(src, torch.Tensor):
        src = torch.full(list(index.shape), src, dtype=self.dtype)
    if self.ndim == 0 or index.ndim == 0:
        one = _scattered(self.reshape(1), 0, index.reshape(1), src.reshape(1), reduce, include)
        return one.reshape(self.shape)
    src = src if src.dtype == self.dtype else src.to(self.dtype)
    places = _flat_places(self, dim, index)
    values = _part(src, index).reshape(-1)
    flat = self.reshape(-1)
    if reduce is None:
        found = torch.index_copy(flat, 0, places, values)
    else:
        found = _index_reduce_without(
            flat, 0, places, values, OLD_NAMES.get(reduce, reduce), include
        )
    return found.reshape(self.shape)


@composite("scatter_reduce")
def scatter(
    self: torch.Tensor,
    dim: int,
    index: torch.Tensor,
    src: Any = None,
    value: Any = None,
    reduce: str | None = None,
    include_self: bool = True,
) -> torch.Tensor:
    """Elements reduced at places along an axis."""
    return _scattered(self, dim, index, value if src is None else src, reduce, include_self)


@composite("put")
def _put(
    self: torch.Tensor, index: torch.Tensor, source: torch.Tensor, accumulate: bool = False
) -> torch.Tensor:
    """Elements written to places of the flat tensor."""
    count = self.numel()
    places = index.reshape(-1).long()
    places = torch.where(places < 0, places + count, places)
    values = source.reshape(-1)
    flat = self.reshape(-1)
    if accumulate:
        found = torch.index_add(flat, 0, places, values)
    else:
        found = torch.index_copy(flat, 0, places, values)
    return found.reshape(self.shape)


@composite("take")
def _take(self: torch.Tensor, index: torch.Tensor) -> torch.Tensor:
    """Elements from places of the flat tensor."""
    count = self.numel()
    places = index.reshape(-1).long()
    places = torch.where(places < 0, places + count, places)
    return torch.index_select(self.reshape(-1), 0, places).reshape(index.shape)


@composite("take_along_dim")
def _take_along_dim(
    self: torch.Tensor, indices: torch.Tensor, dim: int | None = None
) -> torch.Tensor:
    """Elements along an axis, with broadcasting."""
    if dim is None:
        return torch.index_select(self.reshape(-1), 0, indices.reshape(-1))
    axis = dim % self.ndim
    shape = [max(one, other) for one, other in zip(self.shape, indices.shape, strict=True)]
    shape[axis] = -1
    return torch.gather(self.expand(shape), axis, indices.expand(shape))


@composite("masked_scatter")
def _masked_scatter(self: torch.Tensor, mask: torch.Tensor, source: torch.Tensor) -> torch.Tensor:
    """The next element of a source wherever a mask is true."""
    x, mask = torch.broadcast_tensors(self, mask)
    flat = mask.reshape(-1)
    place = torch.cumsum(flat.long(), 0) - 1
    last = source.numel() - 1
    values = torch.index_select(source.reshape(-1), 0, place.clamp(0, last).long())
    return torch.where(flat, values, x.reshape(-1)).reshape(x.shape)


@composite("masked_select")
def _masked_select(self: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """The elements where a mask is true: as many as it has."""
    x, mask = torch.broadcast_tensors(self, mask)
    places = torch.nonzero(mask.reshape(-1)).squeeze(1)
    return torch.index_select(x.reshape(-1), 0, places)


@composite("argwhere")
def _argwhere(self: torch.Tensor) -> torch.Tensor:
    """The places of elements that are not zero."""
    return torch.nonzero(self)


@composite("nonzero_static")
def _nonzero_static(self: torch.Tensor, size: int, fill_value: int = -1) -> torch.Tensor:
    """The places of elements that are not zero, as many as wanted."""
    if not self.ndim:
        raise CannotExpress("the places of a single number are an empty tensor", "Leave it out.")
    count = self.numel()
    hit = self.reshape(-1) != 0
    with untraced():
        numbers = torch.arange(count, dtype=torch.int64)
        wanted = torch.arange(min(size, count), dtype=torch.int64)
    # Those that are zero come last.
    order, _ = torch.sort(torch.where(hit, numbers, numbers + count))
    flat = order[: min(size, count)]
    there = (wanted < hit.long().sum()).unsqueeze(1)
    columns, left = [], torch.where(flat >= count, 0, flat)
    for axis in range(self.ndim):
        stride = math.prod(self.shape[axis + 1 :])
        columns.append(torch.div(left, stride, rounding_mode="floor"))
        left = left - columns[-1] * stride
    found = torch.where(there, torch.stack(columns, 1), fill_value)
    missing = size - min(size, count)
    return (
        torch.nn.functional.pad(found, [0, 0, 0, missing], value=fill_value) if missing else found
    )


@composite("_unsafe_masked_index")
def _unsafe_masked_index(
    self: torch.Tensor, mask: torch.Tensor, indices: list[Any], fill: Any
) -> torch.Tensor:
    """Elements at places, and a number where a mask is false."""
    places = [
        None if one is None else one.clamp(0, self.shape[axis] - 1)
        for axis, one in enumerate(indices)
    ]
    return torch.where(mask, torch.ops.aten.index(self, places), fill)


@composite("_unsafe_masked_index_put_accumulate")
def _unsafe_masked_index_put(
    self: torch.Tensor, mask: torch.Tensor, indices: list[Any], values: torch.Tensor
) -> torch.Tensor:
    """Elements added at places where a mask is true."""
    places = []
    for axis, one in enumerate(indices):
        count = self.shape[axis]
        if one is not None:
            one = torch.where(one < 0, one + count, one).clamp(0, count - 1)
        places.append(one)
    values = torch.where(mask, values, 0)
    given = iter(torch.broadcast_tensors(*(one for one in places if one is not None)))
    places = [None if one is None else next(given) for one in places]
    return torch.ops.aten.index_put(self, places, values, True)
