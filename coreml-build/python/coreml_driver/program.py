"""An ML Program as coremltools' protobuf messages have it: walking through it, and renaming values.

Owns: what a function, a block and a value are.
Must not: judge what is found.
Flow: asked by `reread`, `states` and `report`; `canonical` renames.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from coremltools.proto import MIL_pb2, Model_pb2

#: The function of a package that is not multifunction.
MAIN = "main"


def block(function: MIL_pb2.Function) -> MIL_pb2.Block:
    """Return the only specialisation of a function: the driver converts for one target."""
    return next(iter(function.block_specializations.values()))


def main(specification: Model_pb2.Model) -> MIL_pb2.Function:
    """Return the program's main function."""
    return specification.mlProgram.functions[MAIN]


def block_operations(of: MIL_pb2.Block) -> Iterator[MIL_pb2.Operation]:
    """Yield all operations of a block, those of nested blocks included."""
    for operation in of.operations:
        yield operation
        for nested in operation.blocks:
            yield from block_operations(nested)


def operations(specification: Model_pb2.Model) -> Iterator[MIL_pb2.Operation]:
    """Yield all operations of the program."""
    for function in specification.mlProgram.functions.values():
        yield from block_operations(block(function))


def used(of: MIL_pb2.Block) -> set[str]:
    """Return the names of all values that the block's outputs depend on, or the states that it
    writes.
    """
    needed = set(of.outputs)
    for operation in reversed(of.operations):
        writes = operation.type == "write_state"
        if not writes and needed.isdisjoint(output.name for output in operation.outputs):
            continue
        for inner in (
            operation,
            *(nested for body in operation.blocks for nested in block_operations(body)),
        ):
            for argument in inner.inputs.values():
                needed.update(binding.name for binding in argument.arguments)
        for body in operation.blocks:
            needed.update(body.outputs)
    return needed


def rename(function: MIL_pb2.Function, names: Mapping[str, str]) -> None:
    """Rename values of a function; a value that has one of the new names already gets another.

    Parameters: `names` — old to new.
    """
    body = block(function)
    taken = {output.name for operation in block_operations(body) for output in operation.outputs}
    taken |= {value.name for value in function.inputs}
    everything = dict(names)
    for new in names.values():
        if new in taken and new not in names:
            other = f"{new}_value"
            while other in taken or other in names.values():
                other += "_"
            everything[new] = other
    for value in function.inputs:
        value.name = everything.get(value.name, value.name)
    _rename(body, everything)


def _rename(body: Any, names: Mapping[str, str]) -> None:
    """Rename values of a block and of the blocks inside it."""
    for value in body.inputs:
        value.name = names.get(value.name, value.name)
    body.outputs[:] = [names.get(name, name) for name in body.outputs]
    for operation in body.operations:
        for argument in operation.inputs.values():
            for binding in argument.arguments:
                if binding.WhichOneof("binding") == "name":
                    binding.name = names.get(binding.name, binding.name)
        for output in operation.outputs:
            output.name = names.get(output.name, output.name)
        for nested in operation.blocks:
            _rename(nested, names)
