"""The values inside a captured graph: every node of it is run by itself.

Owns: an interpreter of traced graphs as coremltools reads them, and of exported ones.
Must not: change a graph; compare.
Flow: a proof has failed -> `Graph.run` -> `blame` compares them with the program's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from coremltools.converters.mil.frontend.torch.torchscript_utils import _expand_and_optimize_ir

from coreml_driver import operators

#: What identifies a node of a captured graph: its name if it was traced, its number if exported.
Key = str | int
#: Takes a node's key, the operation that it is, its results, and the nodes that it gets.
Seen = Callable[[Key, str, Sequence[Any], Sequence[Key]], None]


class Graph:
    """A captured graph that is run for predictions in a row."""

    def __init__(self, program: Any) -> None:
        """Parameters: `program` — a `ScriptModule` or an `ExportedProgram`."""
        self._program = program
        self._exported = operators.is_export(program)
        if self._exported:
            given = {**dict(program.state_dict), **dict(program.constants)}
            # Buffers of an exported program are inputs and outputs of its graph.
            self._state = {
                name: value.clone() if isinstance(value, torch.Tensor) else value
                for name, value in given.items()
            }

    def run(self, inputs: Sequence[torch.Tensor], seen: Seen) -> None:
        """Run it once and show the values of its nodes.

        Parameters: `inputs` — as the graph takes them.
        """
        if self._exported:
            self._run_exported(inputs, seen)
            return
        # Made flat as coremltools makes it, which names its nodes.
        graph, parameters, _ = _expand_and_optimize_ir(self._program)
        ports = [port.debugName() for port in graph.inputs()]
        values = dict(zip(ports, [self._program, *inputs], strict=True))
        _Interpreter(values, parameters, seen).run(graph)

    def _run_exported(self, inputs: Sequence[torch.Tensor], seen: Seen) -> None:
        """Run an exported graph."""
        program, state = self._program, self._state
        given = iter(inputs)
        arguments = [
            state[one.target] if one.target in state else next(given)
            for one in program.graph_signature.input_specs
        ]
        numbers = {node: number for number, node in enumerate(program.graph.nodes)}

        class Shown(torch.fx.Interpreter):
            """Shows each node's result."""

            def run_node(self, n: torch.fx.Node) -> Any:
                """Run one node."""
                result = super().run_node(n)
                several = isinstance(result, (tuple, list))
                key = n.meta.get("debug_handle", numbers[n])
                got = [one.meta.get("debug_handle", numbers[one]) for one in n.all_input_nodes]
                seen(key, str(n.target), list(result) if several else [result], got)
                return result

        results = Shown(program.graph_module).run(*arguments)
        for one, result in zip(program.graph_signature.output_specs, results, strict=True):
            if one.target in state:
                state[one.target] = result.clone()


class _Interpreter:
    """Runs blocks of TorchScript."""

    def __init__(
        self, values: dict[str, Any], parameters: Mapping[str, torch.Tensor], seen: Seen
    ) -> None:
        """Parameters: `values` — by name, those that there are already; `parameters` — by the name
        of the node that reads each.
        """
        self._values = values
        self._parameters = parameters
        self._seen = seen

    def run(self, block: Any) -> list[Any]:
        """Run a block; return its outputs."""
        for node in block.nodes():
            results = self._node(node)
            for output, value in zip(node.outputs(), results, strict=True):
                self._values[output.debugName()] = value
                if isinstance(value, torch.Tensor) or _holds_tensors(value):
                    shown = list(value) if isinstance(value, (list, tuple)) else [value]
                    got = [one.debugName() for one in node.inputs()]
                    self._seen(output.debugName(), node.kind(), shown, got)
        return [self._values[output.debugName()] for output in block.outputs()]

    def _node(self, node: Any) -> list[Any]:
        """Run one node; return its results."""
        kind = node.kind()
        arguments = [self._values[one.debugName()] for one in node.inputs()]
        if kind == "prim::Constant":
            return [node.output().toIValue()]
        if kind == "prim::GetAttr":
            own = self._parameters.get(node.output().debugName())
            return [getattr(arguments[0], node.s("name")) if own is None else own]
        if kind in ("prim::ListConstruct", "prim::TupleConstruct"):
            return [arguments if kind == "prim::ListConstruct" else tuple(arguments)]
        if kind in ("prim::ListUnpack", "prim::TupleUnpack"):
            return list(arguments[0])
        if kind == "prim::If":
            taken, other = node.blocks()
            return self.run(taken if arguments[0] else other)
        if kind == "prim::Loop":
            return self._loop(node, arguments)
        if kind == "prim::NumToTensor":
            return [torch.tensor(arguments[0])]
        if kind in ("aten::Int", "aten::Float", "aten::Bool", "aten::ScalarImplicit"):
            value = arguments[0]
            makers = {"aten::Int": int, "aten::Float": float, "aten::Bool": bool}
            number = value.item() if isinstance(value, torch.Tensor) else value
            return [makers.get(kind, lambda same: same)(number)]
        if kind == "prim::ConstantChunk":
            return list(torch.chunk(arguments[0], node.i("chunks"), node.i("dim")))
        schema = node.schema()
        if "::" not in schema:
            raise NotImplementedError(f"the node `{kind}` of a traced graph")
        operation, _ = torch._C._jit_get_operation(kind)
        row, named = _by_schema(schema, arguments)
        result = operation(*row, **named)
        count = node.outputsSize()
        return [result] if count == 1 else list(result) if count else []

    def _loop(self, node: Any, arguments: list[Any]) -> list[Any]:
        """Run a loop."""
        (body,) = node.blocks()
        most, proceed, *carried = arguments
        ports = [port.debugName() for port in body.inputs()]
        for turn in range(most):
            if not proceed:
                break
            self._values.update(zip(ports, [turn, *carried], strict=True))
            proceed, *carried = self.run(body)
        return carried


def _holds_tensors(value: Any) -> bool:
    """Return whether a value is a row of tensors."""
    return (
        isinstance(value, (list, tuple))
        and bool(value)
        and all(isinstance(one, torch.Tensor) for one in value)
    )


def _by_schema(schema: str, arguments: list[Any]) -> tuple[list[Any], dict[str, Any]]:
    """Return arguments by position, and those that are only known by name."""
    parsed = torch._C.parse_schema(schema).arguments
    pairs = list(zip(parsed, arguments, strict=False))
    return (
        [value for one, value in pairs if not one.kwarg_only],
        {one.name: value for one, value in pairs if one.kwarg_only},
    )
