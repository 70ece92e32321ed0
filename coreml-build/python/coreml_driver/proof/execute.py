"""Executes a function of a model package, operation by operation.

Owns: the values that are alive, their rounding, and control over blocks.
Must not: compare anything, or compute what an operation means (`kernels`).
Flow: `prove` -> `Executable.run` for each prediction -> the outputs by name.

Weights are views of the mapped file and are widened for one operation at a time; a result is
forgotten with its last use.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from coremltools.proto import MIL_pb2

from coreml_driver.proof.blobs import Blobs
from coreml_driver.proof.kernels import KERNELS, REASONS, SEVERAL, Context, Unproved
from coreml_driver.proof.originals import matching
from coreml_driver.proof.reading import Body, Function, Step, function, steps
from coreml_driver.proof.values import (
    KEPT_ELEMENTS,
    Constant,
    Declared,
    Originals,
    Precision,
    Value,
)


class Broken(Exception):
    """A step that cannot be executed: the program is at fault, or its inputs are."""

    def __init__(self, step: Step, error: Exception) -> None:
        """Parameters: `error` — what the kernel raised."""
        words = str(error).strip().partition("\n")[0] or type(error).__name__
        super().__init__(f"`{step.kind}` fails: {words}")
        self.step = step


#: Called with each step, its results as soon as they are there, and what it got by parameter.
Watcher = Callable[[Step, Sequence[Value], Mapping[str, Value]], None]


class Executable:
    """A function that can be executed as often as wanted."""

    def __init__(
        self,
        source: MIL_pb2.Function,
        blobs: Blobs,
        kept: Sequence[Any] = (),
    ) -> None:
        """Parameters: `blobs` — of the package; `kept` — numbers that constants of half precision
        may have been rounded from, which an execution in single precision computes with.
        """
        self.function: Function = function(source)
        self.blobs = blobs
        self.originals: Originals = matching(self.function.constants, kept, blobs)
        #: What stands in for the results of steps, by the name of the first one.
        self.replaced: dict[str, Callable[[Precision], Value]] = {}
        self._kept: dict[tuple[int, bool], Value] = {}

    def unproved(self) -> dict[str, str]:
        """Return the operations of the function that cannot be evaluated, each with the reason."""
        return {
            step.kind: REASONS.get(step.kind, "no kernel is known for it")
            for step in steps(self.function.body)
            if step.kind not in KERNELS
        }

    def run(
        self,
        inputs: Mapping[str, torch.Tensor],
        states: dict[str, torch.Tensor] | None = None,
        *,
        precision: Precision,
        watcher: Watcher | None = None,
        seed: int = 0,
    ) -> dict[str, Value]:
        """Execute it once.

        Parameters: `inputs` — by name, all that are no states; `states` — their values, changed in
        place; `watcher` — sees every step;
        `seed` — of random operations.
        Returns: the outputs by name.
        Errors: `Unproved`, `Broken`.
        """
        own = states if states is not None else {}
        return Execution(self, own, precision, watcher, seed).run(inputs)

    def alone(self, step: Step, value: Callable[[str], torch.Tensor]) -> dict[str, torch.Tensor]:
        """Return the results of one step in single precision, by name.

        Parameters: `value` — gives what is no constant.
        """
        execution = Execution(self, {}, Precision.SINGLE, None, 0)
        names = [
            one for bindings in step.arguments.values() for one in bindings if isinstance(one, str)
        ]
        for name in names:
            if name not in self.function.constants:
                execution.give(name, value(name))
        return dict(zip(step.outputs, execution.take(step), strict=True))

    def constant(self, constant: Constant, precision: Precision) -> Value:
        """Return the value of a constant."""
        single = precision is Precision.SINGLE
        original = self.originals.get(constant.name) if single else None
        if constant.elements > KEPT_ELEMENTS:
            return constant.read(self.blobs, original)
        key = (id(constant), single)
        if key not in self._kept:
            self._kept[key] = constant.read(self.blobs, original)
        return self._kept[key]


class Execution:
    """One execution."""

    def __init__(
        self,
        executable: Executable,
        states: dict[str, torch.Tensor],
        precision: Precision,
        watcher: Watcher | None,
        seed: int,
    ) -> None:
        """Begin with no values."""
        self._executable = executable
        self._watcher = watcher
        self._values: dict[str, Value] = {}
        self.states = states
        self.precision = precision
        self.random = torch.Generator().manual_seed(seed)

    def run(self, inputs: Mapping[str, torch.Tensor]) -> dict[str, Value]:
        """Execute the function's body."""
        function = self._executable.function
        for name, kind in function.inputs.items():
            if name not in function.states:
                self._values[name] = kind.settle(inputs[name], self.precision)
        outputs = self.enter(function.body, ())
        return dict(zip(function.body.outputs, outputs, strict=True))

    def enter(self, body: Body, arguments: Sequence[Value]) -> list[Value]:
        """Execute a block.

        Returns: the block's outputs.
        """
        self._values.update(zip(body.inputs, arguments, strict=True))
        for step in body.steps:
            self.take(step)
            for name in step.freed:
                del self._values[name]
        return [self.value(name) for name in body.outputs]

    def give(self, name: str, value: Value) -> None:
        """Set a value that no step computes."""
        self._values[name] = value

    def take(self, step: Step) -> list[Value]:
        """Execute one step; return its results."""
        if step.outputs and step.outputs[0] in self._executable.replaced:
            given = self._executable.replaced[step.outputs[0]](self.precision)
            self._values[step.outputs[0]] = given
            return [given]
        kernel = KERNELS.get(step.kind)
        if kernel is None:
            raise Unproved(f"`{step.kind}`: {REASONS.get(step.kind, 'no kernel is known for it')}")
        arguments = {
            name: [self.value(one) for one in bindings]
            if len(bindings) != 1 or name in SEVERAL
            else self.value(bindings[0])
            for name, bindings in step.arguments.items()
        }
        context = (Context(step, self),) if kernel.situated else ()
        try:
            results = kernel.compute(*context, **arguments)
        except (Unproved, Broken) as error:
            known = isinstance(error, Broken) or step.bodies
            raise error if known else Unproved(f"`{step.kind}`: {error}") from error
        except Exception as error:
            if isinstance(error, TypeError) and "unexpected keyword argument" in str(error):
                raise Unproved(f"`{step.kind}`: {error}") from error
            raise Broken(step, error) from error
        results = results if isinstance(results, (tuple, list)) else (results,)
        settled = [
            self._settle(value, kind) for value, kind in zip(results, step.types, strict=True)
        ]
        self._values.update(zip(step.outputs, settled, strict=True))
        if self._watcher is not None:
            self._watcher(step, settled, arguments)
        return settled

    def _settle(self, value: Value, kind: Declared) -> Value:
        """Return a result as the program stores it."""
        if isinstance(value, torch.Tensor) and not kind.is_list:
            return kind.settle(value, self.precision)
        return value

    def value(self, binding: str | Constant) -> Any:
        """Return what is bound to a parameter."""
        if isinstance(binding, str):
            if binding in self._values:
                return self._values[binding]
            constant = self._executable.function.constants.get(binding)
            if constant is None and binding in self._executable.function.states:
                return StateName(binding)
            binding = self._executable.function.constants[binding]
        return self._executable.constant(binding, self.precision)


class StateName(str):
    """The name of a state, which is the value that an operation on it gets."""
