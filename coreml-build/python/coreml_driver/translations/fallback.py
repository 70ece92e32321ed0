"""What happens to an operation that has no translation, or one that fails: it is decomposed.

PyTorch knows for most operations how they are made of simpler ones: in its C++ (an operation that
is "composite"), or in the tables of `torch._decomp`. A node is traced into those, as many as have
no translation of their own, and the trace is translated in the node's place.

Owns: that decomposition, and putting it behind every translation of the registry.
Must not: replace a translation that works.
Flow: `install` -> coremltools reaches a node -> `Guarded` -> its translation, else `_decompose`.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Sequence
from typing import Any

import torch
from coremltools.converters.mil.frontend.torch.torch_op_registry import _TORCH_OPS_REGISTRY
from coremltools.converters.mil.frontend.torch.utils import TORCH_DTYPE_TO_NUM, sanitize_op_kind
from coremltools.converters.mil.mil.block import curr_block
from torch._decomp import decomposition_table
from torch.func import functionalize
from torch.fx.experimental.proxy_tensor import make_fx
from torch.utils._pytree import tree_leaves

from coreml_driver.failures import Failure
from coreml_driver.translations import completion, complex_numbers
from coreml_driver.translations.arguments import Arguments, signature
from coreml_driver.translations.composition import bind, compose, leaves
from coreml_driver.translations.refusals import CannotExpress
from coreml_driver.translations.splicing import varies

#: Operations whose result has a shape, or a value, that no trace can know.
UNKNOWN_BEFOREHAND = (torch.Tag.data_dependent_output, torch.Tag.dynamic_output_shape)
#: Element types of an index that is a mask.
MASKS = (torch.bool, torch.uint8)
#: Operations that some of torch's decompositions end in, and what they are in ATen.
PRIMITIVES = {
    "where": torch.where,
    "fmod": torch.ops.aten.fmod.Tensor,
    "bitwise_or": torch.ops.aten.bitwise_or.Tensor,
    "bitwise_and": torch.ops.aten.bitwise_and.Tensor,
    "bitwise_xor": torch.ops.aten.bitwise_xor.Tensor,
    "prod": torch.ops.aten.prod.dim_int,
    "abs": torch.ops.aten.abs.default,
    "sqrt": torch.ops.aten.sqrt.default,
    "view_of": torch.ops.aten.clone.default,
}
#: How often the decomposition of an exported program is decomposed again.
DEEPEST = 4
#: Numbers that coremltools has not for element types of exported graphs.
COMPLEX_NUMBERS = {torch.complex64: 9, torch.complex128: 9}


class _NotMade(NotImplementedError):
    """An operation that is not made of others."""


class Guarded:
    """A translation with the decomposition of its operation behind it."""

    def __init__(
        self, kind: str, translate: Callable[[Any, Any], None] | None, is_own: bool = False
    ) -> None:
        """Parameters: `translate` — `None` where there is none; `is_own` — it is the user's, whose
        errors nothing may hide.
        """
        self.kind, self.translate, self.is_own = kind, translate, is_own

    def __call__(self, context: Any, node: Any) -> None:
        """Translate a node."""
        if complex_numbers.concerns(context, node):
            complex_numbers.translate(context, node, self._translate)
        else:
            self._translate(context, node)

    def _translate(self, context: Any, node: Any) -> None:
        """Translate a node of real numbers, or decompose it."""
        depth, last = len(context._current_graph), curr_block().operations.end
        try:
            if self.translate is None:
                raise NotImplementedError(
                    f"PyTorch convert function for op '{node.kind}' not implemented."
                )
            completion.translate(self.translate, context, node)
        except (Failure, CannotExpress):
            raise
        except Exception as error:
            if self.is_own:
                raise
            context._current_graph = context._current_graph[:depth]
            _remove_unfinished(last)
            try:
                _decompose(context, node)
            except (Failure, CannotExpress):
                if self.translate is None:
                    raise
                raise error from None
            except _NotMade:
                raise error from None
            except Exception as inner:
                words = str(inner).strip().partition("\n")[0]
                raise type(error)(
                    f"{error}\n\nIts decomposition fails, too: {type(inner).__name__}: {words}"
                ) from inner


def _remove_unfinished(last: Any) -> None:
    """Remove operations that coremltools has added, and then refused to infer the type of.

    Parameters: `last` — the last entry of the block's list that is kept.
    """
    operations = curr_block().operations
    entry = operations.end
    while entry is not None and entry is not last:
        before, operation = entry.prev, entry.op
        if not operation._output_vars:
            operations.remove(operation)
            for value in operation.get_flattened_inputs():
                value.remove_child_op(operation, no_check=True)
        entry = before


def install(registry: dict[str, Any], own: Container[str] = ()) -> None:
    """Put decompositions behind the translations of a registry, and where there are none.

    Parameters: `own` — the kinds of nodes that the user has registered.
    """
    TORCH_DTYPE_TO_NUM.update(COMPLEX_NUMBERS)
    for schema in torch._C._jit_get_all_schemas():
        if schema.name.startswith("aten::"):
            for kind in (schema.name, f"{schema.name}.{schema.overload_name}".rstrip(".")):
                registry.setdefault(sanitize_op_kind(kind).removesuffix("_"), None)
    for kind, translate in list(registry.items()):
        registry[kind] = Guarded(kind, translate, kind in own)


def has_translation(kind: str) -> bool:
    """Return whether a kind of nodes has a translation; a decomposition is none."""
    found = _TORCH_OPS_REGISTRY.get_func(kind)
    return found.translate is not None if isinstance(found, Guarded) else found is not None


def is_made_of_others(kind: str) -> bool:
    """Return whether PyTorch knows a decomposition of a kind of nodes; it may fail."""
    name = kind.partition(".")[0].removesuffix("_")
    if _is_primitive(name):
        return False
    packet = getattr(torch.ops.aten, name, None)
    overloads = [getattr(packet, name) for name in packet.overloads()] if packet else []
    return any(one in decomposition_table or one._can_decompose() for one in overloads)


def _is_primitive(name: str) -> bool:
    """Return whether an operation would be made of nothing but a primitive of its own name."""
    return name not in PRIMITIVES and hasattr(torch.ops.prims, name) and not has_translation(name)


def _filled(x: torch.Tensor, value: Any) -> torch.Tensor:
    """A tensor of one value, of the shape of another one."""
    if isinstance(value, torch.Tensor):
        return value.to(x.dtype).expand(x.shape)
    return torch.full(x.shape, value, dtype=x.dtype)


def _copied(x: torch.Tensor, source: torch.Tensor, non_blocking: bool = False) -> torch.Tensor:
    """A tensor in the shape and the element type of another one."""
    return source.to(x.dtype).expand(x.shape)


def _kind(operation: Any, overload: bool) -> str:
    """Return how coremltools spells an operation, with or without its overload."""
    kind = sanitize_op_kind(operation.name())
    return kind if overload else kind.partition(".")[0]


def _of_real(decomposition: Callable[..., Any]) -> Callable[..., Any]:
    """Return a decomposition that leaves complex tensors alone."""

    def decompose(*inputs: Any, **named: Any) -> Any:
        if any(_is_complex(one) for one in tree_leaves((inputs, named))):
            return NotImplemented
        return decomposition(*inputs, **named)

    return decompose


def _is_complex(value: Any) -> bool:
    """Return whether a value of PyTorch is complex."""
    return isinstance(value, complex) or (isinstance(value, torch.Tensor) and value.is_complex())


def _is_translated(node: torch.fx.Node) -> bool:
    """Return whether a call of an exported graph has a translation."""
    kind = _kind(node.target, True)
    if has_translation(kind):
        return True
    values = [one.meta.get("val") if isinstance(one, torch.fx.Node) else one for one in node.args]
    concerned = any(map(_is_complex, [*tree_leaves(values), *tree_leaves(node.meta.get("val"))]))
    return concerned and complex_numbers.knows(kind)


def table(overloads: bool) -> dict[Any, Callable[..., Any]]:
    """Return torch's decompositions of the operations that have no translation.

    Parameters: `overloads` — nodes name their overload, as those of an exported graph do.
    """
    decompositions = {
        operation: decomposition
        for operation, decomposition in decomposition_table.items()
        if isinstance(operation, torch._ops.OpOverload)
        and not has_translation(_kind(operation, overloads))
        and not _is_primitive(_kind(operation, False))
    }
    decompositions = {
        operation: _of_real(decomposition)
        if complex_numbers.knows(_kind(operation, False))
        else decomposition
        for operation, decomposition in decompositions.items()
        if _kind(operation, False) not in complex_numbers.MAKERS
    }
    if not overloads:
        # PyTorch cannot trace what these call.
        decompositions[torch.ops.aten.fill.Scalar] = _filled
        decompositions[torch.ops.aten.fill.Tensor] = _filled
        decompositions[torch.ops.aten.copy.default] = _copied
    return decompositions | {
        getattr(torch.ops.prims, name).default: meaning for name, meaning in PRIMITIVES.items()
    }


def decomposed(exported: Any) -> Any:
    """Return an exported program of inference, in which operations without a translation are made
    of simpler ones; here sizes may vary.
    """
    exported = exported.run_decompositions({})
    # torch before 2.6 has decomposed what is made of others in C++ by now.
    defaults = getattr(torch.export, "default_decompositions", dict)()
    for _ in range(DEEPEST):
        missing = {
            node.target
            for node in exported.graph.nodes
            if isinstance(node.target, torch._ops.OpOverload)
            and node.target.namespace == "aten"
            and not _is_translated(node)
        }
        known = table(True)
        composites = {
            operation: defaults[operation]
            for operation in missing - set(known)
            if operation in defaults
        }
        if not missing & set(known) and not composites:
            break
        exported = exported.run_decompositions(known | composites)
    return exported


def _unknown_beforehand(node: torch.fx.Node) -> bool:
    """Return whether a node's result has a shape, or a value, that no trace can know."""
    if node.target is torch.ops.aten.index.Tensor:  # of integers it has a shape
        indices = [one for one in node.args[1] if one is not None]
        return any(one.meta["val"].dtype in MASKS for one in indices)
    return bool(set(getattr(node.target, "tags", ())) & set(UNKNOWN_BEFOREHAND))


def _decompose(context: Any, node: Any) -> None:
    """Translate a node as what it is made of."""
    found = signature(node)
    if found is None or not isinstance(found.overload, torch._ops.OpOverload):
        raise NotImplementedError(f"`{node.kind}` is no operation of ATen")
    bound = bind(Arguments(context, node))
    if any(varies(leaf.value) for value in bound.values() for leaf in leaves(value)):
        raise CannotExpress(
            f"`{node.kind}` has no translation for sizes that vary",
            "Declare a fixed `shape` for each size that is needed.",
        )

    def lower(body: torch.nn.Module, examples: Sequence[torch.Tensor]) -> torch.nn.Module:
        """Trace the body into the operations that this one is made of."""
        make = make_fx(
            functionalize(body.forward, remove="mutations"), table(False), tracing_mode="fake"
        )
        graph = make(*examples)
        for inner in graph.graph.nodes:
            if inner.target is found.overload:
                raise _NotMade(node.kind)
            if _unknown_beforehand(inner):
                raise _NotMade(f"`{node.kind}` depends on what only a run knows")
        return graph

    compose(context, node, found.overload, bound, lower)
