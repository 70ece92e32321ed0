"""Flexible shapes: ranges, enumerated shapes, shared symbols, and what a capture bakes in."""

from __future__ import annotations

import json

import pytest
import safetensors.numpy
import torch

from coreml_driver import program, shapes, symbols
from coreml_driver.features import Input, Range
from tests.executed import execute, made
from tests.test_failures import module, returning


def ranged(low=1, high=8, default=4, **more):
    return {"min": low, "max": high, "default": default} | more


def one(*shape, dtype="float32", **more):
    return {"x": {"shape": list(shape), "dtype": dtype} | more}


def sizes(outcome):
    """Return the ranges or the enumerated shapes of the first input in the package."""
    array = outcome.specification.description.input[0].type.multiArrayType
    if array.enumeratedShapes.shapes:
        return [list(shape.shape) for shape in array.enumeratedShapes.shapes]
    return [(size.lowerBound, size.upperBound) for size in array.shapeRange.sizeRanges]


def sampled(outcome, key="in/x"):
    """Return the shapes of the samples."""
    files = sorted((outcome.output / "samples").iterdir())
    return [list(safetensors.numpy.load_file(file)[key].shape) for file in files]


LINEAR = module("return self.linear(x).softmax(-1)", "self.linear = nn.Linear(3, 5)")


@pytest.mark.parametrize("capture", ["trace", "export"])
def test_ranges(package, capture):
    outcome = package.convert(
        LINEAR, inputs=one(1, ranged(), 3), capture=capture, parity={"samples": 3}
    )
    array = outcome.specification.description.input[0].type.multiArrayType
    assert list(array.shape) == [1, 4, 3]
    assert sizes(outcome) == [(1, 1), (1, 8), (3, 3)]
    assert sampled(outcome) == [[1, 4, 3], [1, 1, 3], [1, 6, 3]]
    assert sampled(outcome, "out/output") == [[1, 4, 5], [1, 1, 5], [1, 6, 5]]
    assert list(outcome.specification.description.output[0].type.multiArrayType.shape) == []


@pytest.mark.parametrize("capture", ["trace", "export"])
def test_enumerated_shapes(package, capture):
    inputs = {"x": {"shapes": [[1, 6, 3], [1, 2, 3], [1, 9, 3]]}}
    outcome = package.convert(LINEAR, inputs=inputs, capture=capture, parity={"samples": 3})
    assert sorted(sizes(outcome)) == [[1, 2, 3], [1, 6, 3], [1, 9, 3]]
    assert list(outcome.specification.description.input[0].type.multiArrayType.shape) == [1, 6, 3]
    assert sampled(outcome) == [[1, 6, 3], [1, 2, 3], [1, 9, 3]]


def test_two_enumerated_inputs_pair_by_position(package):
    inputs = {"a": {"shapes": [[1, 4], [1, 2]]}, "b": {"shapes": [[1, 4], [1, 2]]}}
    outcome = package.convert(
        returning("a.relu() + b", "a, b"), inputs=inputs, parity={"samples": 2}
    )
    assert sampled(outcome, "in/a") == sampled(outcome, "in/b") == [[1, 4], [1, 2]]


@pytest.mark.parametrize("capture", ["trace", "export"])
def test_a_symbol_is_shared_between_inputs(package, capture):
    size = ranged(symbol="T")
    inputs = {"a": {"shape": [1, size]}, "b": {"shape": [1, size]}}
    outcome = package.convert(returning("a.relu() + b", "a, b"), inputs=inputs, capture=capture)
    assert sizes(outcome) == [(1, 1), (1, 8)]


def test_sizes_that_must_be_equal_need_a_symbol(package):
    inputs = {"a": {"shape": [1, ranged()]}, "b": {"shape": [1, ranged()]}}
    failed = package.convert(returning("a.relu() + b", "a, b"), inputs=inputs).failed
    assert failed["kind"] == "unequal-shapes" and "`a` [1, 4], `b` [1, 3]" in failed["message"]
    assert "symbol" in failed["advice"][0]


def test_what_follows_the_shape_is_converted(package):
    source = module(
        "mask = torch.arange(x.shape[1])[None, :] < 3\nx = x.reshape(x.shape[0], -1, 3)\n"
        "return (x * mask[..., None]).transpose(1, 2).flatten(1)"
    )
    outcome = package.convert(source, inputs=one(2, ranged(), 3), capture="trace")
    assert sizes(outcome) == [(2, 2), (1, 8), (3, 3)]


#: name -> (forward, init)
BAKED = {
    "reshape to numbers": ("return x.reshape(4, 3)[None].relu()", "pass"),
    "int of a size": (
        "n = int(x.shape[1])\nreturn x.relu() * torch.arange(n)[None, :, None]",
        "pass",
    ),
    "branch on a size": ("return x * 2 if x.shape[1] > 3 else x * 3", "pass"),
    "loop over a size": ("for i in range(x.shape[1]):\n    x = x + i\nreturn x", "pass"),
    "length in a division": ("return x / len(x[0])", "pass"),
    "size read before": (
        "n = x.shape[1]\nreturn x + torch.ones(n + 0.0 if n < 0 else 4)[:, None]",
        "pass",
    ),
}


@pytest.mark.parametrize("name", BAKED)
def test_a_size_that_is_baked_in_is_an_error(package, name):
    body, init = BAKED[name]
    failed = package.convert(module(body, init), inputs=one(1, ranged(), 3), capture="trace").failed
    assert failed["kind"] in ("baked-shape", "wrong-shape"), failed
    assert "`x` [1, " in failed["message"] and failed["advice"], failed


def test_an_export_that_holds_for_one_size_alone_is_an_error(package):
    source = module("return x * 2 if x.shape[1] > 3 else x * 3")
    failed = package.convert(source, inputs=one(1, ranged(), 3), capture="export").failed
    assert (failed["kind"], failed["key"]) == ("baked-shape", "inputs"), failed
    assert "x_1" in failed["message"]


def test_a_shape_that_forward_does_not_take_stands_at_the_inputs(package):
    source = "def make():\n    return nn.Conv1d(3, 4, 3)\n"
    failed = package.convert(source, inputs={"input": {"shape": [1, 3, ranged()]}}).failed
    assert (failed["kind"], failed["key"]) == ("wrong-shape", "inputs")
    assert "`input` [1, 3, 1]" in failed["message"] and "`min`" in failed["advice"][0]
    assert package.convert(source, inputs={"input": {"shape": [1, 3, ranged(3)]}}).converted


def test_an_output_whose_rank_follows_the_shape_is_refused(package):
    failed = package.convert(
        module("return x.squeeze(1) * 2"), inputs=one(1, ranged(), 3), capture="trace"
    ).failed
    assert failed["kind"] == "rank"


def test_two_ranges_through_a_network(package):
    source = """
    def make():
        torch.manual_seed(0)
        head = nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2)
        return nn.Sequential(nn.Conv2d(3, 4, 3, 2, 1), nn.ReLU(), *head)
    """
    inputs = {"input": {"shape": [1, 3, ranged(8, 32, 16), ranged(8, 32, 16)]}}
    outcome = package.convert(source, inputs=inputs)
    assert sizes(outcome) == [(1, 1), (3, 3), (8, 32), (8, 32)]
    output = outcome.specification.description.output[0]
    assert output.name == "output"


def test_flexible_states(package):
    source = """
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.register_buffer("total", torch.zeros(1, 3))
        def forward(self, x):
            self.total += x.sum(1)
            return self.total + x.mean(1)
    def make():
        return Net()
    """
    outcome = package.convert(
        source, inputs=one(1, ranged(), 3), states={"total": {"shape": [1, 3]}}
    )
    assert [operation.type for operation in program.operations(outcome.specification)].count(
        "write_state"
    ) == 1


def test_flexible_shapes_are_deterministic(package):
    for inputs in (one(1, ranged(), 3), {"x": {"shapes": [[1, 6, 3], [1, 2, 3], [1, 9, 3]]}}):
        first, second = (package.convert(LINEAR, inputs=inputs) for _ in range(2))
        assert first.digest == second.digest


def test_choices():
    def declare(name, dimensions, enumerated=()):
        return Input(name, dimensions, enumerated, "float32", None, None, None)

    fixed = declare("f", (2, 3))
    free = declare("a", (1, Range(1, 9, 5, None)))
    named = declare("b", (Range(1, 9, 5, "T"),)), declare("c", (Range(1, 9, 5, "T"),))
    assert shapes.choices([fixed]) == [((2, 3),)]
    assert shapes.choices([free]) == [((1, 5),), ((1, 1),), ((1, 7),), ((1, 9),)]
    assert shapes.choices(named) == [((5,), (5,)), ((1,), (1,)), ((7,), (7,)), ((9,), (9,))]
    assert shapes.unequal(named) is None and shapes.unequal([free]) is None
    assert shapes.unequal([free, *named]) == ((1, 5), (4,), (4,))
    several = declare("d", (9,), ((9,), (1,), (4,), (16,)))
    assert shapes.choices([several]) == [((9,),), ((1,),), ((16,),), ((4,),)]
    assert (
        len(shapes.choices([declare("e", (1,), tuple((n,) for n in range(1, 40)))]))
        == shapes.MOST_CHOICES
    )


T = {"min": 1, "max": 8, "default": 4, "symbol": "T"}


def listed(outcome, function="main"):
    """Return what the package says about equal sizes: name, inputs, outputs."""
    note = outcome.specification.description.metadata.userDefined.get(symbols.NOTE + function, "[]")

    def places(one, side):
        return [(place["feature"], place["axis"]) for place in one[side]]

    return [
        (one.get("name"), places(one, "inputs"), places(one, "outputs")) for one in json.loads(note)
    ]


@pytest.mark.parametrize("capture", ["trace", "export"])
def test_the_package_says_which_sizes_are_equal(package, capture):
    source = returning(
        "x[..., None] * m[..., None], x.sum(1, keepdim=True), y * 2, x[:, :, None] * y[:, None]",
        "x, m, y",
    )
    inputs = {"x": {"shape": [2, T]}, "m": {"shape": [2, T]}, "y": {"shape": [2, ranged(2, 6)]}}
    outcome = package.convert(source, inputs=inputs, capture=capture)
    assert listed(outcome) == [
        ("T", [("x", 1), ("m", 1)], [("output", 1), ("output_3", 1)]),
        (None, [("y", 1)], [("output_2", 1), ("output_3", 2)]),
    ]


@pytest.mark.parametrize(
    "expression", ["x[:, ::2]", "F.pad(x, (0, 1))", "x.repeat(1, 2)", "x.sum(1)"]
)
def test_another_size_is_not_called_equal(package, expression):
    assert listed(package.convert(returning(expression), inputs=one(2, ranged()))) == []


def test_equal_sizes_of_fixed_shapes_are_not_noted(package):
    assert listed(package.convert(returning("x + 1"), inputs=one(2, 3))) == []
    inputs = {"x": {"shapes": [[1, 6], [1, 2]]}}
    assert listed(package.convert(returning("x + 1"), inputs=inputs)) == []


def test_a_size_that_was_not_seen_at_its_bounds_is_not_called_equal():
    """Too large a shape is not run: an output may have another size there."""
    sizes = Range(1, 8, 4, None)
    inputs = [Input("x", (sizes,), (), "float32", None, None, None)]
    for runs, outputs in (([4, 1, 8], (("y", 0),)), ([4, 1, 6], ())):
        seen = [(((size,),), (torch.zeros(size),)) for size in runs]
        found = symbols.find(inputs, ["y"], seen)
        assert [symbol.outputs for symbol in found] == ([outputs] if outputs else [])


#: What is computed along an axis of a size that only a run knows: the elements above 0.
COUNTED = {
    "expand": "return torch.ones(1, 3).expand(y.shape[0], 3) * y",
    "scatter": (
        "index = torch.arange(y.shape[0]).flip(0).unsqueeze(1).expand(y.shape[0], 3)\n"
        "return torch.zeros(y.shape[0], 3).scatter(0, index, y)"
    ),
    "scatter of a part": (
        "index = torch.where(y[:, 0] > 1)[0].unsqueeze(1).expand(-1, 3)\n"
        "return torch.zeros(y.shape[0], 3).scatter(0, index, y * 2) + y"
    ),
    "split": "one, two = y.split([y.shape[0] - 2, 2])\nreturn torch.cat((two * 3, one))",
    "split into one": "return y.split([y.shape[0]])[0] * 2",
}


@pytest.mark.parametrize("name", COUNTED)
def test_sizes_that_only_a_run_knows(package, name):
    source = module(f"y = x[x[:, 0] > 0]\n{COUNTED[name]}")
    outcome = package.convert(
        source, inputs=one(16, 3), capture="trace", compute_precision="float32"
    )
    assert outcome.report["proof"]["main"]["samples"]
    for seed in range(3):
        x = torch.randn(16, 3, generator=torch.Generator().manual_seed(seed))
        with torch.no_grad():
            expected = made(outcome)(x)
        torch.testing.assert_close(execute(outcome, x)[0], expected)
