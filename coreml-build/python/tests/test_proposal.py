"""Inputs that are proposed for modules that nobody has described."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
import torch
from torch import nn

from coreml_driver import proposal
from coreml_driver.failures import Failure

if os.environ.get("COREML_TEST_TRANSFORMERS"):
    import transformers
else:
    transformers = None

needs_transformers = pytest.mark.skipif(transformers is None, reason="transformers is not here")


def proposed(module):
    with torch.no_grad():
        inputs, _ = proposal.find(module.eval())
    return [(one.name, one.shape, one.dtype, one.range) for one in inputs]


def wrapped(function, **layers):
    """Return a module with layers whose `forward` is a function."""
    kind = type("Net", (nn.Module,), {"forward": function})
    module = kind()
    for name, layer in layers.items():
        module.add_module(name, layer)
    return module


@pytest.mark.parametrize(
    ("module", "expected"),
    [
        (nn.Sequential(nn.Conv2d(3, 4, 3)), (1, 3, 224, 224)),
        (nn.Sequential(nn.Conv1d(5, 4, 3)), (1, 5, 64)),
        (nn.Sequential(nn.Conv3d(2, 4, 3)), (1, 2, 16, 64, 64)),
        (nn.Sequential(nn.Linear(7, 3), nn.ReLU()), (1, 7)),
        (nn.Sequential(nn.Flatten(), nn.Linear(784, 3)), (1, 784)),
        (
            nn.Sequential(nn.Conv2d(1, 2, 5), nn.Flatten(), nn.Linear(2 * 24 * 24, 3)),
            (1, 1, 28, 28),
        ),
        (nn.GRU(6, 4), (16, 1, 6)),
        (nn.LSTM(6, 4, batch_first=True), (1, 16, 6)),
        (nn.Sequential(nn.LayerNorm(9)), (1, 16, 9)),
    ],
)
def test_layers(module, expected):
    [(_, shape, dtype, limits)] = proposed(module)
    assert (shape, dtype, limits) == (expected, "float32", None)


def test_ids_have_the_range_of_their_own_embedding():
    module = wrapped(
        lambda self, user, item: self.small(user).mean(1) + self.large(item).mean(1),
        large=nn.Embedding(1000, 4),
        small=nn.Embedding(50, 4),
    )
    assert proposed(module) == [
        ("user", (1, 16), "int32", (0, 49)),
        ("item", (1, 16), "int32", (0, 999)),
    ]


def test_a_range_is_not_too_small():
    module = wrapped(
        lambda self, a, b: self.small(a).mean(1) + self.large(b).mean(1),
        small=nn.Embedding(50, 4),
        large=nn.Embedding(1000, 4),
    )
    assert [one[3] for one in proposed(module)] == [(0, 49), (0, 999)]


def test_keyword_only_and_defaults():
    def forward(self, picture, scale=2.0, *, words):
        return self.conv(picture).mean((2, 3)) * scale + self.words(words).mean(1)

    module = wrapped(forward, conv=nn.Conv2d(3, 4, 3), words=nn.Embedding(30, 4))
    assert proposed(module) == [
        ("picture", (1, 3, 224, 224), "float32", None),
        ("words", (1, 16), "int32", (0, 29)),
    ]


def test_what_accepts_nothing_says_what_was_tried():
    def forward(self, x):
        raise ValueError("not these")

    with pytest.raises(Failure) as caught:
        proposed(wrapped(forward, fc=nn.Linear(3, 2)))
    assert "`Net` accepted none of 9 proposals for `x`. Tried:\n" in caught.value.message
    assert "  x: float32 [1, 3]: ValueError: not these\n" in caught.value.message
    assert caught.value.message.endswith("… and 3 more")
    assert "inputs.x = { shape = [1, 3, 224, 224]" in caught.value.advice[0]


def test_time_ends():
    def forward(self, x):
        raise ValueError("not these")

    with pytest.raises(Failure, match="accepted none of 0 proposals in the time there is"):
        proposal.find(wrapped(forward), seconds=0)


def test_parameters_that_are_no_tensors():
    def forward(self, x, times: int):
        return x * times

    with pytest.raises(Failure, match="needs `times`, which is int and no tensor"):
        proposed(wrapped(forward))
    with pytest.raises(Failure, match="names no parameter"):
        proposed(wrapped(lambda self, *tensors: tensors[0]))


@needs_transformers
@pytest.mark.parametrize(
    ("kind", "names"),
    [
        ("bert", ["input_ids", "attention_mask"]),
        ("llama", ["input_ids"]),
        ("vit", ["pixel_values"]),
        ("wav2vec", ["input_values"]),
        ("whisper", ["input_features", "decoder_input_ids"]),
    ],
)
def test_transformers(kind, names):
    from tests import test_transformers as models

    makers = {"bert": models.bert, "whisper": models.whisper}
    module = makers[kind]() if kind in makers else models.others(kind)
    module.config.use_cache = False  # as `pretrained` makes every module
    assert [one[0] for one in proposed(module)] == names


@needs_transformers
def test_the_task_of_a_repository(tmp_path):
    from tests import test_transformers as models

    models.others("vit").save_pretrained(tmp_path / "vit")
    said = proposal.answer_to(
        {
            "requirements": ["transformers"],
            "package-root": str(tmp_path),
            "source": {"kind": "transformers", "file": "vit"},
        }
    )
    assert said["task"] == "image-classification", json.dumps(said, indent=1)
    [pixels] = said["inputs"]
    assert pixels["shape"] == [1, 3, 8, 8]
    assert pixels["why"] == "8 × 8 from image_size of config.json"
    assert said["outputs"] == [{"name": "logits", "shape": [1, 3], "dtype": "float32"}]
    assert list(said["versions"]) == ["transformers"]


@needs_transformers
def test_a_repository_of_the_hub_is_pinned(tmp_path):
    from tests import test_transformers as models
    from tests.hub import Hub, Repository

    models.others("vit").save_pretrained(tmp_path / "saved")
    files = {path.name: path.read_bytes() for path in (tmp_path / "saved").iterdir()}
    hub = Hub({"owner/vit": Repository(files)})
    source = {"kind": "transformers", "file": "owner/vit"}
    request = {"requirements": ["transformers"], "package-root": str(tmp_path), "source": source}
    (tmp_path / "request.json").write_text(json.dumps(request))
    # A process of its own: the hub's client reads its variables once.
    environment = {
        **os.environ,
        "HF_ENDPOINT": hub.endpoint,
        "HF_HOME": str(tmp_path / "hub"),
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "PYTHONPATH": os.pathsep.join(sys.path),
    }
    environment.pop("HF_HUB_OFFLINE", None)
    code = "from coreml_driver.proposal import main; main()"
    paths = [str(tmp_path / "request.json"), str(tmp_path / "answer.json")]
    command = [sys.executable, "-B", "-c", code, *paths]
    with subprocess.Popen(command, env=environment, stdin=subprocess.PIPE) as process:
        # Its standard input stays open: it ends with who has started it.
        assert process.wait(timeout=120) == 0
    said = json.loads((tmp_path / "answer.json").read_text())
    assert said["revision"] == hub.repositories["owner/vit"].commit, said
    assert said["task"] == "image-classification"
    assert said["inputs"][0]["shape"] == [1, 3, 8, 8]
