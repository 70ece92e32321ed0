"""States as inputs and outputs: `states.mode = "io"`.

The package is converted with Core ML's states first, so that all that is known about lost writes
holds for it too. Then every state becomes an input, which each prediction is fed with what the
output of its partner was before.

Owns: the change of a finished program, and the note in its metadata that says which output belongs
to which input.
Must not: change what is computed.
Flow: `conversion`, after `states.check_package` -> `to_inputs_and_outputs`; `functions.join` keeps
the note.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from coremltools.proto import FeatureTypes_pb2, MIL_pb2, Model_pb2

from coreml_driver import canonical, program
from coreml_driver.failures import Failure

#: Begins the metadata key that lists a function's pairs as `INPUT=OUTPUT`, separated by blanks;
#: coreml-spec reads it.
NOTE = "coreml-rt.states."
#: What the output of a state is called after it.
ENDING = "_out"
#: The manifest key of the mode.
KEY = "states.mode"


def to_inputs_and_outputs(
    package: Path, specification: Model_pb2.Model, metadata: Mapping[str, str]
) -> None:
    """Change the package at `package`, whose specification is given, in place.

    Errors: `Failure` of kind `not-supported` for a state that a loop or a branch writes.
    """
    function, description = program.main(specification), specification.description
    block = program.block(function)
    shapes = {state.name: state.type.stateType.arrayType for state in description.state}
    current = _replace(block, list(shapes))
    taken = {value.name for value in function.inputs} | set(block.outputs)
    taken |= {
        output.name for operation in program.block_operations(block) for output in operation.outputs
    }
    notes = []
    for name, array in shapes.items():
        output = name + ENDING
        while output in taken:
            output += "_"
        taken.add(output)
        notes.append(f"{name}={output}")
        (value,) = (value for value in function.inputs if value.name == name)
        tensor = MIL_pb2.ValueType()
        tensor.CopyFrom(value.type.stateType.wrappedType)
        value.type.CopyFrom(tensor)
        _identity(block, current[name], output, tensor)
        for features, feature in ((description.input, name), (description.output, output)):
            described = features.add(name=feature)
            described.type.multiArrayType.CopyFrom(array)
            described.type.multiArrayType.dataType = FeatureTypes_pb2.ArrayFeatureType.FLOAT16
    del description.state[:]
    description.metadata.userDefined[NOTE + program.MAIN] = " ".join(notes)
    canonical.write(package, specification, metadata)


def _replace(block: MIL_pb2.Block, states: list[str]) -> dict[str, str]:
    """Take the operations of states out of a program; return the name of the value that each state
    has at the end.
    """
    current = {name: name for name in states}
    kept, names = [], {}
    for operation in block.operations:
        for inner in (one for body in operation.blocks for one in program.block_operations(body)):
            if inner.type in ("read_state", "write_state"):
                message = (
                    'A loop or a branch reads or writes a state, which `states.mode = "io"` '
                    "does not support yet."
                )
                raise Failure("not-supported", message, key=KEY)
        if operation.type == "read_state":
            names[operation.outputs[0].name] = current[_argument(operation, "input")]
            continue
        _rename(operation, names)
        if operation.type == "write_state":
            current[_argument(operation, "input")] = _argument(operation, "data")
            continue
        copy = MIL_pb2.Operation()
        copy.CopyFrom(operation)
        kept.append(copy)
    del block.operations[:]
    block.operations.extend(kept)
    # An output that only shows a state: it has its name from the operation that read it.
    for output in [name for name in block.outputs if name in names]:
        types = {value.name: value.type for operation in kept for value in operation.outputs}
        _identity(block, names[output], output, types[names[output]])
    return current


def _argument(operation: MIL_pb2.Operation, name: str) -> str:
    """Return the name of the value that an operation gets."""
    return operation.inputs[name].arguments[0].name


def _rename(operation: Any, names: Mapping[str, str]) -> None:
    """Rename what an operation gets, those inside of it included."""
    for one in (
        operation,
        *(inner for body in operation.blocks for inner in program.block_operations(body)),
    ):
        for argument in one.inputs.values():
            for binding in argument.arguments:
                if binding.WhichOneof("binding") == "name":
                    binding.name = names.get(binding.name, binding.name)
    for body in operation.blocks:
        body.outputs[:] = [names.get(name, name) for name in body.outputs]


def _identity(block: MIL_pb2.Block, value: str, output: str, kind: MIL_pb2.ValueType) -> None:
    """Give a value of the program another name, which is an output of it."""
    operation = block.operations.add(type="identity")
    operation.inputs["x"].arguments.add(name=value)
    operation.outputs.add(name=output).type.CopyFrom(kind)
    operation.attributes["name"].CopyFrom(_text(f"{output}_identity"))
    if output not in block.outputs:
        block.outputs.append(output)


def _text(text: str) -> MIL_pb2.Value:
    """Return a constant string, as coremltools writes the names of operations."""
    value = MIL_pb2.Value()
    value.type.tensorType.dataType = MIL_pb2.DataType.STRING
    value.immediateValue.tensor.strings.values.append(text)
    return value
