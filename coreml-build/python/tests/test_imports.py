"""What is executed later, and that no conversion needs it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

DRIVER = Path(__file__).resolve().parents[1]
LATER = "coremltools.optimize.torch"
BEGIN = """
import json, sys
from coreml_driver import imports
imports.libraries()
import coremltools as ct, numpy as np, torch
"""
END = f"""
print(json.dumps(sorted(name for name in sys.modules if name.startswith("{LATER}"))))
"""
CONVERT = """
net = torch.nn.Sequential(torch.nn.Linear(64, 64), torch.nn.ReLU()).eval()
x = torch.ones(1, 64)
captured = [
    torch.jit.trace(net, x),
    torch.export.export(net, (x,), strict=False).run_decompositions({}),
]
for one in captured:
    converted = ct.convert(
        one,
        inputs=[ct.TensorType("x", (1, 64))],
        minimum_deployment_target=ct.target.iOS18,
        skip_model_load=True,
    )
tools = ct.optimize.coreml
for configuration, compress in (
    (tools.OpLinearQuantizerConfig(), tools.linear_quantize_weights),
    (tools.OpPalettizerConfig(mode="uniform", nbits=4), tools.palettize_weights),
):
    compress(converted, tools.OptimizationConfig(global_config=configuration))
"""


def loaded(script: str) -> list[str]:
    """Run a script in a new process; return the modules of training that it has loaded."""
    run = subprocess.run(
        [sys.executable, "-c", BEGIN + script + END],
        cwd=DRIVER,
        check=True,
        capture_output=True,
        text=True,
    )
    return json.loads(run.stdout.splitlines()[-1])


def test_a_conversion_needs_nothing_of_training():
    assert loaded(CONVERT) == [LATER]


@pytest.mark.parametrize(
    "use",
    [
        f"assert {LATER.replace('coremltools', 'ct')}.palettization.DKMPalettizer",
        f"from {LATER}.quantization import LinearQuantizer",
        f"from {LATER} import pruning\nassert pruning.MagnitudePruner",
    ],
)
def test_who_asks_for_training_gets_it(use):
    assert len(loaded(use)) > 10
