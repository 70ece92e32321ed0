"""Where an error is, as the user knows it: the layer's path, the line of the library, and the
library's option that cures it.
"""

from __future__ import annotations

import sys

import pytest

from coreml_driver import ladder

#: A library whose layers do what cannot be converted; each line has a mark of its own.
LIBRARY = """\
import torch
from torch import nn

def helper(x):
    return torch.igamma(x.abs() + 1, x.abs())  # unsupported

class Unsupported(nn.Module):
    def forward(self, x):
        return helper(x)

class Random(nn.Module):
    def forward(self, x):
        return x + torch.randn(x.shape)  # random

class Wide(nn.Module):
    def forward(self, x):
        return (x.long() + 3_000_000_000).float()  # wide

class Raising(nn.Module):
    def forward(self, x):
        raise ValueError("not today")  # raising

class Memory(nn.Module):
    def forward(self, x):
        return x + x.new_empty(x.shape)  # memory

class Deep(nn.Module):
    def forward(self, x):
        i = torch.zeros(1, dtype=torch.long)
        return x.reshape(1, 1, 1, 1, 2, 3)[i, i, i, i, i]  # deep

class Branch(nn.Module):
    def forward(self, x):
        return x * 2 if x.sum() > 1 else x  # branch

class Body(nn.Module):
    def __init__(self, kind):
        super().__init__()
        self.layers = nn.ModuleList([nn.ReLU(), kind()])
    def forward(self, x):
        for layer in self.layers:
            x = layer(x)
        return x
"""
SOURCE = """
from {module} import {kind}, Body
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = Body({kind})
    def forward(self, x):
        return self.body(x)  # here
def make():
    return Net()
"""


@pytest.fixture
def library(tmp_path, monkeypatch):
    """Write the library as a module and return what makes a source with one of its layers."""
    folder = tmp_path / "installed"

    def source(kind: str, file: str = "blocks_library/blocks.py") -> str:
        path = folder / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(LIBRARY)
        module = file.removesuffix(".py").replace("/", ".")
        return SOURCE.format(module=module, kind=kind)

    monkeypatch.syspath_prepend(str(folder))
    yield source
    for name in [name for name in sys.modules if name.startswith("blocks_library")]:
        del sys.modules[name]


def line(mark: str) -> int:
    """Return the number of a marked line of the library."""
    lines = LIBRARY.splitlines()
    return next(n for n, text in enumerate(lines, start=1) if text.endswith(f"# {mark}"))


#: Layer of the library, capture, kind of the failure, mark of its line.
PLACES = [
    ("Unsupported", "trace", "unsupported-op", "unsupported"),
    ("Random", "auto", "random", "random"),
    ("Wide", "auto", "wide-integer", "wide"),
    ("Raising", "auto", "python-error", "raising"),
    ("Memory", "auto", "random", "memory"),
    ("Deep", "trace", "rank", "deep"),
    ("Deep", "export", "rank", "deep"),
    ("Branch", "trace", "data-dependent", "branch"),
]


@pytest.mark.parametrize(("layer", "capture", "kind", "mark"), PLACES)
def test_an_error_names_the_layer_and_the_line_of_the_library(
    package, library, layer, capture, kind, mark
):
    failed = package.convert(library(layer), capture=capture).failed
    assert failed["kind"] == kind, failed
    place = f"in the layer `body.layers.1`, at blocks_library/blocks.py:{line(mark)}."
    assert place in failed["message"], failed["message"]
    assert failed["python"]["line"] == package.marked(), failed


def test_an_export_names_the_layer(package, library):
    """PyTorch keeps only the lines of `forward` in an exported graph."""
    failed = package.convert(library("Unsupported"), capture="export").failed
    assert "in the layer `body.layers.1`, at blocks_library/blocks.py:9." in failed["message"]
    assert failed["python"]["line"] == package.marked(), failed


def test_two_captures_that_fail_for_one_reason_say_it_once(package, library):
    failed = package.convert(library("Unsupported"), capture="auto").failed
    assert failed["advice"][-1] == '(With `capture = "export"` it fails too, for the same reason.)'
    assert failed["message"].count("igamma") == 1
    assert not any("capture = " in step for step in failed["advice"][:-1]), failed["advice"]


def test_the_users_own_layer_has_no_library(package):
    source = """
    class Inner(nn.Module):
        def forward(self, x):
            return torch.igamma(x.abs() + 1, x.abs())  # here
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = Inner()
        def forward(self, x):
            return self.inner(x)
    def make():
        return Net()
    """
    failed = package.convert(source, capture="trace").failed
    assert failed["message"].endswith("It is in the layer `inner`."), failed["message"]
    assert failed["python"]["line"] == package.marked(), failed


def test_the_option_of_the_library_comes_first(package, library):
    failed = package.convert(
        library("Unsupported", "blocks_library/whisper/model.py"), capture="trace"
    ).failed
    assert "`whisper.model.MultiHeadAttention.use_sdpa = False`" in failed["advice"][0], failed


#: What a message and a place contain, and the option.
OPTIONS = [
    ("`transformers::grouped_mm_fallback`", 'experts_implementation="batched_mm"'),
    ("at transformers/integrations/moe.py:383.", 'experts_implementation="batched_mm"'),
    ("at transformers/integrations/sdpa_attention.py:148.", 'attn_implementation="eager"'),
    ("at transformers/integrations/flex_attention.py:20.", 'attn_implementation="eager"'),
    ("at transformers/masking_utils.py:300.", 'attn_implementation="eager"'),
    ("`scaled_dot_product_attention` at timm/layers/attention.py:90.", "set_fused_attn(False)"),
    ("at transformers/models/t5/modeling_t5.py:9.", None),
    ("at timm/layers/mlp.py:9.", None),
    ("at faster_whisper/model.py:9.", None),
]


@pytest.mark.parametrize(("words", "option"), OPTIONS)
def test_options_of_libraries(words, option):
    found = [one for pattern, one in ladder.OPTIONS if pattern.search(words)]
    assert (found == []) if option is None else (option in found[0] and len(found) == 1), found


def test_experts_of_transformers(package):
    pytest.importorskip("transformers", reason="transformers is not installed here")
    source = """
    from transformers import MixtralConfig, MixtralForCausalLM
    class Net(nn.Module):
        def __init__(self, **changes):
            super().__init__()
            config = MixtralConfig(vocab_size=30, hidden_size=16, intermediate_size=16,
                num_hidden_layers=1, num_attention_heads=2, num_key_value_heads=1,
                num_local_experts=2)
            self.net = MixtralForCausalLM._from_config(config, **changes)
        def forward(self, ids):
            return self.net(input_ids=ids, use_cache=False).logits
    def make():
        return Net().eval()
    """
    ids = {"inputs": {"ids": {"shape": [1, 4], "dtype": "int32", "sample": {"range": [0, 29]}}}}
    # What cannot be set from outside, as in a library that chose it.
    kept = source.replace(
        "return Net().eval()",
        (
            "net = Net().eval()\n"
            "        net.net.set_experts_implementation = lambda chosen: None\n"
            "        return net"
        ),
    )
    failed = package.convert(kept, capture="trace", **ids).failed
    assert 'experts_implementation="batched_mm"' in failed["advice"][0], failed
    assert "in the layer `net.model.layers.0.mlp.experts`" in failed["message"], failed
    cured = source.replace("Net()", 'Net(experts_implementation="batched_mm")')
    assert package.convert(cured, capture="trace", **ids).converted
