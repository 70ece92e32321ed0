"""Several functions in one package: a model's table apart into tables of single functions or sizes,
and their packages together.

Owns: which keys belong to a function, the joining, and the proof that joining changed no function.
Must not: convert: `conversion` does that with each table as if it were a model's.
Flow: `conversion.convert` -> `split` -> a conversion of each -> `join`.
"""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import coremltools as ct
from coremltools.proto import Model_pb2

from coreml_driver import buckets, canonical, functional, program, symbols
from coreml_driver.failures import Failure
from coreml_driver.features import name_of
from coreml_driver.request import Job

#: Keys that each function has of its own, with their defaults; all others are the model's. A test
#: of coreml-build compares them with the manifest's.
OWN_KEYS: Mapping[str, Any] = {
    "source": None,
    "weights": None,
    "capture": "auto",
    "inputs": None,
    "outputs": None,
    "states": None,
}
#: The key that the build script makes of a function's `states.mode`.
STATES_MODE = "states-mode"
#: Keys of a model with several functions that no function's table takes over.
JOINING_KEYS = frozenset({"functions", "default-function"})
#: The folder of the functions' packages inside the output, until they are joined.
SCRATCH = "functions"
#: Parts of a function's description.
SIDES = ("input", "output", "state")
#: What begins the keys of a package's metadata that say something of one function.
NOTES = (functional.NOTE, symbols.NOTE)


@dataclass(frozen=True)
class Part:
    """One function of a package."""

    #: `None` for the only function of a model.
    name: str | None
    job: Job
    #: The size of one of several buckets, whose keys are the model's.
    size: int | None = None

    def key(self, key: str | None) -> str | None:
        """Return where `key` of the function's table stands in the model's."""
        if self.name is None or self.size is not None:
            return key
        if key is None:
            return f"{SCRATCH}.{self.name}"
        return f"{SCRATCH}.{self.name}.{key}" if key.split(".")[0] in OWN_KEYS else key

    def remark(self, text: str) -> str:
        """Return a warning with the function that it is about."""
        if self.size is not None:
            return f"bucket {self.size}: {text}"
        return text if self.name is None else f"function `{self.name}`: {text}"


def remarks(warned: Sequence[tuple[Part, Sequence[str]]]) -> list[str]:
    """Return the warnings of all functions; what several buckets say is said once, of the model."""
    said = [
        text for part, texts in warned if part.size is not None for text in dict.fromkeys(texts)
    ]
    found = [
        text if part.size is not None and said.count(text) > 1 else part.remark(text)
        for part, texts in warned
        for text in texts
    ]
    return list(dict.fromkeys(found))


def split(job: Job) -> list[Part]:
    """Return the functions of a model, in the manifest's order.

    Errors: `Failure` of kind `wrong-manifest`.
    """
    if "buckets" in job.table:
        return _split_buckets(job)
    functions: Mapping[str, Any] | None = job.table.get("functions")
    if functions is None:
        return [Part(None, job)]
    own_keys = {*OWN_KEYS, STATES_MODE}
    misplaced = sorted(own_keys & set(job.table))
    if misplaced:
        message = f"`{misplaced[0]}` belongs to each function, not to a model of several."
        raise Failure("wrong-manifest", message, key=misplaced[0])
    if job.table.get("classifier") is not None:
        raise Failure(
            "not-supported",
            "`classifier` beside `functions` is not supported yet.",
            key="classifier",
        )
    if not functions or job.table.get("default-function") not in functions:
        message = "`default-function` must name one of the functions."
        raise Failure("wrong-manifest", message, key="default-function")
    shared = {key: value for key, value in job.table.items() if key not in JOINING_KEYS}
    parts = []
    for number, (name, own) in enumerate(functions.items()):
        name_of(name, "functions")
        strange = sorted(set(own) - own_keys)
        if strange:
            message = f"`{strange[0]}` belongs to the model, not to one of its functions."
            raise Failure("wrong-manifest", message, key=f"functions.{name}.{strange[0]}")
        if "mil" in (own.get("source") or {}):
            message = "A MIL program as a function of a package is not supported yet."
            raise Failure("not-supported", message, key=f"functions.{name}.source.mil")
        table = shared | own
        if number:
            table.pop("ops", None)  # registered once, for all of them
        parts.append(Part(name, replace(job, output=job.output / SCRATCH / name, table=table)))
    return parts


def _split_buckets(job: Job) -> list[Part]:
    """Return a function for each size; a single size is the model's only function."""
    tables = buckets.tables(job.table)
    if len(tables) == 1:
        ((size, table),) = tables
        return [Part(None, replace(job, table=table), size)]
    parts = []
    for number, (size, table) in enumerate(tables):
        name = buckets.function_name(size)
        if number:
            table.pop("ops", None)  # registered once, for all of them
        output = job.output / SCRATCH / name
        parts.append(Part(name, replace(job, output=output, table=table), size))
    return parts


def join(
    job: Job, parts: Sequence[Part], package_name: str, metadata: Mapping[str, str]
) -> Model_pb2.Model:
    """Make one package of the functions' packages, and bring it and the samples to where a model's
    are.

    Equal weights are stored once.

    Parameters: `package_name` — of each package in its folder.
    Returns: the specification of the joined package.
    Errors: `Failure` of kind `changed-interface`, if coremltools changed a function.
    """
    descriptor = ct.utils.MultiFunctionDescriptor()
    before: dict[str, Model_pb2.Model] = {}
    for part in parts:
        assert part.name is not None
        package = part.job.output / package_name
        descriptor.add_function(str(package), program.MAIN, part.name)
        before[part.name] = canonical.read_specification(package)
    # Of buckets the largest: it takes whatever the others take.
    descriptor.default_function_name = job.table.get("default-function") or str(parts[-1].name)
    joined = job.output / package_name
    ct.utils.save_multifunction(descriptor, str(joined))
    specification = canonical.read_specification(joined)
    _check(specification, before)
    _keep_notes(specification, before)
    canonical.write(joined, specification, metadata)
    _move_samples(job.output / "samples", parts)
    shutil.rmtree(job.output / SCRATCH)
    return specification


def _check(specification: Model_pb2.Model, before: Mapping[str, Model_pb2.Model]) -> None:
    """Refuse a package whose functions are not those that were converted."""
    described = {function.name: function for function in specification.description.functions}
    if list(described) != list(before) or set(specification.mlProgram.functions) != set(before):
        message = f"coremltools joined other functions than asked for: {', '.join(described)}."
        raise Failure(
            "changed-interface", message, key=SCRATCH, advice=("Please report this with the log.",)
        )
    for name, one in before.items():
        same = all(
            list(getattr(described[name], side)) == list(getattr(one.description, side))
            for side in SIDES
        )
        if not same or _operations(specification.mlProgram.functions[name]) != _operations(
            program.main(one)
        ):
            message = f"coremltools changed the function `{name}` while it joined the functions."
            cure = (
                "Please report this with the log; models of their own (`[models.NAME]`) work "
                "meanwhile."
            )
            raise Failure("changed-interface", message, key=f"{SCRATCH}.{name}", advice=(cure,))


def _keep_notes(specification: Model_pb2.Model, before: Mapping[str, Model_pb2.Model]) -> None:
    """Write what packages say of their one function into the package that they were joined in."""
    for name, one in before.items():
        for kind in NOTES:
            note = one.description.metadata.userDefined.get(kind + program.MAIN)
            if note is not None:
                specification.description.metadata.userDefined[kind + name] = note


def _operations(function: Any) -> Counter[str]:
    """Return how many operations of each type a function has; constants may be shared or moved."""
    kinds = (operation.type for operation in program.block_operations(program.block(function)))
    return Counter(kind for kind in kinds if kind != "const")


def _move_samples(folder: Path, parts: Sequence[Part]) -> None:
    """Bring the functions' samples together: `INDEX.safetensors` becomes
    `FUNCTION.INDEX.safetensors`.
    """
    for part in parts:
        for sample in sorted((part.job.output / "samples").glob("*.safetensors")):
            folder.mkdir(exist_ok=True)
            sample.rename(folder / f"{part.name}.{sample.name}")
