"""Translations that are written in PyTorch.

A function of tensors is traced for the shapes of a node, and the operations of that trace are
translated in the node's place. So it promotes types, broadcasts and counts axes as PyTorch does,
and it is tested without Core ML.

Owns: `composite`, the decorator of such a function; which of its arguments are known beforehand.
Must not: know an operation; families declare theirs with `composite`.
Flow: coremltools reaches a node -> `Composite` -> `splice` -> the translations of the table.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from coremltools.converters.mil.frontend.torch.utils import (
    NUM_TO_TORCH_DTYPE,
)
from coremltools.converters.mil.mil import Var, types
from torch.overrides import TorchFunctionMode

from coreml_driver.translations.arguments import Arguments
from coreml_driver.translations.refusals import CannotExpress
from coreml_driver.translations.registry import MISSING, translation
from coreml_driver.translations.splicing import (
    ComplexValue,
    constant,
    example,
    give,
    shape_of,
    splice,
    trace,
    varies,
)

#: Arguments that say where and how a tensor is stored, which Core ML decides.
STORAGE = frozenset(
    {
        "device",
        "layout",
        "pin_memory",
        "non_blocking",
        "memory_format",
        "generator",
        "requires_grad",
    }
)
#: Element types by the numbers that TorchScript has for them.
ELEMENT_TYPES = NUM_TO_TORCH_DTYPE | {
    9: torch.complex64,
    10: torch.complex128,
    15: torch.bfloat16,
}
#: What returns sizes.
SIZES = frozenset(
    {torch.Tensor.shape.__get__, torch.Tensor.size, torch.Tensor.numel, torch.Tensor.__len__}
)


@dataclass(frozen=True)
class Complex:
    """A complex tensor inside a composite function: two real tensors of the same shape."""

    real: torch.Tensor
    imag: torch.Tensor

    @property
    def shape(self) -> torch.Size:
        """The shape of both."""
        return self.real.shape

    @property
    def ndim(self) -> int:
        """The number of axes of both."""
        return self.real.ndim


def composite(
    *kinds: str, why: str = MISSING, replaces: bool = False
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Declare a function of PyTorch to be the translation of `kinds`.

    It is called with the arguments of the schema by their names, those that say where a tensor is
    stored left out; a complex tensor comes as `Complex`, and goes as one.
    """

    def declare(function: Callable[..., Any]) -> Callable[..., Any]:
        translation(*kinds, why=why, replaces=replaces)(Composite(function))
        return function

    return declare


class Composite:
    """A translation that is written in PyTorch."""

    def __init__(self, function: Callable[..., Any]) -> None:
        """Parameters: `function` — see `composite`."""
        self.function = function
        self._parameters = inspect.signature(function).parameters

    def __call__(self, context: Any, node: Any) -> None:
        """Translate a node."""
        arguments = Arguments(context, node)
        bound = bind(arguments)
        unknown = set(bound) - set(self._parameters)
        open_ended = any(one.kind is one.VAR_KEYWORD for one in self._parameters.values())
        if unknown and not open_ended:
            names = ", ".join(f"`{name}`" for name in sorted(unknown))
            raise CannotExpress(
                f"the translation of `{node.kind}` does not know the argument {names}",
                "Leave it out.",
            )
        compose(context, node, self.function, bound)


def bind(arguments: Arguments) -> dict[str, Any]:
    """Return the arguments of a call: tensors as values of MIL, all others as values of Python."""
    bound: dict[str, Any] = {}
    for argument in arguments.signature.schema.arguments:
        name, spelled = argument.name, str(argument.type)
        if name in STORAGE:
            continue
        if "Tensor" in spelled:
            bound[name] = _tensors(arguments[name], arguments.dtype_of(name))
        elif name.endswith("dtype"):
            number = arguments.constant(name)
            bound[name] = None if number is None else ELEMENT_TYPES[number]
        else:
            bound[name] = arguments.constant(name)
    return bound


@dataclass(frozen=True)
class _Leaf:
    """A tensor among the arguments, with the element type that PyTorch knows for it."""

    value: Any
    dtype: torch.dtype | None


def _tensors(value: Any, dtype: torch.dtype | None) -> Any:
    """Mark the tensors of an argument."""
    if value is None:
        return None
    if isinstance(value, (list, tuple)):
        return [_tensors(one, None) for one in value]
    return _Leaf(as_complex_value(value), dtype)


def as_complex_value(value: Any) -> Any:
    """Return a complex number, or a complex constant of coremltools, as a pair; any other value as
    it is.
    """
    if isinstance(value, complex):
        return constant(torch.tensor(value))
    if isinstance(value, Var) and types.is_complex(value.dtype):
        return constant(torch.as_tensor(np.array(value.val)))
    return value


def compose(
    context: Any,
    node: Any,
    function: Callable[..., Any],
    bound: dict[str, Any],
    lower: Callable[[torch.nn.Module, Sequence[torch.Tensor]], torch.nn.Module] | None = None,
) -> None:
    """Trace `function` for the arguments of a node and translate the trace in the node's place.

    Parameters: `bound` — see `bind`; `lower` — makes simpler operations of a module before it is
    traced; its complex tensors stay whole.
    """
    found = [leaf for value in bound.values() for leaf in leaves(value)]
    if any(0 in shape_of(leaf.value) for leaf in found):
        raise CannotExpress("it takes an empty tensor", "Leave it out: Core ML has none.")
    known = [_is_constant(leaf.value) for leaf in found]
    if lower and not all(known):
        known = [False] * len(found)  # a decomposition knows no numbers
    values = [leaf.value for leaf, constant in zip(found, known, strict=True) if not constant]
    flat = values if lower else [part for value in values for part in _parts(value)]
    constants = [
        _known(leaf) if is_known else None for leaf, is_known in zip(found, known, strict=True)
    ]
    if not values:
        given = _fill(bound, iter(constants), iter(()), pairs=lower is None)
        give(context, node, _map(constant, function(**given)))
        return
    dtypes = [leaf.dtype for leaf, constant in zip(found, known, strict=True) if not constant]
    examples = [
        example(part, dtype)
        for value, dtype in zip(values, dtypes, strict=True)
        for part in ([value] if lower else _parts(value))
    ]
    results: list[Any] = []
    sizes = _SizesOf(flat) if any(map(varies, values)) else _FixedSizes()

    class Body(torch.nn.Module):
        """The function with its tensors in a row, for the tracer."""

        def forward(self, *tensors: torch.Tensor) -> tuple[torch.Tensor, ...]:
            """Return the tensors of the function's result in a row."""
            given = _fill(bound, iter(constants), iter(tensors), pairs=lower is None)
            if isinstance(sizes, _SizesOf):
                sizes.tensors = tensors
            results[:] = [function(**given)]
            return tuple(_flatten(results[0]))

    body = lower(Body(), examples) if lower else Body()
    with sizes:
        traced = trace(body, examples, flat)
    spliced = iter(splice(context, traced, flat))
    give(context, node, _rebuilt(results[0], spliced))


class _FixedSizes(TorchFunctionMode):
    """Lets the sizes of tensors be numbers of Python, which a tracer would follow."""

    def __torch_function__(
        self, function: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        """Call a function of PyTorch."""
        if function in SIZES:
            with untraced():
                return function(*args, **(kwargs or {}))
        return function(*args, **(kwargs or {}))


class _SizesOf(TorchFunctionMode):
    """Lets those sizes of a function's arguments be numbers of Python that do not vary."""

    def __init__(self, values: Sequence[Any]) -> None:
        """Parameters: `values` — what the arguments are in the MIL program."""
        super().__init__()
        self._values = values
        #: The arguments of the call that is being traced.
        self.tensors: Sequence[torch.Tensor] = ()

    def __torch_function__(
        self, function: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        """Call a function of PyTorch."""
        found = function(*args, **(kwargs or {}))
        if function not in (torch.Tensor.shape.__get__, torch.Tensor.size):
            return found
        for tensor, value in zip(self.tensors, self._values, strict=False):
            if tensor is args[0]:
                sizes = shape_of(value)
                if isinstance(found, tuple):
                    return tuple(
                        size if isinstance(size, int) else one
                        for size, one in zip(sizes, found, strict=True)
                    )
                axis = args[1] if len(args) > 1 else kwargs["dim"]
                return sizes[axis] if isinstance(sizes[axis], int) else found
        return found


def _is_constant(value: Any) -> bool:
    """Return whether a value is a constant of the program that is not compressed."""
    parts = _parts(value)
    return all(
        isinstance(one, Var) and one.op is not None and one.op.op_type == "const" for one in parts
    )


def _known(leaf: _Leaf) -> Any:
    """Return a constant as a tensor that `is_known`, or as a `Complex` of two."""
    parts = [example(part, leaf.dtype) for part in _parts(leaf.value)]
    for part in parts:
        part.known_beforehand = True
    return Complex(*parts) if len(parts) == 2 else parts[0]


def is_known(tensor: Any) -> bool:
    """Return whether a tensor of a composite function is a constant, whose numbers may be used."""
    return tensor is None or getattr(tensor, "known_beforehand", False)


@contextmanager
def untraced() -> Iterator[None]:
    """Compute at once what does not depend on the inputs, instead of tracing it."""
    state = torch._C._get_tracing_state()
    torch._C._set_tracing_state(None)
    try:
        yield
    finally:
        torch._C._set_tracing_state(state)


def leaves(value: Any) -> Iterator[_Leaf]:
    """Yield the tensors of an argument."""
    if isinstance(value, _Leaf):
        yield value
    elif isinstance(value, (list, tuple)):
        for one in value:
            yield from leaves(one)


def _parts(value: Any) -> tuple[Any, ...]:
    """Return the real values that a value consists of."""
    return (value.real, value.imag) if isinstance(value, ComplexValue) else (value,)


def _fill(value: Any, known: Iterator[Any], tensors: Iterator[torch.Tensor], pairs: bool) -> Any:
    """Put tensors in the places of the values of MIL.

    Parameters: `known` — one for each place, `None` where it is no constant; `tensors` — of the
    other places; `pairs` — a complex value has two of them.
    """
    if isinstance(value, _Leaf):
        constant = next(known)
        if constant is not None:
            return constant
        if pairs and isinstance(value.value, ComplexValue):
            return Complex(next(tensors), next(tensors))
        return next(tensors)
    if isinstance(value, dict):
        return {name: _fill(one, known, tensors, pairs) for name, one in value.items()}
    if isinstance(value, list):
        return [_fill(one, known, tensors, pairs) for one in value]
    return value


def _flatten(result: Any) -> Iterator[torch.Tensor]:
    """Yield the tensors of a result."""
    if isinstance(result, Complex):
        yield from (result.real, result.imag)
    elif isinstance(result, torch.Tensor):
        yield result
    elif result is not None:
        for one in result:
            yield from _flatten(one)


def _rebuilt(result: Any, values: Iterator[Any]) -> Any:
    """Return values of MIL in the form of a result."""
    if isinstance(result, Complex):
        return ComplexValue(next(values), next(values))
    if isinstance(result, torch.Tensor):
        return next(values)
    if result is None:
        return None
    parts = [_rebuilt(one, values) for one in result]
    return tuple(parts) if isinstance(result, tuple) else parts


def _map(change: Callable[[torch.Tensor], Any], result: Any) -> Any:
    """Change the tensors of a result."""
    return _rebuilt(result, iter([change(tensor) for tensor in _flatten(result)]))


def is_complex(value: Any) -> bool:
    """Return whether a value of MIL, or one in a list of them, is complex."""
    if isinstance(value, (list, tuple)):
        return any(is_complex(one) for one in value)
    if isinstance(value, ComplexValue):
        return True
    return isinstance(value, Var) and types.is_complex(value.dtype)
