"""Every argument of a call of ATen has to reach the program that is made of it.

coremltools' translations read their inputs by position, and many leave out what they cannot do:
`alpha`, `approximate`, `correction`. Nothing says so, and the model computes something else. Here
each node is translated once more with one argument left at its default. If the same program comes
out, the argument was ignored; and if PyTorch's own results differ, that is an error. What a
translation of this folder reads through `Arguments` counts as used.

Owns: the check, and what it remembers of nodes that it has seen.
Must not: leave anything of a second translation behind.
Flow: coremltools translates a node -> `following` -> `Failure` of kind `ignored-argument`.
"""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from coremltools.converters.mil.frontend.torch import ops
from coremltools.converters.mil.frontend.torch.torch_op_registry import _TORCH_OPS_REGISTRY
from coremltools.converters.mil.mil import Builder as mb
from coremltools.converters.mil.mil import Var
from coremltools.converters.mil.mil.block import curr_block
from coremltools.converters.mil.mil.types.symbolic import any_symbolic

from coreml_driver.failures import Failure
from coreml_driver.translations.arguments import MIL_TYPES, Arguments, Signature, torch_type

#: Arguments that say how PyTorch computes or stores, not what: they need no second translation.
WITHOUT_EFFECT = frozenset(
    "allow_tf32 benchmark copy cudnn_enabled deterministic device dropout generator implicit "
    "layout memory_format momentum names non_blocking out path pin_memory requires_grad "
    "scale_grad_by_freq sparse sparse_grad train training".split()
)
#: The name of the changed input in a traced graph; no value of a graph is called so.
CHANGED = "changed argument"
#: Elements that PyTorch may compute with to see whether an argument matters.
AFFORDABLE = 2**20
#: Constants of more elements are told apart by their type alone.
SHORT = 64
#: Values at which operations are special.
EDGES = (0.0, -0.0, 1.0, -1.0, 2.5, 30.0, -30.0, float("inf"), -float("inf"), float("nan"))


@contextmanager
def following() -> Iterator[None]:
    """Check every node that coremltools translates.

    Errors: `Failure` of kind `ignored-argument`.
    """
    original = ops.convert_single_node
    seen: set[Any] = set()

    def convert(context: Any, node: Any) -> None:
        """Stand in for coremltools' translation of a node."""
        original(context, node)
        _check(context, node, seen)

    ops.convert_single_node = convert
    try:
        yield
    finally:
        ops.convert_single_node = original


def _check(context: Any, node: Any, seen: set[Any]) -> None:
    """Check the arguments of one node that has been translated.

    Parameters: `seen` — what is known of nodes like this one.
    """
    signature = getattr(node, "signature", None)
    if signature is None or node.blocks or torch.Tag.nondeterministic_seeded in _tags(signature):
        return
    arguments = Arguments(context, node)
    read = frozenset(vars(node).get("read_arguments", ()))
    for name in arguments.names:
        if name in read or name in WITHOUT_EFFECT:
            continue
        changes, other = _alternative(arguments, name)
        if not changes:
            continue
        key = _key(arguments, name)
        if key in seen:
            continue
        seen.add(key)
        if _reaches_the_program(context, node, arguments, name, other):
            continue
        if _matters(arguments, name, other):
            raise _ignored(arguments, name)


def _tags(signature: Signature) -> Any:
    """Return PyTorch's tags of the overload."""
    return getattr(signature.overload, "tags", ())


def _alternative(arguments: Arguments, name: str) -> tuple[bool, Any]:
    """Return whether there is another value to try for an argument, and which: its default, or
    another number where it has none.
    """
    argument = arguments.signature.schema.arguments[list(arguments.names).index(name)]
    kind = str(argument.real_type)
    if kind in ("Tensor", "List[Tensor]") or (not arguments.known(name) and "Tensor" not in kind):
        return False, None
    if argument.has_default_value():
        return arguments.given(name), argument.default_value
    if "Optional" in kind:
        return arguments.plain(name) is not None, None
    plain = arguments.constant(name)
    if isinstance(plain, bool):
        return True, not plain
    return (True, 2 * plain + 1) if isinstance(plain, float) else (False, None)


def _key(arguments: Arguments, name: str) -> Any:
    """Return what nodes have in common that treat an argument alike."""
    parts: list[Any] = [str(arguments.signature.overload), name]
    for other in arguments.names:
        value = arguments.plain(other)
        if isinstance(value, Var) and value.val is not None and np.size(value.val) < SHORT:
            parts.append(repr(value.val))
        elif isinstance(value, Var):
            parts.append((value.rank, str(value.dtype)))
        else:
            parts.append(repr(value) if not isinstance(value, list) else len(value))
    return tuple(map(str, parts))


def _reaches_the_program(
    context: Any, node: Any, arguments: Arguments, name: str, other: Any
) -> bool:
    """Return whether another value of an argument gives another program, or is refused."""
    translate = _TORCH_OPS_REGISTRY.get_func(node.kind)
    as_it_is = _printed(context, node, translate, node)
    changed = _with(context, node, arguments, name, other)
    try:
        otherwise = _printed(context, changed, translate, node)
    except Exception:  # whatever a translation raises, it has looked at the argument
        return True
    return as_it_is != otherwise


def _with(context: Any, node: Any, arguments: Arguments, name: str, other: Any) -> Any:
    """Return a copy of a node with another value of one argument."""
    changed = copy.copy(node)
    vars(changed).pop("read_arguments", None)
    changed.inputs = list(node.inputs)
    changed.kwinputs = None if node.kwinputs is None else dict(node.kwinputs)
    if changed.kwinputs and name in changed.kwinputs:
        del changed.kwinputs[name]
        return changed
    position = list(arguments.names).index(name)
    if node.meta is not None:  # an exported graph has plain values
        changed.inputs[position] = other
    else:
        changed.inputs[position] = CHANGED
        changed.changed_value = other
    return changed


def _printed(context: Any, node: Any, translate: Any, original: Any) -> Any:
    """Return what a translation makes of a node, without leaving it in the program.

    Returns: the operations that the results depend on, in words that two translations share.
    """
    block = curr_block()
    last = block.operations.end
    context.push()
    try:
        if hasattr(node, "changed_value"):
            value = node.changed_value
            made = None if value is None else mb.const(val=_for_mil(value))
            context.add(made, torch_name=CHANGED)
        translate(context, node)
        frame = context._current_graph[-1]
        results = [frame.get(one) for one in (original.outputs or [original.name])]
        return _words(results, _since(block, last))
    finally:
        context.pop()
        _forget(block, _since(block, last))


def _forget(block: Any, made: list[Any]) -> None:
    """Remove operations from a block, also one whose making has failed half way. `remove_ops`
    would look at every operation of the program each time.
    """
    for operation in reversed(made):
        for nested in operation.blocks:
            nested.set_outputs([])
            nested.remove_ops(nested.operations)
        block.operations.remove(operation)
        operation.enclosing_block = None
        for value in operation.get_flattened_inputs():
            if operation in value.child_ops:
                value.remove_child_op(operation)
        for value in operation.internal_inputs.values():
            block._internal_vars.discard(value)


def _since(block: Any, last: Any) -> list[Any]:
    """Return the operations that a block has behind an entry of its list."""
    found, entry = [], block.operations.end
    while entry is not None and entry is not last:
        found.append(entry.op)
        entry = entry.prev
    return found[::-1]


def _for_mil(value: Any) -> Any:
    """Return a default of a schema as coremltools has constants of a traced graph."""
    if isinstance(value, (list, tuple)):
        return np.array(value, np.int32 if all(isinstance(v, int) for v in value) else np.float32)
    return value


def _words(results: list[Any], made: list[Any]) -> Any:
    """Describe what results depend on: operations, constants by their value, and values from
    outside by their identity.
    """
    numbers = {id(operation): number for number, operation in enumerate(made)}
    known: dict[int, Any] = {}

    def describe(value: Any) -> Any:
        if isinstance(value, (list, tuple)):
            return tuple(map(describe, value))
        if not isinstance(value, Var):
            return repr(value)
        if value.val is not None:
            return _constant_words(value)
        operation = value.op
        if operation is None or id(operation) not in numbers:
            return id(value)
        if id(operation) not in known:
            inputs = tuple(
                (name, describe(one)) for name, one in sorted(operation.inputs.items()) if one
            )
            nested = tuple(tuple(map(describe, block.outputs)) for block in operation.blocks)
            known[id(operation)] = hash((operation.op_type, inputs, nested))
        return known[id(operation)], list(operation.outputs).index(value), str(value.dtype)

    return tuple(map(describe, results))


def _constant_words(value: Var) -> Any:
    """Describe a constant by its type, shape and elements."""
    array = np.asarray(value.val)
    if array.dtype == object or array.dtype.kind in "US":
        return str(value.val)
    digest = hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()
    return str(array.dtype), array.shape, digest


def _matters(arguments: Arguments, name: str, other: Any) -> bool:
    """Return whether PyTorch's own results depend on an argument, for tensors of the sizes of the
    capture; `False` where PyTorch cannot say.
    """
    signature = arguments.signature
    try:
        values = {one: _sample(arguments, one) for one in arguments.names}
        with torch.no_grad():
            given = _called(signature, values)
            otherwise = _called(signature, values | {name: other})
    except Exception:  # a sample that the operation does not take says nothing
        return False
    return not _equal(given, otherwise)


def _called(signature: Signature, values: dict[str, Any]) -> Any:
    """Call an overload of PyTorch with all of its arguments."""
    positional, named = [], {}
    for argument in signature.schema.arguments:
        value = values[argument.name]
        value = value.clone() if isinstance(value, torch.Tensor) else value
        if argument.kwarg_only:
            named[argument.name] = value
        else:
            positional.append(value)
    return signature.overload(*positional, **named)


def _sample(arguments: Arguments, name: str) -> Any:
    """Return a value of an argument to call PyTorch with: itself where it is constant, else a
    tensor of its type that has the edges of floating-point numbers.

    Errors: `ValueError` for what has no known size, or is too large.
    """
    value = arguments.plain(name)
    schema = arguments.signature.schema.arguments[list(arguments.names).index(name)]
    if not isinstance(value, Var):
        if isinstance(value, list) and "Tensor" in str(schema.real_type):
            raise ValueError("a list of tensors")
        return _constant(arguments, name)
    if "Tensor" not in str(schema.real_type):
        return _constant(arguments, name)
    found = arguments.signature.arguments.get(name)
    kind = None if found is None else found.dtype
    if value.val is not None:
        tensor = torch.as_tensor(np.asarray(value.val).copy())
        return tensor if kind is None else tensor.to(kind)
    sizes = None if found is None else found.sizes
    if sizes is None and not any_symbolic(value.shape):
        sizes = tuple(map(int, value.shape))
    if sizes is None or np.prod(sizes, dtype=np.int64) > AFFORDABLE:
        raise ValueError("no size")
    generator = torch.Generator().manual_seed(0)
    kind = kind or torch.float32
    if kind == torch.bool:
        return torch.rand(sizes, generator=generator) < 0.5
    if not kind.is_floating_point:
        return torch.randint(0, 2, sizes, generator=generator, dtype=kind)
    tensor = 3 * torch.randn(sizes, generator=generator, dtype=kind)
    edges = torch.tensor(EDGES, dtype=kind)[: tensor.numel() // 2]
    tensor.view(-1)[: edges.numel()] = edges
    return tensor


def _constant(arguments: Arguments, name: str) -> Any:
    """Return an argument as PyTorch takes it: coremltools has numbers for element types. MIL has
    none of 64 bits.
    """
    value = arguments.constant(name)
    if name != "dtype" or value is None:
        return value
    kind = torch_type(value)
    return {torch.float64: torch.float32, torch.int64: torch.int32}.get(kind, kind)


def _equal(one: Any, other: Any) -> bool:
    """Return whether two results are the same for MIL: values, and element types that it has."""
    ones = one if isinstance(one, (list, tuple)) else [one]
    others = other if isinstance(other, (list, tuple)) else [other]
    for first, second in zip(ones, others, strict=True):
        if not isinstance(first, torch.Tensor):
            continue
        if first.shape != second.shape or _kind(first) != _kind(second):
            return False
        if not torch.allclose(
            first.to(torch.float64), second.to(torch.float64), 1e-6, 1e-30, equal_nan=True
        ):
            return False
    return True


def _kind(tensor: torch.Tensor) -> Any:
    """Return the element type of a tensor as MIL has it."""
    return MIL_TYPES.get(tensor.dtype, tensor.dtype)


def _ignored(arguments: Arguments, name: str) -> Failure:
    """Return the failure about an argument that does not reach the program."""
    overload = arguments.signature.overload
    kind = overload._schema.name.removeprefix("aten::")
    value = arguments.plain(name)
    plain = arguments.constant(name) if arguments.known(name) else None
    words = (
        f"`{name}`"
        if isinstance(value, Var) and np.size(value.val) > 1
        else (f"`{name}={plain!r}`")
    )
    message = (
        f"The translation of `{kind}` ignores {words}: the model would silently compute with "
        f"another value."
    )
    cures = (
        f"Write out what `{name}` does with other operations, or leave it at its default.",
        "Translate the operation yourself: a file with `@register_torch_op(override=True)`, in "
        'the manifest `ops = "my_ops.py"`.',
        "Compute that part outside the model, before or after the prediction.",
    )
    return Failure("ignored-argument", message, key="source.entry", advice=cures)
