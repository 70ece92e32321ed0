"""Tensors that a module keeps and that are not plain numbers in a row: sparse, quantized, nested,
without memory.
"""

from __future__ import annotations

import pytest
import torch

from tests.executed import execute, made
from tests.test_failures import module

MATRIX = "torch.tensor([[1.0, 0, 2], [0, 0, 3], [4, 0, 0]])"
#: name -> (what `forward` returns, what the module keeps).
USED = {
    "made dense": ("x @ self.h.to_dense()", f"self.register_buffer('h', {MATRIX}.to_sparse())"),
    "a product": ("torch.mm(self.h, x.T).T", f"self.register_buffer('h', {MATRIX}.to_sparse())"),
    "a product of rows": ("(self.h @ x.T).T", f"self.h = {MATRIX}.to_sparse_csr()"),
    "a sparse product": (
        "torch.sparse.mm(self.h, x.T).T",
        f"self.register_buffer('h', {MATRIX}.to_sparse())",
    ),
    "added to a product": (
        "torch.sparse.addmm(torch.ones(3, 2), self.h, x.T, beta=2, alpha=3).T",
        f"self.h = {MATRIX}.to_sparse()",
    ),
    "a parameter": ("torch.mm(self.h, x.T).T", f"self.h = nn.Parameter({MATRIX}.to_sparse())"),
    "quantized": (
        "x + self.h.dequantize()",
        "self.register_buffer('h', torch.quantize_per_tensor(torch.ones(3), 0.5, 0, torch.qint8))",
    ),
}
#: What a module keeps without using it.
UNUSED = {
    "sparse": f"self.register_buffer('h', {MATRIX}.to_sparse(), persistent=False)",
    "sparse, too large": "self.h = torch.sparse_coo_tensor([[0], [0]], [1.0], (10**5, 10**5))",
    "nested": "self.h = torch.nested.nested_tensor([torch.ones(2), torch.ones(3)])",
    "without memory": "self.h = torch.ones(2, device='meta')",
}


@pytest.mark.parametrize("capture", ["auto", "export"])
@pytest.mark.parametrize("name", USED)
def test_what_is_used_converts(package, name, capture):
    result, kept = USED[name]
    if name == "quantized" and capture == "export":
        pytest.skip("torch.export has no fake tensors for quantized ones")
    outcome = package.convert(
        module(f"return {result}", kept), capture=capture, compute_precision="float32"
    )
    x = torch.randn(2, 3, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        expected = made(outcome)(x)
    torch.testing.assert_close(execute(outcome, x)[0], expected, rtol=1e-5, atol=1e-5)
    if name != "quantized":
        assert outcome.report["rewrites"]["sparse-made-dense"] == ["h"]


@pytest.mark.parametrize("name", UNUSED)
def test_what_is_not_used_does_no_harm(package, name):
    outcome = package.convert(module("return x * 2", UNUSED[name]))
    x = torch.ones(2, 3)
    torch.testing.assert_close(execute(outcome, x)[0].float(), x * 2)


def test_what_core_ml_has_not_is_named(package):
    source = module(
        "return x * self.h.indices().sum()  # here", f"self.h = {MATRIX}.to_sparse().coalesce()"
    )
    failed = package.convert(source).failed
    assert failed["kind"] == "unsupported-dtype" and "no sparse tensors" in failed["message"]
    assert failed["python"]["line"] == package.marked(), failed
    assert ".to_dense()" in failed["advice"][0]
