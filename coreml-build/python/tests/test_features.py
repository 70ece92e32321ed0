"""What a manifest can ask of a plain tensor model, read back from the finished package."""

from __future__ import annotations

import numpy as np
import pytest
import safetensors.torch
import torch

from coreml_driver import program
from tests.test_failures import INT, module, returning

FLOAT16, FLOAT32, INT32 = 16, 32, 131104 & 0xFFFF
LINEAR = "def make():\n    return nn.Linear(3, 4)\n"


def test_defaults(package):
    outcome = package.convert(LINEAR)
    assert outcome.features == {"x": (FLOAT32, [2, 3]), "output": (FLOAT32, [2, 4])}
    assert outcome.specification.specificationVersion == 9
    assert sorted(path.name for path in outcome.output.iterdir()) == [
        "model.mlpackage",
        "report.json",
        "samples",
    ]
    report = outcome.report
    assert report["operations"] == {"cast": 2, "linear": 1}
    assert report["capture"] == {
        "method": "trace",
        "reason": "tried first",
        "largest-difference": 0.0,
        "notes": [],
    }
    assert report["bytes"]["package"] > report["bytes"]["weights"] > 0
    assert set(report["seconds"]) == {"load", "samples", "trace", "convert", "proof", "write"}
    assert report["versions"]["coremltools"]


@pytest.mark.parametrize(
    ("target", "version"), [("iOS15", 6), ("iOS16", 7), ("iOS17", 8), ("macOS15", 9)]
)
def test_targets(package, target, version):
    assert (
        package.convert(LINEAR, minimum_deployment_target=target).specification.specificationVersion
        == version
    )


def test_float32_has_no_casts(package):
    assert package.convert(LINEAR, compute_precision="float32").report["operations"] == {
        "linear": 1
    }


def test_float16_features(package):
    outcome = package.convert(
        LINEAR,
        inputs={"x": {"shape": [2, 3], "dtype": "float16"}},
        outputs={"y": {"dtype": "float16"}},
    )
    assert outcome.features == {"x": (FLOAT16, [2, 3]), "y": (FLOAT16, [2, 4])}
    assert outcome.report["operations"] == {"linear": 1}
    assert {name: array.dtype.name for name, array in outcome.sample.items()} == {
        "in/x": "float16",
        "out/y": "float32",
    }


def test_integer_features(package):
    source = module("return self.table(x).argmax(-1)", "self.table = nn.Embedding(10, 4)")
    outcome = package.convert(source, inputs=INT, outputs={"best": {"dtype": "int32"}})
    assert outcome.features == {"x": (INT32, [2, 3]), "best": (INT32, [2, 3])}
    assert {array.dtype.name for array in outcome.sample.values()} == {"int32"}


def test_bool_output_by_consent(package):
    outcome = package.convert(module("return x > 0"), outputs={"mask": {"dtype": "int32"}})
    assert outcome.features["mask"] == (INT32, [2, 3])
    sample = outcome.sample
    np.testing.assert_array_equal(sample["out/mask"], (sample["in/x"] > 0).astype(np.int32))


@pytest.mark.parametrize(
    ("precision", "casts"),
    [
        ({"float32-ops": ["softmax"], "float32-outputs": []}, 4),
        ({"float32-ops": ["softmax", "linear"], "float32-outputs": []}, 0),
        ("float16", 2),
    ],
)
def test_op_selector(package, precision, casts):
    source = (
        "def make():\n    return nn.Sequential(nn.Linear(3, 3), nn.Softmax(-1), nn.Linear(3, 3))\n"
    )
    assert (
        package.convert(source, compute_precision=precision).report["operations"].get("cast", 0)
        == casts
    )


def test_op_selector_by_output(package):
    source = (
        "def make():\n    return nn.Sequential(nn.Linear(3, 3), nn.Softmax(-1), nn.Linear(3, 3))\n"
    )
    refused = package.convert(
        source, compute_precision={"float32-ops": [], "float32-outputs": ["?"]}
    ).failed
    names = refused["advice"][0]
    assert "output" in names
    precision = {"float32-ops": [], "float32-outputs": ["output"]}
    outcome = package.convert(source, compute_precision=precision)
    kinds = {
        operation.inputs["x"].arguments[0].name: operation.outputs[0].type.tensorType.dataType
        for operation in program.operations(outcome.specification)
        if operation.type == "linear"
    }
    assert sorted(kinds.values()) == [10, 11]  # one linear in FLOAT16, the last one in FLOAT32


def test_metadata(package):
    metadata = {"author": "Ada", "license": "MIT", "description": "Adds", "version": "3"}
    found = package.convert(LINEAR, metadata=metadata).specification.description.metadata
    assert (found.author, found.license, found.shortDescription, found.versionString) == (
        "Ada",
        "MIT",
        "Adds",
        "3",
    )
    assert not any("date" in key for key in found.userDefined)


def test_default_makes_an_input_optional(package):
    source = returning("x * scale", "x, scale")
    inputs = {
        "x": {"shape": [2], "dtype": "float32"},
        "scale": {"shape": [1], "dtype": "float32", "default": 2.5},
    }
    description = package.convert(source, inputs=inputs).specification.description
    assert [item.type.isOptional for item in description.input] == [False, True]
    assert description.input[1].type.multiArrayType.floatDefaultValue == 2.5


@pytest.mark.parametrize("labels", [["a", "b", "c"], [7, 8, 9], "python/labels.txt"])
def test_classifier(package, labels):
    package.write("python/labels.txt", "cat\ndog\nsmall bird\n")
    source = module(
        "return self.linear(x).softmax(-1)", "torch.manual_seed(0)\nself.linear = nn.Linear(3, 3)"
    )
    names = {"predicted-feature-name": "animal", "predicted-probabilities-output": "chances"}
    inputs = {"x": {"shape": [1, 3], "dtype": "float32"}}
    outcome = package.convert(source, inputs=inputs, classifier={"labels": labels, **names})
    description = outcome.specification.description
    assert [item.name for item in description.output] == ["animal", "chances"]
    assert (description.predictedFeatureName, description.predictedProbabilitiesName) == (
        "animal",
        "chances",
    )
    assert description.output[0].type.WhichOneof("Type") == (
        "int64Type" if labels == [7, 8, 9] else "stringType"
    )
    sample = outcome.sample
    assert sample["out/chances"].shape == (3,)
    assert sample["out/animal"].tolist() == [sample["out/chances"].argmax()]
    assert ("python/labels.txt" in outcome.converted["inputs"]) == isinstance(labels, str)
    function = outcome.specification.mlProgram.functions["main"]
    assert list(next(iter(function.block_specializations.values())).outputs) == [
        "animal",
        "chances",
    ]


def test_classifier_defaults(package):
    source = "def make():\n    return nn.Softmax(0)\n"
    outcome = package.convert(
        source, inputs={"x": {"shape": [2]}}, classifier={"labels": ["no", "yes"]}
    )
    assert [item.name for item in outcome.specification.description.output] == [
        "classLabel",
        "classLabel_probs",
    ]


OUTPUTS = {
    "tuple": ("return x * 2, x * 3", ["output", "output_1"]),
    "list": ("return [x * 2, x * 3]", ["output", "output_1"]),
    "tuple with None": ("return x * 2, None, x * 3", ["output", "output_1"]),
    "dict": ("return {'logits': x * 2, 'hidden': x * 3}", ["logits", "hidden"]),
    "named tuple": ("return Pair(x * 2, x * 3)", ["first", "second"]),
    "dataclass": ("return Data(x * 2, x * 3)", ["left", "right"]),
    "nested": (
        ("return {'y': x * 2, 'past': [(x * 3, x * 4), (x * 5, None)]}"),
        ["y", "past_0_0", "past_0_1", "past_1_0"],
    ),
    "nested tuple": ("return x * 2, (x * 3, x * 4)", ["output", "output_1", "output_2"]),
}
CONTAINERS = """
import collections, dataclasses
Pair = collections.namedtuple("Pair", "first second")
@dataclasses.dataclass
class Data:
    left: torch.Tensor
    right: torch.Tensor
"""


@pytest.mark.parametrize("name", OUTPUTS)
@pytest.mark.parametrize("capture", ["trace", "export"])
def test_outputs_of_every_form(package, name, capture):
    body, names = OUTPUTS[name]
    outcome = package.convert(CONTAINERS + module(body), capture=capture)
    assert [item.name for item in outcome.specification.description.output] == names
    sample = outcome.sample
    for factor, output in enumerate(names, start=2):
        np.testing.assert_allclose(sample[f"out/{output}"], sample["in/x"] * factor, rtol=1e-6)


def test_outputs_are_chosen_by_key(package):
    source = module("return {'a': x * 2, 'b': x * 3, 'c': x * 4}")
    outcome = package.convert(source, outputs={"c": {}, "a": {"dtype": "float16"}})
    assert outcome.features == {
        "x": (FLOAT32, [2, 3]),
        "c": (FLOAT32, [2, 3]),
        "a": (FLOAT16, [2, 3]),
    }
    assert any("`b`" in warning for warning in outcome.converted["warnings"])


def test_inputs_are_fed_by_name(package):
    source = returning("a - b", "a, b, c=None")
    feature = {"shape": [2], "dtype": "float32"}
    sample = package.convert(source, inputs={"b": feature, "a": feature}).sample
    np.testing.assert_allclose(sample["out/output"], sample["in/a"] - sample["in/b"])


def test_inputs_are_fed_by_position(package):
    source = returning("all[0] - all[1]", "*all")
    feature = {"shape": [2], "dtype": "float32"}
    sample = package.convert(source, inputs={"b": feature, "a": feature}).sample
    np.testing.assert_allclose(sample["out/output"], sample["in/b"] - sample["in/a"])


def test_samples_are_seeded_and_in_range(package):
    inputs = {
        "x": {"shape": [50], "dtype": "float32", "sample": {"range": [3, 4]}},
        "n": {"shape": [50], "dtype": "int32", "sample": {"range": [5, 7]}},
    }
    source = returning("x + n", "x, n")
    first, second = (
        package.convert(source, inputs=inputs, parity={"samples": 3}) for _ in range(2)
    )
    assert sorted(path.name for path in (first.output / "samples").iterdir()) == [
        f"{n}.safetensors" for n in range(3)
    ]
    for path in (first.output / "samples").iterdir():
        assert path.read_bytes() == (second.output / "samples" / path.name).read_bytes()
    assert first.sample["in/x"].min() >= 3 and first.sample["in/x"].max() <= 4
    assert set(first.sample["in/n"].tolist()) == {5, 6, 7}
    files = [(first.output / f"samples/{n}.safetensors").read_bytes() for n in range(3)]
    assert len(set(files)) == 3


def test_another_seed_draws_other_samples(package):
    inputs = {"x": {"shape": [50], "dtype": "float32", "sample": {"range": [3, 4]}}}
    draws = [
        package.convert(returning("x * 2", "x"), inputs=inputs, parity=parity).sample
        for parity in ({"samples": 1}, {"samples": 1, "seed": 0}, *[{"samples": 1, "seed": 7}] * 2)
    ]
    plain, zero, one, again = (sample["in/x"] for sample in draws)
    np.testing.assert_array_equal(plain, zero)
    np.testing.assert_array_equal(one, again)
    assert not np.isin(one, plain).any() and 3 <= one.min() <= one.max() <= 4
    np.testing.assert_allclose(draws[2]["out/output"], one * 2, rtol=1e-6)


def test_samples_keep_inputs_that_forward_overwrites(package):
    sample = package.convert(module("x += 1\nreturn x * 2")).sample
    np.testing.assert_allclose(sample["out/output"], (sample["in/x"] + 1) * 2, rtol=1e-6)


@pytest.mark.parametrize("name", ["w.safetensors", "w.pt"])
def test_weights(package, name):
    weight = {"weight": torch.eye(4, 3), "bias": torch.zeros(4)}
    save = safetensors.torch.save_file if name.endswith("safetensors") else torch.save
    save(weight, package.root / name)
    outcome = package.convert(LINEAR, weights=name)
    np.testing.assert_allclose(outcome.sample["out/output"][:, :3], outcome.sample["in/x"])
    assert outcome.converted["inputs"] == ["python/model.py", name]


def test_dropout_is_removed_and_stays_shared(package):
    source = """
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.first = self.second = nn.Dropout(0.3)
            self.third = nn.Dropout2d(0.3)
        def forward(self, x):
            return self.first(x) + self.second(x) * self.second.p
    def make():
        return Net()
    """
    # The rate is read by attention code; after the removal it is zero, so this module's result
    # changes and that is noticed.
    failed = package.convert(source).failed
    assert failed["kind"] == "capture-mismatch"
    outcome = package.convert(source.replace(" * self.second.p", ""))
    assert outcome.report["rewrites"] == {"dropout-removed": 3}


def test_half_precision_parameters_become_float32(package):
    outcome = package.convert("def make():\n    return nn.Linear(3, 4).bfloat16()\n")
    assert outcome.features["output"] == (FLOAT32, [2, 4])
    assert any("bfloat16" in warning for warning in outcome.converted["warnings"])


def test_arguments_reach_the_entry(package):
    source = "def make(size, bias=True):\n    return nn.Linear(3, size, bias=bias)\n"
    table = {"file": "python/model.py", "entry": "make", "args": {"size": 7, "bias": False}}
    assert package.convert(source, source=table).features["output"] == (FLOAT32, [2, 7])


def test_model_without_weights(package):
    outcome = package.convert(module("return x.relu()"))
    assert outcome.report["bytes"]["weights"] >= 0
    assert outcome.report["operations"]["relu"] == 1


def test_models_do_not_see_each_others_modules(package):
    package.write("python/blocks.py", "SIZE = 4\n")
    source = "import blocks\ndef make():\n    return nn.Linear(3, blocks.SIZE)\n"
    assert package.convert(source).features["output"] == (FLOAT32, [2, 4])
    package.write("python/blocks.py", "SIZE = 11\n")
    assert package.convert(source).features["output"] == (FLOAT32, [2, 11])


NETWORKS = {
    "convolutions": (
        """
        def make():
            torch.manual_seed(0)
            head = nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2)
            return nn.Sequential(*head, nn.Flatten(), nn.Linear(8 * 16, 5))
        """,
        {"x": {"shape": [1, 3, 8, 8], "dtype": "float32"}},
    ),
    "transformer": (
        """
        def make():
            torch.manual_seed(0)
            return nn.TransformerEncoder(nn.TransformerEncoderLayer(16, 2, 32, batch_first=True), 2)
        """,
        {"src": {"shape": [1, 5, 16], "dtype": "float32"}},
    ),
    "recurrent": (
        """
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.lstm = nn.LSTM(4, 6, batch_first=True)
            def forward(self, x):
                y, (h, c) = self.lstm(x)
                return {"y": y, "h": h, "c": c}
        def make():
            return Net()
        """,
        {"x": {"shape": [1, 5, 4], "dtype": "float32"}},
    ),
}


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("capture", ["trace", "export"])
def test_networks(package, name, capture):
    source, inputs = NETWORKS[name]
    if (name, capture) == ("transformer", "trace") and np.lib.NumpyVersion(
        np.__version__
    ) >= "2.4.0":
        failed = package.convert(source, inputs=inputs, capture=capture).failed
        assert (failed["kind"], failed["key"]) == ("wrong-versions", "python.dependencies")
        assert "numpy<2.4" in failed["advice"][0]
        return
    assert (
        package.convert(source, inputs=inputs, capture=capture).report["capture"][
            "largest-difference"
        ]
        < 1e-4
    )


def test_inputs_of_8_bits(package):
    source = """
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            torch.manual_seed(0)
            self.linear = nn.Linear(3, 5)
        def forward(self, x):
            return self.linear(x.float() / 127), x + 1
    def make():
        return Net()
    """
    changes = {
        "inputs": {"x": {"shape": [2, 3], "dtype": "int8"}},
        "minimum_deployment_target": "iOS26",
    }
    outputs = {"y": {"dtype": "float32"}, "next": {"dtype": "int32"}}
    outcome = package.convert(source, outputs=outputs, parity={"samples": 2}, **changes)
    assert outcome.features["x"][0] == 131080 & 0xFFFF  # INT8
    assert (
        outcome.sample["in/x"].dtype == "int8" and abs(outcome.sample["in/x"].astype(int)).max() > 9
    )
    assert (outcome.sample["out/next"] == outcome.sample["in/x"].astype(int) + 1).all()
    large = source.replace("x + 1", "x + 200")
    failed = package.convert(large, outputs={"y": {}, "next": {"dtype": "int8"}}, **changes).failed
    assert (failed["kind"], failed["key"]) == ("wrong-dtype", "outputs.next.dtype")
    assert "int8 holds -128 to 127" in failed["message"], failed


@pytest.mark.parametrize("capture", ["trace", "export"])
def test_outputs_of_8_bits(package, capture):
    source = returning(
        "{'level': (x * 30).round().clamp(-128, 127).to(torch.int32), 'sign': (x > "
        "0).to(torch.int32)}"
    )
    outputs = {"level": {"dtype": "int8"}, "sign": {"dtype": "int8"}}
    changes = {"outputs": outputs, "minimum_deployment_target": "iOS26", "capture": capture}
    outcome = package.convert(source, **changes)
    assert [outcome.features[name][0] for name in outputs] == [131080 & 0xFFFF] * 2
    assert outcome.sample["out/level"].any() and outcome.sample["out/sign"].max() == 1
    wrapping = returning(
        "{'level': (x * 30).round().to(torch.int8), 'sign': (x > 0).to(torch.int32)}"
    )
    failed = package.convert(wrapping, **changes).failed
    assert (failed["kind"], failed["key"]) == ("wrong-dtype", "outputs.level.dtype")
    assert (
        "wraps" in failed["message"]
        and "`.round().clamp(-128, 127).to(torch.int32)`" in failed["advice"][0]
    )
    failed = package.convert(
        returning("x * 2"), **changes | {"outputs": {"y": {"dtype": "int8"}}}
    ).failed
    assert failed["kind"] == "wrong-dtype" and "lose its fraction" in failed["message"]
