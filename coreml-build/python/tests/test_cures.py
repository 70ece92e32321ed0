"""Options of libraries that the driver sets by itself."""

from __future__ import annotations

import os

import pytest
import torch

from coreml_driver import cures
from tests.executed import execute, made

if os.environ.get("COREML_TEST_TRANSFORMERS"):
    import transformers
    import whisper
else:
    transformers = pytest.importorskip("transformers", reason="transformers is not installed here")
    whisper = pytest.importorskip("whisper", reason="openai-whisper is not installed here")

EXPERTS = """\
import transformers
SIZES = dict(hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32,
             vocab_size=30, num_key_value_heads=2, num_local_experts=4, use_cache=False)
class Logits(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = transformers.MixtralForCausalLM(transformers.MixtralConfig(**SIZES{option}))
    def forward(self, ids):
        return self.net(ids).logits
def make():
    torch.manual_seed(0)
    return Logits()
"""
IDS = {"ids": {"shape": [1, 6], "dtype": "int32", "sample": {"range": [0, 29]}}}

#: OpenAI's decoder gives its fused attention a flag that is a tensor while it is traced.
DECODER = """\
import whisper
class Logits(nn.Module):
    def __init__(self):
        super().__init__()
        self.decoder = whisper.model.TextDecoder(30, 8, 16, 2, 1)
        nn.init.normal_(self.decoder.positional_embedding)
    def forward(self, tokens, audio):
        return self.decoder(tokens, audio)
def make():
    torch.manual_seed(0)
    return Logits()
"""
HEARD = {
    "tokens": {"shape": [1, 6], "dtype": "int32", "sample": {"range": [0, 29]}},
    "audio": {"shape": [1, 4, 16]},
}


def test_experts_become_batched_products(package):
    outcome = package.convert(EXPERTS.format(option=""), inputs=IDS, compute_precision="float32")
    assert outcome.report["rewrites"]["experts"] == 'experts_implementation="batched_mm"'
    ids = torch.tensor([[3, 29, 0, 7, 7, 11]], dtype=torch.int32)
    with torch.no_grad():
        expected = made(outcome)(ids)
    torch.testing.assert_close(execute(outcome, ids)[0], expected, rtol=1e-4, atol=1e-5)


def test_an_implementation_that_converts_is_left_alone():
    module = torch.nn.Sequential(
        transformers.MixtralForCausalLM(
            transformers.MixtralConfig(
                hidden_size=16, num_hidden_layers=1, num_attention_heads=2, vocab_size=30,
                num_key_value_heads=2, intermediate_size=32, num_local_experts=4,
            )
        )
    )  # fmt: skip
    module[0].set_experts_implementation("eager")
    assert cures.plain_experts(module) is None
    assert module[0].config._experts_implementation == "eager"
    assert cures.plain_experts(torch.nn.Linear(2, 2)) is None


def test_attention_becomes_plain_where_the_fused_one_does_not_convert(package):
    outcome = package.convert(DECODER, inputs=HEARD, compute_precision="float32", capture="trace")
    assert outcome.report["rewrites"]["attention"] == [cures.WHISPER]
    assert any(cures.WHISPER in warning for warning in outcome.converted["warnings"])
    tokens, audio = torch.tensor([[3, 29, 0, 7, 7, 11]], dtype=torch.int32), torch.ones(1, 4, 16)
    with torch.no_grad():
        expected = made(outcome)(tokens, audio)
    torch.testing.assert_close(execute(outcome, tokens, audio)[0], expected, rtol=1e-4, atol=1e-5)


def test_what_is_in_the_way_behind_attention_is_said(package):
    source = DECODER.replace(
        "return self.decoder(tokens, audio)",
        ("y = self.decoder(tokens, audio)\n        return y * 2 if y.sum() > 0 else y"),
    )
    failed = package.convert(source, inputs=HEARD, capture="trace").failed
    assert failed["kind"] == "data-dependent", failed
    assert not any(cures.WHISPER in step for step in failed["advice"])


def test_attention_is_set_back():
    module = whisper.model.TextDecoder(30, 8, 16, 2, 1)
    told, back = cures.plain_attention(module)
    layer = module.blocks[0].attn
    assert told == [cures.WHISPER] and layer.use_sdpa is False
    back()
    assert layer.use_sdpa is True
