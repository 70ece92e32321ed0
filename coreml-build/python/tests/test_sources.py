"""Sources other than a Python function: saved graphs and MIL programs."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import torch

from coreml_driver import program
from tests.test_failures import returning

INPUTS = {"x": {"shape": [2, 3]}}


class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.linear = torch.nn.Linear(3, 4)
        self.drop = torch.nn.Dropout(0.5)

    def forward(self, x):
        return self.drop(self.linear(x)).relu(), x * 2


class Loop(torch.nn.Module):
    def forward(self, x):
        for _ in range(3):
            x = x + 1
        if bool(x.sum() > 0):
            x = x * 2
        return x


def converted(package, kind, file, **changes):
    return package.convert(source={kind: file}, **({"inputs": INPUTS, "capture": "auto"} | changes))


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("way", ["trace", "script"])
def test_torchscript(package, way, training):
    module = Net().train(training)
    saved = (
        torch.jit.trace(module.eval(), torch.ones(2, 3))
        if way == "trace"
        else torch.jit.script(module)
    )
    saved.save(str(package.root / "net.pt"))
    outcome, again = (converted(package, "torchscript", "net.pt") for _ in range(2))
    assert list(outcome.features) == ["x", "output", "output_1"]
    expected, _ = Net().eval()(torch.from_numpy(outcome.sample["in/x"]))
    np.testing.assert_allclose(
        outcome.sample["out/output"], expected.detach().numpy(), rtol=1e-5, atol=1e-6
    )
    assert outcome.converted["inputs"] == ["net.pt"]
    assert outcome.report["capture"]["method"] == "trace"
    assert outcome.digest == again.digest


def test_torchscript_with_control_flow_and_a_range(package):
    torch.jit.script(Loop()).save(str(package.root / "net.pt"))
    inputs = {"x": {"shape": [1, {"min": 1, "max": 8, "default": 3}]}}
    outcome = converted(package, "torchscript", "net.pt", inputs=inputs)
    kinds = {operation.type for operation in program.operations(outcome.specification)}
    assert "cond" in kinds


@pytest.mark.parametrize("dynamic", [False, True])
def test_exported(package, dynamic):
    size = torch.export.Dim("n", min=2, max=8)
    shapes = ({0: size},) if dynamic else None
    torch.export.save(
        torch.export.export(Net().eval(), (torch.ones(4, 3),), dynamic_shapes=shapes),
        str(package.root / "net.pt2"),
    )
    first = {"min": 2, "max": 8, "default": 4} if dynamic else 4
    inputs = {"x": {"shape": [first, 3]}}
    outcome, again = (converted(package, "exported", "net.pt2", inputs=inputs) for _ in range(2))
    assert outcome.report["capture"]["method"] == "export"
    expected, _ = Net().eval()(torch.from_numpy(outcome.sample["in/x"]))
    np.testing.assert_allclose(
        outcome.sample["out/output"], expected.detach().numpy(), rtol=1e-5, atol=1e-6
    )
    assert outcome.converted["inputs"] == ["net.pt2"]
    assert outcome.digest == again.digest


def test_exported_with_a_fixed_size_does_not_take_a_range(package):
    torch.export.save(
        torch.export.export(Net().eval(), (torch.ones(4, 3),)), str(package.root / "net.pt2")
    )
    inputs = {"x": {"shape": [{"min": 2, "max": 8, "default": 4}, 3]}}
    failed = converted(package, "exported", "net.pt2", inputs=inputs).failed
    assert failed["kind"] in ("wrong-shape", "unknown", "baked-shape") and failed["message"], failed


def test_an_export_of_a_module_with_a_state(package):
    class Counter(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.register_buffer("total", torch.zeros(2, 3))

        def forward(self, x):
            self.total.add_(x)
            return self.total * 2

    torch.export.save(
        torch.export.export(Counter().eval(), (torch.ones(2, 3),)), str(package.root / "net.pt2")
    )
    outcome = converted(package, "exported", "net.pt2", states={"total": {"shape": [2, 3]}})
    assert [state.name for state in outcome.specification.description.state] == ["total"]


@pytest.mark.parametrize("kind", ["torchscript", "exported"])
def test_a_file_of_another_kind(package, kind):
    torch.save({"weight": torch.ones(3)}, package.root / "net.pt")
    failed = converted(package, kind, "net.pt").failed
    assert (failed["kind"], failed["key"]) == ("damaged-source", f"source.{kind}")
    assert "state dict" in failed["advice"][0] or "torch.export.save" in failed["advice"][0]
    (package.root / "net.pt").write_bytes(b"no archive")
    assert converted(package, kind, "net.pt").failed["kind"] == "damaged-source"
    (package.root / "net.pt").unlink()
    missing = converted(package, kind, "net.pt").failed
    assert (missing["kind"], missing["key"]) == ("missing-file", f"source.{kind}")


MIL = """
import coremltools as ct
import numpy as np
from coremltools.converters.mil import Builder as mb

def make(size=4):
    @mb.program(input_specs=[mb.TensorSpec(shape=(2, 3))], opset_version=ct.target.iOS17)
    def program(x):
        weight = np.arange(size * 3, dtype=np.float32).reshape(size, 3)
        return mb.relu(x=mb.linear(x=x, weight=weight), name="y")
    return program

def number():
    return 3
"""


def mil(package, entry="make", **changes):
    package.write("prog.py", MIL)
    table = package.table(source={"mil": "prog.py", "entry": entry, "args": {}}, **changes)
    return package.convert(
        **{key.replace("-", "_"): value for key, value in table.items()} | {"inputs": {}}
    )


def test_a_mil_program(package):
    outcome, again = (mil(package, metadata={"author": "Ada"}) for _ in range(2))
    assert list(outcome.features) == ["x", "y"]
    assert outcome.specification.description.metadata.author == "Ada"
    assert {"linear", "relu"} <= set(outcome.report["operations"])
    assert not (outcome.output / "samples").exists()
    assert any("no parity samples" in warning for warning in outcome.converted["warnings"])
    assert outcome.converted["inputs"] == ["prog.py"]
    assert outcome.digest == again.digest


def test_what_is_no_mil_program(package):
    failed = mil(package, "number").failed
    assert (failed["kind"], failed["key"]) == ("not-a-program", "source.entry")
    assert "`number` returned" in failed["message"]


def test_the_target_must_have_the_programs_operations(package):
    failed = mil(package, minimum_deployment_target="iOS15").failed
    assert "iOS" in failed["message"] and failed["advice"], failed


def test_the_file_of_operations_is_an_input(package):
    package.write("python/my_ops.py", OPS)
    # What the file says is wrong, and nobody asks here.
    outcome = package.convert(
        returning("torch.special.bessel_j0(x)"), ops="python/my_ops.py", proof=False
    )
    assert outcome.converted["inputs"] == ["python/model.py", "python/my_ops.py"]
    assert outcome.report["operations"]["sin"] == 1
    # The driver's own translation is back.
    own = package.convert(returning("torch.special.bessel_j0(x)")).report["operations"]
    assert own["cos"] == 1


OPS = """
from coremltools.converters.mil import Builder as mb
from coremltools.converters.mil.frontend.torch import register_torch_op
from coremltools.converters.mil.frontend.torch.ops import _get_inputs

@register_torch_op
def special_bessel_j0(context, node):
    (x,) = _get_inputs(context, node, expected=1)
    context.add(mb.sin(x=x, name=node.name))
"""


#: A module of `sys.modules` that is imported when an attribute of it is asked for, and cannot be.
LAZY = """
import sys, types
class Lazy(types.ModuleType):
    def __getattr__(self, name):
        raise ImportError(f"nobody may ask for {name}")
class Stubborn(types.ModuleType):
    def __getattribute__(self, name):
        raise ImportError(f"nobody may ask for {name}")
sys.modules["lazy_package"] = Lazy("lazy_package")
sys.modules["stubborn_package"] = Stubborn("stubborn_package")
import time
class Net(nn.Module):
    def forward(self, x):
        time.time()
        return x * 2
def make():
    return Net()
"""


def test_modules_that_are_imported_later_are_not_touched(package):
    try:
        assert package.convert(LAZY).converted
        failed = package.convert(LAZY.replace("x * 2", "x * y")).failed
        assert failed["kind"] == "python-error" and "name 'y'" in failed["message"], failed
    finally:
        sys.modules.pop("lazy_package", None)
        sys.modules.pop("stubborn_package", None)
