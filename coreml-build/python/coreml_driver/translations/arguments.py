"""The arguments of a call of ATen by the names of its schema, alike for traced and exported graphs.

A traced call has all its arguments by position, as names of values; an exported one has those that
differ from their default, by position or keyword, as names or as plain values. coremltools drops
the schema when it reads a node. Here it is kept, with the types that PyTorch found for arguments
and results.

Owns: `Arguments`, what every translation of this folder reads its node through; noting schema and
types when coremltools reads a node (`Signature`); which arguments were read.
Must not: translate anything, or judge what was read (that is `consumption`).
Flow: coremltools reads a graph -> `Signature` on each node -> a translation asks `Arguments`.

    @translation("sub", why="alpha is ignored", replaces=True)
    def _sub(context, node):
        arguments = Arguments(context, node)
        x, y = arguments["self"], arguments["other"]
        alpha = arguments.constant("alpha")
        context.add(mb.sub(x=x, y=mb.mul(x=y, y=alpha)), node.name)
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from coremltools.converters.mil import Builder as mb
from coremltools.converters.mil.frontend.torch.internal_graph import InternalTorchIRNode
from coremltools.converters.mil.frontend.torch.utils import NUM_TO_TORCH_DTYPE
from coremltools.converters.mil.mil import Var

from coreml_driver.failures import Failure

#: MIL's names of the element types that a captured graph can have. MIL has no wider ones, and
#: integers narrower than 32 bits only in storage.
MIL_TYPES = {
    torch.float16: "fp16",
    torch.bfloat16: "fp32",
    torch.float32: "fp32",
    torch.float64: "fp32",
    torch.bool: "bool",
    torch.uint8: "int32",
    torch.int8: "int32",
    torch.int16: "int32",
    torch.int32: "int32",
    torch.int64: "int32",
}
#: What coremltools makes of an infinite number in a traced graph.
STAND_IN_FOR_INFINITY = 3.4e38
#: What TorchScript calls the getters of complex numbers, which it has not.
WITHOUT_GETTER = frozenset(("c", "cs"))
#: What Python's operators are in ATen; exported graphs compute sizes with them.
OPERATORS = {"truediv": "div", "floordiv": "floor_divide", "mod": "remainder"}


@dataclass(frozen=True)
class TensorType:
    """What PyTorch knows of a tensor."""

    dtype: torch.dtype | None
    #: Sizes at the shape of the capture; `None` where they are unknown.
    sizes: tuple[int, ...] | None
    #: Whether its elements lie in a row; `None` where that is unknown.
    contiguous: bool | None = None
    #: Where its elements begin in the memory that it shares; `None` where that is unknown.
    offset: int | None = None


@dataclass(frozen=True)
class Signature:
    """The called overload, and the types of its arguments and results."""

    overload: Any
    #: By the argument's name; only tensors.
    arguments: dict[str, TensorType]
    #: One for each result that is a tensor, `None` for others.
    results: tuple[TensorType | None, ...]

    @property
    def schema(self) -> Any:
        """The overload's schema."""
        return self.overload._schema


class Arguments:
    """The arguments of one node."""

    def __init__(self, context: Any, node: Any) -> None:
        """Parameters: `context`, `node` — as coremltools gives them to a translation.

        Errors: `ValueError` when the node is no call of ATen.
        """
        self._context, self._node = context, node
        self.signature = signature(node)
        if self.signature is None:
            raise ValueError(f"`{node.kind}` is no call that has a schema")
        self._names = [argument.name for argument in self.signature.schema.arguments]
        self._schema = {argument.name: argument for argument in self.signature.schema.arguments}

    def __contains__(self, name: str) -> bool:
        """Return whether this overload has an argument of that name."""
        return name in self._schema

    def __getitem__(self, name: str) -> Any:
        """Return an argument as translations take it.

        Returns: a tensor as `Var`; a list of tensors as a list with `None` for those left out; a
        string as `str`; any other value as a constant `Var`, or as a list of `Var`s where sizes
        are computed; `None` for nothing. What was not passed has the schema's default.
        Errors: `KeyError` for a name that this overload does not have.
        """
        note_read(self._node, name)
        value = self.plain(name)
        if isinstance(value, (list, tuple)) and all(
            isinstance(part, (int, float)) for part in value
        ):
            return _constant(list(value))
        if isinstance(value, list):
            return [one if isinstance(one, (Var, str)) else _constant(one) for one in value]
        return value if isinstance(value, Var) else _constant(value)

    def plain(self, name: str) -> Any:
        """Return an argument as the graph has it: a `Var` for what the graph computes or keeps as
        a constant, plain Python otherwise. This does not count as reading it.
        """
        argument = self._schema[name]
        passed, value = self._passed(name)
        return self._bind(value, argument) if passed else argument.default_value

    def get(self, name: str, otherwise: Any = None) -> Any:
        """Return an argument as `[]` does, or `otherwise` where this overload does not have it."""
        return self[name] if name in self else otherwise  # noqa: SIM401

    def constant(self, name: str) -> Any:
        """Return an argument as a Python value: a number, a string, a list of them, or `None`.

        Errors: `Failure` of kind `not-constant` when it is known only at run time; `KeyError` as
        above.
        """
        note_read(self._node, name)
        return self._plain(name, self.plain(name))

    def known(self, name: str) -> bool:
        """Return whether `constant` can return the argument. This does not count as reading it."""
        value = self.plain(name)
        parts = value if isinstance(value, (list, tuple)) else [value]
        return all(not isinstance(part, Var) or part.val is not None for part in parts)

    def integers(self, name: str) -> list[int]:
        """Return a list of integers, such as axes; of a single integer, a list of one; of nothing,
        an empty list.
        """
        value = self.constant(name)
        return [] if value is None else [int(one) for one in np.atleast_1d(value)]

    def sizes(self, name: str) -> Any:
        """Return a list of sizes for MIL: a list of integers, or a `Var` where one is computed."""
        value = self[name]
        parts = value if isinstance(value, (list, tuple)) else [value]
        if all(not isinstance(part, Var) or part.val is not None for part in parts):
            return self.integers(name)
        if isinstance(value, Var):
            return value if value.rank else mb.expand_dims(x=value, axes=[0])
        flat = [
            mb.const(val=np.array([int(_value(part))], np.int32))
            if _value(part) is not None
            else (part if part.rank else mb.expand_dims(x=part, axes=[0]))
            for part in parts
        ]
        return mb.concat(values=flat, axis=0)

    def axis(self, name: str, rank: int) -> int:
        """Return an axis, counted from the front."""
        return int(self.constant(name)) % max(rank, 1)

    def axes(self, name: str, rank: int) -> list[int]:
        """Return axes, counted from the front; all of them where none is named."""
        found = self.integers(name) if name in self else []
        return [axis % max(rank, 1) for axis in found] or list(range(rank))

    def element_type(self, name: str = "dtype") -> str | None:
        """Return MIL's name of an argument that is an element type, or `None`."""
        number = self.constant(name) if name in self else None
        return None if number is None else MIL_TYPES[torch_type(number)]

    def given(self, name: str) -> bool:
        """Return whether an argument differs from its default; one without a default always
        does. This does not count as reading it.
        """
        argument = self._schema[name]
        if not self._passed(name)[0]:
            return False
        if not argument.has_default_value() or not self.known(name):
            return True
        return not _same(self._plain(name, self.plain(name)), argument.default_value)

    @property
    def names(self) -> Sequence[str]:
        """The names of all arguments, in the order of the schema."""
        return self._names

    @property
    def dtype(self) -> torch.dtype | None:
        """The element type that PyTorch gives the first result."""
        results = self.signature.results
        return results[0].dtype if results and results[0] is not None else None

    @property
    def result_type(self) -> str | None:
        """MIL's name of the element type that PyTorch gives the first result."""
        return None if self.dtype is None else MIL_TYPES.get(self.dtype)

    def dtype_of(self, name: str) -> torch.dtype | None:
        """Return PyTorch's element type of a tensor argument, `None` where it is not known."""
        found = self.signature.arguments.get(name)
        return None if found is None else found.dtype

    def _passed(self, name: str) -> tuple[bool, Any]:
        """Return whether an argument was passed, and what: a value's name or a plain value."""
        position, node = self._names.index(name), self._node
        if node.kwinputs and name in node.kwinputs:
            (value, *_) = (*node.kwinputs[name], None)
            return bool(node.kwinputs[name]), value
        if position < len(node.inputs):
            return True, node.inputs[position]
        return False, None

    def _bind(self, value: Any, argument: Any) -> Any:
        """Return what a name of the graph, or a plain value, stands for."""
        if value is None:
            return None
        if isinstance(value, str):
            # The value of a string may be called like a result of the graph: `floor`.
            plain = self._exported and "str" in str(argument.real_type)
            if plain or value not in self._context:
                return value
            value = self._context[value]
            if isinstance(value, Var) and isinstance(value.val, str):
                return value.val
            return value
        if isinstance(value, (list, tuple)):
            return [self._bind(part, argument) for part in value]
        return value

    @property
    def _exported(self) -> bool:
        """Whether the node comes from an exported graph."""
        return self._node.meta is not None

    def _plain(self, name: str, value: Any) -> Any:
        """Return the Python value of what `__getitem__` returns."""
        if isinstance(value, (list, tuple)):
            return [self._plain(name, part) for part in value]
        if isinstance(value, torch.dtype):
            return _number(value)
        if not isinstance(value, Var):
            return value
        if value.val is None:
            message = (
                f"`{name}` of `{self._node.kind}` is known only when the model runs; Core ML needs "
                "it when the model is converted."
            )
            cure = f"Compute `{name}` from numbers, or from sizes that are fixed."
            raise Failure("not-constant", message, key="source.entry", advice=(cure,))
        plain = value.val.tolist() if isinstance(value.val, (np.ndarray, np.generic)) else value.val
        return _with_infinity(plain)


def note_read(node: Any, name: str) -> None:
    """Note that a translation has read an argument."""
    vars(node).setdefault("read_arguments", set()).add(name)


def signature(node: Any) -> Signature | None:
    """Return the signature of a node, `None` for what has none (`prim::` and coremltools' own
    nodes).
    """
    found = getattr(node, "signature", None)
    if found is None and node.kind:
        found = _guess(node.kind, len(node.inputs))
    return found


def _guess(kind: str, count: int) -> Signature | None:
    """Return a signature for a node that coremltools made itself, which has no types: the first
    overload with enough arguments.
    """
    packet = getattr(torch.ops.aten, OPERATORS.get(kind, kind), None)
    for name in packet.overloads() if packet is not None else ():
        overload = getattr(packet, name)
        if count <= len(overload._schema.arguments):
            return Signature(overload, {}, ())
    return None


@functools.cache
def _overload(text: str) -> Any:
    """Return the overload of a schema's text, `None` when there is none."""
    name = text.partition("(")[0]
    namespace, _, rest = name.partition("::")
    kind, _, overload = rest.partition(".")
    try:
        packet = getattr(getattr(torch.ops, namespace), kind)
        return getattr(packet, overload or "default")
    except (AttributeError, RuntimeError):
        return None


def _of_traced(node: Any) -> Signature | None:
    """Return the signature of a node of TorchScript."""
    text = node.schema()
    overload = _overload(text) if "::" in text.partition("(")[0] else None
    if overload is None:
        return None
    arguments = {}
    for argument, value in zip(overload._schema.arguments, node.inputs(), strict=False):
        found = _traced_type(value)
        if found is not None:
            arguments[argument.name] = found
    return Signature(overload, arguments, tuple(map(_traced_type, node.outputs())))


def _traced_type(value: Any) -> TensorType | None:
    """Return the type of a value of TorchScript, `None` when it is no tensor."""
    kind = value.type()
    if kind.kind() == "OptionalType":
        kind = kind.getElementType()
    if kind.kind() != "TensorType":
        return None
    sizes = kind.sizes()
    known = sizes is not None and all(isinstance(size, int) for size in sizes)
    strides = kind.strides()
    contiguous = (
        torch.empty_strided(sizes, strides, device="meta").is_contiguous()
        if known and strides is not None and all(isinstance(one, int) for one in strides)
        else None
    )
    return TensorType(kind.dtype(), tuple(sizes) if known else None, contiguous)


def _of_exported(node: Any) -> Signature | None:
    """Return the signature of a node of an exported graph."""
    if not isinstance(node.target, torch._ops.OpOverload):
        return None
    schema = node.target._schema.arguments
    passed = dict(zip((one.name for one in schema), node.args, strict=False)) | dict(node.kwargs)
    arguments = {
        name: found
        for name, value in passed.items()
        if isinstance(value, torch.fx.Node)
        and (found := _exported_type(value.meta.get("val"))) is not None
    }
    results = node.meta.get("val")
    results = results if isinstance(results, (list, tuple)) else (results,)
    return Signature(node.target, arguments, tuple(map(_exported_type, results)))


def _exported_type(value: Any) -> TensorType | None:
    """Return the type of a value of an exported graph, `None` when it is no tensor."""
    if not isinstance(value, torch.Tensor):
        return None
    sizes = tuple(
        size if isinstance(size, int) else getattr(size.node, "hint", None) for size in value.shape
    )
    known = all(isinstance(size, int) for size in sizes)
    contiguous = value.is_contiguous() if known else None
    begins = value.storage_offset() if known else None
    offset = begins if isinstance(begins, int) else None
    return TensorType(value.dtype, sizes if known else None, contiguous, offset)


class _Legible:
    """A node of TorchScript whose complex numbers can be read, too."""

    def __init__(self, node: Any) -> None:
        self._node = node

    def __getattr__(self, name: str) -> Any:
        return getattr(self._node, name)

    def kindOf(self, name: str) -> str:
        """Return the name of the getter of an attribute."""
        kind = self._node.kindOf(name)
        return "constant" if kind in WITHOUT_GETTER else kind

    def constant(self, name: str) -> Any:
        """Return a complex number, as a tensor: coremltools takes that."""
        return torch.tensor(self._node.output().toIValue(), dtype=torch.complex64)


class _StandIn(float):
    """What coremltools reads in the place of a complex number of an exported graph."""

    value: complex


def _with_stand_ins(node: Any) -> Any:
    """Return a node of an exported graph as coremltools can read it: it knows no complex number."""
    plain = [*node.args, *node.kwargs.values()]
    if not any(isinstance(one, complex) for one in plain):
        return node

    def change(value: Any) -> Any:
        if not isinstance(value, complex):
            return value
        stand_in = _StandIn(value.real)
        stand_in.value = value
        return stand_in

    return SimpleNamespace(
        target=node.target,
        name=node.name,
        meta=node.meta,
        args=tuple(map(change, node.args)),
        kwargs={name: change(value) for name, value in node.kwargs.items()},
    )


def _without_stand_ins(inputs: Any) -> Any:
    """Return inputs with the complex numbers themselves."""
    if isinstance(inputs, dict):
        return {name: _without_stand_ins(one) for name, one in inputs.items()}
    if isinstance(inputs, (list, tuple)):
        return type(inputs)(map(_without_stand_ins, inputs))
    return inputs.value if isinstance(inputs, _StandIn) else inputs


def follow() -> None:
    """Make coremltools note the signature of every node that it reads."""
    if getattr(InternalTorchIRNode, "notes_signatures", False):
        return
    traced = InternalTorchIRNode.from_torchscript_node.__func__
    exported = InternalTorchIRNode.from_exir_node.__func__

    def read_traced(cls: Any, node: Any, *arguments: Any, **named: Any) -> Any:
        """Stand in for coremltools' reading of a node of TorchScript."""
        made = traced(cls, _Legible(node), *arguments, **named)
        made.signature = _of_traced(node)
        return made

    def read_exported(cls: Any, node: Any, *arguments: Any, **named: Any) -> Any:
        """Stand in for coremltools' reading of an exported node."""
        made = exported(cls, _with_stand_ins(node), *arguments, **named)
        made.inputs = _without_stand_ins(made.inputs)
        made.kwinputs = _without_stand_ins(made.kwinputs)
        made.signature = _of_exported(node)
        return made

    InternalTorchIRNode.from_torchscript_node = classmethod(read_traced)
    InternalTorchIRNode.from_exir_node = classmethod(read_exported)
    InternalTorchIRNode.notes_signatures = True


def _constant(value: Any) -> Any:
    """Return a plain value as `__getitem__` returns it."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, torch.dtype):
        return mb.const(val=_number(value))
    if isinstance(value, (list, tuple)):
        kind = np.int32 if all(isinstance(one, int) for one in value) else np.float32
        return mb.const(val=np.array(value, kind))
    # A complex number is a pair of values already.
    return mb.const(val=value) if isinstance(value, (bool, int, float)) else value


def _number(dtype: torch.dtype) -> int:
    """Return coremltools' number of an element type."""
    return next(number for number, found in NUM_TO_TORCH_DTYPE.items() if found == dtype)


def torch_type(number: int) -> torch.dtype:
    """Return the element type of a number that TorchScript or coremltools has for it."""
    return torch.bfloat16 if number == 15 else NUM_TO_TORCH_DTYPE[number]


def _value(part: Any) -> Any:
    """Return the value of a constant, `None` of what is computed."""
    return part.val if isinstance(part, Var) else part


def _with_infinity(value: Any) -> Any:
    """Return a number of a traced graph as it was before coremltools replaced infinity."""
    if isinstance(value, float) and abs(value) >= np.float32(STAND_IN_FOR_INFINITY):
        finite = np.isfinite(value) and abs(value) != np.float32(STAND_IN_FOR_INFINITY)
        return value if finite else np.copysign(np.inf, value).item()
    return value


def _same(value: Any, default: Any) -> bool:
    """Return whether a value means the same as a default: PyTorch takes one number for a list of
    equal ones, and `False` for 0.
    """
    if isinstance(value, list) and not isinstance(default, (list, tuple)):
        return bool(value) and all(_same(one, default) for one in value)
    if isinstance(default, (list, tuple)) and not isinstance(value, list):
        return bool(default) and all(_same(value, one) for one in default)
    if isinstance(value, list) and isinstance(default, (list, tuple)):
        return len(value) == len(default) and all(map(_same, value, default))
    return value == default
