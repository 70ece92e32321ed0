#!/usr/bin/env bash
# onnxruntime 1.32.0, onnx 1.23.2, Linux x86-64, CPU provider.
#
# Guess: `ReduceSum` of int32 wraps around like `Add` of int32, PyTorch's and NumPy's 32-bit sums.
# Found: it saturates at 2147483647, while `Add` of the same numbers wraps around.
# Who meets it: a program that sums hashes or packed bits as integers, and compares engines.
#
# Output seen:
#   ReduceSum [2147483647 2147483647          3] = 2147483647
#   Add of the same, one after the other = 1
set -euo pipefail
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
    onnxruntime==1.32.0 onnx==1.23.2
"$folder/venv/bin/python" - <<'PYTHON'
import numpy as np
import onnxruntime
from onnx import TensorProto, helper

x = np.array([2**31 - 1, 2**31 - 1, 3], np.int32)


def run(nodes, inputs, feed):
    described = [helper.make_tensor_value_info(n, TensorProto.INT32, None) for n in inputs]
    output = helper.make_tensor_value_info("y", TensorProto.INT32, None)
    graph = helper.make_graph(nodes, "sums", described, [output])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    return int(np.squeeze(session.run(None, feed)[0]))


reduced = run([helper.make_node("ReduceSum", ["x"], ["y"], keepdims=0)], ["x"], {"x": x})
parts = {name: x[index : index + 1] for index, name in enumerate("abc")}
adds = [helper.make_node("Add", ["a", "b"], ["ab"]), helper.make_node("Add", ["ab", "c"], ["y"])]
added = run(adds, list("abc"), parts)
print(f"ReduceSum {x} = {reduced}")
print(f"Add of the same, one after the other = {added}")
assert reduced == 2**31 - 1, "ReduceSum no longer saturates"
assert added == 1, "Add no longer wraps around"
PYTHON
