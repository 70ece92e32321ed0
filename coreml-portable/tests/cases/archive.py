"""Case archives: model packages with inputs and expected outputs, one safetensors file per family.

Owns: the layout of an archive and how packages are made small and reproducible.
Must not: know operations; the families do.
Flow: `generate.py` → a family (`networks.py`, …) → `Archive.add_*` → `<family>.safetensors`, read
by `cases.rs`.

Keys: `CASE/package/PATH` holds the bytes of a package's file, `CASE/in/NAME` and `CASE/out/NAME`
are tensors. The metadata entry `CASE` is a JSON object: `tolerance` (largest difference relative to
the largest expected magnitude).
"""

import json
import logging
import pathlib
import shutil
import tempfile
import warnings

import coremltools as ct
import numpy as np
import safetensors.numpy
from coremltools.converters.mil.mil import Builder as mb
from coremltools.converters.mil.mil import get_new_symbol, types

warnings.filterwarnings("ignore")
logging.disable(logging.WARNING)

# Identifier that replaces the random one of each package, so that archives are reproducible.
IDENTIFIERS = ("00000000-0000-4000-8000-000000000001", "00000000-0000-4000-8000-000000000002")

# Largest difference from the reference, relative to its largest magnitude, for programs of each
# precision.
TOLERANCES = {"float32": 2e-5, "float16": 4e-3}


class Archive:
    """Collects the cases of a family."""

    def __init__(self, family):
        self.family = family
        self.tensors = {}
        self.metadata = {}
        self.failures = []

    def add(self, name, model, inputs, outputs, tolerance):
        """Adds a converted model with inputs and expected outputs, both dictionaries of NumPy
        arrays."""
        assert name not in self.metadata, f"two cases are called {name}"
        self.metadata[name] = json.dumps({"tolerance": tolerance}, sort_keys=True)
        for path, content in package_files(model).items():
            self.tensors[f"{name}/package/{path}"] = np.frombuffer(content, dtype=np.uint8)
        for group, arrays in (("in", inputs), ("out", outputs)):
            for key, array in arrays.items():
                self.tensors[f"{name}/{group}/{key}"] = np.ascontiguousarray(array)

    def write(self):
        """Writes the archive beside this file."""
        path = pathlib.Path(__file__).with_name(f"{self.family}.safetensors")
        safetensors.numpy.save_file(
            self.tensors, path, metadata=dict(sorted(self.metadata.items()))
        )
        print(f"{path.name}: {len(self.metadata)} cases, {path.stat().st_size:,} bytes")
        if self.failures:
            raise SystemExit(
                "\n".join([f"{len(self.failures)} cases could not be made:", *self.failures])
            )


def package_files(model):
    """Returns the files of a model as a package: `{path: bytes}`, the same for the same model."""
    specification = model.get_spec()
    for metadata in [specification.description.metadata]:
        metadata.ClearField("userDefined")
    files = {}
    with tempfile.TemporaryDirectory() as folder:
        package = pathlib.Path(folder) / "model.mlpackage"
        model.save(str(package))
        for path in sorted(package.rglob("*")):
            if path.is_file():
                files[path.relative_to(package).as_posix()] = path.read_bytes()
        shutil.rmtree(package)
    manifest = json.loads(files["Manifest.json"])
    entries = manifest["itemInfoEntries"]
    renamed = {}
    for number, (key, entry) in enumerate(
        sorted(entries.items(), key=lambda item: item[1]["path"])
    ):
        renamed[IDENTIFIERS[number]] = entry
        if key == manifest["rootModelIdentifier"]:
            manifest["rootModelIdentifier"] = IDENTIFIERS[number]
    manifest["itemInfoEntries"] = renamed
    files["Manifest.json"] = json.dumps(manifest, sort_keys=True).encode()
    for path in files:
        if path.endswith(".mlmodel"):
            files[path] = specification.SerializeToString(deterministic=True)
    return files


def convert(source, precision="float32", target="iOS16", **options):
    """Converts without loading: there is no Core ML here."""
    return ct.convert(
        source,
        convert_to="mlprogram",
        minimum_deployment_target=getattr(ct.target, target),
        compute_precision=getattr(ct.precision, precision.upper()),
        skip_model_load=True,
        **options,
    )


class Operations:
    """Adds cases of single operations: a program of a few builder calls, and what NumPy or PyTorch
    says it gives."""

    def __init__(self, archive):
        self.archive = archive

    def add(self, name, inputs, build, expected, targets=("iOS15",), tolerance=None, varying=None):
        """Adds a case for each target.

        `inputs` are NumPy arrays by name; `build(**variables)` makes the program and returns one
        variable or several; `expected(*arrays)` returns as many arrays, or is them; `varying` are
        the dimensions of inputs whose sizes vary, by name. Outputs are called y0, y1, …. Integers
        must be equal, unless `tolerance` says otherwise.
        """
        results = expected(*inputs.values()) if callable(expected) else expected
        results = results if isinstance(results, (tuple, list)) else (results,)
        outputs = {f"y{i}": plain(result) for i, result in enumerate(results)}
        for target in targets:
            try:
                model = program(inputs, build, target, varying)
            except (
                Exception
            ) as error:  # the other cases are still wanted; `write` reports all that failed
                self.archive.failures.append(f"{name}_{target}: {type(error).__name__}: {error}")
                continue
            integers = all(output.dtype.kind == "i" for output in outputs.values())
            limit = tolerance or (0.0 if integers else TOLERANCES["float32"])
            self.archive.add(f"{name}_{target}", model, inputs, outputs, limit)


def plain(array):
    """Returns a result in a type that models have: float32, float16 or int32."""
    array = np.asarray(array)
    if array.dtype in (np.float32, np.float16, np.int32):
        return array
    return array.astype(np.float32 if array.dtype.kind == "f" else np.int32)


def program(inputs, build, target, varying=None):
    """Returns a converted program that no pass has touched; the sizes of the dimensions `varying`
    vary."""
    version = getattr(ct.target, target)
    names = {
        np.dtype(np.float32): types.fp32,
        np.dtype(np.float16): types.fp16,
        np.dtype(np.int32): types.int32,
    }
    specs, features = {}, []
    for key, value in inputs.items():
        axes = (varying or {}).get(key, ())
        sizes = enumerate(value.shape)
        shape = [get_new_symbol() if axis in axes else size for axis, size in sizes]
        specs[key] = mb.TensorSpec(shape=shape, dtype=names[value.dtype])
        sizes = enumerate(value.shape)
        shape = [ct.RangeDim(1, 1024, size) if axis in axes else size for axis, size in sizes]
        features.append(ct.TensorType(name=key, shape=shape))

    def body(**variables):
        results = build(**variables)
        results = results if isinstance(results, (tuple, list)) else (results,)
        finished = []
        for number, result in enumerate(results):
            if not types.is_list(result.sym_type) and result.dtype not in (
                types.fp32,
                types.fp16,
                types.int32,
            ):
                result = mb.cast(x=result, dtype="int32")
            # A scalar is no output of a model.
            if result.rank == 0:
                result = mb.expand_dims(x=result, axes=[0])
            finished.append(mb.identity(x=result, name=f"y{number}"))
        return tuple(finished)

    # The builder calls the function with as many positional arguments as there are inputs.
    source = f"lambda {', '.join(specs)}: body({', '.join(f'{key}={key}' for key in specs)})"
    function = eval(source, {"body": body})  # noqa: S307  (the names are those of this file's callers)
    built = mb.program(input_specs=list(specs.values()), opset_version=version)(function)
    return ct.convert(
        built,
        convert_to="mlprogram",
        minimum_deployment_target=version,
        compute_precision=ct.precision.FLOAT32,
        pass_pipeline=ct.PassPipeline.EMPTY,
        skip_model_load=True,
        **({"inputs": features} if varying else {}),
    )
