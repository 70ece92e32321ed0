"""Views by strides, windows, diagonals, and writes to them.

Owns: `as_strided`, `unfold`, `diagonal_scatter` and their kin.
Must not: read places that only a run knows (that is `indexing`).

What a view shows is found once, by taking it of the numbers of all elements; the program reads or
writes those places.
"""

from __future__ import annotations

import itertools
import math
from typing import Any

import torch

from coreml_driver.translations.arguments import Arguments, TensorType
from coreml_driver.translations.composition import Composite, composite, is_known, untraced
from coreml_driver.translations.refusals import CannotExpress
from coreml_driver.translations.registry import MISSING, translation

#: Views that may begin later than what they are taken of.
PARTS = frozenset(
    "slice select narrow split split_with_sizes chunk tensor_split unbind unsafe_split "
    "unsafe_chunk as_strided diagonal unfold listunpack getitem hsplit vsplit dsplit real "
    "imag".split()
)
#: Views that begin where it does.
ALIASES = frozenset(
    "view reshape view_as reshape_as flatten unflatten ravel squeeze unsqueeze expand expand_as "
    "permute transpose t alias detach contiguous movedim moveaxis swapaxes swapdims".split()
)


def _places_of(shape: Any, view: Any) -> torch.Tensor:
    """Return the flat places that a view of a tensor shows."""
    with untraced():
        numbers = torch.arange(math.prod(shape), dtype=torch.int64).reshape(list(shape))
        return view(numbers)


def _written(self: torch.Tensor, places: torch.Tensor, src: torch.Tensor) -> torch.Tensor:
    """Write to constant places of the flat tensor."""
    with untraced():
        flat_places = places.reshape(-1).contiguous()
    # coremltools cannot expand a single number to no axes.
    values = src if src.shape == places.shape else src.expand(places.shape)
    values = values.reshape(-1).to(self.dtype)
    return torch.index_copy(self.reshape(-1), 0, flat_places, values).reshape(self.shape)


@composite("diagonal_scatter")
def _diagonal_scatter(
    self: torch.Tensor, src: torch.Tensor, offset: int = 0, dim1: int = 0, dim2: int = 1
) -> torch.Tensor:
    """A diagonal replaced."""
    places = _places_of(self.shape, lambda x: torch.diagonal(x, offset, dim1, dim2))
    return _written(self, places, src)


@composite("select_scatter", replaces=True, why="negative axes")
def _select_scatter(self: torch.Tensor, src: torch.Tensor, dim: int, index: int) -> torch.Tensor:
    """A slice replaced."""
    places = _places_of(self.shape, lambda x: x.select(dim, index))
    return _written(self, places, src)


@composite("as_strided_scatter")
def _as_strided_scatter(
    self: torch.Tensor,
    src: torch.Tensor,
    size: list[int],
    stride: list[int],
    storage_offset: int | None = None,
) -> torch.Tensor:
    """Elements replaced that a view by strides shows."""
    places = _places_of(self.shape, lambda x: x.as_strided(size, stride, storage_offset or 0))
    return _written(self, places, src)


def _strided(x: torch.Tensor, size: list[int], stride: list[int], offset: int) -> torch.Tensor:
    """Return the elements that a view by strides shows."""
    last = offset + sum((count - 1) * step for count, step in zip(size, stride, strict=True))
    if last >= x.numel():
        raise CannotExpress(
            "`as_strided` shows elements that its tensor has not",
            "Take the view of the whole tensor.",
        )
    places = _places_of(x.shape, lambda one: one.as_strided(size, stride, offset))
    with untraced():
        flat = places.reshape(-1).contiguous()
    return torch.index_select(x.reshape(-1), 0, flat).reshape(size)


@translation("as_strided", "as_strided_copy", why=MISSING)
def _as_strided(context: Any, node: Any) -> None:
    """A view by strides, of a tensor whose elements lie in a row."""
    arguments = Arguments(context, node)
    found = arguments.signature.arguments.get("self")
    if found is not None and found.contiguous is False:
        raise CannotExpress(
            "`as_strided` of a view depends on how PyTorch stores it",
            "Take it of a tensor that is contiguous: `x.contiguous().as_strided(…)`.",
        )
    if arguments.constant("storage_offset") is not None and _begins_later(node, found):
        raise CannotExpress(
            "`storage_offset` counts from where a larger tensor begins",
            "Take the view of the whole tensor.",
        )
    Composite(_as_strided_of)(context, node)


def _begins_later(node: Any, found: TensorType | None) -> bool:
    """Return whether the tensor of a node may begin in the middle of another one."""
    if node.parent is None:
        return found is None or found.offset != 0
    makers = {output: one for one in node.parent.nodes for output in one.outputs}
    maker = makers.get(node.inputs[0])
    while maker is not None:
        kind = maker.kind.removesuffix("_")
        if kind in PARTS:
            return True
        maker = makers.get(maker.inputs[0]) if kind in ALIASES else None
    return False


def _as_strided_of(
    self: torch.Tensor, size: list[int], stride: list[int], storage_offset: int | None = None
) -> torch.Tensor:
    """The elements that a view by strides shows."""
    return _strided(self, size, stride, storage_offset or 0)


@composite("unfold", "unfold_copy")
def _unfold(self: torch.Tensor, dimension: int, size: int, step: int) -> torch.Tensor:
    """Windows along an axis, which become a last axis."""
    if not self.ndim:
        return self.reshape(1)[:size]
    axis = dimension % self.ndim
    count = (self.shape[axis] - size) // step + 1
    with untraced():
        places = torch.arange(count).unsqueeze(1) * step + torch.arange(size)
        places = places.reshape(-1)
    shape = list(self.shape)
    shape[axis : axis + 1] = [count, size]
    return torch.index_select(self, axis, places).reshape(shape).movedim(axis + 1, -1)


@composite("combinations")
def _combinations(self: torch.Tensor, r: int = 2, with_replacement: bool = False) -> torch.Tensor:
    """All combinations of elements."""
    with untraced():
        places = torch.combinations(torch.arange(self.shape[0]), r, with_replacement)
        flat = places.reshape(-1)
    return torch.index_select(self, 0, flat).reshape(places.shape)


@composite("tensor_split")
def _tensor_split(
    self: torch.Tensor,
    sections: int | None = None,
    dim: int = 0,
    indices: list[int] | None = None,
    tensor_indices_or_sections: torch.Tensor | None = None,
) -> list[torch.Tensor]:
    """Parts of an axis, between places or of nearly equal size."""
    count = self.shape[dim]
    if tensor_indices_or_sections is not None:
        if not is_known(tensor_indices_or_sections):
            raise CannotExpress(
                "the sizes of the parts depend on numbers that only a run knows",
                "Split at constant places.",
            )
        with untraced():
            found = tensor_indices_or_sections.tolist()
        sections, indices = (None, found) if isinstance(found, list) else (found, None)
    if indices is None:
        indices = [
            part * (count // sections) + min(part, count % sections) for part in range(1, sections)
        ]
    places = [0, *(slice(one).indices(count)[1] for one in indices), count]
    sizes = [max(end - begin, 0) for begin, end in itertools.pairwise(places)]
    if not all(sizes):
        raise CannotExpress("it gives an empty tensor", "Leave it out: Core ML has none.")
    return [self.narrow(dim, begin, size) for begin, size in zip(places, sizes, strict=False)]
