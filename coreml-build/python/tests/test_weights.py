"""Weights files of every fault: absent, of another network, damaged, or a pickle that would run
code."""

from __future__ import annotations

import os
import pickle

import pytest
import safetensors.torch
import torch

LINEAR = "def make():\n    return nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2))\n"


def weights_failure(package, write, name="w.safetensors"):
    write(package.root / name)
    failed = package.convert(LINEAR, weights=name).failed
    assert failed["key"] == "weights"
    assert name in failed["inputs"] or failed["kind"] == "missing-file"
    return failed


def state():
    return torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Linear(4, 2)).state_dict()


def test_weights_missing(package):
    assert weights_failure(package, lambda path: None)["kind"] == "missing-file"


def test_weights_with_wrong_keys(package):
    wrong = state()
    wrong["2.weight"] = wrong.pop("1.weight")
    wrong["0.weight"] = torch.zeros(4, 5)
    failed = weights_failure(package, lambda path: safetensors.torch.save_file(wrong, path))
    assert failed["kind"] == "wrong-weights"
    for words in (
        "missing from the file: 1.weight",
        "not in the module: 2.weight",
        "0.weight (file [4, 5], module [4, 3])",
    ):
        assert words in failed["message"]


def test_weights_with_a_prefix(package):
    prefixed = {f"module.{name}": tensor for name, tensor in state().items()}
    failed = weights_failure(package, lambda path: safetensors.torch.save_file(prefixed, path))
    assert "prefix `module.`" in failed["advice"][0]


def test_weights_cut_short(package):
    def write(path):
        safetensors.torch.save_file(state(), path)
        path.write_bytes(path.read_bytes()[:-20])

    assert weights_failure(package, write)["kind"] == "damaged-weights"


def test_weights_left_by_git_lfs(package):
    pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n"
    failed = weights_failure(package, lambda path: path.write_bytes(pointer))
    assert failed["kind"] == "damaged-weights"
    assert "git lfs pull" in failed["advice"][0]


class Bomb:
    """Runs a command when it is unpickled carelessly."""

    def __init__(self, command):
        self.command = command

    def __reduce__(self):
        return os.system, (self.command,)


@pytest.mark.parametrize(
    "save", [torch.save, lambda value, path: path.write_bytes(pickle.dumps(value))]
)
def test_weights_that_would_run_code(package, save):
    trace = package.root / "ran"
    failed = weights_failure(
        package, lambda path: save({"a": Bomb(f"touch {trace}")}, path), "w.pt"
    )
    assert failed["kind"] == "unsafe-weights", failed
    assert "system" in failed["message"] or save is not torch.save
    assert "safetensors" in failed["advice"][0]
    assert not trace.exists()


def test_weights_that_hold_a_whole_checkpoint(package):
    failed = weights_failure(
        package, lambda path: torch.save({"model": state(), "epoch": 3}, path), "w.pt"
    )
    assert failed["kind"] == "wrong-weights"
    assert "`model`" in failed["message"]


def test_weights_that_are_no_pickle(package):
    assert (
        weights_failure(package, lambda path: path.write_bytes(b"junk" * 9), "w.pt")["kind"]
        == "damaged-weights"
    )
