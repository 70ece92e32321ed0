"""Several functions in one package: shared weights, samples of each, and what is refused."""

from __future__ import annotations

import copy

import safetensors.numpy

from tests.test_shapes import listed

SHARING = """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.first, self.second = nn.Linear(64, 256), nn.Linear(256, 64)

    def forward(self, x):
        return self.second(self.first(x).relu())


class Step(Net):
    def __init__(self):
        super().__init__()
        self.register_buffer("total", torch.zeros(1, 64))

    def forward(self, x):
        self.total[:] = self.total + x
        return super().forward(x) + self.total


def whole():
    return Net()


def step():
    return Step()


class Bad(nn.Module):
    def forward(self, x):
        return x * 2 if x.sum() > 1e9 else torch.igamma(x, x)  # here


def bad():
    return Bad()
"""


def function(entry: str, shape: list, **more) -> dict:
    """Return a function's table."""
    source = {"file": "python/model.py", "entry": entry, "args": {}}
    return {
        "source": source,
        "inputs": {"x": {"shape": shape, "dtype": "float32"}},
        "outputs": {"y": {}},
    } | more


STATES = {"states": {"total": {"shape": [1, 64], "dtype": "float16"}}}
BOTH = {"prefill": function("whole", [8, 64]), "step": function("step", [1, 64], **STATES)}


def convert(package, text, functions, default="step", /, **changes):
    """Convert a package of several functions."""
    base = package.table

    def table(**more):
        found = base(**more)
        for key in ("source", "inputs", "outputs", "capture"):
            found.pop(key)
        return found | {"functions": functions, "default-function": default}

    package.table = table
    try:
        return package.convert(text, **changes)
    finally:
        package.table = base


def size(outcome) -> int:
    """Return the bytes of the weights."""
    return outcome.report["bytes"]["weights"]


def test_two_functions_share_their_weights_and_keep_their_samples(package):
    joined = convert(
        package, SHARING, BOTH, parity={"samples": 2, "steps": 3}, metadata={"author": "me"}
    )
    description = joined.specification.description
    assert [function.name for function in description.functions] == ["prefill", "step"]
    assert description.defaultFunctionName == "step"
    assert description.metadata.author == "me"
    assert [list(f.input[0].type.multiArrayType.shape) for f in description.functions] == [
        [8, 64],
        [1, 64],
    ]
    assert [len(f.state) for f in description.functions] == [0, 1]
    samples = {
        path.name: set(safetensors.numpy.load_file(path))
        for path in (joined.output / "samples").iterdir()
    }
    assert sorted(samples) == [
        f"{name}.{i}.safetensors" for name in ("prefill", "step") for i in (0, 1)
    ]
    assert samples["prefill.0.safetensors"] == {"in/x", "out/y"}
    assert {"step2/in/x", "final_state/total"} <= samples["step.1.safetensors"]
    assert {path.name for path in joined.output.iterdir()} == {
        "model.mlpackage",
        "samples",
        "report.json",
    }
    assert joined.report["capture"]["prefill"]["method"] == "trace"
    alone = package.convert(
        SHARING, source=BOTH["prefill"]["source"], inputs=BOTH["prefill"]["inputs"]
    )
    assert size(joined) < 1.1 * size(alone)


def test_the_same_functions_give_the_same_bytes(package):
    first, second = (convert(package, SHARING, BOTH) for _ in range(2))
    assert first.digest == second.digest


def test_flexible_shapes_and_compressed_weights_survive_the_joining(package):
    ranged = {"min": 1, "max": 16, "default": 4}
    functions = {
        "a": function("whole", [ranged, 64]),
        "b": function("whole", [2, 64], capture="export"),
    }
    quantize = {
        "weights": "int8",
        "mode": "linear-symmetric",
        "per": "channel",
        "weight-threshold": 2048,
    }
    joined = convert(package, SHARING, functions, "b", quantize=quantize)
    first, second = joined.specification.description.functions
    assert [
        size.upperBound for size in first.input[0].type.multiArrayType.shapeRange.sizeRanges
    ] == [16, 64]
    assert not second.input[0].type.multiArrayType.shapeRange.sizeRanges
    assert joined.report["compressed-weights"] == {"constexpr_blockwise_shift_scale": 4}
    assert size(joined) < 2 * 64 * 256 * 1.2
    assert joined.report["capture"]["b"]["method"] == "export"


def test_an_operation_of_one_function_may_stay_in_float32(package):
    mixed = {"float32-ops": ["relu"], "float32-outputs": []}
    extra = "\ndef plain():\n    return nn.Linear(64, 64)\n"
    functions = {"a": function("whole", [2, 64]), "b": function("plain", [2, 64])}
    functions["b"]["inputs"] = {"input": functions["b"]["inputs"]["x"]}
    assert convert(package, SHARING + extra, functions, "b", compute_precision=mixed).converted
    mixed = {"float32-ops": ["tan"], "float32-outputs": []}
    failed = convert(package, SHARING + extra, functions, "b", compute_precision=mixed).failed
    assert (failed["kind"], failed["key"]) == ("wrong-op-selector", "compute-precision.float32-ops")


def test_a_failure_names_the_function(package):
    functions = copy.deepcopy(BOTH) | {"bad": function("bad", [1, 64])}
    failed = convert(package, SHARING, functions).failed
    assert failed["key"].startswith("functions.bad")
    functions["bad"] = function("whole", [1, 63])
    failed = convert(package, SHARING, functions).failed
    assert failed["key"].startswith("functions.bad")
    assert failed["inputs"] == ["python/model.py"]


def test_what_does_not_go_with_functions_is_refused(package):
    functions = copy.deepcopy(BOTH)
    failed = convert(package, SHARING, functions, "other").failed
    assert (failed["kind"], failed["key"]) == ("wrong-manifest", "default-function")
    failed = convert(package, SHARING, functions, classifier={"labels": ["a"]}).failed
    assert (failed["kind"], failed["key"]) == ("not-supported", "classifier")
    functions["step"]["quantize"] = {}
    failed = convert(package, SHARING, functions).failed
    assert (failed["kind"], failed["key"]) == ("wrong-manifest", "functions.step.quantize")


def test_functions_keep_what_is_said_of_their_sizes(package):
    sizes = {"min": 1, "max": 8, "default": 4}
    one = function("whole", [sizes, 64])
    two = function("whole", [sizes | {"min": 2}, 64])
    outcome = convert(package, SHARING, {"prefill": one, "step": two})
    for name in ("prefill", "step"):
        assert listed(outcome, name) == [(None, [("x", 0)], [("y", 0)])]
