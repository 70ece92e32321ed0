"""A function of a specification as steps that can be executed.

Owns: what a step is, and when a value is needed for the last time.
Must not: read a weight or compute.
Flow: `execute` asks for the `Body` of a function -> steps with their arguments as names or
constants.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from coremltools.proto import MIL_pb2

from coreml_driver import program
from coreml_driver.proof.values import Constant, Declared, declared

#: Attributes that say nothing about what an operation computes.
IDLE_ATTRIBUTES = frozenset({"name"})

#: One thing that is bound to a parameter: the name of a value, or a constant.
Binding = str | Constant


@dataclass(frozen=True)
class Step:
    """One operation."""

    kind: str
    #: By parameter; several bindings for a parameter that takes several values.
    arguments: Mapping[str, tuple[Binding, ...]]
    outputs: tuple[str, ...]
    types: tuple[Declared, ...]
    #: Blocks inside it: branches, or the condition and the body of a loop.
    bodies: tuple[Body, ...] = ()
    #: Values that no later step of the same body needs.
    freed: tuple[str, ...] = ()


@dataclass(frozen=True)
class Body:
    """A block of operations."""

    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    steps: tuple[Step, ...]


@dataclass(frozen=True)
class Function:
    """A function of a program."""

    inputs: Mapping[str, Declared]
    #: Which of them are states.
    states: frozenset[str]
    body: Body
    constants: Mapping[str, Constant] = field(default_factory=dict)


def function(of: MIL_pb2.Function) -> Function:
    """Return a function of a specification."""
    constants: dict[str, Constant] = {}
    body = _body(program.block(of), (), constants)
    return Function(
        {value.name: declared(value.type) for value in of.inputs},
        frozenset(
            value.name for value in of.inputs if value.type.WhichOneof("type") == "stateType"
        ),
        body,
        constants,
    )


def _body(block: Any, inputs: tuple[str, ...], constants: dict[str, Constant]) -> Body:
    """Return a block; its constants go into `constants`."""
    steps = []
    for operation in block.operations:
        if operation.type == "const":
            name = operation.outputs[0].name
            constants[name] = Constant(operation.attributes["val"], name)
        else:
            steps.append(_step(operation, constants))
    own = {name for step in steps for name in step.outputs} | set(inputs)
    outputs = tuple(block.outputs)
    return Body(inputs, outputs, tuple(_freeing(steps, own - set(outputs), constants)))


def _step(operation: Any, constants: dict[str, Constant]) -> Step:
    """Return an operation."""
    arguments = {
        name: tuple(
            binding.name if binding.WhichOneof("binding") == "name" else Constant(binding.value)
            for binding in argument.arguments
        )
        for name, argument in operation.inputs.items()
    }
    for name, value in operation.attributes.items():
        if name not in IDLE_ATTRIBUTES:
            arguments[name] = (Constant(value),)
    return Step(
        operation.type,
        arguments,
        tuple(output.name for output in operation.outputs),
        tuple(declared(output.type) for output in operation.outputs),
        tuple(
            _body(inner, tuple(value.name for value in inner.inputs), constants)
            for inner in operation.blocks
        ),
    )


def _freeing(steps: list[Step], own: set[str], constants: Mapping[str, Constant]) -> Iterator[Step]:
    """Yield steps with what each is the last to need."""
    last: dict[str, int] = {}
    for number, step in enumerate(steps):
        # What nobody needs is freed at once.
        for name in (*step.outputs, *needed(step)):
            last[name] = number
    freed: dict[int, list[str]] = {}
    for name, number in last.items():
        if name in own and name not in constants:
            freed.setdefault(number, []).append(name)
    for number, step in enumerate(steps):
        yield Step(
            step.kind,
            step.arguments,
            step.outputs,
            step.types,
            step.bodies,
            tuple(freed.get(number, ())),
        )


def needed(step: Step) -> Iterator[str]:
    """Yield the names of all values that a step reads, those of its blocks included."""
    for bindings in step.arguments.values():
        yield from (binding for binding in bindings if isinstance(binding, str))
    for body in step.bodies:
        yield from body.outputs
        for inner in body.steps:
            yield from needed(inner)


def steps(body: Body) -> Iterator[Step]:
    """Yield all steps of a body, those of its blocks included."""
    for step in body.steps:
        yield step
        for inner in step.bodies:
            yield from steps(inner)
