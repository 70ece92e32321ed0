"""The opt-in rewrite for the Neural Engine: the same results in blocks, and refusals of what is not
known."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from coreml_driver import program

NETWORK = """
class Net(nn.Module):
    def __init__(self, mask="none", **more):
        super().__init__()
        torch.manual_seed(0)
        layer = nn.TransformerEncoderLayer(32, 4, 64, batch_first=True, **more)
        self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        for parameter in self.parameters():
            nn.init.normal_(parameter, std=0.2)
        self.mask = mask

    def forward(self, x):
        size = x.shape[1]
        causal = torch.full((size, size), float("-inf")).triu(1)
        padding = (x[:, :, 0] > 1.5) & (torch.arange(size) > 0)
        if self.mask == "causal":
            return self.encoder(x, mask=causal, is_causal=True)
        if self.mask == "padding":
            return self.encoder(x, src_key_padding_mask=padding)
        if self.mask == "both":
            return self.encoder(x, mask=causal == float("-inf"), src_key_padding_mask=padding)
        return self.encoder(x)


def make(**arguments):
    return Net(**arguments)
"""
INPUTS = {"x": {"shape": [2, 6, 32]}}


def convert(package, arguments=None, text=NETWORK, **changes):
    source = {"file": "python/model.py", "entry": "make", "args": arguments or {}}
    return package.convert(
        text, source=source, **({"inputs": INPUTS, "rewrite": ["ane"]} | changes)
    )


def kinds(outcome) -> Counter:
    return Counter(operation.type for operation in program.operations(outcome.specification))


@pytest.mark.parametrize("mask", ["none", "causal", "padding", "both"])
@pytest.mark.parametrize("more", [{}, {"norm_first": True, "activation": "gelu"}])
def test_an_encoder_becomes_blocks_with_the_same_results(package, mask, more):
    rewritten = convert(package, {"mask": mask} | more)
    rewrites = rewritten.report["rewrites"]
    assert rewrites["ane-layers"] == 2
    assert 0 < rewrites["ane-largest-difference"] < 1e-4
    assert kinds(rewritten)["conv"] == 12 and not kinds(rewritten)["linear"]
    plain = convert(package, {"mask": mask} | more, rewrite=[])
    assert kinds(plain)["linear"] and not kinds(plain)["conv"]
    np.testing.assert_array_equal(rewritten.sample["out/output"], plain.sample["out/output"])


def test_ranges_are_kept(package):
    ranged = {"x": {"shape": [1, {"min": 1, "max": 9, "default": 6}, 32]}}
    assert convert(package, inputs=ranged).report["rewrites"]["ane-layers"] == 2


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("batch_first=True, **more", "**more", "`batch_first=True`"),
        (
            "layer = nn.TransformerEncoderLayer",
            "class Own(nn.TransformerEncoderLayer): pass\n        layer = Own",
            "class of its own",
        ),
        (
            "self.mask = mask",
            "self.encoder.layers[0].linear1.register_forward_hook(lambda *_: None)",
            "hooks",
        ),
        (
            "self.mask = mask",
            "self.tied = nn.Linear(32, 64); self.tied.weight = "
            "self.encoder.layers[0].linear1.weight",
            "shares",
        ),
        ("self.mask = mask", "self.mask = mask; self.encoder = nn.Linear(32, 32)", "found nothing"),
    ],
)
def test_what_is_not_known_is_refused(package, old, new, words):
    text = NETWORK.replace(old, new).replace("if self.mask", "if getattr(self, 'mask', '')")
    failed = convert(package, text=text).failed
    assert (failed["kind"], failed["key"]) == ("unknown-rewrite", "rewrite")
    assert words in failed["message"]


def test_other_results_are_refused(package, monkeypatch):
    from coreml_driver import ane

    monkeypatch.setattr(ane, "MASKED", -1.0)
    failed = convert(package, {"mask": "causal"}).failed
    assert (failed["kind"], failed["key"]) == ("rewrite-mismatch", "rewrite")
