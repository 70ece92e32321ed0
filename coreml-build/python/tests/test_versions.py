"""Requirement strings against what is installed."""

from __future__ import annotations

import builtins

import pytest

from coreml_driver import versions
from coreml_driver.failures import Failure

INSTALLED = versions.installed()
TORCH = INSTALLED["torch"]


@pytest.mark.parametrize(
    "requirement",
    [
        f"torch=={TORCH}",
        f"torch == {TORCH}",
        "torch",
        "Torch>=1.0,<99",
        f"torch[extra]=={TORCH}",
        "surely-absent==1; sys_platform == 'nowhere'",
        f"torch=={TORCH} ; python_version >= '3.8'",
    ],
)
def test_fits(requirement):
    versions.check([requirement])


@pytest.mark.parametrize("requirement", ["torch==0.1", "torch>99", "torch<1", "surely-absent", "=="])
def test_does_not_fit(requirement):
    with pytest.raises(Failure) as caught:
        versions.check([requirement])
    assert caught.value.kind == "wrong-versions"
    assert requirement in caught.value.message


def test_without_packaging_only_equality_is_compared(monkeypatch):
    real = builtins.__import__

    def without_packaging(name, *arguments):
        if name.startswith("packaging"):
            raise ImportError(name)
        return real(name, *arguments)

    monkeypatch.setattr(builtins, "__import__", without_packaging)
    versions.check([f"torch=={TORCH}", "torch>99"])
    with pytest.raises(Failure):
        versions.check(["torch==0.1"])


def test_local_versions_fit(monkeypatch):
    monkeypatch.setattr(versions.importlib.metadata, "version", lambda name: "2.7.0+cpu")
    versions.check(["torch==2.7.0"])
