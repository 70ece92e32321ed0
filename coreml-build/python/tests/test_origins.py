"""Where operations come from: the module's path and the user's line, by both ways of capturing, in
the report."""

from __future__ import annotations

import pytest

from coreml_driver.lines import UserCode
from tests.test_functions import BOTH, SHARING
from tests.test_functions import convert as convert_functions

NESTED = """
class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv1d(2, 2, 3, padding=1)
        self.norm = nn.LayerNorm(3)

    def forward(self, x):
        y = self.conv(x)  # 12
        y = torch.tanh(y)  # 13
        return self.norm(y) + x  # 14


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.blocks = nn.ModuleList([Block(), Block()])
        self.head = nn.Linear(3, 4)

    def forward(self, x):
        for block in self.blocks:
            x = block(x)  # 25
        return torch.softmax(self.head(x), -1)  # 26


def make():
    return Net()
"""


def origins(outcome) -> dict[str, list[tuple]]:
    """Return module and line of every operation of the main function, by its type, in the program's
    order."""
    written = outcome.report["origins"]["main"]
    block = next(
        iter(outcome.specification.mlProgram.functions["main"].block_specializations.values())
    )
    found: dict[str, list[tuple]] = {}
    for operation in block.operations:
        origin = written.get(operation.outputs[0].name)
        if operation.type != "const":
            assert origin is None or origin.get("file") in (None, "python/model.py")
            found.setdefault(operation.type, []).append(
                origin and (origin["module"], origin.get("line"))
            )
    return found


@pytest.mark.parametrize("capture", ["trace", "export"])
@pytest.mark.parametrize(
    "quantize",
    [
        {},
        {
            "quantize": {
                "weights": "int8",
                "per": "channel",
                "mode": "linear-symmetric",
                "weight-threshold": 0,
            }
        },
    ],
)
def test_a_nested_module(package, capture, quantize):
    inputs = {"x": {"shape": [1, 2, 3], "dtype": "float32"}}
    outcome = package.convert(NESTED, capture=capture, inputs=inputs, **quantize)
    found = origins(outcome)

    # Three lines of imports stand before.
    line = lambda number: NESTED.splitlines()[number - 4]  # noqa: E731
    for number in (12, 13, 14, 25, 26):
        assert line(number).endswith(f"# {number}")
    assert found["conv"] == [("blocks.0.conv", 12), ("blocks.1.conv", 12)]
    assert found["tanh"] == [("blocks.0", 13), ("blocks.1", 13)]
    assert found["layer_norm"] == [("blocks.0.norm", 14), ("blocks.1.norm", 14)]
    assert found["add"] == [("blocks.0", 14), ("blocks.1", 14)]
    assert found["linear"] == [("head", 26)]
    assert found["softmax"] == [("", 26)]


def test_each_function_has_its_own(package):
    outcome = convert_functions(package, SHARING, BOTH)
    for name in ("prefill", "step"):
        modules = {origin["module"] for origin in outcome.report["origins"][name].values()}
        assert {"first", "second"} <= modules, name


def test_the_innermost_line_counts(tmp_path):
    code = UserCode([tmp_path])
    inner, outer = tmp_path / "inner.py", tmp_path / "outer.py"
    traced = f"{inner}(5): forward\n/usr/lib/torch/module.py(9): _call_impl\n{outer}(7): forward\n"
    exported = f'  File "{outer}", line 7, in forward\n  File "{inner}", line 5, in forward\n'
    for text in (traced, exported):
        assert (code.of_text(text).file, code.of_text(text).line) == (str(inner), 5)
    assert code.of_text("") is None
