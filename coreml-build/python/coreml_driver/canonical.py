"""A model package in its one canonical form: the same model gives the same bytes in every process.

Owns: the last edits of a specification (metadata), and how it and the manifest are written.
Must not: change what the program computes.
Flow: `convert` writes a package -> `conversion` -> `write` -> `reread`.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from pathlib import Path

from coremltools.proto import Model_pb2

from coreml_driver import program

#: Where coremltools keeps the specification in a package.
SPECIFICATION = Path("Data/com.apple.CoreML/model.mlmodel")
#: The one value of the metadata that depends on the day.
CONVERSION_DATE = "com.github.apple.coremltools.conversion_date"
#: Manifest keys to fields of the protobuf `Metadata`.
METADATA_FIELDS = {
    "author": "author",
    "license": "license",
    "description": "shortDescription",
    "version": "versionString",
}


def read_specification(package: Path) -> Model_pb2.Model:
    """Return the specification of the package at `package`."""
    specification = Model_pb2.Model()
    specification.ParseFromString((package / SPECIFICATION).read_bytes())
    return specification


def name_states(specification: Model_pb2.Model, names: Mapping[str, str]) -> None:
    """Call the states as the manifest does, in its order; coremltools calls them after the captured
    module's buffers.

    Parameters: `names` — coremltools' names to the manifest's.
    """
    states = specification.description.state
    if not names:
        return
    order = list(names)
    found = sorted(
        states, key=lambda state: order.index(state.name) if state.name in order else len(order)
    )
    del states[:]
    states.extend(found)
    for state in states:
        state.name = names.get(state.name, state.name)
    program.rename(program.main(specification), names)


def write(package: Path, specification: Model_pb2.Model, metadata: Mapping[str, str]) -> None:
    """Write the specification into the package and bring the whole package into its canonical form.

    Parameters: `metadata` — the manifest's, by manifest key.
    """
    for key, value in metadata.items():
        setattr(specification.description.metadata, METADATA_FIELDS[key], value)
    specification.description.metadata.userDefined.pop(CONVERSION_DATE, None)
    # Map entries are in hash order otherwise.
    (package / SPECIFICATION).write_bytes(specification.SerializeToString(deterministic=True))
    _write_manifest(package / "Manifest.json")


def _write_manifest(path: Path) -> None:
    """Replace the random identifiers of the package's manifest by ones that follow from each item's
    path.
    """
    manifest = json.loads(path.read_text(encoding="utf-8"))
    names = {
        old: str(uuid.uuid5(uuid.NAMESPACE_URL, item["path"]))
        for old, item in manifest["itemInfoEntries"].items()
    }
    manifest["itemInfoEntries"] = {
        names[old]: item for old, item in manifest["itemInfoEntries"].items()
    }
    manifest["rootModelIdentifier"] = names[manifest["rootModelIdentifier"]]
    path.write_text(json.dumps(manifest, indent=4, sort_keys=True) + "\n", encoding="utf-8")
