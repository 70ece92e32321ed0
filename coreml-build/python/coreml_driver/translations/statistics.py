"""Statistics along axes: products, moments, extremes with their places, running products.

Owns: `prod`, `var_mean`, `nansum`, `count_nonzero`, `aminmax`, `cov`, `cumsum`, `cumprod`,
`cummax` and their kin.
Must not: sort (that is `ranks`).
"""

from __future__ import annotations

from typing import Any

import torch
from coremltools.converters.mil import Builder as mb

from coreml_driver.translations.approximation import floats
from coreml_driver.translations.arguments import Arguments
from coreml_driver.translations.composition import composite
from coreml_driver.translations.promotion import cast, whole
from coreml_driver.translations.registry import MISSING, translation


@translation("prod", why=MISSING)
def _prod(context: Any, node: Any) -> None:
    """The product of all elements, or of an axis."""
    arguments = Arguments(context, node)
    kind = arguments.element_type("dtype")
    x = whole(cast(arguments["self"], kind))
    axes = arguments.axes("dim", x.rank)
    keep = bool(arguments.constant("keepdim")) if "keepdim" in arguments else False
    if not x.rank:
        context.add(mb.identity(x=x, name=node.name), node.name)
        return
    context.add(mb.reduce_prod(x=x, axes=axes, keep_dims=keep, name=node.name), node.name)


@translation(
    "cumsum", why="an axis counted from the end, that is not the last, is refused", replaces=True
)
def _cumsum(context: Any, node: Any) -> None:
    """Running sums along an axis."""
    arguments = Arguments(context, node)
    x = whole(cast(arguments["self"], arguments.element_type("dtype")))
    axis = arguments.axis("dim", x.rank)
    sums = mb.cumsum(x=x, axis=axis, name=node.name) if x.rank else mb.identity(x=x, name=node.name)
    context.add(sums, node.name)


def _moments(self: torch.Tensor, arguments: dict[str, Any], root: bool) -> tuple[Any, Any]:
    """Return the variance or its root, and the mean."""
    spread = (torch.std if root else torch.var)(self, **arguments)
    given = {
        name: value
        for name, value in arguments.items()
        if name in ("dim", "keepdim") and value is not None
    }
    if "dim" not in given and given.get("keepdim"):
        given["dim"] = list(range(self.ndim))
    elif "dim" not in given:
        given = {}
    return spread, torch.mean(self, **given)


@composite("var_mean")
def _var_mean(self: torch.Tensor, **arguments: Any) -> tuple[torch.Tensor, torch.Tensor]:
    """The variance and the mean."""
    return _moments(self, arguments, root=False)


@composite("std_mean")
def _std_mean(self: torch.Tensor, **arguments: Any) -> tuple[torch.Tensor, torch.Tensor]:
    """The standard deviation and the mean."""
    return _moments(self, arguments, root=True)


def _axes(x: torch.Tensor, dim: Any) -> list[int]:
    """Return axes counted from the front; all where none is named."""
    if dim is None or dim == []:
        return list(range(x.ndim))
    return [axis % max(x.ndim, 1) for axis in ([dim] if isinstance(dim, int) else dim)]


@composite("nansum")
def _nansum(
    self: torch.Tensor, dim: Any = None, keepdim: bool = False, dtype: torch.dtype | None = None
) -> torch.Tensor:
    """The sum of what is a number."""
    x = self
    if x.is_floating_point():
        x = torch.where(torch.isnan(x), 0.0, x)
    return torch.sum(x, _axes(x, dim), keepdim, dtype=dtype)


@composite("nanmean")
def _nanmean(
    self: torch.Tensor, dim: Any = None, keepdim: bool = False, dtype: torch.dtype | None = None
) -> torch.Tensor:
    """The mean of what is a number."""
    axes = _axes(self, dim)
    count = torch.logical_not(torch.isnan(self)).float().sum(axes, keepdim)
    return _nansum(self, axes, keepdim) / count


@composite("count_nonzero")
def _count_nonzero(self: torch.Tensor, dim: Any = None) -> torch.Tensor:
    """How many elements are not zero."""
    return (self != 0).to(torch.int32).sum(_axes(self, dim))


@composite("aminmax")
def _aminmax(
    self: torch.Tensor, dim: int | None = None, keepdim: bool = False
) -> tuple[torch.Tensor, torch.Tensor]:
    """The least and the largest element."""
    axes = _axes(self, dim)
    return torch.amin(self, axes, keepdim), torch.amax(self, axes, keepdim)


@composite("cov")
def _cov(
    self: torch.Tensor,
    correction: int = 1,
    fweights: torch.Tensor | None = None,
    aweights: torch.Tensor | None = None,
) -> torch.Tensor:
    """The covariances of variables, which are rows."""
    x = floats(self)
    x = x.reshape(1, -1) if x.ndim < 2 else x
    count = x.shape[1]
    weights: Any = None
    if fweights is not None or aweights is not None:
        given = [w.float() for w in (fweights, aweights) if w is not None]
        weights = given[0] if len(given) == 1 else given[0] * given[1]
        total = weights.sum()
        mean = (x * weights).sum(1, keepdim=True) / total
        if aweights is None or correction == 0:
            divisor = total - correction
        else:
            divisor = total - correction * (weights * aweights.float()).sum() / total
        divisor = torch.clamp(divisor, min=0.0)
    else:
        mean = x.mean(1, keepdim=True)
        divisor = max(count - correction, 0)
    centred = x - mean
    weighted = centred if weights is None else centred * weights
    found = (weighted @ centred.T) / torch.as_tensor(
        float(divisor) if isinstance(divisor, int) else divisor
    )
    return found.reshape(()) if self.ndim < 2 or self.shape[0] == 1 else found


@composite("corrcoef")
def _corrcoef(self: torch.Tensor) -> torch.Tensor:
    """The correlations of variables, which are rows."""
    if self.ndim < 2:
        found = _cov(self)
        return found / found
    found = _cov(self)
    found = found.reshape(self.shape[0], self.shape[0])
    spread = torch.sqrt(torch.diagonal(found))
    found = found / spread.unsqueeze(1) / spread.unsqueeze(0)
    found = found.clamp(-1.0, 1.0)
    return found.reshape(()) if self.shape[0] == 1 else found


def _shifted(x: torch.Tensor, axis: int, count: int, steps: int, fill: Any) -> torch.Tensor:
    """Return a tensor moved along an axis of `count` elements, with `fill` at its beginning."""
    first = torch.full_like(x.narrow(axis, 0, steps), fill)
    return torch.cat((first, x.narrow(axis, 0, count - steps)), axis)


@composite("cumprod", why="two operations for each element; `dtype` is ignored", replaces=True)
def _cumprod(self: torch.Tensor, dim: int, dtype: torch.dtype | None = None) -> torch.Tensor:
    """Running products, in as many steps as the size of the axis has binary digits."""
    x = self if dtype is None else self.to(dtype)
    x = x.to(torch.int32) if x.dtype is torch.bool else x
    if not x.ndim:
        return x
    steps, count = 1, self.shape[dim]
    while steps < count:
        x = x * _shifted(x, dim, count, steps, 1)
        steps *= 2
    return x


def _running(x: torch.Tensor, dim: int, largest: bool) -> tuple[torch.Tensor, torch.Tensor]:
    """Return running extremes and the places where they stand, the last of equal ones."""
    if not x.ndim:
        return x, torch.zeros_like(x, dtype=torch.int32)
    count = x.shape[dim]
    shape = [1] * x.ndim
    shape[dim] = count
    place = torch.arange(count, dtype=torch.int32).reshape(shape).expand(x.shape)
    steps = 1
    while steps < count:
        # What has no predecessor is its own: the first ones stay.
        before = torch.cat((x.narrow(dim, 0, steps), x.narrow(dim, 0, count - steps)), dim)
        where = torch.cat((place.narrow(dim, 0, steps), place.narrow(dim, 0, count - steps)), dim)
        keeps = x >= before if largest else x <= before
        if x.is_floating_point():
            keeps = torch.logical_or(keeps, torch.isnan(x))
        x, place = torch.where(keeps, x, before), torch.where(keeps, place, where)
        steps *= 2
    return x, place


@composite("cummax")
def _cummax(self: torch.Tensor, dim: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Running maxima and their places."""
    return _running(self, dim, largest=True)


@composite("cummin")
def _cummin(self: torch.Tensor, dim: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Running minima and their places."""
    return _running(self, dim, largest=False)


@composite("renorm")
def _renorm(self: torch.Tensor, p: float, dim: int, maxnorm: float) -> torch.Tensor:
    """Slices whose norm is too large, made smaller."""
    axes = [axis for axis in range(self.ndim) if axis != dim % self.ndim]
    norm = torch.linalg.vector_norm(self, p, axes, keepdim=True)
    return self * torch.where(norm > maxnorm, maxnorm / (norm + 1e-7), 1.0)


@composite(
    "logsumexp", "special_logsumexp", replaces=True, why="an axis of infinities is no number"
)
def _logsumexp(self: torch.Tensor, dim: Any, keepdim: bool = False) -> torch.Tensor:
    """The logarithm of a sum of exponentials."""
    x = floats(self)
    axes = _axes(x, dim)
    if not x.ndim:
        return x
    largest = torch.amax(x, axes, keepdim=True)
    finite = torch.where(torch.isfinite(largest), largest, 0.0)
    found = torch.log(torch.exp(x - finite).sum(axes, keepdim=True)) + finite
    return found if keepdim else found.squeeze(axes)
