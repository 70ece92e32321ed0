"""A small graph in the middle of another one.

Owns: tracing a module for values of a MIL program, and translating the trace into that program;
`ComplexValue`, a pair of values.
Must not: know where the module comes from (that is `composition` and `fallback`).
Flow: `composition` -> `trace` -> `splice` -> the translations of the table.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from coremltools.converters.mil import Builder as mb
from coremltools.converters.mil.frontend.torch.internal_graph import InternalTorchIRGraph
from coremltools.converters.mil.frontend.torch.torch_op_registry import _TORCH_OPS_REGISTRY
from coremltools.converters.mil.frontend.torch.torchir_passes import (
    flatten_graph_output_values,
    generate_tensor_assignment_ops,
    remove_getattr_nodes,
)
from coremltools.converters.mil.frontend.torch.utils import (
    MIL_DTYPE_TO_TORCH_DTYPE,
    TorchFrontend,
)
from coremltools.converters.mil.mil import Var

from coreml_driver.translations.refusals import CannotExpress

#: Element types of a trace, by what PyTorch found for an argument: Core ML has no wider ones.
NARROWER = {torch.float64: torch.float32, torch.complex128: torch.complex64}
#: What a float is while a function is traced; its value decides nothing.
EXAMPLE = 0.5
#: What a size that varies is while a function is traced.
VARYING = 3
#: What the tracer says when a size, or a value, becomes a number of Python.
BAKED = "might cause the trace to be incorrect"


@dataclass(frozen=True)
class ComplexValue:
    """A complex value of a MIL program: two real ones of the same shape."""

    real: Any
    imag: Any

    @property
    def shape(self) -> Any:
        """The shape of both."""
        return self.real.shape

    @property
    def rank(self) -> int:
        """The number of axes of both."""
        return self.real.rank


def trace(body: torch.nn.Module, examples: Sequence[torch.Tensor], values: Sequence[Any]) -> Any:
    """Trace a module whose tensors are in a row.

    Parameters: `values` — what the tensors are in the MIL program.
    Errors: `CannotExpress` for a size that varies and becomes a number.
    """
    with warnings.catch_warnings(record=True) as caught, torch.no_grad():
        warnings.simplefilter("always")
        traced = torch.jit.trace(body.eval(), tuple(examples), check_trace=False, strict=False)
    if any(map(varies, values)) and any(BAKED in str(one.message) for one in caught):
        raise CannotExpress(
            "its translation depends on a size that varies", "Declare a fixed `shape`."
        )
    return traced


def varies(value: Any) -> bool:
    """Return whether a size of a value varies."""
    return any(not isinstance(size, int) for size in shape_of(value))


def splice(context: Any, traced: Any, values: Sequence[Any]) -> list[Any]:
    """Translate a traced graph into the program that coremltools is building.

    Parameters: `values` — its inputs.
    Returns: the values of its outputs.
    """
    graph = InternalTorchIRGraph.from_torchscript(traced, inputs=[None] * len(values))
    # The same passes as coremltools' own, but those for inputs and scopes, which this has not.
    flatten_graph_output_values(graph)
    remove_getattr_nodes(graph)
    generate_tensor_assignment_ops(graph)
    with _as_traced(context):
        context.push((list(graph.inputs), list(values)))
        for name, tensor in graph.params.items():
            context.add(constant(tensor.detach()), torch_name=name)
        for node in graph.nodes:
            translate = _TORCH_OPS_REGISTRY.get_func(node.kind)
            if translate is None:
                raise NotImplementedError(
                    f"PyTorch convert function for op '{node.kind}' not implemented."
                )
            translate(context, node)
        results = [context[name] for name in graph.outputs]
        context.pop()
    return results


@contextmanager
def _as_traced(context: Any) -> Iterator[None]:
    """Let translations take the nodes for traced ones, whatever the outer graph is."""
    frontend, frames = context.frontend, list(context._current_graph)
    context.frontend = TorchFrontend.TORCHSCRIPT
    try:
        yield
    finally:
        context.frontend = frontend
        # Also where a translation has failed, and another one is tried.
        context._current_graph = frames


def give(context: Any, node: Any, result: Any) -> None:
    """Add the result of a node: one value, a list of values, or one for each result."""
    several = isinstance(result, tuple)
    if several and context.frontend is TorchFrontend.TORCHSCRIPT:
        for value, name in zip(result, node.outputs, strict=True):
            context.add(value, torch_name=name, override=True)
        return
    context.add(result, torch_name=node.name, override=True)


def example(value: Any, dtype: torch.dtype | None) -> torch.Tensor:
    """Return a tensor of the shape of a value, and with its numbers where they are known."""
    if dtype is None and isinstance(value, Var):
        dtype = MIL_DTYPE_TO_TORCH_DTYPE.get(value.dtype, torch.float32)
    if isinstance(value, ComplexValue):
        return torch.full(_example_sizes(value), EXAMPLE, dtype=torch.complex64)
    dtype = torch.float32 if dtype.is_complex else NARROWER.get(dtype, dtype)
    if value.val is not None:
        return torch.as_tensor(np.array(value.val)).to(dtype)
    return torch.full(_example_sizes(value), EXAMPLE if dtype.is_floating_point else 0, dtype=dtype)


def _example_sizes(value: Any) -> list[int]:
    """Return sizes to trace with: the trace must not depend on the number of one that varies."""
    return [size if isinstance(size, int) else VARYING for size in shape_of(value)]


def shape_of(value: Any) -> tuple[Any, ...]:
    """Return the sizes of a value: integers, or symbols where they vary."""
    return tuple(
        int(size) if isinstance(size, (int, np.integer)) else size for size in value.shape or ()
    )


def constant(tensor: torch.Tensor) -> Any:
    """Return a tensor as a constant, in an element type of MIL."""
    if tensor.is_complex():
        return ComplexValue(constant(tensor.real), constant(tensor.imag))
    if tensor.dtype is not torch.bool:
        tensor = tensor.to(torch.float32 if tensor.is_floating_point() else torch.int32)
    array = tensor.contiguous().numpy()
    return mb.const(val=array if array.ndim else array[()])
