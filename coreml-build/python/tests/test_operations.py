"""Operations of the user's own, and the generic fixes for what coremltools lacks."""

from __future__ import annotations

import coremltools as ct
import numpy as np
import pytest
import safetensors.numpy
import torch

from coreml_driver import operations, translations
from tests.test_failures import returning
from tests.test_sources import OPS


def test_an_operation_of_a_library_of_the_users_own(package):
    package.write(
        "python/my_ops.py",
        OPS.replace(
            "@register_torch_op", '@register_torch_op(torch_alias=["mine::double"])'
        ).replace("special_bessel_j0", "double"),
    )
    source = """
    @torch.library.custom_op("mine::double", mutates_args=())
    def double(x: torch.Tensor) -> torch.Tensor:
        return x.sin()
    @double.register_fake
    def _(x):
        return torch.empty_like(x)
    """
    outcome = package.convert(
        source.replace("\n    ", "\n") + returning("double(x)"), ops="python/my_ops.py"
    )
    assert outcome.report["operations"]["sin"] == 1


def test_a_translation_can_be_replaced(package):
    package.write(
        "python/my_ops.py",
        OPS.replace("@register_torch_op\n", "@register_torch_op(override=True)\n").replace(
            "special_bessel_j0", "cos"
        ),
    )
    replaced = package.convert(returning("x.cos()"), ops="python/my_ops.py", proof=False)
    assert replaced.report["operations"]["sin"] == 1
    wrong = package.convert(returning("x.cos()"), ops="python/my_ops.py").failed
    assert wrong["kind"] == "wrong-conversion" and "`sin`" in wrong["message"]
    assert package.convert(returning("x.cos()")).report["operations"]["cos"] == 1


#: name -> (text of the file, kind, words)
WRONG = {
    "twice": (OPS.replace("special_bessel_j0", "cos"), "registered-twice", "override=True"),
    "nothing": (
        "def special_bessel_j0(context, node):\n    pass\n",
        "nothing-registered",
        "@register_torch_op",
    ),
    "error": ("raise RuntimeError('boom')\n", "python-error", "Python"),
    "syntax": ("def (\n", "syntax-error", "syntax"),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_files(package, name):
    text, kind, words = WRONG[name]
    package.write("python/my_ops.py", text)
    failed = package.convert(returning("x * 2"), ops="python/my_ops.py").failed
    assert failed["kind"] == kind, failed
    assert any(words in advice for advice in failed["advice"]), failed


def test_a_missing_file(package):
    failed = package.convert(returning("x * 2"), ops="python/my_ops.py").failed
    assert (failed["kind"], failed["key"]) == ("missing-file", "ops")


def table(*shape):
    return torch.arange(float(np.prod(shape))).reshape(shape) / 3 - 1


FIXED = {
    "new_ones": lambda x: (
        x.new_ones(2, 3) * x + x.new_ones((), dtype=torch.bool) + x.int().new_ones(1) // 2
    ),
    "lerp": lambda x: torch.lerp(x, x * 2, 0.25) + torch.lerp(x, x * 2, x),
    "addcmul": lambda x: torch.addcmul(x, x, x + 1, value=3),
    "addcdiv": lambda x: torch.addcdiv(x, x, x + 7),
    "swapaxes": lambda x: x.reshape(2, 3, 4).swapaxes(0, -1) + x.reshape(2, 3, 4).swapdims(2, 0),
    "movedim": lambda x: (
        x.reshape(2, 3, 4).movedim((0, 1), (2, 0)) * x.reshape(2, 3, 4).moveaxis(0, -1)
    ),
    "diff": lambda x: (
        x.diff()
        + x.diff(2, 1, prepend=x[:, :1])
        + x.diff(append=x[:, :1])[:, 1:]
        + x.diff(dim=0)[:, 1:]
    ),
    "zero": lambda x: torch.zero_(x + 1) + x.clone().zero_() + x,
}


@pytest.mark.parametrize(
    "name", [row.kinds[0] for row in translations.ROWS if row.kinds[0] in FIXED]
)
def test_a_fix_is_needed_and_right(name):
    """Fails the day coremltools has the operation itself: then the fix is to be removed."""
    (row,) = [row for row in translations.ROWS if name in row.kinds]
    assert not set(row.kinds) & set(translations.ORIGINAL)
    operations.register(None, None)
    value = table(2, 12) if name in ("swapaxes", "movedim") else table(2, 3)

    class Net(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.register_buffer("value", value)

        def forward(self, x):
            return x * FIXED[name](self.value)

    expected = FIXED[name](value)
    traced = torch.jit.trace(Net().eval(), torch.ones(expected.shape))
    # The operation's operands are constants, so that coremltools itself computes the result.
    converted = ct.convert(
        traced,
        inputs=[ct.TensorType("x", expected.shape)],
        convert_to="milinternal",
        compute_precision=ct.precision.FLOAT32,
    )
    constants = [
        operation.val.val
        for operation in converted.functions["main"].operations
        if operation.op_type == "const"
    ]
    assert any(
        np.shape(one) == expected.shape and np.allclose(one, expected, rtol=1e-5)
        for one in constants
    )


def test_fixes_work_on_inputs(package):
    body = (
        "(torch.addcmul(x, x, x, value=2) + torch.addcdiv(x, x, x.abs() + 1) + torch.lerp(x, x * "
        "2, 0.5)) * "
        "x.new_ones(2, 3) + x.swapaxes(0, 1).movedim(0, 1)"
    )
    for capture in ("trace", "export"):
        sample = package.convert(returning(body), capture=capture).sample
        x = sample["in/x"]
        expected = 2 * x * x + x + x + x / (abs(x) + 1) + 1.5 * x + x
        np.testing.assert_allclose(sample["out/output"], expected, rtol=1e-5)


def test_a_size_that_follows_the_input(package):
    inputs = {"x": {"shape": [1, {"min": 1, "max": 8, "default": 4}]}}
    outcome = package.convert(
        returning("x.new_ones(1, x.shape[1]) + x"),
        inputs=inputs,
        capture="trace",
        parity={"samples": 3},
    )
    sizes = set()
    for number in range(3):
        sample = safetensors.numpy.load_file(outcome.output / f"samples/{number}.safetensors")
        np.testing.assert_array_equal(sample["out/output"], 1 + sample["in/x"])
        sizes.add(sample["in/x"].shape)
    assert len(sizes) == 3
