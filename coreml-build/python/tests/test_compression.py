"""Quantization, palettization, pruning and their combinations, on weights large enough to be
compressed."""

from __future__ import annotations

import importlib.util
import os
import sys

import numpy as np
import pytest

from coreml_driver.compression import PRUNE, count

NETWORK = """
def make():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 64))
"""
INPUTS = {"input": {"shape": [1, 64]}}
#: Bytes of the weights in half precision, in round numbers.
DENSE = 2 * (64 * 128 * 2)

INT8 = {"weights": "int8", "mode": "linear-symmetric", "per": "channel", "weight-threshold": 2048}
INT4 = INT8 | {"weights": "int4", "per": "block", "block-size": 32}
UNIFORM = {"bits": 4, "mode": "uniform", "per": "tensor", "weight-threshold": 2048}
KMEANS = UNIFORM | {"mode": "kmeans"}
GROUPED = KMEANS | {"per": "grouped-channel", "group-size": 16}
HALF = {"mode": "magnitude", "target-sparsity": 0.5, "weight-threshold": 2048}
THRESHOLD = {
    "mode": "threshold",
    "threshold": 0.05,
    "minimum-sparsity-percentile": 0.1,
    "weight-threshold": 2048,
}
SCALE, LUT, SPARSE = (
    "constexpr_blockwise_shift_scale",
    "constexpr_lut_to_dense",
    "constexpr_sparse_to_dense",
)

#: name -> (tables, operations, largest share of the dense bytes)
CASES = {
    "int8": ({"quantize": INT8}, {SCALE}, 0.6),
    "int8 with zero points, per tensor": (
        {"quantize": INT8 | {"mode": "linear", "per": "tensor"}},
        {SCALE},
        0.6,
    ),
    "uint8": ({"quantize": INT8 | {"weights": "uint8"}}, {SCALE}, 0.6),
    "int4 in blocks": ({"quantize": INT4}, {SCALE}, 0.4),
    "palettes": ({"palettize": UNIFORM}, {LUT}, 0.35),
    "palettes of 6 bits by k-means": ({"palettize": KMEANS | {"bits": 6}}, {LUT}, 0.45),
    "palettes of grouped channels": ({"palettize": GROUPED}, {LUT}, 0.35),
    "half of the weights": ({"prune": HALF}, {SPARSE}, 0.65),
    "small weights": ({"prune": THRESHOLD}, {SPARSE}, 0.8),
    "zeros and palettes": (
        {"palettize": UNIFORM, "prune": HALF},
        {"constexpr_lut_to_sparse", SPARSE},
        0.25,
    ),
    "zeros and int8": (
        {"quantize": INT8, "prune": HALF},
        {"constexpr_sparse_blockwise_shift_scale", SPARSE},
        0.4,
    ),
    "palettes of int8": (
        {"palettize": UNIFORM, "quantize": INT8 | {"per": "tensor"}},
        {SCALE, LUT},
        0.35,
    ),
}


def needs_clusters(tables):
    """Skip where scikit-learn is not there, unless it has to be."""
    if (
        tables.get("palettize", {}).get("mode") == "kmeans"
        and importlib.util.find_spec("sklearn") is None
    ):
        assert "COREML_TEST_KMEANS" not in os.environ, (
            "k-means has to be tested here, but there is no scikit-learn"
        )
        pytest.skip("k-means needs scikit-learn")


@pytest.mark.parametrize("name", CASES)
def test_compression(package, name):
    tables, operations, share = CASES[name]
    needs_clusters(tables)
    dense = package.convert(NETWORK, inputs=INPUTS)
    outcome, again = (package.convert(NETWORK, inputs=INPUTS, **tables) for _ in range(2))
    assert set(count(outcome.specification)) == operations
    assert set(outcome.report["compressed-weights"]) == operations
    assert outcome.report["bytes"]["weights"] < share * dense.report["bytes"]["weights"]
    assert outcome.digest == again.digest
    np.testing.assert_array_equal(outcome.sample["out/output"], dense.sample["out/output"])
    assert not outcome.converted["warnings"]


@pytest.mark.parametrize("joint", [{}, {"quantize": INT8}])
def test_a_large_weight_is_pruned_as_far_as_asked(package, joint):
    network = NETWORK.replace("nn.Linear(64, 128)", "nn.Linear(64, 1100)").replace(
        "(128, 64)", "(1100, 64)"
    )
    dense = package.convert(network, inputs=INPUTS, **joint)
    pruned = package.convert(network, inputs=INPUTS, prune=HALF, **joint)
    # A bit for each place, and half of the values.
    bits = 8 if joint else 16
    expected = (1 + bits / 2) / bits
    assert pruned.report["bytes"]["weights"] == pytest.approx(
        expected * dense.report["bytes"]["weights"], rel=0.03
    )


def test_coremltools_leaves_a_large_half_precision_weight_dense():
    """Fails the day coremltools counts in a type that is large enough: then `_pruning_in_float32`
    is to be removed."""
    weight = np.linspace(-1, 1, 70_000, dtype=np.float16)
    assert PRUNE(weight, 0.5).nonzero_data.size == np.count_nonzero(weight)
    assert PRUNE(weight.astype(np.float32), 0.5).nonzero_data.size == pytest.approx(
        35_000, rel=0.01
    )


def test_older_targets_have_operations_of_their_own(package):
    outcome = package.convert(
        NETWORK, inputs=INPUTS, quantize=INT8, minimum_deployment_target="iOS16"
    )
    assert set(count(outcome.specification)) == {"constexpr_affine_dequantize"}
    assert outcome.specification.specificationVersion == 7


@pytest.mark.parametrize(
    ("tables", "words"),
    [
        ({"quantize": INT8 | {"weight-threshold": 100_000}}, "weight-threshold = 0"),
        ({"quantize": INT4 | {"block-size": 48}}, "`block-size`"),
        ({"prune": THRESHOLD | {"threshold": 1e-9}}, "Raise `threshold`"),
    ],
)
def test_a_compression_without_effect_is_refused(package, tables, words):
    failed = package.convert(NETWORK, inputs=INPUTS, **tables).failed
    assert (failed["kind"], failed["key"]) == ("nothing-compressed", next(iter(tables)))
    assert any(words in advice for advice in failed["advice"]), failed


def test_weights_that_are_left_are_named(package):
    network = NETWORK.replace("nn.Linear(128, 64)", "nn.Linear(128, 64), nn.Linear(64, 48)")
    outcome = package.convert(
        network.replace("64, 128", "64, 96").replace("128, 64", "96, 64"), inputs=INPUTS
    )
    assert not outcome.converted["warnings"]
    tables = {"quantize": INT4 | {"block-size": 64}}
    outcome = package.convert(inputs=INPUTS, **tables)
    assert any("not divisible" in warning for warning in outcome.converted["warnings"])


def test_k_means_without_scikit_learn_says_what_to_add(package, monkeypatch):
    for module in ("sklearn", "sklearn.cluster"):
        monkeypatch.setitem(sys.modules, module, None)  # as if it were not installed
    failed = package.convert(NETWORK, inputs=INPUTS, palettize=KMEANS).failed
    assert (failed["kind"], failed["key"]) == ("missing-module", "palettize")
    assert "scikit-learn" in failed["advice"][0]


def test_compression_keeps_the_interface(package):
    network = """
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            torch.manual_seed(0)
            self.linear = nn.Linear(64, 64)
            self.register_buffer("total", torch.zeros(1, 64))
        def forward(self, image, x):
            self.total += self.linear(x).sum(1)
            return (self.total + image.mean()).softmax(-1)
    def make():
        return Net()
    """
    outcome = package.convert(
        network,
        inputs={
            "image": {"image": {"width": 4, "height": 4, "color": "rgb"}},
            "x": {"shape": [1, {"min": 1, "max": 8, "default": 4}, 64]},
        },
        states={"total": {"shape": [1, 64]}},
        classifier={"labels": [f"class {number}" for number in range(64)]},
        compute_precision={"float32-ops": ["softmax"], "float32-outputs": []},
        quantize=INT8,
    )
    assert set(count(outcome.specification)) == {SCALE}
    assert [state.name for state in outcome.specification.description.state] == ["total"]
