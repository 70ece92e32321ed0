"""Samples that prove nothing are told."""

from types import SimpleNamespace

import torch

from coreml_driver.distinct import remarks


def run(*steps):
    """Returns a sample with these results, one list for each step."""
    return SimpleNamespace(steps=[(None, [torch.tensor(value) for value in one]) for one in steps])


def told(*runs, half=True, names=("y",)):
    """Returns whether there is a warning."""
    return bool(remarks(names, runs, half))


def test_a_network_that_says_the_same_of_everything():
    flat = run([[0.1003, 0.0997]]), run([[0.1, 0.1]]), run([[0.0999, 0.1001]])
    (text,) = remarks(["y", "z"], flat, True)
    assert text.startswith("parity proves little: in PyTorch the samples hardly differ in y and z,")
    assert not told(*flat, run([[0.9, 0.1]])), "one that differs is enough"
    assert told(*flat, half=False), "within 1e-3"
    assert not told(run([[0.10, 0.10]]), run([[0.12, 0.08]]), half=False)


def test_what_says_nothing_is_not_told():
    assert not told(run([[1.0]])), "a single sample"
    assert not told(run([[1.0]]), run([[1.0, 1.0]])), "shapes that differ"
    assert not told(run([[1.0], [2.0]]), run([[1.0], [3.0]]), names=("y", "z")), "one output of two"
    assert not told(run([[1]]), run([[2]])) and told(run([[1]]), run([[1]])), "integers"
    assert not told(run([[float("nan")]]), run([[float("nan")]])), "has a warning of its own"
    assert not told(run([[1.0]], [[1.0]]), run([[1.0]], [[5.0]])), "a later step"
