"""Ten models of the zoo, each of another kind, through `cargo coreml` to PyTorch's results on both
engines: what `.ci/run` has of the zoo.

Wants the packages of `.ci/requirements-driver.txt`, `ORT_DYLIB_PATH`, and `COREML_CARGO`, a
`cargo-coreml` with both engines. Conversions are kept in `COREML_CACHE_DIR`.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import catalogue
from crate import ENGINES, PRECISIONS, Crate

TEN = (
    "timm_resnet18",
    "timm_convnextv2_atto",
    "torchvision_raft",
    "torchvision_swin3d",
    "transformers_deformable_detr",
    "encoder_debertav2",
    "encoder_modernbert",
    "language_mamba",
    "translation_t5",
    "speech_wav2vec2",
)
NEEDED = ("COREML_CARGO", "COREML_CACHE_DIR", "ORT_DYLIB_PATH")
MISSING = [name for name in NEEDED if not os.environ.get(name)]

pytestmark = pytest.mark.skipif(bool(MISSING), reason=f"not set: {', '.join(MISSING)}")


@pytest.fixture(scope="module")
def crate(tmp_path_factory: pytest.TempPathFactory) -> Crate:
    folder = tmp_path_factory.mktemp("zoo")
    return Crate(folder, Path(os.environ["COREML_CACHE_DIR"]))


@pytest.fixture(scope="module")
def reasons(crate: Crate) -> dict[str, dict[str, str]]:
    entries = catalogue.load()
    return crate.build([entries[name] for name in TEN])


@pytest.mark.parametrize("name", TEN)
def test_a_model_gives_what_pytorch_gives(
    name: str, crate: Crate, reasons: dict[str, dict[str, str]]
) -> None:
    assert reasons[name] == {}
    verdicts = {
        (precision, engine): crate.verify(name, precision, engine)
        for precision in PRECISIONS
        for engine in ENGINES
    }
    assert [key for key, verdict in verdicts.items() if not verdict["passed"]] == [], verdicts
