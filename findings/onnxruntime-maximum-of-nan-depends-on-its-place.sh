#!/usr/bin/env bash
# onnxruntime 1.32.0, onnx 1.23.2, numpy 2.3.5, Linux x86-64, CPU provider.
#
# Guess: a maximum of numbers with NaN is NaN, as in NumPy and PyTorch, or NaN is always left out.
# Found: `ReduceMax` and `ReduceMin` give NaN where it comes first, and leave it out elsewhere.
#   `MaxPool` in two dimensions gives NaN where it comes last in a window, and leaves it out
#   elsewhere; in one dimension it leaves it out, and a window of nothing but NaN gives the smallest
#   float32. `Max` of two tensors gives NaN for both orders.
# Who meets it: a model that diverges. It looks healthy, or not, by the order of its features.
#
# Output seen:
#   ReduceMax of 1 and NaN: 1.0, of NaN and 1: nan
#   ReduceMin of 1 and NaN: 1.0, of NaN and 1: nan
#   Max of 1 and NaN: nan, of NaN and 1: nan
#   MaxPool of windows NaN NaN, NaN 1, 1 NaN, NaN 2, 2 3:
#     2D: [nan, 1.0, nan, 2.0, 3.0]
#     1D: [-3.4028234663852886e+38, 1.0, 1.0, 2.0, 3.0]
set -euo pipefail
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
    onnxruntime==1.32.0 onnx==1.23.2 numpy==2.3.5
"$folder/venv/bin/python" - <<'PYTHON'
import math

import numpy as np
import onnxruntime
from onnx import TensorProto, helper

NAN = math.nan


def run(node, **fed):
    inputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in fed]
    output = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    graph = helper.make_graph([node], "maximum", inputs, [output])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    arrays = {name: np.array(value, np.float32) for name, value in fed.items()}
    return session.run(None, arrays)[0].ravel().tolist()


def reduced(kind):
    return lambda a, b: run(helper.make_node(kind, ["x"], ["y"], keepdims=0), x=[a, b])


def pair(a, b):
    return run(helper.make_node("Max", ["a", "b"], ["y"]), a=[a], b=[b])


def same(found, expected):
    return np.array_equal(found, expected, equal_nan=True)


EXPECTED = {
    "ReduceMax": (reduced("ReduceMax"), [1.0], [NAN]),
    "ReduceMin": (reduced("ReduceMin"), [1.0], [NAN]),
    "Max": (pair, [NAN], [NAN]),
}
for name, (compute, last, first) in EXPECTED.items():
    found = compute(1, NAN), compute(NAN, 1)
    print(f"{name} of 1 and NaN: {found[0][0]}, of NaN and 1: {found[1][0]}")
    assert same(found[0], last) and same(found[1], first), f"{name} has changed"

ROW = [NAN, NAN, 1, NAN, 2, 3]
LEAST = float(np.finfo(np.float32).min)
print("MaxPool of windows NaN NaN, NaN 1, 1 NaN, NaN 2, 2 3:")
for rank, expected in ((2, [NAN, 1.0, NAN, 2.0, 3.0]), (1, [LEAST, 1.0, 1.0, 2.0, 3.0])):
    node = helper.make_node("MaxPool", ["x"], ["y"], kernel_shape=[1] * (rank - 1) + [2])
    found = run(node, x=np.reshape(ROW, [1] * (rank + 1) + [len(ROW)]))
    print(f"  {rank}D: {found}")
    assert same(found, expected), f"MaxPool in {rank} dimensions has changed"
PYTHON
