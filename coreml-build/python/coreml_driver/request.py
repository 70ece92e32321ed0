"""The request file as typed values: what the build script asks for.

Owns: reading the canonical tables of the models; the defaults that belong to Python.
Must not: touch a model or import torch: a request is read before the libraries are.
Flow: `__main__` reads the file -> every other module is handed a `Model`.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from coreml_driver import buckets, features, parity
from coreml_driver.buckets import Bucket
from coreml_driver.failures import Failure
from coreml_driver.features import Input, Output, State, name_of
from coreml_driver.parity import Parity
from coreml_driver.protocol import PROTOCOL_VERSION

#: Keys of a model of one function that this version converts by, with their defaults; any other is
#: refused, never ignored. A test of coreml-build compares them with the manifest's.
KEYS: Mapping[str, Any] = {
    "source": None,
    "weights": None,
    "capture": "auto",
    "inputs": None,
    "outputs": None,
    "states": None,
    "ops": None,
    "minimum-deployment-target": "iOS18",
    "format": "mlprogram",
    "compute-precision": "float16",
    "quantize": None,
    "palettize": None,
    "prune": None,
    "rewrite": None,
    "classifier": None,
    "metadata": None,
    "parity": {},
    "proof": True,
}
#: Keys of a table beside the manifest's: the build script's for `states.mode`, and that of
#: `buckets.tables`.
MADE_KEYS = frozenset(("states-mode", "bucket"))
#: Keys of a source, with their defaults, compared likewise.
SOURCE_KEYS: Mapping[str, Any] = {
    "file": None,
    "entry": None,
    "args": {},
    "torchscript": None,
    "exported": None,
    "transformers": None,
    "task": None,
    "revision": None,
    "mil": None,
    "package": None,
}
#: Where an integer sample is drawn from when the manifest says nothing: small enough for most
#: vocabularies, both ends included.
DEFAULT_INTEGER_RANGE = (0.0, 9.0)


@dataclass(frozen=True)
class Source:
    """Where the model comes from."""

    #: `file` (a function that returns a module), `mil` (one that returns a MIL program),
    #: `torchscript`, `exported` or `transformers` (a repository of the hub, or a folder in its
    #: form).
    kind: str
    #: Relative to the package; the name of a repository of the hub.
    file: str
    #: The function's name; empty for saved graphs.
    entry: str = ""
    args: Mapping[str, Any] = field(default_factory=dict)
    #: What a model of transformers is to do, by the hub's name.
    task: str = ""
    #: The commit of a repository of the hub; `None` for a folder.
    revision: str | None = None

    @property
    def key(self) -> str:
        """The manifest key of the file."""
        return f"source.{self.kind}"

    def folder(self, package_root: Path) -> Path:
        """Return the folder of the user's own files: that of the package, for a repository of the
        hub.
        """
        if self.kind != "transformers":
            return Path(os.path.normpath(package_root / self.file)).parent
        return (
            package_root
            if self.revision is not None
            else Path(os.path.normpath(package_root / self.file))
        )


@dataclass(frozen=True)
class Precision:
    """What is computed in half precision."""

    #: False: everything in float32.
    float16: bool
    #: Operation types that stay in float32.
    float32_ops: tuple[str, ...] = ()
    #: Names of MIL variables whose operation stays in float32.
    float32_outputs: tuple[str, ...] = ()


@dataclass(frozen=True)
class Classifier:
    """How the one output becomes a label and its probabilities."""

    #: A file with one label per line, or the labels themselves; empty: those of the repository's
    #: configuration.
    labels: str | tuple[str, ...] | tuple[int, ...]
    label_name: str
    probabilities_name: str


@dataclass(frozen=True)
class Model:
    """One model to convert."""

    id: str
    #: The folder to fill; it exists or can be made.
    output: Path
    source: Source
    weights: str | None
    #: `auto`, `trace` or `export`.
    capture: str
    #: A Python file that registers operations, relative to the package.
    ops: str | None
    #: As coremltools names it: `iOS18`.
    target: str
    precision: Precision
    inputs: tuple[Input, ...]
    #: `None`: the manifest names no outputs.
    outputs: tuple[Output, ...] | None
    metadata: Mapping[str, str]
    classifier: Classifier | None
    parity: Parity
    states: tuple[State, ...] = ()
    #: Whether the states are inputs and outputs of the package, instead of Core ML's own.
    functional_states: bool = False
    #: The tables of `prune`, `palettize` and `quantize`, those that there are.
    compression: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    #: Rewrites of the module that were asked for: `ane`.
    rewrite: tuple[str, ...] = ()
    #: Present when this is one of several sizes of a model.
    bucket: Bucket | None = None
    #: Whether the finished package is executed and compared with PyTorch.
    proof: bool = True


@dataclass(frozen=True)
class Job:
    """A model's table, not yet understood: a fault in one table must not hide the other models."""

    id: str
    output: Path
    table: Mapping[str, Any]
    #: What the paths of the table are relative to.
    package_root: Path
    #: Requirement strings that the environment has to meet.
    requirements: tuple[str, ...] = ()


@dataclass(frozen=True)
class Request:
    """Everything that one start of the driver has to do."""

    #: How many models may be converted at the same time.
    jobs: int
    models: tuple[Job, ...]


def read(path: Path) -> Request:
    """Read a request file.

    Errors: `OSError`, `ValueError`, `KeyError` for a file that the build script cannot have
    written.
    """
    data = json.loads(path.read_text(encoding="utf-8"))
    if data["version"] != PROTOCOL_VERSION:
        raise ValueError(
            f"request version {data['version']}, but this driver speaks version {PROTOCOL_VERSION}"
        )
    return Request(
        jobs=max(1, int(data["jobs"])),
        models=tuple(
            Job(
                model["id"],
                Path(model["output"]),
                model["table"],
                Path(model["package_root"]),
                tuple(model["requirements"]),
            )
            for model in data["models"]
        ),
    )


def understand(job: Job) -> Model:
    """Turn a model's table into a `Model`.

    Errors: `Failure` of kind `wrong-manifest` or `not-supported` with the key; the build script has
    validated the table, so these are the rules that only the Python side knows.
    """
    for key in job.table:
        if key not in KEYS and key not in MADE_KEYS:
            raise Failure("not-supported", f"`{key}` is not supported yet.", key=key)
    table = {**KEYS, **job.table}
    if table["format"] != "mlprogram":
        raise Failure(
            "not-supported", f"format `{table['format']}` is not supported yet.", key="format"
        )
    source = _source(table["source"] or {})
    inputs = () if source.kind == "mil" else features.inputs(table)
    outputs = features.outputs(table, inputs)
    states = features.states(table)
    return Model(
        id=job.id,
        output=job.output,
        source=source,
        weights=table["weights"],
        capture=CAPTURES[source.kind] or table["capture"],
        ops=table["ops"],
        target=table["minimum-deployment-target"],
        precision=_precision(table["compute-precision"]),
        inputs=inputs,
        outputs=tuple(outputs) or None,
        metadata=dict(table["metadata"] or {}),
        classifier=_classifier(table["classifier"], outputs),
        parity=parity.read(table["parity"], bool(states)),
        states=states,
        functional_states=table.get("states-mode") == "io",
        compression={key: table[key] for key in ("prune", "palettize", "quantize") if table[key]},
        rewrite=tuple(table["rewrite"] or ()),
        bucket=buckets.read(table, inputs),
        proof=table["proof"],
    )


#: Sources, with the one way of capturing that each leaves; `None` leaves a choice.
CAPTURES = {
    "file": None,
    "mil": None,
    "torchscript": "trace",
    "exported": "export",
    "transformers": None,
}


def _source(own: Mapping[str, Any]) -> Source:
    """Return the source."""
    for part in own:
        if part not in SOURCE_KEYS:
            raise Failure(
                "not-supported", f"A source of `{part}` is not supported yet.", key=f"source.{part}"
            )
    source = {**SOURCE_KEYS, **own}
    kind = next((kind for kind in CAPTURES if source[kind] is not None), None)
    if kind is None or (kind in ("file", "mil") and source["entry"] is None):
        message = "The source must name a Python `file` and its `entry` function."
        raise Failure("wrong-manifest", message, key="source")
    return Source(
        kind,
        source[kind],
        source["entry"] or "",
        dict(source["args"]),
        source["task"] or "",
        source["revision"],
    )


def _precision(value: Any) -> Precision:
    """Return the precision from a word or from the table of exceptions."""
    if isinstance(value, str):
        return Precision(float16=value == "float16")
    return Precision(
        True, tuple(value.get("float32-ops") or ()), tuple(value.get("float32-outputs") or ())
    )


def _classifier(value: Mapping[str, Any] | None, outputs: list[Output]) -> Classifier | None:
    """Return the classifier, whose keys name the outputs; `outputs` beside it would be ignored, so
    it is refused.
    """
    if value is None:
        return None
    if outputs:
        message = (
            "A classifier's outputs are named by `predicted-feature-name` and "
            "`predicted-probabilities-output`."
        )
        raise Failure(
            "wrong-manifest",
            message,
            key=f"outputs.{outputs[0].name}",
            advice=("Remove `outputs`.",),
        )
    labels = value.get("labels", ())
    label_name = value.get("predicted-feature-name", "classLabel")
    probabilities_name = value.get("predicted-probabilities-output", "classLabel_probs")
    name_of(label_name, "classifier")
    name_of(probabilities_name, "classifier")
    return Classifier(
        labels if isinstance(labels, str) else tuple(labels), label_name, probabilities_name
    )
