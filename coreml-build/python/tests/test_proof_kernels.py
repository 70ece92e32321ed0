"""Kernels of the proof against references: the cases of the portable backend, made by numpy and
PyTorch, and coremltools' own folding."""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest
import safetensors
import torch
from coremltools.converters.mil import Builder as mb
from coremltools.converters.mil.mil import Function
from coremltools.converters.mil.mil.ops.registry import SSAOpRegistry
from coremltools.proto import Model_pb2

from coreml_driver import program
from coreml_driver.canonical import SPECIFICATION, read_specification
from coreml_driver.proof.blobs import Blobs
from coreml_driver.proof.execute import Executable
from coreml_driver.proof.kernels import KERNELS, REASONS
from coreml_driver.proof.kernels.random import DRAWN
from coreml_driver.proof.values import Precision

CASES = Path(__file__).parents[3] / "coreml-portable/tests/cases"
#: `limits` has programs without results, `distributions` results that are drawn.
FAMILIES = ("control", "elementwise", "images", "linear", "networks", "tensors", "weights")


def cases(family: str) -> dict[str, dict[str, dict[str, np.ndarray]]]:
    """Return the cases of a family: files, inputs and outputs of each."""
    found: dict = defaultdict(lambda: defaultdict(dict))
    with safetensors.safe_open(CASES / f"{family}.safetensors", "np") as archive:
        for key in archive.keys():  # noqa: SIM118 — it is no dictionary
            case, group, name = key.split("/", 2)
            found[case][group][name] = archive.get_tensor(key)
        for case, own in found.items():
            own["metadata"] = json.loads(archive.metadata()[case])
    return found


@pytest.mark.parametrize("family", FAMILIES)
def test_cases(family, tmp_path):
    wrong = []
    for name, case in cases(family).items():
        if any(key.startswith("step") for key in case["in"]):
            continue  # fed step by step: states have tests of their own
        root = tmp_path / name
        for path, content in case["package"].items():
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_bytes(content.tobytes())
        function = next(iter(read_specification(root).mlProgram.functions.values()))
        inputs = {key: torch.from_numpy(value.copy()) for key, value in case["in"].items()}
        with Blobs(root) as blobs:
            got = Executable(function, blobs).run(inputs, precision=Precision.WIDENED)
        for key, expected in case["out"].items():
            if not isinstance(got[key], torch.Tensor):
                continue  # the label of a classifier
            found = got[key].numpy().astype(np.float64)
            scale = np.abs(expected[np.isfinite(expected)]).max(initial=1e-6)
            close = np.isclose(
                found, expected, rtol=0, atol=case["metadata"]["tolerance"] * scale, equal_nan=True
            )
            if found.shape != expected.shape or not close.all():
                wrong.append(f"{name}: {key}")
    assert not wrong


def test_every_kernel_has_a_case():
    met = set()
    for family in (*FAMILIES, "distributions"):
        for case in cases(family).values():
            specification = Model_pb2.Model()
            specification.ParseFromString(case["package"][SPECIFICATION.as_posix()].tobytes())
            met |= {operation.type for operation in program.operations(specification)}
    assert not set(KERNELS) - met


def test_every_operation_of_coremltools_has_a_kernel_or_a_reason():
    vocabulary = set(SSAOpRegistry.core_ops)
    # `const` is read, not computed.
    assert vocabulary - set(KERNELS) - {"const"} == set(REASONS)
    assert len(vocabulary & set(KERNELS)) + 1 >= 160


#: Operations of one tensor, and of two, that coremltools folds as the documents say.
FOLDED = (
    "abs acos asin atan ceil cos cosh exp exp2 floor relu relu6 round sigmoid sign sin sinh "
    "softplus softsign sqrt square tan tanh"
).split()
FOLDED_PAIRS = (
    "add equal floor_div greater greater_equal less less_equal maximum minimum mod mul not_equal "
    "real_div sub"
).split()


@pytest.mark.parametrize("name", FOLDED + FOLDED_PAIRS)
def test_folding(name):
    random = np.random.default_rng(0)
    arguments = {
        key: random.uniform(0.1, 0.9, (3, 4)).astype(np.float32)
        for key in ("x", "y")[: 1 + (name in FOLDED_PAIRS)]
    }
    with Function({}):
        expected = getattr(mb, name)(**arguments).val
    found = KERNELS[name].compute(
        **{key: torch.from_numpy(value) for key, value in arguments.items()}
    )
    np.testing.assert_allclose(found.numpy(), expected, rtol=2e-6, atol=1e-6)


def test_references_that_are_wrong_are_not_followed():
    data, indices = torch.zeros(2, 3), torch.zeros(2, 3, dtype=torch.int32)
    added = KERNELS["scatter_along_axis"].compute(data, indices, torch.ones(2, 3), mode="add")
    assert added.tolist() == [[2.0] * 3, [0.0] * 3]
    sums = KERNELS["cumsum"].compute(torch.tensor([1.0, 2.0, 4.0]), exclusive=torch.tensor(True))
    assert sums.tolist() == [0.0, 1.0, 3.0]
    turns = KERNELS["concat"].compute(
        [torch.zeros(2), torch.ones(2)], torch.tensor(0), torch.tensor(True)
    )
    assert turns.tolist() == [0.0, 1.0, 0.0, 1.0]


class Drawing:
    """What a random kernel needs of an execution."""

    def __init__(self):
        self.execution = self
        self.random = torch.Generator().manual_seed(0)


@pytest.mark.parametrize("name", sorted(DRAWN))
def test_distributions(name):
    shape, context = torch.tensor([20000]), Drawing()
    compute = KERNELS[name].compute
    if name == "random_categorical":
        drawn = compute(context, torch.tensor([[0.0, 1.0, 2.0]]), size=torch.tensor(20000))
        shares = torch.bincount(drawn.reshape(-1)) / 20000
        expected = torch.softmax(torch.tensor([0.0, 1.0, 2.0]), -1)
        torch.testing.assert_close(shares, expected, atol=0.02, rtol=0)
        return
    arguments, mean, deviation = {
        "random_bernoulli": ({"prob": 0.3}, 0.3, 0.21**0.5),
        "random_normal": ({"mean": 1.0, "stddev": 2.0}, 1.0, 2.0),
        "random_uniform": ({"low": -1.0, "high": 3.0}, 1.0, 4 / 12**0.5),
    }[name]
    drawn = compute(context, shape, **{key: torch.tensor(one) for key, one in arguments.items()})
    assert float(drawn.mean()) == pytest.approx(mean, abs=0.06)
    assert float(drawn.std()) == pytest.approx(deviation, rel=0.03)
