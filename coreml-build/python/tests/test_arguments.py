"""The arguments of a call by the names of its schema, in both captures."""

from __future__ import annotations

import coremltools as ct
import pytest
import torch

from coreml_driver.failures import Failure
from coreml_driver.translations import registry
from coreml_driver.translations.arguments import Arguments, note_read

SHAPE = (2, 6)


class Net(torch.nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x)


class Seen(Exception):
    """Ends a conversion at the node in question."""


def seen(kind, function, capture, read):
    """Convert `function` and return what `read` makes of the arguments of its node of `kind`."""
    found = []

    def watching(context, node):
        found.append(read(Arguments(context, node)))
        raise Seen

    registry.install()[kind] = watching
    module, example = Net(function).eval(), (torch.ones(SHAPE),)
    if capture == "trace":
        program = torch.jit.trace(module, example, check_trace=False)
        inputs = [ct.TensorType("x", SHAPE)]
    else:
        program = torch.export.export(module, example).run_decompositions({})
        inputs = None
    try:
        with pytest.raises(Seen):
            ct.convert(program, inputs=inputs, convert_to="milinternal")
    finally:
        registry.install()
    return found[0]


both = pytest.mark.parametrize("capture", ["trace", "export"])


@both
def test_positional_keyword_and_default(capture):
    function = lambda x: torch.cumsum(x, 1) + torch.add(x, x, alpha=3)  # noqa: E731
    read = lambda arguments: (  # noqa: E731
        arguments.axis("dim", 2),
        arguments.constant("dtype"),
        arguments.given("dim"),
        arguments.given("dtype"),
    )
    assert seen("cumsum", function, capture, read) == (1, None, True, False)
    alpha = lambda arguments: (arguments.constant("alpha"), arguments.given("alpha"))  # noqa: E731
    assert seen("add", lambda x: torch.add(x, x, alpha=3), capture, alpha) == (3, True)
    assert seen("add", lambda x: torch.add(x, x), capture, alpha) == (1, False)


@both
def test_strings_lists_and_types(capture):
    function = lambda x: torch.div(torch.floor(x), 2, rounding_mode="floor")  # noqa: E731
    # An exported graph has a result called `floor`, and the string is `floor` as well.
    mode = lambda arguments: arguments.constant("rounding_mode")  # noqa: E731
    assert seen("div", function, capture, mode) == "floor"
    axes = lambda arguments: (arguments.axes("dim", 2), arguments.constant("keepdim"))  # noqa: E731
    kind = "mean" if capture == "trace" else "mean.dim"
    assert seen(kind, lambda x: x.mean([0, 1], True), capture, axes) == ([0, 1], True)


@both
def test_element_types_of_arguments_and_results(capture):
    read = lambda arguments: (  # noqa: E731
        arguments.dtype_of("self"),
        arguments.dtype,
        arguments.result_type,
        arguments.signature.results[0].sizes,
    )
    expected = torch.float32, torch.bool, "bool", SHAPE
    assert seen("lt", lambda x: (x < 1).float(), capture, read) == expected


@both
def test_lists_of_tensors_and_none(capture):
    table = torch.tensor([1, 0])
    read = lambda arguments: [one is None for one in arguments["indices"]]  # noqa: E731
    assert seen("index", lambda x: x[:, table], capture, read) == [True, False]


@both
def test_infinity_stays_infinite(capture):
    read = lambda arguments: arguments.constant("value")  # noqa: E731
    function = lambda x: x.masked_fill(x > 1, float("-inf"))  # noqa: E731
    assert seen("masked_fill", function, capture, read) == float("-inf")


@both
def test_what_is_known_only_at_run_time_is_no_constant(capture):
    def read(arguments):
        with pytest.raises(Failure, match="not-constant"):
            arguments.constant("other")
        with pytest.raises(KeyError):
            arguments["no_such_argument"]
        return arguments.known("other"), arguments.known("alpha")

    assert seen("add", lambda x: x + x * 2, capture, read) == (False, True)


@both
def test_reads_are_noted(capture):
    def read(arguments):
        arguments["self"]
        note_read(arguments._node, "extra")
        return arguments._node.read_arguments

    assert seen("add", lambda x: x + 1, capture, read) == {"self", "extra"}
