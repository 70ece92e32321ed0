"""Buckets: one model at several sizes, padding and masks, and what padding must not change."""

from __future__ import annotations

import json

import numpy as np
import pytest
import safetensors.numpy

from coreml_driver import buckets
from coreml_driver.buckets import Bucket
from tests.test_failures import returning

#: A small encoder of text: positions, attention over the real tokens only, a mean over them, a
#: value for each token.
ENCODER = """
class Encoder(nn.Module):
    def __init__(self, masked=True):
        super().__init__()
        torch.manual_seed(0)
        self.masked = masked
        self.tokens, self.positions = nn.Embedding(20, 32), nn.Embedding(64, 32)
        self.query, self.key, self.value = (nn.Linear(32, 32) for _ in range(3))
        self.ids = torch.arange(64)

    def forward(self, ids, mask):
        x = self.tokens(ids) + self.positions(self.ids[: ids.shape[1]])
        scores = self.query(x) @ self.key(x).transpose(1, 2) / 32**0.5
        if self.masked:
            scores = scores + (1.0 - mask[:, None].float()) * -1e4
        x = x + scores.softmax(-1) @ self.value(x)
        real = mask[..., None].float()
        return {"hidden": x, "pooled": (x * real).sum(1) / real.sum(1)}


def make():
    return Encoder()


def careless():
    return Encoder(masked=False)
"""

LENGTH = {"min": 1, "max": 16, "default": 16, "symbol": "T"}
INPUTS = {
    "ids": {"shape": [1, LENGTH], "dtype": "int32", "sample": {"range": [0, 19]}},
    "mask": {"shape": [1, LENGTH], "dtype": "int32"},
}
BUCKETS = {"input": "ids", "axis": 1, "sizes": [4, 8, 16], "pad": {"ids": 3}, "mask": "mask"}


def sampled(outcome) -> dict[str, dict]:
    """Return the samples by their names."""
    return {
        path.name: safetensors.numpy.load_file(path)
        for path in sorted((outcome.output / "samples").iterdir())
    }


def described(outcome) -> dict:
    """Return what the package says of its buckets."""
    return json.loads(
        outcome.specification.description.metadata.userDefined["coreml-build.buckets"]
    )


def one_input(**more) -> dict:
    """Return changes of the table for a module of one input in two buckets."""
    inputs = {"x": {"shape": [1, 3, {"min": 1, "max": 8, "default": 8}], "dtype": "float32"}}
    return {"inputs": inputs, "buckets": {"input": "x", "axis": 2, "sizes": [4, 8]} | more}


@pytest.mark.parametrize("capture", ["trace", "export"])
def test_one_package_with_a_function_for_each_size(package, capture):
    outcome = package.convert(
        ENCODER, inputs=INPUTS, buckets=BUCKETS, capture=capture, parity={"samples": 3}
    )
    description = outcome.specification.description
    assert [function.name for function in description.functions] == [
        "bucket_4",
        "bucket_8",
        "bucket_16",
    ]
    assert description.defaultFunctionName == "bucket_16"
    shapes = [
        [list(one.type.multiArrayType.shape) for one in f.input] for f in description.functions
    ]
    assert shapes == [[[1, 4], [1, 4]], [[1, 8], [1, 8]], [[1, 16], [1, 16]]]
    assert described(outcome) == {
        "input": "ids",
        "axis": 1,
        "min": 1,
        "sizes": [4, 8, 16],
        "padded": [{"input": "ids", "axes": [1], "value": 3.0}],
        "mask": {"input": "mask", "axis": 1},
        "trimmed": [{"output": "hidden", "axes": [1]}],
    }
    lengths = {name: sample["in/ids"].shape[1] for name, sample in sampled(outcome).items()}
    assert lengths == {
        **{f"bucket_4.{index}.safetensors": length for index, length in enumerate([2, 4, 1])},
        **{f"bucket_8.{index}.safetensors": length for index, length in enumerate([6, 8, 5])},
        **{f"bucket_16.{index}.safetensors": length for index, length in enumerate([12, 16, 9])},
    }
    for name, sample in sampled(outcome).items():
        assert sample["out/hidden"].shape == (1, lengths[name], 32) and sample[
            "out/pooled"
        ].shape == (1, 32)
        assert (sample["in/mask"] == 1).all() and sample["in/mask"].shape == (1, lengths[name])
    assert outcome.report["capture"]["bucket_8"]["method"] == capture


def test_a_sample_is_what_pytorch_gives_without_padding(package):
    outcome = package.convert(ENCODER, inputs=INPUTS, buckets=BUCKETS)
    import torch

    scope: dict = {}
    exec((package.root / "python/model.py").read_text(), scope)
    sample = sampled(outcome)["bucket_8.0.safetensors"]
    with torch.no_grad():
        result = scope["make"]()(
            torch.from_numpy(sample["in/ids"]).long(), torch.ones(1, 6, dtype=torch.long)
        )
    np.testing.assert_allclose(sample["out/hidden"], result["hidden"].numpy(), rtol=0, atol=1e-6)


def test_weights_are_stored_once(package):
    text = ENCODER.replace("32", "64").replace("nn.Embedding(20", "nn.Embedding(2000")
    joined = package.convert(text, inputs=INPUTS, buckets=BUCKETS)
    alone = package.convert(text, inputs=INPUTS, buckets=BUCKETS | {"sizes": [16]})
    assert joined.report["bytes"]["weights"] < 1.1 * alone.report["bytes"]["weights"]


def test_a_single_size_is_the_only_function(package):
    outcome = package.convert(
        ENCODER, inputs=INPUTS, buckets=BUCKETS | {"sizes": [8]}, minimum_deployment_target="iOS16"
    )
    assert not outcome.specification.description.functions
    assert outcome.features["hidden"][1] == [1, 8, 32]
    assert described(outcome)["sizes"] == [8]
    assert sorted(sampled(outcome)) == ["0.safetensors"]


def test_a_classifier_in_a_package_of_one_size(package):
    text = (
        ENCODER
        + "\n\nclass Classes(Encoder):\n    def forward(self, ids, mask):\n        pooled = "
    )
    text += "super().forward(ids, mask)['pooled']\n        return pooled[:, :3].softmax(-1)\n\n"
    text += "def classes():\n    return Classes()\n"
    outcome = package.convert(
        text,
        source={"file": "python/model.py", "entry": "classes"},
        inputs=INPUTS,
        buckets=BUCKETS | {"sizes": [16]},
        classifier={"labels": ["a", "b", "c"]},
    )
    assert described(outcome)["trimmed"] == []
    sample = sampled(outcome)["0.safetensors"]
    assert sample["in/ids"].shape == (1, 8) and sample["out/classLabel_probs"].shape == (3,)
    failed = package.convert(
        inputs=INPUTS, buckets=BUCKETS, classifier={"labels": ["a", "b", "c"]}
    ).failed
    assert (failed["kind"], failed["key"]) == ("not-supported", "buckets")


def test_the_same_buckets_give_the_same_bytes(package):
    first, second = (package.convert(ENCODER, inputs=INPUTS, buckets=BUCKETS) for _ in range(2))
    assert first.digest == second.digest


def test_a_causal_model_needs_no_mask(package):
    source = returning("(x.cumsum(2), x * 2)")
    outcome = package.convert(
        source, outputs={"sum": {}, "double": {}}, **one_input(pad={"x": 7.0})
    )
    assert described(outcome)["trimmed"] == [
        {"output": "sum", "axes": [2]},
        {"output": "double", "axes": [2]},
    ]
    assert "mask" not in described(outcome)


def test_several_dimensions_may_have_the_length(package):
    source = returning("a @ b.transpose(1, 2) + bias", "a, b, bias")
    size = {"min": 1, "max": 8, "default": 8, "symbol": "T"}
    inputs = {
        "a": {"shape": [1, size, 3]},
        "b": {"shape": [1, size, 3]},
        "bias": {"shape": [1, size, size]},
    }
    outcome = package.convert(
        source, inputs=inputs, outputs={"y": {}}, buckets={"input": "a", "axis": 1, "sizes": [4, 8]}
    )
    assert described(outcome)["trimmed"] == [{"output": "y", "axes": [1, 2]}]
    assert [one["axes"] for one in described(outcome)["padded"]] == [[1], [1], [1, 2]]
    assert sampled(outcome)["bucket_8.0.safetensors"]["in/bias"].shape == (1, 6, 6)


#: name -> (forward of x [1, 3, T], init)
LEAKS = {
    "mean over the length": ("return x.mean(2)", "pass"),
    "maximum over the length": ("return (-x.abs()).amax(2)", "pass"),
    "attention without a mask": ("return (x.transpose(1, 2) @ x).softmax(-1)", "pass"),
    "normalisation over the length": ("return F.layer_norm(x, x.shape[2:])", "pass"),
    "convolution that sees behind the end": (
        "return self.conv(x)",
        "self.conv = nn.Conv1d(3, 2, 3, padding=1)",
    ),
    "recurrence backwards": (
        "return self.gru(x.transpose(1, 2))[0]",
        "self.gru = nn.GRU(3, 2, bidirectional=True, batch_first=True)",
    ),
    "the last position": ("return x[:, :, -1]", "pass"),
    "positions from the end": ("return x + torch.arange(x.shape[2]).flip(0)", "pass"),
    "a number of positions": ("return x.sum(2) / x.shape[2]", "pass"),
    "not a number": (
        "return x / (x.sum(1, keepdim=True) != 0).all(2, "
        "keepdim=True).float().log().exp().sub(1).exp()",
        "pass",
    ),
}


@pytest.mark.parametrize("name", LEAKS)
def test_padding_that_leaks_is_an_error(package, name):
    body, init = LEAKS[name]
    lines = [
        "class Net(nn.Module):",
        "    def __init__(self):",
        "        super().__init__()",
        "        torch.manual_seed(0)",
    ]
    lines += [
        f"        {init}",
        "    def forward(self, x):  # here",
        f"        {body}",
        "def make():",
        "    return Net()",
    ]
    pad = {"x": 5.0} if name == "convolution that sees behind the end" else {}
    failed = package.convert("\n".join(lines) + "\n", **one_input(pad=pad)).failed
    assert (failed["kind"], failed["key"]) == ("padding-leaks", "buckets"), failed
    assert "`x` padded from 2 to 4" in failed["message"] and "mask" in failed["advice"][0]


def test_a_mask_that_is_not_used_everywhere_is_an_error(package):
    failed = package.convert(
        ENCODER,
        source={"file": "python/model.py", "entry": "careless"},
        inputs=INPUTS,
        buckets=BUCKETS,
    ).failed
    assert failed["kind"] == "padding-leaks" and "`hidden`" in failed["message"]
    assert "`mask` is 1 where values are real" in failed["advice"][0]


def test_a_mask_that_nothing_uses_is_an_error(package):
    source = returning("ids.float() * 2", "ids, mask")
    failed = package.convert(source, inputs=INPUTS, buckets=BUCKETS).failed
    assert (failed["kind"], failed["key"]) == ("ignored-input", "inputs.mask")


#: name -> (source, changes of the table, kind, key, words of message and advice)
REFUSED = {
    "unsorted sizes": (
        None,
        {"buckets": BUCKETS | {"sizes": [8, 4, 16]}},
        "wrong-manifest",
        "buckets.sizes",
        "ascend",
    ),
    "a size twice": (
        None,
        {"buckets": BUCKETS | {"sizes": [8, 8, 16]}},
        "wrong-manifest",
        "buckets.sizes",
        "ascend",
    ),
    "no sizes": (
        None,
        {"buckets": BUCKETS | {"sizes": []}},
        "wrong-manifest",
        "buckets.sizes",
        "ascend",
    ),
    "beyond the bounds": (
        None,
        {"buckets": BUCKETS | {"sizes": [8, 32]}},
        "wrong-manifest",
        "buckets.sizes",
        "1 to 16",
    ),
    "axis out of range": (
        None,
        {"buckets": BUCKETS | {"axis": 2}},
        "wrong-manifest",
        "buckets.axis",
        "no range",
    ),
    "axis of fixed size": (
        None,
        {"buckets": BUCKETS | {"axis": 0}},
        "wrong-manifest",
        "buckets.axis",
        "no range",
    ),
    "unknown input": (
        None,
        {"buckets": BUCKETS | {"input": "x"}},
        "wrong-manifest",
        "buckets.axis",
        "`x`",
    ),
    "unknown mask": (
        None,
        {"buckets": BUCKETS | {"mask": "m"}},
        "wrong-manifest",
        "buckets.mask",
        "`m`",
    ),
    "unknown key": (
        None,
        {"buckets": BUCKETS | {"stride": 2}},
        "not-supported",
        "buckets.stride",
        "stride",
    ),
    "mask of another length": (
        None,
        {"inputs": INPUTS | {"mask": {"shape": [1, {"min": 1, "max": 8}], "dtype": "int32"}}},
        "wrong-manifest",
        "inputs.mask",
        'symbol = "T"',
    ),
    "square mask": (
        None,
        {"inputs": INPUTS | {"mask": {"shape": [1, LENGTH, LENGTH], "dtype": "int32"}}},
        "wrong-manifest",
        "buckets.mask",
        "one dimension",
    ),
    "mask of fixed size": (
        None,
        {"inputs": INPUTS | {"mask": {"shape": [1, 16], "dtype": "int32"}}},
        "wrong-manifest",
        "buckets.mask",
        "one dimension",
    ),
    "states": (None, {"states": {"s": {"shape": [1]}}}, "not-supported", "buckets", "states"),
    "enumerated beside": (
        None,
        {"inputs": INPUTS | {"z": {"shapes": [[1], [2]]}}},
        "wrong-manifest",
        "inputs.z",
        "several shapes",
    ),
    "a quarter of the length": (
        returning("ids[:, ::4] * mask[:, ::4]", "ids, mask"),
        {},
        "bucket-output",
        "buckets",
        "length of `ids`",
    ),
    "half the length": (
        returning("ids[:, ::2] * mask[:, ::2]", "ids, mask"),
        {},
        "bucket-output",
        "buckets",
        "length of `ids`",
    ),
    "another rank": (
        returning("ids.squeeze(1).float() * mask.sum(1)", "ids, mask"),
        {"buckets": BUCKETS | {"sizes": [2, 16]}},
        "bucket-output",
        "buckets",
        "length of `ids`",
    ),
    "a length that forward does not take": (
        returning("ids.reshape(1, -1, 2).float() * mask.sum()", "ids, mask"),
        {},
        "wrong-shape",
        "buckets",
        "of length 3",
    ),
    "a value of padding that forward does not take": (
        ENCODER,
        {"buckets": BUCKETS | {"pad": {"ids": 20}}},
        "wrong-shape",
        "buckets",
        "padded from 2",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_does_not_fit_is_refused(package, name):
    source, changes, kind, key, words = REFUSED[name]
    failed = package.convert(
        source or ENCODER, **({"inputs": INPUTS, "buckets": BUCKETS} | changes)
    ).failed
    assert (failed["kind"], failed["key"]) == (kind, key), failed
    assert words in failed["message"] + " ".join(failed["advice"]), failed


def test_lengths():
    def bucket(size, shortest, low=1, high=16):
        return Bucket(size, shortest, low, high, "x", 0, {"x": (0,)}, {"x": 0.0}, None)

    assert buckets.lengths(bucket(16, 9)) == [12, 16, 9]
    assert buckets.lengths(bucket(2, 1)) == [1, 2]
    assert buckets.lengths(bucket(9, 9)) == [9]
    assert buckets.other_lengths(bucket(9, 5)) == [8, 1, 16]
    assert buckets.other_lengths(bucket(9, 9, 9)) == [10, 16]
    assert buckets.other_lengths(bucket(16, 9, 15)) == [15]


def test_what_every_bucket_says_is_said_once(package):
    source = """
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.register_buffer("n", torch.zeros(()))
        def forward(self, x):
            self.n += 1
            return x * 2
    def make():
        return Net()
    """
    outcome = package.convert(source, **one_input())
    assert [one for one in outcome.converted["warnings"] if "`n`" in one] == [
        "forward writes to `n`, and no output depends on it: the model does not keep it"
    ]
    assert outcome.report["warnings"] == outcome.converted["warnings"]
