"""Models of the library transformers: from a folder, from a hub that the test serves, and every way
to be refused.

All models are tiny ones with random weights, made here.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from coreml_driver import pretrained
from tests.conftest import Package, digest
from tests.hub import Hub, Repository
from tests.test_process import Driver

if os.environ.get("COREML_TEST_TRANSFORMERS"):
    import transformers
else:
    transformers = pytest.importorskip("transformers", reason="transformers is not installed here")

#: Sizes of all models.
TINY = {
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 32,
}
WORDS = {**TINY, "vocab_size": 30, "max_position_embeddings": 16}
IDS = {"shape": [1, 8], "dtype": "int32", "sample": {"range": [0, 29]}}
MASK = {"shape": [1, 8], "dtype": "int32", "sample": {"range": [1, 1]}}
TEXT = {"input_ids": IDS, "attention_mask": MASK}
PIXELS = {"pixel_values": {"shape": [1, 3, 8, 8]}}


def bert(kind="BertModel", **changes):
    torch.manual_seed(0)
    return getattr(transformers, kind)(transformers.BertConfig(**WORDS, **changes)).eval()


def whisper():
    torch.manual_seed(0)
    config = transformers.WhisperConfig(
        vocab_size=30, d_model=16, encoder_layers=1, decoder_layers=1, encoder_attention_heads=2,
        decoder_attention_heads=2, encoder_ffn_dim=32, decoder_ffn_dim=32, num_mel_bins=8,
        max_source_positions=10,
        max_target_positions=12, pad_token_id=0, bos_token_id=1, eos_token_id=2,
        decoder_start_token_id=1,
    )  # fmt: skip
    return transformers.WhisperForConditionalGeneration(config).eval()


def others(kind):
    """Return a model of another architecture."""
    torch.manual_seed(0)
    sizes = {"hidden_size": 16, "num_attention_heads": 2, "intermediate_size": 32}
    if kind == "vit":
        config = transformers.ViTConfig(**TINY, image_size=8, patch_size=4, num_labels=3)
        return transformers.ViTForImageClassification(config).eval()
    if kind == "llama":
        config = transformers.LlamaConfig(
            **sizes, num_hidden_layers=1, vocab_size=30, max_position_embeddings=16
        )
        return transformers.LlamaForCausalLM(config).eval()
    config = transformers.Wav2Vec2Config(
        **sizes, num_hidden_layers=1, vocab_size=12, conv_dim=(8, 8), conv_kernel=(4, 4),
        conv_stride=(4, 4),
        num_feat_extract_layers=2, num_conv_pos_embeddings=4, num_conv_pos_embedding_groups=2,
        feat_extract_norm="layer",
    )  # fmt: skip
    return transformers.Wav2Vec2ForCTC(config).eval()


#: task -> (model, inputs, outputs in order, key of the compared output)
MODELS = {
    "feature-extraction": (bert, TEXT, ["last_hidden_state", "pooler_output"]),
    "fill-mask": (lambda: bert("BertForMaskedLM"), TEXT, ["logits"]),
    "text-classification": (
        lambda: bert("BertForSequenceClassification", num_labels=3),
        TEXT,
        ["logits"],
    ),
    "token-classification": (lambda: bert("BertForTokenClassification"), TEXT, ["logits"]),
    "question-answering": (
        lambda: bert("BertForQuestionAnswering"),
        TEXT,
        ["start_logits", "end_logits"],
    ),
    "text-generation": (lambda: others("llama"), {"input_ids": IDS}, ["logits"]),
    "image-classification": (lambda: others("vit"), PIXELS, ["logits"]),
    "automatic-speech-recognition": (
        whisper,
        {"input_features": {"shape": [1, 8, 20]}, "decoder_input_ids": IDS},
        ["logits", "encoder_last_hidden_state"],
    ),
}


def saved(module, folder: Path) -> Path:
    module.save_pretrained(folder)
    return folder


def files(module, folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in saved(module, folder).iterdir()}


@pytest.mark.parametrize("task", MODELS)
def test_a_folder(package, task):
    make, inputs, names = MODELS[task]
    module = make()
    saved(module, package.root / "models/net")
    outcome = package.convert(source={"transformers": "models/net", "task": task}, inputs=inputs)
    description = outcome.specification.description
    assert [item.name for item in description.output] == names
    assert {"models/net/config.json", "models/net/model.safetensors"} <= set(
        outcome.converted["inputs"]
    )
    assert all(path.startswith("models/net/") for path in outcome.converted["inputs"])
    fed = {name: torch.from_numpy(outcome.sample[f"in/{name}"]) for name in inputs}
    fed = {
        name: tensor.long() if tensor.dtype == torch.int32 else tensor
        for name, tensor in fed.items()
    }
    with torch.no_grad():
        expected = module(**fed)
    for name in names:
        np.testing.assert_allclose(
            outcome.sample[f"out/{name}"], expected[name].numpy(), rtol=1e-4, atol=1e-5
        )


def test_speech_without_a_decoder(package):
    saved(others("wav2vec2"), package.root / "net")
    inputs = {"input_values": {"shape": [1, 320]}}
    outcome = package.convert(
        source={"transformers": "net", "task": "automatic-speech-recognition"}, inputs=inputs
    )
    assert list(outcome.features) == ["input_values", "logits"]


@pytest.mark.parametrize("labels", [None, ["x", "y", "z"]])
def test_labels_and_probabilities_of_a_classifier(package, labels):
    names = ["negative", "neutral", "positive"]
    model = bert("BertForSequenceClassification", id2label=dict(enumerate(names)), label2id={})
    saved(model, package.root / "net")
    classifier = {"predicted-feature-name": "label"} | ({"labels": labels} if labels else {})
    source = {"transformers": "net", "task": "text-classification"}
    outcome = package.convert(source=source, inputs=TEXT, classifier=classifier)
    (classify,) = (
        operation
        for operation in outcome.specification.mlProgram.functions["main"]
        .block_specializations["CoreML8"]
        .operations
        if operation.type == "classify"
    )
    found = classify.inputs["classes"].arguments[0].value.immediateValue.list.values
    found = [item.immediateValue.tensor.strings.values[0] for item in found]
    assert found == (labels or names)
    assert abs(outcome.sample["out/classLabel_probs"].sum() - 1) < 1e-5
    assert not any("softmax" in warning for warning in outcome.converted["warnings"])


def test_several_labels_at_once_are_no_classifier(package):
    model = bert(
        "BertForSequenceClassification", problem_type="multi_label_classification", num_labels=3
    )
    saved(model, package.root / "net")
    source = {"transformers": "net", "task": "text-classification"}
    failed = package.convert(source=source, inputs=TEXT, classifier={}).failed
    assert (failed["kind"], failed["key"]) == ("wrong-labels", "classifier")
    failed = package.convert(
        source=source | {"task": "feature-extraction"}, inputs=TEXT, classifier={}
    ).failed
    assert failed["kind"] in ("wrong-labels", "wrong-outputs")


def test_weights_in_several_files_and_without_a_pooling_layer(package):
    model = bert("BertForMaskedLM")
    model.save_pretrained(package.root / "net", max_shard_size="8KB")
    assert (package.root / "net/model.safetensors.index.json").is_file()
    outcome = package.convert(
        source={"transformers": "net", "task": "feature-extraction"}, inputs=TEXT
    )
    assert [item.name for item in outcome.specification.description.output] == ["last_hidden_state"]
    read = [path for path in outcome.converted["inputs"] if path.endswith(".safetensors")]
    assert len(read) > 2 and len(read) == len(list((package.root / "net").glob("*.safetensors")))
    (package.root / read[0]).unlink()
    failed = package.convert(
        source={"transformers": "net", "task": "feature-extraction"}, inputs=TEXT
    ).failed
    assert failed["kind"] == "damaged-source" and read[0].rpartition("/")[2] in failed["message"]


def refused(package, task, change=None, **table):
    """Convert a folder after `change` of it; return the failure."""
    folder = saved(bert("BertForMaskedLM"), package.root / "net")
    if change is not None:
        change(folder)
    return package.convert(
        source={"transformers": "net", "task": task}, inputs=TEXT, **table
    ).failed


def edit(**values):
    """Return a change of the configuration."""

    def change(folder):
        config = json.loads((folder / "config.json").read_text()) | values
        (folder / "config.json").write_text(json.dumps(config))

    return change


def pickle(folder):
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")


REFUSED = {
    "no folder": ("fill-mask", shutil.rmtree, "missing-file", "source.transformers", "revision"),
    "no configuration": (
        "fill-mask",
        lambda folder: (folder / "config.json").unlink(),
        "hub-no-model",
        None,
        "",
    ),
    "no weights": (
        "fill-mask",
        lambda folder: (folder / "model.safetensors").unlink(),
        "hub-no-model",
        None,
        "",
    ),
    "a pickle": ("fill-mask", pickle, "pickled-weights", "source.transformers", "save_pretrained"),
    "weights that would be random": (
        "text-classification",
        None,
        "missing-weights",
        "source.task",
        "BertForMaskedLM",
    ),
    "a task of other models": (
        "image-classification",
        None,
        "wrong-task",
        "source.task",
        "`fill-mask`",
    ),
    "code of its own": (
        "fill-mask",
        edit(model_type="mine", auto_map={"AutoModelForMaskedLM": "code.Model"}),
        "custom-code",
        "source.transformers",
        "read it",
    ),
    "an unknown type": (
        "fill-mask",
        edit(model_type="mine"),
        "custom-code",
        None,
        "A newer transformers",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_folder_that_is_refused(package, name):
    task, change, kind, key, cure = REFUSED[name]
    failed = refused(package, task, change)
    assert failed["kind"] == kind, failed
    assert failed["key"] == (key or "source.transformers")
    assert cure in " ".join(failed["advice"]), failed


def test_code_of_a_repository_is_never_run(package):
    (package.root / "net").mkdir()
    (package.root / "net/code.py").write_text("raise SystemExit('it ran')\n")
    failed = refused(
        package,
        "fill-mask",
        edit(auto_map={"AutoModelForMaskedLM": "code.Model"}, model_type="mine"),
    )
    assert failed["kind"] == "custom-code" and "it ran" not in failed["traceback"]


def test_without_transformers(package, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "transformers", None)
    failed = refused(package, "fill-mask")
    assert (failed["kind"], failed["key"]) == ("missing-module", "source.transformers")


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """Repositories on a hub, and three drivers: one with the hub, one when it is gone, one that
    must not ask."""
    root = tmp_path_factory.mktemp("hub")
    (root / "package").mkdir()
    package = Package(root / "package")
    classifier = files(bert("BertForSequenceClassification", num_labels=2), root / "classifier")
    pickled = {
        name.replace("model.safetensors", "pytorch_model.bin"): data
        for name, data in classifier.items()
    }
    repositories = {
        "owner/classifier": Repository(classifier | {"README.md": b"# A model"}),
        "owner/encoder": Repository(files(bert(), root / "encoder")),
        "owner/gated": Repository(classifier, gated=True),
        "owner/pickled": Repository(pickled),
    }
    server = Hub(repositories)
    commit = {name: repository.commit for name, repository in repositories.items()}

    def table(name, task, revision=None):
        source = {"transformers": name, "task": task, "revision": revision or commit[name]}
        return package.table(source=source, inputs=TEXT)

    models = {
        "classifier": table("owner/classifier", "text-classification"),
        "encoder": table("owner/encoder", "feature-extraction"),
        "branch": table("owner/encoder", "feature-extraction", "main"),
        "commit": table("owner/encoder", "feature-extraction", "0" * 40),
        "absent": table("owner/absent", "feature-extraction", "0" * 40),
        "name": table("not a name", "feature-extraction", "0" * 40),
        "gated": table("owner/gated", "text-classification"),
        "pickled": table("owner/pickled", "text-classification"),
    }

    def run(models, endpoint, home=root / "home", **environment):
        variables = {
            "HF_ENDPOINT": endpoint,
            "HF_HOME": str(home),
            "HF_HUB_ETAG_TIMEOUT": "2",
            **environment,
        }
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("HF_HUB_DISABLE_TELEMETRY", "1")
            for key, value in variables.items():
                patch.setenv(key, value)
            extra = [Path(transformers.__file__).parents[1]]
            events = Driver(package, models, extra=extra).events()
        return {
            event["model"]: event for event in events if event["event"] in ("converted", "failed")
        }

    first = run(models, server.endpoint)
    digests = {
        name: digest(root / "out" / name / "model.mlpackage") for name in ("classifier", "encoder")
    }
    asked = list(server.requests)
    server.shutdown()
    server.server_close()
    some = {name: models[name] for name in ("classifier", "encoder", "absent")}
    shutil.rmtree(root / "out")
    second = run(some, server.endpoint)
    again = {
        name: digest(root / "out" / name / "model.mlpackage") for name in ("classifier", "encoder")
    }
    blob = (
        root
        / "home/hub/models--owner--encoder/snapshots"
        / commit["owner/encoder"]
        / "model.safetensors"
    )
    data = bytearray(blob.read_bytes())
    data[-1] ^= 1
    blob.resolve().chmod(0o644)
    blob.resolve().write_bytes(data)
    third = run(some, server.endpoint, HF_HUB_OFFLINE="1")
    return {
        "package": package, "commit": commit, "files": repositories, "asked": asked,
        "first": first, "second": second,
        "third": third, "digests": (digests, again), "endpoint": server.endpoint,
    }  # fmt: skip


def test_a_repository_is_fetched_and_its_files_are_inputs(world):
    for name in ("classifier", "encoder"):
        event, repository = world["first"][name], world["files"][f"owner/{name}"]
        assert event["event"] == "converted", event
        expected = []
        for file in ("config.json", "model.safetensors"):
            digest = hashlib.sha256(repository.files[file]).hexdigest()
            expected.append(f"hub:owner/{name}@{repository.commit}/{file}#sha256={digest}")
        assert event["inputs"] == expected
    assert not any("README" in path for path in world["asked"]), "only what the model is made of"


def test_it_comes_from_the_cache_when_the_hub_is_gone(world):
    for name in ("classifier", "encoder"):
        assert world["second"][name]["event"] == "converted", world["second"][name]
        assert world["second"][name]["inputs"] == world["first"][name]["inputs"]
    assert world["digests"][0] == world["digests"][1]


FROM_THE_HUB = {
    "branch": ("hub-unpinned", "source.revision", "today it is {commit}", 'revision = "{commit}"'),
    "commit": ("hub-no-revision", "source.revision", "no revision `0000", "commits/main"),
    "absent": ("hub-not-found", "source.transformers", "no repository `owner/absent`", "spelling"),
    "name": ("hub-not-found", "source.transformers", "not a name", "owner/name"),
    "gated": (
        "hub-gated",
        "source.transformers",
        "`owner/gated` is gated",
        "{endpoint}/owner/gated",
    ),
    "pickled": ("pickled-weights", "source.transformers", "pytorch_model.bin", "refs/pr"),
}


@pytest.mark.parametrize("name", FROM_THE_HUB)
def test_what_the_hub_refuses(world, name):
    kind, key, words, cure = FROM_THE_HUB[name]
    failed = world["first"][name]
    fill = {"commit": world["commit"]["owner/encoder"], "endpoint": world["endpoint"]}
    assert (failed["kind"], failed["key"]) == (kind, key), failed
    assert words.format(**fill) in failed["message"], failed
    assert cure.format(**fill) in " ".join(failed["advice"]), failed


def test_a_hub_that_does_not_answer(world):
    failed = world["second"]["absent"]
    assert (failed["kind"], failed["key"]) == ("hub-unreachable", "source.transformers"), failed
    assert world["endpoint"] in failed["message"] and "HF_ENDPOINT" in " ".join(failed["advice"])


def test_offline(world):
    failed = world["third"]["absent"]
    assert failed["kind"] == "hub-offline" and "COREML_OFFLINE" in " ".join(failed["advice"]), (
        failed
    )
    assert world["third"]["classifier"]["event"] == "converted"


def test_a_damaged_file_in_the_hubs_cache(world):
    failed = world["third"]["encoder"]
    assert failed["kind"] == "damaged-source" and "model.safetensors" in failed["message"], failed


def test_every_task_has_its_class():
    for name in {*pretrained.TASKS.values(), pretrained.CTC}:
        assert hasattr(transformers, name), name
