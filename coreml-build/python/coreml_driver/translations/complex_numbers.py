"""Complex numbers, which MIL has not: a complex value is a pair of real ones.

Owns: the rules of operations whose arguments or results are complex, and which operations treat
both parts alike.
Must not: know Fourier transforms (that is `fourier`).
Flow: `fallback.Guarded` asks `concerns` -> `translate`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import torch
from coremltools.converters.mil import Builder as mb

from coreml_driver.translations.arguments import TensorType, signature
from coreml_driver.translations.composition import (
    Composite,
    as_complex_value,
    is_complex,
)
from coreml_driver.translations.refusals import ALWAYS_REFUSED, CannotExpress
from coreml_driver.translations.splicing import ComplexValue

#: What a complex value is changed by in the same way in both parts.
PARTWISE = frozenset(
    "reshape view _unsafe_view view_as reshape_as permute transpose t numpy_t mt swapaxes swapdims "
    "movedim moveaxis squeeze unsqueeze flatten unflatten ravel expand expand_as broadcast_to "
    "slice select index index_select gather take_along_dim narrow chunk split split_with_sizes "
    "tensor_split unbind cat concat concatenate stack hstack vstack dstack "
    "reflection_pad1d reflection_pad2d replication_pad1d replication_pad2d flip fliplr flipud roll "
    "rot90 repeat tile repeat_interleave sum mean cumsum neg negative clone contiguous detach "
    "alias dropout diagonal diag diag_embed tril triu unfold as_strided fft_fftshift "
    "fft_ifftshift atleast_1d atleast_2d atleast_3d trace index_add diff "
    "scatter index_put where index_copy lift_fresh select_scatter slice_scatter diagonal_scatter "
    "masked_scatter unsafe_chunk unsafe_split".split()
)
#: What asks for the shape, which both parts have.
OF_SHAPES = frozenset("size sym_size numel sym_numel dim len".split())
#: What makes complex tensors of real ones, always.
MAKERS = frozenset(("complex", "polar"))
_RULES: dict[str, Composite] = {}


def rule(*kinds: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Declare what operations do to complex tensors, as a function like those of `composite`."""

    def declare(function: Callable[..., Any]) -> Callable[..., Any]:
        _RULES.update(dict.fromkeys(kinds, Composite(function)))
        return function

    return declare


def concerns(context: Any, node: Any) -> bool:
    """Return whether a node of ATen has to do with complex numbers."""
    for name in node.inputs:
        if isinstance(name, (list, tuple)):
            names = [one for one in name if isinstance(one, str) and one in context]
            if any(is_complex(context[one]) for one in names):
                return signature(node) is not None
        elif isinstance(name, str) and name in context and is_complex(context[name]):
            return signature(node) is not None
    found = getattr(node, "signature", None)
    results = found.results if found is not None else ()
    return any(
        one is not None and one.dtype is not None and one.dtype.is_complex for one in results
    )


def knows(kind: str) -> bool:
    """Return whether complex tensors have a translation for a kind of nodes."""
    kind = kind.partition(".")[0].removesuffix("_")
    return kind in _RULES or kind in PARTWISE or kind in OF_SHAPES


def translate(context: Any, node: Any, real: Callable[[Any, Any], None]) -> None:
    """Translate a node of complex numbers. Parameters: `real` — translates it for real ones."""
    kind = node.kind.partition(".")[0].removesuffix("_")
    if kind in _RULES:
        _RULES[kind](context, node)
    elif kind in PARTWISE:
        _translate_parts(context, node, real, ("real", "imag"))
    elif kind in OF_SHAPES:
        _translate_parts(context, node, real, ("real",))
    elif kind in ALWAYS_REFUSED:
        real(context, node)  # it has a better reason
    else:
        raise CannotExpress(
            f"`{kind}` has no translation for complex numbers, which Core ML lacks",
            "Compute with `x.real` and `x.imag`, or with `x.abs()`.",
        )


def _translate_parts(
    context: Any, node: Any, real: Callable[[Any, Any], None], wanted: Sequence[str]
) -> None:
    """Translate a node for the real parts, and for the imaginary ones where they are wanted."""
    kept = getattr(node, "signature", None)
    if kept is not None:
        node.signature = replace(
            kept,
            arguments={name: _real_type(one) for name, one in kept.arguments.items()},
            results=tuple(map(_real_type, kept.results)),
        )
    used = dict.fromkeys(name for name in _names(node.inputs) if name in context)
    names = [name for name in used if is_complex(context[name])]
    outputs = list(dict.fromkeys([node.name, *node.outputs]))
    parts: list[dict[str, Any]] = []
    try:
        for part in wanted:
            context.push((names, [_part(context[name], part) for name in names]))
            real(context, node)
            frame = context._current_graph[-1]
            parts.append({name: frame[name] for name in outputs if name in frame})
            context.pop()
    finally:
        node.signature = kept
    for name, value in parts[0].items():
        found = _joined(value, parts[1][name]) if len(parts) > 1 else value
        context.add(found, torch_name=name, override=True)


def _names(inputs: Any) -> list[str]:
    """Return the names among a node's inputs."""
    found = []
    for one in inputs:
        found += _names(one) if isinstance(one, (list, tuple)) else [one] * isinstance(one, str)
    return found


def _part(value: Any, part: str) -> Any:
    """Return the real or the imaginary part of a value; of a list, that of its members."""
    value = as_complex_value(value)
    if isinstance(value, ComplexValue):
        return getattr(value, part)
    if isinstance(value, (list, tuple)) and is_complex(value):
        return [
            _part(one, part) if is_complex(one) or part == "real" else mb.mul(x=one, y=0.0)
            for one in value
        ]
    return value


def _joined(real: Any, imag: Any) -> Any:
    """Join two parts."""
    if isinstance(real, (list, tuple)):
        return type(real)(map(_joined, real, imag))
    return ComplexValue(real, imag)


def _real_type(found: TensorType | None) -> TensorType | None:
    """Return the type of a part."""
    if found is None or found.dtype is None or not found.dtype.is_complex:
        return found
    return replace(found, dtype=torch.float32)
