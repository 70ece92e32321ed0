"""Where each operation of a package comes from: the path of its module, and the user's line where
it is known.

Owns: following PyTorch's scopes and stacks through coremltools. coremltools keeps, for each
operation, the name of the captured node that it was made of (`ScopeSource`); the node knows its
module and its line.
Must not: change a graph or a package.
Flow: `conversion` follows a conversion -> `convert.to_package` reads the finished program ->
`report`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from coremltools.converters.mil.frontend.torch.internal_graph import InternalTorchIRNode
from coremltools.converters.mil.mil.scope import ScopeSource

from coreml_driver import operators
from coreml_driver.failures import PythonLine, relative
from coreml_driver.lines import UserCode


@dataclass(frozen=True)
class Origin:
    """Where an operation comes from."""

    #: Path of the module, `encoder.layers.0.linear1`; empty for the user's module itself.
    module: str
    line: PythonLine | None

    def entry(self, root: Path) -> dict[str, Any]:
        """Return it as the report spells it. Parameters: `root` — that the file is relative to."""
        entry: dict[str, Any] = {"module": self.module}
        if self.line is not None:
            entry |= {"file": relative(self.line.file, root), "line": self.line.line}
        return entry


class Origins:
    """The origins of the operations of one function."""

    def __init__(self, program: Any, user_code: UserCode) -> None:
        """Parameters: `program` — the captured one, before coremltools has it in hands."""
        self._user_code = user_code
        self._program = program
        #: By the captured node.
        self.captured: dict[Any, Origin] = {}
        #: By the name of an operation's first output.
        self.operations: dict[str, Origin] = {}
        #: The captured node that each was made of: a name, or the number of an exported one.
        self.nodes: dict[str, Any] = {}

    @contextmanager
    def following(self) -> Iterator[None]:
        """Listen while coremltools reads the nodes of the captured graph: it works on a copy with
        names of its own.
        """
        if operators.is_export(self._program):
            for number, node in enumerate(self._program.graph.nodes):
                node.meta["debug_handle"] = number
                self.captured[number] = self._exported(node.meta)
            yield
            return
        original = InternalTorchIRNode.from_torchscript_node.__func__

        def read(cls: Any, node: Any, *arguments: Any, **named: Any) -> Any:
            """Stand in for coremltools' own reading of a node."""
            made = original(cls, node, *arguments, **named)
            # The captured graph is read first; a translation may read graphs of its own later,
            # whose names can be the same.
            self.captured.setdefault(made.name, self._traced(node))
            return made

        InternalTorchIRNode.from_torchscript_node = classmethod(read)
        try:
            yield
        finally:
            InternalTorchIRNode.from_torchscript_node = classmethod(original)

    def read(self, program: Any) -> None:
        """Read the origins of a finished program, coremltools' own."""
        for function in program.functions.values():
            self._read(function)

    def _read(self, block: Any) -> None:
        """Read a block, and those inside of it."""
        for operation in block.operations:
            names = operation.scopes.get(ScopeSource.TORCHSCRIPT_MODULE_NAME)
            names = names or operation.scopes.get(ScopeSource.EXIR_DEBUG_HANDLE) or [None]
            origin = self.captured.get(names[-1])
            if origin is not None and operation.outputs and operation.op_type != "const":
                self.operations[operation.outputs[0].name] = origin
                self.nodes[operation.outputs[0].name] = names[-1]
            for nested in operation.blocks:
                self._read(nested)

    def _traced(self, node: Any) -> Origin:
        """Return the origin of a node of TorchScript."""
        return Origin(operators.layer_of_traced(node), self._user_code.of_text(node.sourceRange()))

    def _exported(self, meta: Mapping[str, Any]) -> Origin:
        """Return the origin of an exported node."""
        return Origin(
            operators.layer_of_exported(meta), self._user_code.of_text(meta.get("stack_trace"))
        )
