"""Requirement strings against what is installed."""

from __future__ import annotations

import builtins

import pytest

from coreml_driver import versions
from coreml_driver.failures import Failure
from tests.test_process import Driver, table

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


@pytest.mark.parametrize(
    "requirement", ["torch==0.1", "torch>99", "torch<1", "surely-absent", "=="]
)
def test_does_not_fit(requirement):
    with pytest.raises(Failure) as caught:
        versions.check([requirement])
    assert caught.value.kind == "wrong-versions"
    assert requirement in caught.value.message


def test_the_tested_versions_pass_without_a_word():
    assert versions.remarks(INSTALLED) == []
    for version in ("2.5.0", "2.7.1+cpu", "2.15.3"):
        assert versions.remarks({"torch": version, "coremltools": "9.0"}) == []


@pytest.mark.parametrize(
    ("version", "words"), [("2.16.0", "newer"), ("3.0.0a1", "newer"), ("2.4.1", "older")]
)
def test_another_version_is_a_warning_with_advice(version, words):
    (remark,) = versions.remarks({"torch": version, "coremltools": "9.0"})
    assert f"torch {version} is {words}" in remark and '"torch==2.15.0"' in remark


def test_the_warning_reaches_the_build(package):
    """A torch that calls itself 99 is found first."""
    metadata = package.write(
        "newer/torch-99.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: torch\nVersion: 99.0\n"
    )
    models = {"net": table(package, "net", "def make():\n    return nn.Linear(3, 3)\n")}
    (event,) = [
        event
        for event in Driver(package, models, extra=[metadata.parents[1]]).events()
        if event["event"] in ("converted", "failed")
    ]
    assert event["event"] == "converted", event
    assert any("torch 99.0 is newer" in warning for warning in event["warnings"])


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
